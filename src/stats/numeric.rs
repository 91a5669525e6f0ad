//! Differences between two samples of numbers.

use super::special::{self, kolmogorov_sf};

/// A test's statistic and its p-value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tested {
    pub statistic: f64,
    pub p_value: f64,
}

/// Two-sample Kolmogorov-Smirnov on sorted, finite values: the largest distance
/// of the empirical distribution functions, with the p-value of Kolmogorov's
/// limit. Ties are exact in the statistic and make the p-value conservative.
pub fn kolmogorov_smirnov(baseline: &[f64], current: &[f64]) -> Tested {
    let (n, m) = (baseline.len() as f64, current.len() as f64);
    let (mut i, mut j) = (0, 0);
    let mut largest: f64 = 0.0;
    while i < baseline.len() && j < current.len() {
        let value = baseline[i].min(current[j]);
        while baseline.get(i).is_some_and(|next| *next <= value) {
            i += 1;
        }
        while current.get(j).is_some_and(|next| *next <= value) {
            j += 1;
        }
        largest = largest.max((i as f64 / n - j as f64 / m).abs());
    }
    Tested { statistic: largest, p_value: kolmogorov_sf((n * m / (n + m)).sqrt() * largest) }
}

/// The p-value of the statistic: exact (for samples without ties) where that
/// costs little, else of Kolmogorov's limit, which is as good by then.
pub fn kolmogorov_p(statistic: f64, n: u64, m: u64) -> f64 {
    /// Steps of the exact recursion: less than a millisecond, as every column of
    /// every window asks.
    const EXACT_UP_TO: u64 = 1 << 18;
    if n.saturating_mul(m) <= EXACT_UP_TO {
        return special::kolmogorov_exact(n, m, statistic);
    }
    let (n, m) = (n as f64, m as f64);
    kolmogorov_sf((n * m / (n + m)).sqrt() * statistic)
}

/// The area between the empirical distribution functions of sorted, finite
/// values: the first Wasserstein distance, in the unit of the values.
pub fn wasserstein(baseline: &[f64], current: &[f64]) -> f64 {
    let (n, m) = (baseline.len() as f64, current.len() as f64);
    let (mut i, mut j) = (0, 0);
    let mut area = 0.0;
    let mut last: Option<f64> = None;
    while i < baseline.len() || j < current.len() {
        let next = match (baseline.get(i), current.get(j)) {
            (Some(a), Some(b)) => a.min(*b),
            (Some(a), None) => *a,
            (None, Some(b)) => *b,
            (None, None) => break,
        };
        if let Some(last) = last {
            area += (next - last) * (i as f64 / n - j as f64 / m).abs();
        }
        while baseline.get(i).is_some_and(|value| *value <= next) {
            i += 1;
        }
        while current.get(j).is_some_and(|value| *value <= next) {
            j += 1;
        }
        last = Some(next);
    }
    area
}

/// How many of the sorted values fall into each bin.
pub fn bin_counts(sorted: &[f64], edges: &[f64]) -> Vec<u64> {
    let mut counts = Vec::with_capacity(edges.len() + 1);
    let mut before = 0;
    for edge in edges {
        let up_to = sorted.partition_point(|value| value <= edge);
        counts.push((up_to - before) as u64);
        before = up_to;
    }
    counts.push((sorted.len() - before) as u64);
    counts
}
