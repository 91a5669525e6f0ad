//! The gap between two empirical distribution functions, from the lowest value
//! to the highest.

use super::distinct::is_frequent;
use super::pair::Sample;

/// The number of values in a cell, and their sum from the centre.
pub(super) type Tally = [f64; 2];

/// Sorted keys of one side, the same ones taken together.
pub(super) struct Runs<'a> {
    keys: &'a [u64],
    counted: &'a [(u64, u64)],
}

impl<'a> Runs<'a> {
    pub(super) fn of(sample: &'a Sample) -> Self {
        Self { keys: &sample.keys, counted: &sample.counted }
    }

    pub(super) fn first(&self) -> Option<u64> {
        match (self.keys.first(), self.counted.first()) {
            (Some(key), Some((other, _))) => Some(*key.min(other)),
            (Some(key), None) | (None, Some((key, _))) => Some(*key),
            (None, None) => None,
        }
    }

    /// How often `key`, which is not above the first one, is there.
    pub(super) fn take(&mut self, key: u64) -> u64 {
        let mut count = 0;
        while let [first, rest @ ..] = self.keys
            && *first == key
        {
            count += 1;
            self.keys = rest;
        }
        while let [(first, times), rest @ ..] = self.counted
            && *first == key
        {
            count += times;
            self.counted = rest;
        }
        count
    }
}

pub(super) struct Kept {
    pub(super) cell: u16,
    pub(super) value: f64,
    pub(super) up_to: [u64; 2],
}

/// The gap along the axis, and what it left behind.
pub(super) struct Walked<'r> {
    totals: [f64; 2],
    before: [u64; 2],
    gap: f64,
    pub(super) ks: f64,
    pub(super) wasserstein: f64,
    ranks: [&'r [u64]; 2],
    /// The values at the ranks that have been passed.
    pub(super) at_ranks: [Vec<f64>; 2],
    pub(super) kept: Vec<Kept>,
    /// The values that were looked at one by one, of each side.
    pub(super) points: [u64; 2],
    frequent: [Vec<(f64, u64)>; 2],
}

impl<'r> Walked<'r> {
    pub(super) fn new(totals: [u64; 2], ranks: &'r [Vec<u64>; 2]) -> Self {
        Self {
            totals: totals.map(|total| total as f64),
            before: [0; 2],
            gap: 0.0,
            ks: 0.0,
            wasserstein: 0.0,
            ranks: [&ranks[0], &ranks[1]],
            at_ranks: [Vec::new(), Vec::new()],
            kept: Vec::new(),
            points: [0; 2],
            frequent: [Vec::new(), Vec::new()],
        }
    }

    /// Passes the values of both sides at one place, and returns the gap before.
    fn step(&mut self, counts: [u64; 2]) -> f64 {
        let start = self.gap;
        self.before = [self.before[0] + counts[0], self.before[1] + counts[1]];
        self.gap = self.before[0] as f64 / self.totals[0] - self.before[1] as f64 / self.totals[1];
        self.ks = self.ks.max(self.gap.abs());
        start
    }

    pub(super) fn point(&mut self, from_centre: f64, value: f64, counts: [u64; 2]) {
        let start = self.step(counts);
        self.wasserstein += from_centre * (start.abs() - self.gap.abs());
        for side in [0, 1] {
            self.points[side] += u64::from(counts[side] > 0);
            if is_frequent(counts[side] as f64, self.totals[side]) {
                self.frequent[side].push((value, counts[side]));
            }
            while let [rank, rest @ ..] = self.ranks[side]
                && *rank < self.before[side]
            {
                self.at_ranks[side].push(value);
                self.ranks[side] = rest;
            }
        }
    }

    /// Passes a cell in which the gap keeps its sign.
    pub(super) fn close(&mut self, a: Tally, b: Tally) {
        let start = self.step([a[0] as u64, b[0] as u64]);
        let sign = if start + self.gap < 0.0 { -1.0 } else { 1.0 };
        self.wasserstein += sign * (b[1] / self.totals[1] - a[1] / self.totals[0]);
    }

    /// The most frequent values of each side, with how often they are there.
    pub(super) fn frequent(self) -> [Vec<(f64, u64)>; 2] {
        self.frequent.map(|mut found| {
            found.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
            found
        })
    }

    pub(super) fn keep(&mut self, cell: u16, value: f64) {
        self.kept.push(Kept { cell, value, up_to: self.before });
    }
}
