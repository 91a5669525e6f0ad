//! A copy of what was judged, as a version of the model in another catalog. A job
//! of the workspace makes it: the runner never holds a model.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::checkout;
use crate::config::Promotion;
use crate::names::{ModelName, ModelVersion, Sha256};
use crate::record::evidence::Statement;
use crate::report::{Fault, FaultKind};
use crate::runs::{self, Order};
use crate::step::Ctx;

/// The tag of a copy: what it is a copy of.
const ORIGIN: &str = "copied_from";
/// A copy is looked for among so many of the newest versions.
const NEWEST: usize = 50;
/// How long the run may wait for capacity.
const QUEUE: Duration = Duration::from_secs(30 * 60);

/// Where versions are copied to, and what does it.
#[derive(Debug, Clone)]
pub struct Copying {
    pub to: ModelName,
    pub job: String,
    pub timeout: Duration,
    /// The bundle's target, for the key of the job.
    pub target: Option<String>,
}

impl Copying {
    /// As the policy has it, if it has.
    pub fn of(policy: &Promotion, target: Option<String>) -> Option<Self> {
        let copy = policy.copy.as_ref()?;
        Some(Self {
            to: policy.model.clone()?,
            job: copy.job.clone(),
            timeout: Duration::from_secs_f64(copy.timeout_minutes * 60.0),
            target,
        })
    }
}

/// The copy of the version that was judged: the one that is there, or a new one.
///
/// # Errors
/// When the job fails, or what it made is not what was judged.
pub(super) async fn copied(
    ctx: &Ctx,
    copying: &Copying,
    statement: &Statement,
) -> Result<ModelVersion> {
    let (to, digest) = (&copying.to, statement.candidate.digest);
    let version = statement.candidate.version;
    let origin = format!("{}/{version}", statement.model);
    let is_equal = |copies: &[(ModelVersion, Sha256)]| {
        copies.iter().find(|(_, found)| *found == digest).map(|(version, _)| *version)
    };
    if let Some(found) = is_equal(&copies(ctx, to, &origin).await?) {
        return Ok(found);
    }
    let job = checkout::find_job(ctx, &copying.job, copying.target.as_deref()).await?;
    let order = Order {
        parameters: BTreeMap::from([
            ("source".to_owned(), statement.model.to_string()),
            ("version".to_owned(), version.to_string()),
            ("destination".to_owned(), to.to_string()),
        ]),
        queue_timeout: QUEUE,
        run_timeout: copying.timeout,
        rerun_infrastructure: true,
        step_key: None,
    };
    let run = runs::to_success(ctx, &job, &order, "which copies the version").await?;
    let made = copies(ctx, to, &origin).await?;
    is_equal(&made).ok_or_else(|| {
        let see = format!("see {}", run.run_page_url);
        match made.first() {
            None => Fault::new(
                FaultKind::Remote,
                format!("`{}` succeeded, but no version of `{to}` has the tag {ORIGIN} = {origin}", copying.job),
            )
            .hint(see),
            Some((version, found)) => Fault::new(
                FaultKind::Integrity,
                format!(
                    "version {version} of `{to}` is not a copy of what the gate judged: its files have digest {}, the evidence says {}",
                    found.short(),
                    digest.short()
                ),
            )
            .hint(see),
        }
        .into()
    })
}

/// The versions that say they are copies of `origin`, the newest first, with what
/// their files are.
async fn copies(ctx: &Ctx, model: &ModelName, origin: &str) -> Result<Vec<(ModelVersion, Sha256)>> {
    if ctx.client.model_get(model).await?.is_none() {
        return Ok(Vec::new());
    }
    let versions = ctx.client.model_versions(model).await;
    let versions = versions.with_context(|| format!("list the versions of `{model}`"))?;
    let mut ready: Vec<ModelVersion> = versions
        .iter()
        .filter(|info| info.status == "READY")
        .map(|info| ModelVersion(info.version))
        .collect();
    ready.sort_unstable_by(|a, b| b.cmp(a));
    let mut found = Vec::new();
    for version in ready.into_iter().take(NEWEST) {
        let tags = ctx.client.model_version_tags(model, version).await?;
        if tags.get(ORIGIN).is_some_and(|tag| tag == origin) {
            found.push((version, ctx.client.ready_digest(model, version).await?));
        }
    }
    Ok(found)
}
