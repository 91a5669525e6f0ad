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
    QualityMonitors,
    Pipelines,
    Jobs,
    ModelServingEndpoints,
    Dashboards,
    /// Of another resource, which it follows.
    Permissions,
    /// Of another resource, which it follows.
    Grants,
}

/// What there is to know about a kind.
struct Facts {
    name: &'static str,
    fields: &'static [&'static str],
    required: &'static [&'static str],
    /// What makes another resource of it when it changes.
    identity: &'static [&'static str],
    /// The word for its permissions.
    object: Option<&'static str>,
    /// The word for its grants.
    securable: Option<&'static str>,
}

const CHILD: Facts =
    Facts { name: "", fields: &[], required: &[], identity: &[], object: None, securable: None };

impl Kind {
    /// Those that a bundle declares.
    pub const DECLARED: [Self; 9] = [
        Self::Schemas,
        Self::Volumes,
        Self::RegisteredModels,
        Self::Experiments,
        Self::QualityMonitors,
        Self::Pipelines,
        Self::Jobs,
        Self::ModelServingEndpoints,
        Self::Dashboards,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Permissions => "permissions",
            Self::Grants => "grants",
            kind => kind.facts().name,
        }
    }

    pub(super) fn parse(name: &str) -> Option<Self> {
        Self::DECLARED.into_iter().find(|kind| kind.as_str() == name)
    }

    /// The kind of a deployed resource by its key, `jobs.train.permissions`.
    pub fn of_key(key: &str) -> Option<Self> {
        let parts: Vec<&str> = key.split('.').collect();
        match parts[..] {
            [kind, _] => Self::parse(kind),
            [_, _, "permissions"] => Some(Self::Permissions),
            [_, _, "grants"] => Some(Self::Grants),
            _ => None,
        }
    }

    /// The fields that are its own; none are known of rights.
    pub fn fields(self) -> &'static [&'static str] {
        self.facts().fields
    }

    /// The path of its permissions, such as `jobs`.
    pub(super) fn object(self) -> Option<&'static str> {
        self.facts().object
    }

    pub(super) fn securable(self) -> Option<&'static str> {
        self.facts().securable
    }

    pub(super) fn identity(self) -> &'static [&'static str] {
        match self {
            Self::Permissions => &["object_id"],
            Self::Grants => &["full_name"],
            kind => kind.facts().identity,
        }
    }

    /// Whether deleting it takes data with it that nothing brings back.
    pub fn holds_data(self) -> bool {
        matches!(
            self,
            Self::Schemas
                | Self::Volumes
                | Self::RegisteredModels
                | Self::Experiments
                | Self::ModelServingEndpoints
        )
    }

    fn facts(self) -> &'static Facts {
        match self {
            Self::Schemas => &SCHEMAS,
            Self::Volumes => &VOLUMES,
            Self::RegisteredModels => &REGISTERED_MODELS,
            Self::Experiments => &EXPERIMENTS,
            Self::QualityMonitors => &QUALITY_MONITORS,
            Self::Pipelines => &PIPELINES,
            Self::Jobs => &JOBS,
            Self::ModelServingEndpoints => &ENDPOINTS,
            Self::Dashboards => &DASHBOARDS,
            Self::Permissions | Self::Grants => &CHILD,
        }
    }

    /// Whether a bundle may write this with it.
    pub fn allows(self, field: &str) -> bool {
        let facts = self.facts();
        facts.fields.contains(&field)
            || field == "lifecycle"
            || field == "permissions" && facts.object.is_some()
            || field == "grants" && facts.securable.is_some()
    }
}

const SCHEMAS: Facts = Facts {
    name: "schemas",
    fields: &["name", "catalog_name", "comment", "properties", "storage_root"],
    required: &["name", "catalog_name"],
    identity: &["catalog_name", "name", "storage_root"],
    securable: Some("schema"),
    ..CHILD
};

const VOLUMES: Facts = Facts {
    name: "volumes",
    fields: &["name", "catalog_name", "schema_name", "volume_type", "comment", "storage_location"],
    required: &["name", "catalog_name", "schema_name"],
    identity: &["catalog_name", "schema_name", "name", "volume_type", "storage_location"],
    securable: Some("volume"),
    ..CHILD
};

const REGISTERED_MODELS: Facts = Facts {
    name: "registered_models",
    fields: &["name", "catalog_name", "schema_name", "comment", "storage_location"],
    required: &["name", "catalog_name", "schema_name"],
    identity: &["catalog_name", "schema_name", "name", "storage_location"],
    // The service takes models for functions.
    securable: Some("function"),
    ..CHILD
};

const EXPERIMENTS: Facts = Facts {
    name: "experiments",
    fields: &["name", "artifact_location", "tags"],
    required: &["name"],
    identity: &["artifact_location"],
    object: Some("experiments"),
    ..CHILD
};

const QUALITY_MONITORS: Facts = Facts {
    name: "quality_monitors",
    fields: &[
        "table_name",
        "assets_dir",
        "output_schema_name",
        "baseline_table_name",
        "custom_metrics",
        "data_classification_config",
        "inference_log",
        "notifications",
        "schedule",
        "skip_builtin_dashboard",
        "slicing_exprs",
        "snapshot",
        "time_series",
        "warehouse_id",
    ],
    required: &["table_name", "assets_dir", "output_schema_name"],
    identity: &["table_name", "assets_dir"],
    ..CHILD
};

const PIPELINES: Facts = Facts {
    name: "pipelines",
    fields: PIPELINE,
    required: &["name"],
    identity: &["storage", "catalog"],
    object: Some("pipelines"),
    ..CHILD
};

const JOBS: Facts =
    Facts { name: "jobs", fields: JOB, required: &["name"], object: Some("jobs"), ..CHILD };

const ENDPOINTS: Facts = Facts {
    name: "model_serving_endpoints",
    fields: &[
        "name",
        "config",
        "ai_gateway",
        "budget_policy_id",
        "description",
        "email_notifications",
        "rate_limits",
        "route_optimized",
        "tags",
    ],
    required: &["name"],
    identity: &["name", "route_optimized", "description"],
    object: Some("serving-endpoints"),
    ..CHILD
};

const DASHBOARDS: Facts = Facts {
    name: "dashboards",
    fields: &[
        "display_name",
        "file_path",
        "warehouse_id",
        "embed_credentials",
        "parent_path",
        "serialized_dashboard",
        "dataset_catalog",
        "dataset_schema",
    ],
    required: &["display_name"],
    identity: &["parent_path"],
    object: Some("dashboards"),
    ..CHILD
};

const PIPELINE: &[&str] = &[
    "name",
    "catalog",
    "schema",
    "target",
    "storage",
    "channel",
    "edition",
    "libraries",
    "clusters",
    "configuration",
    "continuous",
    "development",
    "environment",
    "event_log",
    "filters",
    "gateway_definition",
    "ingestion_definition",
    "notifications",
    "parameters",
    "photon",
    "restart_window",
    "root_path",
    "run_as",
    "serverless",
    "tags",
    "trigger",
    "allow_duplicate_names",
    "budget_policy_id",
];

const JOB: &[&str] = &[
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
    "edit_mode",
    "format",
    "performance_target",
    "budget_policy_id",
    "git_source",
];

/// Kinds that bundles have and the CLI alone deploys.
const FOREIGN: [&str; 16] = [
    "models",
    "catalogs",
    "clusters",
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

/// A kind by its name; nothing where the CLI alone deploys it.
pub(super) fn kind(file: &str, name: &str) -> Result<Option<Kind>, BundleError> {
    if let Some(kind) = Kind::parse(name) {
        return Ok(Some(kind));
    }
    if FOREIGN.contains(&name) {
        return Ok(None);
    }
    let known = Kind::DECLARED.map(Kind::as_str);
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
    if let Some(unknown) = fields.keys().find(|name| !kind.allows(name)) {
        let error =
            BundleError::new(file, format!("resources.{key}.{unknown}: there is no such field"));
        return Err(did_you_mean(error, unknown, kind.facts().fields));
    }
    let is_missing =
        |name: &&&str| fields.get(**name).is_none_or(|value| value.is_null() || value == "");
    if let Some(missing) = kind.facts().required.iter().find(is_missing) {
        return Err(BundleError::new(file, format!("resources.{key}: `{missing}` is missing")));
    }
    if kind == Kind::Jobs { check_tasks(file, key, settings) } else { Ok(()) }
}

/// What a task needs a machine for, and how it may name one.
const WORK: [&str; 4] =
    ["spark_python_task", "python_wheel_task", "spark_jar_task", "spark_submit_task"];
const MACHINES: [&str; 4] =
    ["job_cluster_key", "environment_key", "existing_cluster_id", "new_cluster"];

fn check_tasks(file: &str, key: &str, settings: &Value) -> Result<(), BundleError> {
    let keys = |list: &str, field: &str| -> Vec<String> {
        let items = settings[list].as_array().into_iter().flatten();
        items.filter_map(|item| Some(item[field].as_str()?.to_owned())).collect()
    };
    let (clusters, environments) =
        (keys("job_clusters", "job_cluster_key"), keys("environments", "environment_key"));
    let mut seen: Vec<&str> = Vec::new();
    for task in settings["tasks"].as_array().into_iter().flatten() {
        let name = task["task_key"].as_str().unwrap_or_default();
        let wrong = |message: String| BundleError::new(file, format!("resources.{key}: {message}"));
        if name.is_empty() {
            return Err(wrong("a task has no `task_key`".to_owned()));
        }
        if seen.contains(&name) {
            return Err(wrong(format!("task `{name}` is there twice")));
        }
        seen.push(name);
        let works = WORK.iter().any(|field| task.get(*field).is_some());
        if works && MACHINES.iter().all(|field| task.get(*field).is_none()) {
            return Err(wrong(format!("task `{name}` has nothing to run on"))
                .hint(format!("give it one of: {}", MACHINES.join(", "))));
        }
        for (field, known) in [("job_cluster_key", &clusters), ("environment_key", &environments)] {
            if let Some(given) = task[field].as_str().filter(|given| !given.contains("${"))
                && !known.iter().any(|key| key == given)
            {
                let error = wrong(format!(
                    "task `{name}`: `{field}` is `{given}`, which the job does not have"
                ));
                let known: Vec<&str> = known.iter().map(String::as_str).collect();
                return Err(did_you_mean(error, given, &known));
            }
        }
    }
    Ok(())
}
