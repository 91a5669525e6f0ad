//! A column of numbers: its values as keys, and what is counted while they go by.

use std::io;
use std::sync::Arc;

use super::away::{Away, Rising, merged};
use super::cut::Ready;
use super::keys::{Float, Key, Scale, Signed, Unsigned};
use super::pair::Sample;

/// Counts and moments of a column of numbers. The moments are those of the
/// finite values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Facts {
    /// Finite values.
    pub values: u64,
    pub nulls: u64,
    pub nans: u64,
    pub infinities: u64,
    pub zeros: u64,
    pub min: f64,
    pub max: f64,
    pub mean: f64,
    /// The sum of squared deviations from the mean.
    squares: f64,
}

impl Default for Facts {
    fn default() -> Self {
        Self {
            values: 0,
            nulls: 0,
            nans: 0,
            infinities: 0,
            zeros: 0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            mean: 0.0,
            squares: 0.0,
        }
    }
}

impl Facts {
    /// The facts of values whose moments are known. `squares` is the sum of
    /// squared deviations from the mean.
    pub fn of_moments(values: u64, mean: f64, squares: f64, range: [f64; 2]) -> Self {
        let [min, max] = range;
        Self { values, mean, squares, min, max, ..Self::default() }
    }

    pub fn rows(&self) -> u64 {
        self.values + self.nulls + self.nans + self.infinities
    }

    /// The standard deviation of the values themselves (divisor `n`).
    pub fn deviation(&self) -> f64 {
        (self.squares / self.values as f64).sqrt()
    }

    /// The variance of what the values are a sample of (divisor `n - 1`).
    pub fn variance(&self) -> f64 {
        self.squares / (self.values as f64 - 1.0)
    }

    /// Takes in a block by its moments (Chan, Golub and LeVeque 1979).
    fn take(&mut self, count: u64, mean: f64, squares: f64) {
        if count == 0 {
            return;
        }
        let (before, new) = (self.values as f64, count as f64);
        let apart = mean - self.mean;
        self.values += count;
        self.mean += apart * new / (before + new);
        self.squares += squares + apart * apart * before * new / (before + new);
    }
}

/// A column of numbers.
#[derive(Debug, Clone)]
pub struct Numbers {
    pub scale: Scale,
    pub sample: Sample,
    /// Values that are not in the sample.
    pub away: Vec<Arc<dyn Away>>,
    /// Of all values but those of the sample that come after the first `taken`
    /// keys, and those that are counted.
    settled: Facts,
    taken: usize,
    /// When the repeated keys are next put together.
    compact_at: usize,
    /// What is known of sorted values, and their facts.
    ready: Option<Arc<(Ready, Facts)>>,
}

/// Moments are taken of this many values at a time, whatever the batches they
/// came in: sums of floats depend on the order.
const BLOCK: usize = 1024;

const COMPACT_AT: usize = 1 << 17;

impl Numbers {
    pub fn new(scale: Scale) -> Self {
        Self {
            scale,
            sample: Sample::default(),
            away: Vec::new(),
            settled: Facts::default(),
            taken: 0,
            compact_at: COMPACT_AT,
            ready: None,
        }
    }

    /// Forgets everything but the room it has for values.
    pub fn reset(&mut self, scale: Scale) {
        self.sample.clear();
        self.away.clear();
        self.settled = Facts::default();
        self.taken = 0;
        self.scale = scale;
        self.compact_at = COMPACT_AT;
        self.ready = None;
    }

    pub fn push_nulls(&mut self, count: u64) {
        self.ready = None;
        self.settled.nulls += count;
    }

    /// The facts of all values, a few of which are looked at now.
    pub fn facts(&self) -> Facts {
        if let Some(known) = &self.ready {
            return known.1;
        }
        let mut facts = self.settled;
        take_block(&mut facts, self.scale, &self.sample.keys[self.taken..]);
        let mut counted = self.sample.counted.clone();
        put_together(&mut counted);
        for (key, count) in counted {
            let value = self.scale.value(key);
            if value == 0.0 {
                facts.zeros += count;
            }
            facts.min = facts.min.min(value);
            facts.max = facts.max.max(value);
            facts.take(count, value, 0.0);
        }
        facts
    }

    pub fn rows(&self) -> u64 {
        let Facts { values, nulls, nans, infinities, .. } = self.settled;
        let loose = (self.sample.keys.len() - self.taken) as u64;
        let counted = self.sample.counted.iter().map(|(_, count)| count).sum::<u64>();
        values + nulls + nans + infinities + loose + counted
    }

    /// Sorts the values, to be compared with many others.
    pub fn make_ready(&mut self) {
        take_block(&mut self.settled, self.scale, &self.sample.keys[self.taken..]);
        self.taken = self.sample.keys.len();
        put_together(&mut self.sample.counted);
        let facts = self.facts();
        self.ready = Ready::of(self.scale, &mut self.sample).map(|ready| Arc::new((ready, facts)));
    }

    pub fn ready(&self) -> Option<&Ready> {
        self.ready.as_ref().map(|known| &known.0)
    }

    /// Hands over the values, whose facts stay.
    pub fn take_sample(&mut self) -> Sample {
        self.ready = None;
        self.settled = self.facts();
        self.taken = 0;
        std::mem::take(&mut self.sample)
    }

    /// Takes in one key per value.
    pub fn push(&mut self, keys: &[u64]) {
        self.ready = None;
        for block in keys.chunks(BLOCK) {
            if self.scale == Scale::Float && !block.iter().all(|key| is_finite(*key)) {
                for key in block {
                    if self.keep(*key, 1) {
                        self.sample.keys.push(*key);
                    }
                }
            } else {
                self.sample.keys.extend_from_slice(block);
            }
            while let Some(block) = self.sample.keys[self.taken..].get(..BLOCK) {
                take_block(&mut self.settled, self.scale, block);
                self.taken += BLOCK;
            }
        }
    }

    /// Takes in keys with how often each is there.
    pub fn push_counted(&mut self, entries: impl Iterator<Item = (u64, u64)>) {
        self.ready = None;
        for (key, count) in entries.filter(|(_, count)| *count > 0) {
            if self.scale != Scale::Float || self.keep(key, count) {
                self.sample.counted.push((key, count));
            }
        }
        if self.sample.counted.len() > self.compact_at {
            // So that many row groups take no more room than one.
            put_together(&mut self.sample.counted);
            self.compact_at = (self.sample.counted.len() * 2).max(COMPACT_AT);
        }
    }

    /// All values, each key once with its count.
    ///
    /// # Errors
    /// When values that were put away cannot be had back.
    pub fn rising(&self) -> io::Result<Rising<'_>> {
        let mut keys = self.sample.keys.clone();
        keys.sort_unstable();
        let mut counted = self.sample.counted.clone();
        counted.sort_unstable();
        let keys = keys.into_iter().map(|key| Ok((key, 1)));
        let mut streams: Vec<Rising<'_>> =
            vec![Box::new(keys), Box::new(counted.into_iter().map(Ok))];
        for away in &self.away {
            streams.push(away.rising()?);
        }
        merged(streams)
    }

    /// Whether a key is a finite number; what is not is counted.
    fn keep(&mut self, key: u64, count: u64) -> bool {
        if is_finite(key) {
            return true;
        }
        if Float::value(key).is_nan() {
            self.settled.nans += count;
        } else {
            self.settled.infinities += count;
        }
        false
    }
}

/// One entry per key, in their order.
fn put_together(counted: &mut Vec<(u64, u64)>) {
    counted.sort_unstable();
    counted.dedup_by(|next, kept| {
        let same = next.0 == kept.0;
        if same {
            kept.1 += next.1;
        }
        same
    });
}

/// Takes in the moments of a block of finite values.
fn take_block(facts: &mut Facts, scale: Scale, keys: &[u64]) {
    match scale {
        Scale::Float => take_block_of::<Float>(facts, scale, keys),
        Scale::Signed { .. } => take_block_of::<Signed>(facts, scale, keys),
        Scale::Unsigned => take_block_of::<Unsigned>(facts, scale, keys),
    }
}

fn take_block_of<K: Key>(facts: &mut Facts, scale: Scale, keys: &[u64]) {
    let per_unit = scale.per_unit();
    let Some(first) = keys.first().map(|key| K::value(*key)) else { return };
    let mut sums = [0.0; 8];
    let mut squares = [0.0; 8];
    let mut zeros = 0u64;
    let (mut low, mut high) = (first, first);
    for part in keys.chunks(8) {
        for (lane, key) in part.iter().enumerate() {
            let value = K::value(*key);
            let off = value - first;
            sums[lane] += off;
            squares[lane] += off * off;
            zeros += u64::from(value == 0.0);
            low = if value < low { value } else { low };
            high = if value > high { value } else { high };
        }
    }
    let count = keys.len() as f64;
    let (sum, square) = (sums.iter().sum::<f64>(), squares.iter().sum::<f64>());
    let mean = sum / count;
    facts.zeros += zeros;
    facts.min = facts.min.min(low / per_unit);
    facts.max = facts.max.max(high / per_unit);
    let around_mean = (square - sum * mean).max(0.0);
    let squares = around_mean / per_unit / per_unit;
    facts.take(keys.len() as u64, (first + mean) / per_unit, squares);
}

/// Keys of numbers that are not finite lie beyond those of the infinities.
#[inline(always)]
fn is_finite(key: u64) -> bool {
    const LOWEST: u64 = !f64::NEG_INFINITY.to_bits();
    const HIGHEST: u64 = f64::INFINITY.to_bits() | 1 << 63;
    (key > LOWEST) & (key < HIGHEST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::keys::of_float;
    use crate::stats::pair::{self, Bins};
    use proptest::prelude::*;

    fn pushed(keys: &[u64], cuts: &[usize]) -> Numbers {
        let mut numbers = Numbers::new(Scale::Float);
        let mut rest = keys;
        for cut in cuts {
            let (now, later) = rest.split_at((*cut).min(rest.len()));
            numbers.push(now);
            rest = later;
        }
        numbers.push(rest);
        numbers
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]
        #[test]
        fn how_values_are_cut_into_batches_changes_no_bit(
            values in prop::collection::vec(prop::num::f64::ANY, 1..5000),
            cuts in prop::collection::vec(0usize..2500, 0..8),
            asked in any::<bool>(),
        ) {
            let keys: Vec<u64> = values.iter().map(|value| of_float(*value)).collect();
            let whole = pushed(&keys, &[]);
            let mut parts = pushed(&keys, &cuts);
            prop_assert_eq!(whole.rows(), values.len() as u64);
            if asked {
                // Looking changes nothing either.
                parts.facts();
            }
            prop_assert_eq!(format!("{:?}", whole.facts()), format!("{:?}", parts.facts()));
            prop_assert_eq!(&whole.sample.keys, &parts.sample.keys);
            prop_assert_eq!(parts.rows(), parts.facts().rows());
            parts.take_sample();
            prop_assert_eq!(parts.rows(), whole.rows());
        }

        #[test]
        fn counted_values_have_the_facts_of_any_order(
            mut counted in prop::collection::vec((-50i32..50, 1u64..9), 1..60),
        ) {
            let column = |entries: &[(i32, u64)]| {
                let mut numbers = Numbers::new(Scale::Float);
                for (value, count) in entries {
                    numbers.push_counted([(of_float(f64::from(*value)), *count)].into_iter());
                }
                numbers
            };
            let there = column(&counted).facts();
            counted.reverse();
            prop_assert_eq!(there, column(&counted).facts());
        }

        #[test]
        fn distances_know_no_side_no_scale_and_no_name_of_a_value(
            a in prop::collection::vec(-100.0..100.0f64, 1..300),
            b in prop::collection::vec(-100.0..100.0f64, 1..9000),
        ) {
            let compare = |a: &[f64], b: &[f64], map: fn(f64) -> f64| {
                let side = |values: &[f64]| {
                    let keys: Vec<u64> = values.iter().map(|value| of_float(map(*value))).collect();
                    pushed(&keys, &[]).sample
                };
                pair::compare(Scale::Float, [&side(a), &side(b)], None, &[], &Bins::Edges(Vec::new()))
            };
            let there = compare(&a, &b, |x| x);
            let back = compare(&b, &a, |x| x);
            prop_assert_eq!(there.ks, back.ks);
            prop_assert!((there.wasserstein - back.wasserstein).abs() < 1e-9 * (1.0 + there.wasserstein));
            prop_assert_eq!(there.ks, compare(&a, &b, |x| x.powi(3) + x).ks);
            let scaled = compare(&a, &b, |x| x * -3.0 + 7.0);
            prop_assert!((scaled.wasserstein - 3.0 * there.wasserstein).abs() < 1e-8 * (1.0 + there.wasserstein));
            prop_assert_eq!(compare(&a, &a, |x| x).wasserstein, 0.0);
        }
    }
}
