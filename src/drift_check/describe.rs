//! What was found, for people and for programs.

use serde_json::{Value, json};

use super::compare::{Compared, Profile, QUANTILES};
use super::decide::{Against, Decision, Judged, Part, State};
use super::schema::Chosen;
use crate::report::{Chart, Finding, Report, Series, Severity, Table, number};
use crate::stats::column::Kind;

/// Charts in the report: the worst columns.
const CHARTS: usize = 8;
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
    let mut table = Table::new("Columns", ["column", "effect", "p (adjusted)", "nulls", "reason"]);
    let told = |column: &&Judged| column.state != State::None;
    let shown = decision.columns().iter().filter(told).count().max(SHOWN);
    for column in decision.columns().iter().take(shown) {
        let effect = column.effect.map_or_else(
            || "none".to_owned(),
            |effect| {
                let (size, limit) = (number(effect.corrected), number(column.threshold));
                format!("{} {size} of {limit}", effect.statistic.short())
            },
        );
        let [before, now] = column.compared.profiles.each_ref().map(Profile::missing_share);
        let nulls = format!("{} → {}", number(before), number(now));
        let verdict = (column.state != State::Watch).then(|| column.state.verdict());
        table.row(
            verdict,
            [
                column.compared.column.clone(),
                effect,
                p_value(column.p_value),
                nulls,
                column.reason.clone(),
            ],
        );
        report.findings.extend(findings(column));
    }
    if let Some(more) = decision.columns().len().checked_sub(shown).filter(|more| *more > 0) {
        let rest = format!("… {more} more columns, none of them moved");
        table.row(None, [rest, String::new(), String::new(), String::new(), String::new()]);
    }
    report.tables.push(table);
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
    for slice in decision.slices.iter().filter(|slice| slice.state == State::Drift) {
        let title = format!("the slice {} drifted: {}", name(&slice.scope), slice.reason);
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

fn name(scope: &Against) -> &str {
    match scope {
        Against::All => "all rows",
        Against::Slice(name) | Against::Window(name) | Against::Before(name) => name,
    }
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
                name(&part.scope).to_owned(),
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
        labels: decision.windows.iter().map(|part| name(&part.scope).to_owned()).collect(),
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
            format!("{name} drifted: {}", column.reason),
        )),
        State::Watch | State::None | State::Inconclusive | State::Broken => {}
    }
    for (categories, what) in
        [(&column.compared.new, "new"), (&column.compared.vanished, "vanished")]
    {
        // Rare categories come and go by chance; a drifted column explains itself by them.
        if column.state == State::Drift && !categories.is_empty() {
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

/// Everything that was computed, in a form that does not change with the report.
pub(super) fn document(decision: &Decision, chosen: &Chosen) -> Value {
    let rows = decision.whole.rows;
    let scope = |part: &Part| {
        json!({
            "name": name(&part.scope),
            "rows": { "baseline": part.rows[0], "current": part.rows[1] },
            "state": part.state.as_str(),
            "reason": part.reason,
            "columns": part.columns.iter().map(brief).collect::<Vec<_>>(),
        })
    };
    let scopes = |parts: &[Part]| parts.iter().map(scope).collect::<Vec<_>>();
    let change = |change: &super::schema::Change| {
        json!({
            "rule": change.rule,
            "column": change.column,
            "what": change.what,
            "breaks": change.breaks,
        })
    };
    json!({
        "schema_version": 1,
        "state": decision.state.as_str(),
        "reason": decision.reason,
        "rows": { "baseline": rows[0], "current": rows[1] },
        "faults": chosen.changes.iter().map(change).collect::<Vec<_>>(),
        "not_compared": chosen.skipped,
        "columns": decision.columns().iter().map(column).collect::<Vec<_>>(),
        "windows": scopes(&decision.windows),
        "windows_against_the_one_before": scopes(&decision.steps),
        "slices": scopes(&decision.slices),
    })
}

/// A column of a slice or window: what decided, without the profile.
fn brief(judged: &Judged) -> Value {
    json!({
        "column": judged.compared.column,
        "state": judged.state.as_str(),
        "statistic": judged.effect.map(|effect| effect.statistic.as_str()),
        "effect": judged.effect.map(|effect| effect.corrected),
        "threshold": judged.threshold,
        "p_value_adjusted": judged.p_value,
        "null_share": judged.compared.profiles[1].missing_share(),
    })
}

fn column(judged: &Judged) -> Value {
    let compared = &judged.compared;
    let effects: serde_json::Map<String, Value> = compared
        .effects
        .iter()
        .map(|effect| {
            let sizes = json!({
                "value": effect.value,
                "without_chance": effect.corrected,
                "error": effect.error,
            });
            (effect.statistic.as_str().to_owned(), sizes)
        })
        .collect();
    json!({
        "column": compared.column,
        "kind": compared.kind.as_str(),
        "state": judged.state.as_str(),
        "reason": judged.reason,
        "statistic": judged.effect.map(|effect| effect.statistic.as_str()),
        "threshold": judged.threshold,
        "p_value_adjusted": judged.p_value,
        "effects": effects,
        "test": {
            "name": compared.test,
            "statistic": compared.tested.statistic,
            "p_value": compared.tested.p_value,
        },
        "more_tests": compared.more.iter().map(|(name, tested)| {
            let told = json!({ "statistic": tested.statistic, "p_value": tested.p_value });
            ((*name).to_owned(), told)
        }).collect::<serde_json::Map<String, Value>>(),
        "nulls_test": {
            "z": compared.nulls_tested.statistic,
            "p_value": compared.nulls_tested.p_value,
        },
        "baseline": profile(&compared.profiles[0], compared.kind),
        "current": profile(&compared.profiles[1], compared.kind),
        "bins": {
            "labels": compared.labels,
            "baseline": compared.shares[0],
            "current": compared.shares[1],
        },
        "compat": compared.foreign.map(|foreign| json!({
            "method": foreign.method,
            "score": foreign.score,
            "threshold": foreign.threshold,
            "drifted": foreign.drifted,
        })),
        "new_categories": compared.new,
        "vanished_categories": compared.vanished,
    })
}

fn profile(profile: &Profile, kind: Kind) -> Value {
    let mut told = json!({ "rows": profile.rows, "nulls": profile.nulls });
    let object = told.as_object_mut();
    let Some(told_in) = object else { return told };
    if let (Kind::Numbers, Some(facts)) = (kind, profile.facts) {
        told_in.insert("nans".into(), facts.nans.into());
        told_in.insert("infinities".into(), facts.infinities.into());
        if facts.values > 0 {
            told_in.insert("zeros".into(), facts.zeros.into());
            for (name, value) in [
                ("min", facts.min),
                ("max", facts.max),
                ("mean", facts.mean),
                ("deviation", facts.deviation()),
            ] {
                told_in.insert(name.into(), json!(value));
            }
            let quantiles: serde_json::Map<String, Value> = QUANTILES
                .iter()
                .zip(&profile.quantiles)
                .map(|(place, value)| (place.to_string(), json!(value)))
                .collect();
            told_in.insert("quantiles".into(), quantiles.into());
        }
    }
    if let Some(distinct) = profile.distinct {
        told_in.insert("distinct".into(), distinct.into());
    }
    told
}
