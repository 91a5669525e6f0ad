//! How many different values there are, and which are frequent. The number is exact while they are few, and beyond
//! that an estimate by adaptive sampling (Wegman; Flajolet 1990). Values are kept
//! whose hash is small enough, and each time they get too many the bar is halved.
//! What is kept depends neither on the order of the values nor on their batches.

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use super::pair::Sample;

/// Values that are kept at most; up to here the number is exact.
const KEPT: usize = 1 << 13;

/// A number of different values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Distinct {
    pub count: u64,
    /// The standard error, relative to the number; 0 where it is exact.
    pub error: f64,
}

impl Distinct {
    pub fn exact(count: u64) -> Self {
        Self { count, error: 0.0 }
    }

    /// The different values of a sample.
    pub(super) fn of(sample: &Sample) -> Self {
        let mut kept = Kept { hashes: HashTable::new(), bar: u64::MAX };
        for key in &sample.keys {
            kept.see(mixed(*key));
        }
        for (key, _) in &sample.counted {
            kept.see(mixed(*key));
        }
        kept.told(sample.len())
    }

    /// The different values of a sample in rising order.
    pub(super) fn of_sorted(sample: &Sample) -> Self {
        let changes = |len: usize, differ: &dyn Fn(usize) -> bool| {
            (1..len).filter(|at| differ(*at)).count() as u64 + u64::from(len > 0)
        };
        let Sample { keys, counted } = sample;
        let once = changes(keys.len(), &|at| keys[at] != keys[at - 1]);
        let repeated = changes(counted.len(), &|at| counted[at].0 != counted[at - 1].0);
        let mut both: Vec<u64> = counted.iter().map(|(key, _)| *key).collect();
        both.dedup();
        both.retain(|key| keys.binary_search(key).is_ok());
        Self::exact(once + repeated - both.len() as u64)
    }
}

/// Whether so many of `total` values are one hundredth of them at least.
pub fn is_frequent(count: f64, total: f64) -> bool {
    count > 0.0 && count * 100.0 >= total
}

struct Kept {
    hashes: HashTable<u64>,
    /// Hashes above are passed over.
    bar: u64,
}

impl Kept {
    #[inline(always)]
    fn see(&mut self, hash: u64) {
        if hash <= self.bar {
            self.keep(hash);
        }
    }

    fn keep(&mut self, hash: u64) {
        // The upper bits of what is kept are alike.
        let place = |hash: u64| hash.rotate_left(32);
        match self.hashes.entry(place(hash), |known| *known == hash, |known| place(*known)) {
            Entry::Occupied(_) => {}
            Entry::Vacant(vacant) => {
                vacant.insert(hash);
            }
        }
        while self.hashes.len() > KEPT {
            self.bar /= 2;
            self.hashes.retain(|hash| *hash <= self.bar);
        }
    }

    /// `values` is how many were seen: there are no more different ones.
    fn told(&self, values: u64) -> Distinct {
        let kept = self.hashes.len() as f64;
        if self.bar == u64::MAX {
            return Distinct::exact(kept as u64);
        }
        let share = self.bar as f64 / u64::MAX as f64;
        let error = ((1.0 - share) / kept).sqrt();
        Distinct { count: ((kept / share).round() as u64).min(values), error }
    }
}

/// Another key for each, whose bits look drawn by lot (the finalizer of
/// MurmurHash3 by Appleby).
#[inline(always)]
fn mixed(key: u64) -> u64 {
    let key = (key ^ key >> 33).wrapping_mul(0xff51_afd7_ed55_8ccd);
    let key = (key ^ key >> 33).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    key ^ key >> 33
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::keys::{of_float, of_signed};
    use proptest::prelude::*;
    use std::collections::HashSet;

    fn sample(keys: Vec<u64>, counted: Vec<(u64, u64)>) -> Sample {
        Sample { keys, counted }
    }

    proptest! {
        #[test]
        fn few_values_are_counted_to_the_last_one(
            mut keys in prop::collection::vec((-40i64..40).prop_map(of_signed), 0..200),
            mut counted in prop::collection::vec(((-60i64..60).prop_map(of_signed), 1u64..9), 0..60),
        ) {
            let known: HashSet<u64> = keys.iter().copied().chain(counted.iter().map(|(key, _)| *key)).collect();
            let expected = Distinct::exact(known.len() as u64);
            prop_assert_eq!(Distinct::of(&sample(keys.clone(), counted.clone())), expected);
            keys.sort_unstable();
            counted.sort_unstable();
            prop_assert_eq!(Distinct::of_sorted(&sample(keys, counted)), expected);
        }
    }

    #[test]
    fn many_values_are_estimated_within_the_error() {
        let random = |at: u64| mixed(at.wrapping_mul(0x9e37_79b9_7f4a_7c15)) as f64 / 1e19;
        type Keys = fn(u64) -> u64;
        let series: [(&str, Keys, f64); 4] = [
            ("whole numbers", |at| of_signed(at as i64), 1.0),
            ("each of them twice", |at| of_float((at / 2) as f64), 0.5),
            ("cents", |at| of_float(at as f64 / 100.0), 1.0),
            ("steps of two thousand", |at| of_signed(at as i64 * 2048), 1.0),
        ];
        let mut worst: f64 = 0.0;
        for rows in [8192u64, 8193, 30_000, 400_000] {
            for (name, key, share) in series {
                let mut keys: Vec<u64> = (0..rows).map(key).collect();
                let found = Distinct::of(&sample(keys.clone(), Vec::new()));
                let truth = (rows as f64 * share).ceil();
                let off = (found.count as f64 - truth).abs() / truth;
                assert!(off <= 4.0 * found.error, "{rows} {name}: {found:?}");
                assert_eq!(found.error == 0.0, truth <= KEPT as f64, "{rows} {name}: {found:?}");
                worst = worst.max(found.error);
                keys.sort_by_key(|key| mixed(!key));
                assert_eq!(Distinct::of(&sample(keys, Vec::new())), found, "the order of {name}");
            }
            let keys = (0..rows).map(|at| of_float(random(at))).collect();
            assert!(Distinct::of(&sample(keys, Vec::new())).count <= rows);
        }
        assert!(worst < 0.016, "{worst}");
    }
}
