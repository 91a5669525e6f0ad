//! `deploy`: which changes of a deployment may be made.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

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

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Deploy {
    pub engine: DeployEngine,
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
