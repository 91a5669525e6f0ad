//! What the workspace has, in the terms of a bundle.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use futures::{StreamExt as _, TryStreamExt as _};
use serde_json::{Map, Value, json};

use crate::bundle::{Kind, Remote, Remotes, State};
use crate::databricks::Client;
use crate::databricks::unity::Securable;
use crate::report::Fault;

/// Resources that are looked at in the same moment.
const PARALLEL: usize = 16;

/// Looks at everything that was deployed.
pub(super) async fn look(client: &Client, state: &State) -> Result<Remotes> {
    let looks = state.state.iter().map(|(full, resource)| async move {
        let key = full.strip_prefix("resources.").unwrap_or(full).to_owned();
        let kind = Kind::of_key(&key).ok_or_else(|| {
            let kind = key.split('.').next().unwrap_or_default();
            Fault::usage(format!(
                "the state holds `{key}`: the kind `{kind}` is not deployed natively yet"
            ))
        })?;
        let found = one(client, kind, &resource.id).await;
        Ok((key.clone(), found.with_context(|| format!("look at {key}"))?))
    });
    futures::stream::iter(looks).buffer_unordered(PARALLEL).try_collect().await
}

/// One resource; nothing when it is gone.
pub(super) async fn one(client: &Client, kind: Kind, id: &str) -> Result<Option<Remote>> {
    let found = match kind {
        Kind::Jobs => match client.job_get(id.parse().context("read the job's id")?).await {
            Ok(job) => Some(job.settings),
            Err(error) if error.is_not_found() => None,
            Err(error) => return Err(error.into()),
        },
        Kind::Experiments => {
            let found = client.experiment_get(id).await?;
            let found = found.filter(|found| found.lifecycle_stage != "deleted");
            found.map(|found| json!({ "name": found.name }))
        }
        Kind::Schemas => {
            client.securable_get(Securable::Schema, id).await?.map(|v| only(&v, UNITY))
        }
        Kind::Volumes => {
            client.securable_get(Securable::Volume, id).await?.map(|v| only(&v, UNITY))
        }
        Kind::RegisteredModels => {
            client.securable_get(Securable::Model, id).await?.map(|v| only(&v, UNITY))
        }
        Kind::QualityMonitors => client.quality_monitor_get(id).await?.map(|v| without(v, MONITOR)),
        Kind::Pipelines => {
            client.pipeline_get(id).await?.map(|v| without(v["spec"].clone(), &["id"]))
        }
        Kind::Dashboards => {
            let found = client.dashboard_get(id).await?;
            let found = found.filter(|found| found["lifecycle_state"] != "TRASHED");
            return Ok(found.map(|found| {
                let etag = found["etag"].as_str().map(|etag| ("etag".to_owned(), etag.to_owned()));
                Remote { settings: only(&found, DASHBOARD), ids: etag.into_iter().collect() }
            }));
        }
        Kind::ModelServingEndpoints => {
            let Some(found) = client.endpoint_get(id).await? else { return Ok(None) };
            let mut settings = only(&found, &["name", "config", "tags", "ai_gateway"]);
            if let Some(config) = settings["config"].as_object_mut() {
                config.retain(|field, _| {
                    matches!(field.as_str(), "served_entities" | "traffic_config")
                });
                for entity in config
                    .get_mut("served_entities")
                    .and_then(Value::as_array_mut)
                    .into_iter()
                    .flatten()
                {
                    *entity = without(entity.take(), &["state", "creation_timestamp", "creator"]);
                }
            }
            let own = found["id"].as_str().map(|id| ("endpoint_id".to_owned(), id.to_owned()));
            return Ok(Some(Remote { settings, ids: own.into_iter().collect() }));
        }
        Kind::Permissions => client.permissions_get(id).await?.map(|found| permissions(&found)),
        Kind::Grants => client.grants_get(id).await?.map(|found| grants(&found)),
    };
    Ok(found.map(|settings| Remote { settings, ids: BTreeMap::new() }))
}

const UNITY: &[&str] = &["comment", "properties", "owner", "storage_location"];
const MONITOR: &[&str] = &[
    "status",
    "latest_monitor_failure_msg",
    "monitor_version",
    "drift_metrics_table_name",
    "profile_metrics_table_name",
    "dashboard_id",
];
const DASHBOARD: &[&str] = &["display_name", "warehouse_id", "serialized_dashboard", "parent_path"];

fn only(value: &Value, fields: &[&str]) -> Value {
    let own =
        fields.iter().filter_map(|field| Some(((*field).to_owned(), value.get(*field)?.clone())));
    Value::Object(own.collect::<Map<_, _>>())
}

fn without(value: Value, fields: &[&str]) -> Value {
    match value {
        Value::Object(mut own) => {
            own.retain(|field, _| !fields.contains(&field.as_str()));
            Value::Object(own)
        }
        other => other,
    }
}

/// Who may do what, as `{"users": "CAN_VIEW"}`: the order says nothing.
fn permissions(found: &Value) -> Value {
    let mut levels: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for entry in found["access_control_list"].as_array().into_iter().flatten() {
        let who = ["user_name", "group_name", "service_principal_name"];
        let who = who.iter().find_map(|field| entry[*field].as_str()).unwrap_or_default();
        for right in entry["all_permissions"].as_array().into_iter().flatten() {
            if right["inherited"] != true {
                let level = right["permission_level"].as_str().unwrap_or_default();
                levels.entry(who.to_owned()).or_default().push(level.to_owned());
            }
        }
    }
    levels.values_mut().for_each(|levels| levels.sort());
    json!(levels)
}

/// The same of grants.
fn grants(found: &Value) -> Value {
    let list = found["privilege_assignments"].as_array().into_iter().flatten();
    let mut own: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for grant in list {
        let words = grant["privileges"].as_array().into_iter().flatten();
        let mut words: Vec<String> =
            words.filter_map(|word| Some(word.as_str()?.replace(' ', "_"))).collect();
        words.sort();
        own.insert(grant["principal"].as_str().unwrap_or_default().to_owned(), words);
    }
    json!(own)
}
