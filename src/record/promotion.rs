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
        let text = |text: &str| Cell::Text(Some(text.to_owned()));
        let whole = |number: u64| i64::try_from(number).ok();
        vec![
            text(&self.event_id),
            text(self.phase),
            text(&self.model),
            text(&self.alias),
            Cell::Whole(self.from_version.and_then(whole)),
            Cell::Whole(whole(self.to_version)),
            text(&self.digest),
            text(&self.evidence),
            Cell::Text(self.actor.clone()),
            Cell::Text(self.run_url.clone()),
            text(&self.at),
        ]
    }
}
