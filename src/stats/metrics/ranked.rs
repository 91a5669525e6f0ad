//! Metrics of the order that scores give the rows.

use super::confusion::Confusion;
use super::order::{ALONE, LAST};
use super::{Metric, Predictions};

/// Rows whose counts are fetched while those before are looked at: they lie all
/// over the memory, and are waited for together.
const AHEAD: usize = 64;

/// What has come by on a walk along falling scores.
struct Pairs<const N: usize> {
    /// Positives and negatives.
    above: [u32; N],
    below: [u32; N],
    /// Pairs in which the positive scores higher, and those that are equal.
    higher: [u64; N],
    equal: [u64; N],
}

impl<const N: usize> Default for Pairs<N> {
    fn default() -> Self {
        Self { above: [0; N], below: [0; N], higher: [0; N], equal: [0; N] }
    }
}

/// What a walk along falling scores tells, with positives and negatives apart.
pub(super) struct Walked<const N: usize> {
    /// The area under the ROC curve.
    pub(super) area: [f64; N],
    /// Of the rows that came first.
    pub(super) first: [[u32; N]; 2],
    /// Of all rows.
    pub(super) all: [[u32; N]; 2],
}

#[inline(always)]
fn fetch<const N: usize>(into: &mut [[u8; N]; AHEAD], rows: &[u32], counts: &[[u8; N]]) {
    for (slot, row) in into.iter_mut().zip(rows) {
        *slot = counts[*row as usize];
    }
}

/// Positives, negatives and pairs among some rows, of which no two have one score;
/// so few pairs fit into 32 bits. The next ones are fetched meanwhile.
#[inline(always)]
fn block_of_alone<const N: usize>(
    block: &[[u8; N]; AHEAD],
    masks: &[u8],
    counts: &[[u8; N]],
    (rows, coming): (&[u32], &mut [[u8; N]; AHEAD]),
) -> [[u32; N]; 3] {
    let (mut positives, mut negatives) = ([0u32; N], [0u32; N]);
    let mut pairs = [0u32; N];
    for (at, mask) in masks.iter().enumerate() {
        if at < rows.len() {
            coming[at] = counts[rows[at] as usize];
        }
        let here = &block[at];
        for lane in 0..N {
            pairs[lane] += u32::from(here[lane] & !mask) * positives[lane];
        }
        for lane in 0..N {
            positives[lane] += u32::from(here[lane] & mask);
        }
        for lane in 0..N {
            negatives[lane] += u32::from(here[lane] & !mask);
        }
    }
    [positives, negatives, pairs]
}

// Loops are written out where it matters: a closure in one is compiled without
// the wider instructions around it.
impl Predictions {
    /// Goes along the distinct scores, from the highest, with the positives and
    /// negatives of each, as long as `step` asks for more. Without counts every row
    /// counts once, and none is looked up.
    #[inline(always)]
    fn steps<const N: usize>(
        &self,
        counts: Option<&[[u8; N]]>,
        mut step: impl FnMut(&[f64; N], &[f64; N]) -> bool,
    ) {
        let (mut positives, mut negatives) = ([0.0; N], [0.0; N]);
        for (at, (row, mark)) in self.order.iter().zip(&self.marks).enumerate() {
            let row = *row as usize;
            let (label, weight) = (self.ranked_label(at), self.weight(row));
            let here = counts.map_or([1; N], |counts| counts[row]);
            for lane in 0..N {
                let count = f64::from(here[lane]) * weight;
                positives[lane] += count * label;
                negatives[lane] += count * (1.0 - label);
            }
            if mark & LAST != 0 {
                if !step(&positives, &negatives) {
                    return;
                }
                (positives, negatives) = ([0.0; N], [0.0; N]);
            }
        }
    }

    /// [`Self::roc_auc`] in whole numbers, for rows that count whole; and what had
    /// come by when `first` rows were passed, where two scores differ.
    #[inline(always)]
    pub(super) fn walked<const N: usize>(&self, first: usize, counts: &[[u8; N]]) -> Walked<N> {
        let mut pairs = Pairs::default();
        self.go_along(0..first, counts, &mut pairs);
        let then = [pairs.above, pairs.below];
        self.go_along(first..self.order.len(), counts, &mut pairs);
        let Pairs { above, below, higher, equal } = pairs;
        let mut area = [0.0; N];
        for lane in 0..N {
            // Ties count half.
            let twice = (2 * higher[lane] + equal[lane]) as f64;
            area[lane] = twice / 2.0 / (f64::from(above[lane]) * f64::from(below[lane]));
        }
        Walked { area, first: then, all: [above, below] }
    }

    #[inline(always)]
    fn go_along<const N: usize>(
        &self,
        places: std::ops::Range<usize>,
        counts: &[[u8; N]],
        pairs: &mut Pairs<N>,
    ) {
        // Copies stay in registers.
        let Pairs { mut above, mut below, mut higher, mut equal } = *pairs;
        let (mut positives, mut negatives) = ([0u32; N], [0u32; N]);
        let mut coming = [[0; N]; AHEAD];
        fetch(&mut coming, &self.order[places.clone()], counts);
        for begin in places.clone().step_by(AHEAD) {
            let end = places.end.min(begin + AHEAD);
            let (marks, masks) = (&self.marks[begin..end], &self.ranked_positives[begin..end]);
            let later = &self.order[end..places.end];
            let fetched = coming;
            // Mostly no two scores are equal: a row then is below all that came before.
            if marks.iter().all(|mark| mark & ALONE != 0) {
                let next = (later, &mut coming);
                let [positives, negatives, pairs] = block_of_alone(&fetched, masks, counts, next);
                for lane in 0..N {
                    let before = u64::from(negatives[lane]) * u64::from(above[lane]);
                    higher[lane] += before + u64::from(pairs[lane]);
                    above[lane] += positives[lane];
                    below[lane] += negatives[lane];
                }
                continue;
            }
            fetch(&mut coming, later, counts);
            for ((here, mark), mask) in fetched.iter().zip(marks).zip(masks) {
                for lane in 0..N {
                    positives[lane] += u32::from(here[lane] & mask);
                    negatives[lane] += u32::from(here[lane] & !mask);
                }
                if *mark & LAST != 0 {
                    for lane in 0..N {
                        let count = u64::from(negatives[lane]);
                        higher[lane] += count * u64::from(above[lane]);
                        equal[lane] += count * u64::from(positives[lane]);
                        above[lane] += positives[lane];
                        below[lane] += negatives[lane];
                    }
                    (positives, negatives) = ([0; N], [0; N]);
                }
            }
        }
        *pairs = Pairs { above, below, higher, equal };
    }

    /// Metrics of the order, of rows that count once.
    pub(super) fn ranked_once(
        &self,
        metric: Metric,
        confusion: impl FnOnce() -> Confusion,
    ) -> Option<f64> {
        let [value] = match metric {
            Metric::RocAuc => self.roc_auc(None),
            Metric::PrAuc => self.average_precision(None),
            Metric::LiftAtTop | Metric::RecallAtTop => self.at_top(metric, None, &[confusion()]),
            _ => return None,
        };
        Some(value)
    }

    /// The chance that a positive scores above a negative; ties count half
    /// (Hanley and McNeil 1982).
    pub(super) fn roc_auc<const N: usize>(&self, counts: Option<&[[u8; N]]>) -> [f64; N] {
        let (mut above, mut area, mut below) = ([0.0; N], [0.0; N], [0.0; N]);
        self.steps(counts, |positives, negatives| {
            for lane in 0..N {
                area[lane] += negatives[lane] * (above[lane] + positives[lane] / 2.0);
                above[lane] += positives[lane];
                below[lane] += negatives[lane];
            }
            true
        });
        std::array::from_fn(|lane| area[lane] / (above[lane] * below[lane]))
    }

    /// `sum (R_n - R_(n-1)) P_n` over falling thresholds.
    pub(super) fn average_precision<const N: usize>(&self, counts: Option<&[[u8; N]]>) -> [f64; N] {
        let (mut hits, mut seen, mut sum) = ([0.0; N], [0.0; N], [0.0; N]);
        self.steps(counts, |positives, negatives| {
            for lane in 0..N {
                hits[lane] += positives[lane];
                seen[lane] += positives[lane] + negatives[lane];
                // Where nothing counts yet, there are no hits either; a branch would be half wrong.
                sum[lane] += positives[lane] * hits[lane] / seen[lane].max(f64::MIN_POSITIVE);
            }
            true
        });
        std::array::from_fn(|lane| sum[lane] / hits[lane])
    }

    /// Recall and lift among the highest scores; of those that are equal at the
    /// end of the share, each counts by the part that fits.
    pub(super) fn at_top<const N: usize>(
        &self,
        metric: Metric,
        counts: Option<&[[u8; N]]>,
        confusion: &[Confusion; N],
    ) -> [f64; N] {
        let totals = confusion.each_ref().map(|all| [all.hits + all.missed, all.rows()]);
        let room = totals.map(|[_, rows]| self.settings.top * rows);
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
            (0..N).any(|lane| seen[lane] < room[lane])
        });
        std::array::from_fn(|lane| {
            let [positives, rows] = totals[lane];
            match metric {
                Metric::RecallAtTop => hits[lane] / positives,
                _ => hits[lane] / seen[lane] / (positives / rows),
            }
        })
    }
}
