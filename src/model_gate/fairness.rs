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
                rows: found.iter().map(|(_, rows)| *rows).min().unwrap_or_default(),
                shares: found.into_iter().map(|(share, _)| share).collect(),
            }
        };
        groups.into_iter().flatten().map(of_group).collect()
    };
    policy.fairness.iter().map(of_rule).collect()
}

/// The shares of alarms, each with the rows behind it.
fn shares(measure: Fair, scores: &Predictions, rows: &[u32]) -> Vec<(Option<f64>, u64)> {
    let among = |label: Option<f64>| {
        let counts =
            |row: &&u32| label.is_none_or(|label| scores.labels()[**row as usize] == label);
        let (mut alarms, mut all, mut behind) = (0.0, 0.0, 0);
        for row in rows.iter().filter(counts) {
            let weight = scores.weights().map_or(1.0, |weights| weights[*row as usize]);
            all += weight;
            behind += u64::from(weight > 0.0);
            alarms += if scores.alarms()[*row as usize] { weight } else { 0.0 };
        }
        ((all > 0.0).then(|| alarms / all), behind)
    };
    match measure {
        Fair::DemographicParity => vec![among(None)],
        Fair::EqualOpportunity => vec![among(Some(1.0))],
        Fair::EqualizedOdds => vec![among(Some(1.0)), among(Some(0.0))],
    }
}
