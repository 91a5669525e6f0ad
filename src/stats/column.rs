//! One pass over a column of one side: what is counted while its values go by.

use std::io;
use std::sync::Arc;

use hashbrown::HashMap;

use super::away::{Away, Rising, merged};
use super::embedding::Embedding;
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
    pub facts: Facts,
    pub sample: Sample,
    /// Values that are not in the sample.
    pub away: Vec<Arc<dyn Away>>,
    /// When the repeated keys are next put together.
    compact_at: usize,
}

/// Moments are taken of this many values at a time, while they are at hand.
const BLOCK: usize = 1024;

const COMPACT_AT: usize = 1 << 17;

impl Numbers {
    pub fn new(scale: Scale) -> Self {
        Self {
            scale,
            facts: Facts::default(),
            sample: Sample::default(),
            away: Vec::new(),
            compact_at: COMPACT_AT,
        }
    }

    /// Forgets everything but the room it has for values.
    pub fn reset(&mut self, scale: Scale) {
        self.sample.clear();
        self.away.clear();
        self.facts = Facts::default();
        self.scale = scale;
        self.compact_at = COMPACT_AT;
    }

    pub fn push_nulls(&mut self, count: u64) {
        self.facts.nulls += count;
    }

    /// Takes in one key per value.
    pub fn push(&mut self, keys: &[u64]) {
        match self.scale {
            Scale::Float => self.push_of::<Float>(keys),
            Scale::Signed { .. } => self.push_of::<Signed>(keys),
            Scale::Unsigned => self.push_of::<Unsigned>(keys),
        }
    }

    fn push_of<K: Key>(&mut self, keys: &[u64]) {
        for block in keys.chunks(BLOCK) {
            if self.scale == Scale::Float && !block.iter().all(|key| is_finite(*key)) {
                let finite: Vec<u64> =
                    block.iter().copied().filter(|key| self.keep(*key, 1)).collect();
                self.block::<K>(&finite);
            } else {
                self.block::<K>(block);
            }
        }
    }

    fn block<K: Key>(&mut self, keys: &[u64]) {
        let per_unit = self.scale.per_unit();
        let Some(first) = keys.first().map(|key| K::value(*key)) else { return };
        self.sample.keys.extend_from_slice(keys);
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
        self.facts.zeros += zeros;
        self.facts.min = self.facts.min.min(low / per_unit);
        self.facts.max = self.facts.max.max(high / per_unit);
        let around_mean = (square - sum * mean).max(0.0);
        let squares = around_mean / per_unit / per_unit;
        self.facts.take(keys.len() as u64, (first + mean) / per_unit, squares);
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

    /// Takes in keys with how often each is there.
    pub fn push_counted(&mut self, entries: impl Iterator<Item = (u64, u64)>) {
        for (key, count) in entries.filter(|(_, count)| *count > 0) {
            if self.scale == Scale::Float && !self.keep(key, count) {
                continue;
            }
            let value = self.scale.value(key);
            if value == 0.0 {
                self.facts.zeros += count;
            }
            self.facts.min = self.facts.min.min(value);
            self.facts.max = self.facts.max.max(value);
            self.facts.take(count, value, 0.0);
            self.sample.counted.push((key, count));
        }
        if self.sample.counted.len() > self.compact_at {
            self.compact();
        }
    }

    /// One entry per key, so that many row groups take no more room than one.
    fn compact(&mut self) {
        let counted = &mut self.sample.counted;
        counted.sort_unstable();
        counted.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            if same {
                kept.1 += next.1;
            }
            same
        });
        self.compact_at = (counted.len() * 2).max(COMPACT_AT);
    }

    /// Whether a key is a finite number; what is not is counted.
    fn keep(&mut self, key: u64, count: u64) -> bool {
        if is_finite(key) {
            return true;
        }
        if Float::value(key).is_nan() {
            self.facts.nans += count;
        } else {
            self.facts.infinities += count;
        }
        false
    }
}

/// Keys of numbers that are not finite lie beyond those of the infinities.
#[inline(always)]
fn is_finite(key: u64) -> bool {
    const LOWEST: u64 = !f64::NEG_INFINITY.to_bits();
    const HIGHEST: u64 = f64::INFINITY.to_bits() | 1 << 63;
    (key > LOWEST) & (key < HIGHEST)
}

/// A column of categories, by their bytes.
#[derive(Debug, Clone, Default)]
pub struct Categories {
    pub nulls: u64,
    pub counts: HashMap<Vec<u8>, u64>,
}

impl Categories {
    pub fn push_nulls(&mut self, count: u64) {
        self.nulls += count;
    }

    pub fn push(&mut self, category: &[u8], count: u64) {
        if count > 0 {
            *self.counts.entry_ref(category).or_default() += count;
        }
    }

    pub fn values(&self) -> u64 {
        self.counts.values().sum()
    }

    pub fn rows(&self) -> u64 {
        self.values() + self.nulls
    }
}

/// A column whose values are not looked at: times, bytes, nested ones.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Presence {
    pub values: u64,
    pub nulls: u64,
}

/// A column, by how its values are compared.
#[derive(Debug, Clone)]
pub enum Column {
    Numbers(Numbers),
    Categories(Categories),
    Presence(Presence),
    Embedding(Embedding),
}

/// How a column's values are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    Numbers(Scale),
    Categories,
    /// Whether there is a value, and nothing else.
    Presence,
    /// Lists of numbers as points.
    Embedding,
}

/// What columns that can be compared have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Numbers,
    Categories,
    /// Embeddings.
    Points,
    /// By the share of its nulls alone.
    Presence,
    /// No column: what lies between all of them.
    Together,
    /// No column: how well a model predicts.
    Performance,
}

impl Kind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Numbers => "numeric",
            Self::Categories => "categorical",
            Self::Points => "embedding",
            Self::Presence => "presence",
            Self::Together => "together",
            Self::Performance => "performance",
        }
    }

    pub fn plural(self) -> &'static str {
        match self {
            Self::Numbers => "numbers",
            Self::Categories => "categories",
            Self::Points => "embeddings",
            Self::Presence => "columns that are compared by their nulls alone",
            Self::Together => "all columns together",
            Self::Performance => "the performance of a model",
        }
    }
}

impl Measure {
    pub fn kind(self) -> Kind {
        match self {
            Self::Numbers(_) => Kind::Numbers,
            Self::Categories => Kind::Categories,
            Self::Embedding => Kind::Points,
            Self::Presence => Kind::Presence,
        }
    }

    /// What both sides can be compared as; numbers of different kinds as floats.
    pub fn common(self, other: Self) -> Option<Self> {
        match (self, other) {
            (Self::Numbers(a), Self::Numbers(b)) if a != b => Some(Self::Numbers(Scale::Float)),
            (a, b) if a == b => Some(a),
            _ => None,
        }
    }
}

impl Column {
    pub fn new(measure: Measure) -> Self {
        match measure {
            Measure::Numbers(scale) => Self::Numbers(Numbers::new(scale)),
            Measure::Categories => Self::Categories(Categories::default()),
            Measure::Presence => Self::Presence(Presence::default()),
            Measure::Embedding => Self::Embedding(Embedding::default()),
        }
    }

    /// An empty column, in the room of a spare one where that fits.
    pub fn reuse(measure: Measure, spare: Option<Self>) -> Self {
        match (measure, spare) {
            (Measure::Numbers(scale), Some(Self::Numbers(mut numbers))) => {
                numbers.reset(scale);
                Self::Numbers(numbers)
            }
            (measure, _) => Self::new(measure),
        }
    }

    pub fn push_nulls(&mut self, count: u64) {
        match self {
            Self::Numbers(numbers) => numbers.push_nulls(count),
            Self::Categories(categories) => categories.push_nulls(count),
            Self::Presence(presence) => presence.nulls += count,
            Self::Embedding(embedding) => embedding.nulls += count,
        }
    }

    /// About how many bytes its values take.
    pub fn held(&self) -> u64 {
        /// A short text, its count and its place in the table.
        const PER_CATEGORY: u64 = 80;
        match self {
            Self::Numbers(numbers) => {
                let sample = &numbers.sample;
                sample.keys.len() as u64 * 8 + sample.counted.len() as u64 * 16
            }
            Self::Categories(categories) => categories.counts.len() as u64 * PER_CATEGORY,
            Self::Embedding(embedding) => embedding.held(),
            Self::Presence(_) => 0,
        }
    }

    pub fn rows(&self) -> u64 {
        match self {
            Self::Numbers(numbers) => numbers.facts.rows(),
            Self::Categories(categories) => categories.rows(),
            Self::Presence(presence) => presence.values + presence.nulls,
            Self::Embedding(embedding) => embedding.rows(),
        }
    }
}
