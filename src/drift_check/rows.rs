//! A decision as rows of the lakehouse table.

use jiff::SignedDuration;

use super::decide::{Against, Decision, State};
use super::judge::Judged;
use super::react::Reaction;
use crate::config::{Drift, Statistic, Windows};
use crate::names::{self, Sha256};
use crate::record::{DecisionRow, DriftRow, DriftScope};

/// The rows of one check: all rows, then slices, then windows. The same check
/// of the same data has the same events, and so has a window that another check
/// of the same rows looks at again.
pub(super) fn of(
    policy: &Drift,
    decision: &Decision,
    [window, baseline]: [&str; 2],
    reaction: &'static str,
    at: &str,
) -> Vec<DriftRow> {
    let policy_digest = Sha256::of(serde_json::to_vec(policy).unwrap_or_default()).to_string();
    let parts = std::iter::once(&decision.whole)
        .chain(&decision.slices)
        .chain(&decision.windows)
        .chain(&decision.steps);
    let mut found = Vec::new();
    for part in parts {
        let scope = scope(policy, &part.scope);
        let mut occasion = vec![window.to_owned(), baseline.to_owned(), policy_digest.clone()];
        occasion.extend(scope.slice.iter().flat_map(|(key, value)| [key.clone(), value.clone()]));
        if let Some(start) = &scope.window_start {
            let place = format!("{} from {start}", policy.current);
            occasion[0] = if scope.is_consecutive { format!("{place}, a step") } else { place };
            occasion.extend(part.rows.map(|rows| rows.to_string()));
        }
        let row = |column: &Judged| {
            let name = &column.compared.column;
            let event = occasion.iter().chain([name]).map(String::as_str);
            DriftRow {
                event_id: Sha256::of_parts(event).to_string(),
                baseline: baseline.to_owned(),
                current: policy.current.to_string(),
                window: window.to_owned(),
                scope: scope.clone(),
                decision: reaction,
                at: at.to_owned(),
                ..measured(column)
            }
        };
        found.extend(part.columns.iter().map(row));
    }
    found
}

fn scope(policy: &Drift, against: &Against) -> DriftScope {
    let window = |start: &str, is_consecutive| DriftScope {
        is_consecutive,
        window_start: Some(start.to_owned()),
        window_end: end_of(policy, start),
        granularity: policy.windows.as_ref().map(Windows::length),
        slice: None,
    };
    match against {
        Against::All => DriftScope::default(),
        Against::Window(start) => window(start, false),
        Against::Before(start) => window(start, true),
        Against::Slice(name) => {
            // As Databricks does it: a condition is a key that is true.
            let by_value = name
                .split_once(" = ")
                .filter(|(column, _)| policy.slices.iter().any(|slice| slice == column));
            let (key, value) = by_value.unwrap_or((name, "true"));
            DriftScope { slice: Some((key.to_owned(), value.to_owned())), ..DriftScope::default() }
        }
    }
}

fn end_of(policy: &Drift, start: &str) -> Option<String> {
    let length = SignedDuration::from_millis(policy.windows.as_ref()?.milliseconds()?);
    Some(names::time(start)?.checked_add(length).ok()?.to_string())
}

/// What a column came to, wherever that was.
fn measured(column: &Judged) -> DriftRow {
    let compared = &column.compared;
    let value = |statistic| compared.effect(statistic).map(|effect| effect.value);
    let tested = |name: &str| (compared.test == name).then_some(compared.tested);
    let profile = compared.profiles.each_ref();
    let mean = |at: usize| profile[at].facts.map(|facts| facts.mean);
    let percent = |at: usize, count: Option<u64>| {
        Some(100.0 * count? as f64 / profile[at].rows as f64).filter(|percent| percent.is_finite())
    };
    let delta = |of: [Option<f64>; 2]| Some(of[1]? - of[0]?);
    let zeros = [0, 1].map(|at| percent(at, profile[at].facts.map(|facts| facts.zeros)));
    let distinct =
        [0, 1].map(|at| percent(at, profile[at].distinct.map(|distinct| distinct.count)));
    DriftRow {
        event_id: String::new(),
        baseline: String::new(),
        current: String::new(),
        window: String::new(),
        scope: DriftScope::default(),
        column: compared.column.clone(),
        kind: compared.kind.as_str(),
        count_delta: profile[1].rows as f64 - profile[0].rows as f64,
        mean_delta: mean(1).zip(mean(0)).map(|(now, then)| now - then),
        null_share_baseline: profile[0].missing_share(),
        null_share_current: profile[1].missing_share(),
        percent_zeros_delta: delta(zeros),
        percent_distinct_delta: delta(distinct),
        psi: value(Statistic::Psi),
        js_distance: value(Statistic::JensenShannon),
        tv_distance: value(Statistic::TotalVariation),
        l_infinity_distance: value(Statistic::LInfinity),
        wasserstein_distance: value(Statistic::Wasserstein),
        ks: tested("ks"),
        chi_squared: tested("chi²"),
        statistic: column.effect.map(|effect| effect.statistic.as_str()),
        effect: column.effect.map(|effect| effect.corrected),
        threshold: column.threshold,
        p_value: column.p_value,
        state: column.state.as_str(),
        reason: column.reason.clone(),
        drifted: column.state == State::Drift,
        decision: "",
        at: String::new(),
    }
}

/// The check itself as a row.
pub(super) fn decision(
    policy: &Drift,
    decision: &Decision,
    [window, baseline]: [&str; 2],
    reaction: &Reaction,
    at: &str,
) -> DecisionRow {
    let policy_digest = Sha256::of(serde_json::to_vec(policy).unwrap_or_default()).to_string();
    DecisionRow {
        // The same outcome is one row; another one of the same window is another.
        event_id: Sha256::of_parts([
            "outcome",
            window,
            baseline,
            &policy_digest,
            decision.state.as_str(),
            reaction.name,
        ])
        .to_string(),
        phase: "outcome",
        baseline: baseline.to_owned(),
        current: policy.current.to_string(),
        window: window.to_owned(),
        state: decision.state.as_str(),
        reason: decision.reason.clone(),
        reaction: reaction.name,
        target: reaction.target.clone(),
        claimant: None,
        run_url: reaction.run_url.clone(),
        at: at.to_owned(),
    }
}
