//! The alarms that groups get.

use super::input::Judged;
use crate::config::{Fair, Fairness, Gate};
use crate::record::evidence::Group;
use crate::stats::metrics::{Answers, Predictions};

/// The shares of alarms that a rule compares, by group.
pub(super) fn measure(policy: &Gate, judged: &Judged) -> Vec<Vec<Group>> {
    let Answers::Scores(scores) = &judged.candidate.answers else { return Vec::new() };
    let of_rule = |rule: &Fairness| -> Vec<Group> {
        let groups = judged.groups.get(&rule.by);
        let of_group = |(name, rows): (&String, &Vec<u32>)| {
            let found = shares(rule.measure, scores, rows);
            Group {
                name: name.clone(),
                rows: found.iter().map(|share| share.rows).min().unwrap_or_default(),
                effective: found.iter().map(|share| share.effective).collect(),
                shares: found.into_iter().map(|share| share.value).collect(),
            }
        };
        groups.into_iter().flatten().map(of_group).collect()
    };
    policy.fairness.iter().map(of_rule).collect()
}

/// A share of alarms, and what is behind it.
struct Share {
    value: Option<f64>,
    rows: u64,
    /// `(Σ w)² / Σ w²` (Kish 1965).
    effective: f64,
}

fn shares(measure: Fair, scores: &Predictions, rows: &[u32]) -> Vec<Share> {
    let among = |label: Option<f64>| {
        let counts =
            |row: &&u32| label.is_none_or(|label| scores.labels()[**row as usize] == label);
        let (mut alarms, mut all, mut squares, mut behind) = (0.0, 0.0, 0.0, 0);
        for row in rows.iter().filter(counts) {
            let weight = scores.weights().map_or(1.0, |weights| weights[*row as usize]);
            all += weight;
            squares += weight * weight;
            behind += u64::from(weight > 0.0);
            alarms += if scores.alarms()[*row as usize] { weight } else { 0.0 };
        }
        let known = all > 0.0;
        Share {
            value: known.then(|| alarms / all),
            rows: behind,
            effective: if known { all * all / squares } else { 0.0 },
        }
    };
    match measure {
        Fair::DemographicParity => vec![among(None)],
        Fair::EqualOpportunity => vec![among(Some(1.0))],
        Fair::EqualizedOdds => vec![among(Some(1.0)), among(Some(0.0))],
    }
}
