//! Labels and the scores or numbers that one model gave the rows.

use super::order::{LAST, Ranked, by_falling_score, mask};
use super::{Metric, Ready, Settings, calibration, errors};

/// Labels and one model's predictions, prepared so that each metric is one
/// pass. Scores of binary problems lie in `[0, 1]`, labels are 0 or 1; or the
/// probability of 1, and each metric then is the one of expected counts.
#[derive(Debug, Clone)]
pub struct Predictions {
    pub(super) labels: Vec<f64>,
    pub(super) scores: Vec<f64>,
    /// How much each row counts; all alike where left out.
    pub(super) weights: Option<Vec<f64>>,
    /// Rows by falling score: what AUC and average precision walk along.
    pub(super) order: Vec<u32>,
    /// In that order: whether the next row has another score, and whether
    /// no row has the same.
    pub(super) marks: Vec<u8>,
    /// In that order: all bits of a positive are set. As a mask, it needs no branch
    /// that is half wrong.
    pub(super) ranked_positives: Vec<u8>,
    /// In that order, for labels that are probabilities.
    pub(super) ranked_labels: Vec<f64>,
    /// In the order of the rows: masks of positives and of alarms.
    pub(super) masks: Vec<[u8; 2]>,
    /// Rows that are called positive.
    pub(super) alarms: Vec<bool>,
    /// Whether every label is 0 or 1, so that counts can stay whole.
    pub(super) hard: bool,
    pub(super) settings: Settings,
}

impl Predictions {
    /// `labels` and `scores` have the same length, at most 2^32 rows.
    pub fn new(labels: Vec<f64>, scores: Vec<f64>, settings: Settings) -> Self {
        let alarms = scores.iter().map(|score| *score >= settings.threshold).collect();
        Self { settings, ..Self::with_alarms(labels, scores, alarms) }
    }

    /// The same where the model itself says which rows are positive.
    pub fn with_alarms(labels: Vec<f64>, scores: Vec<f64>, alarms: Vec<bool>) -> Self {
        let Ranked { order, marks, positives } = by_falling_score(&scores, &labels);
        let mut hard = true;
        let masks_of = |(label, alarm): (&f64, &bool)| {
            hard &= *label == 0.0 || *label == 1.0;
            [mask(*label == 1.0), mask(*alarm)]
        };
        let masks: Vec<[u8; 2]> = labels.iter().zip(&alarms).map(masks_of).collect();
        let ranked_labels = if hard { Vec::new() } else { super::taken(&labels, &order) };
        let settings = Settings::default();
        Self {
            labels,
            scores,
            weights: None,
            order,
            marks,
            ranked_positives: positives,
            ranked_labels,
            masks,
            alarms,
            hard,
            settings,
        }
    }

    /// With a weight for each row, 0 or more; all alike without any.
    #[must_use]
    pub fn weighing(mut self, weights: impl Into<Option<Vec<f64>>>) -> Self {
        self.weights = weights.into();
        self
    }

    /// Whether every row is a positive or a negative, and counts alike.
    pub(super) fn counts_whole(&self) -> bool {
        self.hard && self.weights.is_none()
    }

    /// How many rows have an alarm, where they are those of the highest scores and
    /// none without an alarm has the score of one.
    pub(super) fn alarms_lead(&self) -> Option<usize> {
        let alarms = self.alarms.iter().filter(|alarm| **alarm).count();
        let lead = self.order[..alarms].iter().all(|row| self.alarms[*row as usize]);
        let is_end = alarms == 0 || self.marks[alarms - 1] & LAST != 0;
        (lead && is_end).then_some(alarms)
    }

    /// The label of the row at a place of the order.
    #[inline(always)]
    pub(super) fn ranked_label(&self, at: usize) -> f64 {
        if self.hard { f64::from(self.ranked_positives[at] & 1) } else { self.ranked_labels[at] }
    }

    /// Rows by falling score.
    pub(in crate::stats) fn order(&self) -> &[u32] {
        &self.order
    }

    /// Some of the rows, in this order.
    #[must_use]
    pub fn taken(&self, rows: &[u32]) -> Self {
        let [labels, scores] = [&self.labels, &self.scores].map(|of| super::taken(of, rows));
        let weights = self.weights.as_ref().map(|weights| super::taken(weights, rows));
        let alarms = super::taken(&self.alarms, rows);
        Self { weights, settings: self.settings, ..Self::with_alarms(labels, scores, alarms) }
    }

    pub(super) fn followed_by(&self, other: &Self) -> Self {
        let weights = super::both(self.weights(), other.weights());
        let labels = [self.labels(), other.labels()].concat();
        let scores = [self.scores(), other.scores()].concat();
        let alarms = [self.alarms(), other.alarms()].concat();
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

    /// The metric with row `i` counted `counts[i][lane]` times, for each lane.
    /// NaN where it is not defined: a single class, or no rows.
    pub fn counted<const N: usize>(&self, metric: Metric, counts: &[[u8; N]]) -> [f64; N] {
        self.ready(metric).counted(counts)
    }

    /// Metrics that are no mean of the rows' losses.
    #[inline(always)]
    pub(super) fn whole<const N: usize>(&self, metric: Metric, counts: &[[u8; N]]) -> [f64; N] {
        match metric {
            Metric::RocAuc if self.counts_whole() => self.walked(0, counts).area,
            Metric::RocAuc => self.roc_auc(Some(counts)),
            Metric::PrAuc => self.average_precision(Some(counts)),
            Metric::LiftAtTop | Metric::RecallAtTop => {
                self.at_top(metric, Some(counts), &self.confusion(counts))
            }
            Metric::CalibrationError => self.calibration_error(counts),
            _ => self.metric_of(metric, &self.confusion(counts)),
        }
    }

    /// The share of all rows that are true positives.
    pub(in crate::stats) fn share_of_hits<const N: usize>(&self, counts: &[[u8; N]]) -> [f64; N] {
        self.confusion(counts).map(|confusion| confusion.hits / confusion.rows())
    }

    pub(super) fn ready(&self, metric: Metric) -> Ready<'_> {
        let weights = self.weights();
        match (self.losses(metric), metric) {
            (Some(values), _) => Ready::Mean { values, weights, root: metric == Metric::Rmse },
            (None, Metric::R2) => self.determination(),
            (None, Metric::Wape) => self.share_of_size(),
            (None, Metric::MedianAe) => Ready::quantile(self.errors(), 0.5, weights),
            (None, Metric::MaxError) => Ready::Largest { values: self.errors(), weights },
            (None, _) => Ready::Scores(self, metric),
        }
    }

    /// The loss of each row, of metrics that are a mean of these.
    fn losses(&self, metric: Metric) -> Option<Vec<f64>> {
        let loss = calibration::loss(metric).or_else(|| errors::loss(metric))?;
        let quantile = self.settings.quantile;
        let rows = self.labels.iter().zip(&self.scores);
        Some(rows.map(|(label, score)| loss(*label, *score, quantile)).collect())
    }

    /// The mean of the rows' losses, of metrics that are one, without keeping any.
    pub(super) fn mean_loss(&self, metric: Metric) -> Option<f64> {
        // Of many rows, a call for each is felt.
        match metric {
            Metric::LogLoss if self.counts_whole() => return Some(self.log_loss_of_products()),
            Metric::Brier => return Some(self.mean_of(calibration::squared)),
            _ => {}
        }
        let loss = calibration::loss(metric).or_else(|| errors::loss(metric))?;
        let quantile = self.settings.quantile;
        let mean = self.mean_of(|label, score| loss(label, score, quantile));
        Some(if metric == Metric::Rmse { mean.sqrt() } else { mean })
    }

    fn mean_of(&self, loss: impl Fn(f64, f64) -> f64) -> f64 {
        let (mut sum, mut total) = (0.0, 0.0);
        for (row, (label, score)) in self.labels.iter().zip(&self.scores).enumerate() {
            let weight = self.weight(row);
            sum += weight * loss(*label, *score);
            total += weight;
        }
        sum / total
    }

    pub fn weights(&self) -> Option<&[f64]> {
        self.weights.as_deref()
    }

    /// The rows that are called positive.
    pub fn alarms(&self) -> &[bool] {
        &self.alarms
    }

    pub(super) fn weight(&self, row: usize) -> f64 {
        self.weights.as_ref().map_or(1.0, |weights| weights[row])
    }
}
