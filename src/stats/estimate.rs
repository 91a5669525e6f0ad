//! A number that was measured on some rows, and how far other rows could move it.

use statrs::distribution::{ContinuousCDF as _, Normal};

use super::quantile;

/// A value, such as a difference of two models, with what chance does to it.
#[derive(Debug, Clone, PartialEq)]
pub struct Estimate {
    pub value: f64,
    spread: Spread,
}

#[derive(Debug, Clone, PartialEq)]
enum Spread {
    Drawn {
        /// The values of the resamples, of those that have one.
        sorted: Vec<f64>,
        /// The deviations by which the resamples' median misses the value, and
        /// how fast their width changes with it (Efron 1987).
        bias: f64,
        acceleration: f64,
        /// Resamples without a value.
        undefined: u32,
    },
    Normal {
        error: f64,
    },
}

impl Estimate {
    /// With a standard error.
    pub fn normal(value: f64, error: f64) -> Self {
        Self { value, spread: Spread::Normal { error } }
    }

    /// From resamples, read as they are.
    pub fn percentile(value: f64, resamples: Vec<f64>) -> Self {
        Self::drawn(value, resamples, |_| [0.0; 2])
    }

    /// From resamples, and the values without some units each (BCa, Efron 1987,
    /// as in scipy). It has no bounds when all resamples lie on one side.
    pub fn corrected(value: f64, resamples: Vec<f64>, left_out: &[f64]) -> Self {
        Self::drawn(value, resamples, |sorted| {
            let below = sorted.partition_point(|resample| *resample < value);
            let up_to = sorted.partition_point(|resample| *resample <= value);
            let share = (below + up_to) as f64 / (2.0 * sorted.len() as f64);
            [Normal::standard().inverse_cdf(share), acceleration(left_out)]
        })
    }

    fn drawn(value: f64, mut resamples: Vec<f64>, correction: impl Fn(&[f64]) -> [f64; 2]) -> Self {
        let asked = resamples.len();
        resamples.retain(|value| value.is_finite());
        resamples.sort_unstable_by(f64::total_cmp);
        let undefined = u32::try_from(asked - resamples.len()).unwrap_or(u32::MAX);
        let [bias, acceleration] = if resamples.is_empty() || !value.is_finite() {
            [f64::NAN; 2]
        } else {
            correction(&resamples)
        };
        Self { value, spread: Spread::Drawn { sorted: resamples, bias, acceleration, undefined } }
    }

    /// The two-sided interval, its tails alike.
    pub fn interval(&self, confidence: f64) -> [f64; 2] {
        let tail = (1.0 - confidence) / 2.0;
        let z = Normal::standard().inverse_cdf(tail);
        match &self.spread {
            Spread::Normal { error } => [self.value + z * error, self.value - z * error],
            Spread::Drawn { sorted, bias, acceleration, .. } => [tail, 1.0 - tail].map(|tail| {
                // Without a correction, the tail is read as it is.
                let level = if *bias == 0.0 && *acceleration == 0.0 {
                    tail
                } else {
                    let moved = bias + Normal::standard().inverse_cdf(tail);
                    Normal::standard().cdf(bias + moved / (1.0 - acceleration * moved))
                };
                if level.is_finite() { quantile(sorted, level) } else { f64::NAN }
            }),
        }
    }

    /// How far the value is off, in the mean.
    pub fn error(&self) -> f64 {
        match &self.spread {
            Spread::Normal { error } => *error,
            Spread::Drawn { sorted, .. } => {
                let mean = super::mean(sorted);
                let squares = sorted.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
                (squares / (sorted.len() as f64 - 1.0)).sqrt()
            }
        }
    }

    /// Resamples that had no value; they were left out.
    pub fn undefined(&self) -> u32 {
        match self.spread {
            Spread::Normal { .. } => 0,
            Spread::Drawn { undefined, .. } => undefined,
        }
    }

    /// How well the rows agree with a true value of `limit` or less: the level
    /// whose one-sided bound just reaches `limit`.
    pub fn p_at_most(&self, limit: f64) -> f64 {
        match &self.spread {
            Spread::Normal { error } => {
                Normal::standard().cdf(normal_place(limit - self.value, *error))
            }
            Spread::Drawn { sorted, .. } => {
                let up_to = sorted.partition_point(|value| *value <= limit);
                self.level((up_to as f64 + 1.0) / (sorted.len() as f64 + 1.0))
            }
        }
    }

    /// The same for a true value of `limit` or more.
    pub fn p_at_least(&self, limit: f64) -> f64 {
        match &self.spread {
            Spread::Normal { error } => {
                Normal::standard().cdf(normal_place(self.value - limit, *error))
            }
            Spread::Drawn { sorted, .. } => {
                let from = sorted.len() - sorted.partition_point(|value| *value < limit);
                1.0 - self.level(1.0 - (from as f64 + 1.0) / (sorted.len() as f64 + 1.0))
            }
        }
    }

    /// The level that reads the sorted resamples at this share.
    fn level(&self, share: f64) -> f64 {
        let Spread::Drawn { bias, acceleration, .. } = &self.spread else { return f64::NAN };
        if !bias.is_finite() || !acceleration.is_finite() {
            return f64::NAN;
        }
        let normal = Normal::standard();
        if share <= 0.0 || share >= 1.0 {
            return share.clamp(0.0, 1.0);
        }
        let off = normal.inverse_cdf(share) - bias;
        let bend = 1.0 + acceleration * off;
        // Beyond here the correction turns back on itself.
        if bend <= 0.0 {
            return if off > 0.0 { 1.0 } else { 0.0 };
        }
        normal.cdf(off / bend - bias)
    }
}

/// Zero errors tell for sure.
fn normal_place(off: f64, error: f64) -> f64 {
    if error == 0.0 && off == 0.0 { 0.0 } else { off / error }
}

/// A sixth of the skewness of what the units contribute.
fn acceleration(left_out: &[f64]) -> f64 {
    let known: Vec<f64> = left_out.iter().copied().filter(|value| value.is_finite()).collect();
    let mean = super::mean(&known);
    let power = |power: i32| known.iter().map(|value| (mean - value).powi(power)).sum::<f64>();
    let (squares, cubes) = (power(2), power(3));
    if squares > 0.0 { cubes / (6.0 * squares.powf(1.5)) } else { 0.0 }
}

#[cfg(test)]
#[path = "estimate_tests.rs"]
mod tests;
