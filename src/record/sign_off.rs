//! `sign_offs`: approvals, overrides and refusals of promotions.

use super::{Cell, Row};

#[derive(Debug, Clone, PartialEq)]
pub struct SignOffRow {
    pub event_id: String,
    /// `approval`, `override`, or `refusal` of a promotion.
    pub kind: &'static str,
    pub model: String,
    pub version: u64,
    /// Of the version's files: an approval is for these alone.
    pub digest: String,
    pub evidence: String,
    pub who: Option<String>,
    /// Where it was said: `github`, `azure`, `tag`, `table`.
    pub source: String,
    pub reason: Option<String>,
    pub run_url: Option<String>,
    pub at: String,
}

impl Row for SignOffRow {
    const TABLE: &'static str = "sign_offs";
    const COLUMNS: &'static [(&'static str, &'static str)] = &[
        ("event_id", "STRING"),
        ("kind", "STRING"),
        ("model", "STRING"),
        ("version", "BIGINT"),
        ("digest", "STRING"),
        ("evidence", "STRING"),
        ("who", "STRING"),
        ("source", "STRING"),
        ("reason", "STRING"),
        ("run_url", "STRING"),
        ("at", "STRING"),
    ];

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::text(&self.event_id),
            Cell::text(self.kind),
            Cell::text(&self.model),
            Cell::whole(self.version),
            Cell::text(&self.digest),
            Cell::text(&self.evidence),
            Cell::Text(self.who.clone()),
            Cell::text(&self.source),
            Cell::Text(self.reason.clone()),
            Cell::Text(self.run_url.clone()),
            Cell::text(&self.at),
        ]
    }
}
