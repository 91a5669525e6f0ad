//! An asset bundle, read natively: `databricks.yml` and what it includes.
//!
//! Pure: the caller reads the files and asks the workspace; here they are
//! merged, resolved, checked, and compared with what is deployed. What this
//! does not know is refused by name, never ignored.

mod children;
mod defaults;
mod fields;
mod foreign;
pub mod ids;
mod interpolate;
mod load;
mod merge;
mod modes;
mod paths;
mod plan;
mod presets;
mod resources;
mod sources;
mod state;
mod variables;

pub use children::full_name;
pub use fields::{Field, differences};
pub use load::{MERGE_TESTS, load, lookups, name, targets, values};
pub use plan::{Action, Plan, Remote, Remotes, Standing, Step, plan};
pub use resources::Kind;
pub use sources::{OTHER_ROOTS, Sources, definitions};
pub use state::{
    Deployed, DeployedBy, FileDigests, Lock, LockRun, Remembered, ResourceState, State, metadata,
    snapshot,
};
pub use variables::{Looked, Lookup};

use std::collections::BTreeMap;

use serde_json::Value;

/// What is wrong with a bundle, and in which file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{file}`: {message}")]
pub struct BundleError {
    pub file: String,
    pub message: String,
    pub hint: Option<String>,
    /// All that is missing is a value, which the deployment may give.
    pub lacks_value: bool,
}

impl BundleError {
    fn new(file: &str, message: impl Into<String>) -> Self {
        Self { file: file.to_owned(), message: message.into(), hint: None, lacks_value: false }
    }

    fn lacking(message: String) -> Self {
        Self { lacks_value: true, ..Self::new(sources::ROOT, message) }
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// What the surroundings of a deployment are.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// `anna@example.test`
    pub user: String,
    /// `anna`
    pub short_name: String,
    /// The address of the workspace that the caller configured.
    pub host: String,
    pub branch: Option<String>,
    /// Who deploys it, and from which branch, is for another time: nothing is
    /// demanded of either.
    pub is_open: bool,
    pub commit: Option<String>,
    /// From `--var` and `BUNDLE_VAR_*`, in this order of rank.
    pub variables: BTreeMap<String, String>,
    /// The word that makes a copy of the bundle somebody's own: in its place
    /// and in its names.
    pub isolation: Option<String>,
}

/// A wheel to build before a deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Artifact {
    pub name: String,
    /// Where the command runs, relative to the bundle.
    pub path: String,
    pub build: Option<String>,
    /// Globs of the files that come out, relative to the bundle.
    pub files: Vec<String>,
}

/// Which files travel.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sync {
    /// Files and folders, relative to the bundle; its own folder where there are none.
    pub paths: Vec<String>,
    /// Globs of files that git ignores.
    pub include: Vec<String>,
    pub exclude: Vec<String>,
}

/// A bundle with everything resolved but the ids of its own resources.
#[derive(Debug, Clone)]
pub struct Bundle {
    pub name: String,
    pub target: String,
    /// The names of all its targets.
    pub targets: Vec<String>,
    /// The workspace that the bundle itself names, if it does.
    pub host: Option<String>,
    pub root_path: String,
    pub file_path: String,
    pub artifact_path: String,
    pub state_path: String,
    pub resource_path: String,
    pub artifacts: Vec<Artifact>,
    pub sync: Sync,
    /// Who may use the bundle's folders, beside those who deploy it.
    pub folder_permissions: Vec<Value>,
    /// What it asks for that the CLI alone does, by its places in the files.
    pub foreign: Vec<String>,
    /// The values of the variables.
    pub variables: BTreeMap<String, Value>,
    /// `jobs.train` and its settings, in the order of the files.
    pub resources: BTreeMap<String, Resource>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Resource {
    pub kind: Kind,
    pub settings: Value,
    /// Names of other resources' fields that the settings were written with.
    pub references: Vec<String>,
}

impl Resource {
    /// The keys of the resources that this one was written with: `jobs.train`.
    pub fn needs(&self) -> impl Iterator<Item = String> + '_ {
        self.references.iter().filter_map(|name| plan::needed(name))
    }
}

impl Bundle {
    /// Fills in the file names of wheels once they are built.
    pub fn name_wheels(&mut self, built: &[String]) -> Result<(), BundleError> {
        paths::name_wheels(self, built)
    }

    /// The whole bundle as one value: what `validate` shows.
    pub fn shown(&self) -> Value {
        let mut resources = serde_json::Map::new();
        for (key, resource) in &self.resources {
            let child = key.strip_suffix(".permissions").or(key.strip_suffix(".grants"));
            // Rights are shown where they were written.
            if let Some(parent) = child.and_then(|parent| resources.get_mut(parent)) {
                parent[resource.kind.as_str()] = resource.settings["__embed__"].clone();
            } else {
                resources.insert(key.clone(), resource.settings.clone());
            }
        }
        serde_json::json!({
            "bundle": { "name": self.name, "target": self.target },
            "workspace": {
                "root_path": self.root_path,
                "file_path": self.file_path,
                "artifact_path": self.artifact_path,
                "state_path": self.state_path,
            },
            "resources": resources,
        })
    }
}

#[cfg(test)]
mod tests;
