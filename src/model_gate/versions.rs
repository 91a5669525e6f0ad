//! Which version is judged, and which one it stands up to: each is looked up once.

use std::collections::BTreeSet;
use std::str::FromStr;

use anyhow::{Context as _, Result};

use crate::databricks::Client;
use crate::databricks::jobs::Run;
use crate::names::{Alias, ModelName, ModelVersion, NameError, VersionRef};
use crate::record::evidence::Subject;
use crate::report::Fault;

/// How a caller names the version that is judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Candidate {
    /// Nobody named one.
    Newest,
    Named(VersionRef),
    /// What the run of a job registered, by the run's id.
    OfRun(i64),
}

impl FromStr for Candidate {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if text == "latest" {
            return Ok(Self::Newest);
        }
        // An alias has no colon.
        match text.strip_prefix("run:").map(str::parse) {
            Some(Ok(run)) => Ok(Self::OfRun(run)),
            _ => text.parse().map(Self::Named),
        }
    }
}

/// What the candidate stands up to.
#[derive(Debug, Clone)]
pub enum Champion {
    /// Whichever holds the alias. Before the first promotion, none does.
    Holder(Alias),
    /// This one, which must be there.
    Named(VersionRef),
    /// None: whoever asks says that this is the first model.
    None,
}

/// The version that is judged, and the digest of its files.
pub(super) async fn candidate(
    client: &Client,
    model: &ModelName,
    asked: &Candidate,
) -> Result<Subject> {
    let registered = client.model_get(model).await;
    if registered.with_context(|| format!("look up the model `{model}`"))?.is_none() {
        let fault = Fault::usage(format!("the model `{model}` does not exist"));
        return Err(fault
            .hint("check its name, and that the identity may see its catalog and schema")
            .into());
    }
    let version = match asked {
        Candidate::Named(named) => version_of(client, model, named).await?,
        Candidate::OfRun(run) => registered_by(client, model, *run).await?,
        Candidate::Newest => {
            let versions = client.model_versions(model).await;
            let versions = versions.with_context(|| format!("list the versions of `{model}`"))?;
            let newest = versions.iter().map(|version| version.version).max();
            let none = || Fault::usage(format!("the model `{model}` has no versions"));
            ModelVersion(newest.ok_or_else(none)?)
        }
    };
    Ok(Subject { version, digest: client.ready_digest(model, version).await? })
}

/// The newest version that a job's run registered: the tracked run that logged it has a
/// tag with the run's id, or with that of one of its tasks.
async fn registered_by(client: &Client, model: &ModelName, run: i64) -> Result<ModelVersion> {
    const TAG: &str = "mlflow.databricks.jobRunID";
    let ended: Run = client.run_get(run).await.with_context(|| format!("look up run {run}"))?;
    if !ended.succeeded() {
        let state = ended.state.result_state.unwrap_or(ended.state.life_cycle_state);
        let message = format!("run {run} is {state}: what it registered is not judged");
        return Err(Fault::usage(message).into());
    }
    let ids: BTreeSet<String> =
        ended.tasks.iter().map(|task| task.run_id).chain([run]).map(|id| id.to_string()).collect();
    let versions = client.model_versions(model).await;
    let mut versions = versions.with_context(|| format!("list the versions of `{model}`"))?;
    // Clocks of one service: what is older than the run is not of it.
    versions.retain(|version| version.created_at >= ended.start_time);
    versions.sort_by_key(|version| std::cmp::Reverse(version.version));
    for version in versions {
        let Some(tracked) = version.run_id.filter(|id| !id.is_empty()) else { continue };
        let tracked = client.tracked_run(&tracked).await;
        let tracked = tracked.context("read the run that trained a version")?;
        if tracked.tags.get(TAG).is_some_and(|of| ids.contains(of)) {
            return Ok(ModelVersion(version.version));
        }
    }
    let message = format!("run {run} registered no version of `{model}`");
    let fault = Fault::usage(message);
    let hint = format!(
        "versions are known by the tag `{TAG}` of the MLflow run that logged them, which jobs set; where yours does not, name the version by its number"
    );
    Err(fault.hint(hint).into())
}

async fn version_of(
    client: &Client,
    model: &ModelName,
    asked: &VersionRef,
) -> Result<ModelVersion> {
    match asked {
        VersionRef::Version(number) => Ok(*number),
        VersionRef::Alias(alias) => {
            let set = holder(client, model, alias).await?;
            let unset = || Fault::usage(format!("the alias `{alias}` of `{model}` is not set"));
            Ok(set.ok_or_else(unset)?)
        }
    }
}

async fn holder(client: &Client, model: &ModelName, alias: &Alias) -> Result<Option<ModelVersion>> {
    let set = client.alias_get(model, alias).await;
    set.with_context(|| format!("read the alias `{alias}` of `{model}`"))
}

/// The version that the candidate stands up to, if there is one.
pub(super) async fn champion(
    client: &Client,
    model: &ModelName,
    asked: &Champion,
) -> Result<Option<Subject>> {
    let version = match asked {
        Champion::None => None,
        Champion::Holder(alias) => holder(client, model, alias).await?,
        Champion::Named(asked) => Some(version_of(client, model, asked).await?),
    };
    Ok(match version {
        Some(version) => {
            Some(Subject { version, digest: client.ready_digest(model, version).await? })
        }
        None => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_candidate_is_a_version_an_alias_or_of_a_run() {
        let of = |text: &str| text.parse::<Candidate>();
        assert_eq!(of("latest"), Ok(Candidate::Newest));
        assert_eq!(of("7"), Ok(Candidate::Named(VersionRef::Version(ModelVersion(7)))));
        assert!(matches!(of("challenger"), Ok(Candidate::Named(VersionRef::Alias(_)))));
        assert_eq!(of("run:12"), Ok(Candidate::OfRun(12)));
        assert!(of("run:").is_err() && of("run:x").is_err() && of("").is_err());
    }
}
