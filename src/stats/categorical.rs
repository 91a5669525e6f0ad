//! Tests of two sets of counts over the same categories.

use super::numeric::Tested;
use super::special::{chi2_sf, ln_choose, normal_sf};

/// Sums `term(observed, expected)` over the 2 x k table, and counts its columns.
fn against_expected(
    baseline: &[u64],
    current: &[u64],
    term: impl Fn(f64, f64) -> f64,
) -> (f64, f64) {
    let (n, m) = (baseline.iter().sum::<u64>() as f64, current.iter().sum::<u64>() as f64);
    let total = n + m;
    let mut statistic = 0.0;
    let mut used = 0.0;
    for (a, b) in baseline.iter().zip(current) {
        let column = (*a + *b) as f64;
        if column == 0.0 {
            continue;
        }
        used += 1.0;
        for (observed, row) in [(*a as f64, n), (*b as f64, m)] {
            statistic += term(observed, row * column / total);
        }
    }
    (statistic, used)
}

fn of_table((statistic, used): (f64, f64)) -> Tested {
    if used < 2.0 {
        return Tested { statistic: 0.0, p_value: 1.0 };
    }
    Tested { statistic, p_value: chi2_sf(statistic, used - 1.0) }
}

/// Pearson's chi-squared test of independence on the 2 x k table, without
/// Yates' correction. One category only: nothing can differ, p = 1.
pub fn chi_squared(baseline: &[u64], current: &[u64]) -> Tested {
    of_table(against_expected(baseline, current, |observed, expected| {
        (observed - expected).powi(2) / expected
    }))
}

/// The same with Yates' correction where the table is 2 x 2, as scipy does.
pub fn chi_squared_yates(baseline: &[u64], current: &[u64]) -> Tested {
    if baseline.iter().zip(current).filter(|(a, b)| **a + **b > 0).count() != 2 {
        return chi_squared(baseline, current);
    }
    of_table(against_expected(baseline, current, |observed, expected| {
        let off = (observed - expected).abs();
        (off - off.min(0.5)).powi(2) / expected
    }))
}

/// The log-likelihood ratio test on the 2 x k table (Wilks 1938).
pub fn g_test(baseline: &[u64], current: &[u64]) -> Tested {
    of_table(against_expected(baseline, current, |observed, expected| {
        if observed == 0.0 { 0.0 } else { 2.0 * observed * (observed / expected).ln() }
    }))
}

/// How well the current counts fit the baseline's shares, as if those were
/// known without error: raises false alarms, and is here for comparison with
/// tools that use it. A category that the baseline lacks makes p = 0.
pub fn goodness_of_fit(baseline: &[u64], current: &[u64]) -> Tested {
    let (n, m) = (baseline.iter().sum::<u64>() as f64, current.iter().sum::<u64>() as f64);
    let pairs = || baseline.iter().zip(current).filter(|(a, b)| **a + **b > 0);
    let statistic: f64 = pairs()
        .map(|(a, b)| {
            let expected = *a as f64 * m / n;
            (*b as f64 - expected).powi(2) / expected
        })
        .sum();
    let freedom = pairs().count() as f64 - 1.0;
    let p_value = if statistic.is_finite() { chi2_sf(statistic, freedom) } else { 0.0 };
    Tested { statistic, p_value }
}

/// Fisher's exact test on a 2 x 2 table: the odds ratio, and the two-sided
/// p-value as the sum over all tables that are not more likely.
pub fn fisher(table: [[u64; 2]; 2]) -> Tested {
    let [[a, b], [c, d]] = table;
    let (row, column, total) = (a + b, a + c, a + b + c + d);
    let ln_chance =
        |a: u64| ln_choose(column, a) + ln_choose(total - column, row - a) - ln_choose(total, row);
    let lowest = (row + column).saturating_sub(total);
    let seen = ln_chance(a);
    // Equally likely tables may differ in the last bits.
    let p_value: f64 = (lowest..=row.min(column))
        .map(ln_chance)
        .filter(|chance| *chance <= seen + 1e-7)
        .map(f64::exp)
        .sum();
    let statistic = (a as f64 * d as f64) / (b as f64 * c as f64);
    Tested { statistic, p_value: p_value.min(1.0) }
}

/// Cramer's V of the 2 x k table, from 0 to 1, without a correction for bias.
pub fn cramers_v(baseline: &[u64], current: &[u64]) -> f64 {
    let total = (baseline.iter().sum::<u64>() + current.iter().sum::<u64>()) as f64;
    (chi_squared(baseline, current).statistic / total).sqrt()
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
    Tested { statistic: z, p_value: 2.0 * normal_sf(z.abs()) }
}
