//! What a deployment would do: complete, comparable, and bound to the state it
//! was made for.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::interpolate::references;
use super::state::{FileDigests, State};
use super::{Bundle, Kind};

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
pub struct Step {
    /// `jobs.train`
    pub key: String,
    pub kind: Kind,
    pub action: Action,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The settings to apply; ids of other resources are still references.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub settings: Option<Value>,
    /// The paths of the fields that change.
    #[serde(default)]
    pub changes: Vec<String>,
    #[serde(default)]
    pub depends_on: Vec<String>,
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

/// Compares what is wanted with what is deployed. `gone` names the deployed
/// resources that the workspace no longer has.
pub fn plan(
    bundle: &Bundle,
    host: &str,
    state: &State,
    gone: &BTreeSet<String>,
    files: FileDigests,
    uploaded: &FileDigests,
) -> Plan {
    let mut steps = Vec::new();
    for (key, resource) in &bundle.resources {
        let known = state.state.get(&format!("resources.{key}")).filter(|_| !gone.contains(key));
        let mut changes = Vec::new();
        let action = match known {
            None => Action::Create,
            Some(known) => {
                differences("", &known.state, &resource.settings, &mut changes);
                let identity = resource.kind.identity();
                if changes.is_empty() {
                    Action::Skip
                } else if changes.iter().any(|path| identity.contains(&path.as_str())) {
                    Action::Recreate
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
            depends_on: depends_on(&resource.settings, bundle, key),
        });
    }
    let mut steps = in_order(steps);
    steps.extend(deletions(bundle, state, gone));
    let upload = files.0.iter().filter(|(path, digest)| uploaded.0.get(*path) != Some(*digest));
    let upload = upload.map(|(path, _)| path.clone()).collect();
    let remove = uploaded.0.keys().filter(|path| !files.0.contains_key(*path)).cloned().collect();
    Plan {
        version: 1,
        bundle: bundle.name.clone(),
        target: bundle.target.clone(),
        host: host.to_owned(),
        lineage: state.lineage.clone(),
        serial: state.serial,
        steps,
        files,
        upload,
        remove,
    }
}

/// What is deployed and no longer wanted; what others need goes last.
fn deletions(bundle: &Bundle, state: &State, gone: &BTreeSet<String>) -> Vec<Step> {
    let mut steps: Vec<Step> = state
        .state
        .iter()
        .filter_map(|(full, known)| {
            let key = full.strip_prefix("resources.")?;
            let kind = Kind::parse(key.split('.').next()?)?;
            let unwanted = !bundle.resources.contains_key(key);
            (unwanted && !gone.contains(key)).then(|| Step {
                key: key.to_owned(),
                kind,
                action: Action::Delete,
                id: Some(known.id.clone()),
                settings: None,
                changes: Vec::new(),
                depends_on: Vec::new(),
            })
        })
        .collect();
    steps.sort_by_key(|step| std::cmp::Reverse(step.kind));
    steps
}

/// Resources that must exist first: those it refers to by id, and the schema
/// that it lives in.
fn depends_on(settings: &Value, bundle: &Bundle, key: &str) -> Vec<String> {
    let by_id = references(settings)
        .into_iter()
        .filter_map(|name| name.strip_prefix("resources.")?.strip_suffix(".id").map(str::to_owned));
    let schema = bundle.resources.iter().filter(|(_, other)| {
        other.kind == Kind::Schemas
            && settings["schema_name"] == other.settings["name"]
            && settings["catalog_name"] == other.settings["catalog_name"]
            && !settings["schema_name"].is_null()
    });
    let schema = schema.map(|(key, _)| key.clone());
    by_id.chain(schema).filter(|other| other != key).collect()
}

/// Kinds first, then references: a job that starts another comes after it.
fn in_order(mut steps: Vec<Step>) -> Vec<Step> {
    steps.sort_by_key(|step| step.kind);
    let all: BTreeMap<String, Vec<String>> =
        steps.iter().map(|step| (step.key.clone(), step.depends_on.clone())).collect();
    let mut done: Vec<Step> = Vec::new();
    while !steps.is_empty() {
        let is_done =
            |key: &String| done.iter().any(|step| step.key == *key) || !all.contains_key(key);
        // In a circle of references nobody is first; applying it then says so.
        let next = steps.iter().position(|step| step.depends_on.iter().all(is_done)).unwrap_or(0);
        done.push(steps.remove(next));
    }
    done
}

/// The paths at which two values differ.
pub fn changed_fields(old: &Value, new: &Value) -> Vec<String> {
    let mut found = Vec::new();
    differences("", old, new, &mut found);
    found
}

fn differences(path: &str, old: &Value, new: &Value, found: &mut Vec<String>) {
    let below =
        |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    match (old, new) {
        (Value::Object(old), Value::Object(new)) => {
            let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
            for name in names {
                let (old, new) =
                    (old.get(name).unwrap_or(&Value::Null), new.get(name).unwrap_or(&Value::Null));
                differences(&below(name), old, new, found);
            }
        }
        (Value::Array(old), Value::Array(new)) if old.len() == new.len() => {
            for (at, (old, new)) in old.iter().zip(new).enumerate() {
                differences(&format!("{path}[{at}]"), old, new, found);
            }
        }
        (old, new) if old == new => {}
        _ => found.push(path.to_owned()),
    }
}
