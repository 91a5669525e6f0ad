//! Tail probabilities.

use statrs::function::erf::erfc;
use statrs::function::gamma::gamma_ur;

/// P(X > x) for the standard normal distribution.
pub fn normal_sf(x: f64) -> f64 {
    0.5 * erfc(x / std::f64::consts::SQRT_2)
}

/// P(X > x) for the chi-squared distribution with `dof` degrees of freedom.
pub fn chi2_sf(x: f64, dof: f64) -> f64 {
    if dof <= 0.0 {
        return 1.0;
    }
    if x <= 0.0 { 1.0 } else { gamma_ur(dof / 2.0, x / 2.0) }
}

/// P(K > x) for the limiting distribution of the two-sample Kolmogorov-Smirnov
/// statistic, `x = sqrt(nm / (n + m)) D` (Kolmogorov 1933; the second series
/// for small `x`).
pub fn kolmogorov_sf(x: f64) -> f64 {
    if x <= 0.0 {
        return 1.0;
    }
    if x < 1.18 {
        let factor = (2.0 * std::f64::consts::PI).sqrt() / x;
        let exponent = -std::f64::consts::PI.powi(2) / (8.0 * x * x);
        let sum: f64 = (1..=20).map(|k| (f64::from(2 * k - 1).powi(2) * exponent).exp()).sum();
        return 1.0 - factor * sum;
    }
    let terms = (1..=100).map(|k| {
        let sign = if k % 2 == 1 { 1.0 } else { -1.0 };
        sign * (-2.0 * f64::from(k).powi(2) * x * x).exp()
    });
    (2.0 * terms.sum::<f64>()).clamp(0.0, 1.0)
}
