//! Tail probabilities.

use statrs::function::beta::beta_reg;
use statrs::function::erf::erfc;
use statrs::function::gamma::{gamma_ur, ln_gamma};

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

/// P(T > t) for Student's distribution and `t >= 0`. NaN when there is nothing
/// to compare.
pub fn student_sf(t: f64, dof: f64) -> f64 {
    if !t.is_finite() || dof.is_nan() || dof <= 0.0 {
        return if t == f64::INFINITY { 0.0 } else { f64::NAN };
    }
    0.5 * beta_reg(dof / 2.0, 0.5, dof / (dof + t * t))
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

/// P(D >= d) for two samples of `n` and `m` values without ties: the share of
/// lattice paths that leave the band, without cancellation (Hodges 1958). Work
/// and room grow with `n m` and the smaller of both.
pub fn kolmogorov_exact(n: u64, m: u64, d: f64) -> f64 {
    let (long, short) = (n.max(m), n.min(m));
    let (rows, columns) = (long as f64, short as f64);
    // Gaps are multiples of 1 / nm: half a step below tells `>=` safely.
    let limit = d - 0.5 / (rows * columns);
    let leaves = |i: u64, j: u64| (i as f64 / rows - j as f64 / columns).abs() > limit;
    let mut shares: Vec<f64> = (0..=short).map(|j| f64::from(u8::from(leaves(0, j)))).collect();
    for j in 1..shares.len() {
        // Along the edge there is one path only.
        shares[j] = shares[j].max(shares[j - 1]);
    }
    for i in 1..=long {
        for j in 0..=short {
            let at = j as usize;
            shares[at] = if leaves(i, j) {
                1.0
            } else {
                let from_left = if at > 0 { shares[at - 1] * j as f64 } else { 0.0 };
                (shares[at] * i as f64 + from_left) / (i + j) as f64
            };
        }
    }
    shares.last().copied().unwrap_or(1.0).clamp(0.0, 1.0)
}

/// P(W > x) for the limiting distribution of the Cramer-von Mises statistic
/// (Csorgo and Faraway 1996, equation 1.2).
pub fn cramer_von_mises_sf(x: f64) -> f64 {
    let mut below = 0.0;
    for k in 0..200 {
        let k = f64::from(k);
        let y = 4.0 * k + 1.0;
        let q = y * y / (16.0 * x);
        let factor = (ln_gamma(k + 0.5) - ln_gamma(k + 1.0)).exp()
            / (std::f64::consts::PI.powf(1.5) * x.sqrt());
        let term = factor * y.sqrt() * (-q).exp() * bessel_k_quarter(q);
        below += term;
        if term < 1e-17 {
            break;
        }
    }
    (1.0 - below).max(0.0)
}

/// The modified Bessel function `K_(1/4)(x)`, from its integral
/// `exp(-x cosh t) cosh(t / 4)` over `t >= 0`: the trapezoid rule converges
/// faster than any power for such integrands.
fn bessel_k_quarter(x: f64) -> f64 {
    const STEP: f64 = 1.0 / 64.0;
    // Beyond, the integrand is below 1e-300.
    let end = (700.0 / x + 1.0).acosh().min(40.0);
    let steps = (end / STEP) as u32;
    let at = |t: f64| (-x * t.cosh()).exp() * (t / 4.0).cosh();
    let inner: f64 = (1..=steps).map(|step| at(f64::from(step) * STEP)).sum();
    STEP * (at(0.0) / 2.0 + inner)
}

/// The logarithm of `n` over `k`.
pub fn ln_choose(n: u64, k: u64) -> f64 {
    ln_gamma(n as f64 + 1.0) - ln_gamma(k as f64 + 1.0) - ln_gamma((n - k) as f64 + 1.0)
}
