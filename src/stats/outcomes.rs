//! How well a model does, where the truth is known, and how well it seems to do
//! where it is not.
//!
//! Without labels, a calibrated probability says how often a prediction is
//! right: metrics of expected counts (confidence-based performance estimation,
//! Kivimäki et al. 2024). For numbers, a second model learns how far the first
//! one is off from where its features are (direct loss estimation).

use pulp::Arch;
use rayon::prelude::*;

use super::isotonic::Calibration;
use super::metrics::{Measure, Metric, Model, Predictions};
use super::resample::{Counts, Drawn, LANES, Units};
use super::trees::{Forest, Growth, Loss};

/// One set of predictions per class, one against the rest; a single one for
/// binary problems and numbers. Metrics are means over classes.
#[derive(Debug, Clone)]
pub struct Judged(Vec<Predictions>);

/// A metric and how far it may be off by the choice of rows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measured {
    pub value: f64,
    /// The standard error, by the bootstrap.
    pub error: f64,
}

/// Resamples behind a standard error.
const RESAMPLES: u32 = 112;
const SEED: u64 = 1;

impl Judged {
    pub fn new(per_class: Vec<Predictions>) -> Self {
        Self(per_class)
    }

    pub fn rows(&self) -> usize {
        self.0.first().map_or(0, Predictions::len)
    }

    /// The metric of these rows. NaN where it is not defined.
    pub fn measure(&self, metric: Metric) -> Measured {
        let [value] = self.counted(metric, &vec![[1]; self.rows()]);
        let units = Units::rows(self.rows());
        Measured { value, error: error(&units, |counts| self.counted(metric, counts)) }
    }

    fn counted<const N: usize>(&self, metric: Metric, counts: &[[u8; N]]) -> [f64; N] {
        // A row is right once, in the class that it was given.
        let hits = metric == Metric::Accuracy && self.0.len() > 1;
        let of_class = |class: &Predictions| {
            if hits { class.share_of_hits(counts) } else { class.counted(metric, counts) }
        };
        let classes: Vec<[f64; N]> = self.0.iter().map(of_class).collect();
        std::array::from_fn(|lane| {
            let values: Vec<f64> = classes.iter().map(|class| class[lane]).collect();
            if hits { values.iter().sum() } else { super::mean(&values) }
        })
    }
}

/// A metric of a model whose labels are known. Its error is that of drawing other
/// `units`.
pub fn measured(model: &Model, units: &Units, metric: Metric) -> Measured {
    let measure = Measure::Metric(metric);
    let ready = model.ready(&measure);
    let machine = Arch::new();
    let value = ready.once(model.rows);
    Measured { value, error: error(units, |counts| ready.counted_by(machine, counts)) }
}

/// The standard error of what is counted from resamples.
fn error(units: &Units, counted: impl Fn(&[Counts]) -> [f64; LANES] + Sync) -> f64 {
    let mut drawn: Vec<f64> = (0..RESAMPLES / LANES as u32)
        .into_par_iter()
        .map_init(Drawn::default, |room, block| counted(units.draw(SEED, block, room)))
        .flatten_iter()
        .collect();
    drawn.retain(|value| value.is_finite());
    let mean = super::mean(&drawn);
    let squares = drawn.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
    (squares / (drawn.len() as f64 - 1.0)).sqrt()
}

/// One class of a problem: the model's probability, and whether it was chosen.
#[derive(Debug, Clone, PartialEq)]
pub struct Class {
    pub scores: Vec<f64>,
    pub chosen: Vec<bool>,
}

/// The rows of `current` with calibrated probabilities in place of labels. The
/// calibration is learnt from `baseline`, whose `labels` are 0 or 1 per class.
pub fn estimated_classes(baseline: &[Class], labels: &[Vec<f64>], current: &[Class]) -> Judged {
    let mut expected: Vec<Vec<f64>> = baseline
        .iter()
        .zip(labels)
        .zip(current)
        .map(|((before, labels), now)| {
            let calibration = Calibration::fit(&before.scores, labels);
            now.scores.iter().map(|score| calibration.probability(*score)).collect()
        })
        .collect();
    if expected.len() > 1 {
        // Probabilities of all classes sum to one.
        let rows = expected.first().map_or(0, Vec::len);
        for row in 0..rows {
            let sum: f64 = expected.iter().map(|class| class[row]).sum();
            let even = 1.0 / expected.len() as f64;
            for class in &mut expected {
                class[row] = if sum > 0.0 { class[row] / sum } else { even };
            }
        }
    }
    let predictions = expected.into_iter().zip(current).map(|(labels, class)| {
        Predictions::with_alarms(labels, class.scores.clone(), class.chosen.clone())
    });
    Judged(predictions.collect())
}

/// The estimated loss of predictions of numbers: `features` are columns that
/// end with the prediction itself.
pub fn estimated_loss(
    metric: Metric,
    features: [&[Vec<f64>]; 2],
    losses_before: &[f64],
) -> Measured {
    let forest = Forest::fit(features[0], losses_before, Loss::Squares, Growth::default());
    let losses: Vec<f64> =
        forest.predict(features[1]).into_iter().map(|loss| loss.max(0.0)).collect();
    mean_loss(metric, &losses)
}

/// The loss of each row that the metric is a mean of; nothing for metrics that
/// are not.
pub fn losses(metric: Metric, labels: &[f64], predictions: &[f64]) -> Option<Vec<f64>> {
    let off = labels.iter().zip(predictions).map(|(label, prediction)| label - prediction);
    match metric {
        Metric::Mae => Some(off.map(f64::abs).collect()),
        Metric::Rmse => Some(off.map(|off| off * off).collect()),
        _ => None,
    }
}

/// A metric from the losses of the rows, and its error by the delta method.
pub fn mean_loss(metric: Metric, losses: &[f64]) -> Measured {
    let count = losses.len() as f64;
    let mean = super::mean(losses);
    let squares = losses.iter().map(|loss| (loss - mean).powi(2)).sum::<f64>();
    let error = (squares / (count - 1.0) / count).sqrt();
    match metric {
        Metric::Rmse => {
            let root = mean.sqrt();
            Measured { value: root, error: if root > 0.0 { error / (2.0 * root) } else { 0.0 } }
        }
        _ => Measured { value: mean, error },
    }
}

#[cfg(test)]
#[path = "outcomes_tests.rs"]
mod tests;
