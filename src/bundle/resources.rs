//! The kinds of resources, and which fields each may have.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::BundleError;
use crate::names::near;

/// A kind of resource, in the order in which they must exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Schemas,
    Volumes,
    RegisteredModels,
    Experiments,
    Jobs,
}

impl Kind {
    pub const ALL: [Self; 5] =
        [Self::Schemas, Self::Volumes, Self::RegisteredModels, Self::Experiments, Self::Jobs];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Schemas => "schemas",
            Self::Volumes => "volumes",
            Self::RegisteredModels => "registered_models",
            Self::Experiments => "experiments",
            Self::Jobs => "jobs",
        }
    }

    pub(super) fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// The resource's own id among its settings: what makes another resource
    /// of it when it changes.
    pub(super) fn identity(self) -> &'static [&'static str] {
        match self {
            Self::Schemas => &["catalog_name", "name"],
            Self::Volumes | Self::RegisteredModels => &["catalog_name", "schema_name", "name"],
            Self::Experiments | Self::Jobs => &[],
        }
    }

    fn fields(self) -> &'static [&'static str] {
        match self {
            Self::Schemas => {
                &["name", "catalog_name", "comment", "properties", "storage_root", "lifecycle"]
            }
            Self::Volumes => &[
                "name",
                "catalog_name",
                "schema_name",
                "volume_type",
                "comment",
                "storage_location",
                "lifecycle",
            ],
            Self::RegisteredModels => {
                &["name", "catalog_name", "schema_name", "comment", "storage_location", "lifecycle"]
            }
            Self::Experiments => &["name", "artifact_location", "tags", "permissions", "lifecycle"],
            Self::Jobs => &[
                "name",
                "description",
                "tasks",
                "job_clusters",
                "environments",
                "parameters",
                "schedule",
                "trigger",
                "continuous",
                "queue",
                "tags",
                "timeout_seconds",
                "max_concurrent_runs",
                "email_notifications",
                "webhook_notifications",
                "notification_settings",
                "health",
                "run_as",
                "permissions",
                "lifecycle",
                "edit_mode",
                "format",
                "performance_target",
                "budget_policy_id",
            ],
        }
    }

    fn required(self) -> &'static [&'static str] {
        match self {
            Self::Schemas => &["name", "catalog_name"],
            Self::Volumes | Self::RegisteredModels => &["name", "catalog_name", "schema_name"],
            Self::Experiments | Self::Jobs => &["name"],
        }
    }
}

/// Kinds that bundles have and this does not deploy yet.
const LATER: [&str; 20] = [
    "pipelines",
    "models",
    "model_serving_endpoints",
    "quality_monitors",
    "catalogs",
    "clusters",
    "dashboards",
    "alerts",
    "apps",
    "sql_warehouses",
    "secret_scopes",
    "secrets",
    "vector_search_endpoints",
    "vector_search_indexes",
    "genie_spaces",
    "database_instances",
    "synced_database_tables",
    "external_locations",
    "instance_pools",
    "job_runs",
];

pub(super) fn kind(file: &str, name: &str) -> Result<Kind, BundleError> {
    if let Some(kind) = Kind::parse(name) {
        return Ok(kind);
    }
    let known = Kind::ALL.map(Kind::as_str);
    if LATER.contains(&name) {
        let message = format!("resources.{name}: this kind is not deployed natively yet");
        return Err(
            BundleError::new(file, message).hint(format!("deployed kinds: {}", known.join(", ")))
        );
    }
    let error =
        BundleError::new(file, format!("resources.{name}: there is no such kind of resource"));
    Err(did_you_mean(error, name, &known))
}

pub(super) fn did_you_mean(error: BundleError, given: &str, known: &[&str]) -> BundleError {
    match near(given, known.iter().copied())[..] {
        [best, ..] => error.hint(format!("did you mean `{best}`?")),
        [] => error.hint(format!("known: {}", known.join(", "))),
    }
}

/// Unknown and missing fields are told by name.
pub(super) fn check(
    file: &str,
    key: &str,
    kind: Kind,
    settings: &Value,
) -> Result<(), BundleError> {
    let Some(fields) = settings.as_object() else {
        return Err(BundleError::new(file, format!("resources.{key}: it must be a map")));
    };
    if let Some(unknown) = fields.keys().find(|name| !kind.fields().contains(&name.as_str())) {
        let error =
            BundleError::new(file, format!("resources.{key}.{unknown}: there is no such field"));
        return Err(did_you_mean(error, unknown, kind.fields()));
    }
    let is_missing =
        |name: &&&str| fields.get(**name).is_none_or(|value| value.is_null() || value == "");
    if let Some(missing) = kind.required().iter().find(is_missing) {
        return Err(BundleError::new(file, format!("resources.{key}: `{missing}` is missing")));
    }
    Ok(())
}
