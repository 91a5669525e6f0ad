//! What a deployment would do: complete, comparable, and bound to the state it
//! was made for.

use std::collections::{BTreeMap, BTreeSet};

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
    /// Whether a field, or something in it, changes.
    pub fn changes_below(&self, field: &str) -> bool {
        self.changes.iter().any(|change| {
            let rest = change.path.strip_prefix(field);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
        })
    }
}

/// `resources.jobs.train.id` needs `jobs.train`.
pub(super) fn needed(reference: &str) -> Option<String> {
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
    /// Keys that the state gives up: what they stood for is gone, or has
    /// another key now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub forget: Vec<String>,
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
            && self.forget.is_empty()
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
    let mut comparison = Comparison::default();
    // In the order of need, as what is made anew has another id for the rest.
    let mut steps: Vec<Step> =
        order(bundle).into_iter().map(|key| comparison.step(bundle, standing, key)).collect();
    let moved = comparison.moved;
    let (deleted, mut forget) = deletions(bundle, state, remotes, &moved);
    forget.extend(moved.into_keys());
    steps.extend(deleted);
    let (upload, remove) = files.compared(uploaded);
    Plan {
        version: 2,
        bundle: bundle.name.clone(),
        target: bundle.target.clone(),
        host: host.to_owned(),
        lineage: state.lineage.clone(),
        serial: state.serial,
        release: None,
        steps,
        forget,
        files,
        upload,
        remove,
    }
}

/// What the steps so far mean for those that follow.
#[derive(Default)]
struct Comparison {
    /// The old keys of resources with another key now.
    moved: BTreeMap<String, String>,
    /// Resources whose id is not known before the plan is applied.
    renewed: BTreeSet<String>,
}

impl Comparison {
    fn step(&mut self, bundle: &Bundle, standing: Standing<'_>, key: String) -> Step {
        let resource = &bundle.resources[&key];
        let entry = |key: &str| standing.state.state.get(&format!("resources.{key}"));
        let is_gone = standing.remotes.get(&key).is_some_and(Option::is_none);
        let mut known = entry(&key).filter(|_| !is_gone);
        if known.is_none()
            && !is_gone
            && let Some(old) = renamed(bundle, standing, resource)
        {
            known = entry(&old);
            self.moved.insert(old, key.clone());
        }
        let id = |name: &str| {
            let is_old = needed(name).is_some_and(|needed| self.renewed.contains(&needed));
            if is_old { None } else { standing.id(name) }
        };
        let wanted = ids::fill(&resource.settings, &id);
        let (mut changes, mut drift) = (Vec::new(), Vec::new());
        let action = match known {
            None => Action::Create,
            Some(known) => {
                changes = differences(&known.state, &wanted);
                changes.retain(|field| !IGNORED.contains(&field.path.as_str()));
                drift = standing.drift(&key);
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
        if matches!(action, Action::Create | Action::Recreate) {
            self.renewed.insert(key.clone());
        }
        Step {
            key,
            kind: resource.kind,
            action,
            id: known.map(|known| known.id.clone()),
            settings: Some(wanted),
            changes,
            drift,
            references: resource.references.clone(),
        }
    }
}

/// What the service counts by itself.
const IGNORED: [&str; 1] = ["etag"];

/// The old key of a resource that has another one in the bundle now. Where a
/// name is the identity, the new key would take over what the old one deletes.
fn renamed(bundle: &Bundle, standing: Standing<'_>, resource: &super::Resource) -> Option<String> {
    let text = |field: &str| resource.settings[field].as_str().unwrap_or_default().to_owned();
    let identity = match resource.kind {
        Kind::Schemas | Kind::Volumes | Kind::RegisteredModels => {
            super::full_name(&ids::fill(&resource.settings, &|name| standing.id(name)))
        }
        Kind::QualityMonitors => text("table_name"),
        Kind::ModelServingEndpoints | Kind::Experiments => text("name"),
        _ => return None,
    };
    standing.state.state.iter().find_map(|(full, known)| {
        let old = full.strip_prefix("resources.")?;
        let is_there = !standing.remotes.get(old).is_some_and(Option::is_none);
        let is_left = Kind::of_key(old) == Some(resource.kind)
            && !bundle.resources.contains_key(old)
            && is_there;
        let same = match resource.kind {
            Kind::Experiments => known.state["name"] == identity.as_str(),
            _ => known.id == identity,
        };
        (is_left && same).then(|| old.to_owned())
    })
}

/// What is deployed and no longer wanted, what others need last; and what is
/// gone anyhow.
fn deletions(
    bundle: &Bundle,
    state: &State,
    remotes: &Remotes,
    moved: &BTreeMap<String, String>,
) -> (Vec<Step>, Vec<String>) {
    let (mut steps, mut forget) = (Vec::new(), Vec::new());
    for (full, known) in &state.state {
        let Some(key) = full.strip_prefix("resources.") else { continue };
        let Some(kind) = Kind::of_key(key) else { continue };
        if bundle.resources.contains_key(key) || moved.contains_key(key) {
            continue;
        }
        // Rights of what has another key now are not taken away from it.
        let of_moved = moved.keys().any(|old| key.starts_with(&format!("{old}.")));
        if of_moved || remotes.get(key).is_some_and(Option::is_none) {
            forget.push(key.to_owned());
            continue;
        }
        steps.push(Step {
            key: key.to_owned(),
            kind,
            action: Action::Delete,
            id: Some(known.id.clone()),
            settings: None,
            changes: Vec::new(),
            drift: Vec::new(),
            references: Vec::new(),
        });
    }
    // Rights go with the resource that they are about.
    let gone: Vec<String> = steps.iter().map(|step| format!("{}.", step.key)).collect();
    steps.retain(|step| {
        !matches!(step.kind, Kind::Permissions | Kind::Grants)
            || !gone.iter().any(|parent| step.key.starts_with(parent))
    });
    steps.sort_by_key(|step| std::cmp::Reverse(step.kind));
    (steps, forget)
}

/// The bundle's keys: kinds first, then references, so that a job that starts
/// another comes after it.
fn order(bundle: &Bundle) -> Vec<String> {
    let mut open: Vec<(&String, &super::Resource)> = bundle.resources.iter().collect();
    open.sort_by_key(|(_, resource)| resource.kind);
    let mut done: BTreeSet<String> = BTreeSet::new();
    let mut keys = Vec::new();
    while !open.is_empty() {
        let is_ready = |(key, resource): &(&String, &super::Resource)| {
            resource
                .needs()
                .filter(|need| need != *key)
                .all(|need| done.contains(&need) || !bundle.resources.contains_key(&need))
        };
        // In a circle of references nobody is first; applying it then says so.
        let next = open.iter().position(is_ready).unwrap_or(0);
        let (key, _) = open.remove(next);
        done.insert(key.clone());
        keys.push(key.clone());
    }
    keys
}
