//! Points of many dimensions: how far two clouds of them are apart.

use std::collections::BinaryHeap;

use rand_core::{Rng as _, SeedableRng as _};
use rand_xoshiro::Xoshiro256PlusPlus;

use super::numeric::Tested;
use super::special;

/// A column of points. Their moments are those of all points; the kernel
/// statistics look at [`KEPT`] of them.
#[derive(Debug, Clone, Default)]
pub struct Embedding {
    pub nulls: u64,
    /// Points with another number of coordinates than the first, or with one
    /// that is missing or not finite.
    pub unfit: u64,
    pub points: u64,
    mean: Vec<f64>,
    /// The sum of squared deviations from the mean, per dimension.
    squares: Vec<f64>,
    kept: BinaryHeap<Kept>,
}

/// Points that the kernel looks at, of each side.
pub const KEPT: usize = 500;
/// Splits of all points that the distribution without drift is learnt from.
const SPLITS: usize = 300;
/// Fixed, so that two runs on the same rows agree.
const SEED: u64 = 0x6c61_6b65_6761_7465;

/// A point, in the order of its lot: the lowest ones stay.
#[derive(Debug, Clone, PartialEq)]
struct Kept {
    lot: u64,
    point: Vec<f64>,
}

impl Eq for Kept {}

impl PartialOrd for Kept {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Kept {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.lot.cmp(&other.lot)
    }
}

impl Embedding {
    pub fn rows(&self) -> u64 {
        self.points + self.unfit + self.nulls
    }

    /// About how many bytes it takes.
    pub fn held(&self) -> u64 {
        ((self.kept.len() + 2) * self.mean.len() * 8) as u64
    }

    pub fn dimensions(&self) -> usize {
        self.mean.len()
    }

    /// Takes in a point; nothing stands for a coordinate that is missing.
    pub fn push(&mut self, point: Option<Vec<f64>>) {
        let fits = |point: &Vec<f64>| {
            !point.is_empty()
                && (self.points == 0 || point.len() == self.mean.len())
                && point.iter().all(|coordinate| coordinate.is_finite())
        };
        let lot = super::lot(SEED, self.rows());
        let Some(point) = point.filter(fits) else {
            self.unfit += 1;
            return;
        };
        if self.points == 0 {
            self.mean = vec![0.0; point.len()];
            self.squares = vec![0.0; point.len()];
        }
        self.points += 1;
        let count = self.points as f64;
        for ((value, mean), squares) in point.iter().zip(&mut self.mean).zip(&mut self.squares) {
            let off = value - *mean;
            *mean += off / count;
            *squares += off * (value - *mean);
        }
        if self.kept.len() < KEPT {
            self.kept.push(Kept { lot, point });
        } else if self.kept.peek().is_some_and(|last| lot < last.lot) {
            self.kept.pop();
            self.kept.push(Kept { lot, point });
        }
    }

    /// The sum of the variances of all dimensions.
    fn spread(&self) -> f64 {
        self.squares.iter().sum::<f64>() / self.points as f64
    }

    fn sample(&self) -> Vec<&[f64]> {
        let mut kept: Vec<&Kept> = self.kept.iter().collect();
        kept.sort();
        kept.into_iter().map(|kept| kept.point.as_slice()).collect()
    }
}

/// The distance of the centroids in deviations of the baseline (the root of the
/// sum of all dimensions' variances), and without what is expected of it when
/// nothing has changed: below the root, `1/n + 1/m`.
///
/// Both sides have points of the same number of dimensions.
pub fn centroid_distance(baseline: &Embedding, current: &Embedding) -> (f64, f64) {
    let apart: f64 = baseline.mean.iter().zip(&current.mean).map(|(a, b)| (a - b) * (a - b)).sum();
    if apart == 0.0 {
        return (0.0, 0.0);
    }
    let square = apart / baseline.spread();
    let chance = 1.0 / baseline.points as f64 + 1.0 / current.points as f64;
    (square.sqrt(), (square - chance).max(0.0).sqrt())
}

/// Maximum mean discrepancy, squared and without bias (Gretton et al. 2012,
/// equation 3), under a Gaussian kernel as wide as the median distance of all
/// points. Its p-value is the tail of Pearson's type III distribution with the
/// first three moments of the statistic over random splits of all points.
///
/// Nothing where a side has fewer than two points.
pub fn mmd(baseline: &Embedding, current: &Embedding) -> Option<Tested> {
    let (a, b) = (baseline.sample(), current.sample());
    let (n, m) = (a.len(), b.len());
    if n < 2 || m < 2 {
        return None;
    }
    let points = [a, b].concat();
    let kernel = kernel(&points);
    let mut first: Vec<bool> = (0..n + m).map(|at| at < n).collect();
    let seen = discrepancy(&kernel, &first, n, m);
    let mut random = Xoshiro256PlusPlus::seed_from_u64(SEED);
    let splits: Vec<f64> = (0..SPLITS)
        .map(|_| {
            shuffle(&mut first, &mut random);
            discrepancy(&kernel, &first, n, m)
        })
        .collect();
    Some(Tested { statistic: seen, p_value: tail(seen, &splits) })
}

/// `exp(-d² / 2 s²)` of all pairs, row by row. Points that are all the same
/// have nothing but ones.
fn kernel(points: &[&[f64]]) -> Vec<f64> {
    let count = points.len();
    let mut squares = vec![0.0; count * count];
    let mut all = Vec::with_capacity(count * (count - 1) / 2);
    for (i, a) in points.iter().enumerate() {
        for (j, b) in points.iter().enumerate().take(i) {
            let square: f64 = a.iter().zip(*b).map(|(x, y)| (x - y) * (x - y)).sum();
            squares[i * count + j] = square;
            squares[j * count + i] = square;
            all.push(square);
        }
    }
    all.sort_by(f64::total_cmp);
    // Of many equal points the median may be nothing; the mean is not.
    let median = super::quantile(&all, 0.5);
    let width = if median > 0.0 { median } else { super::mean(&all) };
    for square in &mut squares {
        *square = if width > 0.0 { (-*square / (2.0 * width)).exp() } else { 1.0 };
    }
    squares
}

fn discrepancy(kernel: &[f64], first: &[bool], n: usize, m: usize) -> f64 {
    let count = first.len();
    let [mut inside, mut outside, mut across] = [0.0; 3];
    for (i, row) in kernel.chunks(count).enumerate() {
        let (mut same, mut other) = (0.0, 0.0);
        for (value, side) in row[..i].iter().zip(first) {
            if *side == first[i] {
                same += value;
            } else {
                other += value;
            }
        }
        if first[i] {
            inside += same;
        } else {
            outside += same;
        }
        across += other;
    }
    let (n, m) = (n as f64, m as f64);
    2.0 * inside / (n * (n - 1.0)) + 2.0 * outside / (m * (m - 1.0)) - 2.0 * across / (n * m)
}

/// Fisher and Yates, from the end.
fn shuffle(first: &mut [bool], random: &mut Xoshiro256PlusPlus) {
    for at in (1..first.len()).rev() {
        let other = (random.next_u64() % (at as u64 + 1)) as usize;
        first.swap(at, other);
    }
}

/// The probability of at least `seen`, from the moments of `values`.
fn tail(seen: f64, values: &[f64]) -> f64 {
    let mean = super::mean(values);
    let moment = |power: i32| {
        values.iter().map(|value| (value - mean).powi(power)).sum::<f64>() / values.len() as f64
    };
    let deviation = moment(2).sqrt();
    if deviation == 0.0 {
        return 1.0;
    }
    let off = (seen - mean) / deviation;
    let skew = moment(3) / deviation.powi(3);
    if skew < 0.02 {
        return special::normal_sf(off);
    }
    let shape = 4.0 / (skew * skew);
    special::chi2_sf((off + 2.0 / skew) * 4.0 / skew, 2.0 * shape)
}

#[cfg(test)]
#[path = "embedding_tests.rs"]
mod tests;
