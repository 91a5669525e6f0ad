//! The metric tables of Databricks' data profiling: what is asked of them, and
//! what their rows mean. They come in several variants: columns that a table
//! does not have are unknown, and no statistic is made up for them.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};

use super::compare::{Compared, Effect, nothing_to_compare};
use super::decide::{Against, Scoped};
use super::profile::Profile;
use crate::config::{Drift, Monitor, MonitorAgainst, Statistic};
use crate::names::{self, quoted};
use crate::record::statement::{Parameter, Statement};
use crate::report::Fault;
use crate::stats::column::Kind;
use crate::stats::numeric::Tested;

/// Statistics by the column that holds them.
const EFFECTS: [(&str, Statistic); 5] = [
    ("population_stability_index", Statistic::Psi),
    ("js_distance", Statistic::JensenShannon),
    ("tv_distance", Statistic::TotalVariation),
    ("l_infinity_distance", Statistic::LInfinity),
    ("wasserstein_distance", Statistic::Wasserstein),
];

/// The name that stands for a whole table.
const TABLE: &str = ":table";

/// Which rows of a metric table count.
#[derive(Debug, Clone)]
pub(super) struct Rows<'a> {
    pub(super) monitor: &'a Monitor,
    pub(super) model_column: Option<&'a str>,
    /// The columns that the table has.
    pub(super) known: &'a [String],
}

impl Rows<'_> {
    fn has(&self, name: &str) -> bool {
        self.known.iter().any(|known| known == name)
    }

    fn column(&self, name: &str) -> String {
        if self.has(name) {
            quoted(name)
        } else {
            format!("CAST(NULL AS STRING) AS {}", quoted(name))
        }
    }

    /// A field of a struct, under a name of its own.
    fn field(&self, name: &str, field: &str) -> String {
        let alias = quoted(&format!("{name}_{field}"));
        if self.has(name) {
            format!("{}.{} AS {alias}", quoted(name), quoted(field))
        } else {
            format!("CAST(NULL AS STRING) AS {alias}")
        }
    }

    fn conditions(&self, parameters: &mut Vec<Parameter>) -> Vec<String> {
        let mut found = Vec::new();
        let mut equal = |column: &str, value: &str| {
            let name = format!("p{}", parameters.len());
            found.push(format!("{} = :{name}", quoted(column)));
            parameters.push(Parameter::new(name, Some(value.to_owned()), "STRING"));
        };
        if let Some(granularity) = &self.monitor.granularity {
            equal("granularity", granularity);
        }
        if let Some(column) = self.model_column.filter(|column| self.has(column)) {
            // `*` stands for all models together.
            equal(column, self.monitor.model.as_deref().unwrap_or("*"));
        }
        found.push(self.slice(parameters));
        found
    }

    fn slice(&self, parameters: &mut Vec<Parameter>) -> String {
        let Some((key, value)) =
            self.monitor.slice.as_ref().and_then(|slice| slice.split_once('='))
        else {
            return "`slice_key` IS NULL".into();
        };
        let at = parameters.len();
        for (at, value) in (at..).zip([key, value]) {
            parameters.push(Parameter::new(format!("p{at}"), Some(value.to_owned()), "STRING"));
        }
        format!("(`slice_key` = :p{at} AND `slice_value` = :p{})", at + 1)
    }

    /// The drift rows, a row per window and column.
    pub(super) fn drift(&self, table: &str) -> Statement {
        let mut parameters = Vec::new();
        let mut conditions = self.conditions(&mut parameters);
        let kind = match self.monitor.against {
            MonitorAgainst::Baseline => "BASELINE",
            MonitorAgainst::Previous => "CONSECUTIVE",
        };
        conditions.push(format!("`drift_type` = '{kind}'"));
        let mut columns = vec![
            self.field("window", "start"),
            self.field("window", "end"),
            quoted("granularity"),
            quoted("column_name"),
        ];
        columns.extend(EFFECTS.iter().map(|(name, _)| self.column(name)));
        for test in ["ks_test", "chi_squared_test"] {
            columns.extend(["statistic", "pvalue"].map(|field| self.field(test, field)));
        }
        columns.push(self.column("percent_null_delta"));
        let text = select(&columns, table, &conditions);
        Statement { text, parameters }
    }

    /// The profile rows: counts of rows, of nulls, and the spread.
    pub(super) fn profile(&self, table: &str) -> Statement {
        let mut parameters = Vec::new();
        // Rows of the baseline belong to no model and to no length of windows. Where it
        // has none of the slice, the whole of it stands for that.
        let slice = self.slice(&mut parameters);
        let current = self.conditions(&mut parameters).join(" AND ");
        let conditions = [format!(
            "((`log_type` = 'BASELINE' AND (`slice_key` IS NULL OR {slice})) OR ({current}))"
        )];
        let columns = [
            self.field("window", "start"),
            quoted("log_type"),
            quoted("slice_key"),
            quoted("column_name"),
            quoted("count"),
            self.column("num_nulls"),
            self.column("percent_null"),
            self.column("stddev"),
        ];
        let text = select(&columns, table, &conditions);
        Statement { text, parameters }
    }
}

fn select(columns: &[String], table: &str, conditions: &[String]) -> String {
    format!("SELECT {} FROM {table} WHERE {}", columns.join(", "), conditions.join(" AND "))
}

/// Rows of an answer, by the names of their columns.
pub(super) struct Answer<'a> {
    pub(super) columns: &'a [String],
    pub(super) rows: &'a [Vec<Option<String>>],
}

impl Answer<'_> {
    fn cell<'r>(&self, row: &'r [Option<String>], name: &str) -> Option<&'r str> {
        let at = self.columns.iter().position(|column| column == name)?;
        row.get(at)?.as_deref()
    }

    fn number(&self, row: &[Option<String>], name: &str) -> Option<f64> {
        self.cell(row, name)?.parse().ok()
    }
}

/// What the profile says of a column in a window, or in the baseline.
#[derive(Debug, Clone, Copy, Default)]
struct Counted {
    rows: u64,
    nulls: u64,
    deviation: Option<f64>,
}

/// By column; and by the window's start for the current side.
#[derive(Debug, Default)]
struct Profiles {
    baseline: BTreeMap<String, Counted>,
    current: BTreeMap<(i64, String), Counted>,
}

fn profiles(answer: &Answer<'_>) -> Result<Profiles> {
    let mut found = Profiles::default();
    for row in answer.rows {
        let column = answer.cell(row, "column_name").context("a profile row has no column")?;
        let nulls = answer.number(row, "num_nulls").unwrap_or(0.0);
        let count = answer.number(row, "count").unwrap_or(0.0);
        // Whether `count` counts nulls is not published: the share tells.
        let rows = match answer.number(row, "percent_null") {
            Some(percent) if percent > 0.0 && nulls > 0.0 => (nulls * 100.0 / percent).round(),
            _ => count,
        };
        let counted = Counted {
            rows: rows as u64,
            nulls: nulls as u64,
            deviation: answer.number(row, "stddev"),
        };
        if answer.cell(row, "log_type") == Some("BASELINE") {
            if answer.cell(row, "slice_key").is_some() {
                found.baseline.insert(column.to_owned(), counted);
            } else {
                found.baseline.entry(column.to_owned()).or_insert(counted);
            }
        } else {
            let start = time(answer.cell(row, "window_start"))?;
            found.current.insert((start, column.to_owned()), counted);
        }
    }
    Ok(found)
}

fn time(text: Option<&str>) -> Result<i64> {
    let text = text.context("a metric row has no window")?;
    let time = names::time(text).with_context(|| format!("`{text}` is no time"))?;
    Ok(time.as_millisecond())
}

/// The windows that are over, the newest last, each with its columns; and the
/// number of those that are not over yet. `clock` is in milliseconds since 1970.
///
/// # Errors
/// When there is nothing to read, or rows of several granularities.
pub(super) fn windows(
    policy: &Drift,
    drift: &Answer<'_>,
    profile: &Answer<'_>,
    clock: i64,
) -> Result<(Vec<Scoped>, usize)> {
    one_length(drift)?;
    let profiles = profiles(profile)?;
    let mut open = Vec::new();
    let mut found = BTreeMap::<i64, Vec<Compared>>::new();
    let previous =
        policy.monitor.as_ref().is_some_and(|monitor| monitor.against == MonitorAgainst::Previous);
    let sides = |start: i64, column: &str| {
        let before = if previous {
            let earlier = profiles.current.range(..(start, String::new()));
            earlier.rev().find(|((_, name), _)| name == column).map(|(_, counted)| *counted)
        } else {
            profiles.baseline.get(column).copied()
        };
        let now = profiles.current.get(&(start, column.to_owned())).copied();
        [before, now].map(Option::unwrap_or_default)
    };
    for row in drift.rows {
        let column = drift.cell(row, "column_name").context("a drift row has no column")?;
        let start = time(drift.cell(row, "window_start"))?;
        if time(drift.cell(row, "window_end"))? > clock {
            open.push(start);
            continue;
        }
        let left_out = policy.exclude.iter().any(|name| name == column)
            || !(policy.columns.is_empty() || policy.columns.iter().any(|name| name == column));
        if column == TABLE || left_out {
            continue;
        }
        found.entry(start).or_default().push(compared(drift, row, column, sides(start, column)));
    }
    open.sort_unstable();
    open.dedup();
    if let Some((start, columns)) = found.last_key_value() {
        all_named(policy, *start, columns)?;
    }
    let scoped = |(start, columns): (i64, Vec<Compared>)| Scoped {
        scope: Against::Window(names::instant(start)),
        rows: sides(start, TABLE).map(|counted| counted.rows),
        columns,
    };
    Ok((found.into_iter().map(scoped).collect(), open.len()))
}

/// Windows of several lengths would be compared with each other.
fn one_length(drift: &Answer<'_>) -> Result<(), Fault> {
    let mut granularities: Vec<&str> =
        drift.rows.iter().filter_map(|row| drift.cell(row, "granularity")).collect();
    granularities.sort_unstable();
    granularities.dedup();
    if granularities.len() > 1 {
        let known = granularities.join(", ");
        let fault = Fault::usage(format!("the monitor's windows are of several lengths: {known}"));
        return Err(fault.hint("name one in `drift.monitor.granularity`"));
    }
    Ok(())
}

/// A column that the policy names must be there.
fn all_named(policy: &Drift, start: i64, columns: &[Compared]) -> Result<(), Fault> {
    let known: Vec<&str> = columns.iter().map(|column| column.column.as_str()).collect();
    let named = policy.columns.iter().chain(&policy.critical).chain(policy.limits.keys());
    if let Some(missing) = named.into_iter().find(|name| !known.contains(&name.as_str())) {
        let window = names::instant(start);
        let message = format!("the monitor says nothing of `{missing}` in the window {window}");
        return Err(Fault::usage(message).or_near(missing, known.iter().copied()));
    }
    Ok(())
}

fn compared(
    drift: &Answer<'_>,
    row: &[Option<String>],
    column: &str,
    [before, now]: [Counted; 2],
) -> Compared {
    let mut effects = Vec::new();
    let mut effect = |statistic, value: f64| {
        // Their bins are not published: what chance makes of them is unknown.
        effects.push(Effect { statistic, value, corrected: value.abs(), error: 0.0 });
    };
    for (name, statistic) in EFFECTS {
        let Some(value) = drift.number(row, name) else { continue };
        match (statistic, before.deviation) {
            // A column that is constant on both sides has moved by nothing.
            (Statistic::Wasserstein, Some(_)) if value == 0.0 => effect(statistic, 0.0),
            (Statistic::Wasserstein, Some(deviation)) => effect(statistic, value / deviation),
            // In the unit of the column it has no threshold.
            (Statistic::Wasserstein, None) => {}
            _ => effect(statistic, value),
        }
    }
    let tested = |name: &str| {
        let of = |field: &str| drift.number(row, &format!("{name}_{field}"));
        Some(Tested { statistic: of("statistic")?, p_value: of("pvalue")? })
    };
    let (kind, test, tested) = match (tested("ks_test"), tested("chi_squared_test")) {
        (Some(ks), _) => {
            effect(Statistic::KolmogorovSmirnov, ks.statistic);
            (Kind::Numbers, "ks", ks)
        }
        (None, Some(chi)) => (Kind::Categories, "chi²", chi),
        // Distances without a test have no answer; nothing at all is presence.
        (None, None) if !effects.is_empty() => {
            effects.clear();
            (Kind::Numbers, "none", Tested { statistic: 0.0, p_value: 1.0 })
        }
        (None, None) => (Kind::Presence, "none", Tested { statistic: 0.0, p_value: 1.0 }),
    };
    let delta = drift.number(row, "percent_null_delta").map(|percent| percent / 100.0);
    let share = if now.rows > 0 { now.nulls as f64 / now.rows as f64 } else { 0.0 };
    let nulls_before = match delta {
        // The baseline's nulls, where its profile does not tell.
        Some(delta) if before.rows == 0 => Counted {
            rows: now.rows,
            nulls: ((share - delta).max(0.0) * now.rows as f64).round() as u64,
            ..before
        },
        _ => before,
    };
    let profile =
        |counted: Counted| Profile { nulls: counted.nulls, ..Profile::of_rows(counted.rows) };
    Compared {
        effects,
        test,
        tested,
        ..nothing_to_compare(column, kind, [profile(nulls_before), profile(now)])
    }
}

#[cfg(test)]
#[path = "metrics_tests.rs"]
mod tests;
