//! Statistics: pure functions on slices, each with the source of its formula.
//!
//! Inputs are finite unless a function says otherwise; callers count and
//! report what is not. Golden values come from scipy, scikit-learn and
//! statsmodels (see `tests/golden`).

use rand_core::{Rng as _, SeedableRng as _};
use rand_xoshiro::Xoshiro256PlusPlus;

pub mod arrow;
pub mod away;
pub mod binned;
pub mod bootstrap;
pub mod categorical;
mod cells;
pub mod chance;
mod clock;
pub mod column;
pub mod correction;
pub mod curves;
pub mod cut;
pub mod derived;
pub mod distinct;
pub mod embedding;
pub mod estimate;
pub mod exact;
pub mod experiment;
mod gap;
pub mod isotonic;
pub mod keys;
pub mod means;
pub mod metrics;
pub mod multivariate;
mod numbers;
pub mod numeric;
pub mod ordered;
pub mod outcomes;
pub mod pair;
pub mod paired;
mod poisson;
pub mod proportions;
pub mod resample;
pub mod shares;
pub mod special;
pub mod streamed;
pub mod trees;
pub mod wording;

/// A lot for a row: uniform, and a matter of the seed and the row's number
/// alone, so that how rows arrive changes nothing.
pub fn lot(seed: u64, row: u64) -> u64 {
    // Two rounds: neighbours of one seed must know nothing of each other.
    let seed = Xoshiro256PlusPlus::seed_from_u64(seed).next_u64();
    Xoshiro256PlusPlus::seed_from_u64(seed ^ row).next_u64()
}

/// The arithmetic mean; NaN for no values.
pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// The quantile `q` of sorted values, linear between neighbours (Hyndman and
/// Fan 1996, type 7, as numpy and R do by default). NaN for no values.
pub fn quantile(sorted: &[f64], q: f64) -> f64 {
    if sorted.is_empty() {
        return f64::NAN;
    }
    let place = place(q, sorted.len() as u64);
    let below = place.floor();
    let low = sorted[below as usize];
    let high = sorted[place.ceil() as usize];
    low + (high - low) * (place - below)
}

/// Where the quantile `q` of `total` sorted values lies, counted from 0.
fn place(q: f64, total: u64) -> f64 {
    q.clamp(0.0, 1.0) * total.saturating_sub(1) as f64
}

#[cfg(test)]
mod tests;
