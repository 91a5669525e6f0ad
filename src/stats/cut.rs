//! The cut of the axis that samples are tallied on. A side that is compared
//! with many others is cut, tallied and sorted once.

use super::cells::{self, Cells};
use super::distinct::Distinct;
use super::gap::Tally;
use super::keys::{Float, Key, Scale, Signed, Unsigned};
use super::pair::Sample;

/// Samples with at most this many entries are looked at value by value.
const SMALL: usize = 1 << 12;
/// Keys that the cut of the axis is learnt from.
const LEARNT_FROM: usize = 1 << 14;
/// Values per cell that make the bookkeeping cheap beside the values: those of
/// both sides, and those of a side whose others are small.
pub(super) const PER_CELL: usize = 16;
const PER_READY_CELL: usize = 64;

#[derive(Debug)]
pub(super) struct Cut {
    pub(super) cells: Cells,
    /// Values are summed from here, so that far ones do not drown the near.
    pub(super) centre: f64,
}

impl Cut {
    pub(super) fn learn<K: Key>(samples: &[&Sample], per_cell: usize) -> Self {
        let entries: usize = samples.iter().map(|side| side.keys.len() + side.counted.len()).sum();
        let mut learnt = Vec::new();
        for side in samples {
            let step = |len: usize| (len / (LEARNT_FROM / 4)).max(1);
            learnt.extend(side.keys.iter().step_by(step(side.keys.len())));
            let counted = side.counted.iter().step_by(step(side.counted.len()));
            learnt.extend(counted.map(|(key, _)| key));
        }
        learnt.sort_unstable();
        let centre = learnt.get(learnt.len() / 2).map_or(0.0, |key| K::value(*key));
        let count = if entries <= SMALL { 1 } else { (entries / per_cell).min(cells::MOST) };
        Self { cells: Cells::learn(&learnt, count), centre }
    }

    pub(super) fn tally<K: Key>(&self, side: &Sample) -> Vec<Tally> {
        // Of a known length, so that no place in it has to be checked.
        let mut tallies = vec![[0.0; 2]; cells::MOST];
        if let Some(places) = tallies.first_chunk_mut::<{ cells::MOST }>() {
            for key in &side.keys {
                let tally = &mut places[usize::from(self.cells.of(*key))];
                tally[0] += 1.0;
                tally[1] += K::value(*key) - self.centre;
            }
            for (key, count) in &side.counted {
                let tally = &mut places[usize::from(self.cells.of(*key))];
                tally[0] += *count as f64;
                tally[1] += *count as f64 * (K::value(*key) - self.centre);
            }
        }
        tallies.truncate(self.cells.len());
        tallies
    }
}

/// What is known of a sorted side before it is compared.
#[derive(Debug)]
pub struct Ready {
    pub(super) cut: Cut,
    pub(super) tallies: Vec<Tally>,
    pub(super) distinct: Distinct,
    /// The first key and the first counted key of each cell, and the ends.
    starts: Vec<[u32; 2]>,
}

impl Ready {
    /// Sorts a side and makes it ready; `None` for one that is too large to be numbered.
    pub(super) fn of(scale: Scale, side: &mut Sample) -> Option<Self> {
        u32::try_from(side.keys.len().max(side.counted.len())).ok()?;
        side.keys.sort_unstable();
        side.counted.sort_unstable();
        Some(match scale {
            Scale::Float => Self::of_sorted::<Float>(side),
            Scale::Signed { .. } => Self::of_sorted::<Signed>(side),
            Scale::Unsigned => Self::of_sorted::<Unsigned>(side),
        })
    }

    fn of_sorted<K: Key>(side: &Sample) -> Self {
        let cut = Cut::learn::<K>(&[side], PER_READY_CELL);
        let tallies = cut.tally::<K>(side);
        let mut starts = vec![[0; 2]; cut.cells.len() + 1];
        let counted = side.counted.iter().map(|(key, _)| key);
        let entries = side.keys.iter().map(|key| (key, 0)).chain(counted.map(|key| (key, 1)));
        for (key, list) in entries {
            starts[usize::from(cut.cells.of(*key)) + 1][list] += 1;
        }
        let mut before = [0; 2];
        for start in &mut starts {
            before = [before[0] + start[0], before[1] + start[1]];
            *start = before;
        }
        Self { cut, tallies, distinct: Distinct::of_sorted(side), starts }
    }

    /// The values of the open cells, rising.
    pub(super) fn opened(&self, side: &Sample, flags: &[u8]) -> Sample {
        let mut opened = Sample::default();
        for (bounds, _) in self.starts.windows(2).zip(flags).filter(|(_, flag)| **flag != 0) {
            let [keys, counted] =
                [0, 1].map(|list| bounds[0][list] as usize..bounds[1][list] as usize);
            opened.keys.extend_from_slice(&side.keys[keys]);
            opened.counted.extend_from_slice(&side.counted[counted]);
        }
        opened
    }
}
