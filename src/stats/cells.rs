//! A cut of the axis into cells that hold about the same number of values.
//!
//! The cut is learnt from a small sample of keys: segments of equal width in
//! key space, each divided into as many cells as its share of the sample. The
//! map from key to cell never falls, so what is exact between cells stays
//! exact; a sample that misleads costs time only.

/// Cells are numbered by 16 bits, so that a number per value is cheap to keep.
pub(super) const MOST: usize = 1 << 16;

/// Fits the first-level cache together with what streams through it.
const SEGMENTS_LOG2: u32 = 12;
const SEGMENTS: usize = 1 << SEGMENTS_LOG2;

#[derive(Debug)]
pub(super) struct Cells {
    low: u64,
    high: u64,
    /// The place in a segment, in the lowest bits.
    shift: u32,
    /// By which that place becomes a fraction of 64 bits.
    fraction: u32,
    segments: Box<[Segment; SEGMENTS]>,
    count: usize,
}

#[derive(Debug, Clone, Copy, Default)]
struct Segment {
    first: u32,
    cells: u32,
}

impl Cells {
    /// Learns from `sample`, which is sorted and not empty.
    pub(super) fn learn(sample: &[u64], count: usize) -> Self {
        let (low, high) = match sample {
            [] => (0, 0),
            [first, .., last] => (*first, *last),
            [only] => (*only, *only),
        };
        let count = count.clamp(1, MOST);
        let bits = u64::BITS - (high - low).leading_zeros();
        let shift = bits.saturating_sub(SEGMENTS_LOG2);
        let mut segments = Box::new([Segment::default(); SEGMENTS]);
        let place = |at: usize| (at as u128 * count as u128 / sample.len().max(1) as u128) as u32;
        let used = ((high - low) >> shift) as usize + 1;
        let mut at = 0;
        for (number, segment) in segments.iter_mut().take(used).enumerate() {
            segment.first = place(at);
            at += sample[at..].partition_point(|key| (key - low) >> shift <= number as u64);
            segment.cells = place(at) - segment.first;
        }
        // A segment of one place has the same fraction for all that is in it.
        let fraction = (u64::BITS - shift).min(u64::BITS - 1);
        Self { low, high, shift, fraction, segments, count }
    }

    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// The cell of a key; keys beyond the sample's ends fall into the outer cells.
    #[inline(always)]
    pub(super) fn of(&self, key: u64) -> u16 {
        let place = key.clamp(self.low, self.high) - self.low;
        let segment = self.segments[(place >> self.shift) as usize % SEGMENTS];
        let fraction = u128::from(place << self.fraction);
        let inside = (fraction * u128::from(segment.cells)) >> 64;
        (segment.first + inside as u32) as u16
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_map_never_falls_and_stays_inside(
            mut sample in prop::collection::vec(any::<u64>(), 1..200),
            mut keys in prop::collection::vec(any::<u64>(), 1..200),
            count in 1usize..=MOST,
            narrow in 0u32..60,
        ) {
            for key in sample.iter_mut().chain(&mut keys) {
                *key >>= narrow;
            }
            sample.sort_unstable();
            keys.extend(&sample);
            keys.sort_unstable();
            let cells = Cells::learn(&sample, count);
            let placed: Vec<u16> = keys.iter().map(|key| cells.of(*key)).collect();
            prop_assert!(placed.is_sorted());
            prop_assert!(placed.iter().all(|cell| usize::from(*cell) < cells.len()));
        }
    }

    #[test]
    fn cells_hold_about_as_much_as_each_other() {
        let keys: Vec<u64> =
            (1..=100_000u32).map(|n| super::super::keys::of_float(f64::from(n).ln())).collect();
        let sample: Vec<u64> = keys.iter().step_by(25).copied().collect();
        let cells = Cells::learn(&sample, 1000);
        let mut held = vec![0; 1000];
        for key in keys {
            held[usize::from(cells.of(key))] += 1;
        }
        assert!(held.iter().all(|count| *count < 1000), "{:?}", held.iter().max());
    }
}
