//! Tests of two models on the same rows, for metrics that have one of their own.

use rand_core::{Rng as _, SeedableRng as _};
use rand_xoshiro::Xoshiro256PlusPlus;
use rayon::prelude::*;
use statrs::distribution::{Binomial, DiscreteCDF as _};

use super::estimate::Estimate;
use super::metrics::{Measure, Model, Predictions};
use super::resample::{LANES, Units};

/// The difference of two ROC AUCs by the variance of the placements of
/// positives among negatives (DeLong, DeLong and Clarke-Pearson 1988). Rows
/// count alike; labels are 0 or 1.
pub fn delong(candidate: &Predictions, champion: &Predictions) -> Estimate {
    let labels = candidate.labels();
    let [a, b] = [candidate, champion].map(|model| placements(labels, model.scores()));
    let of_label = |label: f64| -> Vec<f64> {
        let rows = labels.iter().zip(a.iter().zip(&b)).filter(|(of, _)| **of == label);
        rows.map(|(_, (a, b))| a - b).collect()
    };
    let (positives, negatives) = (of_label(1.0), of_label(0.0));
    let error = |apart: &[f64]| {
        let mean = super::mean(apart);
        let squares = apart.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
        squares / (apart.len() as f64 - 1.0) / apart.len() as f64
    };
    Estimate::normal(super::mean(&positives), (error(&positives) + error(&negatives)).sqrt())
}

/// Of a positive the share of negatives that it scores above; of a negative the
/// share of positives that score above it. Equal scores count half.
fn placements(labels: &[f64], scores: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_unstable_by(|a, b| scores[*a].total_cmp(&scores[*b]));
    let positives = labels.iter().filter(|label| **label == 1.0).count() as f64;
    let negatives = labels.len() as f64 - positives;
    let mut found = vec![0.0; scores.len()];
    // Positives and negatives below.
    let mut below = [0.0; 2];
    for equal in order.chunk_by(|a, b| scores[*a] == scores[*b]) {
        let here = equal.iter().filter(|row| labels[**row] == 1.0).count() as f64;
        let others = equal.len() as f64 - here;
        for row in equal {
            found[*row] = if labels[*row] == 1.0 {
                (below[1] + others / 2.0) / negatives
            } else {
                (positives - below[0] - here / 2.0) / positives
            };
        }
        below = [below[0] + here, below[1] + others];
    }
    found
}

/// Rows that one model gets right and the other does not: `[candidate alone,
/// champion alone]`.
pub fn discordant(candidate: &[bool], champion: &[bool]) -> [u64; 2] {
    let alone = |a: &[bool], b: &[bool]| a.iter().zip(b).filter(|(a, b)| **a && !**b).count();
    [alone(candidate, champion) as u64, alone(champion, candidate) as u64]
}

/// The chance of so many discordant rows or more for one side, if both models
/// are as good: McNemar's test, exact and one-sided (McNemar 1947).
pub fn mcnemar_p([more, fewer]: [u64; 2]) -> f64 {
    let all = more + fewer;
    if more == 0 {
        return 1.0;
    }
    Binomial::new(0.5, all).map_or(f64::NAN, |chance| chance.sf(more - 1))
}

/// How often a difference as large, or larger, comes about when it is left to
/// chance which of the two models gave which answer: `[for the candidate, for
/// the champion]`, one-sided, with the data's own arrangement among the others
/// (Phipson and Smyth 2010).
pub fn permuted_p(
    candidate: &Model,
    champion: &Model,
    measure: &Measure,
    (units, permutations, seed): (&Units, u32, u64),
) -> [f64; 2] {
    let both = candidate.followed_by(champion);
    let ready = both.ready(measure);
    let apart = |counts: [&[[u8; LANES]]; 2]| -> [f64; LANES] {
        let [a, b] = counts.map(|counts| ready.counted(counts));
        std::array::from_fn(|lane| a[lane] - b[lane])
    };
    let rows = candidate.rows;
    let arranged = |flips: &[[u8; LANES]]| -> [Vec<[u8; LANES]>; 2] {
        let other =
            |flips: &[[u8; LANES]]| flips.iter().map(|row| row.map(|flip| 1 - flip)).collect();
        let others: Vec<[u8; LANES]> = other(flips);
        [[&others, flips].concat(), [flips, &others].concat()]
    };
    let own = arranged(&vec![[0; LANES]; rows]);
    let [seen, ..] = apart([&own[0], &own[1]]);
    let found: Vec<[f64; LANES]> = (0..permutations.div_ceil(LANES as u32))
        .into_par_iter()
        .map(|block| {
            let mut random = Xoshiro256PlusPlus::seed_from_u64(seed ^ (u64::from(block) << 32));
            let of_unit: Vec<u64> = (0..units.len()).map(|_| random.next_u64()).collect();
            let bits = |unit: usize| std::array::from_fn(|lane| (of_unit[unit] >> lane & 1) as u8);
            let flips: Vec<[u8; LANES]> = (0..rows).map(|row| bits(units.of(row))).collect();
            let [a, b] = arranged(&flips);
            apart([&a, &b])
        })
        .collect();
    let found: Vec<f64> = found.into_iter().flatten().take(permutations as usize).collect();
    // A tiny tolerance, so that equal sums in another order stay equal.
    let slack = 1e-12 * seen.abs().max(1e-300);
    let share = |as_large: &dyn Fn(f64) -> bool| {
        let count = found.iter().filter(|value| as_large(**value)).count();
        if seen.is_finite() { (count + 1) as f64 / (found.len() + 1) as f64 } else { f64::NAN }
    };
    [share(&|value| value >= seen - slack), share(&|value| value <= seen + slack)]
}
