//! `gate_results`: one row per rule of each gate run.

use super::{Cell, Row};

#[derive(Debug, Clone, PartialEq)]
pub struct GateRow {
    pub event_id: String,
    pub evidence: String,
    pub model: String,
    pub candidate_version: u64,
    pub champion_version: Option<u64>,
    pub rule: String,
    pub metric: String,
    pub candidate_value: f64,
    pub champion_value: Option<f64>,
    pub difference_low: Option<f64>,
    pub difference_high: Option<f64>,
    pub rule_verdict: &'static str,
    pub verdict: &'static str,
    pub rows: u64,
    pub data_version: u64,
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
        ("rule", "STRING"),
        ("metric", "STRING"),
        ("candidate_value", "DOUBLE"),
        ("champion_value", "DOUBLE"),
        ("difference_low", "DOUBLE"),
        ("difference_high", "DOUBLE"),
        ("rule_verdict", "STRING"),
        ("verdict", "STRING"),
        ("rows", "BIGINT"),
        ("data_version", "BIGINT"),
        ("run_url", "STRING"),
        ("at", "STRING"),
    ];

    fn cells(&self) -> Vec<Cell> {
        let text = |text: &str| Cell::Text(Some(text.to_owned()));
        let whole = |number: u64| i64::try_from(number).ok();
        vec![
            text(&self.event_id),
            text(&self.evidence),
            text(&self.model),
            Cell::Whole(whole(self.candidate_version)),
            Cell::Whole(self.champion_version.and_then(whole)),
            text(&self.rule),
            text(&self.metric),
            Cell::Number(Some(self.candidate_value)),
            Cell::Number(self.champion_value),
            Cell::Number(self.difference_low),
            Cell::Number(self.difference_high),
            text(self.rule_verdict),
            text(self.verdict),
            Cell::Whole(whole(self.rows)),
            Cell::Whole(whole(self.data_version)),
            Cell::Text(self.run_url.clone()),
            text(&self.at),
        ]
    }
}
