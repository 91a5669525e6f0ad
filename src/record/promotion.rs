//! `promotions`: an intent before each change of an alias, an outcome after it.
//! An intent without an outcome means: look what the alias says, then repeat.

use super::{Cell, Row};

#[derive(Debug, Clone, PartialEq)]
pub struct PromotionRow {
    pub event_id: String,
    /// `intent`, `outcome`, or `abandoned` for an intent without effect.
    pub phase: &'static str,
    /// `promotion` or `rollback`.
    pub kind: &'static str,
    pub model: String,
    pub alias: String,
    /// Which holder of the alias' fence made the move.
    pub epoch: u64,
    pub from_version: Option<u64>,
    pub to_version: u64,
    pub digest: String,
    pub evidence: String,
    /// What asked for the move: a repetition has the same one.
    pub cause: String,
    pub reason: Option<String>,
    pub actor: Option<String>,
    pub run_url: Option<String>,
    pub at: String,
}

impl Row for PromotionRow {
    const TABLE: &'static str = "promotions";
    const COLUMNS: &'static [(&'static str, &'static str)] = &[
        ("event_id", "STRING"),
        ("phase", "STRING"),
        ("kind", "STRING"),
        ("model", "STRING"),
        ("alias", "STRING"),
        ("epoch", "BIGINT"),
        ("from_version", "BIGINT"),
        ("to_version", "BIGINT"),
        ("digest", "STRING"),
        ("evidence", "STRING"),
        ("cause", "STRING"),
        ("reason", "STRING"),
        ("actor", "STRING"),
        ("run_url", "STRING"),
        ("at", "STRING"),
    ];

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::text(&self.event_id),
            Cell::text(self.phase),
            Cell::text(self.kind),
            Cell::text(&self.model),
            Cell::text(&self.alias),
            Cell::whole(self.epoch),
            Cell::whole(self.from_version),
            Cell::whole(self.to_version),
            Cell::text(&self.digest),
            Cell::text(&self.evidence),
            Cell::text(&self.cause),
            Cell::Text(self.reason.clone()),
            Cell::Text(self.actor.clone()),
            Cell::Text(self.run_url.clone()),
            Cell::text(&self.at),
        ]
    }
}
