//! The page of the lakehouse tables, from the rows' own definitions.

use std::fmt::Write as _;

use crate::record::TABLES;

pub(super) fn page() -> String {
    let mut out = "# Tables\n\nWith `record.schema`, every command records what it did, in Delta tables of that schema. They are made when they are\nneeded, rows are only added, and a repetition adds none: rows are merged by `event_id`.\n".to_owned();
    for (name, about, columns) in TABLES {
        _ = writeln!(out, "\n## {name}\n\n{about}\n\n| column | type | |\n|---|---|---|");
        for (column, kind, about) in columns {
            _ = writeln!(out, "| `{column}` | {kind} | {about} |");
        }
    }
    out
}
