//! Indices into a dictionary: counted, or looked up.

use super::hybrid::{self, Malformed, Sink, take};
use super::page::Values;
use crate::stats::column::Numbers;

/// Values that are handed on together: what fits the first-level cache.
pub(super) const AT_ONCE: usize = 1024;

pub(super) trait Indexed: Sink {
    fn outside(&self) -> bool;
}

pub(super) fn indices(values: &Values, sink: &mut impl Indexed) -> anyhow::Result<()> {
    if values.count == 0 {
        return Ok(());
    }
    let mut bytes = &values.bytes[..];
    let width = take(&mut bytes, 1)?[0];
    hybrid::decode(bytes, width, values.count, sink)?;
    if sink.outside() {
        return Err(Malformed("an index points outside of the dictionary").into());
    }
    Ok(())
}

/// Counts by index.
pub(super) struct Count<'a> {
    counts: &'a mut [u64],
    outside: bool,
}

impl<'a> Count<'a> {
    /// `counts` has a place for each entry of the dictionary.
    pub(super) fn new(counts: &'a mut [u64]) -> Self {
        Self { counts, outside: false }
    }
}

impl Sink for Count<'_> {
    fn run(&mut self, value: u32, length: usize) {
        match self.counts.get_mut(value as usize) {
            Some(count) => *count += length as u64,
            None => self.outside = true,
        }
    }

    fn values(&mut self, values: &[u32]) {
        for value in values {
            self.run(*value, 1);
        }
    }
}

impl Indexed for Count<'_> {
    fn outside(&self) -> bool {
        self.outside
    }
}

/// Looks each value up and hands it on.
pub(super) struct LookUp<'a> {
    dictionary: &'a [u64],
    keys: &'a mut Vec<u64>,
    numbers: &'a mut Numbers,
    outside: bool,
}

impl<'a> LookUp<'a> {
    /// `keys` is a buffer.
    pub(super) fn new(
        dictionary: &'a [u64],
        keys: &'a mut Vec<u64>,
        numbers: &'a mut Numbers,
    ) -> Self {
        keys.clear();
        Self { dictionary, keys, numbers, outside: false }
    }

    pub(super) fn flush(&mut self) {
        self.numbers.push(self.keys);
        self.keys.clear();
    }
}

impl Sink for LookUp<'_> {
    fn run(&mut self, value: u32, length: usize) {
        match self.dictionary.get(value as usize) {
            Some(key) => self.numbers.push_counted(std::iter::once((*key, length as u64))),
            None => self.outside = true,
        }
    }

    fn values(&mut self, values: &[u32]) {
        let last = self.dictionary.len().saturating_sub(1);
        let mut highest = 0;
        self.keys.extend(values.iter().map(|value| {
            highest = highest.max(*value as usize);
            self.dictionary.get((*value as usize).min(last)).copied().unwrap_or_default()
        }));
        self.outside |= highest >= self.dictionary.len();
        if self.keys.len() >= AT_ONCE {
            self.flush();
        }
    }
}

impl Indexed for LookUp<'_> {
    fn outside(&self) -> bool {
        self.outside
    }
}
