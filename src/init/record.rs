//! What an earlier run has written, and with which choices: kept beside the workflows,
//! so that a later one can bring them up to date around what somebody changed.

use std::collections::BTreeMap;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::args::Choices;

/// The file of an earlier run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// The version of Lakegate.
    pub(super) lakegate: String,
    /// The commit of its release, for GitHub.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) commit: Option<String>,
    pub(super) choices: Choices,
    /// From the repository's root to the bundle.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) folder: String,
    /// The text of each file, by lines: a reader of the change sees what is new.
    files: BTreeMap<String, Vec<String>>,
    /// The same of the project itself: of the starter's files, or of the policies alone.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    project: BTreeMap<String, Vec<String>>,
    /// The project is the starter's.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    started: bool,
}

fn lines(files: &[(String, String)]) -> BTreeMap<String, Vec<String>> {
    let lines = |text: &String| text.lines().map(str::to_owned).collect();
    files.iter().map(|(path, text)| (path.clone(), lines(text))).collect()
}

impl Record {
    pub(super) fn new(
        commit: Option<String>,
        choices: Choices,
        folder: String,
        files: &[(String, String)],
    ) -> Self {
        Self {
            lakegate: env!("CARGO_PKG_VERSION").to_owned(),
            commit,
            choices,
            folder,
            files: lines(files),
            project: BTreeMap::new(),
            started: false,
        }
    }

    pub(super) fn with_project(self, files: &[(String, String)], started: bool) -> Self {
        Self { project: lines(files), started, ..self }
    }

    /// Whether the project is the starter's.
    pub(super) fn has_started(&self) -> bool {
        self.started
    }

    /// Whether a file of the project was written.
    pub(super) fn wrote(&self, path: &str) -> bool {
        self.project.contains_key(path)
    }

    pub(super) fn read(text: &str) -> Result<Self> {
        Ok(serde_json::from_str(text)?)
    }

    pub(super) fn text(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    /// What was written to a file.
    pub(super) fn written(&self, path: &str) -> Option<String> {
        let lines = self.files.get(path).or_else(|| self.project.get(path))?;
        Some(lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect())
    }

    pub(super) fn paths(&self) -> impl Iterator<Item = &String> {
        self.files.keys()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_was_written_comes_back(lines in prop::collection::vec("[ -~«é]{0,20}", 0..8)) {
            let text: String = lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect();
            let record = Record::new(None, Choices::default(), String::new(), &[("a".into(), text.clone())]);
            let read = Record::read(&record.text().unwrap()).unwrap();
            prop_assert_eq!(read.written("a"), Some(text));
            prop_assert_eq!(read.written("b"), None);
            prop_assert_eq!(read, record);
        }
    }
}
