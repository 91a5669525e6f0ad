//! One pass over a column of one side: what is counted while its values go by.

use hashbrown::HashMap;
use hashbrown::hash_map::EntryRef;

use super::embedding::Embedding;
use super::keys::Scale;
pub use super::numbers::{Facts, Numbers};

/// A column of categories, by their bytes.
#[derive(Debug, Clone, Default)]
pub struct Categories {
    pub nulls: u64,
    pub counts: HashMap<Vec<u8>, u64>,
    /// Bytes of all categories, each once.
    text: u64,
}

impl Categories {
    pub fn push_nulls(&mut self, count: u64) {
        self.nulls += count;
    }

    pub fn push(&mut self, category: &[u8], count: u64) {
        if count == 0 {
            return;
        }
        match self.counts.entry_ref(category) {
            EntryRef::Occupied(mut known) => *known.get_mut() += count,
            EntryRef::Vacant(place) => {
                self.text += category.len() as u64;
                place.insert(count);
            }
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
    /// Of times that were read here.
    pub span: Option<Span>,
}

/// The first and the last of times, in microseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    pub first: i64,
    pub last: i64,
}

impl Span {
    /// Both as people write them; a time that no calendar has, as its number.
    pub fn shown(self) -> [String; 2] {
        let start = jiff::civil::date(1970, 1, 1).at(0, 0, 0, 0);
        [self.first, self.last].map(|micros| {
            let time = start.checked_add(jiff::SignedDuration::from_micros(micros));
            time.map_or_else(|_| micros.to_string(), |time| format!("{time}Z"))
        })
    }

    pub(super) fn over(self, other: Self) -> Self {
        Self { first: self.first.min(other.first), last: self.last.max(other.last) }
    }
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

    /// Makes ready for a comparison with many others.
    pub fn make_ready(&mut self) {
        if let Self::Numbers(numbers) = self {
            numbers.make_ready();
        }
    }

    /// About how many bytes its values take.
    pub fn held(&self) -> u64 {
        /// A text's allocation, its count and its place in the table.
        const PER_CATEGORY: u64 = 72;
        match self {
            Self::Numbers(numbers) => {
                let sample = &numbers.sample;
                sample.keys.len() as u64 * 8 + sample.counted.len() as u64 * 16
            }
            Self::Categories(categories) => {
                categories.counts.len() as u64 * PER_CATEGORY + categories.text
            }
            Self::Embedding(embedding) => embedding.held(),
            Self::Presence(_) => 0,
        }
    }

    pub fn rows(&self) -> u64 {
        match self {
            Self::Numbers(numbers) => numbers.rows(),
            Self::Categories(categories) => categories.rows(),
            Self::Presence(presence) => presence.values + presence.nulls,
            Self::Embedding(embedding) => embedding.rows(),
        }
    }
}
