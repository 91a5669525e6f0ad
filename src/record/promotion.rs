//! `promotions`: an intent before each change of an alias, an outcome after it.
//! An intent without an outcome means: look what the alias says, then repeat.

use super::{Cell, Column, Row};

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
    const ABOUT: &'static str = "An intent before each change of an alias, an outcome after it. An intent without an outcome means: look what the alias says, then repeat.";
    const COLUMNS: &'static [Column] = &[
        ("event_id", "STRING", "identifies the row for ever; a repetition adds none"),
        ("phase", "STRING", "`intent`, `outcome`, or `abandoned` for an intent without effect"),
        ("kind", "STRING", "`promotion` or `rollback`"),
        ("model", "STRING", "the full name"),
        ("alias", "STRING", "the alias that moves"),
        ("epoch", "BIGINT", "which holder of the alias' fence made the move"),
        ("from_version", "BIGINT", "the version before, if any"),
        ("to_version", "BIGINT", "the version after"),
        ("digest", "STRING", "sha256 over the new version's files"),
        ("evidence", "STRING", "seal of the evidence that allowed it"),
        ("cause", "STRING", "what asked for the move: a repetition has the same one"),
        ("reason", "STRING", "why, in one line"),
        ("actor", "STRING", "who moved it, as the workspace names them"),
        ("run_url", "STRING", "the CI run that wrote the row"),
        ("at", "STRING", "when, RFC 3339 in UTC"),
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
