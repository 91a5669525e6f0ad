//! Experiments: the folders of runs.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::filter::Filter;
use super::{entries, map_of};
use crate::local::error::{Answer, ApiFault};
use crate::local::input::{Input, page_answer};
use crate::local::{Shared, Workspace};
use crate::sys::clock;

const KIND: &str = "experiment";

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Experiment {
    pub(super) experiment_id: String,
    pub(super) name: String,
    lifecycle_stage: String,
    creation_time: i64,
    last_update_time: i64,
    tags: BTreeMap<String, String>,
}

impl Experiment {
    pub(super) fn artifact_location(&self) -> String {
        format!("dbfs:/databricks/mlflow-tracking/{}", self.experiment_id)
    }

    fn shown(&self) -> Value {
        json!({
            "experiment_id": self.experiment_id,
            "name": self.name,
            "artifact_location": self.artifact_location(),
            "lifecycle_stage": self.lifecycle_stage,
            "creation_time": self.creation_time,
            "last_update_time": self.last_update_time,
            "tags": entries(&self.tags),
        })
    }
}

pub(super) fn routes() -> Router<Shared> {
    let at = |verb: &str| format!("/api/2.0/mlflow/experiments/{verb}");
    Router::new()
        .route(&at("create"), post(create))
        .route(&at("get"), get(read))
        .route(&at("get-by-name"), get(by_name))
        .route(&at("list"), get(search))
        .route(&at("search"), get(search).post(search))
        .route(&at("update"), post(rename))
        .route(&at("delete"), post(delete))
        .route(&at("restore"), post(restore))
        .route(&at("set-experiment-tag"), post(set_tag))
}

fn absent(id: &str) -> ApiFault {
    ApiFault::missing(format!("Could not find experiment with ID {id}"))
}

impl Workspace {
    pub(super) fn experiment(&self, id: &str) -> Answer<Experiment> {
        self.store.get(KIND, id)?.ok_or_else(|| absent(id))
    }

    fn change_experiment(
        &self,
        id: &str,
        change: impl FnOnce(&mut Experiment),
    ) -> Answer<Json<Value>> {
        self.store.write(|transaction| {
            let mut experiment: Experiment =
                transaction.get(KIND, id)?.ok_or_else(|| absent(id))?;
            change(&mut experiment);
            experiment.last_update_time = clock::now_ms();
            transaction.put(KIND, id, &experiment)
        })?;
        Ok(Json(json!({})))
    }
}

async fn create(State(workspace): State<Shared>, input: Input) -> Answer<Json<Value>> {
    let name = input.text("name")?;
    if !name.starts_with('/') {
        return Err(ApiFault::invalid(format!(
            "Got an invalid experiment name '{name}'. An absolute path in the workspace is required, such as '/Users/<user>/<name>'"
        )));
    }
    let id = workspace.store.write(|transaction| {
        let all: Vec<Experiment> = transaction.list(KIND, "")?;
        if all.iter().any(|known| known.name == name && known.lifecycle_stage == "active") {
            return Err(ApiFault::exists(format!("Node named '{name}' already exists")));
        }
        let now = clock::now_ms();
        let experiment = Experiment {
            experiment_id: (1000 + transaction.next("experiment")?).to_string(),
            name: name.to_owned(),
            lifecycle_stage: "active".into(),
            creation_time: now,
            last_update_time: now,
            tags: map_of(&input.list("tags")),
        };
        transaction.put(KIND, &experiment.experiment_id, &experiment)?;
        Ok(experiment.experiment_id)
    })?;
    Ok(Json(json!({ "experiment_id": id })))
}

async fn read(State(workspace): State<Shared>, input: Input) -> Answer<Json<Value>> {
    Ok(Json(json!({ "experiment": workspace.experiment(input.text("experiment_id")?)?.shown() })))
}

async fn by_name(State(workspace): State<Shared>, input: Input) -> Answer<Json<Value>> {
    let name = input.text("experiment_name")?;
    let all: Vec<Experiment> = workspace.store.list(KIND, "")?;
    let found = all
        .iter()
        .find(|experiment| experiment.name == name && experiment.lifecycle_stage == "active");
    let found = found.ok_or_else(|| ApiFault::missing(format!("Node {name} does not exist.")))?;
    Ok(Json(json!({ "experiment": found.shown() })))
}

async fn search(State(workspace): State<Shared>, input: Input) -> Answer<Json<Value>> {
    let view = input.text_opt("view_type").unwrap_or("ACTIVE_ONLY");
    let filter = Filter::parse(input.text_opt("filter").unwrap_or_default())?;
    let all: Vec<Experiment> = workspace.store.list(KIND, "")?;
    let mut found = Vec::new();
    for experiment in &all {
        let stage = match view {
            "ALL" => true,
            "DELETED_ONLY" => experiment.lifecycle_stage == "deleted",
            _ => experiment.lifecycle_stage == "active",
        };
        let matches = filter.matches(&|field, key| match field {
            "attributes" if key == "name" => Some(Value::from(experiment.name.as_str())),
            "tags" => experiment.tags.get(key).map(|value| Value::from(value.as_str())),
            _ => None,
        });
        if stage && matches {
            found.push(experiment.shown());
        }
    }
    found.reverse();
    Ok(page_answer(&input, "experiments", found, "max_results", 1000))
}

async fn rename(State(workspace): State<Shared>, input: Input) -> Answer<Json<Value>> {
    let name = input.text("new_name")?.to_owned();
    workspace.change_experiment(input.text("experiment_id")?, |experiment| experiment.name = name)
}

async fn delete(State(workspace): State<Shared>, input: Input) -> Answer<Json<Value>> {
    workspace.change_experiment(input.text("experiment_id")?, |experiment| {
        experiment.lifecycle_stage = "deleted".into()
    })
}

async fn restore(State(workspace): State<Shared>, input: Input) -> Answer<Json<Value>> {
    workspace.change_experiment(input.text("experiment_id")?, |experiment| {
        experiment.lifecycle_stage = "active".into()
    })
}

async fn set_tag(State(workspace): State<Shared>, input: Input) -> Answer<Json<Value>> {
    let (key, value) =
        (input.text("key")?.to_owned(), input.text_opt("value").unwrap_or_default().to_owned());
    workspace.change_experiment(input.text("experiment_id")?, |experiment| {
        experiment.tags.insert(key, value);
    })
}
