//! What a metric asks of each row, worked out once for many resamples.

use pulp::{Arch, NullaryFnOnce};

use super::classes::Classes;
use super::{Metric, Predictions};

/// A metric of some rows, which are counted some times each.
#[derive(Debug)]
pub enum Ready<'a> {
    /// A mean of values; its root where told.
    Mean { values: Vec<f64>, weights: Option<&'a [f64]>, root: bool },
    /// One sum over another.
    Ratio { over: Vec<f64>, under: Vec<f64> },
    /// One less the share of the squares that the predictions leave.
    Determination { values: [Vec<f64>; 3], weights: Option<&'a [f64]> },
    /// The value below which a share of the rows lies.
    Quantile { values: Vec<f64>, order: Vec<u32>, at: f64, weights: Option<&'a [f64]> },
    /// The largest value of all.
    Largest { values: Vec<f64>, weights: Option<&'a [f64]> },
    /// What goes by the order or the alarms of scores.
    Scores(&'a Predictions, Metric),
    /// What goes by the classes that were said.
    Classes(&'a Classes, Metric),
    /// The mean of several metrics.
    MeanOf(Vec<(Predictions, Metric)>),
    /// There is no such metric of these rows.
    Undefined,
}

/// A metric of some resamples. A closure in its place would be compiled for the
/// oldest machine, as nothing makes the compiler inline it.
struct Counting<'a, 'b, const N: usize> {
    ready: &'a Ready<'b>,
    counts: &'a [[u8; N]],
}

impl<const N: usize> NullaryFnOnce for Counting<'_, '_, N> {
    type Output = [f64; N];

    #[inline(always)]
    fn call(self) -> Self::Output {
        self.ready.counted(self.counts)
    }
}

impl<'a> Ready<'a> {
    /// The quantile `at` of values: the mean of two where it lies between.
    pub(super) fn quantile(values: Vec<f64>, at: f64, weights: Option<&'a [f64]>) -> Self {
        let mut order: Vec<u32> = (0..values.len() as u32).collect();
        order.sort_unstable_by(|a, b| values[*a as usize].total_cmp(&values[*b as usize]));
        Self::Quantile { values, order, at, weights }
    }

    /// With every row counted once.
    pub fn once(&self, rows: usize) -> f64 {
        let [value] = self.counted(&vec![[1]; rows]);
        value
    }

    /// [`Self::counted`] with the widest instructions that a machine has; they change
    /// no bit.
    pub fn counted_by<const N: usize>(&self, machine: Arch, counts: &[[u8; N]]) -> [f64; N] {
        machine.dispatch(Counting { ready: self, counts })
    }

    /// With row `i` counted `counts[i][lane]` times, for each lane. NaN where it
    /// is not defined: a single class, or no rows.
    #[inline(always)]
    pub fn counted<const N: usize>(&self, counts: &[[u8; N]]) -> [f64; N] {
        match self {
            Self::Mean { values, weights, root: false } => mean(values, *weights, counts),
            Self::Mean { values, weights, root: true } => {
                mean(values, *weights, counts).map(f64::sqrt)
            }
            Self::Ratio { over, under } => ratio(over, under, counts),
            Self::Scores(predictions, metric) => predictions.whole(*metric, counts),
            _ => self.slow(counts),
        }
    }

    /// What is not asked for often, kept out of the code of what is.
    #[inline(never)]
    fn slow<const N: usize>(&self, counts: &[[u8; N]]) -> [f64; N] {
        match self {
            Self::Determination { values, weights } => {
                let [off, squares, left] = values.each_ref().map(|of| mean(of, *weights, counts));
                std::array::from_fn(|lane| {
                    let spread = squares[lane] - off[lane].powi(2);
                    // What rounding leaves of labels that are all the same is no spread.
                    if spread > 1e-12 * squares[lane] {
                        1.0 - left[lane] / spread
                    } else {
                        f64::NAN
                    }
                })
            }
            Self::Quantile { values, order, at, weights } => {
                quantile(values, order, *at, *weights, counts)
            }
            Self::Largest { values, weights } => largest(values, *weights, counts),
            Self::Classes(classes, metric) => classes.whole(*metric, counts),
            Self::MeanOf(parts) => {
                let all: Vec<[f64; N]> =
                    parts.iter().map(|(part, metric)| part.whole(*metric, counts)).collect();
                std::array::from_fn(|lane| {
                    all.iter().map(|values| values[lane]).sum::<f64>() / all.len() as f64
                })
            }
            _ => [f64::NAN; N],
        }
    }
}

#[inline(always)]
fn mean<const N: usize>(values: &[f64], weights: Option<&[f64]>, counts: &[[u8; N]]) -> [f64; N] {
    let (mut sums, mut totals) = ([0.0; N], [0.0; N]);
    match weights {
        None => {
            for (value, counts) in values.iter().zip(counts) {
                for lane in 0..N {
                    let count = f64::from(counts[lane]);
                    sums[lane] += count * value;
                    totals[lane] += count;
                }
            }
        }
        Some(weights) => {
            for ((value, weight), counts) in values.iter().zip(weights).zip(counts) {
                for lane in 0..N {
                    let count = f64::from(counts[lane]) * weight;
                    sums[lane] += count * value;
                    totals[lane] += count;
                }
            }
        }
    }
    std::array::from_fn(|lane| sums[lane] / totals[lane])
}

#[inline(always)]
fn ratio<const N: usize>(over: &[f64], under: &[f64], counts: &[[u8; N]]) -> [f64; N] {
    let (mut sums, mut totals) = ([0.0; N], [0.0; N]);
    for ((over, under), counts) in over.iter().zip(under).zip(counts) {
        for lane in 0..N {
            let count = f64::from(counts[lane]);
            sums[lane] += count * over;
            totals[lane] += count * under;
        }
    }
    std::array::from_fn(|lane| sums[lane] / totals[lane])
}

fn largest<const N: usize>(
    values: &[f64],
    weights: Option<&[f64]>,
    counts: &[[u8; N]],
) -> [f64; N] {
    let mut largest = [f64::NAN; N];
    for (row, (value, counts)) in values.iter().zip(counts).enumerate() {
        let counts_at_all = weights.is_none_or(|weights| weights[row] > 0.0);
        for lane in 0..N {
            if counts[lane] > 0 && counts_at_all {
                largest[lane] = largest[lane].max(*value);
            }
        }
    }
    largest
}

fn quantile<const N: usize>(
    values: &[f64],
    order: &[u32],
    at: f64,
    weights: Option<&[f64]>,
    counts: &[[u8; N]],
) -> [f64; N] {
    let weight = |row: usize, lane: usize| {
        f64::from(counts[row][lane]) * weights.map_or(1.0, |weights| weights[row])
    };
    std::array::from_fn(|lane| {
        let total: f64 = (0..values.len()).map(|row| weight(row, lane)).sum();
        let wanted = total * at;
        let mut below = 0.0;
        let mut reached = None;
        for row in order.iter().map(|row| *row as usize) {
            let here = weight(row, lane);
            if here == 0.0 {
                continue;
            }
            if let Some(lower) = reached {
                return f64::midpoint(lower, values[row]);
            }
            below += here;
            if below > wanted {
                return values[row];
            }
            if below == wanted {
                reached = Some(values[row]);
            }
        }
        reached.unwrap_or(f64::NAN)
    })
}
