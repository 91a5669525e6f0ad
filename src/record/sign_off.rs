//! `sign_offs`: approvals, overrides and refusals of promotions.

use super::{Cell, Column, Row};

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
    const ABOUT: &'static str = "Approvals, overrides and refusals of promotions.";
    const COLUMNS: &'static [Column] = &[
        ("event_id", "STRING", "identifies the row for ever; a repetition adds none"),
        ("kind", "STRING", "`approval`, `override`, or `refusal` of a promotion"),
        ("model", "STRING", "the full name"),
        ("version", "BIGINT", "the version it is about"),
        ("digest", "STRING", "sha256 over the version's files: an approval is for these alone"),
        ("evidence", "STRING", "seal of the evidence"),
        ("who", "STRING", "who said it"),
        ("source", "STRING", "where it was said: `github`, `azure`, `tag`, `table`"),
        ("reason", "STRING", "why, where somebody said so"),
        ("run_url", "STRING", "the CI run that wrote the row"),
        ("at", "STRING", "when, RFC 3339 in UTC"),
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
