//! What was found, for people.

use super::compare::Compared;
use super::decide::{Decision, Part, State};
use super::judge::Judged;
use super::profile::{Profile, QUANTILES, Value};
use super::schema::Chosen;
use crate::report::{Chart, Finding, Report, Series, Severity, Table, number, shortened};
use crate::stats::column::Facts;
use crate::stats::distinct::Distinct;

/// Charts in the report: the worst columns. A picture takes some 3 KB.
const CHARTS: usize = 200;
/// Columns in the table, when fewer than these have moved.
const SHOWN: usize = 20;
/// Categories that a finding names.
const NAMED: usize = 5;

/// The columns as a table, as findings, and the worst of them as pictures.
pub(super) fn describe(report: &mut Report, decision: &Decision, chosen: &Chosen) {
    for change in &chosen.changes {
        let severity = if change.breaks { Severity::Error } else { Severity::Notice };
        let title = format!("{} {}", change.column, change.what);
        report.findings.push(Finding::new(severity, change.rule, title));
    }
    report.tables.extend(of_all(decision));
    report.tables.push(columns(decision));
    report.findings.extend(decision.columns().iter().flat_map(findings));
    let watched = decision.columns().iter().filter(|column| column.state == State::Watch);
    let watched: Vec<&str> = watched.map(|column| column.compared.column.as_str()).collect();
    if !watched.is_empty() {
        let title = format!("watched, as they move and are not there yet: {}", watched.join(", "));
        report.findings.push(Finding::new(Severity::Notice, "drift/watch", title));
    }
    report.tables.extend(parts("Windows against the baseline", "window", &decision.windows));
    report.tables.extend(parts("Windows against the one before", "window", &decision.steps));
    report.tables.extend(parts("Slices", "slice", &decision.slices));
    report.charts.extend(time_line(decision));
    report.details.extend(profiles(decision));
    for slice in decision.slices.iter().filter(|slice| slice.rows[1] == 0) {
        let (name, before) = (slice.scope.name(), slice.rows[0]);
        let title = match before {
            0 => format!("the slice {name} has no rows on either side: is it what was meant?"),
            before => format!("the slice {name} has no rows now, it had {before}"),
        };
        report.findings.push(Finding::new(Severity::Warning, "drift/slice", title));
    }
    for slice in decision.slices.iter().filter(|slice| slice.state == State::Drift) {
        let title = format!("the slice {} drifted: {}", slice.scope.name(), slice.reason);
        report.findings.push(Finding::new(Severity::Warning, "drift/slice", title));
    }
    let drawn = decision.columns().iter().filter(|column| !column.compared.labels.is_empty());
    report.charts.extend(drawn.take(CHARTS).map(|column| chart(&column.compared)));
    if !chosen.skipped.is_empty() {
        let title = format!(
            "compared by their nulls alone, as their type has no drift of its own: {}",
            chosen.skipped.join(", ")
        );
        report.findings.push(Finding::new(Severity::Notice, "drift/skipped", title));
    }
}

/// Questions that are not about one column, if any were asked.
fn of_all(decision: &Decision) -> Option<Table> {
    let title = "The model, and all columns together";
    let mut table = Table::new(title, ["question", "p (adjusted)", "answer"]);
    for asked in decision.columns().iter().filter(|column| column.compared.own.is_some()) {
        let cells = [asked.compared.column.clone(), p_value(asked.p_value), asked.reason.clone()];
        table.row((asked.state != State::Watch).then(|| asked.state.verdict()), cells);
    }
    (!table.rows.is_empty()).then_some(table)
}

fn columns(decision: &Decision) -> Table {
    let mut table = Table::new("Columns", ["column", "effect", "p (adjusted)", "nulls", "reason"]);
    let columns = decision.columns().iter().filter(|column| column.compared.own.is_none());
    let columns: Vec<&Judged> = columns.collect();
    let told = columns.iter().filter(|column| column.state != State::None).count();
    let shown = told.max(SHOWN);
    for column in columns.iter().take(shown) {
        let effect = column.effect.map_or_else(
            || "none".to_owned(),
            |effect| {
                let (name, limit) = (effect.statistic.short(), number(column.threshold));
                match effect.corrected.is_nan() {
                    true => format!("{name} –"),
                    false => {
                        let bar = bar(effect.corrected / column.threshold);
                        format!("{name} {} of {limit}{bar}", number(effect.corrected))
                    }
                }
            },
        );
        let [before, now] = column.compared.profiles.each_ref().map(Profile::missing_share);
        let cells = [
            column.compared.column.clone(),
            effect,
            p_value(column.p_value),
            format!("{} → {}", number(before), number(now)),
            column.reason.clone(),
        ];
        table.row((column.state != State::Watch).then(|| column.state.verdict()), cells);
    }
    if let Some(more) = columns.len().checked_sub(shown).filter(|more| *more > 0) {
        let rest = format!("… {more} more columns, none of them moved");
        table.row(None, [rest, String::new(), String::new(), String::new(), String::new()]);
    }
    table
}

/// How far an effect is on its way to the threshold, which is eight blocks; more
/// than half as much again looks alike.
fn bar(share: f64) -> String {
    let blocks = (share.clamp(0.0, 1.5) * 8.0).round() as usize;
    if blocks == 0 { String::new() } else { format!(" {}", "▇".repeat(blocks)) }
}

/// What the sides hold, column by column, as it was and as it is.
fn profiles(decision: &Decision) -> Option<Table> {
    let names = [
        "column",
        "mean",
        "deviation",
        "least",
        "median",
        "largest",
        "zeros",
        "distinct",
        "most frequent",
    ];
    let mut table = Table::new("What the columns hold", names);
    for column in decision.columns().iter().filter(|column| column.compared.own.is_none()) {
        let sides = column.compared.profiles.each_ref();
        let told = |of: &dyn Fn(&Profile) -> Option<String>| match sides.map(of) {
            [None, None] => String::new(),
            told => told.map(|told| told.unwrap_or_else(|| "none".into())).join(" → "),
        };
        let both = |of: &dyn Fn(&Profile) -> Option<f64>| told(&|side| of(side).map(number));
        // Without values there are moments of nothing.
        let facts = |side: &Profile| side.facts.filter(|facts| facts.values > 0);
        let fact = |of: fn(&Facts) -> f64| both(&|side| facts(side).as_ref().map(of));
        let median = |side: &Profile| side.quantiles.get(QUANTILES.len() / 2).copied();
        // Of times the first and the last.
        let [least, largest] = match sides.iter().any(|side| side.span.is_some()) {
            true => [0, 1].map(|at| told(&|side| Some(side.span?.shown()[at].clone()))),
            false => [fact(|facts| facts.min), fact(|facts| facts.max)],
        };
        let cells = [
            column.compared.column.clone(),
            fact(|facts| facts.mean),
            fact(Facts::deviation),
            least,
            both(&median),
            largest,
            fact(|facts| facts.zeros as f64),
            told(&|side| side.distinct.map(different)),
            told(&most_frequent),
        ];
        if cells[1..].iter().any(|cell| !cell.is_empty()) {
            table.row(None, cells);
        }
    }
    (!table.rows.is_empty()).then_some(table)
}

fn different(distinct: Distinct) -> String {
    let about = if distinct.error > 0.0 { "≈ " } else { "" };
    format!("{about}{}", number(distinct.count as f64))
}

/// The value that most of a side's values are, and their share.
fn most_frequent(side: &Profile) -> Option<String> {
    /// Letters of a text that are told.
    const LONGEST: usize = 24;
    let (value, rows) = side.frequent.first()?;
    let value = match value {
        Value::Number(value) => number(*value),
        Value::Text(text) => shortened(text, LONGEST),
    };
    let share = 100.0 * *rows as f64 / (side.rows - side.missing()) as f64;
    Some(format!("{value} ({} %)", number(share)))
}

/// One row per scope. Windows stay in their order, slices come worst first.
fn parts(title: &str, what: &str, parts: &[Part]) -> Option<Table> {
    if parts.is_empty() {
        return None;
    }
    let mut table = Table::new(title, [what, "rows", "state", "worst column", "reason"]);
    for part in parts {
        let worst = part
            .columns
            .first()
            .map(|column| format!("{} {}", column.compared.column, number(column.severity())));
        table.row(
            (part.state != State::Watch).then(|| part.state.verdict()),
            [
                part.scope.name().to_owned(),
                part.rows[1].to_string(),
                part.state.as_str().to_owned(),
                worst.unwrap_or_default(),
                part.reason.clone(),
            ],
        );
    }
    if what == "slice" {
        table.worst_first();
    }
    Some(table)
}

/// How the worst columns came to where they are.
fn time_line(decision: &Decision) -> Option<Chart> {
    const LINES: usize = 2;
    let last = decision.windows.last()?;
    let of = |part: &Part, column: &str| {
        let found = part.columns.iter().find(|judged| judged.compared.column == column);
        found.map_or(0.0, Judged::severity)
    };
    let series = last.columns.iter().take(LINES).map(|worst| Series {
        name: worst.compared.column.clone(),
        values: decision.windows.iter().map(|part| of(part, &worst.compared.column)).collect(),
    });
    Some(Chart {
        title: "Effect over its threshold, window by window".into(),
        labels: decision.windows.iter().map(|part| part.scope.name().to_owned()).collect(),
        series: series.collect(),
        limit: Some(1.0),
    })
}

fn findings(column: &Judged) -> Vec<Finding> {
    let name = &column.compared.column;
    let mut found = Vec::new();
    match column.state {
        State::Drift => found.push(Finding::new(
            Severity::Warning,
            "drift/column",
            match column.compared.own {
                Some(_) => column.reason.clone(),
                None => format!("{name} drifted: {}", column.reason),
            },
        )),
        State::Watch | State::None | State::Inconclusive | State::Broken => {}
    }
    for (categories, what) in
        [(&column.compared.new, "new"), (&column.compared.vanished, "vanished")]
    {
        // Rare categories come and go by chance; a column that moved explains itself by them.
        let moved = matches!(column.state, State::Drift | State::Watch);
        if moved && !categories.is_empty() {
            let shown: Vec<&str> = categories.iter().take(NAMED).map(String::as_str).collect();
            let more = categories.len().saturating_sub(NAMED);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            found.push(Finding::new(
                Severity::Notice,
                format!("drift/{what}-categories"),
                format!("{name} has {what} categories: {}{more}", shown.join(", ")),
            ));
        }
    }
    found
}

fn chart(compared: &Compared) -> Chart {
    let [base, current] = &compared.shares;
    Chart {
        title: compared.column.clone(),
        labels: compared.labels.clone(),
        series: vec![
            Series { name: "baseline".into(), values: base.clone() },
            Series { name: "current".into(), values: current.clone() },
        ],
        limit: None,
    }
}

/// A p-value that underflowed is small, not zero.
fn p_value(p: f64) -> String {
    if p == 0.0 { "< 1e-300".into() } else { number(p) }
}
