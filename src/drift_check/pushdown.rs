//! The comparison as SQL: a warehouse counts, what comes back is a few rows per
//! column, and the statistics are finished from them.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};

use super::categories::categories;
use super::compare::{
    Compared, EXACT_BELOW, Measured, Profile, nothing_to_compare, of_numbers, presence_only, spread,
};
use super::schema::Common;
use crate::config::Drift;
use crate::lake::Versioned;
use crate::names::quoted;
use crate::stats::binned::{self, Bin};
use crate::stats::column::{Categories, Column, Facts, Kind, Measure, Presence};
use crate::stats::keys::Scale;
use crate::stats::pair::{self, Bins};

/// Bins per decile. More of them bound the distances tighter and cost the
/// warehouse a comparison per row each.
const PER_BIN: u32 = 6;
/// Columns in one statement.
pub(super) const TOGETHER: usize = 25;
/// Rows that the cut of the axis is learnt from.
pub(super) const LEARNT_FROM: u64 = 20_000;
/// Categories that are fetched of a column; more of them are no categories.
const CATEGORIES: usize = 10_000;

/// Where a column's axis is cut, and what its values are summed from.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Cut {
    /// Rising, each once; bins are closed on the right.
    pub(super) edges: Vec<f64>,
    /// Those that bound the bins of the statistics.
    pub(super) outer: Vec<f64>,
    pub(super) centre: f64,
    pub(super) spread: f64,
}

impl Cut {
    /// Learns from some rows of the baseline; without values there, the axis
    /// stays whole.
    pub(super) fn learn(column: &Column, bins: u32, given: Option<&Vec<f64>>) -> Self {
        let Column::Numbers(numbers) = column else { return Self::default() };
        if numbers.sample.is_empty() {
            return Self::default();
        }
        let (scale, sample) = (numbers.scale, &numbers.sample);
        let cut = |bins: &Bins| {
            pair::compare(scale, [sample, sample], None, &super::compare::QUANTILES, bins)
        };
        let fine = cut(&Bins::Quantiles(bins * PER_BIN));
        let coarse = given.map_or(Bins::Quantiles(bins), |edges| Bins::Edges(edges.clone()));
        let coarse = cut(&coarse);
        let mut edges = fine.edges;
        edges.extend(&coarse.edges);
        edges.sort_by(f64::total_cmp);
        edges.dedup();
        let quantiles = &coarse.quantiles[0];
        Self { edges, outer: coarse.edges, centre: numbers.facts().mean, spread: spread(quantiles) }
    }
}

/// A table as it stands in a FROM clause, with its condition, and what its rows
/// are told apart by.
#[derive(Debug, Clone, Copy)]
pub(super) struct From<'a> {
    pub(super) base: &'a Versioned,
    /// What stands for the table when it has more columns.
    pub(super) extended: Option<&'a str>,
    /// An expression of text; all rows are one group when left out.
    pub(super) group: Option<&'a str>,
}

impl<'a> From<'a> {
    pub(super) fn new(base: &'a Versioned) -> Self {
        Self { base, extended: None, group: None }
    }

    pub(super) fn table(&self) -> String {
        self.extended.map_or_else(|| self.base.relation(), str::to_owned)
    }

    /// The group as a column of a row, of a result, and in a GROUP BY.
    fn grouped(&self) -> [String; 3] {
        match self.group {
            Some(group) => [format!(", {group} AS g"), "g".into(), "g, ".into()],
            None => [String::new(), "CAST(NULL AS STRING)".into(), String::new()],
        }
    }

    fn column(&self, sql: &str, kind: &str) -> String {
        let [group, ..] = self.grouped();
        let (table, filter) = (self.table(), self.base.condition());
        format!("SELECT CAST({sql} AS {kind}) AS x{group} FROM {table}{filter}")
    }
}

/// The start of a row's window as text, in milliseconds since 1970.
pub(super) fn window_of(column: &str, every: i64) -> String {
    // Some engines divide whole numbers to whole numbers, towards zero.
    let time = format!("CAST(unix_millis(CAST({} AS TIMESTAMP)) AS DOUBLE)", quoted(column));
    format!("CAST(CAST(floor({time} / {every}) AS BIGINT) * {every} AS STRING)")
}

/// A double, to its last bit, in a form that is a double to every engine.
fn double(value: f64) -> String {
    format!("{value:e}")
}

/// What is no finite number, by the number of its bin.
const NULL: i64 = -1;
const NAN: i64 = -2;
const INFINITE: i64 = -3;

/// Counts a column of numbers by bin.
fn numbers(from: &From<'_>, number: usize, sql: &str, cut: &Cut) -> String {
    let steps: String = cut
        .edges
        .iter()
        .enumerate()
        .map(|(bin, edge)| format!("\n    WHEN x <= {} THEN {bin}", double(*edge)))
        .collect();
    let off = format!("(x - {})", double(cut.centre));
    let [_, told, by] = from.grouped();
    let inner = if from.group.is_some() { "x, g" } else { "x" };
    format!(
        "SELECT {number} AS column_number, {told} AS group_name, CAST(bin AS STRING) AS bin, COUNT(*) AS row_count,\n  \
         SUM{off} AS total, SUM({off} * {off}) AS squares, MIN(x) AS low, MAX(x) AS high,\n  \
         COUNT(CASE WHEN x = 0 THEN 1 END) AS zeros\n\
         FROM (SELECT {inner}, CASE\n    WHEN x IS NULL THEN {NULL}\n    WHEN isnan(x) THEN {NAN}\n    \
         WHEN abs(x) = CAST('Infinity' AS DOUBLE) THEN {INFINITE}{steps}\n    ELSE {}\n  \
         END AS bin FROM ({}) AS v) AS b\nGROUP BY {by}bin",
        cut.edges.len(),
        from.column(sql, "DOUBLE"),
    )
}

/// Counts a column of categories by value.
fn values(from: &From<'_>, number: usize, sql: &str) -> String {
    let [_, told, by] = from.grouped();
    format!(
        "SELECT {number} AS column_number, {told} AS group_name, x AS bin, COUNT(*) AS row_count,\n  \
         CAST(NULL AS DOUBLE) AS total, CAST(NULL AS DOUBLE) AS squares, CAST(NULL AS DOUBLE) AS low, CAST(NULL AS DOUBLE) AS high, CAST(NULL AS BIGINT) AS zeros\n\
         FROM ({}) AS v\nGROUP BY {by}x",
        from.column(sql, "STRING"),
    )
}

/// Counts whether a column has values.
fn presence(from: &From<'_>, number: usize, sql: &str) -> String {
    let [group, told, by] = from.grouped();
    let (table, filter) = (from.table(), from.base.condition());
    format!(
        "SELECT {number} AS column_number, {told} AS group_name, bin, COUNT(*) AS row_count,\n  \
         CAST(NULL AS DOUBLE) AS total, CAST(NULL AS DOUBLE) AS squares, CAST(NULL AS DOUBLE) AS low, CAST(NULL AS DOUBLE) AS high, CAST(NULL AS BIGINT) AS zeros\n\
         FROM (SELECT CASE WHEN {sql} IS NULL THEN NULL ELSE 'value' END AS bin{group} FROM {table}{filter}) AS v\nGROUP BY {by}bin",
    )
}

/// A column with its number and, for numbers, its cut.
pub(super) type Asked<'a> = (usize, &'a Common, Option<&'a Cut>);

/// One statement that counts some columns of one side.
pub(super) fn statement(from: &From<'_>, columns: &[Asked<'_>]) -> String {
    let parts = columns.iter().filter_map(|(number, common, cut)| {
        let sql = common.sql.as_deref()?;
        match (common.measure, cut) {
            (Measure::Numbers(_), Some(cut)) => Some(numbers(from, *number, sql, cut)),
            (Measure::Numbers(_), None) => None,
            (Measure::Categories, _) => Some(values(from, *number, sql)),
            (Measure::Presence, _) => Some(presence(from, *number, sql)),
            (Measure::Embedding, _) => None,
        }
    });
    parts.collect::<Vec<_>>().join("\nUNION ALL\n")
}

/// Some rows of the baseline, for the cut, of `rows` that have values of
/// `sparse`, or of all.
pub(super) fn sample(from: &From<'_>, columns: &[&str], rows: u64, sparse: Option<&str>) -> String {
    let share = LEARNT_FROM as f64 / rows as f64;
    let table = if share < 1.0 { from.base.part(share) } else { from.base.relation() };
    let filter = from.base.filter.iter().map(|filter| format!("({filter})"));
    let conditions: Vec<String> =
        filter.chain(sparse.map(|sql| format!("{sql} IS NOT NULL"))).collect();
    let filter = match conditions.is_empty() {
        true => String::new(),
        false => format!(" WHERE {}", conditions.join(" AND ")),
    };
    format!("SELECT {} FROM {table}{filter}", columns.join(", "))
}

/// How many rows have values, column by column.
pub(super) fn values_of(from: &From<'_>, columns: &[&str]) -> String {
    let counts: Vec<String> =
        columns.iter().enumerate().map(|(at, sql)| format!("COUNT({sql}) AS n{at}")).collect();
    format!("SELECT {} FROM {}{}", counts.join(", "), from.table(), from.base.condition())
}

/// The rows of each group.
pub(super) fn count(from: &From<'_>) -> String {
    let (table, filter) = (from.table(), from.base.condition());
    match from.group {
        None => {
            format!(
                "SELECT CAST(NULL AS STRING) AS group_name, COUNT(*) AS row_count FROM {table}{filter}"
            )
        }
        Some(group) => format!(
            "SELECT g AS group_name, COUNT(*) AS row_count FROM (SELECT {group} AS g FROM {table}{filter}) AS v GROUP BY g"
        ),
    }
}

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
    /// Total, squares, lowest, highest and zeros.
    numbers: [Option<f64>; 5],
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
        let mut numbers = [None; 5];
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
            if scale != Scale::Float && numbers().flatten().any(is_too_large) {
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
    let [(bins_a, facts_a), (bins_b, facts_b)] =
        [side(name, cut, lines[0])?, side(name, cut, lines[1])?];
    let profiles = [facts_a, facts_b].map(Profile::of_facts);
    // An axis that was not cut tells nothing of how far its values moved.
    if facts_a.values == 0 || facts_b.values == 0 || cut.edges.is_empty() {
        return Ok(nothing_to_compare(name, Kind::Numbers, profiles));
    }
    let found = binned::distances(&bins_a, &bins_b, cut.centre);
    let measured = Measured {
        ks: found.ks,
        wasserstein: found.wasserstein,
        spread: cut.spread,
        edges: cut.outer.clone(),
        counts: [&bins_a, &bins_b].map(|bins| coarse(cut, bins)),
    };
    Ok(of_numbers(policy, name, [facts_a, facts_b], profiles, &measured))
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

fn side(name: &str, cut: &Cut, lines: &[Line]) -> Result<(Vec<Bin>, Facts)> {
    let mut bins = vec![Bin::EMPTY; cut.edges.len() + 1];
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
                let place = usize::try_from(bin).ok().and_then(|at| bins.get_mut(at));
                let place = place.with_context(|| format!("column `{name}` has no bin {bin}"))?;
                let [Some(total), Some(of_squares), Some(min), Some(max), Some(zero)] =
                    line.numbers
                else {
                    anyhow::bail!("column `{name}`: a bin of the answer has no sums");
                };
                *place = Bin { count: line.rows, sum: total, min, max };
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
    Ok((bins, facts))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Sample;
    use arrow::datatypes::{DataType, Field};

    fn common(name: &str, measure: Measure) -> Common {
        let field = Field::new(name, DataType::Float64, true);
        Common { fields: [field.clone(), field], measure, sql: Some(quoted(name)) }
    }

    fn cut() -> Cut {
        Cut { edges: vec![-0.5, 0.0, 2.5], outer: vec![0.0], centre: 0.1, spread: 1.0 }
    }

    #[test]
    fn statements_can_be_read_and_quote_every_name() {
        let name = "`m`.`s`.`t` VERSION AS OF 3".to_owned();
        let base = Versioned { name, sample: None, filter: Some("month = 7".into()) };
        let from = From::new(&base);
        let number = common("a`b", Measure::Numbers(Scale::Float));
        let category = common("it's", Measure::Categories);
        let cut = cut();
        insta::assert_snapshot!(statement(
            &from,
            &[(0, &number, Some(&cut)), (1, &category, None)]
        ));
        let group = window_of("the time", 86_400_000);
        let from = From { group: Some(&group), ..from };
        insta::assert_snapshot!(statement(&from, &[(0, &number, Some(&cut))]));
        insta::assert_snapshot!(count(&from));
        let columns = ["`a``b`", "length(`c`)"];
        insta::assert_snapshot!(sample(&from, &columns, 1_000_000, None));
        insta::assert_snapshot!(sample(&from, &columns[..1], 30_000, Some(columns[0])));
        insta::assert_snapshot!(values_of(&from, &columns));
        let drawn = Some(Sample { share: 0.1, seed: 7 });
        let base = Versioned { sample: drawn, filter: None, ..base };
        insta::assert_snapshot!(sample(&From::new(&base), &columns, 40_000, None));
    }

    #[test]
    fn what_an_answer_lacks_is_an_error() {
        let row = |cells: &[Option<&str>]| {
            vec![cells.iter().map(|cell| cell.map(str::to_owned)).collect::<Vec<_>>()]
        };
        let mut grouped = Grouped::new();
        assert!(take(&mut grouped, row(&[None, None, Some("0"), Some("3")])).is_err());
        assert!(take(&mut grouped, row(&[Some("4"), None, Some("0"), Some("many")])).is_err());
        let one = Some("1");
        let numbers = [Some("4"), None, Some("9"), Some("3"), one, one, one, one, one];
        take(&mut grouped, row(&numbers)).unwrap();
        let common = common("c", Measure::Numbers(Scale::Float));
        let counted = &grouped[&None];
        let policy = Drift::between("a.csv".parse().unwrap(), "b.csv".parse().unwrap());
        let told = finish(&policy, (4, &common, Some(&cut())), [counted, counted])
            .unwrap_err()
            .to_string();
        assert!(told.contains("no bin 9"), "{told}");
        let mut grouped = Grouped::new();
        let large = [Some("0"), None, Some("0"), one, one, one, one, Some("9007199254740992"), one];
        take(&mut grouped, row(&large)).unwrap();
        let whole = self::common("id", Measure::Numbers(Scale::Signed { digits: 0 }));
        let told = finish(&policy, (0, &whole, Some(&cut())), [&grouped[&None]; 2]).unwrap_err();
        assert_eq!(told.to_string(), "column `id` has whole numbers of 2^53 and more");
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
