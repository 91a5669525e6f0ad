//! `promotions`: an intent before each change of an alias, an outcome after it.
//! An intent without an outcome means: look what the alias says, then repeat.

use super::{Cell, Row};

#[derive(Debug, Clone, PartialEq)]
pub struct PromotionRow {
    pub event_id: String,
    /// `intent` or `outcome`.
    pub phase: &'static str,
    pub model: String,
    pub alias: String,
    pub from_version: Option<u64>,
    pub to_version: u64,
    pub digest: String,
    pub evidence: String,
    pub actor: Option<String>,
    pub run_url: Option<String>,
    pub at: String,
}

impl Row for PromotionRow {
    const TABLE: &'static str = "promotions";
    const COLUMNS: &'static [(&'static str, &'static str)] = &[
        ("event_id", "STRING"),
        ("phase", "STRING"),
        ("model", "STRING"),
        ("alias", "STRING"),
        ("from_version", "BIGINT"),
        ("to_version", "BIGINT"),
        ("digest", "STRING"),
        ("evidence", "STRING"),
        ("actor", "STRING"),
        ("run_url", "STRING"),
        ("at", "STRING"),
    ];

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::text(&self.event_id),
            Cell::text(self.phase),
            Cell::text(&self.model),
            Cell::text(&self.alias),
            Cell::whole(self.from_version),
            Cell::whole(self.to_version),
            Cell::text(&self.digest),
            Cell::text(&self.evidence),
            Cell::Text(self.actor.clone()),
            Cell::Text(self.run_url.clone()),
            Cell::text(&self.at),
        ]
    }
}
