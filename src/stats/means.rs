//! Tests of two means.

use super::column::Facts;
use super::numeric::Tested;
use super::special::student_sf;

/// Student's t-test with a pooled variance: `t` and its two-sided p-value. NaN
/// when both sides are constant.
pub fn student(baseline: &Facts, current: &Facts) -> Tested {
    let (n, m) = (baseline.values as f64, current.values as f64);
    let freedom = n + m - 2.0;
    let pooled = ((n - 1.0) * baseline.variance() + (m - 1.0) * current.variance()) / freedom;
    two_sided((baseline.mean - current.mean) / (pooled * (1.0 / n + 1.0 / m)).sqrt(), freedom)
}

/// Welch's t-test for unequal variances (Welch 1947).
pub fn welch(baseline: &Facts, current: &Facts) -> Tested {
    let (n, m) = (baseline.values as f64, current.values as f64);
    let (a, b) = (baseline.variance() / n, current.variance() / m);
    let freedom = (a + b).powi(2) / (a * a / (n - 1.0) + b * b / (m - 1.0));
    two_sided((baseline.mean - current.mean) / (a + b).sqrt(), freedom)
}

/// How far the mean moved, in deviations of the baseline; 0 when neither moved
/// nor varied.
pub fn shift(baseline: &Facts, current: &Facts) -> f64 {
    let moved = current.mean - baseline.mean;
    if moved == 0.0 { 0.0 } else { moved / baseline.deviation() }
}

fn two_sided(t: f64, freedom: f64) -> Tested {
    Tested { statistic: t, p_value: 2.0 * student_sf(t.abs(), freedom) }
}
