//! How far predicted numbers are off.

use super::{Loss, Metric, Predictions};

pub(super) fn loss(metric: Metric) -> Option<Loss> {
    match metric {
        Metric::Mae => Some(|label, score, _| (label - score).abs()),
        Metric::Mse | Metric::Rmse => Some(|label, score, _| (label - score).powi(2)),
        // scikit-learn bounds the label below by the machine epsilon.
        Metric::Mape => {
            Some(|label, score, _| (label - score).abs() / label.abs().max(f64::EPSILON))
        }
        Metric::Smape => Some(|label, score, _| {
            let size = label.abs() + score.abs();
            if size == 0.0 { 0.0 } else { 2.0 * (label - score).abs() / size }
        }),
        Metric::Pinball => Some(|label, score, quantile| {
            let off = label - score;
            (quantile * off).max((quantile - 1.0) * off)
        }),
        Metric::Bias => Some(|label, score, _| score - label),
        _ => None,
    }
}

impl Predictions {
    pub(super) fn r2<const N: usize>(&self, counts: &[[u8; N]]) -> [f64; N] {
        // Around one number for all lanes, so that one pass is enough.
        let centre = crate::stats::mean(&self.labels);
        let of_rows = |of: fn(f64, f64, f64) -> f64| -> Vec<f64> {
            self.labels.iter().zip(&self.scores).map(|(y, p)| of(*y, *p, centre)).collect()
        };
        let mean = self.mean(&of_rows(|label, _, centre| label - centre), counts);
        let squares = self.mean(&of_rows(|label, _, centre| (label - centre).powi(2)), counts);
        let left = self.mean(&of_rows(|label, score, _| (label - score).powi(2)), counts);
        std::array::from_fn(|lane| 1.0 - left[lane] / (squares[lane] - mean[lane].powi(2)))
    }

    /// The error in the middle; the mean of two where the middle lies between.
    pub(super) fn median_error<const N: usize>(&self, counts: &[[u8; N]]) -> [f64; N] {
        let errors = self.errors();
        let mut order: Vec<u32> = (0..errors.len() as u32).collect();
        order.sort_unstable_by(|a, b| errors[*a as usize].total_cmp(&errors[*b as usize]));
        let weight = |row: usize, lane: usize| f64::from(counts[row][lane]) * self.weight(row);
        std::array::from_fn(|lane| {
            let half = (0..errors.len()).map(|row| weight(row, lane)).sum::<f64>() / 2.0;
            let mut below = 0.0;
            let mut at_half = None;
            for row in order.iter().map(|row| *row as usize) {
                let here = weight(row, lane);
                if here == 0.0 {
                    continue;
                }
                if let Some(lower) = at_half {
                    return f64::midpoint(lower, errors[row]);
                }
                below += here;
                if below > half {
                    return errors[row];
                }
                if below == half {
                    at_half = Some(errors[row]);
                }
            }
            at_half.unwrap_or(f64::NAN)
        })
    }

    pub(super) fn max_error<const N: usize>(&self, counts: &[[u8; N]]) -> [f64; N] {
        let mut largest = [f64::NAN; N];
        for (row, (error, counts)) in self.errors().into_iter().zip(counts).enumerate() {
            let weight = self.weight(row);
            for lane in 0..N {
                if counts[lane] > 0 && weight > 0.0 {
                    largest[lane] = largest[lane].max(error);
                }
            }
        }
        largest
    }

    fn errors(&self) -> Vec<f64> {
        self.labels.iter().zip(&self.scores).map(|(label, score)| (label - score).abs()).collect()
    }
}
