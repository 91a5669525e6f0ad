//! What a divergence comes to by chance alone, when nothing has drifted.
//!
//! Many categories and few rows make every divergence large: with 5,000
//! categories and 100,000 rows a PSI of 0.14 is nothing. If both sides were
//! drawn from one source, then any split of all rows in two would be as likely
//! as the one that was seen: of the `c` values that a category has on both
//! sides together, the baseline's would be hypergeometric. That gives each
//! category's part its expectation; nothing about the source has to be known.

use std::collections::BTreeMap;

use super::shares::Zero;
use super::special::ln_choose;

/// A divergence that is a sum over categories.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Additive {
    Psi(Zero),
    /// Kullback and Leibler's divergence as a sum of parts: what fills empty
    /// shares is not normalised again.
    KullbackLeibler(Zero),
    /// The Jensen-Shannon divergence: the square of the distance.
    JensenShannon,
    /// The square of Hellinger's distance.
    Hellinger,
    TotalVariation,
    /// The share of current values in categories that the baseline lacks.
    Unseen,
}

/// The number of values on each side, and of categories that any of them has.
#[derive(Debug, Clone, Copy)]
struct Totals {
    rows: [f64; 2],
    categories: f64,
}

impl Totals {
    /// The shares of counts, none of which is empty.
    fn filled(self, counts: [f64; 2], zero: Zero) -> [f64; 2] {
        [0, 1].map(|side| match zero {
            Zero::Fill(share) if counts[side] == 0.0 => share,
            Zero::Fill(_) => counts[side] / self.rows[side],
            Zero::Add(more) => (counts[side] + more) / (self.rows[side] + more * self.categories),
        })
    }
}

impl Additive {
    /// A category's part, from its counts.
    fn part(self, totals: Totals, counts: [f64; 2]) -> f64 {
        let [p, q] = [counts[0] / totals.rows[0], counts[1] / totals.rows[1]];
        match self {
            Self::Psi(zero) => {
                let [p, q] = totals.filled(counts, zero);
                (q - p) * (q / p).ln()
            }
            Self::KullbackLeibler(zero) => {
                let [p, q] = totals.filled(counts, zero);
                p * (p / q).ln()
            }
            Self::JensenShannon => {
                let middle = f64::midpoint(p, q);
                let half =
                    |share: f64| if share > 0.0 { share * (share / middle).ln() } else { 0.0 };
                f64::midpoint(half(p), half(q))
            }
            Self::Hellinger => (p.sqrt() - q.sqrt()).powi(2) / 2.0,
            Self::TotalVariation => (p - q).abs() / 2.0,
            Self::Unseen => {
                if p > 0.0 {
                    0.0
                } else {
                    q
                }
            }
        }
    }
}

/// Counts up to this one are summed over every split.
const SUMMED: u64 = 256;

/// Nodes and weights of the Gauss-Hermite rule for a standard normal variable.
const NORMAL: [(f64, f64); 9] = [
    (-4.512_745_863_399_783, 2.234_584_400_774_658e-5),
    (-3.205_429_002_856_47, 2.789_141_321_231_769e-3),
    (-2.076_847_978_677_83, 4.991_640_676_521_788e-2),
    (-1.023_255_663_789_133, 2.440_975_028_949_394e-1),
    (0.0, 4.063_492_063_492_063e-1),
    (1.023_255_663_789_133, 2.440_975_028_949_394e-1),
    (2.076_847_978_677_83, 4.991_640_676_521_788e-2),
    (3.205_429_002_856_47, 2.789_141_321_231_769e-3),
    (4.512_745_863_399_783, 2.234_584_400_774_658e-5),
];

/// What `measure` is expected to be for two samples with these counts, if
/// both come from one source.
pub fn without_drift(measure: Additive, baseline: &[u64], current: &[u64]) -> f64 {
    let rows = [baseline.iter().sum::<u64>(), current.iter().sum::<u64>()];
    let mut known = BTreeMap::<u64, f64>::new();
    let used = || baseline.iter().zip(current).map(|(a, b)| a + b).filter(|count| *count > 0);
    let totals = Totals { rows: rows.map(|rows| rows as f64), categories: used().count() as f64 };
    let expected = |count| expectation(|counts| measure.part(totals, counts), count, rows);
    used().map(|count| *known.entry(count).or_insert_with(|| expected(count))).sum()
}

/// The divergence itself, as the sum of its parts.
pub fn observed(measure: Additive, baseline: &[u64], current: &[u64]) -> f64 {
    let rows = [baseline, current].map(|side| side.iter().sum::<u64>() as f64);
    let used = || baseline.iter().zip(current).filter(|(a, b)| **a + **b > 0);
    let totals = Totals { rows, categories: used().count() as f64 };
    used().map(|(a, b)| measure.part(totals, [*a as f64, *b as f64])).sum()
}

/// The expectation of one category's part.
fn expectation(part: impl Fn([f64; 2]) -> f64, count: u64, [n, m]: [u64; 2]) -> f64 {
    let (rows, others) = (n as f64, m as f64);
    let (both, total) = (count as f64, rows + others);
    let part = |first: f64| {
        let first = first.clamp(0.0, both);
        part([first, both - first])
    };
    if count <= SUMMED {
        let all = ln_choose(n + m, n);
        return (count.saturating_sub(m)..=count.min(n))
            .map(|first| {
                let chance = ln_choose(count, first) + ln_choose(n + m - count, n - first) - all;
                chance.exp() * part(first as f64)
            })
            .sum();
    }
    let share = rows / total;
    let finite = (total - both) / (total - 1.0);
    let (mean, deviation) = (both * share, (both * share * (1.0 - share) * finite).sqrt());
    NORMAL.iter().map(|(node, weight)| weight * part(mean + node * deviation)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::shares::{hellinger, jensen_shannon, psi, total_variation, unseen};
    use rand_core::{Rng as _, SeedableRng as _};
    use rand_xoshiro::Xoshiro256PlusPlus;

    /// Two samples of `rows` from the same `k` categories, falling like Zipf's.
    fn draw(k: usize, rows: [u64; 2], random: &mut Xoshiro256PlusPlus) -> [Vec<u64>; 2] {
        let weights: Vec<f64> = (1..=k).map(|rank| 1.0 / rank as f64).collect();
        let mut sums: Vec<f64> = weights
            .iter()
            .scan(0.0, |sum, weight| {
                *sum += weight;
                Some(*sum)
            })
            .collect();
        let all = sums[k - 1];
        sums.iter_mut().for_each(|sum| *sum /= all);
        rows.map(|rows| {
            let mut counts = vec![0; k];
            for _ in 0..rows {
                let uniform = (random.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
                counts[sums.partition_point(|sum| *sum <= uniform).min(k - 1)] += 1;
            }
            counts
        })
    }

    #[test]
    fn simulation_agrees() {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(7);
        for (k, rows) in [(5, [400, 900]), (100, [2000, 2000]), (1000, [3000, 6000])] {
            for measure in [
                Additive::Psi(Zero::Fill(1e-4)),
                Additive::Psi(Zero::Add(0.5)),
                Additive::KullbackLeibler(Zero::Fill(1e-4)),
                Additive::KullbackLeibler(Zero::Add(0.5)),
                Additive::JensenShannon,
                Additive::Hellinger,
                Additive::TotalVariation,
                Additive::Unseen,
            ] {
                let rounds = 60;
                let (mut found, mut told) = (Vec::new(), 0.0);
                for _ in 0..rounds {
                    let [a, b] = draw(k, rows, &mut random);
                    found.push(match measure {
                        Additive::Psi(zero) => psi(&a, &b, zero),
                        Additive::KullbackLeibler(_) => observed(measure, &a, &b),
                        Additive::JensenShannon => jensen_shannon(&a, &b).powi(2),
                        Additive::Hellinger => hellinger(&a, &b).powi(2),
                        Additive::TotalVariation => total_variation(&a, &b),
                        Additive::Unseen => unseen(&a, &b),
                    });
                    assert!((observed(measure, &a, &b) - found[found.len() - 1]).abs() < 1e-12);
                    told += without_drift(measure, &a, &b) / f64::from(rounds);
                }
                let mean = found.iter().sum::<f64>() / f64::from(rounds);
                let spread = (found.iter().map(|x| (x - mean).powi(2)).sum::<f64>()
                    / f64::from(rounds))
                .sqrt();
                let error = spread / f64::from(rounds).sqrt();
                assert!(
                    (mean - told).abs() < 4.0 * error + 0.02 * mean + 1e-12,
                    "{measure:?} {k}: {mean} {told}"
                );
            }
        }
    }
}
