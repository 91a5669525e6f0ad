//! `promotion_fences`: a row per alias, held by who moves it. The row stays; its
//! epoch grows with each holder.

use super::{Cell, Row};

#[derive(Debug, Clone, PartialEq)]
pub struct FenceRow {
    pub event_id: String,
    pub model: String,
    pub alias: String,
}

impl Row for FenceRow {
    const TABLE: &'static str = "promotion_fences";
    const COLUMNS: &'static [(&'static str, &'static str)] = &[
        ("event_id", "STRING"),
        ("model", "STRING"),
        ("alias", "STRING"),
        ("epoch", "BIGINT"),
        ("holder", "STRING"),
        ("lease_until", "BIGINT"),
    ];

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::text(&self.event_id),
            Cell::text(&self.model),
            Cell::text(&self.alias),
            Cell::whole(0),
            Cell::Text(None),
            Cell::Whole(None),
        ]
    }
}
