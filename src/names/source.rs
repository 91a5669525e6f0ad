//! Where data is: a table of the catalog, or files of this machine.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::{NameError, TableName};

/// A table, or files by path, folder or pattern; as it is, or as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Source {
    pub place: Place,
    pub as_of: Option<AsOf>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    Table(TableName),
    Files(String),
}

/// A state of a Delta table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AsOf {
    Version(u64),
    /// The newest version that is not younger.
    Time(Timestamp),
}

/// Endings that tell a file.
pub const FILE_KINDS: [&str; 7] = ["parquet", "pq", "csv", "arrow", "arrows", "feather", "ipc"];

/// No files that are read, and no tables either.
const COMPRESSED: [&str; 4] = [".gz", ".zip", ".zst", ".bz2"];

impl Source {
    pub fn is_table(&self) -> bool {
        matches!(self.place, Place::Table(_))
    }
}

/// An RFC 3339 time, or a time or date in UTC; with a blank or a `T` between.
pub fn time(text: &str) -> Option<Timestamp> {
    let text = text.trim().replacen(' ', "T", 1);
    let utc = |time: DateTime| TimeZone::UTC.to_timestamp(time).ok();
    text.parse::<Timestamp>()
        .ok()
        .or_else(|| text.parse::<DateTime>().ok().and_then(utc))
        .or_else(|| text.parse::<Date>().ok().and_then(|date| utc(date.at(0, 0, 0, 0))))
}

/// A time in milliseconds since 1970, as people write it.
pub fn instant(milliseconds: i64) -> String {
    Timestamp::from_millisecond(milliseconds)
        .map_or_else(|_| milliseconds.to_string(), |time| time.to_string())
}

impl FromStr for Source {
    type Err = NameError;

    /// What has a slash or a pattern is a path, three names are a table. At the
    /// end, `@v3` or `@2026-03-01` asks for a state of a Delta table.
    fn from_str(text: &str) -> Result<Self, NameError> {
        let as_of = text.rsplit_once('@').and_then(|(rest, state)| {
            let version = state.strip_prefix('v').and_then(|number| number.parse().ok());
            let state = version.map(AsOf::Version).or_else(|| time(state).map(AsOf::Time))?;
            Some((rest, state))
        });
        let (text, as_of) = as_of.map_or((text, None), |(rest, state)| (rest, Some(state)));
        let is_compressed = COMPRESSED.iter().any(|ending| text.to_lowercase().ends_with(ending));
        let is_path = text.contains(['/', '\\', '*', '?', '[']) || is_compressed;
        if !is_path && let Ok(table) = text.parse() {
            return Ok(Self { place: Place::Table(table), as_of });
        }
        let ending = text.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase());
        if is_path || ending.is_some_and(|ending| FILE_KINDS.contains(&ending.as_str())) {
            return Ok(Self { place: Place::Files(text.to_owned()), as_of });
        }
        Err(NameError {
            given: text.to_owned(),
            expected: "a table (`catalog.schema.table`) or a path (`data/june.parquet`, `./folder`)",
        })
    }
}

impl fmt::Display for AsOf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version(version) => write!(f, "v{version}"),
            Self::Time(time) => time.fmt(f),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.place {
            Place::Table(table) => table.fmt(f)?,
            Place::Files(path) => f.write_str(path)?,
        }
        match self.as_of {
            Some(state) => write!(f, "@{state}"),
            None => Ok(()),
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
        let source = |text: &str| text.parse::<Source>().unwrap();
        assert!(source("main.flights.features").is_table());
        assert!(source("main.default.parquet").is_table());
        for path in ["june.parquet", "./main.default.parquet", "data/", "data/*.csv", "C:\\june.pq"]
        {
            assert!(!source(path).is_table(), "{path}");
        }
        for wrong in ["features", "main.features", "", "main.features@v3"] {
            assert!(wrong.parse::<Source>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_state_of_the_past_stands_behind_an_at_sign() {
        let as_of = |text: &str| text.parse::<Source>().unwrap().as_of.map(|at| at.to_string());
        assert_eq!(as_of("main.flights.features@v12").unwrap(), "v12");
        assert_eq!(as_of("data/delta@2026-03-01").unwrap(), "2026-03-01T00:00:00Z");
        assert_eq!(as_of("data/delta@2026-03-01 10:30:00").unwrap(), "2026-03-01T10:30:00Z");
        assert_eq!(as_of("a.b.c@2026-03-01T10:30:00+02:00").unwrap(), "2026-03-01T08:30:00Z");
        assert_eq!(as_of("people@work/june.csv"), None);
        let source: Source = "a.b.c@v3".parse().unwrap();
        assert_eq!(source.to_string().parse::<Source>().unwrap(), source);
    }
}
