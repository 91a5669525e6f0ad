//! The project's repository: what a team would do with git, and no more.

use std::path::Path;

use anyhow::{Context as _, Result, bail};

use crate::report::Fault;
use crate::sys::{Env, fs, process};

/// A change on a branch of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) branch: &'static str,
    pub(super) file: &'static str,
    pub(super) from: &'static str,
    pub(super) to: &'static str,
    pub(super) message: &'static str,
}

const FIRST: &str = "feat: predict which flights arrive late";

/// Makes a repository of the project, with one commit.
pub(super) async fn init(env: &Env, project: &Path) -> Result<()> {
    if process::find("git", env).is_none() {
        return Err(Fault::usage("`git` is not on the PATH")
            .hint("install git: releases are made from its commits")
            .into());
    }
    if git(env, project, &["rev-parse", "--verify", "--quiet", "HEAD"]).await.is_ok() {
        return Ok(());
    }
    git(env, project, &["init", "--quiet", "--initial-branch=main"]).await?;
    git(env, project, &["add", "--all"]).await?;
    git(env, project, &["commit", "--quiet", "--message", FIRST]).await.map(drop)
}

/// Commits a change to its branch. Done again, nothing happens.
pub(super) async fn commit(env: &Env, project: &Path, change: &Change) -> Result<()> {
    git(env, project, &["reset", "--quiet", "--hard"]).await?;
    let branch = format!("refs/heads/{}", change.branch);
    let known = git(env, project, &["rev-parse", "--verify", "--quiet", &branch]).await.is_ok();
    let start: &[&str] =
        if known { &["checkout", "--quiet"] } else { &["checkout", "--quiet", "-b"] };
    git(env, project, &[start, &[change.branch]].concat()).await?;
    let said = git(env, project, &["log", "--format=%s", "main.."]).await?;
    if said.lines().any(|line| line == change.message) {
        return Ok(());
    }
    let path = project.join(change.file);
    let text = fs::read_text(&path)?;
    if !text.contains(change.from) {
        bail!("`{}` does not hold `{}` any more", change.file, change.from);
    }
    fs::write_atomic(&path, text.replacen(change.from, change.to, 1))?;
    git(env, project, &["commit", "--quiet", "--all", "--message", change.message]).await.map(drop)
}

/// Brings a branch to main, as merging its request does.
pub(super) async fn merge(env: &Env, project: &Path, branch: &str) -> Result<()> {
    git(env, project, &["reset", "--quiet", "--hard"]).await?;
    git(env, project, &["checkout", "--quiet", "main"]).await?;
    git(env, project, &["merge", "--quiet", "--ff-only", branch]).await.map(drop)
}

async fn git(env: &Env, project: &Path, args: &[&str]) -> Result<String> {
    let mut command = process::command("git", env);
    command
        .args(["-c", "user.name=Lakegate tour", "-c", "user.email=tour@lakegate.test"])
        .args(["-c", "commit.gpgSign=false", "-c", "core.hooksPath=/dev/null"])
        .args(args)
        .current_dir(project)
        .kill_on_drop(true);
    let output = command.output().await.context("start git")?;
    if !output.status.success() {
        bail!("git {}: {}", args[0], String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
