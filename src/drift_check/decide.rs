//! From differences to a decision that does not cry wolf: an effect of some
//! size beyond chance, and significance, both, with the level of significance
//! shared between all questions that are asked.

use super::compare::Compared;
use super::compat::evidently;
use super::judge::{Judged, judge};
use super::schema::Change;
use crate::config::{Compat, Drift, Windows};
use crate::report::{Verdict, number};
use crate::stats::column::Kind;

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

/// Two sets of rows that were compared.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Scoped {
    pub(super) scope: Against,
    pub(super) rows: [u64; 2],
    pub(super) columns: Vec<Compared>,
}

/// Which rows stand against which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Against {
    /// All current rows against all of the baseline.
    All,
    /// A slice of both sides.
    Slice(String),
    /// A window of the current rows against the whole baseline.
    Window(String),
    /// A window against the one before.
    Before(String),
}

impl Against {
    pub(super) fn name(&self) -> &str {
        match self {
            Self::All => "all rows",
            Self::Slice(name) | Self::Window(name) | Self::Before(name) => name,
        }
    }
}

/// What is thought of one scope.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Part {
    pub(super) scope: Against,
    pub(super) rows: [u64; 2],
    pub(super) state: State,
    pub(super) reason: String,
    /// Worst first.
    pub(super) columns: Vec<Judged>,
}

impl Part {
    /// Whether there was enough of it, and nothing is left.
    pub(super) fn is_gone(&self, policy: &Drift) -> bool {
        self.rows[1] == 0 && self.rows[0] >= policy.min_rows
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Decision {
    pub(super) state: State,
    pub(super) reason: String,
    /// All current rows against the baseline.
    pub(super) whole: Part,
    pub(super) slices: Vec<Part>,
    /// Against the baseline, in the order of time.
    pub(super) windows: Vec<Part>,
    /// Each against the window before.
    pub(super) steps: Vec<Part>,
}

impl Decision {
    /// Where nothing was compared, the rules of quality decide.
    pub(super) fn judge_quality_alone(&mut self, changes: &[Change], rules: usize) {
        if changes.iter().any(|change| change.breaks) {
            return;
        }
        let broken = changes.len();
        self.state = if broken > 0 { State::Watch } else { State::None };
        self.reason = format!("{} of {rules} rules of quality hold", rules - broken.min(rules));
    }

    /// The columns of all current rows, worst first.
    pub(super) fn columns(&self) -> &[Judged] {
        &self.whole.columns
    }
}

/// Judges all scopes under one level of significance.
pub(super) fn decide(policy: &Drift, changes: &[Change], scopes: Vec<Scoped>) -> Decision {
    let asked: Vec<f64> = scopes
        .iter()
        .flat_map(|scope| &scope.columns)
        .flat_map(|column| [column.tested.p_value, column.nulls_tested.p_value])
        .collect();
    let adjusted = policy.correction.adjust(&asked);
    let mut adjusted = adjusted.chunks(2);
    let mut parts = scopes.into_iter().map(|scoped| {
        let judged = scoped.columns.into_iter().map(|column| {
            // A column that was not asked about cannot have drifted.
            let [p_value, p_nulls] = adjusted.next().map_or([1.0; 2], |pair| [pair[0], pair[1]]);
            judge(policy, column, p_value, p_nulls)
        });
        let mut columns: Vec<Judged> = judged.collect();
        columns.sort_by(|a, b| b.state.cmp(&a.state).then(b.severity().total_cmp(&a.severity())));
        let (state, reason) = conclude(policy, scoped.rows, &columns);
        Part { scope: scoped.scope, rows: scoped.rows, state, reason, columns }
    });
    let whole = parts.next().unwrap_or_else(|| Part {
        scope: Against::All,
        rows: [0, 0],
        state: State::Inconclusive,
        reason: "nothing was compared".into(),
        columns: Vec::new(),
    });
    let (mut slices, mut windows, mut steps) = (Vec::new(), Vec::new(), Vec::new());
    for part in parts {
        match part.scope {
            Against::All | Against::Slice(_) => slices.push(part),
            Against::Window(_) => windows.push(part),
            Against::Before(_) => steps.push(part),
        }
    }
    let (state, reason) = overall(policy, changes, &whole, &slices, &windows);
    Decision { state, reason, whole, slices, windows, steps }
}

/// The table's state from those of its parts.
fn overall(
    policy: &Drift,
    changes: &[Change],
    whole: &Part,
    slices: &[Part],
    windows: &[Part],
) -> (State, String) {
    let broken: Vec<&Change> = changes.iter().filter(|change| change.breaks).collect();
    if let Some(first) = broken.first() {
        let others = match broken.len() {
            1 => String::new(),
            more => format!(" (and {} more)", more - 1),
        };
        return (State::Broken, format!("{} {}{others}", first.column, first.what));
    }
    let (state, reason) = match &policy.windows {
        Some(rule) => {
            let decided = newest(rule, windows);
            // Windows are about columns: these are asked of all rows.
            let others = asked_of_all(policy, &whole.columns);
            others.filter(|other| other.0 > decided.0).unwrap_or(decided)
        }
        None => (whole.state, whole.reason.clone()),
    };
    if state >= State::Watch {
        return (state, reason);
    }
    if let Some(silent) = changes.iter().find(|change| change.rule == Change::SILENT) {
        return (State::Watch, format!("{} {}; {reason}", silent.column, silent.what));
    }
    if let Some(slice) = slices.iter().find(|slice| slice.state == State::Drift) {
        let reason = format!("the slice {} drifted: {}", slice.scope.name(), slice.reason);
        return (State::Watch, reason);
    }
    if let Some(slice) = slices.iter().find(|slice| slice.is_gone(policy)) {
        let (name, rows) = (slice.scope.name(), slice.rows[0]);
        let reason = format!("the slice {name} is gone: it had {rows} rows; {reason}");
        return (State::Watch, reason);
    }
    (state, reason)
}

/// Drift is what the newest windows agree on: one alone may be a holiday.
fn newest(rule: &Windows, windows: &[Part]) -> (State, String) {
    let (at_least, of) = (rule.at_least.max(1), rule.of.max(1));
    let newest: Vec<&Part> = windows.iter().rev().take(of).collect();
    let Some(last) = newest.first() else {
        return (State::Inconclusive, "there is no window with rows".into());
    };
    let drifted = newest.iter().filter(|part| part.state == State::Drift).count();
    let name = last.scope.name();
    let counted = format!("{drifted} of the {} newest windows drifted", newest.len());
    match last.state {
        State::Drift if drifted >= at_least => {
            (State::Drift, format!("{counted}, the newest is {name}: {}", last.reason))
        }
        State::Drift => (
            State::Watch,
            format!("{counted}, {at_least} would be drift; the newest is {name}: {}", last.reason),
        ),
        State::Inconclusive => {
            (State::Inconclusive, format!("the newest window {name}: {}", last.reason))
        }
        other => (other, format!("{counted}, the newest is {name}: {}", last.reason)),
    }
}

fn conclude(policy: &Drift, rows: [u64; 2], columns: &[Judged]) -> (State, String) {
    // Another tool's verdicts come with its own bounds.
    let (least, share_of_drift) = match policy.compat {
        Some(Compat::Evidently) => (1, evidently::SHARE),
        Some(Compat::Nannyml | Compat::Databricks) => (1, policy.share),
        None => (policy.min_rows, policy.share),
    };
    if rows.iter().any(|rows| *rows < least) {
        let [then, now] = rows;
        let reason =
            format!("{then} and {now} rows are too few, at least {least} are needed on each side");
        return (State::Inconclusive, reason);
    }
    if let Some(decided) = without_columns(policy, columns) {
        return decided;
    }
    // Where only nulls can be compared, or few values, a change counts, and peace does not.
    let counts = |column: &&Judged| match column.compared.kind {
        Kind::Presence => column.state != State::None,
        _ if column.is_sparse => column.state != State::None,
        Kind::Together | Kind::Performance => false,
        Kind::Numbers | Kind::Categories | Kind::Points => true,
    };
    let others = columns;
    let columns: Vec<&Judged> = columns.iter().filter(counts).collect();
    if columns.is_empty() && others.iter().all(|other| other.compared.own.is_none()) {
        return (State::Inconclusive, "no column can be compared".to_owned());
    }
    let name = |column: &Judged| column.compared.column.clone();
    let drifted: Vec<&Judged> =
        columns.iter().copied().filter(|column| column.state == State::Drift).collect();
    if let Some(column) = drifted.iter().find(|column| policy.critical.contains(&name(column))) {
        let reason = format!("the critical column {} drifted: {}", name(column), column.reason);
        return (State::Drift, reason);
    }
    let weight = |columns: &[&Judged]| -> f64 {
        columns.iter().map(|column| policy.weight(&column.compared.column)).sum()
    };
    let share = weight(&drifted) / weight(&columns).max(f64::MIN_POSITIVE);
    let count = format!("{} of {} columns drifted", drifted.len(), columns.len());
    if !drifted.is_empty() && share >= share_of_drift {
        return (
            State::Drift,
            format!("{count}, worst {} ({})", name(drifted[0]), drifted[0].reason),
        );
    }
    if let Some(column) = others.iter().find(|column| column.state == State::Inconclusive) {
        return (State::Inconclusive, format!("{}: {}", name(column), column.reason));
    }
    let watched = others.iter().filter(|column| column.state == State::Watch).count();
    let together = others.iter().filter(|other| other.compared.kind == Kind::Together);
    let watched = watched + together.filter(|other| other.state == State::Drift).count();
    let also = |count: usize, one: &str, more: &str| match count {
        0 => String::new(),
        1 => format!(", 1 {one}"),
        count => format!(", {count} {more}"),
    };
    let sparse = others.iter().filter(|column| column.is_sparse).count();
    let sparse = also(sparse, "has too few values to tell", "have too few values to tell");
    let watched_too = also(watched, "is watched", "are watched");
    let limit = number(share_of_drift * 100.0);
    let state = if drifted.is_empty() && watched == 0 { State::None } else { State::Watch };
    (state, format!("{count} (limit {limit} %){watched_too}{sparse}"))
}

/// The worst of what is not about one column.
fn asked_of_all(policy: &Drift, columns: &[Judged]) -> Option<(State, String)> {
    let state = |asked: &Judged| match (asked.compared.kind, asked.state) {
        (Kind::Together, State::Drift) => State::Watch,
        (_, state) => state,
    };
    let own = columns.iter().filter(|column| column.compared.own.is_some());
    let worst = own.max_by_key(|asked| state(asked))?;
    let name = &worst.compared.column;
    without_columns(policy, columns)
        .or_else(|| Some((state(worst), format!("{name}: {}", worst.reason))))
}

/// What makes the table drift whatever single columns did.
fn without_columns(policy: &Drift, columns: &[Judged]) -> Option<(State, String)> {
    let decides = |kind| match kind {
        Kind::Performance => true,
        Kind::Together => policy.between.is_some_and(|between| between.decides),
        _ => false,
    };
    let drifted = columns
        .iter()
        .find(|column| column.state == State::Drift && decides(column.compared.kind))?;
    let what = match drifted.compared.kind {
        Kind::Performance => "the model got worse",
        _ => "what lies between columns moved",
    };
    Some((State::Drift, format!("{what}: {}", drifted.reason)))
}

#[cfg(test)]
#[path = "decide_tests.rs"]
mod tests;
