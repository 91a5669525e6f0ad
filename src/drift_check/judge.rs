//! What is thought of one column: an effect of some size beyond chance, and
//! significance, both.

use super::compare::{Compared, Effect};
use super::compat::Foreign;
use super::decide::State;
use crate::config::Drift;
use crate::report::number;
use crate::stats::column::Kind;

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
    /// Whether so few of the rows have a value that its peace says nothing.
    pub(super) is_sparse: bool,
    /// One sentence with its numbers.
    pub(super) reason: String,
}

impl Judged {
    /// How much of its threshold a column has used up.
    pub(super) fn severity(&self) -> f64 {
        self.effect.map_or(0.0, |effect| effect.corrected / self.threshold)
    }
}

/// Judges a column whose p-values were adjusted for the number of questions.
pub(super) fn judge(policy: &Drift, compared: Compared, p_value: f64, p_nulls: f64) -> Judged {
    let own = compared.own.as_ref();
    let limit = own.map_or_else(|| policy.limit(&compared.column, compared.kind), |own| own.limit);
    let name = limit.statistic.short();
    let threshold = compared.learnt.unwrap_or_else(|| limit.threshold());
    let effect = compared.effect(limit.statistic);
    let (what, counts) = compared.holes();
    let [before, now] = compared.shares_of(counts);
    let holes = (now - before).abs();
    let is_empty = compared.profiles.each_ref().map(|side| side.missing_share() == 1.0);
    if let Some(foreign) = compared.foreign {
        return foreign_verdict(compared, foreign, threshold, effect, p_value);
    }
    let (state, reason) = if holes > policy.nulls && p_nulls < policy.alpha {
        let reason = format!(
            "{what} {} → {}: more than {} apart",
            number(before),
            number(now),
            number(policy.nulls)
        );
        (State::Drift, reason)
    } else if compared.kind == Kind::Presence {
        (State::None, format!("nulls {} → {}", number(before), number(now)))
    } else if let Some(effect) = effect {
        weigh(policy, name, threshold, effect, p_value, compared.own.is_none())
    } else {
        let sides = if is_empty == [true; 2] { "neither side has" } else { "one side has no" };
        (State::Inconclusive, format!("{sides} values"))
    };
    let reason = match &compared.own {
        Some(own) if effect.is_none() => own.told.clone(),
        Some(own) => format!("{}: {reason}", own.told),
        None => reason,
    };
    // Both sides without a value is how it was.
    let unchanged = effect.is_none() && is_empty == [true; 2] && state == State::Inconclusive;
    let state = if unchanged { State::None } else { state };
    let judged = Judged { effect, threshold, p_value, state, is_sparse: false, reason, compared };
    if state == State::None && judged.compared.own.is_none() {
        sparse(policy, judged)
    } else {
        judged
    }
}

/// What is not seen in a handful of values may still be there.
fn sparse(policy: &Drift, judged: Judged) -> Judged {
    let values =
        judged.compared.profiles.each_ref().map(|side| side.rows.saturating_sub(side.missing()));
    let is_few = judged.effect.is_some() && values.iter().any(|own| *own < policy.min_rows);
    // A scope of few rows is told as a whole.
    let has_rows = judged.compared.profiles.iter().all(|side| side.rows >= policy.min_rows);
    if !is_few || !has_rows {
        return judged;
    }
    let reason =
        format!("{}; {} and {} values are too few to tell", judged.reason, values[0], values[1]);
    let is_critical = policy.critical.contains(&judged.compared.column);
    let state = if is_critical { State::Inconclusive } else { judged.state };
    Judged { state, is_sparse: true, reason, ..judged }
}

fn foreign_verdict(
    compared: Compared,
    foreign: Foreign,
    threshold: f64,
    effect: Option<Effect>,
    p_value: f64,
) -> Judged {
    let state = if foreign.drifted { State::Drift } else { State::None };
    let (score, limit) = (number(foreign.score), number(foreign.threshold));
    let reason = format!("{} {score}, threshold {limit}", foreign.method);
    Judged { compared, effect, threshold, p_value, state, is_sparse: false, reason }
}

fn weigh(
    policy: &Drift,
    name: &str,
    threshold: f64,
    effect: Effect,
    p_value: f64,
    of_column: bool,
) -> (State, String) {
    let size = effect.corrected;
    let shown = if effect.error > 0.0 {
        format!("{} ± {}", number(size), number(effect.error))
    } else {
        number(size)
    };
    let significant = p_value < policy.alpha;
    // What is not a number passes nothing.
    if !size.is_finite() {
        if size == f64::INFINITY && significant {
            return (State::Drift, format!("{name} is infinite: the baseline does not vary"));
        }
        let why = if of_column {
            " for whole numbers beyond 2^53: exclude the column, or judge it by kolmogorov_smirnov"
        } else {
            ": it is not defined on these rows"
        };
        return (State::Inconclusive, format!("{name} cannot be told{why}"));
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
