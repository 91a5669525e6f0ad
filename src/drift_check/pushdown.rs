//! The comparison as SQL: a warehouse counts, what comes back is a few rows per
//! column, and the statistics are finished from them.

use super::compare::spread;
use super::profile::QUANTILES;
use super::schema::Common;
use crate::lake::Versioned;
use crate::names::quoted;
use crate::stats::column::{Column, Measure};
use crate::stats::pair::{self, Bins};

/// Bins per decile. More of them bound the distances tighter and cost the
/// warehouse a comparison per row each.
const PER_BIN: u32 = 6;
/// Columns in one statement.
pub(super) const TOGETHER: usize = 25;
/// Rows that the cut of the axis is learnt from.
pub(super) const LEARNT_FROM: u64 = 20_000;

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
        let cut = |bins: &Bins| pair::compare(scale, [sample, sample], None, &QUANTILES, bins);
        let fine = cut(&Bins::Quantiles(bins * PER_BIN));
        let coarse = given.map_or(Bins::Quantiles(bins), |edges| Bins::Edges(edges.clone()));
        let coarse = cut(&coarse);
        let mut edges = fine.edges;
        edges.extend(&coarse.edges);
        // The quantiles that are told lie near an edge.
        edges.extend(&coarse.quantiles[0]);
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
pub(super) const NULL: i64 = -1;
pub(super) const NAN: i64 = -2;
pub(super) const INFINITE: i64 = -3;

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
         COUNT(CASE WHEN x = 0 THEN 1 END) AS zeros, approx_count_distinct(x) AS different\n\
         FROM (SELECT {inner}, CASE\n    WHEN x IS NULL THEN {NULL}\n    WHEN isnan(x) THEN {NAN}\n    \
         WHEN abs(x) = CAST('Infinity' AS DOUBLE) THEN {INFINITE}{steps}\n    ELSE {}\n  \
         END AS bin FROM ({}) AS v) AS b\nGROUP BY {by}bin",
        cut.edges.len(),
        from.column(sql, "DOUBLE"),
    )
}

/// What is summed of numbers alone, for other columns.
const NO_SUMS: &str = "CAST(NULL AS DOUBLE) AS total, CAST(NULL AS DOUBLE) AS squares, CAST(NULL AS DOUBLE) AS low, CAST(NULL AS DOUBLE) AS high, CAST(NULL AS BIGINT) AS zeros, CAST(NULL AS BIGINT) AS different";

/// Counts a column of categories by value.
fn values(from: &From<'_>, number: usize, sql: &str) -> String {
    let [_, told, by] = from.grouped();
    format!(
        "SELECT {number} AS column_number, {told} AS group_name, x AS bin, COUNT(*) AS row_count,\n  {NO_SUMS}\n\
         FROM ({}) AS v\nGROUP BY {by}x",
        from.column(sql, "STRING"),
    )
}

/// Counts whether a column has values.
fn presence(from: &From<'_>, number: usize, sql: &str) -> String {
    let [group, told, by] = from.grouped();
    let (table, filter) = (from.table(), from.base.condition());
    format!(
        "SELECT {number} AS column_number, {told} AS group_name, bin, COUNT(*) AS row_count,\n  {NO_SUMS}\n\
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

/// The least and the largest finite value of columns of numbers.
pub(super) fn ranges(from: &From<'_>, columns: &[&str]) -> String {
    let ends = columns.iter().enumerate().map(|(at, sql)| {
        let x = format!("CAST({sql} AS DOUBLE)");
        let finite = format!("CASE WHEN abs({x}) < CAST('Infinity' AS DOUBLE) THEN {x} END");
        format!("MIN({finite}) AS low{at},\n  MAX({finite}) AS high{at}")
    });
    let ends = ends.collect::<Vec<_>>().join(",\n  ");
    format!("SELECT {ends}\nFROM {}{}", from.table(), from.base.condition())
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

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::config::Sample;
    use crate::stats::keys::Scale;
    use arrow::datatypes::{DataType, Field};

    pub(in super::super) fn common(name: &str, measure: Measure) -> Common {
        let field = Field::new(name, DataType::Float64, true);
        Common { fields: [field.clone(), field], measure, sql: Some(quoted(name)) }
    }

    pub(in super::super) fn cut() -> Cut {
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
        insta::assert_snapshot!(ranges(&from, &columns));
        let drawn = Some(Sample { share: 0.1, seed: 7 });
        let base = Versioned { sample: drawn, filter: None, ..base };
        insta::assert_snapshot!(sample(&From::new(&base), &columns, 40_000, None));
    }
}
