//! The verdicts of other tools, for those who come from them: their tests,
//! their choice between them, their thresholds, their mistakes.

pub(super) mod databricks;
pub(super) mod evidently;
pub(super) mod nannyml;

use std::collections::BTreeMap;

use crate::stats::column::{Categories, Numbers};

/// Another tool's verdict on a column.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::drift_check) struct Foreign {
    pub(in crate::drift_check) method: &'static str,
    pub(in crate::drift_check) score: f64,
    pub(in crate::drift_check) threshold: f64,
    pub(in crate::drift_check) drifted: bool,
}

impl Foreign {
    /// A p-value, below which there is drift.
    fn significance(method: &'static str, p: f64) -> Self {
        Self { method, score: p, threshold: 0.05, drifted: p < 0.05 }
    }

    /// A distance, from which on there is drift.
    fn distance(method: &'static str, score: f64) -> Self {
        Self { method, score, threshold: 0.1, drifted: score >= 0.1 }
    }
}

fn values(numbers: &Numbers) -> BTreeMap<u64, u64> {
    let mut found = BTreeMap::new();
    let single = numbers.sample.keys.iter().map(|key| (*key, 1));
    for (key, count) in single.chain(numbers.sample.counted.iter().copied()) {
        *found.entry(key).or_default() += count;
    }
    found
}

fn texts(categories: &Categories) -> BTreeMap<&[u8], u64> {
    categories.counts.iter().map(|(text, count)| (text.as_slice(), *count)).collect()
}

/// The counts of both sides, in the order of the values.
fn join<K: Ord + Copy>(a: &BTreeMap<K, u64>, b: &BTreeMap<K, u64>) -> Vec<[u64; 2]> {
    let mut joined = BTreeMap::<K, [u64; 2]>::new();
    for (at, side) in [a, b].into_iter().enumerate() {
        for (key, count) in side {
            joined.entry(*key).or_default()[at] = *count;
        }
    }
    joined.into_values().collect()
}

fn split(joined: &[[u64; 2]]) -> [Vec<u64>; 2] {
    [0, 1].map(|side| joined.iter().map(|pair| pair[side]).collect())
}
