//! Metrics of predictions, with integer weights so that a bootstrap resample
//! is a vector of counts over rows that were sorted once.

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
    F1,
    Precision,
    Recall,
    Accuracy,
    Mae,
    Rmse,
    R2,
}

impl Metric {
    pub const BINARY: [Self; 8] = [
        Self::RocAuc,
        Self::PrAuc,
        Self::LogLoss,
        Self::Brier,
        Self::F1,
        Self::Precision,
        Self::Recall,
        Self::Accuracy,
    ];
    pub const REGRESSION: [Self; 3] = [Self::Mae, Self::Rmse, Self::R2];

    /// Metrics of several classes: means over one against the rest.
    pub const MULTICLASS: [Self; 5] =
        [Self::RocAuc, Self::F1, Self::Precision, Self::Recall, Self::Accuracy];

    pub fn fits(self, problem: Problem) -> bool {
        match problem {
            Problem::Binary => Self::BINARY.contains(&self),
            Problem::Multiclass => Self::MULTICLASS.contains(&self),
            Problem::Regression => Self::REGRESSION.contains(&self),
        }
    }

    /// Whether a larger value is better.
    pub fn larger_is_better(self) -> bool {
        !matches!(self, Self::LogLoss | Self::Brier | Self::Mae | Self::Rmse)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::RocAuc => "roc_auc",
            Self::PrAuc => "pr_auc",
            Self::LogLoss => "log_loss",
            Self::Brier => "brier",
            Self::F1 => "f1",
            Self::Precision => "precision",
            Self::Recall => "recall",
            Self::Accuracy => "accuracy",
            Self::Mae => "mae",
            Self::Rmse => "rmse",
            Self::R2 => "r2",
        }
    }
}

impl std::fmt::Display for Metric {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Labels and one model's predictions, prepared so that each metric is one
/// pass. Scores of binary problems lie in `[0, 1]`, labels are 0 or 1; or the
/// probability of 1, and each metric then is the one of expected counts.
#[derive(Debug, Clone)]
pub struct Predictions {
    labels: Vec<f64>,
    scores: Vec<f64>,
    /// Rows by falling score: what AUC and average precision walk along.
    order: Vec<u32>,
    /// Rows that are called positive.
    alarms: Vec<bool>,
}

/// scikit-learn clips probabilities at the machine epsilon of their type.
const CLIP: f64 = f64::EPSILON;

impl Predictions {
    /// `labels` and `scores` have the same length, at most 2^32 rows. From
    /// `threshold` on, a score is an alarm.
    pub fn new(labels: Vec<f64>, scores: Vec<f64>, threshold: f64) -> Self {
        let alarms = scores.iter().map(|score| *score >= threshold).collect();
        Self::with_alarms(labels, scores, alarms)
    }

    /// The same where the model itself says which rows are positive.
    pub fn with_alarms(labels: Vec<f64>, scores: Vec<f64>, alarms: Vec<bool>) -> Self {
        let mut order: Vec<u32> = (0..u32::try_from(scores.len()).unwrap_or(u32::MAX)).collect();
        order.sort_unstable_by(|a, b| scores[*b as usize].total_cmp(&scores[*a as usize]));
        Self { labels, scores, order, alarms }
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
        self.weighted(metric, &vec![1; self.len()])
    }

    /// The metric with row `i` counted `weights[i]` times. NaN where it is not
    /// defined: a single class, or no rows.
    pub fn weighted(&self, metric: Metric, weights: &[u32]) -> f64 {
        match metric {
            Metric::RocAuc => self.roc_auc(weights),
            Metric::PrAuc => self.average_precision(weights),
            Metric::LogLoss => self.average(weights, |label, score| {
                let score = score.clamp(CLIP, 1.0 - CLIP);
                -(label * score.ln() + (1.0 - label) * (1.0 - score).ln())
            }),
            Metric::Brier => self.average(weights, |label, score| {
                label * (1.0 - score).powi(2) + (1.0 - label) * score.powi(2)
            }),
            Metric::Accuracy => {
                let [_, false_alarms, missed, total] = self.confusion(weights);
                (total - false_alarms - missed) / total
            }
            Metric::F1 => self.f1(weights),
            Metric::Precision => self.precision(weights),
            Metric::Recall => self.recall(weights),
            Metric::Mae => self.average(weights, |label, score| (label - score).abs()),
            Metric::Rmse => self.average(weights, |label, score| (label - score).powi(2)).sqrt(),
            Metric::R2 => self.r2(weights),
        }
    }

    fn average(&self, weights: &[u32], loss: impl Fn(f64, f64) -> f64) -> f64 {
        let (mut sum, mut total) = (0.0, 0.0);
        for ((label, score), weight) in self.labels.iter().zip(&self.scores).zip(weights) {
            if *weight > 0 {
                sum += f64::from(*weight) * loss(*label, *score);
                total += f64::from(*weight);
            }
        }
        sum / total
    }

    /// Positives and negatives of each distinct score, from the highest.
    fn steps<'a>(&'a self, weights: &'a [u32]) -> impl Iterator<Item = (f64, f64)> + 'a {
        let mut at = 0;
        std::iter::from_fn(move || {
            let first = *self.order.get(at)? as usize;
            let (mut positives, mut negatives) = (0.0, 0.0);
            while let Some(row) = self.order.get(at).map(|row| *row as usize) {
                if self.scores[row] != self.scores[first] {
                    break;
                }
                let weight = f64::from(weights[row]);
                positives += weight * self.labels[row];
                negatives += weight * (1.0 - self.labels[row]);
                at += 1;
            }
            Some((positives, negatives))
        })
    }

    /// The chance that a positive scores above a negative; ties count half
    /// (Hanley and McNeil 1982).
    fn roc_auc(&self, weights: &[u32]) -> f64 {
        let (mut above, mut area, mut below) = (0.0, 0.0, 0.0);
        for (positives, negatives) in self.steps(weights) {
            area += negatives * (above + positives / 2.0);
            above += positives;
            below += negatives;
        }
        area / (above * below)
    }

    /// `sum (R_n - R_(n-1)) P_n` over falling thresholds.
    fn average_precision(&self, weights: &[u32]) -> f64 {
        let (mut hits, mut seen, mut sum) = (0.0, 0.0, 0.0);
        for (positives, negatives) in self.steps(weights) {
            hits += positives;
            seen += positives + negatives;
            if positives > 0.0 {
                sum += positives * hits / seen;
            }
        }
        sum / hits
    }

    /// The share of all rows that are true positives.
    pub(super) fn share_of_hits(&self, weights: &[u32]) -> f64 {
        let [hits, _, _, total] = self.confusion(weights);
        hits / total
    }

    /// True positives, false positives, false negatives, and all rows.
    fn confusion(&self, weights: &[u32]) -> [f64; 4] {
        let [mut hits, mut false_alarms, mut missed, mut total] = [0.0; 4];
        for ((label, alarm), weight) in self.labels.iter().zip(&self.alarms).zip(weights) {
            let weight = f64::from(*weight);
            total += weight;
            if *alarm {
                hits += weight * label;
                false_alarms += weight * (1.0 - label);
            } else {
                missed += weight * label;
            }
        }
        [hits, false_alarms, missed, total]
    }

    /// `2 TP / (2 TP + FP + FN)`; 0 when there is neither a positive nor an alarm.
    fn f1(&self, weights: &[u32]) -> f64 {
        let [hits, false_alarms, missed, total] = self.confusion(weights);
        let wrong = false_alarms + missed;
        if total == 0.0 {
            return f64::NAN;
        }
        if hits + wrong == 0.0 { 0.0 } else { 2.0 * hits / (2.0 * hits + wrong) }
    }

    /// The share of alarms that are right; 0 when there is none.
    fn precision(&self, weights: &[u32]) -> f64 {
        let [hits, false_alarms, _, total] = self.confusion(weights);
        share(hits, hits + false_alarms, total)
    }

    /// The share of positives that are found; 0 when there is none.
    fn recall(&self, weights: &[u32]) -> f64 {
        let [hits, _, missed, total] = self.confusion(weights);
        share(hits, hits + missed, total)
    }

    fn r2(&self, weights: &[u32]) -> f64 {
        let mean = self.average(weights, |label, _| label);
        let spread = self.average(weights, |label, _| (label - mean).powi(2));
        let left = self.average(weights, |label, score| (label - score).powi(2));
        1.0 - left / spread
    }
}

fn share(part: f64, of: f64, rows: f64) -> f64 {
    if rows == 0.0 {
        return f64::NAN;
    }
    if of == 0.0 { 0.0 } else { part / of }
}
