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

/// Beside the likeliest split.
const NEGLIGIBLE: f64 = 1e-30;

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

/// What each of `measures` is expected to be for two samples with these counts,
/// if both come from one source.
pub fn without_drift<const N: usize>(
    measures: [Additive; N],
    baseline: &[u64],
    current: &[u64],
) -> [f64; N] {
    let rows = [baseline.iter().sum::<u64>(), current.iter().sum::<u64>()];
    let mut known = BTreeMap::<u64, [f64; N]>::new();
    let used = || baseline.iter().zip(current).map(|(a, b)| a + b).filter(|count| *count > 0);
    let totals = Totals { rows: rows.map(|rows| rows as f64), categories: used().count() as f64 };
    let mut sums = [0.0; N];
    for count in used() {
        let parts = known.entry(count).or_insert_with(|| {
            let splits = splits(count, rows);
            let part = |measure: Additive| {
                splits.iter().map(|(chance, counts)| chance * measure.part(totals, *counts)).sum()
            };
            measures.map(part)
        });
        sums.iter_mut().zip(parts).for_each(|(sum, part)| *sum += *part);
    }
    sums
}

/// The divergence itself, as the sum of its parts.
pub fn observed(measure: Additive, baseline: &[u64], current: &[u64]) -> f64 {
    let rows = [baseline, current].map(|side| side.iter().sum::<u64>() as f64);
    let used = || baseline.iter().zip(current).filter(|(a, b)| **a + **b > 0);
    let totals = Totals { rows, categories: used().count() as f64 };
    used().map(|(a, b)| measure.part(totals, [*a as f64, *b as f64])).sum()
}

/// How `count` values may fall on two sides of so many rows, each with its chance.
fn splits(count: u64, [n, m]: [u64; 2]) -> Vec<(f64, [f64; 2])> {
    let (rows, both, total) = (n as f64, count as f64, (n + m) as f64);
    if count > SUMMED {
        let share = rows / total;
        let finite = (total - both) / (total - 1.0);
        let (mean, deviation) = (both * share, (both * share * (1.0 - share) * finite).sqrt());
        let split = |(node, weight): &(f64, f64)| {
            let first = (mean + node * deviation).clamp(0.0, both);
            (*weight, [first, both - first])
        };
        return NORMAL.iter().map(split).collect();
    }
    let (least, most) = (count.saturating_sub(m), count.min(n));
    let mode = ((both + 1.0) * (rows + 1.0) / (total + 2.0)) as u64;
    let mode = mode.clamp(least, most);
    // From one split to the next, the hypergeometric chance changes by this factor.
    let up = |first: u64| {
        let first = first as f64;
        (both - first) * (rows - first) / ((first + 1.0) * (total - rows - both + first + 1.0))
    };
    let mut chances = vec![(mode, 1.0)];
    let mut walk = |steps: &mut dyn Iterator<Item = (u64, f64)>| {
        let mut chance = 1.0;
        for (first, factor) in steps {
            chance *= factor;
            if chance < NEGLIGIBLE {
                break;
            }
            chances.push((first, chance));
        }
    };
    walk(&mut (mode..most).map(|first| (first + 1, up(first))));
    walk(&mut (least..mode).rev().map(|first| (first, up(first).recip())));
    let all: f64 = chances.iter().map(|(_, chance)| chance).sum();
    let split = |(first, chance)| (chance / all, [first as f64, (count - first) as f64]);
    chances.into_iter().map(split).collect()
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
    fn splits_are_hypergeometric() {
        use crate::stats::special::ln_choose;
        for (count, [n, m]) in
            [(1, [3, 9]), (12, [5, 9]), (256, [1_000_000, 30_000]), (200, [150, 150])]
        {
            let splits = splits(count, [n, m]);
            let all: f64 = splits.iter().map(|(chance, _)| chance).sum();
            assert!((all - 1.0).abs() < 1e-14, "{count} {n} {m}: {all}");
            for (chance, [first, second]) in splits {
                assert_eq!(first + second, count as f64);
                let (first, second) = (first as u64, second as u64);
                let log = ln_choose(n, first) + ln_choose(m, second) - ln_choose(n + m, count);
                assert!((chance - log.exp()).abs() < 1e-8, "{first}: {chance} {}", log.exp());
            }
        }
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
                    told += without_drift([measure], &a, &b)[0] / f64::from(rounds);
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
