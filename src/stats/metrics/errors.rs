//! How far predicted numbers are off.

use super::{Loss, Metric, Predictions, Ready};

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
    pub(super) fn determination(&self) -> Ready<'_> {
        // Around one number for all resamples, so that one pass is enough.
        let centre = crate::stats::mean(self.labels());
        let of_rows = |of: fn(f64, f64, f64) -> f64| -> Vec<f64> {
            self.labels().iter().zip(self.scores()).map(|(y, p)| of(*y, *p, centre)).collect()
        };
        let values = [
            of_rows(|label, _, centre| label - centre),
            of_rows(|label, _, centre| (label - centre).powi(2)),
            of_rows(|label, score, _| (label - score).powi(2)),
        ];
        Ready::Determination { values, weights: self.weights() }
    }

    pub(super) fn share_of_size(&self) -> Ready<'_> {
        let weighed = |values: Vec<f64>| match self.weights() {
            None => values,
            Some(weights) => values.iter().zip(weights).map(|(value, w)| value * w).collect(),
        };
        let sizes = self.labels().iter().map(|label| label.abs()).collect();
        Ready::Ratio { over: weighed(self.errors()), under: weighed(sizes) }
    }

    pub(super) fn errors(&self) -> Vec<f64> {
        let rows = self.labels().iter().zip(self.scores());
        rows.map(|(label, score)| (label - score).abs()).collect()
    }
}
