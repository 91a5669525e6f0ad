//! Runs that a step started and did not see through: it was killed before it could
//! cancel them. Each is marked while it is waited for, and a step that always runs
//! cancels what is still marked.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use super::Started;
use crate::report::{Fault, FaultKind};
use crate::step::Ctx;
use crate::sys::fs;

/// Of the folder that the step works in.
const FOLDER: &str = ".lakegate/runs";
/// A run that was asked to end does so within this time, or nothing is known of it.
const PATIENCE: Duration = Duration::from_secs(120);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Mark {
    host: String,
    run_id: i64,
    job: String,
}

/// What became of a run that was left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    pub run_id: i64,
    pub job: String,
    pub told: &'static str,
}

/// The mark of a run that is waited for.
pub(super) struct Marked(Option<PathBuf>);

impl Marked {
    /// Without a folder to write to there is no mark: the run is waited for all the same.
    pub(super) fn of(ctx: &Ctx, started: &Started) -> Self {
        let mark = Mark {
            host: ctx.client.host().to_owned(),
            run_id: started.run_id,
            job: started.name.clone(),
        };
        let path = Path::new(FOLDER).join(format!("{}.json", mark.run_id));
        let written = serde_json::to_vec(&mark).map_err(Into::into);
        match written.and_then(|text| fs::write_passing(&path, text)) {
            Ok(()) => Self(Some(path)),
            Err(error) => {
                tracing::debug!(run = mark.run_id, %error, "the run is not marked");
                Self(None)
            }
        }
    }

    /// The run is over, or was told to end.
    pub(super) fn clear(self) {
        if let Some(error) = self.0.and_then(|path| fs::remove(path).err()) {
            tracing::debug!(%error, "the mark of a run that is over stays");
        }
    }
}

/// Whether any run was left.
pub fn are_any() -> bool {
    !marked().unwrap_or_default().is_empty()
}

fn marked() -> Result<Vec<PathBuf>> {
    let entries = fs::entries(FOLDER)?.unwrap_or_default();
    let names = entries.into_iter().map(|(name, ..)| name);
    let marks = names.filter(|name| name.ends_with(".json") && !fs::is_unfinished(name));
    Ok(marks.map(|name| Path::new(FOLDER).join(name)).collect())
}

/// Cancels what was left in this workspace, and waits until it has ended.
///
/// # Errors
/// When a run cannot be asked for, or does not end: its mark stays.
pub async fn cancel(ctx: &Ctx) -> Result<Vec<Left>> {
    let mut found = Vec::new();
    for path in marked()? {
        let text = fs::read_text_if_exists(&path)?.unwrap_or_default();
        let mark: Mark = serde_json::from_str(&text)
            .with_context(|| format!("read the mark `{}`", path.display()))?;
        let told = if mark.host == ctx.client.host() {
            let told =
                end(ctx, &mark).await.with_context(|| format!("cancel run {}", mark.run_id))?;
            fs::remove(&path)?;
            told
        } else {
            "belongs to another workspace"
        };
        found.push(Left { run_id: mark.run_id, job: mark.job, told });
    }
    Ok(found)
}

async fn end(ctx: &Ctx, mark: &Mark) -> Result<&'static str> {
    let run = match ctx.client.run_get(mark.run_id).await {
        Err(error) if error.is_not_found() => return Ok("is gone"),
        run => run?,
    };
    if run.is_over() {
        return Ok("was over");
    }
    // The folder is one that other code may write to, too.
    let me = ctx.client.me().await.context("ask who this is")?.user_name;
    if run.creator_user_name.as_deref() != Some(me.as_str()) {
        let message = "somebody else started it: it goes on";
        return Err(Fault::new(FaultKind::Integrity, message).into());
    }
    ctx.client.run_cancel(mark.run_id).await?;
    let asked = Instant::now();
    while asked.elapsed() < PATIENCE {
        if ctx.client.run_get(mark.run_id).await?.is_over() {
            return Ok("was cancelled");
        }
        tokio::time::sleep(super::watch::pause(asked.elapsed())).await;
    }
    let message = format!("it did not end within {} seconds", PATIENCE.as_secs());
    Err(Fault::new(FaultKind::Timeout, message).into())
}
