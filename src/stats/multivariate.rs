//! Drift between columns: what no column shows by itself.
//!
//! Rows are columns of one length; NaN stands for what is missing.

use super::column::Facts;
use super::means;
use super::metrics::{Metric, Predictions, Settings};
use super::numeric::Tested;
use super::special;
use super::trees::{Forest, Growth, Loss};

/// The pair of columns whose correlation changed most.
#[derive(Debug, Clone, PartialEq)]
pub struct Correlation {
    pub pair: [usize; 2],
    /// Spearman's coefficient, before and now: heavy tails do not sway ranks.
    pub values: [f64; 2],
    /// The change, and without what the largest of so many is by chance.
    pub change: f64,
    pub corrected: f64,
    /// Of Fisher's z, times the number of pairs.
    pub p_value: f64,
}

/// Compares all correlations. Nothing where no pair varies on both sides.
pub fn correlation(sides: [&[Vec<f64>]; 2]) -> Option<Correlation> {
    let count = sides[0].len();
    let ranked = sides.map(|side| side.iter().map(|column| ranks(column)).collect::<Vec<_>>());
    let sides = ranked.each_ref();
    let mut worst: Option<(Correlation, f64)> = None;
    let mut pairs = 0.0f64;
    for i in 0..count {
        for j in i + 1..count {
            let [before, now] = sides.map(|side| pearson(&side[i], &side[j]));
            let (Some((a, n)), Some((b, m))) = (before, now) else { continue };
            pairs += 1.0;
            // Fieller, Hartley and Pearson (1957).
            let noise = (1.06 / (n - 3.0) + 1.06 / (m - 3.0)).sqrt();
            let z = (a.clamp(-LIMIT, LIMIT).atanh() - b.clamp(-LIMIT, LIMIT).atanh()).abs();
            let p_value = 2.0 * special::normal_sf(z / noise);
            let change = (a - b).abs();
            if worst.as_ref().is_none_or(|(worst, _)| change > worst.change) {
                let found = Correlation {
                    pair: [i, j],
                    values: [a, b],
                    change,
                    corrected: change,
                    p_value,
                };
                worst = Some((found, noise));
            }
        }
    }
    worst.map(|(worst, noise)| {
        // The mean of the largest of so many normal variables is below this.
        let chance = noise * (2.0 * (2.0 * pairs).ln()).sqrt();
        Correlation {
            corrected: (worst.change - chance).max(0.0),
            p_value: (worst.p_value * pairs).min(1.0),
            ..worst
        }
    })
}

/// The rank of each value, the mean of theirs for equal ones; NaN for gaps.
fn ranks(column: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..column.len()).filter(|row| column[*row].is_finite()).collect();
    order.sort_by(|a, b| column[*a].total_cmp(&column[*b]));
    let mut ranks = vec![f64::NAN; column.len()];
    let mut before = 0;
    for same in order.chunk_by(|a, b| column[*a] == column[*b]) {
        let rank = before as f64 + (same.len() as f64 - 1.0) / 2.0;
        for row in same {
            ranks[*row] = rank;
        }
        before += same.len();
    }
    ranks
}

/// Coefficients of one have no finite z.
const LIMIT: f64 = 1.0 - 1e-12;

/// Over the rows in which both are there, with their number.
fn pearson(a: &[f64], b: &[f64]) -> Option<(f64, f64)> {
    let both = || a.iter().zip(b).filter(|(a, b)| a.is_finite() && b.is_finite());
    let count = both().count() as f64;
    if count < 5.0 {
        return None;
    }
    let mean_a = both().map(|(a, _)| a).sum::<f64>() / count;
    let mean_b = both().map(|(_, b)| b).sum::<f64>() / count;
    let [mut of_a, mut of_b, mut shared] = [0.0; 3];
    for (a, b) in both() {
        let (a, b) = (a - mean_a, b - mean_b);
        of_a += a * a;
        of_b += b * b;
        shared += a * b;
    }
    let coefficient = shared / (of_a * of_b).sqrt();
    coefficient.is_finite().then_some((coefficient.clamp(-1.0, 1.0), count))
}

/// How much worse the baseline's principal components describe the current
/// rows: the change of the mean distance between a row and its reconstruction,
/// over its mean before; and Welch's test of both means. Columns are
/// standardised, gaps take the mean; components explain 65 % of the variance.
///
/// Nothing where there is no spread to describe.
pub fn reconstruction(sides: [&[Vec<f64>]; 2]) -> Option<(f64, Tested)> {
    const EXPLAINED: f64 = 0.65;
    let used: Vec<(usize, f64, f64)> = sides[0]
        .iter()
        .enumerate()
        .filter_map(|(at, column)| {
            let (mean, deviation) = moments(column);
            (deviation > 0.0).then_some((at, mean, deviation))
        })
        .collect();
    if used.len() < 2 {
        return None;
    }
    let standard = sides.map(|side| {
        let of = |(at, mean, deviation): &(usize, f64, f64)| -> Vec<f64> {
            let value = |value: &f64| {
                if value.is_finite() { (value - mean) / deviation } else { 0.0 }
            };
            side[*at].iter().map(value).collect()
        };
        used.iter().map(of).collect::<Vec<_>>()
    });
    // Components describe the rows that they were learnt from better than any
    // others: they are learnt from one half of the baseline, and told by the other.
    let half = |from: usize| -> Vec<Vec<f64>> {
        let of = |column: &Vec<f64>| column.iter().skip(from).step_by(2).copied().collect();
        standard[0].iter().map(of).collect()
    };
    let (values, vectors) = eigen(covariance(&half(0)));
    let total: f64 = values.iter().sum();
    let mut explained = 0.0;
    let mut kept = 0;
    while kept + 1 < values.len() && explained < EXPLAINED * total {
        explained += values[kept];
        kept += 1;
    }
    let errors = [&half(1), &standard[1]].map(|columns| left_over(columns, &vectors[..kept]));
    let [before, now] = errors.each_ref().map(|errors| facts(errors));
    if before.mean <= 0.0 {
        return None;
    }
    Some(((now.mean - before.mean) / before.mean, means::welch(&before, &now)))
}

fn moments(column: &[f64]) -> (f64, f64) {
    let facts =
        facts(&column.iter().copied().filter(|value| value.is_finite()).collect::<Vec<_>>());
    (facts.mean, if facts.values > 1 { facts.deviation() } else { 0.0 })
}

fn facts(values: &[f64]) -> Facts {
    let mean = super::mean(values);
    let squares = values.iter().map(|value| (value - mean).powi(2)).sum();
    Facts::of_moments(values.len() as u64, mean, squares, [0.0, 0.0])
}

fn covariance(columns: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let rows = columns.first().map_or(0, Vec::len) as f64;
    let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>() / rows;
    columns.iter().map(|a| columns.iter().map(|b| product(a, b)).collect()).collect()
}

/// What of each row the components leave over: its length.
fn left_over(columns: &[Vec<f64>], components: &[Vec<f64>]) -> Vec<f64> {
    let rows = columns.first().map_or(0, Vec::len);
    (0..rows)
        .map(|row| {
            let square: f64 = columns.iter().map(|column| column[row] * column[row]).sum();
            let held: f64 = components
                .iter()
                .map(|component| {
                    let along: f64 =
                        columns.iter().zip(component).map(|(column, w)| column[row] * w).sum();
                    along * along
                })
                .sum();
            (square - held).max(0.0).sqrt()
        })
        .collect()
}

/// Eigenvalues of a symmetric matrix, falling, and their unit vectors, by
/// Jacobi's rotations.
fn eigen(mut matrix: Vec<Vec<f64>>) -> (Vec<f64>, Vec<Vec<f64>>) {
    const SWEEPS: usize = 60;
    let size = matrix.len();
    let unit = |at: usize| (0..size).map(|other| f64::from(u8::from(other == at))).collect();
    let mut vectors: Vec<Vec<f64>> = (0..size).map(unit).collect();
    for _ in 0..SWEEPS {
        let off: f64 = (0..size)
            .flat_map(|i| (0..i).map(move |j| (i, j)))
            .map(|(i, j)| matrix[i][j] * matrix[i][j])
            .sum();
        if off < 1e-24 {
            break;
        }
        for p in 0..size {
            for q in p + 1..size {
                rotate(&mut matrix, &mut vectors, p, q);
            }
        }
    }
    let mut order: Vec<usize> = (0..size).collect();
    order.sort_by(|a, b| matrix[*b][*b].total_cmp(&matrix[*a][*a]));
    let values = order.iter().map(|at| matrix[*at][*at].max(0.0)).collect();
    (values, order.into_iter().map(|at| vectors[at].clone()).collect())
}

/// Turns the plane of `p` and `q` so that they are not coupled any more.
fn rotate(matrix: &mut [Vec<f64>], vectors: &mut [Vec<f64>], p: usize, q: usize) {
    if matrix[p][q].abs() < 1e-300 {
        return;
    }
    let theta = (matrix[q][q] - matrix[p][p]) / (2.0 * matrix[p][q]);
    let tangent = theta.signum() / (theta.abs() + (theta * theta + 1.0).sqrt());
    let tangent = if theta == 0.0 { 1.0 } else { tangent };
    let cosine = 1.0 / (tangent * tangent + 1.0).sqrt();
    let sine = tangent * cosine;
    for row in matrix.iter_mut() {
        let (a, b) = (row[p], row[q]);
        row[p] = cosine * a - sine * b;
        row[q] = sine * a + cosine * b;
    }
    let turn = |rows: &mut [Vec<f64>]| {
        let (low, high) = rows.split_at_mut(q);
        for (a, b) in low[p].iter_mut().zip(&mut high[0]) {
            (*a, *b) = (cosine * *a - sine * *b, sine * *a + cosine * *b);
        }
    };
    turn(matrix);
    turn(vectors);
}

/// How well a model tells the sides apart from a row alone: the area under the
/// curve of scores that were given out of the fold, and its p-value against
/// one half (Mann and Whitney's variance). Rows are dealt into two folds.
pub fn domain_classifier(sides: [&[Vec<f64>]; 2]) -> Tested {
    const GROWTH: Growth = Growth { trees: 40, leaves: 15, least: 20, rate: 0.15 };
    let [n, m] = sides.map(|side| side.first().map_or(0, Vec::len));
    // Every other row of each side: both folds have the same share of both.
    let fold = |fold: usize| -> (Vec<Vec<f64>>, Vec<f64>) {
        let column = |at: usize| {
            let of = |side: usize| sides[side][at].iter().skip(fold).step_by(2).copied();
            of(0).chain(of(1)).collect()
        };
        let zeros = n.saturating_sub(fold).div_ceil(2);
        let ones = m.saturating_sub(fold).div_ceil(2);
        let labels = std::iter::repeat_n(0.0, zeros).chain(std::iter::repeat_n(1.0, ones));
        ((0..sides[0].len()).map(column).collect(), labels.collect())
    };
    let folds = [fold(0), fold(1)];
    let (mut labels, mut scores) = (Vec::new(), Vec::new());
    for (fit, told) in [(0, 1), (1, 0)] {
        let (columns, target) = &folds[fit];
        let forest = Forest::fit(columns, target, Loss::Logistic, GROWTH);
        scores.extend(forest.predict(&folds[told].0));
        labels.extend(folds[told].1.iter().copied());
    }
    let area = Predictions::new(labels, scores, Settings::default()).value(Metric::RocAuc);
    let (n, m) = (n as f64, m as f64);
    let deviation = ((n + m + 1.0) / (12.0 * n * m)).sqrt();
    Tested { statistic: area, p_value: special::normal_sf((area - 0.5) / deviation) }
}

#[cfg(test)]
#[path = "multivariate_tests.rs"]
mod tests;
