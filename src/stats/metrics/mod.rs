//! Metrics of predictions, of rows that are counted some times each: a resample
//! is a vector of counts over rows that were sorted once, and several resamples
//! are judged in one pass.

mod calibration;
mod confusion;
mod errors;
mod ranked;

use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::Problem;

/// A metric by its name in scikit-learn's terms.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    RocAuc,
    /// Average precision: the area under the precision-recall steps.
    PrAuc,
    LogLoss,
    Brier,
    /// Expected calibration error over ten bins of equal width.
    CalibrationError,
    F1,
    /// F with `beta` times as much weight on recall.
    FBeta,
    Precision,
    Recall,
    Accuracy,
    /// The mean of the recalls of both classes.
    BalancedAccuracy,
    /// Matthews' correlation coefficient.
    Mcc,
    /// The precision among the `top` share of scores over the share of positives.
    LiftAtTop,
    /// The share of positives among the `top` share of scores.
    RecallAtTop,
    /// The mean cost of a row, by `costs`.
    Cost,
    Mae,
    Mse,
    Rmse,
    R2,
    /// The mean of `|error| / |label|`.
    Mape,
    /// The mean of `2 |error| / (|label| + |prediction|)`, 0 where both are 0.
    Smape,
    MedianAe,
    MaxError,
    /// The mean loss of the quantile `quantile`.
    Pinball,
    /// The mean of prediction less label.
    Bias,
}

/// What some metrics are told.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// From here on, a score is an alarm.
    pub threshold: f64,
    pub beta: f64,
    /// A share of the rows.
    pub top: f64,
    /// Of a false alarm and of a missed positive.
    pub costs: [f64; 2],
    pub quantile: f64,
}

impl Default for Settings {
    fn default() -> Self {
        Self { threshold: 0.5, beta: 1.0, top: 0.1, costs: [1.0, 1.0], quantile: 0.5 }
    }
}

impl Metric {
    pub const BINARY: [Self; 15] = [
        Self::RocAuc,
        Self::PrAuc,
        Self::LogLoss,
        Self::Brier,
        Self::CalibrationError,
        Self::F1,
        Self::FBeta,
        Self::Precision,
        Self::Recall,
        Self::Accuracy,
        Self::BalancedAccuracy,
        Self::Mcc,
        Self::LiftAtTop,
        Self::RecallAtTop,
        Self::Cost,
    ];
    pub const REGRESSION: [Self; 10] = [
        Self::Mae,
        Self::Mse,
        Self::Rmse,
        Self::R2,
        Self::Mape,
        Self::Smape,
        Self::MedianAe,
        Self::MaxError,
        Self::Pinball,
        Self::Bias,
    ];

    /// Metrics of several classes: means over one against the rest.
    pub const MULTICLASS: [Self; 5] =
        [Self::RocAuc, Self::F1, Self::Precision, Self::Recall, Self::Accuracy];

    pub fn of(problem: Problem) -> &'static [Self] {
        match problem {
            Problem::Binary => &Self::BINARY,
            Problem::Multiclass => &Self::MULTICLASS,
            Problem::Regression => &Self::REGRESSION,
        }
    }

    pub fn fits(self, problem: Problem) -> bool {
        Self::of(problem).contains(&self)
    }

    /// Whether one value is better than another at all.
    pub fn has_better_values(self) -> bool {
        self != Self::Bias
    }

    /// Whether a larger value is better.
    pub fn larger_is_better(self) -> bool {
        !matches!(
            self,
            Self::LogLoss
                | Self::Brier
                | Self::CalibrationError
                | Self::Cost
                | Self::Mae
                | Self::Mse
                | Self::Rmse
                | Self::Mape
                | Self::Smape
                | Self::MedianAe
                | Self::MaxError
                | Self::Pinball
                | Self::Bias
        )
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::RocAuc => "roc_auc",
            Self::PrAuc => "pr_auc",
            Self::LogLoss => "log_loss",
            Self::Brier => "brier",
            Self::CalibrationError => "calibration_error",
            Self::F1 => "f1",
            Self::FBeta => "f_beta",
            Self::Precision => "precision",
            Self::Recall => "recall",
            Self::Accuracy => "accuracy",
            Self::BalancedAccuracy => "balanced_accuracy",
            Self::Mcc => "mcc",
            Self::LiftAtTop => "lift_at_top",
            Self::RecallAtTop => "recall_at_top",
            Self::Cost => "cost",
            Self::Mae => "mae",
            Self::Mse => "mse",
            Self::Rmse => "rmse",
            Self::R2 => "r2",
            Self::Mape => "mape",
            Self::Smape => "smape",
            Self::MedianAe => "median_ae",
            Self::MaxError => "max_error",
            Self::Pinball => "pinball",
            Self::Bias => "bias",
        }
    }
}

impl std::fmt::Display for Metric {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A metric, and what it asks of each row.
#[derive(Debug)]
pub(in crate::stats) enum Ready {
    /// A mean of the rows' losses; its root where told.
    Mean {
        losses: Vec<f64>,
        root: bool,
    },
    Whole(Metric),
}

/// The loss of a row from its label, its score, and the quantile that is asked for.
type Loss = fn(f64, f64, f64) -> f64;

/// Labels and one model's predictions, prepared so that each metric is one
/// pass. Scores of binary problems lie in `[0, 1]`, labels are 0 or 1; or the
/// probability of 1, and each metric then is the one of expected counts.
#[derive(Debug, Clone)]
pub struct Predictions {
    labels: Vec<f64>,
    scores: Vec<f64>,
    /// How much each row counts; all alike where left out.
    weights: Option<Vec<f64>>,
    /// Rows by falling score: what AUC and average precision walk along.
    order: Vec<u32>,
    /// In that order: the label, and whether the next row has another score.
    ranked: Vec<(f64, bool)>,
    /// Rows that are called positive.
    alarms: Vec<bool>,
    /// Whether every label is 0 or 1, so that counts can stay whole.
    hard: bool,
    settings: Settings,
}

impl Predictions {
    /// `labels` and `scores` have the same length, at most 2^32 rows.
    pub fn new(labels: Vec<f64>, scores: Vec<f64>, settings: Settings) -> Self {
        let alarms = scores.iter().map(|score| *score >= settings.threshold).collect();
        Self { settings, ..Self::with_alarms(labels, scores, alarms) }
    }

    /// The same where the model itself says which rows are positive.
    pub fn with_alarms(labels: Vec<f64>, scores: Vec<f64>, alarms: Vec<bool>) -> Self {
        let mut order: Vec<u32> = (0..u32::try_from(scores.len()).unwrap_or(u32::MAX)).collect();
        order.sort_unstable_by(|a, b| scores[*b as usize].total_cmp(&scores[*a as usize]));
        let score = |at: usize| order.get(at).map(|row| scores[*row as usize]);
        let ranked = |at: usize| (labels[order[at] as usize], score(at) != score(at + 1));
        let ranked = (0..order.len()).map(ranked).collect();
        let hard = labels.iter().all(|label| *label == 0.0 || *label == 1.0);
        let settings = Settings::default();
        Self { labels, scores, weights: None, order, ranked, alarms, hard, settings }
    }

    /// With a weight for each row, 0 or more.
    #[must_use]
    pub fn weighing(mut self, weights: Vec<f64>) -> Self {
        self.weights = Some(weights);
        self
    }

    /// Rows by falling score.
    pub(super) fn order(&self) -> &[u32] {
        &self.order
    }

    /// The same rows in another order.
    pub(super) fn reordered(&self, order: &[u32]) -> Self {
        fn sorted<T: Copy>(values: &[T], order: &[u32]) -> Vec<T> {
            order.iter().map(|row| values[*row as usize]).collect()
        }
        let [labels, scores] = [&self.labels, &self.scores].map(|values| sorted(values, order));
        let weights = self.weights.as_ref().map(|weights| sorted(weights, order));
        let alarms = sorted(&self.alarms, order);
        Self { weights, settings: self.settings, ..Self::with_alarms(labels, scores, alarms) }
    }

    pub fn len(&self) -> usize {
        self.labels.len()
    }

    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    pub fn labels(&self) -> &[f64] {
        &self.labels
    }

    pub fn scores(&self) -> &[f64] {
        &self.scores
    }

    /// The metric with every row counted once.
    pub fn value(&self, metric: Metric) -> f64 {
        let [value] = self.counted(metric, &vec![[1]; self.len()]);
        value
    }

    /// Several metrics, each on a core of its own.
    pub fn values(&self, metrics: &[Metric]) -> Vec<f64> {
        let counts = vec![[1]; self.len()];
        let value = |metric: &Metric| {
            let [value] = self.counted(*metric, &counts);
            value
        };
        metrics.par_iter().map(value).collect()
    }

    /// The metric with row `i` counted `counts[i][lane]` times, for each lane.
    /// NaN where it is not defined: a single class, or no rows.
    pub fn counted<const N: usize>(&self, metric: Metric, counts: &[[u8; N]]) -> [f64; N] {
        self.judge(&self.ready(metric), counts)
    }

    /// Metrics that are no mean of the rows' losses.
    #[inline(always)]
    fn whole<const N: usize>(&self, metric: Metric, counts: &[[u8; N]]) -> [f64; N] {
        match metric {
            Metric::RocAuc if self.hard && self.weights.is_none() => self.whole_roc_auc(counts),
            Metric::RocAuc => self.roc_auc(counts),
            Metric::PrAuc => self.average_precision(counts),
            Metric::LiftAtTop | Metric::RecallAtTop => self.at_top(metric, counts),
            Metric::CalibrationError => self.calibration_error(counts),
            Metric::R2 => self.r2(counts),
            Metric::MedianAe => self.median_error(counts),
            Metric::MaxError => self.max_error(counts),
            _ => self.confusion(counts).map(|confusion| confusion.metric(metric, &self.settings)),
        }
    }

    /// The share of all rows that are true positives.
    pub(super) fn share_of_hits<const N: usize>(&self, counts: &[[u8; N]]) -> [f64; N] {
        self.confusion(counts).map(|confusion| confusion.hits / confusion.rows())
    }

    /// What a metric asks of each row, worked out once for many resamples.
    pub(super) fn ready(&self, metric: Metric) -> Ready {
        match self.losses(metric) {
            Some(losses) => Ready::Mean { losses, root: metric == Metric::Rmse },
            None => Ready::Whole(metric),
        }
    }

    /// The loss of each row, of metrics that are a mean of these.
    fn losses(&self, metric: Metric) -> Option<Vec<f64>> {
        let loss = calibration::loss(metric).or_else(|| errors::loss(metric))?;
        let quantile = self.settings.quantile;
        let rows = self.labels.iter().zip(&self.scores);
        Some(rows.map(|(label, score)| loss(*label, *score, quantile)).collect())
    }

    /// The metric of each lane, from what was made ready.
    #[inline(always)]
    pub(super) fn judge<const N: usize>(&self, ready: &Ready, counts: &[[u8; N]]) -> [f64; N] {
        match ready {
            Ready::Mean { losses, root: false } => self.mean(losses, counts),
            Ready::Mean { losses, root: true } => self.mean(losses, counts).map(f64::sqrt),
            Ready::Whole(metric) => self.whole(*metric, counts),
        }
    }

    #[inline(always)]
    fn mean<const N: usize>(&self, losses: &[f64], counts: &[[u8; N]]) -> [f64; N] {
        let (mut sums, mut totals) = ([0.0; N], [0.0; N]);
        match &self.weights {
            None => {
                for (loss, counts) in losses.iter().zip(counts) {
                    for lane in 0..N {
                        let count = f64::from(counts[lane]);
                        sums[lane] += count * loss;
                        totals[lane] += count;
                    }
                }
            }
            Some(weights) => {
                for ((loss, weight), counts) in losses.iter().zip(weights).zip(counts) {
                    for lane in 0..N {
                        let count = f64::from(counts[lane]) * weight;
                        sums[lane] += count * loss;
                        totals[lane] += count;
                    }
                }
            }
        }
        std::array::from_fn(|lane| sums[lane] / totals[lane])
    }

    fn weight(&self, row: usize) -> f64 {
        self.weights.as_ref().map_or(1.0, |weights| weights[row])
    }
}
