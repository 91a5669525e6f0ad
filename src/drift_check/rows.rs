//! A decision as rows of the lakehouse table.

use super::decide::{Decision, Judged, State};
use super::react::Reaction;
use crate::config::{Drift, Statistic};
use crate::names::Sha256;
use crate::record::{DecisionRow, DriftRow};

/// The rows of one check. The same check of the same data has the same events.
pub(super) fn of(
    policy: &Drift,
    decision: &Decision,
    [window, baseline]: [&str; 2],
    reaction: &'static str,
    at: &str,
) -> Vec<DriftRow> {
    let policy_digest = Sha256::of(serde_json::to_vec(policy).unwrap_or_default()).to_string();
    let row = |column: &Judged| {
        let compared = &column.compared;
        let value = |statistic| compared.effect(statistic).map(|effect| effect.value);
        let event = [window, baseline, &policy_digest, &compared.column];
        let tested = |name: &str| (compared.test == name).then_some(compared.tested);
        let profile = compared.profiles.each_ref();
        let mean = |at: usize| profile[at].facts.map(|facts| facts.mean);
        DriftRow {
            event_id: Sha256::of_parts(event).to_string(),
            baseline: baseline.to_owned(),
            current: policy.current.to_string(),
            window: window.to_owned(),
            column: compared.column.clone(),
            kind: compared.kind.as_str(),
            count_delta: profile[1].rows as f64 - profile[0].rows as f64,
            mean_delta: mean(1).zip(mean(0)).map(|(now, then)| now - then),
            null_share_baseline: profile[0].missing_share(),
            null_share_current: profile[1].missing_share(),
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
            decision: reaction,
            at: at.to_owned(),
        }
    };
    decision.columns().iter().map(row).collect()
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
