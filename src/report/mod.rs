//! What every command says: one report, rendered for each reader.
//!
//! A feature returns an [`Outcome`]; it never prints. Markdown goes to step
//! summaries, HTML to artifacts, JSON to programs, JUnit to test results, plain
//! text to terminals.

mod chart;
mod comment;
mod curves;
mod fault;
mod forest;
mod graph;
mod html;
mod json;
mod junit;
mod markdown;
mod plain;

pub use chart::{Chart, Series};
pub use curves::{Curves, Line};
pub use fault::{Fault, FaultKind};
pub use forest::{Forest, Interval};
pub use graph::Graph;

use serde::Serialize;

/// The answer of a step. A negative verdict is an answer, not an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    Pass,
    Inconclusive,
    Fail,
}

impl Verdict {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Inconclusive => "inconclusive",
            Self::Fail => "fail",
        }
    }

    /// A mark that reads without colour.
    pub fn mark(self) -> &'static str {
        match self {
            Self::Pass => "✓",
            Self::Inconclusive => "?",
            Self::Fail => "✗",
        }
    }

    /// The worse of the two.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        self.max(other)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Error,
    Warning,
    Notice,
}

/// A position in a file of the repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Place {
    pub file: String,
    pub line: Option<u32>,
}

/// One thing to tell: what is wrong, where, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    pub severity: Severity,
    /// A stable identifier, such as `gate/threshold`.
    pub rule: String,
    pub title: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Finding {
    pub fn new(severity: Severity, rule: impl Into<String>, title: impl Into<String>) -> Self {
        Self { severity, rule: rule.into(), title: title.into(), place: None, hint: None }
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// A table of a report, worst row first.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Table {
    pub title: String,
    pub columns: Vec<String>,
    pub rows: Vec<Row>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    pub cells: Vec<String>,
    /// Shares of the largest in the table: of what was compared with, and of what
    /// is looked at. Drawn on the page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bars: Option<[f64; 2]>,
}

impl Table {
    pub fn new<const N: usize>(title: impl Into<String>, columns: [&str; N]) -> Self {
        Self { title: title.into(), columns: columns.map(str::to_owned).to_vec(), rows: Vec::new() }
    }

    pub fn row(&mut self, verdict: Option<Verdict>, cells: impl IntoIterator<Item = String>) {
        self.rows.push(Row { verdict, cells: cells.into_iter().collect(), bars: None });
    }

    /// Sorts failures to the top and keeps the given order otherwise.
    pub fn worst_first(&mut self) {
        self.rows.sort_by_key(|row| std::cmp::Reverse(row.verdict));
    }
}

/// All that one run of a command has to say.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    pub command: &'static str,
    pub title: String,
    pub verdict: Verdict,
    pub reason: String,
    /// Short facts, in order: what was looked at.
    pub facts: Vec<(String, String)>,
    pub findings: Vec<Finding>,
    pub tables: Vec<Table>,
    /// Folded away on the page, and shown nowhere else.
    pub details: Vec<Table>,
    pub charts: Vec<Chart>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub forests: Vec<Forest>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub graph: Option<Graph>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub curves: Vec<Curves>,
    /// Its summary is a few lines, whatever the report holds.
    #[serde(skip)]
    pub is_brief: bool,
}

impl Report {
    pub fn new(command: &'static str, title: impl Into<String>) -> Self {
        Self {
            command,
            title: title.into(),
            verdict: Verdict::Pass,
            reason: String::new(),
            facts: Vec::new(),
            findings: Vec::new(),
            tables: Vec::new(),
            details: Vec::new(),
            charts: Vec::new(),
            forests: Vec::new(),
            graph: None,
            curves: Vec::new(),
            is_brief: false,
        }
    }

    pub fn fact(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.facts.push((name.into(), value.into()));
    }

    /// Closes the report with its verdict.
    #[must_use]
    pub fn concluded(mut self, verdict: Verdict, reason: impl Into<String>) -> Self {
        self.verdict = verdict;
        self.reason = reason.into();
        self.findings.sort_by_key(|finding| finding.severity);
        self
    }

    pub fn markdown(&self) -> String {
        markdown::render(self)
    }

    /// Markdown for the comment on a merge request.
    pub fn comment(&self) -> String {
        comment::render(self)
    }

    pub fn html(&self) -> anyhow::Result<String> {
        html::render(self)
    }

    pub fn json(&self, outputs: &[(String, String)]) -> serde_json::Value {
        json::render(self, outputs)
    }

    /// Test results, for hosts that show them.
    pub fn junit(&self) -> anyhow::Result<String> {
        junit::render(self)
    }

    /// Text for a terminal; `colour` adds ANSI codes and no meaning.
    pub fn plain(&self, colour: bool) -> String {
        plain::render(self, colour)
    }
}

/// What a feature hands back to the edge.
#[derive(Debug, Clone)]
pub struct Outcome {
    pub report: Report,
    /// The command's outputs beside `verdict`, `reason` and `report`.
    pub outputs: Vec<(String, String)>,
    /// A machine-readable document to keep: a plan, or a gate's evidence.
    pub document: Option<Document>,
    /// Other files to keep beside the report, by what follows its name: `unit.xml`.
    pub files: Vec<(String, Vec<u8>)>,
}

#[derive(Debug, Clone)]
pub struct Document {
    /// The name of the output that carries its path, such as `evidence`.
    pub name: &'static str,
    pub content: serde_json::Value,
}

impl Outcome {
    pub fn new(report: Report) -> Self {
        Self { report, outputs: Vec::new(), document: None, files: Vec::new() }
    }

    #[must_use]
    pub fn output(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.outputs.push((name.into(), value.into()));
        self
    }
}

/// `1 file`, `2 files`.
pub fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// A text of at most so many characters, the last of which tells of what was cut.
pub fn shortened(text: &str, most: usize) -> String {
    match text.chars().count() > most {
        true => text.chars().take(most - 1).chain(['…']).collect(),
        false => text.to_owned(),
    }
}

/// A number for people: four significant digits, no noise.
pub fn number(value: f64) -> String {
    if !value.is_finite() {
        return value.to_string();
    }
    let magnitude = value.abs();
    if magnitude != 0.0 && !(1e-3..1e6).contains(&magnitude) {
        return format!("{value:.3e}");
    }
    let decimals = if magnitude >= 1000.0 {
        1
    } else if magnitude >= 10.0 {
        2
    } else {
        4
    };
    let text = format!("{value:.decimals$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests;
