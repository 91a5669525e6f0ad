//! Data profiling (formerly Lakehouse Monitoring), in both generations of its
//! API: the current one by the table's id, the older one by its name.

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::Client;
use super::error::Error;
use super::monitor_fields;
use super::unity::{Securable, TableInfo};
use crate::sys::https::segment;
use crate::sys::retry::Class;

/// The monitor of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Monitor {
    place: Place,
    pub profile_table: Option<String>,
    pub drift_table: Option<String>,
    /// The column of the model's id in the metric tables, for inference logs.
    pub model_column: Option<String>,
    pub has_baseline: bool,
    status: String,
    failure: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    /// `/api/data-quality/v1`, with the table's id.
    Current(String),
    /// `/api/2.1/unity-catalog/tables/{name}/monitor`.
    Legacy(String),
}

impl Place {
    fn refreshes(&self) -> String {
        match self {
            Self::Current(id) => format!("/api/data-quality/v1/monitors/table/{id}/refreshes"),
            Self::Legacy(name) => format!("{}/refreshes", legacy(name)),
        }
    }
}

fn legacy(table: &str) -> String {
    format!("/api/2.1/unity-catalog/tables/{}/monitor", segment(table))
}

/// How a refresh stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RefreshState {
    Open,
    Succeeded,
    Failed(String),
}

#[derive(Debug, Deserialize)]
struct Current {
    data_profiling_config: Option<Value>,
}

#[derive(Debug, Deserialize)]
struct Refresh {
    /// A number, as text in some answers.
    refresh_id: Option<Value>,
    state: Option<String>,
    message: Option<String>,
}

impl Monitor {
    fn read(place: Place, config: &Value) -> Self {
        let text = |name: &str| config[name].as_str().map(str::to_owned);
        let model = ["/inference_log/model_id_column", "/inference_log/model_id_col"];
        let model = model.into_iter().find_map(|path| config.pointer(path)?.as_str());
        Self {
            place,
            profile_table: text("profile_metrics_table_name"),
            drift_table: text("drift_metrics_table_name"),
            model_column: model.map(str::to_owned),
            has_baseline: text("baseline_table_name").is_some(),
            status: text("status").unwrap_or_default(),
            failure: text("latest_monitor_failure_message")
                .or_else(|| text("latest_monitor_failure_msg")),
        }
    }

    /// What is wrong with the monitor itself, if something is.
    pub fn fault(&self) -> Option<String> {
        let bad = ["ERROR", "FAILED", "DELETE_PENDING"];
        let wrong = bad.iter().any(|word| self.status.ends_with(word));
        wrong.then(|| {
            let failure = self.failure.as_deref().unwrap_or("it gives no reason");
            format!("the monitor is {}: {failure}", self.status)
        })
    }
}

impl Client {
    /// The monitor of a table, wherever it is known.
    pub async fn monitor_get(&self, table: &TableInfo) -> Result<Option<Monitor>, Error> {
        if let Some(id) = &table.table_id {
            let route = format!("/api/data-quality/v1/monitors/table/{}", segment(id));
            match self.http.get(route).read::<Current>().await {
                Ok(Current { data_profiling_config: Some(config) }) => {
                    return Ok(Some(Monitor::read(Place::Current(id.clone()), &config)));
                }
                Ok(Current { data_profiling_config: None }) => {}
                // Workspaces that do not have it yet answer in several ways.
                Err(error) if error.is_not_found() || error.is_unknown_endpoint() => {}
                Err(error) => return Err(error),
            }
        }
        match self.http.get(legacy(&table.full_name)).read::<Value>().await {
            Ok(config) => Ok(Some(Monitor::read(Place::Legacy(table.full_name.clone()), &config))),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes a monitor from the fields of the older API, which bundles use, too; by the
    /// current one where the workspace has it and it knows all of them.
    pub async fn monitor_create(
        &self,
        table: &TableInfo,
        fields: &Value,
    ) -> Result<Monitor, Error> {
        if let Some(made) = self.current_create(table, fields).await? {
            return Ok(made);
        }
        let call = self.http.call(Method::POST, legacy(&table.full_name), Class::Unkeyed);
        let made: Value = call.json(fields)?.read().await?;
        Ok(Monitor::read(Place::Legacy(table.full_name.clone()), &made))
    }

    async fn current_create(
        &self,
        table: &TableInfo,
        fields: &Value,
    ) -> Result<Option<Monitor>, Error> {
        let (Some(id), Some(mut config)) = (&table.table_id, monitor_fields::current(fields))
        else {
            return Ok(None);
        };
        let Some(schema) = fields["output_schema_name"].as_str() else { return Ok(None) };
        let schema = self.securable_get(Securable::Schema, schema).await?;
        let Some(schema) =
            schema.and_then(|mut schema| schema.get_mut("schema_id").map(Value::take))
        else {
            return Ok(None);
        };
        config.insert("output_schema_id".into(), schema);
        let body =
            json!({ "object_type": "table", "object_id": id, "data_profiling_config": config });
        let call = self.http.call(Method::POST, "/api/data-quality/v1/monitors", Class::Unkeyed);
        match call.json(&body)?.read::<Current>().await {
            Ok(Current { data_profiling_config: Some(made) }) => {
                Ok(Some(Monitor::read(Place::Current(id.clone()), &made)))
            }
            Ok(Current { data_profiling_config: None }) => Err(Error::Decode {
                call: "make the monitor".into(),
                reason: "the answer has no data_profiling_config".into(),
            }),
            Err(error) if error.is_not_found() || error.is_unknown_endpoint() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Starts a refresh and returns its id.
    pub async fn monitor_refresh(&self, monitor: &Monitor) -> Result<String, Error> {
        let call = self.http.call(Method::POST, monitor.place.refreshes(), Class::Unkeyed);
        let body = match &monitor.place {
            Place::Current(id) => json!({ "object_type": "table", "object_id": id }),
            Place::Legacy(_) => json!({}),
        };
        let refresh: Refresh = call.json(&body)?.read().await?;
        match refresh.refresh_id {
            Some(Value::String(id)) => Ok(id),
            Some(Value::Number(id)) => Ok(id.to_string()),
            _ => Err(Error::Decode {
                call: "refresh the monitor".into(),
                reason: "the answer has no refresh_id".into(),
            }),
        }
    }

    pub async fn monitor_refresh_state(
        &self,
        monitor: &Monitor,
        id: &str,
    ) -> Result<RefreshState, Error> {
        let route = format!("{}/{}", monitor.place.refreshes(), segment(id));
        let refresh: Refresh = self.http.get(route).read().await?;
        let state = refresh.state.unwrap_or_default();
        Ok(match state.trim_start_matches("MONITOR_REFRESH_STATE_") {
            "SUCCESS" => RefreshState::Succeeded,
            "PENDING" | "RUNNING" => RefreshState::Open,
            other => {
                let words = refresh.message.unwrap_or_default();
                RefreshState::Failed(format!("{other}: {words}"))
            }
        })
    }
}
