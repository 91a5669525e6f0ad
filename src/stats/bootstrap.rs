//! The paired bootstrap: both models are judged on the same resampled rows,
//! so that what they share cancels out (Efron and Tibshirani 1993).

use pulp::Arch;
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF as _, Normal};

use super::metrics::{Metric, Predictions, Ready};
use super::quantile;
use super::resample::{Drawn, LANES, Units};

/// How an interval follows from the resamples.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// Corrected for bias and for how its width changes with the value (Efron
    /// 1987, "BCa").
    #[default]
    Bca,
    /// The quantiles of the resamples as they are.
    Percentile,
}

/// A difference, candidate minus champion, and its interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Difference {
    pub value: f64,
    pub low: f64,
    pub high: f64,
    /// Resamples in which the metric was not defined; they are left out.
    pub undefined: u32,
}

/// How resamples are drawn, and what is made of them.
#[derive(Debug, Clone, Copy)]
pub struct Plan<'a> {
    pub units: &'a Units,
    pub resamples: u32,
    /// Of the interval, two-sided.
    pub confidence: f64,
    pub method: Method,
    pub seed: u64,
}

/// Units are left out in at most so many groups to learn the acceleration.
const GROUPS: usize = 256;

/// The differences of several metrics over the same resamples. The result does
/// not depend on how many cores there are.
pub fn differences(
    candidate: &Predictions,
    champion: &Predictions,
    metrics: &[Metric],
    plan: Plan<'_>,
) -> Vec<Difference> {
    // By falling score, so that walking along it does not jump about in memory.
    let order = candidate.order();
    let units = &plan.units.reordered(order);
    let (candidate, champion) =
        rayon::join(|| candidate.reordered(order), || champion.reordered(order));
    let (candidate, champion) = (&candidate, &champion);
    let ready: Vec<[Ready; 2]> = metrics
        .iter()
        .map(|metric| [candidate, champion].map(|model| model.ready(*metric)))
        .collect();
    // The widest instructions that this machine has; they change no bit.
    let machine = Arch::new();
    let judge = |counts: &[[u8; LANES]]| -> Vec<[f64; LANES]> {
        let apart = |[a, b]: &[Ready; 2]| {
            let a = machine.dispatch(|| candidate.judge(a, counts));
            let b = machine.dispatch(|| champion.judge(b, counts));
            std::array::from_fn(|lane| a[lane] - b[lane])
        };
        ready.iter().map(apart).collect()
    };
    let lanes = LANES as u32;
    let drawn: Vec<Vec<[f64; LANES]>> = (0..plan.resamples.div_ceil(lanes))
        .into_par_iter()
        .map_init(Drawn::default, |room, block| judge(units.draw(plan.seed, block * lanes, room)))
        .collect();
    let groups = units.len().min(GROUPS) as u32;
    let left_out: Vec<Vec<[f64; LANES]>> = match plan.method {
        Method::Percentile => Vec::new(),
        Method::Bca => (0..groups.div_ceil(lanes))
            .into_par_iter()
            .map_init(Drawn::default, |room, block| {
                judge(units.leave_out(block * lanes, groups, room))
            })
            .collect(),
    };
    let values = rayon::join(|| candidate.values(metrics), || champion.values(metrics));
    let of_metric = |at: usize| {
        let take = |blocks: &[Vec<[f64; LANES]>], count: u32| -> Vec<f64> {
            blocks.iter().flat_map(|block| block[at]).take(count as usize).collect()
        };
        let value = values.0[at] - values.1[at];
        interval(value, take(&drawn, plan.resamples), &take(&left_out, groups), &plan)
    };
    (0..metrics.len()).map(of_metric).collect()
}

fn interval(value: f64, mut resamples: Vec<f64>, left_out: &[f64], plan: &Plan<'_>) -> Difference {
    let asked = resamples.len();
    resamples.retain(|value| value.is_finite());
    resamples.sort_unstable_by(f64::total_cmp);
    let tail = (1.0 - plan.confidence) / 2.0;
    let [low, high] = match plan.method {
        Method::Percentile => [tail, 1.0 - tail],
        Method::Bca => corrected(value, &resamples, left_out, tail),
    };
    let read = |q: f64| if q.is_finite() { quantile(&resamples, q) } else { f64::NAN };
    Difference {
        value,
        low: read(low),
        high: read(high),
        undefined: u32::try_from(asked - resamples.len()).unwrap_or(u32::MAX),
    }
}

/// Where to read the interval in the sorted resamples (Efron 1987, as in
/// scipy): NaN when all of them lie on one side of the value.
fn corrected(value: f64, sorted: &[f64], left_out: &[f64], tail: f64) -> [f64; 2] {
    if sorted.is_empty() || !value.is_finite() {
        return [f64::NAN; 2];
    }
    let normal = Normal::standard();
    let below = sorted.partition_point(|resample| *resample < value);
    let up_to = sorted.partition_point(|resample| *resample <= value);
    let share = (below + up_to) as f64 / (2.0 * sorted.len() as f64);
    let bias = normal.inverse_cdf(share);
    let acceleration = acceleration(left_out);
    [tail, 1.0 - tail].map(|tail| {
        let moved = bias + normal.inverse_cdf(tail);
        normal.cdf(bias + moved / (1.0 - acceleration * moved))
    })
}

/// A sixth of the skewness of what the units contribute.
fn acceleration(left_out: &[f64]) -> f64 {
    let known: Vec<f64> = left_out.iter().copied().filter(|value| value.is_finite()).collect();
    let mean = super::mean(&known);
    let power = |power: i32| known.iter().map(|value| (mean - value).powi(power)).sum::<f64>();
    let (squares, cubes) = (power(2), power(3));
    if squares > 0.0 { cubes / (6.0 * squares.powf(1.5)) } else { 0.0 }
}
