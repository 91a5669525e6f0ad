//! `promotion_fences`: a row per alias and per endpoint, held by who moves it. The row
//! stays; its epoch grows with each holder.

use super::{Cell, Column, Row};

#[derive(Debug, Clone, PartialEq)]
pub struct FenceRow {
    pub event_id: String,
    pub model: String,
    pub alias: String,
}

impl Row for FenceRow {
    const TABLE: &'static str = "promotion_fences";
    const ABOUT: &'static str = "A row per alias and per endpoint, held by who moves it. The row stays; its epoch grows with each holder.";
    const COLUMNS: &'static [Column] = &[
        ("event_id", "STRING", "identifies the alias or the endpoint"),
        ("model", "STRING", "the full name; the name of an endpoint"),
        ("alias", "STRING", "the alias; `endpoint at WORKSPACE` of an endpoint"),
        ("epoch", "BIGINT", "how many held it so far"),
        ("holder", "STRING", "who holds it, or held it last"),
        (
            "lease_until",
            "BIGINT",
            "until when, in milliseconds since 1970, by the warehouse's clock",
        ),
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
