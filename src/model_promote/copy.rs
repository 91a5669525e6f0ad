//! A copy of what was judged, as a version of the model in another catalog. A job
//! of the workspace makes it: the runner never holds a model.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::checkout;
use crate::config::Promotion;
use crate::names::{Alias, ModelName, ModelVersion, Sha256};
use crate::record::evidence::Statement;
use crate::report::{Fault, FaultKind};
use crate::runs::{self, Order};
use crate::step::Ctx;

/// The tag of a copy: what it is a copy of.
const ORIGIN: &str = "copied_from";

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

/// The copy of the version that was judged: the one that `alias` points to, another
/// one that is there, or a new one.
///
/// # Errors
/// When the job fails, or what it made is not what was judged.
pub(super) async fn copied(
    ctx: &Ctx,
    copying: &Copying,
    statement: &Statement,
    alias: &Alias,
) -> Result<ModelVersion> {
    let (to, digest) = (&copying.to, statement.candidate.digest);
    let version = statement.candidate.version;
    let origin = format!("{}/{version}", statement.model);
    if let Some(current) = ctx.client.alias_get(to, alias).await?
        && ctx.client.ready_digest(to, current).await? == digest
    {
        return Ok(current);
    }
    if let Found::Equal(found) = find(ctx, to, &origin, digest).await? {
        return Ok(found);
    }
    let job = checkout::find_job(ctx, &copying.job, copying.target.as_deref()).await?;
    let parameters = BTreeMap::from([
        ("source".to_owned(), statement.model.to_string()),
        ("version".to_owned(), version.to_string()),
        ("destination".to_owned(), to.to_string()),
    ]);
    let order = Order::of(parameters, copying.timeout);
    let run = runs::to_success(ctx, &job, &order, "which copies the version").await?;
    let fault = match find(ctx, to, &origin, digest).await? {
        Found::Equal(made) => return Ok(made),
        Found::Other(made, other) => Fault::new(
            FaultKind::Integrity,
            format!(
                "version {made} of `{to}` is not a copy of what the gate judged: its files have digest {}, the evidence says {}",
                other.short(),
                digest.short()
            ),
        ),
        Found::None => Fault::new(
            FaultKind::Remote,
            format!(
                "`{}` succeeded, but no version of `{to}` has the tag {ORIGIN} = {origin}",
                copying.job
            ),
        ),
    };
    Err(fault.hint(format!("see {}", run.run_page_url)).into())
}

/// What says that it is a copy.
enum Found {
    /// It has the files that were judged.
    Equal(ModelVersion),
    /// The newest one that does not.
    Other(ModelVersion, Sha256),
    None,
}

/// Looks for a copy of `origin` among all versions, from the newest on.
async fn find(ctx: &Ctx, model: &ModelName, origin: &str, digest: Sha256) -> Result<Found> {
    if ctx.client.model_get(model).await?.is_none() {
        return Ok(Found::None);
    }
    let versions = ctx.client.model_versions(model).await;
    let versions = versions.with_context(|| format!("list the versions of `{model}`"))?;
    let ready = versions.iter().filter(|info| info.status == "READY");
    let mut ready: Vec<ModelVersion> = ready.map(|info| ModelVersion(info.version)).collect();
    ready.sort_unstable_by(|a, b| b.cmp(a));
    let mut found = Found::None;
    for version in ready {
        let tags = ctx.client.model_version_tags(model, version).await?;
        if tags.get(ORIGIN).is_none_or(|tag| tag != origin) {
            continue;
        }
        let own = ctx.client.ready_digest(model, version).await?;
        if own == digest {
            return Ok(Found::Equal(version));
        }
        if matches!(found, Found::None) {
            found = Found::Other(version, own);
        }
    }
    Ok(found)
}
