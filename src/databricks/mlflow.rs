//! MLflow: experiments, runs, and the registry's dialect for version tags.

use std::collections::BTreeMap;

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Client, Error};
use crate::names::{ModelName, ModelVersion};
use crate::sys::retry::Class;

#[derive(Debug, Clone, Deserialize)]
pub struct Experiment {
    pub experiment_id: String,
    pub name: String,
    #[serde(default)]
    pub lifecycle_stage: String,
}

/// A logged number. MLflow sends NaN and infinities as strings.
#[derive(Debug, Clone)]
pub struct Metric {
    pub key: String,
    pub value: f64,
}

/// A training run: its metrics, parameters and tags.
#[derive(Debug, Clone)]
pub struct TrackedRun {
    pub run_id: String,
    pub status: String,
    pub metrics: Vec<Metric>,
    pub params: BTreeMap<String, String>,
    pub tags: BTreeMap<String, String>,
    /// The data that it says it read.
    pub datasets: Vec<Dataset>,
}

/// Data that a run names as its input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dataset {
    /// Of the table; of anything else, its own.
    pub name: String,
    /// The version in the table's Delta log.
    pub version: Option<u64>,
}

impl Client {
    pub async fn experiment_by_name(&self, name: &str) -> Result<Option<Experiment>, Error> {
        #[derive(Deserialize)]
        struct Answer {
            experiment: Experiment,
        }
        let call =
            self.http.get("/api/2.0/mlflow/experiments/get-by-name").query("experiment_name", name);
        match call.read::<Answer>().await {
            Ok(answer) => Ok(Some(answer.experiment)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub async fn experiment_get(&self, id: &str) -> Result<Option<Experiment>, Error> {
        #[derive(Deserialize)]
        struct Answer {
            experiment: Experiment,
        }
        match self
            .http
            .get("/api/2.0/mlflow/experiments/get")
            .query("experiment_id", id)
            .read::<Answer>()
            .await
        {
            Ok(answer) => Ok(Some(answer.experiment)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub async fn experiment_create(&self, fields: &Value) -> Result<String, Error> {
        #[derive(Deserialize)]
        struct Answer {
            experiment_id: String,
        }
        let call =
            self.http.call(Method::POST, "/api/2.0/mlflow/experiments/create", Class::Unkeyed);
        Ok(call.json(fields)?.read::<Answer>().await?.experiment_id)
    }

    pub async fn experiment_rename(&self, id: &str, name: &str) -> Result<(), Error> {
        let call =
            self.http.call(Method::POST, "/api/2.0/mlflow/experiments/update", Class::Idempotent);
        call.json(&json!({ "experiment_id": id, "new_name": name }))?.done().await
    }

    /// Sets one tag, of the form `{key, value}`.
    pub async fn experiment_tag(&self, id: &str, tag: &Value) -> Result<(), Error> {
        let path = "/api/2.0/mlflow/experiments/set-experiment-tag";
        let call = self.http.call(Method::POST, path, Class::Idempotent);
        let body = json!({ "experiment_id": id, "key": tag["key"], "value": tag["value"] });
        call.json(&body)?.done().await
    }

    pub async fn experiment_delete(&self, id: &str) -> Result<(), Error> {
        let call =
            self.http.call(Method::POST, "/api/2.0/mlflow/experiments/delete", Class::Idempotent);
        match call.json(&json!({ "experiment_id": id }))?.done().await {
            Err(error) if error.is_not_found() => Ok(()),
            other => other,
        }
    }

    pub async fn tracked_run(&self, run_id: &str) -> Result<TrackedRun, Error> {
        let answer: Value =
            self.http.get("/api/2.0/mlflow/runs/get").query("run_id", run_id).read().await?;
        let run = &answer["run"];
        let pairs = |name: &str| -> BTreeMap<String, String> {
            let entries = run["data"][name].as_array().map(Vec::as_slice).unwrap_or_default();
            entries
                .iter()
                .filter_map(|entry| Some((text(&entry["key"])?, text(&entry["value"])?)))
                .collect()
        };
        let metrics = run["data"]["metrics"].as_array().map(Vec::as_slice).unwrap_or_default();
        Ok(TrackedRun {
            run_id: run_id.to_owned(),
            status: text(&run["info"]["status"]).unwrap_or_default(),
            metrics: metrics.iter().filter_map(metric).collect(),
            params: pairs("params"),
            tags: pairs("tags"),
            datasets: datasets(run),
        })
    }

    pub async fn model_tags(&self, model: &ModelName) -> Result<BTreeMap<String, String>, Error> {
        let call = self.http.get("/api/2.0/mlflow/unity-catalog/registered-models/get");
        let answer: Value = call.query("name", model).read().await?;
        Ok(tags(&answer["registered_model"]))
    }

    pub async fn model_version_tags(
        &self,
        model: &ModelName,
        version: ModelVersion,
    ) -> Result<BTreeMap<String, String>, Error> {
        let call = self.http.get("/api/2.0/mlflow/unity-catalog/model-versions/get");
        let answer: Value = call.query("name", model).query("version", version).read().await?;
        Ok(tags(&answer["model_version"]))
    }

    /// What training logged for a version: to its run, and to the logged model
    /// (MLflow 3).
    pub async fn logged_metrics(
        &self,
        model: &ModelName,
        version: ModelVersion,
    ) -> Result<[Vec<Metric>; 2], Error> {
        let call = self.http.get("/api/2.0/mlflow/unity-catalog/model-versions/get");
        let answer: Value = call.query("name", model).query("version", version).read().await?;
        let own = |name: &str| text(&answer["model_version"][name]).filter(|id| !id.is_empty());
        let of_run = match own("run_id") {
            Some(run) => self.tracked_run(&run).await?.metrics,
            None => Vec::new(),
        };
        let of_model = match own("model_id") {
            Some(id) => {
                let route =
                    format!("/api/2.0/mlflow/logged-models/{}", crate::sys::https::segment(&id));
                let answer: Value = self.http.get(route).read().await?;
                let metrics = answer["model"]["data"]["metrics"].as_array().cloned();
                metrics.unwrap_or_default().iter().filter_map(metric).collect()
            }
            None => Vec::new(),
        };
        Ok([of_run, of_model])
    }

    /// Records something about a model version where people look for it.
    pub async fn model_version_tag(
        &self,
        model: &ModelName,
        version: ModelVersion,
        key: &str,
        value: &str,
    ) -> Result<(), Error> {
        let route = "/api/2.0/mlflow/unity-catalog/model-versions/set-tag";
        let body =
            json!({ "name": model, "version": version.to_string(), "key": key, "value": value });
        self.http.call(Method::POST, route, Class::Idempotent).json(&body)?.done().await
    }
}

fn tags(owner: &Value) -> BTreeMap<String, String> {
    let entries = owner["tags"].as_array().map(Vec::as_slice).unwrap_or_default();
    let pair = |entry: &Value| Some((text(&entry["key"])?, text(&entry["value"])?));
    entries.iter().filter_map(pair).collect()
}

/// A table by the name in its source, anything else by the dataset's own.
fn datasets(run: &Value) -> Vec<Dataset> {
    let inputs = run["inputs"]["dataset_inputs"].as_array().map(Vec::as_slice).unwrap_or_default();
    let dataset = |input: &Value| {
        let dataset = &input["dataset"];
        let source = dataset["source"].as_str();
        let source: Value =
            source.and_then(|source| serde_json::from_str(source).ok()).unwrap_or_default();
        let table =
            ["delta_table_name", "table_name", "path"].iter().find_map(|key| text(&source[*key]));
        let version = &source["delta_table_version"];
        Some(Dataset {
            name: table.or_else(|| text(&dataset["name"]))?,
            version: version.as_u64().or_else(|| version.as_str()?.parse().ok()),
        })
    };
    inputs.iter().filter_map(dataset).collect()
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn metric(entry: &Value) -> Option<Metric> {
    let value = match &entry["value"] {
        Value::Number(number) => number.as_f64()?,
        Value::String(text) => match text.as_str() {
            "Infinity" => f64::INFINITY,
            "-Infinity" => f64::NEG_INFINITY,
            _ => f64::NAN,
        },
        _ => f64::NAN,
    };
    Some(Metric { key: text(&entry["key"])?, value })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_named_with_its_version() {
        let input = |source: &str| json!({"dataset": {"name": "own", "source": source}});
        let inputs = [
            r#"{"delta_table_name": "a.b.c", "delta_table_version": 7}"#,
            r#"{"table_name": "a.b.d", "delta_table_version": "12"}"#,
            r#"{"path": "/x.csv"}"#,
            "no JSON",
        ]
        .map(input);
        let found = datasets(&json!({"inputs": {"dataset_inputs": inputs}}));
        let told: Vec<_> = found.iter().map(|it| (it.name.as_str(), it.version)).collect();
        assert_eq!(
            told,
            [("a.b.c", Some(7)), ("a.b.d", Some(12)), ("/x.csv", None), ("own", None)]
        );
        assert_eq!(datasets(&Value::Null), []);
    }
}
