//! Questions about all columns at once.

use super::compare::{Compared, Effect, Own, nothing_to_compare};
use super::profile::Profile;
use crate::config::{Between, Limit, Statistic};
use crate::report::number;
use crate::stats::column::Kind;
use crate::stats::multivariate;
use crate::stats::numeric::Tested;

/// Compares what lies between columns. `numeric` are the places of those that
/// are numbers by themselves.
pub(super) fn between(
    policy: Between,
    names: &[&str],
    numeric: &[usize],
    sides: [&[Vec<f64>]; 2],
) -> Vec<Compared> {
    let rows = sides.map(|side| side.first().map_or(0, Vec::len) as u64);
    let mut found = Vec::new();
    let numbers =
        sides.map(|side| numeric.iter().map(|at| side[*at].clone()).collect::<Vec<Vec<f64>>>());
    if let Some(worst) = multivariate::correlation(numbers.each_ref().map(Vec::as_slice)) {
        let [a, b] = worst.pair.map(|at| names[numeric[at]]);
        let [before, now] = worst.values;
        let told = format!("{a} and {b} {} → {}", number(before), number(now));
        let effect = (Statistic::CorrelationChange, worst.change, worst.corrected);
        let tested = Tested { statistic: worst.change, p_value: worst.p_value };
        found.push(asked("correlations", rows, effect, policy.correlation, tested, told));
    }
    if let Some((change, tested)) = multivariate::reconstruction(sides) {
        let told = format!("error of reconstruction {} %", number(change * 100.0));
        let effect = (Statistic::ReconstructionError, change.abs(), change.abs());
        let limit = policy.reconstruction;
        found.push(asked("principal components", rows, effect, limit, tested, told));
    }
    if !names.is_empty() && rows.iter().all(|rows| *rows > 0) {
        let tested = multivariate::domain_classifier(sides);
        let above = (tested.statistic - 0.5).max(0.0);
        let told = format!("the sides are told apart with an area of {}", number(tested.statistic));
        let effect = (Statistic::DomainClassifier, above, above);
        found.push(asked("all columns together", rows, effect, policy.classifier, tested, told));
    }
    found
}

/// A question with its answer, as a column of its own.
fn asked(
    name: &str,
    rows: [u64; 2],
    (statistic, value, corrected): (Statistic, f64, f64),
    threshold: f64,
    tested: Tested,
    told: String,
) -> Compared {
    Compared {
        effects: vec![Effect { statistic, value, corrected, error: 0.0 }],
        test: statistic.as_str(),
        tested,
        own: Some(Own { limit: Limit { statistic, threshold: Some(threshold) }, told }),
        ..nothing_to_compare(name, Kind::Together, rows.map(Profile::of_rows))
    }
}
