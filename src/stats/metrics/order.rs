//! Rows by falling score: what curves and their areas walk along.

use crate::stats::keys;

/// Of a mark: the next row has another score.
pub(super) const LAST: u8 = 1;
/// No other row has its score.
pub(super) const ALONE: u8 = 2;

/// The digits by which entries are sorted, from the lowest: where they begin.
const DIGITS: [u32; 3] = [32, 43, 54];
const DIGIT: usize = 1 << 11;

/// A place of the axis above a row's number.
type Entry = u64;

/// Rows by falling score, equal ones by their number, and the mark of each place.
/// At most 2^32 rows.
pub(super) fn by_falling_score(scores: &[f64]) -> (Vec<u32>, Vec<u8>) {
    let mut entries = placed(scores);
    let score = |entry: Entry| scores[entry as u32 as usize];
    // Places are fewer than numbers: of those that share one, the scores decide.
    for equal in entries.chunk_by_mut(|a, b| a >> 32 == b >> 32).filter(|equal| equal.len() > 1) {
        equal.sort_unstable_by_key(|entry| (!keys::of_float(score(*entry)), *entry));
    }
    let mut marks = Vec::with_capacity(entries.len());
    let mut after_last = true;
    for (at, entry) in entries.iter().enumerate() {
        let is_same = |next: &Entry| next >> 32 == entry >> 32 && score(*next) == score(*entry);
        let is_last = !entries.get(at + 1).is_some_and(is_same);
        let is_alone = is_last && after_last;
        after_last = is_last;
        marks.push((u8::from(is_last) * LAST) | (u8::from(is_alone) * ALONE));
    }
    (entries.into_iter().map(|entry| entry as u32).collect(), marks)
}

/// Rows by their place on an axis from the highest score to the lowest, which has
/// 2^32 of them. Rounding keeps the order, so that scores of different places are
/// in theirs.
fn placed(scores: &[f64]) -> Vec<Entry> {
    let span = |(least, most): (f64, f64), score: &f64| (least.min(*score), most.max(*score));
    let (least, most) = scores.iter().fold((f64::INFINITY, f64::NEG_INFINITY), span);
    let scale = f64::from(u32::MAX) / (most - least);
    // Without a width, all share one place.
    let scale = if scale.is_finite() && most.is_finite() { scale } else { 0.0 };
    let place = |score: f64| if scale > 0.0 { ((most - score) * scale) as u32 } else { 0 };
    let mut sizes = [[0_u32; DIGIT]; DIGITS.len()];
    let mut entries: Vec<Entry> = Vec::with_capacity(scores.len());
    for (row, score) in scores.iter().enumerate() {
        let entry = Entry::from(place(*score)) << 32 | row as Entry;
        for (sizes, digit) in sizes.iter_mut().zip(DIGITS) {
            sizes[(entry >> digit) as usize % DIGIT] += 1;
        }
        entries.push(entry);
    }
    let mut other = vec![0; entries.len()];
    for (sizes, digit) in sizes.iter_mut().zip(DIGITS) {
        let mut next = 0;
        for size in &mut *sizes {
            (*size, next) = (next, next + *size);
        }
        for entry in &entries {
            let slot = &mut sizes[(entry >> digit) as usize % DIGIT];
            other[*slot as usize] = *entry;
            *slot += 1;
        }
        std::mem::swap(&mut entries, &mut other);
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What is true of any way to sort.
    fn check(scores: &[f64]) {
        let (order, marks) = by_falling_score(scores);
        let key = |row: u32| (std::cmp::Reverse(keys::of_float(scores[row as usize])), row);
        assert!(order.is_sorted_by(|a, b| key(*a) < key(*b)));
        assert_eq!(order.len(), scores.len());
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
    fn one_score_and_none_are_orders_too() {
        check(&[]);
        check(&vec![0.25; 3000]);
    }
}
