//! Questions to git about the repository that this runs in.

use std::path::Path;

use anyhow::{Context as _, Result};

use super::{Env, process};

/// Whether a commit is reachable from a branch, local or of `origin`. Nothing
/// where git does not know the one or the other, as in a shallow clone.
pub async fn is_on(env: &Env, root: &Path, commit: &str, branch: &str) -> Result<Option<bool>> {
    // A commit is no name, which could stand for another one; neither is an option.
    let is_commit = commit.len() >= 40 && commit.chars().all(|c| c.is_ascii_hexdigit());
    if !is_commit || branch.is_empty() || branch.starts_with('-') {
        return Ok(None);
    }
    let mut told = None;
    for reference in [format!("refs/remotes/origin/{branch}"), format!("refs/heads/{branch}")] {
        let mut command = process::command("git", env);
        command.current_dir(root).args(["merge-base", "--is-ancestor", commit, &reference]);
        let output = command.output().await.context("ask git")?;
        match output.status.code() {
            Some(0) => return Ok(Some(true)),
            Some(1) => told = Some(false),
            _ => {}
        }
    }
    Ok(told)
}
