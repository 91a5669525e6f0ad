//! What the workflows of a repository use, and whether it can be moved.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::names::{STEPS, is_commit, task_name};

/// Where our own actions are.
pub(super) const SUITE: &str = "lakegate/lakegate/";

/// What was found in the workflows.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Uses {
    /// Actions of others by a name that can be moved, with their file.
    pub(super) movable: Vec<String>,
    /// The commits that our own actions are taken from.
    pub(super) suite: BTreeSet<String>,
    pub(super) count: usize,
    /// Azure's tasks of another version than this, or of a name that it does not know.
    pub(super) stale: Vec<String>,
    /// Where our jobs run, and whether a schedule starts them.
    pub(super) environments: BTreeMap<String, bool>,
    /// Commits that no comment names a version of.
    pub(super) nameless: Vec<String>,
    /// What the comments say of the commits.
    pub(super) named: BTreeSet<Named>,
}

/// `uses: actions/checkout@0123… # v5.0.0`: a commit, and the tag that it is said to be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Named {
    /// `actions/checkout`
    pub(super) repository: String,
    pub(super) tag: String,
    pub(super) commit: String,
}

/// Collects what comments say, which no reader of YAML keeps.
pub(super) fn collect_named(text: &str, found: &mut Uses) {
    for line in text.lines() {
        let bare = line.trim_start().trim_start_matches("- ");
        let Some(uses) = bare.strip_prefix("uses: ") else { continue };
        let (uses, tag) = uses.split_once(" # ").unwrap_or((uses, ""));
        let uses = uses.trim().trim_matches(['"', '\'']);
        let Some((path, commit)) = uses.split_once('@') else { continue };
        let repository: Vec<&str> = path.splitn(3, '/').take(2).collect();
        if !is_commit(commit) || repository.len() < 2 {
            continue;
        }
        let tag = tag.split_whitespace().next().unwrap_or_default();
        let version = tag.strip_prefix('v').unwrap_or(tag);
        // `v5` moves on; only a whole version stays what it was.
        if semver::Version::parse(version).is_ok() {
            found.named.insert(Named {
                repository: repository.join("/"),
                tag: tag.to_owned(),
                commit: commit.to_ascii_lowercase(),
            });
        } else if !version.starts_with(|char: char| char.is_ascii_digit()) {
            found.nameless.push(format!("{path}@{}", &commit[..7]));
        }
    }
}

/// Collects every `uses:` of a workflow.
pub(super) fn collect(file: &str, workflow: &Value, found: &mut Uses) {
    match workflow {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value.as_str() {
                    Some(uses) if name == "uses" => note(file, uses, found),
                    Some(task) if name == "task" => note_task(file, task, found),
                    _ => collect(file, value, found),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| collect(file, item, found)),
        _ => {}
    }
}

fn note(file: &str, uses: &str, found: &mut Uses) {
    // What lies in the repository itself moves with it.
    if uses.starts_with("./") || uses.starts_with("$/") {
        return;
    }
    found.count += 1;
    if let Some(image) = uses.strip_prefix("docker://") {
        if !image.contains("@sha256:") {
            found.movable.push(format!("{uses} ({file})"));
        }
        return;
    }
    let (name, reference) = uses.split_once('@').unwrap_or((uses, ""));
    if !is_commit(reference) {
        found.movable.push(format!("{uses} ({file})"));
    } else if name.starts_with(SUITE) {
        found.suite.insert(reference.to_owned());
    }
}

/// A task of ours that is of another version, or of none.
fn note_task(file: &str, task: &str, found: &mut Uses) {
    let Some((name, version)) = task.split_once('@') else { return };
    if !name.starts_with("Lakegate") {
        return;
    }
    let is_known = STEPS.iter().any(|step| task_name(step) == name);
    if !is_known || version != env!("CARGO_PKG_VERSION_MAJOR") {
        found.stale.push(format!("{task} ({file})"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_commit_cannot_be_moved() {
        let sha = "a".repeat(40);
        let text = format!(
            "jobs: {{a: {{steps: [{{uses: actions/checkout@v5}}, {{uses: 'lakegate/lakegate/actions/job-run@{sha}'}}, {{uses: ./own}}, {{run: x}}, {{uses: 'docker://alpine:3'}}, {{uses: 'docker://a@sha256:0'}}, {{task: LakegateModelGate@7}}, {{task: LakegateModelGaet@0}}, {{task: LakegateModelGate@0}}, {{task: Other@3}}]}}, b: {{uses: acme/flows/x.yml@main}}}}"
        );
        let mut found = Uses::default();
        collect("w.yml", &serde_yaml::from_str(&text).unwrap(), &mut found);
        assert_eq!(
            found.movable,
            [
                "actions/checkout@v5 (w.yml)",
                "docker://alpine:3 (w.yml)",
                "acme/flows/x.yml@main (w.yml)"
            ]
        );
        assert_eq!((found.suite, found.count), (BTreeSet::from([sha]), 5));
        assert_eq!(found.stale, ["LakegateModelGate@7 (w.yml)", "LakegateModelGaet@0 (w.yml)"]);
    }

    #[test]
    fn a_comment_says_which_tag_a_commit_is() {
        let sha = "b".repeat(40);
        let mut found = Uses::default();
        let text = format!(
            "  - uses: acme/tools/deep/one@{sha} # v1.2.3 pinned\n  # - uses: acme/old@{sha} # v1.0.0\n  - uses: acme/two@{sha} # v5\n  - uses: \"acme/two@{sha}\"\n  - uses: acme/two@v5 # v5\n  - run: x # uses: y\n"
        );
        collect_named(&text, &mut found);
        let named = Named { repository: "acme/tools".into(), tag: "v1.2.3".into(), commit: sha };
        assert_eq!(found.named, BTreeSet::from([named]));
        assert_eq!(found.nameless, ["acme/two@bbbbbbb"]);
    }
}
