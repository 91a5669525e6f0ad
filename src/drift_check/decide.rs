//! From differences to a decision that does not cry wolf: an effect of some
//! size beyond chance, and significance, both, with the level of significance
//! shared between all questions that are asked.

use super::compare::{Compared, Effect, Kind, Profile};
use super::schema::Change;
use crate::config::Drift;
use crate::report::{Verdict, number};

/// What has become of a column, or of the whole table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum State {
    None,
    /// Larger than chance, and not yet drift.
    Watch,
    Inconclusive,
    Drift,
    /// The feed is at fault: there is nothing to be compared.
    Broken,
}

impl State {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Watch => "watch",
            Self::Inconclusive => "inconclusive",
            Self::Drift => "drift",
            Self::Broken => "broken",
        }
    }

    pub(super) fn verdict(self) -> Verdict {
        match self {
            Self::None | Self::Watch => Verdict::Pass,
            Self::Inconclusive => Verdict::Inconclusive,
            Self::Drift | Self::Broken => Verdict::Fail,
        }
    }
}

/// A column and what is thought of it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Judged {
    pub(super) compared: Compared,
    /// The effect that decides; nothing when a side has no values.
    pub(super) effect: Option<Effect>,
    pub(super) threshold: f64,
    /// Adjusted for the number of questions.
    pub(super) p_value: f64,
    pub(super) state: State,
    /// One sentence with its numbers.
    pub(super) reason: String,
}

impl Judged {
    /// How much of its threshold a column has used up.
    pub(super) fn severity(&self) -> f64 {
        self.effect.map_or(0.0, |effect| effect.corrected / self.threshold)
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Decision {
    pub(super) state: State,
    pub(super) reason: String,
    /// Worst first.
    pub(super) columns: Vec<Judged>,
}

pub(super) fn decide(
    policy: &Drift,
    rows: [u64; 2],
    changes: &[Change],
    compared: Vec<Compared>,
) -> Decision {
    let asked: Vec<f64> = compared
        .iter()
        .flat_map(|column| [column.tested.p_value, column.nulls_tested.p_value])
        .collect();
    let adjusted = policy.correction.adjust(&asked);
    let mut columns: Vec<Judged> = compared
        .into_iter()
        .zip(adjusted.chunks(2))
        .map(|(compared, adjusted)| judge(policy, compared, adjusted[0], adjusted[1]))
        .collect();
    columns.sort_by(|a, b| b.state.cmp(&a.state).then(b.severity().total_cmp(&a.severity())));
    let (state, reason) = conclude(policy, rows, changes, &columns);
    Decision { state, reason, columns }
}

fn conclude(
    policy: &Drift,
    rows: [u64; 2],
    changes: &[Change],
    columns: &[Judged],
) -> (State, String) {
    let broken: Vec<&Change> = changes.iter().filter(|change| change.breaks).collect();
    if let Some(first) = broken.first() {
        let others = if broken.len() > 1 {
            format!(" (and {} more)", broken.len() - 1)
        } else {
            String::new()
        };
        return (State::Broken, format!("column {} {}{others}", first.column, first.what));
    }
    if rows.iter().any(|rows| *rows < policy.min_rows) {
        let reason = format!(
            "{} and {} rows are too few, at least {} are needed on each side",
            rows[0], rows[1], policy.min_rows
        );
        return (State::Inconclusive, reason);
    }
    if columns.is_empty() {
        return (State::Inconclusive, "no column can be compared".to_owned());
    }
    let name = |column: &Judged| column.compared.column.clone();
    let drifted: Vec<&Judged> =
        columns.iter().filter(|column| column.state == State::Drift).collect();
    if let Some(column) = drifted.iter().find(|column| policy.critical.contains(&name(column))) {
        let reason = format!("the critical column {} drifted: {}", name(column), column.reason);
        return (State::Drift, reason);
    }
    let weight = |columns: &[&Judged]| -> f64 {
        columns.iter().map(|column| policy.weight(&column.compared.column)).sum()
    };
    let share = weight(&drifted) / weight(&columns.iter().collect::<Vec<_>>());
    let count = format!("{} of {} columns drifted", drifted.len(), columns.len());
    if !drifted.is_empty() && share >= policy.share {
        return (
            State::Drift,
            format!("{count}, worst {} ({})", name(drifted[0]), drifted[0].reason),
        );
    }
    if let Some(column) = columns.iter().find(|column| column.state == State::Inconclusive) {
        return (State::Inconclusive, format!("{}: {}", name(column), column.reason));
    }
    let watched = columns.iter().filter(|column| column.state == State::Watch).count();
    let watched_too = match watched {
        0 => String::new(),
        1 => ", 1 is watched".into(),
        more => format!(", {more} are watched"),
    };
    let limit = number(policy.share * 100.0);
    let state = if drifted.is_empty() && watched == 0 { State::None } else { State::Watch };
    (state, format!("{count}{watched_too}; {limit} % of them would be drift of the table"))
}

fn judge(policy: &Drift, compared: Compared, p_value: f64, p_nulls: f64) -> Judged {
    let limit = policy.limit(&compared.column, compared.kind == Kind::Numbers);
    let (name, threshold) = (limit.statistic.as_str(), limit.threshold());
    let effect = compared.effect(limit.statistic);
    let [before, now] = compared.profiles.each_ref().map(Profile::missing_share);
    let holes = (now - before).abs();
    let (state, reason) = if holes > policy.nulls && p_nulls < policy.alpha {
        let reason = format!(
            "nulls {} → {}: more than {} apart",
            number(before),
            number(now),
            number(policy.nulls)
        );
        (State::Drift, reason)
    } else if let Some(effect) = effect {
        weigh(policy, name, threshold, effect, p_value)
    } else {
        (State::Inconclusive, "one side has no values".to_owned())
    };
    // Both sides without a value is how it was.
    let state = if effect.is_none() && before == 1.0 && now == 1.0 { State::None } else { state };
    Judged { effect, threshold, p_value, state, reason, compared }
}

fn weigh(
    policy: &Drift,
    name: &str,
    threshold: f64,
    effect: Effect,
    p_value: f64,
) -> (State, String) {
    let size = effect.corrected;
    let shown = number(size);
    let significant = p_value < policy.alpha;
    // What is not a number passes nothing.
    if !size.is_finite() {
        if size == f64::INFINITY && significant {
            return (State::Drift, format!("{name} is infinite: the baseline does not vary"));
        }
        return (State::Inconclusive, format!("{name} is not defined here"));
    }
    if size < threshold * policy.watch {
        return (State::None, format!("{name} {shown} < {}", number(threshold)));
    }
    if !significant {
        return (State::None, format!("{name} {shown} is within chance, p {}", number(p_value)));
    }
    if size < threshold {
        (State::Watch, format!("{name} {shown} < {}, watched", number(threshold)))
    } else {
        (State::Drift, format!("{name} {shown} ≥ {}", number(threshold)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Statistic};
    use crate::stats::numeric::Tested;

    fn column(name: &str, psi: f64, p_value: f64, nulls: [u64; 2]) -> Compared {
        let profile = |nulls: u64| Profile {
            rows: 1000,
            nulls,
            facts: None,
            quantiles: Vec::new(),
            distinct: None,
        };
        let tested = |p_value| Tested { statistic: 0.1, p_value };
        Compared {
            column: name.into(),
            kind: Kind::Numbers,
            profiles: nulls.map(profile),
            effects: vec![Effect { statistic: Statistic::Psi, value: psi, corrected: psi }],
            test: "ks",
            tested: tested(p_value),
            nulls_tested: tested(if nulls[0] == nulls[1] { 1.0 } else { 1e-9 }),
            labels: Vec::new(),
            shares: [Vec::new(), Vec::new()],
            new: Vec::new(),
            vanished: Vec::new(),
        }
    }

    fn policy(more: &str) -> Drift {
        let text = format!(
            "drift: {{baseline: a.b.c, current: a.b.d, share: 0.5, numeric: {{statistic: psi}}{more}}}"
        );
        Config::parse("t", &text).unwrap().drift.unwrap()
    }

    fn state(more: &str, columns: Vec<Compared>) -> State {
        decide(&policy(more), [1000, 1000], &[], columns).state
    }

    const FLAT: [u64; 2] = [0, 0];

    #[test]
    fn significance_without_size_is_no_drift_and_neither_is_size_without_significance() {
        assert_eq!(state("", vec![column("a", 0.01, 1e-12, FLAT)]), State::None);
        assert_eq!(state("", vec![column("a", 0.9, 0.2, FLAT)]), State::None);
        assert_eq!(state("", vec![column("a", 0.9, 1e-12, FLAT)]), State::Drift);
        assert_eq!(state("", vec![column("a", 0.15, 1e-12, FLAT)]), State::Watch);
    }

    #[test]
    fn one_column_of_many_is_no_drift_of_the_table_unless_it_counts() {
        let columns = || {
            let mut columns: Vec<_> =
                (0..9).map(|n| column(&n.to_string(), 0.0, 0.5, FLAT)).collect();
            columns.push(column("temp", 0.9, 1e-12, FLAT));
            columns
        };
        assert_eq!(state("", columns()), State::Watch);
        assert_eq!(state(", critical: [temp]", columns()), State::Drift);
        assert_eq!(state(", weights: {temp: 20}", columns()), State::Drift);
        assert_eq!(state(", weights: {temp: 0.1}", columns()), State::Watch);
    }

    #[test]
    fn a_column_can_have_a_limit_of_its_own() {
        let drifted = || vec![column("a", 0.3, 1e-12, FLAT)];
        assert_eq!(state("", drifted()), State::Drift);
        assert_eq!(
            state(", limits: {a: {statistic: psi, threshold: 0.8}}", drifted()),
            State::None
        );
    }

    #[test]
    fn a_change_of_nulls_is_drift() {
        assert_eq!(state("", vec![column("a", 0.0, 1.0, [0, 300])]), State::Drift);
        assert_eq!(state("", vec![column("a", 0.0, 1.0, [0, 10])]), State::None);
    }

    #[test]
    fn what_cannot_be_compared_is_no_pass() {
        let mut empty = column("a", 0.0, 1.0, [1000, 990]);
        empty.effects.clear();
        let decision = decide(&policy(""), [1000, 1000], &[], vec![empty]);
        assert_eq!(decision.columns[0].state, State::Inconclusive);
        assert_eq!(decision.state, State::Inconclusive);
        let mut nan = column("a", f64::NAN, 1e-9, FLAT);
        nan.effects[0].corrected = f64::NAN;
        let decision = decide(&policy(""), [1000, 1000], &[], vec![nan]);
        assert_eq!(decision.columns[0].state, State::Inconclusive);
    }

    #[test]
    fn a_broken_feed_comes_before_everything_else() {
        let change = Change { column: "b".into(), what: "is missing now".into(), breaks: true };
        let decision =
            decide(&policy(""), [1000, 10], &[change], vec![column("a", 0.9, 1e-12, FLAT)]);
        assert_eq!(
            (decision.state, decision.reason.as_str()),
            (State::Broken, "column b is missing now")
        );
    }

    #[test]
    fn too_little_data_is_no_answer() {
        let few = decide(&policy(""), [1000, 10], &[], vec![column("a", 0.9, 1e-12, FLAT)]);
        assert_eq!(few.state.verdict(), Verdict::Inconclusive);
        assert_eq!(state("", Vec::new()), State::Inconclusive);
    }
}
