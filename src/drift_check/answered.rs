//! The comparison from what a warehouse counted: a few rows per column.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};

use super::categories::categories;
use super::compare::{
    Compared, EXACT_BELOW, Measured, frequent_numbers, nothing_to_compare, of_numbers,
    presence_only,
};
use super::profile::{Profile, QUANTILES};
use super::pushdown::{Asked, Cut, INFINITE, NAN, NULL};
use crate::config::Drift;
use crate::stats::binned::{self, Bin};
use crate::stats::column::{Categories, Facts, Kind, Measure, Presence};
use crate::stats::distinct::{Distinct, is_frequent};
use crate::stats::keys::Scale;

/// Categories that are fetched of a column; more of them are no categories.
const CATEGORIES: usize = 10_000;

/// What a warehouse's answer cannot tell.
#[derive(Debug, thiserror::Error)]
pub(super) enum Beyond {
    #[error("column `{0}` has over {CATEGORIES} values")]
    TooMany(String),
    /// It counts in doubles.
    #[error("column `{0}` has whole numbers of 2^53 and more")]
    TooLarge(String),
}

/// What a side's statements gave, by column and bin or value.
pub(super) type Counted = BTreeMap<usize, Vec<Line>>;

/// The same by group; the nameless one has the rows that are in none.
pub(super) type Grouped = BTreeMap<Option<String>, Counted>;

/// One row of an answer.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Line {
    bin: Option<String>,
    rows: u64,
    /// Total, squares, lowest, highest, zeros and different values.
    numbers: [Option<f64>; 6],
}

/// Takes in the rows of an answer.
pub(super) fn take(grouped: &mut Grouped, rows: Vec<Vec<Option<String>>>) -> Result<()> {
    for row in rows {
        let mut cells = row.into_iter();
        let number = cells.next().flatten().and_then(|number| number.parse().ok());
        let number = number.context("a row of the answer names no column")?;
        let group = cells.next().flatten();
        let bin = cells.next().flatten();
        let count = cells.next().flatten().context("a row of the answer has no count")?;
        let count = count.parse().with_context(|| format!("read the count `{count}`"))?;
        let mut numbers = [None; 6];
        for (number, cell) in numbers.iter_mut().zip(cells) {
            *number = cell
                .map(|cell| cell.parse().with_context(|| format!("read `{cell}`")))
                .transpose()?;
        }
        let counted = grouped.entry(group).or_default();
        counted.entry(number).or_default().push(Line { bin, rows: count, numbers });
    }
    Ok(())
}

/// Finishes one column from what both sides counted.
pub(super) fn finish(
    policy: &Drift,
    (number, common, cut): Asked<'_>,
    sides: [&Counted; 2],
) -> Result<Compared> {
    let name = common.name();
    let lines = sides.map(|side| side.get(&number).map(Vec::as_slice).unwrap_or_default());
    match (common.measure, cut) {
        (Measure::Categories, _) => {
            let [a, b] = lines.map(categories_of);
            if [&a, &b].iter().any(|side| side.counts.len() > CATEGORIES) {
                return Err(Beyond::TooMany(name.to_owned()).into());
            }
            Ok(categories(name, [&a, &b], policy.zeros.zero()))
        }
        (Measure::Presence, _) => Ok(presence_only(name, lines.map(presence_of))),
        (Measure::Embedding, _) => anyhow::bail!("column `{name}`: no SQL counts embeddings"),
        (Measure::Numbers(_), None) => of_bins(policy, name, &Cut::default(), lines),
        (Measure::Numbers(scale), Some(cut)) => {
            let numbers = || lines.into_iter().flatten().flat_map(|line| line.numbers[2..4].iter());
            let is_too_large = |value: &f64| value.abs() >= EXACT_BELOW;
            let is_whole = scale != Scale::Float || common.is_long_decimal();
            if is_whole && numbers().flatten().any(is_too_large) {
                return Err(Beyond::TooLarge(name.to_owned()).into());
            }
            of_bins(policy, name, cut, lines)
        }
    }
}

fn categories_of(lines: &[Line]) -> Categories {
    let mut found = Categories::default();
    for line in lines {
        match &line.bin {
            Some(value) => found.push(value.as_bytes(), line.rows),
            None => found.push_nulls(line.rows),
        }
    }
    found
}

fn presence_of(lines: &[Line]) -> Presence {
    let mut found = Presence::default();
    for line in lines {
        match line.bin {
            Some(_) => found.values += line.rows,
            None => found.nulls += line.rows,
        }
    }
    found
}

fn of_bins(policy: &Drift, name: &str, cut: &Cut, lines: [&[Line]; 2]) -> Result<Compared> {
    let sides = [side(name, cut, lines[0])?, side(name, cut, lines[1])?];
    let facts = sides.each_ref().map(|side| side.facts);
    // An axis that was not cut tells nothing of how far its values moved.
    if facts.iter().any(|facts| facts.values == 0) || cut.edges.is_empty() {
        return Ok(nothing_to_compare(name, Kind::Numbers, facts.map(Profile::of_facts)));
    }
    let [a, b] = sides.each_ref().map(|side| &side.bins[..]);
    let found = binned::distances(a, b, cut.centre);
    let measured = Measured {
        ks: found.ks,
        wasserstein: found.wasserstein,
        spread: cut.spread,
        edges: cut.outer.clone(),
        counts: [a, b].map(|bins| coarse(cut, bins)),
    };
    let profiles = sides.each_ref().map(|side| side.profile(cut));
    Ok(of_numbers(policy, name, facts, profiles, &measured))
}

/// The relative standard error of `approx_count_distinct`, as its services
/// document it.
const DISTINCT_ERROR: f64 = 0.05;

/// What the bins of a side tell.
struct Side {
    bins: Vec<Bin>,
    /// About how many different values each bin has.
    different: Vec<f64>,
    facts: Facts,
}

impl Side {
    fn profile(&self, cut: &Cut) -> Profile {
        let quantiles = QUANTILES.map(|q| binned::quantile(&self.bins, cut.centre, q));
        let (quantiles, quantile_errors) = quantiles.into_iter().flatten().unzip();
        Profile {
            quantiles,
            quantile_errors,
            distinct: Some(self.distinct()),
            frequent: frequent_numbers(&self.frequent()),
            ..Profile::of_facts(self.facts)
        }
    }

    /// No value is in two bins, so that their numbers add up, and their errors as
    /// those of independent ones.
    fn distinct(&self) -> Distinct {
        let (mut count, mut variance) = (0.0, 0.0);
        for (bin, different) in self.bins.iter().zip(&self.different) {
            if bin.count > 0 && bin.min == bin.max {
                count += 1.0;
            } else if bin.count == 2 {
                count += 2.0;
            } else if bin.count > 0 {
                let found = different.clamp(2.0, bin.count as f64);
                count += found;
                variance += (found * DISTINCT_ERROR).powi(2);
            }
        }
        Distinct { count: count as u64, error: variance.sqrt() / count }
    }

    /// Those that fill a bin of their own.
    fn frequent(&self) -> Vec<(f64, u64)> {
        let alone = self.bins.iter().filter(|bin| bin.min == bin.max);
        let mut found: Vec<(f64, u64)> = alone
            .filter(|bin| is_frequent(bin.count as f64, self.facts.values as f64))
            .map(|bin| (bin.min, bin.count))
            .collect();
        found.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        found
    }
}

/// The counts between the outer edges.
fn coarse(cut: &Cut, bins: &[Bin]) -> Vec<u64> {
    let mut counts = vec![0; cut.outer.len() + 1];
    for (at, bin) in bins.iter().enumerate() {
        let place = cut
            .edges
            .get(at)
            .map_or(cut.outer.len(), |edge| cut.outer.partition_point(|outer| outer < edge));
        counts[place] += bin.count;
    }
    counts
}

fn side(name: &str, cut: &Cut, lines: &[Line]) -> Result<Side> {
    let mut bins = vec![Bin::EMPTY; cut.edges.len() + 1];
    let mut different = vec![0.0; bins.len()];
    let (mut nulls, mut nans, mut infinities, mut zeros) = (0, 0, 0, 0);
    let (mut count, mut sum, mut squares) = (0, 0.0, 0.0);
    for line in lines {
        let bin: i64 = line
            .bin
            .as_deref()
            .and_then(|bin| bin.parse().ok())
            .with_context(|| format!("column `{name}`: a bin of the answer has no number"))?;
        match bin {
            NULL => nulls += line.rows,
            NAN => nans += line.rows,
            INFINITE => infinities += line.rows,
            bin => {
                let place = usize::try_from(bin).ok().filter(|at| *at < bins.len());
                let place = place.with_context(|| format!("column `{name}` has no bin {bin}"))?;
                let [Some(total), Some(of_squares), Some(min), Some(max), Some(zero), Some(values)] =
                    line.numbers
                else {
                    anyhow::bail!("column `{name}`: a bin of the answer has no sums");
                };
                bins[place] = Bin { count: line.rows, sum: total, min, max };
                different[place] = values;
                count += line.rows;
                sum += total;
                squares += of_squares;
                zeros += zero as u64;
            }
        }
    }
    let values = count as f64;
    let around = (squares - sum * sum / values).max(0.0);
    let range = [
        bins.iter().map(|bin| bin.min).fold(f64::INFINITY, f64::min),
        bins.iter().map(|bin| bin.max).fold(f64::NEG_INFINITY, f64::max),
    ];
    let mean = if count == 0 { 0.0 } else { cut.centre + sum / values };
    let mut facts = Facts::of_moments(count, mean, if count == 0 { 0.0 } else { around }, range);
    (facts.nulls, facts.nans, facts.infinities) = (nulls, nans, infinities);
    facts.zeros = zeros;
    Ok(Side { bins, different, facts })
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::DataType;

    use super::super::pushdown::tests::{common, cut};
    use super::*;

    #[test]
    fn what_an_answer_lacks_is_an_error() {
        let row = |cells: &[Option<&str>]| {
            vec![cells.iter().map(|cell| cell.map(str::to_owned)).collect::<Vec<_>>()]
        };
        let mut grouped = Grouped::new();
        assert!(take(&mut grouped, row(&[None, None, Some("0"), Some("3")])).is_err());
        assert!(take(&mut grouped, row(&[Some("4"), None, Some("0"), Some("many")])).is_err());
        let one = Some("1");
        let numbers = [Some("4"), None, Some("9"), Some("3"), one, one, one, one, one, one];
        take(&mut grouped, row(&numbers)).unwrap();
        let common = common("c", Measure::Numbers(Scale::Float));
        let counted = &grouped[&None];
        let policy = Drift::between("a.csv".parse().unwrap(), "b.csv".parse().unwrap());
        let told = finish(&policy, (4, &common, Some(&cut())), [counted, counted])
            .unwrap_err()
            .to_string();
        assert!(told.contains("no bin 9"), "{told}");
        let mut grouped = Grouped::new();
        let large =
            [Some("0"), None, Some("0"), one, one, one, one, Some("9007199254740992"), one, one];
        take(&mut grouped, row(&large)).unwrap();
        let whole = self::common("id", Measure::Numbers(Scale::Signed { digits: 0 }));
        let told = finish(&policy, (0, &whole, Some(&cut())), [&grouped[&None]; 2]).unwrap_err();
        assert_eq!(told.to_string(), "column `id` has whole numbers of 2^53 and more");
        let mut long = self::common("id", Measure::Numbers(Scale::Float));
        long.fields = long.fields.map(|own| own.with_data_type(DataType::Decimal128(38, 2)));
        let told = finish(&policy, (0, &long, Some(&cut())), [&grouped[&None]; 2]).unwrap_err();
        assert!(told.is::<Beyond>(), "{told}");
        let many: Vec<_> = (0..=CATEGORIES).map(|value| format!("v{value}")).collect();
        let mut grouped = Grouped::new();
        for value in &many {
            take(&mut grouped, row(&[Some("0"), None, Some(value), Some("1")])).unwrap();
        }
        let wide = self::common("wide", Measure::Categories);
        let counted = &grouped[&None];
        assert!(finish(&policy, (0, &wide, None), [counted, counted]).unwrap_err().is::<Beyond>());
    }
}
