//! Runs: metrics, parameters, tags, and what was used and made.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::experiments::Experiment;
use super::filter::Filter;
use super::{entries, map_of};
use crate::local::error::{Answer, ApiFault};
use crate::local::input::{Input, page_answer};
use crate::local::{Shared, USER, Workspace};
use crate::sys::{clock, fs};

const KIND: &str = "run";

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Run {
    run_id: String,
    experiment_id: String,
    run_name: String,
    status: String,
    start_time: i64,
    end_time: Option<i64>,
    lifecycle_stage: String,
    artifact_uri: String,
    /// Every logged value in the order it came.
    metrics: Vec<Value>,
    params: BTreeMap<String, String>,
    tags: BTreeMap<String, String>,
    #[serde(default)]
    dataset_inputs: Vec<Value>,
    #[serde(default)]
    model_inputs: Vec<Value>,
    #[serde(default)]
    model_outputs: Vec<Value>,
}

impl Run {
    fn info(&self) -> Value {
        json!({
            "run_id": self.run_id,
            "run_uuid": self.run_id,
            "run_name": self.run_name,
            "experiment_id": self.experiment_id,
            "user_id": USER,
            "status": self.status,
            "start_time": self.start_time,
            "end_time": self.end_time,
            "artifact_uri": self.artifact_uri,
            "lifecycle_stage": self.lifecycle_stage,
        })
    }

    /// The newest value of each metric: by step, then time.
    fn latest(&self) -> BTreeMap<&str, &Value> {
        let order = |metric: &Value| {
            (metric["step"].as_i64().unwrap_or(0), metric["timestamp"].as_i64().unwrap_or(0))
        };
        let mut latest = BTreeMap::<&str, &Value>::new();
        for metric in &self.metrics {
            let key = metric["key"].as_str().unwrap_or_default();
            let newer = latest.get(key).is_none_or(|known| order(known) <= order(metric));
            if newer {
                latest.insert(key, metric);
            }
        }
        latest
    }

    fn shown(&self) -> Value {
        json!({
            "info": self.info(),
            "data": {
                "metrics": self.latest().into_values().collect::<Vec<_>>(),
                "params": entries(&self.params),
                "tags": entries(&self.tags),
            },
            "inputs": { "dataset_inputs": self.dataset_inputs, "model_inputs": self.model_inputs },
            "outputs": { "model_outputs": self.model_outputs },
        })
    }

    fn field(&self, field: &str, key: &str) -> Option<Value> {
        match field {
            "metrics" => Some(self.latest().get(key)?["value"].clone()),
            "params" => self.params.get(key).map(|value| Value::from(value.as_str())),
            "tags" => self.tags.get(key).map(|value| Value::from(value.as_str())),
            _ => match key {
                "run_id" | "status" | "artifact_uri" | "start_time" | "end_time" => {
                    Some(self.info()[key].clone())
                }
                "run_name" | "Run name" => Some(Value::from(self.run_name.as_str())),
                "created" => Some(Value::from(self.start_time)),
                _ => None,
            },
        }
    }

    fn add_metric(&mut self, metric: &Value) -> Answer<()> {
        let value = &metric["value"];
        let is_number =
            value.is_number() || matches!(value.as_str(), Some("NaN" | "Infinity" | "-Infinity"));
        let key = metric["key"].as_str().filter(|key| !key.is_empty());
        let Some(key) = key.filter(|_| is_number) else {
            return Err(ApiFault::invalid("a metric needs a key and a number"));
        };
        let whole = |name: &str| match &metric[name] {
            Value::String(text) => text.parse().unwrap_or(0),
            other => other.as_i64().unwrap_or(0),
        };
        let mut kept = json!({ "key": key, "value": value, "timestamp": whole("timestamp"), "step": whole("step") });
        for field in ["model_id", "dataset_name", "dataset_digest"] {
            if let Some(value) = metric[field].as_str() {
                kept[field] = json!(value);
            }
        }
        self.metrics.push(kept);
        Ok(())
    }

    fn add_param(&mut self, key: &str, value: &str) -> Answer<()> {
        match self.params.get(key) {
            Some(old) if old != value => Err(ApiFault::invalid(format!(
                "Changing param values is not allowed. Param with key='{key}' was already logged with value='{old}'"
            ))),
            _ => {
                self.params.insert(key.to_owned(), value.to_owned());
                Ok(())
            }
        }
    }
}

pub(super) fn routes() -> Router<Shared> {
    let at = |verb: &str| format!("/api/2.0/mlflow/runs/{verb}");
    Router::new()
        .route(&at("create"), post(create))
        .route(&at("get"), get(read))
        .route(&at("update"), post(update))
        .route(&at("search"), post(search))
        .route(&at("delete"), post(delete))
        .route(&at("restore"), post(restore))
        .route(&at("log-metric"), post(log_metric))
        .route(&at("log-parameter"), post(log_param))
        .route(&at("set-tag"), post(set_tag))
        .route(&at("delete-tag"), post(delete_tag))
        .route(&at("log-batch"), post(log_batch))
        .route(&at("log-inputs"), post(log_inputs))
        .route(&at("outputs"), post(log_outputs))
        .route(&at("log-model"), post(|| async { Json(json!({})) }))
        .route("/api/2.0/mlflow/metrics/get-history", get(metric_history))
        .route("/api/2.0/mlflow/artifacts/list", get(list_artifacts))
}

fn absent(id: &str) -> ApiFault {
    ApiFault::missing(format!("Run '{id}' not found"))
}

fn run_id(input: &Input) -> Answer<&str> {
    input.text_opt("run_id").map_or_else(|| input.text("run_uuid"), Ok)
}

impl Workspace {
    pub(super) fn tracked_run(&self, id: &str) -> Answer<Run> {
        self.store.get(KIND, id)?.ok_or_else(|| absent(id))
    }

    fn change_tracked_run(
        &self,
        id: &str,
        change: impl FnOnce(&mut Run) -> Answer<()>,
    ) -> Answer<Run> {
        self.store.write(|transaction| {
            let mut run: Run = transaction.get(KIND, id)?.ok_or_else(|| absent(id))?;
            change(&mut run)?;
            transaction.put(KIND, id, &run)?;
            Ok(run)
        })
    }

    fn log(
        &self,
        input: &Input,
        change: impl FnOnce(&mut Run) -> Answer<()>,
    ) -> Answer<Json<Value>> {
        self.change_tracked_run(run_id(input)?, |run| {
            if run.lifecycle_stage != "active" {
                return Err(ApiFault::state(format!(
                    "The run {} must be in the 'active' state",
                    run.run_id
                )));
            }
            change(run)
        })?;
        Ok(Json(json!({})))
    }
}

async fn create(State(workspace): State<Shared>, input: Input) -> Answer<Json<Value>> {
    let experiment: Experiment = workspace.experiment(input.text("experiment_id")?)?;
    let run_id = uuid::Uuid::new_v4().simple().to_string();
    let mut tags = map_of(&input.list("tags"));
    let named = input
        .text_opt("run_name")
        .map(str::to_owned)
        .or_else(|| tags.get("mlflow.runName").cloned());
    let run_name = named.unwrap_or_else(|| format!("run-{}", &run_id[..8]));
    tags.insert("mlflow.runName".into(), run_name.clone());
    tags.insert("mlflow.user".into(), USER.into());
    let run = Run {
        artifact_uri: format!("{}/{run_id}/artifacts", experiment.artifact_location()),
        experiment_id: experiment.experiment_id,
        run_name,
        status: "RUNNING".into(),
        start_time: input.int_opt("start_time").unwrap_or_else(clock::now_ms),
        end_time: None,
        lifecycle_stage: "active".into(),
        metrics: Vec::new(),
        params: BTreeMap::new(),
        tags,
        dataset_inputs: Vec::new(),
        model_inputs: Vec::new(),
        model_outputs: Vec::new(),
        run_id,
    };
    workspace.store.put(KIND, &run.run_id, &run)?;
    Ok(Json(json!({ "run": run.shown() })))
}

async fn read(State(workspace): State<Shared>, input: Input) -> Answer<Json<Value>> {
    Ok(Json(json!({ "run": workspace.tracked_run(run_id(&input)?)?.shown() })))
}

async fn update(State(workspace): State<Shared>, input: Input) -> Answer<Json<Value>> {
    let run = workspace.change_tracked_run(run_id(&input)?, |run| {
        if let Some(status) = input.text_opt("status") {
            status.clone_into(&mut run.status);
        }
        if let Some(end) = input.int_opt("end_time") {
            run.end_time = Some(end);
        }
        if let Some(name) = input.text_opt("run_name") {
            name.clone_into(&mut run.run_name);
            run.tags.insert("mlflow.runName".into(), name.into());
        }
        Ok(())
    })?;
    Ok(Json(json!({ "run_info": run.info() })))
}

async fn delete(State(workspace): State<Shared>, input: Input) -> Answer<Json<Value>> {
    workspace.change_tracked_run(run_id(&input)?, |run| {
        run.lifecycle_stage = "deleted".into();
        Ok(())
    })?;
    Ok(Json(json!({})))
}

async fn restore(State(workspace): State<Shared>, input: Input) -> Answer<Json<Value>> {
    workspace.change_tracked_run(run_id(&input)?, |run| {
        run.lifecycle_stage = "active".into();
        Ok(())
    })?;
    Ok(Json(json!({})))
}

async fn log_metric(State(workspace): State<Shared>, input: Input) -> Answer<Json<Value>> {
    workspace.log(&input, |run| run.add_metric(&Value::Object(input.0.clone())))
}

async fn log_param(State(workspace): State<Shared>, input: Input) -> Answer<Json<Value>> {
    let (key, value) = (input.text("key")?, input.text_opt("value").unwrap_or_default());
    workspace.log(&input, |run| run.add_param(key, value))
}

async fn set_tag(State(workspace): State<Shared>, input: Input) -> Answer<Json<Value>> {
    let (key, value) = (input.text("key")?, input.text_opt("value").unwrap_or_default());
    workspace.log(&input, |run| {
        run.tags.insert(key.into(), value.into());
        Ok(())
    })
}

async fn delete_tag(State(workspace): State<Shared>, input: Input) -> Answer<Json<Value>> {
    let key = input.text("key")?;
    workspace.log(&input, |run| match run.tags.remove(key) {
        Some(_) => Ok(()),
        None => {
            Err(ApiFault::missing(format!("No tag with name: {key} in run with id {}", run.run_id)))
        }
    })
}

/// All of the batch or nothing of it.
async fn log_batch(State(workspace): State<Shared>, input: Input) -> Answer<Json<Value>> {
    workspace.log(&input, |run| {
        for metric in input.list("metrics") {
            run.add_metric(&metric)?;
        }
        for (key, value) in map_of(&input.list("params")) {
            run.add_param(&key, &value)?;
        }
        run.tags.extend(map_of(&input.list("tags")));
        Ok(())
    })
}

async fn log_inputs(State(workspace): State<Shared>, input: Input) -> Answer<Json<Value>> {
    workspace.log(&input, |run| {
        run.dataset_inputs.extend(input.list("datasets"));
        run.model_inputs.extend(input.list("models"));
        Ok(())
    })
}

async fn log_outputs(State(workspace): State<Shared>, input: Input) -> Answer<Json<Value>> {
    workspace.log(&input, |run| {
        run.model_outputs.extend(input.list("models"));
        Ok(())
    })
}

async fn search(State(workspace): State<Shared>, input: Input) -> Answer<Json<Value>> {
    let experiments: Vec<String> = input
        .list("experiment_ids")
        .iter()
        .filter_map(|id| id.as_str().map(str::to_owned))
        .collect();
    let view = input.text_opt("run_view_type").unwrap_or("ACTIVE_ONLY");
    let filter = Filter::parse(input.text_opt("filter").unwrap_or_default())?;
    let all: Vec<Run> = workspace.store.list(KIND, "")?;
    let mut found: Vec<_> = all
        .into_iter()
        .filter(|run| experiments.contains(&run.experiment_id))
        .filter(|run| match view {
            "ALL" => true,
            "DELETED_ONLY" => run.lifecycle_stage == "deleted",
            _ => run.lifecycle_stage == "active",
        })
        .filter(|run| filter.matches(&|field, key| run.field(field, key)))
        .collect();
    found.sort_by(|a, b| b.start_time.cmp(&a.start_time).then_with(|| a.run_id.cmp(&b.run_id)));
    // The last key is the least: sorting is stable, so it goes first.
    for order in input.list("order_by").iter().rev().filter_map(Value::as_str) {
        sort_runs(&mut found, order);
    }
    Ok(page_answer(&input, "runs", found.iter().map(Run::shown).collect(), "max_results", 1000))
}

/// `metrics.auc DESC`; runs without the value come last.
fn sort_runs(runs: &mut [Run], order: &str) {
    let (name, descending) = match order.rsplit_once(' ') {
        Some((name, "DESC" | "desc")) => (name, true),
        Some((name, "ASC" | "asc")) => (name, false),
        _ => (order, false),
    };
    let (field, key) = name.trim().split_once('.').unwrap_or(("attributes", name.trim()));
    let key = key.trim_matches('`');
    runs.sort_by(|a, b| {
        let (a, b) = (a.field(field, key), b.field(field, key));
        let ordering = match (&a, &b) {
            (Some(Value::Number(a)), Some(Value::Number(b))) => {
                a.as_f64().partial_cmp(&b.as_f64()).unwrap_or(std::cmp::Ordering::Equal)
            }
            (Some(a), Some(b)) => a.to_string().cmp(&b.to_string()),
            (a, b) => return b.is_some().cmp(&a.is_some()),
        };
        if descending { ordering.reverse() } else { ordering }
    });
}

async fn metric_history(State(workspace): State<Shared>, input: Input) -> Answer<Json<Value>> {
    let run = workspace.tracked_run(run_id(&input)?)?;
    let key = input.text("metric_key")?;
    let history = run.metrics.iter().filter(|metric| metric["key"] == key).cloned().collect();
    Ok(page_answer(&input, "metrics", history, "max_results", 25_000))
}

async fn list_artifacts(State(workspace): State<Shared>, input: Input) -> Answer<Json<Value>> {
    let run = workspace.tracked_run(run_id(&input)?)?;
    let path = input.text_opt("path").unwrap_or_default();
    let root = format!(
        "WorkspaceInternal/Mlflow/Artifacts/{}/Runs/{}/artifacts/{path}",
        run.experiment_id, run.run_id
    );
    let mut files = Vec::new();
    for (name, folder, size) in fs::entries(workspace.file_path(&root)?)?.unwrap_or_default() {
        let path = if path.is_empty() { name } else { format!("{path}/{name}") };
        files.push(if folder {
            json!({ "path": path, "is_dir": true })
        } else {
            json!({ "path": path, "is_dir": false, "file_size": size })
        });
    }
    Ok(Json(json!({ "root_uri": run.artifact_uri, "files": files })))
}
