//! `release`: where releases come from, and what must be known of them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What says that a commit was tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TestedBy {
    /// The rows that `merge-test` wrote to `merge_tests`: the newest one about
    /// these very files must have passed.
    Table,
    /// The commit's status at the CI host, or that of the merge request that it
    /// came from.
    Checks,
    /// Nobody asks.
    None,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Release {
    /// The branch that releases are cut from. A branch `release/…` may be
    /// released anew, for what cannot wait.
    pub branch: String,
    /// The name of a release's tag; `{version}` stands for the version.
    pub tag: String,
    /// Where the repository's home is.
    pub remote: String,
    /// How it is known that the commit was tested (default: `checks` on a CI
    /// host, `table` elsewhere).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tested_by: Option<TestedBy>,
    /// The status that `checks` looks for.
    pub check: String,
    /// The targets whose resolved configuration is part of the manifest; all
    /// where left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub targets: Option<Vec<String>>,
}

impl Default for Release {
    fn default() -> Self {
        Self {
            branch: "main".into(),
            tag: "v{version}".into(),
            remote: "origin".into(),
            tested_by: None,
            check: "lakegate/merge-test".into(),
            targets: None,
        }
    }
}

impl Release {
    pub(super) fn check(&self) -> Result<(), String> {
        if self.tag.matches("{version}").count() != 1 {
            return Err("`tag` must hold `{version}` once".into());
        }
        let names = [
            ("branch", &self.branch),
            ("tag", &self.tag.replace("{version}", "1")),
            ("remote", &self.remote),
        ]
        .map(|(field, text)| (field, text.clone()));
        match names.iter().find(|(_, text)| !is_git_name(text)) {
            Some((field, text)) => Err(format!("`{field}`: `{text}` is no name that git takes")),
            None => Ok(()),
        }
    }

    pub fn tag_of(&self, version: &str) -> String {
        self.tag.replace("{version}", version)
    }

    /// The tag that is meant by a tag or by a version, if it can be one of these.
    pub fn tag_named(&self, named: &str) -> Option<String> {
        let (before, after) = self.tag.split_once("{version}")?;
        let inside = named.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
        let is_version = |text: &&str| semver::Version::parse(text).is_ok();
        let bare = named.strip_prefix('v').unwrap_or(named);
        let version = inside.filter(is_version).or(Some(bare).filter(is_version))?;
        Some(self.tag_of(version))
    }
}

/// Whether git takes a name, of a branch say, and a file of YAML takes it as it is.
pub fn is_git_name(text: &str) -> bool {
    let plain = |char: char| char.is_ascii_alphanumeric() || "._-/".contains(char);
    !text.is_empty() && !text.starts_with('-') && !text.contains("..") && text.chars().all(plain)
}

/// The branch of a tag's release: `release/1.2.3` of `v1.2.3`.
pub fn release_branch(tag: &str) -> String {
    let plain =
        tag.strip_prefix('v').filter(|rest| rest.starts_with(|char: char| char.is_ascii_digit()));
    format!("release/{}", plain.unwrap_or(tag))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_is_named_by_its_tag_or_by_its_version() {
        let of = |template: &str, named: &str| {
            Release { tag: template.into(), ..Release::default() }.tag_named(named)
        };
        for named in ["1.2.3", "v1.2.3"] {
            assert_eq!(of("v{version}", named).as_deref(), Some("v1.2.3"));
            assert_eq!(of("ml-v{version}", named).as_deref(), Some("ml-v1.2.3"));
        }
        assert_eq!(of("ml-v{version}", "ml-v1.2.3").as_deref(), Some("ml-v1.2.3"));
        assert_eq!(of("v{version}", "ml-v1.2.3"), None);
        assert_eq!(of("v{version}", "releases/flights-1.2.3"), None);
        assert_eq!(release_branch("v1.2.3"), "release/1.2.3");
        assert_eq!(release_branch("ml-v1.2.3"), "release/ml-v1.2.3");
    }
}
