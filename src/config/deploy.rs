//! `deploy`: which changes of a deployment may be made.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::names::Sha256;

/// Who carries a deployment out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DeployEngine {
    /// Whoever deployed last; else the official CLI on a real workspace where it
    /// is installed, and Lakegate everywhere else.
    #[default]
    Auto,
    /// The official `databricks` CLI.
    Cli,
    /// Lakegate itself.
    Native,
}

/// The official CLI that deploys: these bytes and no others, also where another one
/// is installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeployCli {
    /// `1.22.1`
    pub version: String,
    /// The sha256 of `databricks_cli_VERSION_PLATFORM.tar.gz`, by platform, as the
    /// CLI's release lists it: `linux_amd64: 8f…`
    pub sha256: BTreeMap<String, String>,
    /// Where the archives lie: an address, or a folder of the runner (default: the
    /// CLI's own releases on GitHub).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Deploy {
    pub engine: DeployEngine,
    /// The official CLI that is fetched for it (default: the one on the PATH).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cli: Option<DeployCli>,
    /// Names that this repository had: their deployments are its own. Those of any
    /// other repository are left alone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub renamed_from: Vec<String>,
    /// What holds for every target.
    pub policy: DeployPolicy,
    /// What holds for a target instead, field by field.
    pub targets: BTreeMap<String, DeployPolicy>,
}

/// What a plan must keep to.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DeployPolicy {
    /// Kinds that `--allow-destroy` lets go (default: those without data of
    /// their own). Others are named one by one, with `--destroy KEY`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub may_delete: Option<Vec<String>>,
    /// Resources that one deployment may create, update, recreate or delete.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_changes: Option<usize>,
    /// Resources that one deployment may recreate or delete.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_destroys: Option<usize>,
    /// Tags that jobs, pipelines and endpoints must have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub required_tags: Option<Vec<String>>,
    /// Jobs and pipelines must say who they run as.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_as: Option<bool>,
    /// Clusters must name a cluster policy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster_policy: Option<bool>,
    /// Schedules, triggers and continuous runs must be paused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused: Option<bool>,
    /// Values that no resource may have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forbid: Option<Vec<Forbid>>,
}

/// A value that no resource may have.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Forbid {
    /// `jobs`; every kind where left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// A field, `tasks.new_cluster.num_workers`; lists are looked through.
    pub field: String,
    /// These values; without them and `above`, the field itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<Value>,
    /// Numbers above this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub above: Option<f64>,
    /// Why, for those who meet it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Deploy {
    /// The policy of a target.
    pub fn policy_of(&self, target: &str) -> DeployPolicy {
        let base = self.policy.clone();
        let Some(own) = self.targets.get(target).cloned() else { return base };
        DeployPolicy {
            may_delete: own.may_delete.or(base.may_delete),
            max_changes: own.max_changes.or(base.max_changes),
            max_destroys: own.max_destroys.or(base.max_destroys),
            required_tags: own.required_tags.or(base.required_tags),
            run_as: own.run_as.or(base.run_as),
            cluster_policy: own.cluster_policy.or(base.cluster_policy),
            paused: own.paused.or(base.paused),
            forbid: own.forbid.or(base.forbid),
        }
    }

    pub(super) fn check(&self) -> Result<(), String> {
        self.cli.iter().try_for_each(DeployCli::check)?;
        let policies = std::iter::once(("policy".to_owned(), &self.policy))
            .chain(self.targets.iter().map(|(name, policy)| (format!("targets.{name}"), policy)));
        for (place, policy) in policies {
            let kinds = policy.may_delete.iter().flatten();
            let kinds =
                kinds.chain(policy.forbid.iter().flatten().filter_map(|rule| rule.kind.as_ref()));
            for kind in kinds {
                if !KINDS.contains(&kind.as_str()) {
                    return Err(format!(
                        "`{place}`: `{kind}` is no kind of resource; known: {}",
                        KINDS.join(", ")
                    ));
                }
            }
            let mut rules = policy.forbid.iter().flatten();
            if let Some(rule) = rules.find(|rule| rule.field.is_empty()) {
                return Err(format!("`{place}.forbid`: a rule names no field: {rule:?}"));
            }
        }
        Ok(())
    }
}

impl DeployCli {
    fn check(&self) -> Result<(), String> {
        let is_part = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if self.version.split('.').count() != 3 || !self.version.split('.').all(is_part) {
            return Err(format!("`cli.version`: `{}` is no version X.Y.Z", self.version));
        }
        if self.sha256.is_empty() {
            return Err("`cli.sha256` names no platform".to_owned());
        }
        for (platform, digest) in &self.sha256 {
            if !PLATFORMS.contains(&platform.as_str()) {
                let known = PLATFORMS.join(", ");
                return Err(format!("`cli.sha256`: `{platform}` is no platform; known: {known}"));
            }
            let place = |error| format!("`cli.sha256.{platform}`: {error}");
            digest.parse::<Sha256>().map_err(place)?;
        }
        Ok(())
    }
}

/// As the CLI's releases name them.
const PLATFORMS: [&str; 4] = ["linux_amd64", "linux_arm64", "darwin_amd64", "darwin_arm64"];

const KINDS: [&str; 11] = [
    "schemas",
    "volumes",
    "registered_models",
    "experiments",
    "quality_monitors",
    "pipelines",
    "jobs",
    "model_serving_endpoints",
    "dashboards",
    "permissions",
    "grants",
];
