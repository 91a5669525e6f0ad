//! Differences between two sets of counts over the same categories.

use super::numeric::Tested;
use super::special::chi2_sf;

/// Takes the place of an empty bin's share, where a logarithm needs one.
const ZERO_SHARE: f64 = 1e-4;

fn shares(counts: &[u64]) -> Vec<f64> {
    let total = counts.iter().sum::<u64>() as f64;
    counts.iter().map(|count| *count as f64 / total).collect()
}

/// Population stability index, `sum (q - p) ln(q / p)`. An empty bin counts as
/// a share of 1e-4. NaN when either side has no rows.
pub fn psi(baseline: &[u64], current: &[u64]) -> f64 {
    let filled = |share: f64| if share == 0.0 { ZERO_SHARE } else { share };
    let pairs = shares(baseline).into_iter().zip(shares(current));
    pairs
        .filter(|(p, q)| *p != 0.0 || *q != 0.0)
        .map(|(p, q)| {
            let (p, q) = (filled(p), filled(q));
            (q - p) * (q / p).ln()
        })
        .sum()
}

/// What the index is expected to be without any drift, `(k - 1)(1/n + 1/m)`
/// for `k` categories: many categories and few rows alone make it large.
pub fn psi_without_drift(baseline: &[u64], current: &[u64]) -> f64 {
    let used = baseline.iter().zip(current).filter(|(a, b)| **a + **b > 0).count();
    let (n, m) = (baseline.iter().sum::<u64>() as f64, current.iter().sum::<u64>() as f64);
    (used.saturating_sub(1)) as f64 * (1.0 / n + 1.0 / m)
}

/// Pearson's chi-squared test of independence on the 2 x k table, without
/// Yates' correction. One category only: nothing can differ, p = 1.
pub fn chi_squared(baseline: &[u64], current: &[u64]) -> Tested {
    let (n, m) = (baseline.iter().sum::<u64>() as f64, current.iter().sum::<u64>() as f64);
    let total = n + m;
    let mut statistic = 0.0;
    let mut used = 0;
    for (a, b) in baseline.iter().zip(current) {
        let column = (*a + *b) as f64;
        if column == 0.0 {
            continue;
        }
        used += 1;
        for (observed, row) in [(*a as f64, n), (*b as f64, m)] {
            let expected = row * column / total;
            statistic += (observed - expected).powi(2) / expected;
        }
    }
    if used < 2 {
        return Tested { statistic: 0.0, p_value: 1.0 };
    }
    Tested { statistic, p_value: chi2_sf(statistic, f64::from(used - 1)) }
}

/// The two-sided p-value for a difference of two shares (pooled z-test).
pub fn two_proportions(hits: [u64; 2], totals: [u64; 2]) -> Tested {
    let [n, m] = totals.map(|total| total as f64);
    let pooled = (hits[0] + hits[1]) as f64 / (n + m);
    let spread = (pooled * (1.0 - pooled) * (1.0 / n + 1.0 / m)).sqrt();
    if spread == 0.0 {
        return Tested { statistic: 0.0, p_value: 1.0 };
    }
    let z = (hits[0] as f64 / n - hits[1] as f64 / m) / spread;
    Tested { statistic: z, p_value: 2.0 * super::special::normal_sf(z.abs()) }
}
