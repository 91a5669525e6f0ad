//! MLflow 3's logged models: what a run made, before it is registered.

use std::collections::BTreeMap;

use axum::extract::{Path, State};
use axum::routing::{delete, get, patch, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::filter::Filter;
use super::{entries, map_of};
use crate::local::error::{Answer, ApiFault};
use crate::local::input::{Input, page_answer};
use crate::local::{Shared, Workspace};
use crate::sys::clock;

const KIND: &str = "logged_model";

#[derive(Debug, Clone, Serialize, Deserialize)]
struct LoggedModel {
    model_id: String,
    experiment_id: String,
    name: String,
    status: String,
    model_type: Option<String>,
    source_run_id: Option<String>,
    created_at: i64,
    updated_at: i64,
    params: BTreeMap<String, String>,
    tags: BTreeMap<String, String>,
    /// `name` and `version` of the registered versions made from it.
    #[serde(default)]
    registrations: Vec<Value>,
}

impl LoggedModel {
    fn shown(&self) -> Value {
        json!({
            "info": {
                "model_id": self.model_id,
                "experiment_id": self.experiment_id,
                "name": self.name,
                "creation_timestamp_ms": self.created_at,
                "last_updated_timestamp_ms": self.updated_at,
                "artifact_uri": format!(
                    "dbfs:/databricks/mlflow-tracking/{}/logged_models/{}/artifacts",
                    self.experiment_id, self.model_id
                ),
                "status": self.status,
                "model_type": self.model_type,
                "source_run_id": self.source_run_id,
                "tags": entries(&self.tags),
                "registrations": self.registrations,
            },
            "data": { "params": entries(&self.params), "metrics": [] },
        })
    }
}

pub(super) fn routes() -> Router<Shared> {
    let all = "/api/2.0/mlflow/logged-models";
    Router::new()
        .route(all, post(create))
        .route(&format!("{all}/search"), post(search))
        .route(&format!("{all}/{{id}}"), get(read).patch(finalize).delete(remove))
        .route(&format!("{all}/{{id}}/params"), post(log_params))
        .route(&format!("{all}/{{id}}/tags"), patch(set_tags))
        .route(&format!("{all}/{{id}}/tags/{{key}}"), delete(delete_tag))
}

impl Workspace {
    fn change_logged_model(
        &self,
        id: &str,
        change: impl FnOnce(&mut LoggedModel),
    ) -> Answer<LoggedModel> {
        self.store.write(|transaction| {
            let mut model: LoggedModel = transaction.get(KIND, id)?.ok_or_else(|| absent(id))?;
            change(&mut model);
            model.updated_at = clock::now_ms();
            transaction.put(KIND, id, &model)?;
            Ok(model)
        })
    }
}

fn absent(id: &str) -> ApiFault {
    ApiFault::missing(format!("Logged model '{id}' not found"))
}

async fn create(State(workspace): State<Shared>, input: Input) -> Answer<Json<Value>> {
    let experiment = workspace.experiment(input.text("experiment_id")?)?;
    let now = clock::now_ms();
    let model = LoggedModel {
        model_id: format!("m-{}", uuid::Uuid::new_v4().simple()),
        experiment_id: experiment.experiment_id,
        name: input.text_opt("name").unwrap_or("model").to_owned(),
        status: "LOGGED_MODEL_PENDING".into(),
        model_type: input.text_opt("model_type").map(str::to_owned),
        source_run_id: input.text_opt("source_run_id").map(str::to_owned),
        created_at: now,
        updated_at: now,
        params: map_of(&input.list("params")),
        tags: map_of(&input.list("tags")),
        registrations: Vec::new(),
    };
    workspace.store.put(KIND, &model.model_id, &model)?;
    Ok(Json(json!({ "model": model.shown() })))
}

async fn read(State(workspace): State<Shared>, Path(id): Path<String>) -> Answer<Json<Value>> {
    let model: LoggedModel = workspace.store.get(KIND, &id)?.ok_or_else(|| absent(&id))?;
    Ok(Json(json!({ "model": model.shown() })))
}

async fn finalize(
    State(workspace): State<Shared>,
    Path(id): Path<String>,
    input: Input,
) -> Answer<Json<Value>> {
    let status = input.text("status")?.to_owned();
    let model = workspace.change_logged_model(&id, |model| model.status = status)?;
    Ok(Json(json!({ "model": model.shown() })))
}

async fn remove(State(workspace): State<Shared>, Path(id): Path<String>) -> Answer<Json<Value>> {
    let found = workspace.store.write(|transaction| transaction.delete(KIND, &id))?;
    if found { Ok(Json(json!({}))) } else { Err(absent(&id)) }
}

async fn log_params(
    State(workspace): State<Shared>,
    Path(id): Path<String>,
    input: Input,
) -> Answer<Json<Value>> {
    workspace
        .change_logged_model(&id, |model| model.params.extend(map_of(&input.list("params"))))?;
    Ok(Json(json!({})))
}

async fn set_tags(
    State(workspace): State<Shared>,
    Path(id): Path<String>,
    input: Input,
) -> Answer<Json<Value>> {
    let model = workspace
        .change_logged_model(&id, |model| model.tags.extend(map_of(&input.list("tags"))))?;
    Ok(Json(json!({ "model": model.shown() })))
}

async fn delete_tag(
    State(workspace): State<Shared>,
    Path((id, key)): Path<(String, String)>,
) -> Answer<Json<Value>> {
    workspace.change_logged_model(&id, |model| {
        model.tags.remove(&key);
    })?;
    Ok(Json(json!({})))
}

async fn search(State(workspace): State<Shared>, input: Input) -> Answer<Json<Value>> {
    let experiments = input.list("experiment_ids");
    let filter = Filter::parse(input.text_opt("filter").unwrap_or_default())?;
    let all: Vec<LoggedModel> = workspace.store.list(KIND, "")?;
    let mut found: Vec<_> = all
        .into_iter()
        .filter(|model| experiments.iter().any(|id| id == &model.experiment_id))
        .filter(|model| {
            filter.matches(&|field, key| match (field, key) {
                ("params", key) => model.params.get(key).map(|value| Value::from(value.as_str())),
                ("tags", key) => model.tags.get(key).map(|value| Value::from(value.as_str())),
                (_, "name") => Some(Value::from(model.name.as_str())),
                (_, "model_id") => Some(Value::from(model.model_id.as_str())),
                (_, "source_run_id") => model.source_run_id.as_deref().map(Value::from),
                (_, "status") => {
                    Some(Value::from(model.status.trim_start_matches("LOGGED_MODEL_")))
                }
                _ => None,
            })
        })
        .collect();
    found.sort_by_key(|model| std::cmp::Reverse(model.created_at));
    Ok(page_answer(
        &input,
        "models",
        found.iter().map(LoggedModel::shown).collect(),
        "max_results",
        50,
    ))
}
