//! Questions to git about the repository that this runs in, and the few things
//! that are changed there. Plumbing commands only: their output is for programs.

mod tree;

pub use tree::{Entry, Object};

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};

use super::{Env, https, process};
use crate::report::{Fault, FaultKind};

/// How long a repository elsewhere may take to answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// A commit and its message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logged {
    pub id: String,
    pub message: String,
}

/// A commit and the tree of its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    pub commit: String,
    pub tree: String,
}

/// The repository that holds a folder.
#[derive(Debug, Clone)]
pub struct Git<'a> {
    env: &'a Env,
    root: PathBuf,
    /// From the root to the folder that was asked about; empty, or without a
    /// slash at its end.
    pub folder: String,
}

impl<'a> Git<'a> {
    /// # Errors
    /// When the folder is in no repository, or git is not there.
    pub async fn of(env: &'a Env, folder: &Path) -> Result<Self> {
        // Started in a folder that is not there, git itself seems to be missing.
        if !folder.is_dir() {
            let message = format!("there is no folder `{}`", folder.display());
            return Err(Fault::usage(message).hint("name the one of databricks.yml").into());
        }
        let here = Self { env, root: folder.to_path_buf(), folder: String::new() };
        let told = here.ask(&["rev-parse", "--show-toplevel", "--show-prefix"]).await?;
        let mut lines = told.lines();
        let root = lines.next().unwrap_or_default().into();
        let folder = lines.next().unwrap_or_default().trim_end_matches('/').to_owned();
        Ok(Self { env, root, folder })
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    fn command(&self) -> tokio::process::Command {
        let mut command = process::command("git", self.env);
        // No hook of the repository runs, and nothing asks on a terminal.
        command
            .current_dir(&self.root)
            .args(["-c", "core.hooksPath=/dev/null", "-c", "core.quotePath=false"])
            .env("GIT_TERMINAL_PROMPT", "0")
            .stdin(std::process::Stdio::null())
            .kill_on_drop(true);
        command
    }

    async fn bytes(&self, args: &[&str]) -> Result<Vec<u8>> {
        let output = self.command().args(args).output().await.context("start git")?;
        if !output.status.success() {
            let words = String::from_utf8_lossy(&output.stderr);
            bail!("git {}: {}", args[0], words.trim());
        }
        Ok(output.stdout)
    }

    async fn ask(&self, args: &[&str]) -> Result<String> {
        let bytes = self.bytes(args).await?;
        Ok(String::from_utf8(bytes)
            .with_context(|| format!("read what git {} said", args[0]))?
            .trim_end()
            .to_owned())
    }

    /// The commit that a name stands for, if git knows one.
    pub async fn commit(&self, name: &str) -> Result<Option<String>> {
        let wanted = format!("{name}^{{commit}}");
        let mut command = self.command();
        command.args(["rev-parse", "--verify", "--quiet", "--end-of-options", &wanted]);
        let output = command.output().await.context("start git")?;
        let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        Ok((output.status.success() && !text.is_empty()).then_some(text))
    }

    pub async fn head(&self) -> Result<String> {
        self.commit("HEAD").await?.context("the repository has no commit yet")
    }

    /// The tree of a commit: the same for the same files, whatever the history.
    pub async fn tree(&self, commit: &str) -> Result<String> {
        self.ask(&["rev-parse", "--verify", &format!("{commit}^{{tree}}")]).await
    }

    /// When a commit was made, RFC 3339 in UTC.
    pub async fn time(&self, commit: &str) -> Result<String> {
        let seconds = self.ask(&["show", "-s", "--format=%ct", commit]).await?;
        let seconds = seconds.parse().context("read the commit's time")?;
        Ok(jiff::Timestamp::from_second(seconds)?.to_string())
    }

    /// The branch that is checked out, if it is one.
    pub async fn branch(&self) -> Result<Option<String>> {
        let name = self.ask(&["rev-parse", "--abbrev-ref", "HEAD"]).await?;
        Ok((name != "HEAD").then_some(name))
    }

    /// The branch that a remote shows first, where a clone has noted it.
    pub async fn default_branch(&self, remote: &str) -> Option<String> {
        let head = format!("refs/remotes/{remote}/HEAD");
        let name = self.ask(&["symbolic-ref", "--quiet", "--short", &head]).await.ok()?;
        name.strip_prefix(&format!("{remote}/")).map(str::to_owned)
    }

    /// The branch that changes go to, as far as this clone knows: the remote's own, the
    /// only one of the usual names there, or the only one here.
    pub async fn main_branch(&self, remote: &str) -> Option<String> {
        if let Some(name) = self.default_branch(remote).await {
            return Some(name);
        }
        for place in [format!("refs/remotes/{remote}"), "refs/heads".to_owned()] {
            let mut found = Vec::new();
            for name in ["main", "master"] {
                let reference = format!("{place}/{name}");
                let there = self.ask(&["rev-parse", "--verify", "--quiet", &reference]).await;
                found.extend(there.is_ok().then_some(name));
            }
            if let [only] = found[..] {
                return Some(only.to_owned());
            }
        }
        None
    }

    /// The address of a remote, without whatever it holds of a sign-in.
    pub async fn remote(&self, name: &str) -> Option<String> {
        let url = self.ask(&["remote", "get-url", name]).await.ok()?;
        Some(https::without_user(&url))
    }

    /// Files that are not as they were committed.
    pub async fn dirty(&self) -> Result<Vec<String>> {
        let told = self.bytes(&["status", "--porcelain=v1", "-z", "--no-renames"]).await?;
        let lines = told.split(|byte| *byte == 0).filter(|line| line.len() > 3);
        Ok(lines.map(|line| String::from_utf8_lossy(&line[3..]).into_owned()).collect())
    }

    pub async fn is_shallow(&self) -> Result<bool> {
        Ok(self.ask(&["rev-parse", "--is-shallow-repository"]).await? == "true")
    }

    /// The tags of a commit and of those before it.
    pub async fn tags(&self, commit: &str) -> Result<Vec<String>> {
        let told = self.ask(&["tag", "--merged", commit]).await?;
        Ok(told.lines().map(str::to_owned).collect())
    }

    /// The commits up to `to` that `from` does not have, the newest first.
    pub async fn log(&self, from: Option<&str>, to: &str) -> Result<Vec<Logged>> {
        let range = from.map_or_else(|| to.to_owned(), |from| format!("{from}..{to}"));
        let told = self
            .bytes(&["log", "-z", "--no-merges", "--format=%H%n%B", "--end-of-options", &range])
            .await?;
        let commits = told.split(|byte| *byte == 0).filter(|commit| !commit.is_empty());
        let parsed = commits.filter_map(|commit| {
            let text = String::from_utf8_lossy(commit);
            let (id, message) = text.split_once('\n')?;
            Some(Logged { id: id.to_owned(), message: message.trim_end().to_owned() })
        });
        Ok(parsed.collect())
    }

    /// A commit and those before it on its own branch, the newest first.
    pub async fn first_parents(&self, commit: &str, most: usize) -> Result<Vec<Snapshot>> {
        let most = format!("-n{most}");
        let args = ["log", "--first-parent", "--format=%H %T", &most, "--end-of-options", commit];
        let told = self.ask(&args).await?;
        let pairs = told.lines().filter_map(|line| line.split_once(' '));
        Ok(pairs.map(|(c, t)| Snapshot { commit: c.to_owned(), tree: t.to_owned() }).collect())
    }

    /// Where two histories part.
    ///
    /// # Errors
    /// When git does not know: the clone may be too shallow for it.
    pub async fn merge_base(&self, one: &str, other: &str) -> Result<String> {
        let mut command = self.command();
        command.args(["merge-base", "--", one, other]);
        let output = command.output().await.context("start git")?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
        }
        let fault = Fault::usage(format!("`{one}` and `{other}` have no commit in common here"));
        Err(if self.is_shallow().await? {
            fault.hint(
                "the clone is shallow: check out with `fetch-depth: 0` (GitHub) or `fetchDepth: 0` (Azure)",
            )
        } else {
            fault.hint("is this the branch that the change goes to?")
        }
        .into())
    }

    /// The paths that differ between two commits, with the paths they had before.
    pub async fn changed(&self, from: &str, to: &str) -> Result<Vec<String>> {
        let told =
            self.bytes(&["diff-tree", "-r", "-z", "--name-only", "--no-renames", from, to]).await?;
        let paths = told.split(|byte| *byte == 0).filter(|path| !path.is_empty());
        Ok(paths.map(|path| String::from_utf8_lossy(path).into_owned()).collect())
    }

    /// The lines that are new or other in `to`, by file.
    pub async fn changed_lines(
        &self,
        from: &str,
        to: &str,
    ) -> Result<BTreeMap<String, Vec<RangeInclusive<u32>>>> {
        let args = ["-U0", "--no-renames", "--no-color", "--no-ext-diff", "--no-textconv"];
        let args = [&["diff-tree", "-r", "-p"], &args[..], &[from, to]].concat();
        Ok(hunks(&String::from_utf8_lossy(&self.bytes(&args).await?)))
    }

    /// Gives a commit a name below `refs/`. Done again, nothing happens.
    ///
    /// # Errors
    /// When the name stands for another commit already.
    pub async fn name(&self, reference: &str, commit: &str) -> Result<()> {
        match self.commit(reference).await? {
            Some(known) if known == commit => return Ok(()),
            Some(known) => return Err(taken(reference, &known, commit).into()),
            None => {}
        }
        // The empty old value makes git refuse when somebody else came first.
        self.ask(&["update-ref", reference, commit, ""]).await?;
        Ok(())
    }

    /// What a remote has under a name.
    pub async fn at_remote(&self, remote: &str, reference: &str) -> Result<Option<String>> {
        let told = self.ask(&["ls-remote", remote, reference]).await?;
        Ok(told.split_whitespace().next().map(str::to_owned))
    }

    /// Gives a commit names at a remote. Done again, nothing happens.
    ///
    /// # Errors
    /// When a name stands for another commit there.
    pub async fn push(&self, remote: &str, references: &[String], commit: &str) -> Result<()> {
        let mut missing = Vec::new();
        for reference in references {
            match self.at_remote(remote, reference).await? {
                Some(known) if known == commit => {}
                Some(known) => return Err(taken(reference, &known, commit).into()),
                None => missing.push(format!("{commit}:{reference}")),
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        let mut args = vec!["push", "--atomic", remote];
        args.extend(missing.iter().map(String::as_str));
        self.ask(&args).await.map(drop)
    }
}

/// The commit that a repository somewhere has under a tag, without a clone.
///
/// # Errors
/// When it cannot be asked, or has no such tag.
pub async fn commit_of_tag(env: &Env, address: &str, tag: &str) -> Result<String> {
    let mut command = process::command("git", env);
    let (plain, peeled) = (format!("refs/tags/{tag}"), format!("refs/tags/{tag}^{{}}"));
    command
        .args(["ls-remote", "--", address, &plain, &peeled])
        .env("GIT_TERMINAL_PROMPT", "0")
        .stdin(std::process::Stdio::null())
        .kill_on_drop(true);
    let asked = tokio::time::timeout(PATIENCE, command.output()).await;
    let output = asked.context("it does not answer")?.context("start git")?;
    if !output.status.success() {
        bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
    }
    let told = String::from_utf8_lossy(&output.stdout);
    // An annotated tag is an object of its own; what it is about comes after it.
    let mut pairs = told.lines().rev().filter_map(|line| line.split_once('\t'));
    let found = pairs.find(|(_, name)| *name == plain || *name == peeled);
    found.map(|(commit, _)| commit.to_owned()).with_context(|| format!("it has no tag `{tag}`"))
}

/// The refusal to give a name to a second commit.
pub fn taken(reference: &str, known: &str, wanted: &str) -> Fault {
    Fault::new(
        FaultKind::Conflict,
        format!("`{reference}` is commit {known} already, not {wanted}"),
    )
    .hint("a release is never changed: make the next version")
}

/// The new lines of a diff without context.
fn hunks(diff: &str) -> BTreeMap<String, Vec<RangeInclusive<u32>>> {
    let mut found: BTreeMap<String, Vec<_>> = BTreeMap::new();
    let mut file = None;
    // Lines of a hunk that are still to come: they may look like headers.
    let mut rest = 0;
    for line in diff.lines() {
        if rest > 0 {
            rest -= 1;
        } else if let Some(path) = line.strip_prefix("+++ ") {
            file = path.strip_prefix("b/").map(|path| path.trim_end_matches('\t').to_owned());
        } else if let Some((old, new)) = line.strip_prefix("@@ ").and_then(ranges) {
            rest = old.1 + new.1;
            if let Some(file) = file.as_ref().filter(|_| new.1 > 0) {
                found.entry(file.clone()).or_default().push(new.0..=new.0 + new.1 - 1);
            }
        }
    }
    found
}

/// `-1,2 +3,4 @@ …` as two starts and lengths.
fn ranges(line: &str) -> Option<((u32, u32), (u32, u32))> {
    let range = |text: &str| -> Option<(u32, u32)> {
        match text.split_once(',') {
            Some((start, length)) => Some((start.parse().ok()?, length.parse().ok()?)),
            None => Some((text.parse().ok()?, 1)),
        }
    };
    let mut parts = line.split(' ');
    let old = range(parts.next()?.strip_prefix('-')?)?;
    let new = range(parts.next()?.strip_prefix('+')?)?;
    Some((old, new))
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_lines_are_found_and_text_that_looks_like_a_header_is_not() {
        let diff = "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1,2 +1,3 @@ def f\n-a\n-b\n++++ b/evil\n+@@ -1 +9,9 @@\n+c\n@@ -9 +10,0 @@\n-gone\ndiff --git a/y b/y\n--- /dev/null\n+++ b/y\n@@ -0,0 +1 @@\n+new\ndiff --git a/z b/z\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n";
        let found = hunks(diff);
        assert_eq!(found.keys().collect::<Vec<_>>(), ["x", "y"]);
        assert_eq!(found["x"], [1..=3]);
        assert_eq!(found["y"], [1..=1]);
    }
}
