//! `gate_results`: one row per rule of each gate run.

use super::{Cell, Column, Row};

#[derive(Debug, Clone, PartialEq)]
pub struct GateRow {
    pub event_id: String,
    pub evidence: String,
    pub model: String,
    pub candidate_version: u64,
    pub champion_version: Option<u64>,
    /// `rules`, `slices` or `fairness`.
    pub kind: String,
    pub rule: String,
    pub slice: Option<String>,
    pub metric: String,
    pub candidate_value: f64,
    pub champion_value: Option<f64>,
    pub difference_low: Option<f64>,
    pub difference_high: Option<f64>,
    pub p_value: Option<f64>,
    pub rule_verdict: &'static str,
    pub reason: String,
    pub verdict: &'static str,
    pub rows: u64,
    pub data_version: Option<u64>,
    pub run_url: Option<String>,
    pub at: String,
}

impl Row for GateRow {
    const TABLE: &'static str = "gate_results";
    const ABOUT: &'static str = "A row per rule of each gate run.";
    const COLUMNS: &'static [Column] = &[
        ("event_id", "STRING", "identifies the row for ever; a repetition adds none"),
        ("evidence", "STRING", "seal of the evidence that the row is part of"),
        ("model", "STRING", "the full name"),
        ("candidate_version", "BIGINT", "the version that was judged"),
        ("champion_version", "BIGINT", "the version it was compared with, if any"),
        (
            "kind",
            "STRING",
            "`rules`, `slices`, `fairness`, `compliance`, `infrastructure`, `experiment`",
        ),
        ("rule", "STRING", "the rule as it stands in the policy"),
        ("slice", "STRING", "the slice it is about, if it is about one"),
        ("metric", "STRING", "the metric, or the check"),
        ("candidate_value", "DOUBLE", "the candidate's"),
        ("champion_value", "DOUBLE", "the champion's"),
        ("difference_low", "DOUBLE", "lower bound of the interval"),
        ("difference_high", "DOUBLE", "upper bound of the interval"),
        ("p_value", "DOUBLE", "adjusted for all rules, where the policy corrects"),
        ("rule_verdict", "STRING", "`pass`, `fail` or `inconclusive`"),
        ("reason", "STRING", "why, in one sentence with its numbers"),
        ("verdict", "STRING", "of the whole gate"),
        ("rows", "BIGINT", "rows that were judged"),
        ("data_version", "BIGINT", "version of the predictions table"),
        ("run_url", "STRING", "the CI run that wrote the row"),
        ("at", "STRING", "when, RFC 3339 in UTC"),
    ];

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::text(&self.event_id),
            Cell::text(&self.evidence),
            Cell::text(&self.model),
            Cell::whole(self.candidate_version),
            Cell::whole(self.champion_version),
            Cell::text(&self.kind),
            Cell::text(&self.rule),
            Cell::Text(self.slice.clone()),
            Cell::text(&self.metric),
            Cell::Number(Some(self.candidate_value)),
            Cell::Number(self.champion_value),
            Cell::Number(self.difference_low),
            Cell::Number(self.difference_high),
            Cell::Number(self.p_value),
            Cell::text(self.rule_verdict),
            Cell::text(&self.reason),
            Cell::text(self.verdict),
            Cell::whole(self.rows),
            Cell::whole(self.data_version),
            Cell::Text(self.run_url.clone()),
            Cell::text(&self.at),
        ]
    }
}
