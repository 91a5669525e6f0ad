//! What is deployed, in the layout of the official CLI's direct engine.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Bundle;
use crate::names::Sha256;

/// The layout that this reads and writes.
const VERSION: u32 = 2;

/// `state/resources.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct State {
    pub state_version: u32,
    #[serde(default)]
    pub cli_version: String,
    /// Tells one history of deployments from another.
    pub lineage: String,
    /// One more with each deployment.
    pub serial: u64,
    #[serde(default)]
    pub state: BTreeMap<String, ResourceState>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResourceState {
    #[serde(rename = "__id__")]
    pub id: String,
    /// The settings that were applied last.
    pub state: Value,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<Value>,
}

impl State {
    /// Of a bundle that was never deployed.
    pub fn new(lineage: String) -> Self {
        Self {
            state_version: VERSION,
            cli_version: concat!("lakegate-", env!("CARGO_PKG_VERSION")).to_owned(),
            lineage,
            serial: 0,
            state: BTreeMap::new(),
        }
    }

    /// Reads a state; one of a newer layout is refused rather than damaged.
    pub fn parse(text: &str) -> Result<Self, String> {
        let state: Self = serde_json::from_str(text)
            .map_err(|error| format!("the deployment state is not readable: {error}"))?;
        if state.state_version != VERSION {
            return Err(format!(
                "the deployment state has layout {}, this knows {VERSION}",
                state.state_version
            ));
        }
        Ok(state)
    }

    /// The id of a resource by its key, `jobs.train`.
    pub fn id(&self, key: &str) -> Option<&str> {
        self.state.get(&format!("resources.{key}")).map(|resource| resource.id.as_str())
    }

    /// Whether a job is one of this deployment's.
    pub fn has_job(&self, id: i64) -> bool {
        let id = id.to_string();
        let mut jobs = self.state.iter().filter(|(key, _)| key.starts_with("resources.jobs."));
        jobs.any(|(_, job)| job.id == id)
    }
}

/// `state/metadata.json`: what a job's page shows of its deployment.
pub fn metadata(
    bundle: &Bundle,
    state: &State,
    commit: Option<&str>,
    branch: Option<&str>,
) -> Value {
    let jobs = bundle.resources.keys().filter(|key| key.starts_with("jobs."));
    let jobs = jobs.filter_map(|key| {
        let id = state.id(key)?;
        Some((
            key.trim_start_matches("jobs.").to_owned(),
            json!({ "id": id, "relative_path": "databricks.yml" }),
        ))
    });
    json!({
        "version": 1,
        "config": {
            "bundle": {
                "name": bundle.name,
                "target": bundle.target,
                "git": { "commit": commit, "branch": branch },
            },
            "workspace": { "file_path": bundle.file_path },
            "resources": { "jobs": jobs.collect::<serde_json::Map<_, _>>() },
        },
    })
}

/// `state/deployment.json`: the files that the deployment has put there.
pub fn snapshot(bundle: &Bundle, files: &FileDigests, serial: u64, time: &str) -> Value {
    let root = format!("{}/", bundle.file_path);
    let listed = files.0.keys().filter_map(|path| path.strip_prefix(&root));
    let listed = listed.map(|path| json!({ "local_path": path, "is_notebook": false }));
    json!({
        "version": 1,
        "seq": serial,
        "cli_version": concat!("lakegate-", env!("CARGO_PKG_VERSION")),
        "timestamp": time,
        "files": listed.collect::<Vec<_>>(),
    })
}

/// `state/deploy.lock`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Lock {
    #[serde(rename = "ID")]
    pub id: String,
    pub acquisition_time: String,
    #[serde(default)]
    pub is_forced: bool,
    #[serde(default)]
    pub user: String,
    /// The CI run that holds it: once that is over, nobody does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<LockRun>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct LockRun {
    /// `github` or `azure`.
    pub host: String,
    pub repository: String,
    pub id: String,
    /// Which attempt at it, and of what.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
}

impl LockRun {
    /// Whether this is an attempt after which `later` was made. GitHub tries a whole
    /// run again once it is over, Azure a job.
    pub fn is_before(&self, later: &Self) -> bool {
        let same_part = self.host == "github" || self.stage.is_some() && self.stage == later.stage;
        let is_earlier = self.attempt.zip(later.attempt).is_some_and(|(this, later)| this < later);
        self.is_of(later) && same_part && is_earlier
    }

    /// Whether both are of one run.
    pub fn is_of(&self, other: &Self) -> bool {
        (&self.host, &self.repository, &self.id) == (&other.host, &other.repository, &other.id)
    }
}

/// `state/lakegate.json`: what Lakegate knows of the last deployment beside
/// the state. Whatever another tool deployed since makes it old.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Remembered {
    pub lineage: String,
    pub serial: u64,
    /// Which release was deployed, if it was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    release: Option<Deployed>,
    /// Who deployed it, and when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    by: Option<DeployedBy>,
    /// What was uploaded, if it was not another tool that did it.
    #[serde(default)]
    files: Option<FileDigests>,
    /// Each resource as it was read back.
    #[serde(default)]
    resources: BTreeMap<String, Value>,
}

/// Whose deployment it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeployedBy {
    /// As the workspace names them.
    pub user: String,
    /// Whoever started the CI run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_url: Option<String>,
    /// RFC 3339.
    pub at: String,
}

/// A release that was deployed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployed {
    pub version: String,
    pub commit: String,
    /// Of the manifest.
    pub digest: Sha256,
}

impl Remembered {
    pub fn new(
        state: &State,
        files: Option<FileDigests>,
        resources: BTreeMap<String, Value>,
        (release, by): (Option<Deployed>, DeployedBy),
    ) -> Self {
        let lineage = state.lineage.clone();
        Self { lineage, serial: state.serial, release, by: Some(by), files, resources }
    }

    fn is_about(&self, state: &State) -> bool {
        self.lineage == state.lineage && self.serial == state.serial
    }

    /// The resources as they were read back, if this state is the one.
    pub fn of(&self, state: &State) -> Option<&BTreeMap<String, Value>> {
        self.is_about(state).then_some(&self.resources)
    }

    /// The files that were uploaded; nothing where another tool came between.
    pub fn files(&self, state: &State) -> Option<&FileDigests> {
        self.files.as_ref().filter(|_| self.is_about(state))
    }

    /// Whose deployment this state is.
    pub fn by(&self, state: &State) -> Option<&DeployedBy> {
        self.by.as_ref().filter(|_| self.is_about(state))
    }

    /// The release that this state came of.
    pub fn release(&self, state: &State) -> Option<&Deployed> {
        self.release.as_ref().filter(|_| self.is_about(state))
    }
}

/// The digests of the files that were uploaded, so that only changes travel.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FileDigests(pub BTreeMap<String, Sha256>);

impl FileDigests {
    /// What has to be uploaded, and what to be removed, where `there` is there.
    pub fn compared(&self, there: &Self) -> (Vec<String>, Vec<String>) {
        let differs = |(path, digest): &(&String, &Sha256)| there.0.get(*path) != Some(*digest);
        let upload = self.0.iter().filter(differs).map(|(path, _)| path.clone()).collect();
        let remove = there.0.keys().filter(|path| !self.0.contains_key(*path)).cloned().collect();
        (upload, remove)
    }
}
