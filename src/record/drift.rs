//! `drift_results`: one row per column of each drift check.

use super::{Cell, Row};

#[derive(Debug, Clone, PartialEq)]
pub struct DriftRow {
    pub event_id: String,
    pub baseline: String,
    pub current: String,
    pub window: String,
    pub column: String,
    pub kind: &'static str,
    pub psi: Option<f64>,
    pub statistic: Option<f64>,
    pub p_value: Option<f64>,
    pub null_share_baseline: f64,
    pub null_share_current: f64,
    pub drifted: bool,
    pub decision: &'static str,
    pub at: String,
}

impl Row for DriftRow {
    const TABLE: &'static str = "drift_results";
    const COLUMNS: &'static [(&'static str, &'static str)] = &[
        ("event_id", "STRING"),
        ("baseline", "STRING"),
        ("current", "STRING"),
        ("window_id", "STRING"),
        ("column_name", "STRING"),
        ("kind", "STRING"),
        ("psi", "DOUBLE"),
        ("statistic", "DOUBLE"),
        ("p_value", "DOUBLE"),
        ("null_share_baseline", "DOUBLE"),
        ("null_share_current", "DOUBLE"),
        ("drifted", "BOOLEAN"),
        ("decision", "STRING"),
        ("at", "STRING"),
    ];

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::text(&self.event_id),
            Cell::text(&self.baseline),
            Cell::text(&self.current),
            Cell::text(&self.window),
            Cell::text(&self.column),
            Cell::text(self.kind),
            Cell::Number(self.psi),
            Cell::Number(self.statistic),
            Cell::Number(self.p_value),
            Cell::Number(Some(self.null_share_baseline)),
            Cell::Number(Some(self.null_share_current)),
            Cell::Flag(self.drifted),
            Cell::text(self.decision),
            Cell::text(&self.at),
        ]
    }
}
