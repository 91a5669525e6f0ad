//! What a decision looks like: rows for the lakehouse, and a report.

use std::collections::BTreeMap;

use serde_json::json;

use super::change;
use super::input::Judged;
use crate::config::Gate;
use crate::names::Sha256;
use crate::record::GateRow;
use crate::record::evidence::{Check, Evidence, Measured, Statement, Subject, Thresholds};
use crate::report::{
    Curves, Document, Finding, Forest, Interval, Line, Outcome, Report, Severity, Table, Verdict,
    number,
};
use crate::stats::curves;
use crate::stats::metrics::Answers;
use crate::verdict::{Decision, verdict_named, verdict_of};

pub(super) fn rows(evidence: &Evidence) -> Vec<GateRow> {
    let statement = &evidence.statement;
    // The same decision about the same bytes and data is the same event, also
    // when a killed step makes it again a little later.
    let timeless = Statement { at: String::new(), expires: None, ..statement.clone() };
    let decision = Evidence::seal(timeless).digest;
    let row = |check: &Check| GateRow {
        event_id: Sha256::of_parts([
            decision.as_str(),
            &check.kind,
            check.scope.as_deref().unwrap_or_default(),
            &check.rule,
        ])
        .to_string(),
        evidence: evidence.digest.clone(),
        model: statement.model.to_string(),
        candidate_version: statement.candidate.version.0,
        champion_version: statement.champion.as_ref().map(|champion| champion.version.0),
        kind: check.kind.clone(),
        rule: check.rule.clone(),
        slice: check.scope.clone(),
        metric: check.metric.clone(),
        candidate_value: check.candidate.unwrap_or(f64::NAN),
        champion_value: check.champion,
        difference_low: check.low,
        difference_high: check.high,
        p_value: check.p_value,
        rule_verdict: verdict_of(check).as_str(),
        reason: check.reason.clone(),
        verdict: verdict_named(&statement.verdict).as_str(),
        rows: check.rows.unwrap_or(statement.data.rows),
        data_version: statement.data.version,
        run_url: statement.run_url.clone(),
        at: statement.at.clone(),
    };
    statement.checks.iter().map(row).collect()
}

pub(super) fn outcome(
    evidence: &Evidence,
    decision: &Decision,
    judged: Option<&Judged>,
) -> Outcome {
    let statement = &evidence.statement;
    let mut report = report(evidence, decision);
    report.curves = judged.map(curves).unwrap_or_default();
    report.tables.extend(judged.and_then(confusion));
    let champion = statement.champion.as_ref();
    Outcome {
        document: Some(Document { name: "evidence", content: json!(evidence) }),
        ..Outcome::new(report)
            .output("candidate-version", statement.candidate.version.to_string())
            .output(
                "champion-version",
                champion.map_or(String::new(), |champion| champion.version.to_string()),
            )
            .output("digest", statement.candidate.digest.to_string())
    }
}

fn report(evidence: &Evidence, decision: &Decision) -> Report {
    let statement = &evidence.statement;
    let mut report = Report::new(
        "model-gate",
        format!("{} version {}", statement.model, statement.candidate.version),
    );
    report.is_brief = true;
    let champion = statement.champion.as_ref();
    let of = statement.champion_of.as_ref().map(|model| format!(" of {model}"));
    let told = |champion: &Subject| {
        format!("version {}{}", champion.version, of.as_deref().unwrap_or_default())
    };
    report.fact("champion", champion.map_or("none".to_owned(), told));
    let data = &statement.data;
    let state = match (data.version, &data.digest) {
        (Some(version), _) => format!(" version {version}"),
        (None, Some(digest)) => format!(" with digest {}", digest.short()),
        (None, None) => String::new(),
    };
    match &data.source {
        Some(source) => {
            report.fact("data", format!("{source}{state}"));
            report.fact("rows", data.rows.to_string());
        }
        None => report.fact("data", "what training logged"),
    }
    report.fact("digest", statement.candidate.digest.short());
    if let Some(thresholds) = &statement.measured.thresholds {
        report.fact("thresholds", chosen(thresholds, &statement.policy));
    }
    if let Some(correction) = statement.policy.correction {
        report.fact("correction", correction.as_str());
    }
    if let Some(expires) = &statement.expires {
        report.fact("expires", expires.clone());
    }
    report.tables.extend(change::table(decision.verdict, &decision.checks));
    report.tables.extend(tables(&decision.checks));
    report.tables.push(all_metrics(&statement.measured));
    report.forests.extend(forest(&decision.checks));
    for check in decision.checks.iter().filter(|check| verdict_of(check) != Verdict::Pass) {
        let id = format!("gate/{}", check.kind);
        report.findings.push(Finding::new(Severity::Error, id, check.reason.clone()));
    }
    for (id, note) in &decision.notes {
        report.findings.push(Finding::new(Severity::Notice, *id, note.clone()));
    }
    report.concluded(decision.verdict, decision.reason.clone())
}

/// The checks of each kind, the worst first.
fn tables(checks: &[Check]) -> Vec<Table> {
    let mut tables = Vec::new();
    for (kind, title) in [
        ("rules", "Rules"),
        ("slices", "Slices"),
        ("fairness", "Fairness"),
        ("compliance", "Compliance"),
        ("infrastructure", "Infrastructure"),
        ("experiment", "Live traffic"),
    ] {
        let of_kind: Vec<&Check> = checks.iter().filter(|check| check.kind == kind).collect();
        if !of_kind.is_empty() {
            let mut table = table(title, &of_kind);
            if kind == "slices" {
                draw_bars(&mut table, &of_kind);
            }
            table.worst_first();
            tables.push(table);
        }
    }
    tables
}

/// The thresholds, and what they were chosen by.
fn chosen(thresholds: &Thresholds, policy: &Gate) -> String {
    let champion = thresholds.champion.map(|score| format!(", champion {}", number(score)));
    let by = policy.threshold.choice().map(|choice| {
        format!("; the best {} of {} rows where {}", choice.best, thresholds.rows, choice.condition)
    });
    format!(
        "candidate {}{}{}",
        number(thresholds.candidate),
        champion.unwrap_or_default(),
        by.unwrap_or_default()
    )
}

fn shown(value: Option<f64>) -> String {
    value.map_or("–".into(), number)
}

/// The rule, after its slice if it has one.
pub(super) fn label(check: &Check) -> String {
    match &check.scope {
        Some(scope) => format!("{scope}: {}", check.rule),
        None => check.rule.clone(),
    }
}

fn table(title: &str, checks: &[&Check]) -> Table {
    let mut table = Table::new(title, ["rule", "candidate", "champion", "reason"]);
    for check in checks {
        let cells =
            [label(check), shown(check.candidate), shown(check.champion), check.reason.clone()];
        table.row(Some(verdict_of(check)), cells);
    }
    table
}

/// The sizes of both models' values beside each slice, in shares of the largest
/// that the metric comes to in any.
fn draw_bars(table: &mut Table, checks: &[&Check]) {
    let size = |value: Option<f64>| value.filter(|value| value.is_finite()).map_or(0.0, f64::abs);
    let mut largest = BTreeMap::<&str, f64>::new();
    for check in checks {
        let largest = largest.entry(&check.metric).or_default();
        *largest = largest.max(size(check.candidate)).max(size(check.champion));
    }
    for (row, check) in table.rows.iter_mut().zip(checks) {
        let whole = largest[check.metric.as_str()];
        if whole > 0.0 {
            row.bars = Some([check.champion, check.candidate].map(|value| size(value) / whole));
        }
    }
}

/// What was estimated, with intervals, each metric in its own unit.
fn forest(checks: &[Check]) -> Option<Forest> {
    let interval = |check: &Check| {
        Some(Interval {
            label: label(check),
            // A value and a difference of it are no neighbours on one scale.
            unit: format!("{} {}", check.metric, check.candidate == check.value),
            value: check.value?,
            low: check.low?,
            high: check.high?,
            limit: check.limit,
            verdict: verdict_of(check),
        })
    };
    let intervals: Vec<Interval> = checks.iter().filter_map(interval).collect();
    let title = "Differences from the champion, and values by their bounds".to_owned();
    (!intervals.is_empty()).then_some(Forest { title, intervals })
}

/// ROC, precision and recall, calibration: of both models.
fn curves(judged: &Judged) -> Vec<Curves> {
    let mut models = Vec::new();
    // In the order of the chart's colours.
    for (name, model) in ["champion", "candidate"].into_iter().zip(judged.models().iter().rev()) {
        if let Some(Answers::Scores(scores)) = model.map(|model| &model.answers)
            && judged.rarer(None).is_some()
        {
            models.push((name, curves::curves(scores)));
        }
    }
    if models.is_empty() {
        return Vec::new();
    }
    let drawn = |title: &str,
                 axes: [&str; 2],
                 diagonal,
                 points: fn(&curves::Curves) -> &Vec<[f64; 2]>| Curves {
        title: title.into(),
        axes: axes.map(str::to_owned),
        lines: models
            .iter()
            .map(|(name, curves)| Line { name: (*name).to_owned(), points: points(curves).clone() })
            .collect(),
        diagonal,
    };
    vec![
        drawn("ROC", ["false positive rate", "true positive rate"], true, |curves| &curves.roc),
        drawn("Precision and recall", ["recall", "precision"], false, |curves| {
            &curves.precision_recall
        }),
        drawn("Calibration", ["score", "share of positives"], true, |curves| &curves.calibration),
    ]
}

/// Rows by what they are and what was said of them.
fn confusion(judged: &Judged) -> Option<Table> {
    /// A larger table is no longer read.
    const CLASSES: usize = 8;
    let mut tables = Vec::new();
    for (name, model) in ["candidate", "champion"].into_iter().zip(judged.models()) {
        let table = match model.map(|model| &model.answers)? {
            Answers::Scores(scores) if judged.rarer(None).is_some() => {
                let mut table = vec![vec![0u64; 2]; 2];
                for (label, alarm) in scores.labels().iter().zip(scores.alarms()) {
                    table[usize::from(*label == 1.0)][usize::from(*alarm)] += 1;
                }
                (table, vec!["negative".to_owned(), "positive".to_owned()])
            }
            Answers::Classes(classes) => (classes.table(), judged.classes.clone()),
            _ => return None,
        };
        tables.push((name, table));
        if judged.champion.is_none() {
            break;
        }
    }
    let names = tables.first().map(|(_, (_, names))| names.clone())?;
    if names.len() > CLASSES {
        return None;
    }
    let mut table = Table::new("Confusion", ["model", "label"]);
    table.columns.extend(names.iter().map(|name| format!("said {name}")));
    for (model, (counts, names)) in &tables {
        for (label, row) in names.iter().zip(counts) {
            let counts = row.iter().map(ToString::to_string);
            table.row(None, [(*model).to_owned(), label.clone()].into_iter().chain(counts));
        }
    }
    Some(table)
}

fn all_metrics(measured: &Measured) -> Table {
    let mut table = Table::new("Metrics", ["metric", "candidate", "champion"]);
    let whole = &measured.whole;
    let of = |values: Option<&BTreeMap<String, f64>>, name: &str| {
        shown(values.and_then(|values| values.get(name)).copied())
    };
    for (name, value) in &whole.candidate {
        let champion = of(whole.champion.as_ref(), name);
        table.row(None, [name.clone(), number(*value), champion]);
    }
    table
}
