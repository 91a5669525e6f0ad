//! The paired bootstrap: both models are judged on the same resampled rows,
//! so that what they share cancels out (Efron and Tibshirani 1993).

use rand_core::{Rng as _, SeedableRng as _};
use rand_xoshiro::Xoshiro256PlusPlus;
use rayon::prelude::*;

use super::metrics::{Metric, Predictions};
use super::quantile;

/// A difference, candidate minus champion, and its percentile interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Difference {
    pub value: f64,
    pub low: f64,
    pub high: f64,
    /// Resamples in which the metric was not defined; they are left out.
    pub undefined: u32,
}

/// The differences of several metrics over the same resamples.
///
/// Each resample has a generator of its own, seeded by `seed` and its number:
/// the result does not depend on how many cores there are.
pub fn differences(
    candidate: &Predictions,
    champion: &Predictions,
    metrics: &[Metric],
    resamples: u32,
    confidence: f64,
    seed: u64,
) -> Vec<Difference> {
    let draws: Vec<Vec<f64>> = (0..resamples)
        .into_par_iter()
        .map_init(
            || vec![0; candidate.len()],
            |weights, number| {
                draw(weights, generator(seed, number));
                metrics
                    .iter()
                    .map(|metric| {
                        candidate.weighted(*metric, weights) - champion.weighted(*metric, weights)
                    })
                    .collect()
            },
        )
        .collect();
    let tail = (1.0 - confidence) / 2.0;
    let of_metric = |(at, metric): (usize, &Metric)| {
        let mut values: Vec<f64> =
            draws.iter().map(|draw| draw[at]).filter(|value| value.is_finite()).collect();
        values.sort_unstable_by(f64::total_cmp);
        Difference {
            value: candidate.value(*metric) - champion.value(*metric),
            low: quantile(&values, tail),
            high: quantile(&values, 1.0 - tail),
            undefined: resamples - u32::try_from(values.len()).unwrap_or(resamples),
        }
    };
    metrics.iter().enumerate().map(of_metric).collect()
}

/// The generator of a resample.
fn generator(seed: u64, number: u32) -> Xoshiro256PlusPlus {
    Xoshiro256PlusPlus::seed_from_u64(seed ^ (u64::from(number) << 32).wrapping_add(0x9e37_79b9))
}

/// How often each row is drawn, with replacement.
pub(super) fn draw(weights: &mut [u32], mut random: Xoshiro256PlusPlus) {
    weights.fill(0);
    let rows = weights.len() as u64;
    for _ in 0..rows {
        // Lemire's multiplication: the bias is below 2^-32 for our row counts.
        let row = (u128::from(random.next_u64()) * u128::from(rows)) >> 64;
        weights[usize::try_from(row).unwrap_or(0)] += 1;
    }
}
