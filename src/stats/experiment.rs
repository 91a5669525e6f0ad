//! Two groups of outcomes from live traffic.

use statrs::distribution::{ContinuousCDF as _, Normal};

use super::special::chi2_sf;

/// One unit's outcome, and what was known of it before.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Outcome {
    pub value: f64,
    pub before: f64,
}

/// A difference of means, candidate minus champion.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Contrast {
    /// Of candidate and champion, as they are.
    pub means: [f64; 2],
    pub value: f64,
    /// The standard error of `value`.
    pub error: f64,
    /// Units of both.
    pub units: u64,
}

/// The difference after what was known before is taken out (CUPED, Deng, Xu,
/// Kohavi and Walker 2013): `y - θ (x - mean x)` with one `θ` for both groups.
/// Without variation in `before` it is the plain difference of means.
pub fn contrast(candidate: &[Outcome], champion: &[Outcome]) -> Contrast {
    let groups = [candidate, champion];
    let means = groups.map(|group| mean(group, |outcome| outcome.value));
    let befores = groups.map(|group| mean(group, |outcome| outcome.before));
    // Around each group's own mean, so that the effect itself is not in θ.
    let sum = |of: &dyn Fn(usize, &Outcome) -> f64| -> f64 {
        let of_group = |at: usize| groups[at].iter().map(|outcome| of(at, outcome)).sum::<f64>();
        of_group(0) + of_group(1)
    };
    let shared = sum(&|at, o| (o.value - means[at]) * (o.before - befores[at]));
    let spread = sum(&|at, o| (o.before - befores[at]).powi(2));
    let theta = if spread > 0.0 { shared / spread } else { 0.0 };
    let adjusted = |at: usize| means[at] - theta * befores[at];
    let variance = |at: usize| {
        let squares = groups[at].iter().map(|outcome| {
            let off = outcome.value - means[at] - theta * (outcome.before - befores[at]);
            off * off
        });
        let count = groups[at].len() as f64;
        squares.sum::<f64>() / (count - 1.0) / count
    };
    Contrast {
        means,
        value: adjusted(0) - adjusted(1),
        error: (variance(0) + variance(1)).sqrt(),
        units: (candidate.len() + champion.len()) as u64,
    }
}

fn mean(group: &[Outcome], of: fn(&Outcome) -> f64) -> f64 {
    group.iter().map(of).sum::<f64>() / group.len() as f64
}

impl Contrast {
    /// The interval of an experiment that is looked at once.
    pub fn fixed(&self, alpha: f64) -> [f64; 2] {
        let width = -Normal::standard().inverse_cdf(alpha / 2.0) * self.error;
        [self.value - width, self.value + width]
    }

    /// The interval that holds at all looks together (asymptotic confidence
    /// sequence, Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas 2021), tightest
    /// at `best` units.
    pub fn always(&self, alpha: f64, best: u64) -> [f64; 2] {
        let width = width_of_sequence(self.error, self.units, alpha, best);
        [self.value - width, self.value + width]
    }
}

/// `error` is the standard error of the mean of `units`.
fn width_of_sequence(error: f64, units: u64, alpha: f64, best: u64) -> f64 {
    let units = units as f64;
    let rho = (-2.0 * alpha.ln() + (-2.0 * alpha.ln()).ln() + 1.0) / best as f64;
    let grown = units * rho + 1.0;
    // `sqrt(var 2 (t ρ² + 1) / (t² ρ²) log(sqrt(t ρ² + 1) / α))` with `var = t error²`.
    error * (2.0 * grown / (units * rho) * (grown.sqrt() / alpha).ln()).sqrt()
}

/// The chance of group sizes as far from what was planned, or farther: Pearson's
/// chi-squared test. `share` is the candidate's.
pub fn sample_ratio_p([candidate, champion]: [u64; 2], share: f64) -> f64 {
    let all = (candidate + champion) as f64;
    let expected = [all * share, all * (1.0 - share)];
    let seen = [candidate as f64, champion as f64];
    let statistic: f64 = seen.iter().zip(expected).map(|(n, e)| (n - e).powi(2) / e).sum();
    chi2_sf(statistic, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::lot;
    use crate::sys::fs;

    fn uniform(seed: u64, row: u64) -> f64 {
        (lot(seed, row) >> 11) as f64 / (1u64 << 53) as f64
    }

    #[test]
    fn the_sequence_is_that_of_its_paper() {
        let golden: serde_json::Value = serde_json::from_str(
            &fs::read_text("tests/golden/goldens.json").unwrap().replace("NaN", "null"),
        )
        .unwrap();
        let golden = &golden["sequential"]["asymptotic_confidence_sequence"]["at"];
        let text = fs::read_text("tests/golden/stream.csv").unwrap();
        let apart: Vec<f64> = text
            .lines()
            .skip(1)
            .map(|line| {
                let (a, b) = line.split_once(',').unwrap();
                a.parse::<f64>().unwrap() - b.parse::<f64>().unwrap()
            })
            .collect();
        for (at, expected) in golden.as_object().unwrap() {
            let seen = &apart[..at.parse::<usize>().unwrap()];
            let mean = crate::stats::mean(seen);
            let variance = seen.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / seen.len() as f64;
            let error = (variance / seen.len() as f64).sqrt();
            let width = width_of_sequence(error, seen.len() as u64, 0.05, 500);
            for (end, expected) in
                [mean - width, mean + width].iter().zip(expected.as_array().unwrap())
            {
                assert!((end - expected.as_f64().unwrap()).abs() < 1e-12, "{at}: {end} {expected}");
            }
        }
    }

    #[test]
    fn what_was_known_before_makes_the_interval_narrower_and_not_biased() {
        let group = |seed: u64, effect: f64| -> Vec<Outcome> {
            (0..2000)
                .map(|row| {
                    let before = uniform(seed, row);
                    Outcome { value: 3.0 * before + 0.3 * uniform(seed + 1, row) + effect, before }
                })
                .collect()
        };
        let (a, b) = (group(10, 0.05), group(20, 0.0));
        let with = contrast(&a, &b);
        let blind = |group: &[Outcome]| -> Vec<Outcome> {
            group.iter().map(|outcome| Outcome { before: 1.0, ..*outcome }).collect()
        };
        let without = contrast(&blind(&a), &blind(&b));
        assert!(with.error < without.error / 5.0, "{} {}", with.error, without.error);
        assert!((with.value - 0.05).abs() < 4.0 * with.error);
        assert_eq!(without.value, without.means[0] - without.means[1]);
    }

    #[test]
    fn looking_every_day_finds_nothing_where_nothing_is() {
        let (mut sure, mut naive) = (0, 0);
        let trials = 200;
        for trial in 0..trials {
            let value = |salt: u64, row: u64| Outcome {
                value: uniform(1000 * trial + salt, row),
                before: 0.0,
            };
            let group = |salt: u64, rows: u64| -> Vec<Outcome> {
                (0..rows).map(|row| value(salt, row)).collect()
            };
            let looks: Vec<Contrast> =
                (1..=20).map(|look| contrast(&group(1, 50 * look), &group(2, 50 * look))).collect();
            let outside = |[low, high]: [f64; 2]| low > 0.0 || high < 0.0;
            sure += u32::from(looks.iter().any(|look| outside(look.always(0.05, 1000))));
            naive += u32::from(looks.iter().any(|look| outside(look.fixed(0.05))));
        }
        assert!(f64::from(sure) / trials as f64 <= 0.08, "{sure}");
        assert!(f64::from(naive) / trials as f64 > 0.12, "{naive}");
    }

    #[test]
    fn groups_that_are_not_as_planned_are_noticed() {
        // scipy.stats.chisquare([520, 480]): 0.2059032107320683.
        assert!((sample_ratio_p([520, 480], 0.5) - 0.205_903_210_732_068_3).abs() < 1e-12);
        assert!(sample_ratio_p([1200, 8800], 0.1) < 1e-9);
    }
}
