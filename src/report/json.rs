//! The machine format, version 1. Fields are only ever added.

use serde_json::{Value, json};

use super::Report;

pub(super) fn render(report: &Report, outputs: &[(String, String)]) -> Value {
    let pairs = |pairs: &[(String, String)]| -> Value {
        pairs.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect()
    };
    json!({
        "version": 1,
        "command": report.command,
        "title": report.title,
        "verdict": report.verdict,
        "reason": report.reason,
        "facts": pairs(&report.facts),
        "findings": report.findings,
        "tables": report.tables,
        "outputs": pairs(outputs),
    })
}
