//! Two samples of numbers, compared exactly without sorting them.
//!
//! The Kolmogorov-Smirnov and the first Wasserstein distance look at the gap
//! `D = F - G` between the two empirical distribution functions. `D` moves by a
//! step at each value, so
//!
//! `W1 = sum over the values v of v (|D before v| - |D after v|)`,
//!
//! and where `D` keeps its sign over a whole cell of the axis, the cell's part
//! is a difference of two sums. Values are therefore tallied into some ten
//! thousand cells; only cells in which `D` may change its sign, in which the
//! largest `|D|` may lie, or in which a quantile or an edge lies are looked at
//! value by value. The result is that of sorting both samples.

use super::cells;
use super::cut::{Cut, PER_CELL, Ready};
use super::distinct::{Distinct, is_frequent};
use super::gap::{Kept, Runs, Tally, Walked};
use super::keys::{self, Float, Key, Scale, Signed, Unsigned};
use super::place;

/// The finite values of one side, in any order.
#[derive(Debug, Clone, Default)]
pub struct Sample {
    /// One key per value.
    pub keys: Vec<u64>,
    /// Keys that are known to repeat, with their counts. A key may stand in
    /// both lists, and in this one several times.
    pub counted: Vec<(u64, u64)>,
}

impl Sample {
    /// The number of values.
    pub fn len(&self) -> u64 {
        self.keys.len() as u64 + self.counted.iter().map(|(_, count)| count).sum::<u64>()
    }

    pub fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.counted.iter().all(|(_, count)| *count == 0)
    }

    pub fn clear(&mut self) {
        self.keys.clear();
        self.counted.clear();
    }
}

/// Where the axis is cut into bins. Bins are closed on the right, the outer
/// ones are open.
#[derive(Debug, Clone, PartialEq)]
pub enum Bins {
    /// This many bins of equal mass in the baseline. A value that fills a bin,
    /// or is the lowest edge and the least value, has a bin of its own: what lies
    /// below it does not hide beside it.
    Quantiles(u32),
    /// Rising interior edges.
    Edges(Vec<f64>),
}

/// What was found out about two samples.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// `sup |F - G|`.
    pub ks: f64,
    /// `integral |F - G|`, in the unit of the values.
    pub wasserstein: f64,
    /// The quantiles that were asked for, of both sides (type 7).
    pub quantiles: [Vec<f64>; 2],
    pub edges: Vec<f64>,
    /// The values in each bin, of both sides.
    pub counts: [Vec<u64>; 2],
    /// How many different values each side has.
    pub distinct: [Distinct; 2],
    /// The values that make up one hundredth of a side or more, the most frequent
    /// first, with how often they are there.
    pub frequent: [Vec<(f64, u64)>; 2],
}

/// Compares two samples that are not empty. `ready` is what was made ready of
/// the first, if it was.
pub fn compare(
    scale: Scale,
    sides: [&Sample; 2],
    ready: Option<&Ready>,
    quantiles: &[f64],
    bins: &Bins,
) -> Comparison {
    match scale {
        Scale::Float => cut_and_compare::<Float>(scale, sides, ready, quantiles, bins),
        Scale::Signed { .. } => cut_and_compare::<Signed>(scale, sides, ready, quantiles, bins),
        Scale::Unsigned => cut_and_compare::<Unsigned>(scale, sides, ready, quantiles, bins),
    }
}

fn cut_and_compare<K: Key>(
    scale: Scale,
    sides: [&Sample; 2],
    ready: Option<&Ready>,
    quantiles: &[f64],
    bins: &Bins,
) -> Comparison {
    let learnt;
    let cut = match ready {
        Some(ready) => &ready.cut,
        None => {
            learnt = Cut::learn::<K>(&sides, PER_CELL);
            &learnt
        }
    };
    let totals = sides.map(Sample::len);
    let kind = std::marker::PhantomData;
    Work::<K> { scale, sides, ready, totals, cut, kind }.compare(quantiles, bins)
}

/// From this many values on, both sides are gone through at once.
const PARALLEL: usize = 1 << 22;

/// Keys that are looked at together.
const AT_ONCE: usize = 1 << 10;

/// Looked at value by value.
const OPEN: u8 = 1;
/// Its values are kept, since a quantile or an edge lies here.
const KEPT: u8 = 2;

struct Work<'a, K> {
    scale: Scale,
    sides: [&'a Sample; 2],
    ready: Option<&'a Ready>,
    totals: [u64; 2],
    cut: &'a Cut,
    kind: std::marker::PhantomData<K>,
}

impl<K: Key> Work<'_, K> {
    fn compare(&self, quantiles: &[f64], bins: &Bins) -> Comparison {
        let made;
        let tallies = match self.ready {
            Some(ready) => {
                made = [Vec::new(), self.cut.tally::<K>(self.sides[1])];
                [&ready.tallies[..], &made[1]]
            }
            None => {
                made = self.both(|side| self.cut.tally::<K>(side));
                made.each_ref().map(Vec::as_slice)
            }
        };
        let asked = Asked::new(quantiles, bins, self.totals);
        let mut flags = self.flag_gaps(tallies);
        for side in [0, 1] {
            let between = side == 0 && !asked.cuts.is_empty();
            self.flag_ranks(&mut flags, tallies[side], &asked.ranks[side], between);
        }
        if let Bins::Edges(edges) = bins {
            for edge in edges {
                flags[usize::from(self.cut.cells.of(self.key_up_to(*edge)))] |= OPEN | KEPT;
            }
        }
        self.flag_frequent(&mut flags, tallies);
        let walked = self.walk(tallies, &flags, &asked.ranks);
        let edges = asked.edges(bins, &walked.at_ranks);
        let counts = self.bin(&edges, &walked.kept);
        Comparison {
            ks: walked.ks,
            wasserstein: walked.wasserstein.max(0.0) / self.scale.per_unit(),
            quantiles: [0, 1].map(|side| asked.at(side, quantiles, &walked.at_ranks)),
            edges: edges.iter().map(|edge| edge.bound()).collect(),
            counts,
            distinct: [
                self.ready.map_or_else(|| Distinct::of(self.sides[0]), |ready| ready.distinct),
                Distinct::of(self.sides[1]),
            ],
            frequent: walked.frequent(),
        }
    }

    /// Does the same to both sides; at once where that is worth a thread.
    fn both<T: Send>(&self, work: impl Fn(&Sample) -> T + Sync) -> [T; 2] {
        let [a, b] = self.sides;
        if a.keys.len().max(b.keys.len()) < PARALLEL {
            return [work(a), work(b)];
        }
        let (a, b) = rayon::join(|| work(a), || work(b));
        [a, b]
    }

    /// Opens the cells in which the gap may change its sign or be the largest.
    fn flag_gaps(&self, tallies: [&[Tally]; 2]) -> Vec<u8> {
        let [n, m] = self.totals.map(|total| total as f64);
        let steps = || {
            let mut before = [0.0; 2];
            tallies[0].iter().zip(tallies[1]).map(move |(a, b)| {
                let start = before[0] / n - before[1] / m;
                before = [before[0] + a[0], before[1] + b[0]];
                (start, before[0] / n - before[1] / m, start + a[0] / n, start - b[0] / m)
            })
        };
        let largest = steps().fold(0.0f64, |largest, (_, end, _, _)| largest.max(end.abs()));
        steps()
            .map(|(start, _, highest, lowest)| {
                let one_sign = lowest >= 0.0 || highest <= 0.0;
                let may_be_largest = highest.max(-lowest) > largest && highest != lowest;
                let still = highest == start && lowest == start;
                if still || one_sign && !may_be_largest { 0 } else { OPEN }
            })
            .collect()
    }

    /// Opens the cells in which a frequent value may lie.
    fn flag_frequent(&self, flags: &mut [u8], tallies: [&[Tally]; 2]) {
        for (tallies, total) in tallies.into_iter().zip(self.totals) {
            for (flag, tally) in flags.iter_mut().zip(tallies) {
                *flag |= if is_frequent(tally[0], total as f64) { OPEN } else { 0 };
            }
        }
    }

    /// Opens the cells of the values at `ranks`. With `between`, also those
    /// from a rank to the next: an edge may lie there.
    fn flag_ranks(&self, flags: &mut [u8], tallies: &[Tally], ranks: &[u64], between: bool) {
        let mut ranks = ranks.iter().peekable();
        let mut before = 0;
        let mut last: Option<(u64, usize)> = None;
        for (cell, tally) in tallies.iter().enumerate() {
            before += tally[0] as u64;
            while let Some(rank) = ranks.next_if(|rank| **rank < before) {
                flags[cell] |= OPEN | KEPT;
                if let Some((_, from)) = last.filter(|(lower, _)| between && lower + 1 == *rank) {
                    flags[from..cell].iter_mut().for_each(|flag| *flag |= OPEN | KEPT);
                }
                last = Some((*rank, cell));
            }
        }
    }

    fn walk<'r>(
        &self,
        tallies: [&[Tally]; 2],
        flags: &[u8],
        ranks: &'r [Vec<u64>; 2],
    ) -> Walked<'r> {
        let opened = match self.ready {
            Some(ready) => [ready.opened(self.sides[0], flags), self.gather(self.sides[1], flags)],
            None => self.both(|side| self.gather(side, flags)),
        };
        let mut runs = opened.each_ref().map(Runs::of);
        let mut walked = Walked::new(self.totals, ranks);
        for (cell, flag) in flags.iter().enumerate() {
            if *flag == 0 {
                walked.close(tallies[0][cell], tallies[1][cell]);
                continue;
            }
            if flag & KEPT != 0 {
                walked.keep(cell as u16, f64::NEG_INFINITY);
            }
            while let Some(key) = self.next_key(&runs, cell) {
                let counts = [runs[0].take(key), runs[1].take(key)];
                walked.point(K::value(key) - self.cut.centre, self.scale.value(key), counts);
                if flag & KEPT != 0 {
                    walked.keep(cell as u16, self.scale.value(key));
                }
            }
        }
        walked
    }

    /// The smallest key of both sides that is left in this cell.
    fn next_key(&self, runs: &[Runs<'_>; 2], cell: usize) -> Option<u64> {
        let key = match [runs[0].first(), runs[1].first()] {
            [Some(a), Some(b)] => a.min(b),
            [Some(only), None] | [None, Some(only)] => only,
            [None, None] => return None,
        };
        (usize::from(self.cut.cells.of(key)) == cell).then_some(key)
    }

    fn gather(&self, side: &Sample, flags: &[u8]) -> Sample {
        let mut open = [0; cells::MOST];
        open[..flags.len()].copy_from_slice(flags);
        let is_open = |key: u64| open[usize::from(self.cut.cells.of(key))] != 0;
        let mut keys = Vec::new();
        // Whether a key is kept is hard to foresee: each is written, and the next one over it.
        let mut found = [0; AT_ONCE];
        for part in side.keys.chunks(AT_ONCE) {
            let mut kept = 0;
            for key in part {
                found[kept % AT_ONCE] = *key;
                kept += usize::from(is_open(*key));
            }
            keys.extend_from_slice(&found[..kept]);
        }
        let mut counted: Vec<(u64, u64)> =
            side.counted.iter().copied().filter(|(key, _)| is_open(*key)).collect();
        keys.sort_unstable();
        counted.sort_unstable();
        Sample { keys, counted }
    }

    /// The values up to each edge are those of the cells before, and those of
    /// its own cell that are not above it.
    fn bin(&self, edges: &[Edge], kept: &[Kept]) -> [Vec<u64>; 2] {
        let up_to: Vec<[u64; 2]> = edges
            .iter()
            .map(|edge| {
                let cell = self.cut.cells.of(self.key_up_to(edge.value));
                let after = kept.partition_point(|kept| {
                    kept.cell < cell || kept.cell == cell && edge.is_at_or_above(kept.value)
                });
                after.checked_sub(1).map_or([0; 2], |at| kept[at].up_to)
            })
            .chain([self.totals])
            .collect();
        [0, 1].map(|side| {
            let mut before = 0;
            up_to
                .iter()
                .map(|up_to| {
                    let count = up_to[side] - before;
                    before = up_to[side];
                    count
                })
                .collect()
        })
    }

    /// The largest key whose number is not above `edge`.
    fn key_up_to(&self, edge: f64) -> u64 {
        let digits = match self.scale {
            Scale::Float => return keys::of_float(edge),
            Scale::Unsigned => return edge.floor() as u64,
            Scale::Signed { digits } => digits,
        };
        let key = keys::of_signed((edge * 10f64.powi(i32::from(digits))).floor() as i64);
        // The product may have been rounded down below a whole number.
        let next = key.saturating_add(1);
        if self.scale.value(next) <= edge { next } else { key }
    }
}

/// The quantiles and bins that are asked for, and the ranks that tell them.
pub(super) struct Asked {
    totals: [u64; 2],
    /// The baseline's quantiles at which bins end; the first is the least value.
    cuts: Vec<f64>,
    pub(super) ranks: [Vec<u64>; 2],
}

impl Asked {
    pub(super) fn new(quantiles: &[f64], bins: &Bins, totals: [u64; 2]) -> Self {
        let cuts: Vec<f64> = match bins {
            Bins::Quantiles(count) => {
                (0..*count).map(|at| f64::from(at) / f64::from(*count)).collect()
            }
            Bins::Edges(_) => Vec::new(),
        };
        let both: Vec<f64> = quantiles.iter().chain(&cuts).copied().collect();
        let ranks = [ranks(&both, totals[0]), ranks(quantiles, totals[1])];
        Self { totals, cuts, ranks }
    }

    /// Quantiles of a side, from its values at the ranks.
    pub(super) fn at(&self, side: usize, wanted: &[f64], at_ranks: &[Vec<f64>; 2]) -> Vec<f64> {
        let (ranks, values) = (&self.ranks[side], &at_ranks[side]);
        wanted.iter().map(|q| interpolate(*q, self.totals[side], ranks, values)).collect()
    }

    pub(super) fn edges(&self, bins: &Bins, at_ranks: &[Vec<f64>; 2]) -> Vec<Edge> {
        match bins {
            Bins::Edges(edges) => edges.iter().copied().map(Edge::up_to).collect(),
            Bins::Quantiles(_) => edges(&self.at(0, &self.cuts, at_ranks)),
        }
    }
}

/// The end of a bin.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Edge {
    value: f64,
    /// Whether the value itself lies beyond it.
    below: bool,
}

impl Edge {
    fn up_to(value: f64) -> Self {
        Self { value, below: false }
    }

    pub(super) fn is_at_or_above(self, value: f64) -> bool {
        if self.below { value < self.value } else { value <= self.value }
    }

    /// The largest number of its bin.
    pub(super) fn bound(self) -> f64 {
        if self.below { self.value.next_down() } else { self.value }
    }
}

/// The edges of bins, from the least value and rising quantiles.
fn edges(quantiles: &[f64]) -> Vec<Edge> {
    let mut edges: Vec<Edge> = Vec::with_capacity(quantiles.len());
    let Some((least, inner)) = quantiles.split_first() else { return edges };
    for same in inner.chunk_by(|a, b| a == b) {
        let value = same[0];
        if same.len() > 1 || value == *least {
            edges.push(Edge { value, below: true });
        }
        edges.push(Edge::up_to(value));
    }
    edges
}

/// The ranks that the quantiles lie between, rising, each once.
fn ranks(quantiles: &[f64], total: u64) -> Vec<u64> {
    let mut ranks: Vec<u64> = quantiles
        .iter()
        .flat_map(|q| {
            let place = place(*q, total);
            [place.floor() as u64, place.ceil() as u64]
        })
        .collect();
    ranks.sort_unstable();
    ranks.dedup();
    ranks
}

fn interpolate(q: f64, total: u64, ranks: &[u64], values: &[f64]) -> f64 {
    let place = place(q, total);
    let at = |rank: f64| {
        let found = ranks.binary_search(&(rank as u64)).ok();
        found.and_then(|at| values.get(at)).copied().unwrap_or(f64::NAN)
    };
    let (low, high) = (at(place.floor()), at(place.ceil()));
    low + (high - low) * (place - place.floor())
}

#[cfg(test)]
#[path = "pair_tests.rs"]
mod tests;
