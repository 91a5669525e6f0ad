//! What a deployment would do: complete, comparable, and bound to the state it
//! was made for.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::fields::{Field, differences};
use super::state::{FileDigests, Remembered, State};
use super::{Bundle, Kind, ids};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    Skip,
    Update,
    Create,
    /// Deleted and made anew: its name is its identity.
    Recreate,
    Delete,
}

impl Action {
    pub const ALL: [Self; 5] =
        [Self::Skip, Self::Update, Self::Create, Self::Recreate, Self::Delete];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Skip => "skip",
            Self::Update => "update",
            Self::Create => "create",
            Self::Recreate => "recreate",
            Self::Delete => "delete",
        }
    }

    /// Whether something that exists goes away.
    pub fn destroys(self) -> bool {
        matches!(self, Self::Recreate | Self::Delete)
    }
}

/// One change of one resource.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// `jobs.train`
    pub key: String,
    pub kind: Kind,
    pub action: Action,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The settings to apply; ids of other resources are still references.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<Value>,
    /// What changes, field by field.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Field>,
    /// What others changed since the last deployment.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drift: Vec<Field>,
    /// The references that make others come first, `resources.jobs.train.id`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<String>,
}

impl Step {
    /// The keys of the resources that must exist first.
    pub fn depends_on(&self) -> impl Iterator<Item = String> + '_ {
        self.references.iter().filter_map(|name| needed(name)).filter(|key| *key != self.key)
    }
}

/// `resources.jobs.train.id` needs `jobs.train`.
fn needed(reference: &str) -> Option<String> {
    let mut parts = reference.strip_prefix("resources.")?.splitn(3, '.');
    Some(format!("{}.{}", parts.next()?, parts.next()?))
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    pub version: u32,
    pub bundle: String,
    pub target: String,
    /// The workspace that it was made for.
    pub host: String,
    /// The state that it was made for; another one makes it stale.
    pub lineage: String,
    pub serial: u64,
    /// The release that is deployed, by the digest of its manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
    /// In the order in which they are applied.
    pub steps: Vec<Step>,
    /// Every file that will be there, with its digest.
    pub files: FileDigests,
    pub upload: Vec<String>,
    pub remove: Vec<String>,
}

impl Plan {
    pub fn count(&self, action: Action) -> usize {
        self.steps.iter().filter(|step| step.action == action).count()
    }

    pub fn is_empty(&self) -> bool {
        self.upload.is_empty()
            && self.remove.is_empty()
            && self.steps.iter().all(|step| step.action == Action::Skip)
    }
}

/// The deployed resources as the workspace has them now: nothing for those
/// that are gone, and `id`s that only it knows.
pub type Remotes = BTreeMap<String, Option<Remote>>;

/// A resource as the workspace has it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Remote {
    /// What somebody may have changed.
    pub settings: Value,
    /// Ids beside the one that the state holds, such as `endpoint_id`.
    pub ids: BTreeMap<String, String>,
}

/// Where a deployment stands: what was applied, what is there, what was read
/// back then.
#[derive(Debug, Clone, Copy)]
pub struct Standing<'a> {
    pub state: &'a State,
    pub remotes: &'a Remotes,
    pub remembered: &'a Remembered,
    /// The files that are there.
    pub uploaded: &'a FileDigests,
}

impl Standing<'_> {
    /// The id that a reference stands for, of what exists.
    pub fn id(&self, reference: &str) -> Option<String> {
        let key = needed(reference)?;
        let field = reference.rsplit('.').next()?;
        let remote = self.remotes.get(&key);
        if remote.is_some_and(Option::is_none) {
            return None;
        }
        if field == "id" {
            return self.state.id(&key).map(str::to_owned);
        }
        remote?.as_ref()?.ids.get(field).cloned()
    }

    fn drift(&self, key: &str) -> Vec<Field> {
        let now = self.remotes.get(key).and_then(Option::as_ref);
        let then = self.remembered.of(self.state).and_then(|resources| resources.get(key));
        match (now, then) {
            (Some(now), Some(then)) => differences(then, &now.settings),
            _ => Vec::new(),
        }
    }
}

/// Compares what is wanted with what is deployed.
pub fn plan(bundle: &Bundle, host: &str, standing: Standing<'_>, files: FileDigests) -> Plan {
    let Standing { state, remotes, uploaded, .. } = standing;
    let mut steps = Vec::new();
    for (key, resource) in &bundle.resources {
        let is_gone = remotes.get(key).is_some_and(Option::is_none);
        let known = state.state.get(&format!("resources.{key}")).filter(|_| !is_gone);
        let wanted = ids::fill(&resource.settings, &|name| standing.id(name));
        let (mut changes, mut drift) = (Vec::new(), Vec::new());
        let action = match known {
            None => Action::Create,
            Some(known) => {
                changes = differences(&known.state, &wanted);
                changes.retain(|field| !IGNORED.contains(&field.path.as_str()));
                drift = standing.drift(key);
                let identity = resource.kind.identity();
                if changes.iter().any(|field| identity.contains(&field.path.as_str())) {
                    Action::Recreate
                } else if changes.is_empty() && drift.is_empty() {
                    Action::Skip
                } else {
                    Action::Update
                }
            }
        };
        steps.push(Step {
            key: key.clone(),
            kind: resource.kind,
            action,
            id: known.map(|known| known.id.clone()),
            settings: Some(resource.settings.clone()),
            changes,
            drift,
            references: resource.references.clone(),
        });
    }
    let mut steps = in_order(steps);
    steps.extend(deletions(bundle, state, remotes));
    let upload = files.0.iter().filter(|(path, digest)| uploaded.0.get(*path) != Some(*digest));
    let upload = upload.map(|(path, _)| path.clone()).collect();
    let remove = uploaded.0.keys().filter(|path| !files.0.contains_key(*path)).cloned().collect();
    Plan {
        version: 2,
        bundle: bundle.name.clone(),
        target: bundle.target.clone(),
        host: host.to_owned(),
        lineage: state.lineage.clone(),
        serial: state.serial,
        release: None,
        steps,
        files,
        upload,
        remove,
    }
}

/// What the service counts by itself.
const IGNORED: [&str; 1] = ["etag"];

/// What is deployed and no longer wanted; what others need goes last.
fn deletions(bundle: &Bundle, state: &State, remotes: &Remotes) -> Vec<Step> {
    let mut steps: Vec<Step> = state
        .state
        .iter()
        .filter_map(|(full, known)| {
            let key = full.strip_prefix("resources.")?;
            let kind = Kind::of_key(key)?;
            let unwanted = !bundle.resources.contains_key(key);
            let is_gone = remotes.get(key).is_some_and(Option::is_none);
            (unwanted && !is_gone).then(|| Step {
                key: key.to_owned(),
                kind,
                action: Action::Delete,
                id: Some(known.id.clone()),
                settings: None,
                changes: Vec::new(),
                drift: Vec::new(),
                references: Vec::new(),
            })
        })
        .collect();
    // Rights go with the resource that they are about.
    let gone: Vec<String> = steps.iter().map(|step| format!("{}.", step.key)).collect();
    steps.retain(|step| {
        !matches!(step.kind, Kind::Permissions | Kind::Grants)
            || !gone.iter().any(|parent| step.key.starts_with(parent))
    });
    steps.sort_by_key(|step| std::cmp::Reverse(step.kind));
    steps
}

/// Kinds first, then references: a job that starts another comes after it.
fn in_order(mut steps: Vec<Step>) -> Vec<Step> {
    steps.sort_by_key(|step| step.kind);
    let all: BTreeMap<String, Vec<String>> =
        steps.iter().map(|step| (step.key.clone(), step.depends_on().collect())).collect();
    let mut done: Vec<Step> = Vec::new();
    let mut names = std::collections::BTreeSet::new();
    while !steps.is_empty() {
        let is_done = |key: &String| names.contains(key) || !all.contains_key(key);
        // In a circle of references nobody is first; applying it then says so.
        let next = steps.iter().position(|step| all[&step.key].iter().all(is_done)).unwrap_or(0);
        let step = steps.remove(next);
        names.insert(step.key.clone());
        done.push(step);
    }
    done
}
