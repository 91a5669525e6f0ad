//! Two columns of numbers, compared exactly while they go by in rising order:
//! for values that do not fit in memory. What [`pair`](super::pair) finds
//! without sorting is found here from both sides' sorted streams.

use std::io;
use std::iter::Peekable;

use super::away::Rising;
use super::column::Numbers;
use super::distinct::Distinct;
use super::gap::Walked;
use super::keys::{Float, Key, Scale, Signed, Unsigned};
use super::pair::{Asked, Bins, Comparison, Edge};

/// Compares two columns that have values, on one scale.
///
/// # Errors
/// When values that were put away cannot be had back.
pub fn compare(sides: [&Numbers; 2], quantiles: &[f64], bins: &Bins) -> io::Result<Comparison> {
    match sides[0].scale {
        Scale::Float => compare_as::<Float>(sides, quantiles, bins),
        Scale::Signed { .. } => compare_as::<Signed>(sides, quantiles, bins),
        Scale::Unsigned => compare_as::<Unsigned>(sides, quantiles, bins),
    }
}

fn compare_as<K: Key>(
    sides: [&Numbers; 2],
    quantiles: &[f64],
    bins: &Bins,
) -> io::Result<Comparison> {
    let scale = sides[0].scale;
    let totals = sides.map(|side| side.facts().values);
    let asked = Asked::new(quantiles, bins, totals);
    let mut walked = Walked::new(totals, &asked.ranks);
    let centre = sides[0].facts().mean * scale.per_unit();
    let mut streams = [sides[0].rising()?.peekable(), sides[1].rising()?.peekable()];
    while let Some(key) = first(&mut streams)? {
        let counts = [take(&mut streams[0], key)?, take(&mut streams[1], key)?];
        walked.point(K::value(key) - centre, scale.value(key), counts);
    }
    let edges = asked.edges(bins, &walked.at_ranks);
    let counts = [bin(sides[0], &edges)?, bin(sides[1], &edges)?];
    Ok(Comparison {
        ks: walked.ks,
        wasserstein: walked.wasserstein.max(0.0) / scale.per_unit(),
        quantiles: [0, 1].map(|side| asked.at(side, quantiles, &walked.at_ranks)),
        edges: edges.iter().map(|edge| edge.bound()).collect(),
        counts,
        distinct: walked.points.map(Distinct::exact),
        frequent: walked.frequent(),
    })
}

/// The smallest key that is left.
fn first(streams: &mut [Peekable<Rising<'_>>; 2]) -> io::Result<Option<u64>> {
    let mut least = None;
    for stream in streams {
        let Some(head) = stream.peek() else { continue };
        let key = match head {
            Ok((key, _)) => *key,
            Err(error) => return Err(io::Error::new(error.kind(), error.to_string())),
        };
        least = Some(least.map_or(key, |least: u64| least.min(key)));
    }
    Ok(least)
}

/// How often `key`, which is not above the first one, is there.
fn take(stream: &mut Peekable<Rising<'_>>, key: u64) -> io::Result<u64> {
    let next = stream.next_if(|head| head.as_ref().map_or(true, |(first, _)| *first == key));
    Ok(next.transpose()?.map_or(0, |(_, count)| count))
}

fn bin(side: &Numbers, edges: &[Edge]) -> io::Result<Vec<u64>> {
    let mut counts = vec![0; edges.len() + 1];
    let mut bin = 0;
    for entry in side.rising()? {
        let (key, count) = entry?;
        let value = side.scale.value(key);
        while edges.get(bin).is_some_and(|edge| !edge.is_at_or_above(value)) {
            bin += 1;
        }
        counts[bin] += count;
    }
    Ok(counts)
}
