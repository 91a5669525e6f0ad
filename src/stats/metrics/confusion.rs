//! Metrics of alarms: right ones, false ones, and those that are missing.

use std::sync::LazyLock;

use super::order::LAST;
use super::{Metric, Predictions, Settings};
use crate::config::Better;

/// The rows by what was said of them and what they are.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Confusion {
    /// True positives.
    pub(super) hits: f64,
    /// False positives.
    pub(super) false_alarms: f64,
    /// False negatives.
    pub(super) missed: f64,
    /// True negatives.
    pub(super) passed: f64,
}

impl Predictions {
    #[inline(always)]
    pub(super) fn confusion<const N: usize>(&self, counts: &[[u8; N]]) -> [Confusion; N] {
        if self.counts_whole() {
            return self.whole_confusion(counts);
        }
        // Positives and negatives, without and with an alarm.
        let mut cells = [[[0.0; N]; 2]; 2];
        for (row, counts) in counts.iter().enumerate() {
            let weight = self.weight(row);
            let label = self.labels[row];
            let [positives, negatives] = &mut cells[usize::from(self.alarms[row])];
            for lane in 0..N {
                let count = f64::from(counts[lane]) * weight;
                positives[lane] += count * label;
                negatives[lane] += count * (1.0 - label);
            }
        }
        std::array::from_fn(|lane| Confusion {
            hits: cells[1][0][lane],
            false_alarms: cells[1][1][lane],
            missed: cells[0][0][lane],
            passed: cells[0][1][lane],
        })
    }
}

impl Predictions {
    /// The same in whole numbers, for rows that count whole.
    #[inline(always)]
    fn whole_confusion<const N: usize>(&self, counts: &[[u8; N]]) -> [Confusion; N] {
        let (mut all, mut positives) = ([0u32; N], [0u32; N]);
        let (mut alarms, mut hits) = ([0u32; N], [0u32; N]);
        for ([positive, alarm], counts) in self.masks.iter().zip(counts) {
            // One sum after the other: all lanes of one are a single instruction.
            for lane in 0..N {
                all[lane] += u32::from(counts[lane]);
            }
            for lane in 0..N {
                positives[lane] += u32::from(counts[lane] & positive);
            }
            for lane in 0..N {
                alarms[lane] += u32::from(counts[lane] & alarm);
            }
            for lane in 0..N {
                hits[lane] += u32::from(counts[lane] & positive & alarm);
            }
        }
        std::array::from_fn(|lane| {
            let of_alarms = [hits[lane], alarms[lane] - hits[lane]];
            Confusion::of(of_alarms, [positives[lane], all[lane] - positives[lane]])
        })
    }
}

impl Predictions {
    pub(super) fn metric_of<const N: usize>(
        &self,
        metric: Metric,
        confusions: &[Confusion; N],
    ) -> [f64; N] {
        confusions.map(|confusion| confusion.metric(metric, &self.settings))
    }

    /// The score from which on alarms make the metric best, the highest of
    /// several; nothing where no row, or every row, is positive.
    pub fn best_threshold(&self, metric: Metric) -> Option<f64> {
        let [Confusion { hits, false_alarms, missed, passed }] =
            self.confusion(&vec![[1]; self.len()]);
        let (positives, negatives) = (hits + missed, false_alarms + passed);
        if positives == 0.0 || negatives == 0.0 {
            return None;
        }
        let sign = if metric.better() == Better::Lower { -1.0 } else { 1.0 };
        let (mut best, mut threshold) = (f64::NEG_INFINITY, None);
        let (mut hits, mut false_alarms) = (0.0, 0.0);
        for (at, (row, mark)) in self.order.iter().zip(&self.marks).enumerate() {
            let label = self.ranked_label(at);
            let weight = self.weight(*row as usize);
            hits += weight * label;
            false_alarms += weight * (1.0 - label);
            if mark & LAST == 0 {
                continue;
            }
            let (missed, passed) = (positives - hits, negatives - false_alarms);
            let here = Confusion { hits, false_alarms, missed, passed };
            let value = sign * here.metric(metric, &self.settings);
            if value > best {
                (best, threshold) = (value, Some(self.scores[*row as usize]));
            }
        }
        threshold
    }
}

impl Predictions {
    /// The metrics that go by alarms, by losses or by the order, of rows that count once;
    /// the alarms are counted once for all of them, where one is asked for. Nothing for others.
    pub(super) fn plainly<'a>(
        &'a self,
        counts: &'a [[u8; 1]],
    ) -> impl Fn(Metric) -> Option<f64> + Sync + 'a {
        let confusion = LazyLock::new(|| {
            let [confusion] = self.confusion(counts);
            confusion
        });
        move |metric| {
            if goes_by_alarms(metric) {
                return Some(confusion.metric(metric, &self.settings));
            }
            self.ranked_once(metric, || *confusion).or_else(|| self.mean_loss(metric))
        }
    }
}

const OF_ALARMS: [Metric; 9] = [
    Metric::Precision,
    Metric::Recall,
    Metric::Accuracy,
    Metric::F1,
    Metric::FBeta,
    Metric::BalancedAccuracy,
    Metric::Mcc,
    Metric::CohenKappa,
    Metric::Cost,
];

/// Whether a metric follows from what was said of the rows and what they are.
pub(super) fn goes_by_alarms(metric: Metric) -> bool {
    OF_ALARMS.contains(&metric)
}

impl Confusion {
    /// From the positives and negatives that have an alarm, and those of all rows.
    pub(super) fn of([hits, false_alarms]: [u32; 2], [positives, negatives]: [u32; 2]) -> Self {
        let [missed, passed] = [positives - hits, negatives - false_alarms];
        let [hits, false_alarms, missed, passed] =
            [hits, false_alarms, missed, passed].map(f64::from);
        Self { hits, false_alarms, missed, passed }
    }

    pub(super) fn rows(&self) -> f64 {
        self.hits + self.false_alarms + self.missed + self.passed
    }

    pub(super) fn metric(&self, metric: Metric, settings: &Settings) -> f64 {
        let rows = self.rows();
        if rows == 0.0 {
            return f64::NAN;
        }
        match metric {
            Metric::Precision => share(self.hits, self.hits + self.false_alarms),
            Metric::Recall => share(self.hits, self.hits + self.missed),
            Metric::Accuracy => (self.hits + self.passed) / rows,
            Metric::F1 => self.f_beta(1.0),
            Metric::FBeta => self.f_beta(settings.beta),
            Metric::BalancedAccuracy => {
                let [positives, negatives] =
                    [self.hits + self.missed, self.passed + self.false_alarms];
                (self.hits / positives + self.passed / negatives) / 2.0
            }
            Metric::Mcc => self.mcc(),
            Metric::CohenKappa => self.kappa(),
            Metric::Cost => {
                let [[hit, false_alarm], [missed, passed]] = settings.costs;
                let right = self.hits * hit + self.passed * passed;
                (self.false_alarms * false_alarm + self.missed * missed + right) / rows
            }
            _ => f64::NAN,
        }
    }

    /// `(1 + b²) TP / ((1 + b²) TP + FP + b² FN)`; 0 when there is neither a
    /// positive nor an alarm.
    fn f_beta(&self, beta: f64) -> f64 {
        let squared = beta * beta;
        let hits = (1.0 + squared) * self.hits;
        share(hits, hits + self.false_alarms + squared * self.missed)
    }

    /// Matthews 1975; 0 where it is not defined, as scikit-learn has it.
    fn mcc(&self) -> f64 {
        let Self { hits, false_alarms, missed, passed } = *self;
        let spread =
            (hits + false_alarms) * (hits + missed) * (passed + false_alarms) * (passed + missed);
        if spread == 0.0 { 0.0 } else { (hits * passed - false_alarms * missed) / spread.sqrt() }
    }

    /// Cohen 1960.
    fn kappa(&self) -> f64 {
        let Self { hits, false_alarms, missed, passed } = *self;
        let rows = self.rows();
        let alike =
            (hits + missed) * (hits + false_alarms) + (passed + false_alarms) * (passed + missed);
        let chance = alike / (rows * rows);
        ((hits + passed) / rows - chance) / (1.0 - chance)
    }
}

/// 0 of nothing.
fn share(part: f64, of: f64) -> f64 {
    if of == 0.0 { 0.0 } else { part / of }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_gained_counts_against_what_is_lost() {
        let confusion = Confusion::of([3, 2], [4, 6]);
        let costs = [[-10.0, 1.0], [5.0, -0.5]];
        let settings = Settings { costs, ..Settings::default() };
        let expected = (3.0 * -10.0 + 2.0 + 5.0 - 4.0 * 0.5) / 10.0;
        assert_eq!(confusion.metric(Metric::Cost, &settings), expected);
    }

    proptest! {
        #[test]
        fn no_score_is_a_better_threshold_than_the_one_that_is_found(
            rows in prop::collection::vec((any::<bool>(), 0u8..12, 0u8..4), 1..60),
            metric in prop::sample::select(vec![
                Metric::F1, Metric::FBeta, Metric::Mcc, Metric::CohenKappa,
                Metric::Accuracy, Metric::BalancedAccuracy, Metric::Cost,
            ]),
        ) {
            let labels: Vec<f64> = rows.iter().map(|row| f64::from(u8::from(row.0))).collect();
            let scores: Vec<f64> = rows.iter().map(|row| f64::from(row.1) / 12.0).collect();
            let weights: Vec<f64> = rows.iter().map(|row| f64::from(row.2)).collect();
            let with = |threshold: f64| {
                let settings = Settings { threshold, beta: 2.0, costs: [[0.0, 1.0], [5.0, 0.0]], ..Settings::default() };
                Predictions::new(labels.clone(), scores.clone(), settings).weighing(weights.clone())
            };
            let counted = |label: f64| labels.iter().zip(&weights).any(|(of, weight)| *of == label && *weight > 0.0);
            let found = with(0.5).best_threshold(metric);
            prop_assert_eq!(found.is_some(), counted(0.0) && counted(1.0));
            let Some(found) = found else { return Ok(()) };
            let sign = if metric.better() == Better::Lower { -1.0 } else { 1.0 };
            let value = |threshold: f64| sign * with(threshold).value(metric);
            for score in &scores {
                prop_assert!(value(*score) <= value(found) + 1e-12, "{score} {found}");
            }
        }
    }
}
