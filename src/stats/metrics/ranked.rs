//! Metrics of the order that scores give the rows.

use super::{Metric, Predictions};

impl Predictions {
    /// Goes along the distinct scores, from the highest, with the positives and
    /// negatives of each.
    #[inline(always)]
    fn steps<const N: usize>(
        &self,
        counts: &[[u8; N]],
        mut step: impl FnMut(&[f64; N], &[f64; N]),
    ) {
        let (mut positives, mut negatives) = ([0.0; N], [0.0; N]);
        for (row, (label, is_last)) in self.order.iter().zip(&self.ranked) {
            let row = *row as usize;
            let weight = self.weight(row);
            let here = &counts[row];
            for lane in 0..N {
                let count = f64::from(here[lane]) * weight;
                positives[lane] += count * label;
                negatives[lane] += count * (1.0 - label);
            }
            if *is_last {
                step(&positives, &negatives);
                (positives, negatives) = ([0.0; N], [0.0; N]);
            }
        }
    }

    /// [`Self::roc_auc`] in whole numbers, for rows that count whole.
    #[inline(always)]
    pub(super) fn whole_roc_auc<const N: usize>(&self, counts: &[[u8; N]]) -> [f64; N] {
        let (mut positives, mut negatives) = ([0u32; N], [0u32; N]);
        let (mut above, mut below) = ([0u32; N], [0u32; N]);
        // Twice the area, as ties count half.
        let mut area = [0u64; N];
        for (row, (label, is_last)) in self.order.iter().zip(&self.ranked) {
            let here = &counts[*row as usize];
            let mask = if *label == 1.0 { u32::MAX } else { 0 };
            for lane in 0..N {
                let count = u32::from(here[lane]);
                positives[lane] += count & mask;
                negatives[lane] += count & !mask;
            }
            if *is_last {
                for lane in 0..N {
                    let higher = 2 * u64::from(above[lane]) + u64::from(positives[lane]);
                    area[lane] += u64::from(negatives[lane]) * higher;
                    above[lane] += positives[lane];
                    below[lane] += negatives[lane];
                }
                (positives, negatives) = ([0; N], [0; N]);
            }
        }
        std::array::from_fn(|lane| {
            area[lane] as f64 / 2.0 / (f64::from(above[lane]) * f64::from(below[lane]))
        })
    }

    /// The chance that a positive scores above a negative; ties count half
    /// (Hanley and McNeil 1982).
    pub(super) fn roc_auc<const N: usize>(&self, counts: &[[u8; N]]) -> [f64; N] {
        let (mut above, mut area, mut below) = ([0.0; N], [0.0; N], [0.0; N]);
        self.steps(counts, |positives, negatives| {
            for lane in 0..N {
                area[lane] += negatives[lane] * (above[lane] + positives[lane] / 2.0);
                above[lane] += positives[lane];
                below[lane] += negatives[lane];
            }
        });
        std::array::from_fn(|lane| area[lane] / (above[lane] * below[lane]))
    }

    /// `sum (R_n - R_(n-1)) P_n` over falling thresholds.
    pub(super) fn average_precision<const N: usize>(&self, counts: &[[u8; N]]) -> [f64; N] {
        let (mut hits, mut seen, mut sum) = ([0.0; N], [0.0; N], [0.0; N]);
        self.steps(counts, |positives, negatives| {
            for lane in 0..N {
                hits[lane] += positives[lane];
                seen[lane] += positives[lane] + negatives[lane];
                if positives[lane] > 0.0 {
                    sum[lane] += positives[lane] * hits[lane] / seen[lane];
                }
            }
        });
        std::array::from_fn(|lane| sum[lane] / hits[lane])
    }

    /// Recall and lift among the highest scores; of those that are equal at the
    /// end of the share, each counts by the part that fits.
    pub(super) fn at_top<const N: usize>(&self, metric: Metric, counts: &[[u8; N]]) -> [f64; N] {
        let mut totals = [[0.0; 2]; N];
        self.steps(counts, |positives, negatives| {
            for lane in 0..N {
                totals[lane][0] += positives[lane];
                totals[lane][1] += negatives[lane];
            }
        });
        let room = totals.map(|[positives, negatives]| self.settings.top * (positives + negatives));
        let (mut hits, mut seen) = ([0.0; N], [0.0; N]);
        self.steps(counts, |positives, negatives| {
            for lane in 0..N {
                let here = positives[lane] + negatives[lane];
                let fits = (room[lane] - seen[lane]).clamp(0.0, here);
                if here > 0.0 {
                    hits[lane] += positives[lane] * fits / here;
                }
                seen[lane] += fits;
            }
        });
        std::array::from_fn(|lane| {
            let [positives, negatives] = totals[lane];
            match metric {
                Metric::RecallAtTop => hits[lane] / positives,
                _ => hits[lane] / seen[lane] / (positives / (positives + negatives)),
            }
        })
    }
}
