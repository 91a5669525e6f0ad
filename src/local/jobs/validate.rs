//! Whether the embedded workspace can run a job, asked when it is defined.

use std::collections::HashMap;

use serde_json::Value;

use crate::local::error::{Answer, ApiFault};

/// The kinds of tasks that really run here.
pub(super) const KINDS: [&str; 5] =
    ["spark_python_task", "python_wheel_task", "notebook_task", "condition_task", "run_job_task"];

/// Fields of a task that say how it runs, not what.
const COMMON: [&str; 22] = [
    "task_key",
    "description",
    "depends_on",
    "run_if",
    "environment_key",
    "job_cluster_key",
    "new_cluster",
    "libraries",
    "max_retries",
    "min_retry_interval_millis",
    "retry_on_timeout",
    "timeout_seconds",
    "email_notifications",
    "webhook_notifications",
    "notification_settings",
    "disable_auto_optimization",
    "health",
    "compute",
    "disabled",
    "existing_cluster_id",
    "performance_target",
    "run_as",
];

pub(super) fn job(settings: &Value) -> Answer<()> {
    let tasks = settings["tasks"].as_array().map_or(&[][..], Vec::as_slice);
    let mut dependencies = HashMap::new();
    for task in tasks {
        let key = task["task_key"].as_str().filter(|key| !key.is_empty());
        let key = key.ok_or_else(|| ApiFault::invalid("missing required field: task_key"))?;
        check_kind(key, task, settings)?;
        let names = task["depends_on"].as_array().into_iter().flatten();
        let names: Vec<_> =
            names.filter_map(|dependency| dependency["task_key"].as_str()).collect();
        if dependencies.insert(key, names).is_some() {
            return Err(ApiFault::invalid(format!("Task key '{key}' is used twice")));
        }
    }
    for (key, names) in &dependencies {
        if let Some(unknown) = names.iter().find(|name| !dependencies.contains_key(*name)) {
            return Err(ApiFault::invalid(format!(
                "Task '{key}' depends on '{unknown}', which is not in the job"
            )));
        }
    }
    no_cycle(&dependencies)
}

fn check_kind(key: &str, task: &Value, settings: &Value) -> Answer<()> {
    let fields = task.as_object().into_iter().flatten();
    let unknown = fields
        .map(|(name, _)| name.as_str())
        .find(|name| !COMMON.contains(name) && !KINDS.contains(name));
    if let Some(name) = unknown {
        return Err(ApiFault::unsupported(format!("`{name}` (task '{key}')")));
    }
    if task.get("existing_cluster_id").is_some() {
        return Err(ApiFault::unsupported(format!("all-purpose clusters (task '{key}')")));
    }
    let kinds = KINDS.iter().filter(|kind| task.get(**kind).is_some()).count();
    if kinds != 1 {
        return Err(ApiFault::invalid(format!(
            "Task '{key}' must have exactly one kind of work, it has {kinds}"
        )));
    }
    if let Some(name) = task["environment_key"].as_str() {
        let declared = settings["environments"].as_array().into_iter().flatten();
        if !declared.into_iter().any(|environment| environment["environment_key"] == name) {
            return Err(ApiFault::invalid(format!(
                "Task '{key}' uses the environment '{name}', which the job does not declare"
            )));
        }
    }
    Ok(())
}

fn no_cycle(dependencies: &HashMap<&str, Vec<&str>>) -> Answer<()> {
    let mut done: Vec<&str> = Vec::new();
    while done.len() < dependencies.len() {
        let ready: Vec<_> = dependencies
            .iter()
            .filter(|(key, names)| {
                !done.contains(key) && names.iter().all(|name| done.contains(name))
            })
            .map(|(key, _)| *key)
            .collect();
        if ready.is_empty() {
            return Err(ApiFault::invalid("The tasks depend on each other in a cycle"));
        }
        done.extend(ready);
    }
    Ok(())
}
