//! Forecasts: numbers, their intervals, and what a naive forecast is off by.

use super::{Metric, Predictions, Ready};

/// Forecast numbers, with what tells how good they could be.
#[derive(Debug, Clone)]
pub struct Forecast {
    numbers: Predictions,
    /// The mean error of the naive forecast of each row's series.
    scale: Option<Vec<f64>>,
    /// Below and above each number.
    bounds: Option<[Vec<f64>; 2]>,
}

impl Forecast {
    pub fn new(
        numbers: Predictions,
        scale: Option<Vec<f64>>,
        bounds: Option<[Vec<f64>; 2]>,
    ) -> Self {
        Self { numbers, scale, bounds }
    }

    pub fn numbers(&self) -> &Predictions {
        &self.numbers
    }

    /// Some of the rows.
    #[must_use]
    pub fn taken(&self, rows: &[u32]) -> Self {
        let taken = |values: &Vec<f64>| super::taken(values, rows);
        Self {
            numbers: self.numbers.taken(rows),
            scale: self.scale.as_ref().map(taken),
            bounds: self.bounds.as_ref().map(|bounds| bounds.each_ref().map(taken)),
        }
    }

    pub(super) fn followed_by(&self, other: &Self) -> Self {
        let both = |[a, b]: [&Vec<f64>; 2]| [a.as_slice(), b].concat();
        let bounds = self.bounds.as_ref().zip(other.bounds.as_ref());
        Self {
            numbers: self.numbers.followed_by(&other.numbers),
            scale: self.scale.as_ref().zip(other.scale.as_ref()).map(|(a, b)| both([a, b])),
            bounds: bounds.map(|([a, b], [c, d])| [both([a, c]), both([b, d])]),
        }
    }

    pub(super) fn ready(&self, metric: Metric) -> Ready<'_> {
        let labels = self.numbers.labels();
        let mean = |values| Ready::Mean { values, weights: self.numbers.weights(), root: false };
        match (metric, &self.scale, &self.bounds) {
            // Hyndman and Koehler 2006.
            (Metric::Mase, Some(scale), _) => {
                mean(self.numbers.errors().iter().zip(scale).map(|(e, scale)| e / scale).collect())
            }
            (Metric::Coverage, _, Some([low, high])) => {
                let inside = |row: usize| (low[row]..=high[row]).contains(&labels[row]);
                mean((0..labels.len()).map(|row| f64::from(u8::from(inside(row)))).collect())
            }
            (Metric::Width, _, Some([low, high])) => {
                mean(low.iter().zip(high).map(|(low, high)| high - low).collect())
            }
            (Metric::Mase | Metric::Coverage | Metric::Width, ..) => Ready::Undefined,
            _ => self.numbers.ready(metric),
        }
    }
}
