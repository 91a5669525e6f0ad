//! Where data is: a table of the catalog, or files of this machine.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{NameError, TableName};

/// A table, or files by path, folder or pattern.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Source {
    Table(TableName),
    Files(String),
}

/// Endings that tell a file.
pub const FILE_KINDS: [&str; 7] = ["parquet", "pq", "csv", "arrow", "arrows", "feather", "ipc"];

impl FromStr for Source {
    type Err = NameError;

    /// What has a slash or a pattern is a path, three names are a table.
    fn from_str(text: &str) -> Result<Self, NameError> {
        let is_path = text.contains(['/', '\\', '*', '?', '[']);
        if !is_path && let Ok(table) = text.parse() {
            return Ok(Self::Table(table));
        }
        let ending = text.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase());
        if is_path || ending.is_some_and(|ending| FILE_KINDS.contains(&ending.as_str())) {
            return Ok(Self::Files(text.to_owned()));
        }
        Err(NameError {
            given: text.to_owned(),
            expected: "a table (`catalog.schema.table`) or a path (`data/june.parquet`, `./folder`)",
        })
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Table(table) => table.fmt(f),
            Self::Files(path) => f.write_str(path),
        }
    }
}

impl TryFrom<String> for Source {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<Source> for String {
    fn from(source: Source) -> Self {
        source.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_and_paths_are_told_apart() {
        let table = |text: &str| matches!(text.parse(), Ok(Source::Table(_)));
        let files = |text: &str| matches!(text.parse(), Ok(Source::Files(_)));
        assert!(table("main.flights.features") && table("main.default.parquet"));
        for path in ["june.parquet", "./main.default.parquet", "data/", "data/*.csv", "C:\\june.pq"]
        {
            assert!(files(path), "{path}");
        }
        for wrong in ["features", "main.features", ""] {
            assert!(wrong.parse::<Source>().is_err(), "{wrong}");
        }
    }
}
