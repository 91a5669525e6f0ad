//! `gate_results`: one row per rule of each gate run.

use super::{Cell, Row};

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
    const COLUMNS: &'static [(&'static str, &'static str)] = &[
        ("event_id", "STRING"),
        ("evidence", "STRING"),
        ("model", "STRING"),
        ("candidate_version", "BIGINT"),
        ("champion_version", "BIGINT"),
        ("kind", "STRING"),
        ("rule", "STRING"),
        ("slice", "STRING"),
        ("metric", "STRING"),
        ("candidate_value", "DOUBLE"),
        ("champion_value", "DOUBLE"),
        ("difference_low", "DOUBLE"),
        ("difference_high", "DOUBLE"),
        ("p_value", "DOUBLE"),
        ("rule_verdict", "STRING"),
        ("reason", "STRING"),
        ("verdict", "STRING"),
        ("rows", "BIGINT"),
        ("data_version", "BIGINT"),
        ("run_url", "STRING"),
        ("at", "STRING"),
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
