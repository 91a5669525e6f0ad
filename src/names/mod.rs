//! Typed names: what the rest of the crate passes around instead of strings.
//!
//! Every type here is parsed once at the edge, so that the inside never asks
//! again whether a name is well formed. Grammar is deliberately narrower than
//! what Unity Catalog accepts: letters, digits, `_` and `-` per part.

mod azure;
mod digest;
mod secret;
mod source;
mod three_level;
mod variables;

pub use azure::{STEPS, camel, task_name};
pub use digest::Sha256;
pub use secret::Secret;
pub use source::{AsOf, FILE_KINDS, Place, Source, instant, time};
pub use three_level::{ModelName, SchemaName, TableName};
pub use variables::{VARIABLES, is_slip, meant_variable};

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::report::Fault;

/// Why a name was refused; reads on after *failed to parse*.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{given}` is not {expected}")]
pub struct NameError {
    pub given: String,
    pub expected: &'static str,
}

/// Any name as an SQL identifier.
pub fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// Whether a reference of git is a whole commit id: a name or a short id can be moved.
pub fn is_commit(reference: &str) -> bool {
    reference.len() == 40 && reference.chars().all(|char| char.is_ascii_hexdigit())
}

/// What an alias points to, in words.
pub fn shown(version: Option<ModelVersion>) -> String {
    version.map_or("nothing".to_owned(), |version| format!("version {version}"))
}

/// A model version's number, 1 and up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ModelVersion(pub u64);

impl fmt::Display for ModelVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for ModelVersion {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        match text.parse() {
            Ok(number) if number > 0 => Ok(Self(number)),
            _ => Err(NameError {
                given: text.to_owned(),
                expected: "a model version (a whole number, 1 or more)",
            }),
        }
    }
}

/// An alias of a registered model, such as `champion`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Alias(String);

impl Alias {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Alias {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Alias {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let refused = |expected| NameError { given: text.to_owned(), expected };
        if !is_identifier(text) {
            return Err(refused("an alias (letters, digits, `_` and `-`)"));
        }
        // `@v3` and `@latest` are read by MLflow as versions, never as aliases.
        let version_like = text
            .strip_prefix(['v', 'V'])
            .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()));
        if version_like || text.eq_ignore_ascii_case("latest") {
            return Err(refused("an alias (`latest` and `v<number>` are reserved)"));
        }
        Ok(Self(text.to_owned()))
    }
}

impl TryFrom<String> for Alias {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<Alias> for String {
    fn from(alias: Alias) -> Self {
        alias.0
    }
}

/// How a caller names one version of a model: a number or an alias.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VersionRef {
    Version(ModelVersion),
    Alias(Alias),
}

impl FromStr for VersionRef {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            return text.parse().map(Self::Version);
        }
        text.strip_prefix('@').unwrap_or(text).parse().map(Self::Alias)
    }
}

impl fmt::Display for VersionRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version(version) => write!(f, "version {version}"),
            Self::Alias(alias) => write!(f, "@{alias}"),
        }
    }
}

/// `NAME=VALUE` items as a map; blank items, which CI hosts pass for inputs
/// that were not given, are left out.
pub fn pairs(what: &str, items: &[String]) -> Result<BTreeMap<String, String>, Fault> {
    let given = items.iter().filter(|item| !item.trim().is_empty());
    let pair = |item: &String| {
        let (name, value) = item.split_once('=').ok_or_else(|| {
            Fault::usage(format!("{what} `{item}` has no value")).hint("write it as NAME=VALUE")
        })?;
        Ok((name.trim().to_owned(), value.to_owned()))
    };
    given.map(pair).collect()
}

/// Letters (of any script), digits, `_` and `-`, at most 255 bytes.
pub fn is_identifier(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= 255
        && text.chars().all(|char| char.is_alphanumeric() || matches!(char, '_' | '-'))
}

/// The entries of `known` that a reader may have meant by `given`, best first.
pub fn near<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let mut scored: Vec<_> = known
        .into_iter()
        .map(|name| (edit_distance(given, name), name))
        .filter(|(distance, name)| *distance <= 2 + name.len() / 4 || name.contains(given))
        .collect();
    scored.sort();
    scored.into_iter().take(3).map(|(_, name)| name).collect()
}

/// Levenshtein distance, with one row of memory.
fn edit_distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, l) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, r) in right.iter().enumerate() {
            let substituted = diagonal + usize::from(l != *r);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aliases_that_mlflow_reads_as_versions_are_refused() {
        for reserved in ["v1", "V22", "latest", "Latest"] {
            assert!(reserved.parse::<Alias>().is_err(), "{reserved}");
        }
        for fine in ["champion", "vnext", "v", "v1-candidate"] {
            assert!(fine.parse::<Alias>().is_ok(), "{fine}");
        }
    }

    #[test]
    fn a_version_reference_is_a_number_or_an_alias() {
        assert_eq!("7".parse(), Ok(VersionRef::Version(ModelVersion(7))));
        let champion = VersionRef::Alias("champion".parse().unwrap());
        assert_eq!("@champion".parse(), Ok(champion.clone()));
        assert_eq!("champion".parse(), Ok(champion));
        assert!("0".parse::<VersionRef>().is_err());
        assert!("".parse::<VersionRef>().is_err());
    }

    #[test]
    fn near_names_come_best_first() {
        assert_eq!(near("trian", ["evaluate", "trains", "train"]), ["train", "trains"]);
        assert!(near("zzz", ["train"]).is_empty());
    }
}
