//! Two sides of a column of categories.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::bins::of_counts;
use super::compare::{Compared, Effect, nothing_to_compare};
use super::profile::{MOST_FREQUENT, Profile, Value};
use crate::config::Statistic;
use crate::report::shortened;
use crate::stats::chance::{Additive, without_drift};
use crate::stats::column::{Categories, Kind};
use crate::stats::distinct::Distinct;
use crate::stats::numeric::Tested;
use crate::stats::shares::Zero;
use crate::stats::{categorical, shares};

/// Categories beyond this many are drawn together.
pub(super) const SHOWN: usize = 12;

/// The counts of both sides by category, in the order of their bytes: sums come
/// out the same whatever the hashing.
pub(super) fn joined(sides: [&Categories; 2]) -> BTreeMap<&[u8], [u64; 2]> {
    let mut joined = BTreeMap::<&[u8], [u64; 2]>::new();
    for (at, side) in sides.into_iter().enumerate() {
        for (category, count) in &side.counts {
            joined.entry(category).or_default()[at] = *count;
        }
    }
    joined
}

pub(super) fn counts_of(joined: &BTreeMap<&[u8], [u64; 2]>) -> [Vec<u64>; 2] {
    [0, 1].map(|side| joined.values().map(|pair| pair[side]).collect())
}

pub(super) fn categories(column: &str, sides: [&Categories; 2], zero: Zero) -> Compared {
    let profiles = sides.map(|side| Profile {
        nulls: side.nulls,
        distinct: Some(Distinct::exact(side.counts.len() as u64)),
        frequent: frequent(side),
        ..Profile::of_rows(side.rows())
    });
    if sides.iter().any(|side| side.counts.is_empty()) {
        return nothing_to_compare(column, Kind::Categories, profiles);
    }
    let joined = joined(sides);
    let counts = counts_of(&joined);
    let only = |side: usize| -> Vec<String> {
        let mut found: Vec<_> = joined.iter().filter(|(_, pair)| pair[1 - side] == 0).collect();
        found.sort_by_key(|(_, pair)| Reverse(pair[side]));
        found.into_iter().map(|(category, _)| name(category)).collect()
    };
    let (test, tested) = independence(&counts);
    let mut effects = of_counts(&counts, zero);
    effects.push(cramers_v(&counts));
    effects.push(unseen(&counts));
    let labels = joined.keys().map(|category| name(category)).collect();
    let (labels, folded) = fold(labels, [shares::shares(&counts[0]), shares::shares(&counts[1])]);
    Compared {
        column: column.to_owned(),
        kind: Kind::Categories,
        profiles,
        effects,
        test,
        tested,
        nulls_tested: Tested { statistic: 0.0, p_value: 1.0 },
        labels,
        shares: folded,
        new: only(1),
        vanished: only(0),
        foreign: None,
        more: Vec::new(),
        own: None,
        learnt: None,
    }
    .with_nulls_tested()
}

/// As it is told: texts of any length are categories, too.
fn name(bytes: &[u8]) -> String {
    /// Characters.
    const LONGEST: usize = 80;
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(LONGEST * 4 + 4)]);
    shortened(&text, LONGEST)
}

/// The most frequent categories, those of one count in the order of their names.
fn frequent(side: &Categories) -> Vec<(Value, u64)> {
    let mut found: Vec<_> = side.counts.iter().collect();
    let order =
        |a: &(&Vec<u8>, &u64), b: &(&Vec<u8>, &u64)| b.1.cmp(a.1).then_with(|| a.0.cmp(b.0));
    if found.len() > MOST_FREQUENT {
        found.select_nth_unstable_by(MOST_FREQUENT, order);
        found.truncate(MOST_FREQUENT);
    }
    found.sort_by(order);
    found.into_iter().map(|(bytes, count)| (Value::Text(name(bytes)), *count)).collect()
}

/// Cramer's V, and without its bias (Bergsma 2013).
fn cramers_v([a, b]: &[Vec<u64>; 2]) -> Effect {
    let total = (a.iter().sum::<u64>() + b.iter().sum::<u64>()) as f64;
    let value = categorical::cramers_v(a, b);
    let freedom = a.len() as f64 - 1.0;
    let corrected = (value * value - freedom / (total - 1.0)).max(0.0).sqrt();
    Effect { statistic: Statistic::CramersV, value, corrected, error: 0.0 }
}

/// What is new, and without what is new by chance: rare categories come and go.
fn unseen([a, b]: &[Vec<u64>; 2]) -> Effect {
    let value = shares::unseen(a, b);
    let [by_chance] = without_drift([Additive::Unseen], a, b);
    let corrected = (value - by_chance).max(0.0);
    Effect { statistic: Statistic::Unseen, value, corrected, error: 0.0 }
}

/// A test that holds its level also where counts are small: categories with
/// less than five expected values on a side are taken together, as few as will
/// do and in the order of their names, which knows nothing of the sides
/// (Cochran 1954); a table of two small categories is tested exactly.
fn independence([a, b]: &[Vec<u64>; 2]) -> (&'static str, Tested) {
    const ENOUGH: f64 = 5.0;
    let (n, m) = (a.iter().sum::<u64>() as f64, b.iter().sum::<u64>() as f64);
    let smaller = n.min(m) / (n + m);
    let enough = |pair: [u64; 2]| (pair[0] + pair[1]) as f64 * smaller >= ENOUGH;
    let mut kept: Vec<[u64; 2]> = Vec::new();
    let mut small = 0;
    let mut open = [0; 2];
    for pair in a.iter().zip(b).map(|(x, y)| [*x, *y]) {
        if enough(pair) {
            kept.push(pair);
            continue;
        }
        small += 1;
        open = [open[0] + pair[0], open[1] + pair[1]];
        if enough(open) {
            kept.push(std::mem::take(&mut open));
        }
    }
    if a.len() == 2 && small > 0 {
        return ("fisher", categorical::fisher([[a[0], a[1]], [b[0], b[1]]]));
    }
    if open != [0, 0] {
        match kept.last_mut() {
            Some(last) => *last = [last[0] + open[0], last[1] + open[1]],
            None => kept.push(open),
        }
    }
    let counts = [0, 1].map(|side| kept.iter().map(|pair| pair[side]).collect::<Vec<u64>>());
    ("chi²", categorical::chi_squared(&counts[0], &counts[1]))
}

/// The most frequent categories, and the rest in one.
fn fold(labels: Vec<String>, shares: [Vec<f64>; 2]) -> (Vec<String>, [Vec<f64>; 2]) {
    if labels.len() <= SHOWN {
        return (labels, shares);
    }
    let mut order: Vec<usize> = (0..labels.len()).collect();
    order.sort_by(|a, b| {
        (shares[0][*b] + shares[1][*b]).total_cmp(&(shares[0][*a] + shares[1][*a]))
    });
    let (top, rest) = order.split_at(SHOWN - 1);
    let mut names: Vec<String> = top.iter().map(|at| labels[*at].clone()).collect();
    names.push("other".into());
    let folded = shares.map(|side| {
        let mut kept: Vec<f64> = top.iter().map(|at| side[*at]).collect();
        kept.push(rest.iter().map(|at| side[*at]).sum());
        kept
    });
    (names, folded)
}
