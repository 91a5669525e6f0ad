//! Statistics: pure functions on slices, each with the source of its formula.
//!
//! Inputs are finite unless a function says otherwise; callers count and
//! report what is not. Golden values come from scipy, scikit-learn and
//! statsmodels (see `tests/golden`).

pub mod bootstrap;
pub mod categorical;
pub mod metrics;
pub mod numeric;
pub mod special;

/// Adjusted p-values that control the false discovery rate
/// (Benjamini and Hochberg 1995), in the order given.
pub fn benjamini_hochberg(p_values: &[f64]) -> Vec<f64> {
    let count = p_values.len();
    let mut order: Vec<usize> = (0..count).collect();
    order.sort_by(|a, b| p_values[*b].total_cmp(&p_values[*a]));
    let mut adjusted = vec![1.0; count];
    let mut smallest: f64 = 1.0;
    for (above, index) in order.into_iter().enumerate() {
        let rank = (count - above) as f64;
        smallest = smallest.min(p_values[index] * count as f64 / rank);
        adjusted[index] = smallest;
    }
    adjusted
}

/// The arithmetic mean; NaN for no values.
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The quantile `q` of sorted values, linear between neighbours (Hyndman and
/// Fan 1996, type 7, as numpy and R do by default). NaN for no values.
pub fn quantile(sorted: &[f64], q: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let place = q.clamp(0.0, 1.0) * last as f64;
    let below = place.floor();
    let low = sorted[below as usize];
    let high = sorted[place.ceil() as usize];
    low + (high - low) * (place - below)
}

#[cfg(test)]
mod tests;
