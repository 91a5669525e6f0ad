//! Rows by falling score: what curves and their areas walk along.

use crate::stats::keys;

/// Of a mark: the next row has another score.
pub(super) const LAST: u8 = 1;
/// No other row has its score.
pub(super) const ALONE: u8 = 2;

/// A place of the axis, then whether the row is a positive, then its number.
type Entry = u64;

const PLACE_BITS: u32 = 31;
const PLACE: u32 = Entry::BITS - PLACE_BITS;
const POSITIVE: u32 = u32::BITS;

/// How many entries of a stretch are sorted within the nearer caches.
const NEAR: usize = 1 << 10;
/// Stretches are at most as many as can be written to side by side.
const MOST_STRETCHES: u32 = 11;
/// Below this, comparing is faster than counting.
const FEW: usize = 1 << 8;
const MOST_DIGIT: u32 = 11;

/// Rows by falling score, equal ones by their number.
pub(super) struct Ranked {
    pub(super) order: Vec<u32>,
    /// The mark of each place.
    pub(super) marks: Vec<u8>,
    /// Of each place, all bits where the row's label is 1.
    pub(super) positives: Vec<u8>,
}

/// As many labels as scores, at most 2^32.
///
/// The axis is cut into stretches, so that what lies in one is sorted where it is
/// near, and the whole is moved once.
pub(super) fn by_falling_score(scores: &[f64], labels: &[f64]) -> Ranked {
    let axis = Axis::of(scores);
    let (mut entries, ends) = axis.stretches(scores, labels);
    let mut order = Vec::with_capacity(scores.len());
    let mut marks = vec![LAST | ALONE; scores.len()];
    let mut positives = Vec::with_capacity(scores.len());
    let mut scratch = Vec::new();
    let mut begin = 0;
    for end in ends {
        let stretch = &mut entries[begin..end];
        sort(stretch, axis.below, &mut scratch);
        part_equals(stretch, scores, &mut marks[begin..end]);
        order.extend(stretch.iter().map(|entry| row(*entry)));
        positives.extend(stretch.iter().map(|entry| mask(entry >> POSITIVE & 1 == 1)));
        begin = end;
    }
    Ranked { order, marks, positives }
}

/// All bits, or none.
pub(super) fn mask(is_set: bool) -> u8 {
    0_u8.wrapping_sub(u8::from(is_set))
}

fn row(entry: Entry) -> u32 {
    entry as u32
}

/// Places are fewer than numbers: of those that share one, the scores decide. No
/// score lies in two stretches.
fn part_equals(stretch: &mut [Entry], scores: &[f64], marks: &mut [u8]) {
    let share = |a: Entry, b: Entry| a >> PLACE == b >> PLACE;
    let mut end = 0;
    while end < stretch.len() {
        let begin = end;
        end += 1;
        while end < stretch.len() && share(stretch[begin], stretch[end]) {
            end += 1;
        }
        if end - begin > 1 {
            rank(&mut stretch[begin..end], scores, &mut marks[begin..end]);
        }
    }
}

/// Of rows that share a place.
fn rank(equal: &mut [Entry], scores: &[f64], marks: &mut [u8]) {
    let score = |entry: Entry| scores[row(entry) as usize];
    equal.sort_unstable_by_key(|entry| (!keys::of_float(score(*entry)), row(*entry)));
    let mut after_last = true;
    for (at, mark) in marks.iter_mut().enumerate() {
        let is_last = !equal.get(at + 1).is_some_and(|next| score(*next) == score(equal[at]));
        let is_alone = is_last && after_last;
        after_last = is_last;
        *mark = (u8::from(is_last) * LAST) | (u8::from(is_alone) * ALONE);
    }
}

/// An axis from the highest score to the lowest, which has 2^31 places. Rounding keeps
/// the order, so that scores of different places are in theirs.
struct Axis {
    most: f64,
    scale: f64,
    /// The bits of a place within its stretch.
    below: u32,
}

impl Axis {
    fn of(scores: &[f64]) -> Self {
        let span = |(least, most): (f64, f64), score: &f64| (least.min(*score), most.max(*score));
        let (least, most) = scores.iter().fold((f64::INFINITY, f64::NEG_INFINITY), span);
        let scale = f64::from(u32::MAX >> (u32::BITS - PLACE_BITS)) / (most - least);
        // Without a width, all share one place.
        let scale = if scale.is_finite() && most.is_finite() { scale } else { 0.0 };
        let stretches = (scores.len() / NEAR).max(1).ilog2().min(MOST_STRETCHES);
        Self { most, scale, below: PLACE_BITS - stretches }
    }

    fn place(&self, score: f64) -> u32 {
        if self.scale > 0.0 { ((self.most - score) * self.scale) as u32 } else { 0 }
    }

    fn stretch(&self, score: f64) -> usize {
        self.place(score) as usize >> self.below
    }

    /// Rows stretch by stretch, in the order of the rows, and where each one ends.
    fn stretches(&self, scores: &[f64], labels: &[f64]) -> (Vec<Entry>, Vec<usize>) {
        let mut next = vec![0_usize; 1 << (PLACE_BITS - self.below)];
        for score in scores {
            next[self.stretch(*score)] += 1;
        }
        let mut begin = 0;
        for size in &mut next {
            (*size, begin) = (begin, begin + *size);
        }
        let mut entries: Vec<Entry> = vec![0; scores.len()];
        for (row, (score, label)) in scores.iter().zip(labels).enumerate() {
            let place = self.place(*score);
            let slot = &mut next[place as usize >> self.below];
            let positive = Entry::from(*label == 1.0) << POSITIVE;
            entries[*slot] = Entry::from(place) << PLACE | positive | row as Entry;
            *slot += 1;
        }
        (entries, next)
    }
}

/// By the places' lower bits, of which there are `below`; rows of one place stay in
/// their order.
fn sort(stretch: &mut [Entry], below: u32, scratch: &mut Vec<Entry>) {
    if stretch.len() <= FEW {
        return stretch.sort_unstable();
    }
    scratch.resize(stretch.len().max(scratch.len()), 0);
    let other = &mut scratch[..stretch.len()];
    let (mut from, mut to) = (stretch, other);
    let digits = below.div_ceil(MOST_DIGIT);
    let width = below.div_ceil(digits);
    let mut all = [0_u32; 1 << MOST_DIGIT];
    for digit in 0..digits {
        let shift = PLACE + digit * width;
        let mask = (1 << width.min(below - digit * width)) - 1;
        let next = &mut all[..=mask];
        next.fill(0);
        for entry in from.iter() {
            next[(entry >> shift) as usize & mask] += 1;
        }
        let mut begin = 0;
        for size in &mut *next {
            (*size, begin) = (begin, begin + *size);
        }
        for entry in from.iter() {
            let slot = &mut next[(entry >> shift) as usize & mask];
            to[*slot as usize] = *entry;
            *slot += 1;
        }
        std::mem::swap(&mut from, &mut to);
    }
    if digits % 2 == 1 {
        to.copy_from_slice(from);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What is true of any way to sort.
    fn check(scores: &[f64]) {
        let labels: Vec<f64> = (0..scores.len()).map(|row| [0.0, 1.0, 0.5][row % 3]).collect();
        let Ranked { order, marks, positives } = by_falling_score(scores, &labels);
        let key = |row: u32| (std::cmp::Reverse(keys::of_float(scores[row as usize])), row);
        assert!(order.is_sorted_by(|a, b| key(*a) < key(*b)));
        assert_eq!(order.len(), scores.len());
        let positive = |row: &u32| mask(labels[*row as usize] == 1.0);
        assert!(positives.iter().copied().eq(order.iter().map(positive)));
        for (at, mark) in marks.iter().enumerate() {
            let score = |at: usize| order.get(at).map(|row| scores[*row as usize]);
            let last = score(at) != score(at + 1);
            let first = at == 0 || score(at) != score(at - 1);
            assert_eq!((mark & LAST != 0, mark & ALONE != 0), (last, last && first), "{at}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn rows_are_in_order_whatever_the_scores(
            seed in any::<u64>(),
            rows in 0_usize..4000,
            kind in 0_u8..5,
        ) {
            let lot = |row: usize| crate::stats::lot(seed, row as u64) as f64 / u64::MAX as f64;
            let score = |row: usize| match kind {
                0 => lot(row),
                1 => (lot(row) * 8.0).floor() / 8.0,
                2 => (lot(row) - 0.5) * 1e300,
                3 => -lot(row).powi(40),
                _ => [0.0, -0.0, 1.0, f64::INFINITY][(lot(row) * 3.99) as usize],
            };
            check(&(0..rows).map(score).collect::<Vec<_>>());
        }
    }

    #[test]
    fn stretches_are_sorted_whatever_bits_they_have() {
        for below in 20..=PLACE_BITS {
            let place = |row: u64| crate::stats::lot(9, row) & ((1 << below) - 1);
            let mut stretch: Vec<Entry> = (0..3000).map(|row| place(row) << PLACE | row).collect();
            sort(&mut stretch, below, &mut Vec::new());
            assert!(stretch.is_sorted(), "{below}");
        }
    }

    #[test]
    fn one_score_and_none_are_orders_too() {
        check(&[]);
        check(&vec![0.25; 3000]);
        // Many stretches, and one that holds nearly all.
        let lot = |row: u64| crate::stats::lot(5, row) as f64 / u64::MAX as f64;
        check(&(0..100_000).map(lot).collect::<Vec<_>>());
        check(&(0..100_000).map(|row| lot(row).powi(30)).collect::<Vec<_>>());
    }
}
