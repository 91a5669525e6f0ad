//! The releases that were deployed to a target, kept beside the deployment so
//! that any of them can be deployed again.

use std::path::Path;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::bundle::{Bundle, Deployed};
use crate::checkout::release::Opened;
use crate::databricks::Client;
use crate::report::Fault;
use crate::sys::fs;

/// Larger releases are not kept: the pipeline's own artifacts have them.
const MOST: u64 = 200 << 20;

/// What became of a deployment of a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Stage {
    /// It was about to be deployed; perhaps it was, in part.
    Begun,
    Done,
    /// A rollback led away from it.
    Left,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    #[serde(flatten)]
    release: Deployed,
    stage: Stage,
}

/// The deployments of releases, in their order. One may be there repeatedly.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct History(Vec<Entry>);

/// Where a rollback leads.
#[derive(Debug, PartialEq, Eq)]
pub enum Way<'a> {
    To(&'a Deployed),
    /// The release to leave was never here.
    Unknown,
    /// No release was deployed before the one to leave.
    Nothing,
    /// Another one was deployed after it.
    Overtaken(&'a Deployed),
}

impl History {
    /// Every version that was deployed, also in part.
    pub fn versions(&self) -> Vec<&str> {
        self.0.iter().map(|entry| entry.release.version.as_str()).collect()
    }

    /// The way back from the last deployment, or from the release `from`. Who
    /// asks twice for the same is led to where it already is.
    pub fn back(&self, from: Option<&str>) -> Way<'_> {
        let top = self.0.iter().rposition(|entry| entry.stage != Stage::Left);
        let is_it = |entry: &Entry| from.is_none_or(|from| entry.release.version == from);
        let open = |entry: &Entry| entry.stage != Stage::Left && is_it(entry);
        let left = || from.and_then(|_| self.0.iter().rposition(is_it));
        let Some(at) = self.0.iter().rposition(open).or_else(left) else {
            return if from.is_some() { Way::Unknown } else { Way::Nothing };
        };
        match top {
            Some(top) if top > at => Way::Overtaken(&self.0[top].release),
            _ => {
                let before = self.0[..at].iter().rfind(|entry| entry.stage == Stage::Done);
                before.map_or(Way::Nothing, |before| Way::To(&before.release))
            }
        }
    }

    /// A release is about to be deployed.
    fn begin(&mut self, release: &Deployed) {
        let last = self.0.iter().rfind(|entry| entry.stage != Stage::Left);
        if last.is_none_or(|last| last.release.digest != release.digest) {
            self.0.push(Entry { release: release.clone(), stage: Stage::Begun });
        }
    }

    /// A release runs. What was begun before it and never ran is no way back.
    fn finish(&mut self, release: &Deployed) {
        let is_it =
            |entry: &Entry| entry.release.digest == release.digest && entry.stage != Stage::Left;
        let Some(at) = self.0.iter().rposition(is_it) else { return };
        self.0[at].stage = Stage::Done;
        for entry in self.0[..at].iter_mut().filter(|entry| entry.stage == Stage::Begun) {
            entry.stage = Stage::Left;
        }
    }

    /// A rollback to a release begins: what came after it runs no longer whole.
    fn unsettle(&mut self, release: &Deployed) {
        let Some(at) = self.done(release) else { return };
        for entry in self.0[at + 1..].iter_mut().filter(|entry| entry.stage == Stage::Done) {
            entry.stage = Stage::Begun;
        }
    }

    /// A rollback has led back to a release.
    fn leave(&mut self, release: &Deployed) {
        let Some(at) = self.done(release) else { return };
        for entry in &mut self.0[at + 1..] {
            entry.stage = Stage::Left;
        }
    }

    fn done(&self, release: &Deployed) -> Option<usize> {
        let is_it =
            |entry: &Entry| entry.release.digest == release.digest && entry.stage == Stage::Done;
        self.0.iter().rposition(is_it)
    }

    /// The release of the last deployment, if that came to its end.
    pub fn settled(&self) -> Option<&Deployed> {
        let last = self.0.iter().rfind(|entry| entry.stage != Stage::Left)?;
        (last.stage == Stage::Done).then_some(&last.release)
    }
}

fn folder(bundle: &Bundle) -> String {
    format!("{}/releases", bundle.root_path)
}

/// What was deployed to this target so far.
pub async fn history(client: &Client, bundle: &Bundle) -> Result<History> {
    let path = format!("{}/history.json", folder(bundle));
    match client.workspace_read(&path).await.context("read which releases were deployed")? {
        None => Ok(History::default()),
        Some(bytes) => serde_json::from_slice(&bytes).with_context(|| format!("read `{path}`")),
    }
}

/// Changes the history as `change` says, and writes it if that made it another.
async fn note(
    client: &Client,
    bundle: &Bundle,
    before: History,
    change: impl FnOnce(&mut History),
) -> Result<()> {
    let mut history = before.clone();
    change(&mut history);
    if history == before {
        return Ok(());
    }
    let path = format!("{}/history.json", folder(bundle));
    let bytes = serde_json::to_vec_pretty(&history)?;
    client.workspace_write(&path, bytes.into(), true).await.context("note the release")
}

/// Whether a release is kept beside the deployment.
pub fn is_kept(opened: &Opened) -> bool {
    opened.manifest.archive.size <= MOST
}

/// Keeps a release that is about to be deployed, before anything changes, so
/// that there is a way back from a deployment that fails.
pub async fn begin(
    client: &Client,
    bundle: &Bundle,
    opened: &Opened,
    is_rollback: bool,
) -> Result<()> {
    let release = opened.deployed();
    let own = format!("{}/{}", folder(bundle), release.digest.short());
    client.workspace_mkdirs(&own).await.context("make a folder for the release")?;
    let history = history(client, bundle).await?;
    let known = history.0.iter().any(|entry| entry.release.digest == release.digest);
    if is_kept(opened) && !known {
        for (name, bytes) in opened.files()? {
            let path = format!("{own}/{name}");
            client
                .workspace_write(&path, bytes.into(), true)
                .await
                .with_context(|| format!("keep `{path}`"))?;
        }
    }
    let change = if is_rollback { History::unsettle } else { History::begin };
    // Last, so that what is listed is there.
    note(client, bundle, history, |history| change(history, &release)).await
}

/// Notes that a release runs, and which ones a rollback led away from.
pub async fn finish(
    client: &Client,
    bundle: &Bundle,
    release: &Deployed,
    is_rollback: bool,
) -> Result<()> {
    let history = history(client, bundle).await?;
    let change = if is_rollback { History::leave } else { History::finish };
    note(client, bundle, history, |history| change(history, release)).await
}

/// Brings a kept release into an empty folder. Its bytes are not proved yet.
pub async fn fetch(
    client: &Client,
    bundle: &Bundle,
    release: &Deployed,
    into: &Path,
) -> Result<()> {
    let own = format!("{}/{}", folder(bundle), release.digest.short());
    let listed = client.workspace_list(&own).await;
    let listed = listed.with_context(|| format!("look for the release at `{own}`"))?;
    if listed.is_empty() {
        let message = format!("release {} was too large to be kept here", release.version);
        return Err(Fault::usage(message)
            .hint("deploy it from where it was built: `bundle-deploy apply --release …`")
            .into());
    }
    for file in listed {
        let name = file.path.rsplit('/').next().unwrap_or_default().to_owned();
        crate::release::path::check(name.as_bytes())?;
        let bytes = client.workspace_file(&file.path).await;
        let bytes = bytes.with_context(|| format!("read `{}`", file.path))?;
        fs::write_new(into.join(name), &bytes, false)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::Sha256;

    fn release(version: &str) -> Deployed {
        Deployed { version: version.into(), commit: String::new(), digest: Sha256::of(version) }
    }

    fn deploy(history: &mut History, version: &str) {
        history.begin(&release(version));
        history.finish(&release(version));
    }

    fn back(history: &History, from: Option<&str>) -> String {
        match history.back(from) {
            Way::To(found) => found.version.clone(),
            Way::Unknown => "unknown".to_owned(),
            Way::Nothing => "nothing".to_owned(),
            Way::Overtaken(by) => format!("overtaken by {}", by.version),
        }
    }

    #[test]
    fn a_rollback_leads_to_what_ran_before() {
        let mut history = History::default();
        assert_eq!(back(&history, None), "nothing");
        for version in ["1", "2", "1", "3"] {
            deploy(&mut history, version);
        }
        assert_eq!(back(&history, None), "1");
        assert_eq!(back(&history, Some("2")), "overtaken by 3");
        assert_eq!(back(&history, Some("9")), "unknown");
        history.leave(&release("1"));
        // Asked again for the same, and asked to go on.
        assert_eq!((&*back(&history, Some("3")), &*back(&history, None)), ("1", "2"));
        history.leave(&release("2"));
        history.leave(&release("1"));
        assert_eq!(back(&history, None), "nothing");
    }

    #[test]
    fn a_deployment_that_failed_is_left_for_the_one_before_it() {
        let mut history = History::default();
        deploy(&mut history, "1");
        history.begin(&release("2"));
        assert_eq!(back(&history, None), "1");
        history.begin(&release("3"));
        assert_eq!(back(&history, Some("3")), "1");
        history.finish(&release("3"));
        deploy(&mut history, "4");
        assert_eq!(back(&history, None), "3");
        // A rollback that was killed is asked for again.
        history.unsettle(&release("3"));
        assert_eq!((back(&history, None), history.settled()), ("3".to_owned(), None));
        history.leave(&release("3"));
        assert_eq!(back(&history, None), "1");
        assert_eq!(history.settled(), Some(&release("3")));
    }

    #[test]
    fn deploying_the_same_again_is_no_step_forward() {
        let mut history = History::default();
        for version in ["1", "2", "2"] {
            deploy(&mut history, version);
        }
        history.leave(&release("1"));
        assert_eq!(back(&history, None), "nothing");
    }
}
