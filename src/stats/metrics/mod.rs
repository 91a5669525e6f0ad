//! Metrics of a model's answers, of rows that are counted some times each: a
//! resample is a vector of counts over rows that were sorted once, and several
//! resamples are judged in one pass.

mod answers;
mod calibration;
mod classes;
mod confusion;
mod errors;
mod forecast;
mod metric;
mod order;
mod panel;
mod predictions;
mod ranked;
mod ranking;
mod ready;

pub use answers::{Aggregate, Answers, Measure, Model, Own};
pub use classes::Classes;
pub use forecast::Forecast;
pub use metric::Metric;
pub use panel::Panel;
pub use predictions::Predictions;
pub use ranking::Ranking;
pub use ready::Ready;

/// What some metrics are told.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// From here on, a score is an alarm.
    pub threshold: f64,
    pub beta: f64,
    /// A share of the rows.
    pub top: f64,
    /// A number of places.
    pub k: u32,
    /// `[[hit, false alarm], [missed, passed]]`: of a row by what was said of it, and
    /// what it is.
    pub costs: [[f64; 2]; 2],
    pub quantile: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            threshold: 0.5,
            beta: 1.0,
            top: 0.1,
            k: 10,
            costs: [[0.0, 1.0], [1.0, 0.0]],
            quantile: 0.5,
        }
    }
}

/// The loss of a row from its label, its score, and the quantile that is asked for.
type Loss = fn(f64, f64, f64) -> f64;

/// The values of some rows.
fn taken<T: Copy>(values: &[T], rows: &[u32]) -> Vec<T> {
    rows.iter().map(|row| values[*row as usize]).collect()
}

/// Weights of the rows of one and then of the other.
fn both(one: Option<&[f64]>, other: Option<&[f64]>) -> Option<Vec<f64>> {
    Some([one?, other?].concat())
}
