//! How each kind of resource is made, changed and removed. Every step can be
//! repeated: what a killed deployment made before it could say so is found by
//! its name and taken over.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::bundle::{Kind, Step, full_name};
use crate::databricks::Client;
use crate::databricks::jobs::Job;
use crate::databricks::serving::Settled;
use crate::databricks::unity::Securable;
use crate::report::{Fault, FaultKind};

/// How long an endpoint may take for its new configuration.
const SERVING: Duration = Duration::from_secs(35 * 60);

/// Creates or updates; returns the id.
/// `taken` are the ids that other resources of the bundle have: a resource that
/// was renamed in the bundle is not found by its old name.
pub(super) async fn put(
    client: &Client,
    step: &Step,
    known: Option<&str>,
    settings: &Value,
    taken: &BTreeSet<String>,
) -> Result<String> {
    let mut settings = settings.clone();
    if let Some(fields) = settings.as_object_mut() {
        fields.remove("lifecycle");
    }
    match step.kind {
        Kind::Jobs => job(client, known, &settings, taken).await,
        Kind::Experiments => experiment(client, known, step, &settings).await,
        Kind::Schemas => securable(client, Securable::Schema, step, &settings).await,
        Kind::Volumes => securable(client, Securable::Volume, step, &settings).await,
        Kind::RegisteredModels => securable(client, Securable::Model, step, &settings).await,
        Kind::QualityMonitors => monitor(client, &settings).await,
        Kind::Pipelines => pipeline(client, known, &settings, taken).await,
        Kind::ModelServingEndpoints => endpoint(client, step, &settings).await,
        Kind::Dashboards => dashboard(client, known, &settings, taken).await,
        Kind::Permissions => {
            let object = settings["object_id"].as_str().unwrap_or_default();
            let list = settings["__embed__"].as_array().cloned().unwrap_or_default();
            client.permissions_put(object, &list).await?;
            Ok(object.to_owned())
        }
        Kind::Grants => grants(client, &settings).await,
    }
}

fn metadata(settings: &Value) -> Option<&str> {
    settings.pointer("/deployment/metadata_file_path").and_then(Value::as_str)
}

async fn job(
    client: &Client,
    known: Option<&str>,
    settings: &Value,
    taken: &BTreeSet<String>,
) -> Result<String> {
    let mut found = known.and_then(|id| id.parse::<i64>().ok());
    if found.is_none() {
        let named = client.job_list(settings["name"].as_str()).await?;
        let free = |job: &&Job| !taken.contains(&job.job_id.to_string());
        let own =
            named.iter().filter(free).find(|job| metadata(&job.settings) == metadata(settings));
        found = own.map(|job| job.job_id);
    }
    match found {
        Some(id) => {
            client.job_reset(id, settings).await?;
            Ok(id.to_string())
        }
        None => Ok(client.job_create(settings).await?.to_string()),
    }
}

async fn experiment(
    client: &Client,
    known: Option<&str>,
    step: &Step,
    settings: &Value,
) -> Result<String> {
    let name = settings["name"].as_str().unwrap_or_default();
    // Tags may be written as a map, too.
    let tags = match &settings["tags"] {
        Value::Object(tags) => {
            tags.iter().map(|(key, value)| json!({ "key": key, "value": value })).collect()
        }
        tags => tags.clone(),
    };
    if let Some(id) = known {
        client.experiment_rename(id, name).await?;
        if step.changes_below("tags") {
            for tag in tags.as_array().into_iter().flatten() {
                client.experiment_tag(id, tag).await?;
            }
        }
        return Ok(id.to_owned());
    }
    if let Some(found) = client.experiment_by_name(name).await? {
        return Ok(found.experiment_id);
    }
    if let Some((folder, _)) = name.rsplit_once('/') {
        client.workspace_mkdirs(folder).await?;
    }
    let mut fields = settings.clone();
    if !tags.is_null() {
        fields["tags"] = tags;
    }
    Ok(client.experiment_create(&fields).await?)
}

async fn securable(
    client: &Client,
    kind: Securable,
    step: &Step,
    settings: &Value,
) -> Result<String> {
    let full_name = full_name(settings);
    if client.securable_get(kind, &full_name).await?.is_none() {
        client.securable_create(kind, settings).await?;
        return Ok(full_name);
    }
    let mut change = json!({});
    for (field, none) in [("comment", json!("")), ("properties", json!({}))] {
        match settings.get(field) {
            Some(value) => change[field] = value.clone(),
            // What is left out of a change stays as it was.
            None if step.changes_below(field) => change[field] = none,
            None => {}
        }
    }
    if change.as_object().is_some_and(|fields| !fields.is_empty()) {
        client.securable_update(kind, &full_name, &change).await?;
    }
    Ok(full_name)
}

/// Refuses what another has made under a name that this bundle wants. Jobs,
/// pipelines and dashboards are known by where they were deployed from.
///
/// A schema that is there is taken over, unless the bundle is a copy that will
/// be removed with all that is in it.
pub(super) async fn confirm_free(
    client: &Client,
    kind: Kind,
    settings: &Value,
    is_copy: bool,
) -> Result<()> {
    let text = |field: &str| settings[field].as_str().unwrap_or_default().to_owned();
    let (name, is_there) = match kind {
        Kind::Schemas if is_copy => {
            let name = full_name(settings);
            let found = client.securable_get(Securable::Schema, &name).await?;
            (name, found.is_some())
        }
        Kind::Volumes => {
            let name = full_name(settings);
            let found = client.securable_get(Securable::Volume, &name).await?;
            (name, found.is_some())
        }
        Kind::RegisteredModels => {
            let name = full_name(settings);
            let found = client.securable_get(Securable::Model, &name).await?;
            (name, found.is_some())
        }
        Kind::Experiments if is_copy => {
            let name = text("name");
            let found = client.experiment_by_name(&name).await?;
            let found = found.is_some_and(|found| found.lifecycle_stage != "deleted");
            (name, found)
        }
        Kind::QualityMonitors => {
            let name = text("table_name");
            let found = client.quality_monitor_get(&name).await?;
            (name, found.is_some())
        }
        Kind::ModelServingEndpoints => {
            let name = text("name");
            let found = client.endpoint_get(&name).await?;
            (name, found.is_some())
        }
        _ => return Ok(()),
    };
    if !is_there {
        return Ok(());
    }
    let message = format!("`{name}` is there already, and not this bundle's");
    Err(Fault::new(FaultKind::Conflict, message)
        .hint("choose another name, or remove the other one")
        .into())
}

async fn monitor(client: &Client, settings: &Value) -> Result<String> {
    let table = settings["table_name"].as_str().unwrap_or_default();
    let is_new = client.quality_monitor_get(table).await?.is_none();
    client.quality_monitor_put(table, settings, is_new).await?;
    Ok(table.to_owned())
}

async fn pipeline(
    client: &Client,
    known: Option<&str>,
    settings: &Value,
    taken: &BTreeSet<String>,
) -> Result<String> {
    let mut found = known.map(str::to_owned);
    if found.is_none() {
        for listed in client.pipelines().await? {
            let Some(id) = listed["pipeline_id"].as_str() else { continue };
            if listed["name"] != settings["name"] || taken.contains(id) {
                continue;
            }
            let own = client.pipeline_get(id).await?;
            if own.is_some_and(|own| metadata(&own["spec"]) == metadata(settings)) {
                found = Some(id.to_owned());
            }
        }
    }
    match found {
        Some(id) => {
            let mut settings = settings.clone();
            settings["id"] = json!(id);
            client.pipeline_replace(&id, &settings).await?;
            Ok(id)
        }
        None => Ok(client.pipeline_create(settings).await?),
    }
}

async fn endpoint(client: &Client, step: &Step, settings: &Value) -> Result<String> {
    let name = settings["name"].as_str().unwrap_or_default();
    let Some(there) = client.endpoint_get(name).await? else {
        client.endpoint_create(settings).await?;
        settled(client, name).await?;
        return Ok(name.to_owned());
    };
    // What an earlier change ended in is no obstacle to this one.
    if client.endpoint_settled(name, SERVING).await? == Settled::Late {
        return Err(late(name).into());
    }
    if let Some(config) = settings.get("config") {
        client.endpoint_configure(name, "config", config).await?;
        settled(client, name).await?;
    }
    let none = json!({});
    let gateway = settings.get("ai_gateway");
    if let Some(gateway) = gateway.or_else(|| step.changes_below("ai_gateway").then_some(&none)) {
        client.endpoint_configure(name, "ai-gateway", gateway).await?;
    }
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let (wanted, had) = (list(&settings["tags"]), list(&there["tags"]));
    let gone: Vec<Value> = had
        .iter()
        .filter(|tag| wanted.iter().all(|other| other["key"] != tag["key"]))
        .map(|tag| tag["key"].clone())
        .collect();
    if wanted != had {
        let change = json!({ "add_tags": wanted, "delete_tags": gone });
        client.endpoint_tags(name, &change).await?;
    }
    Ok(name.to_owned())
}

/// Waits until an endpoint takes its next change.
async fn settled(client: &Client, name: &str) -> Result<()> {
    match client.endpoint_settled(name, SERVING).await? {
        Settled::Done(_) => Ok(()),
        Settled::Late => Err(late(name).into()),
        Settled::Failed(_, state) => {
            let message = format!("endpoint `{name}`: its last configuration ended {state}");
            Err(Fault::new(FaultKind::Remote, message)
                .hint("look at the endpoint's events and build logs")
                .into())
        }
    }
}

fn late(name: &str) -> Fault {
    let message = format!("endpoint `{name}` is still being changed after 35 minutes");
    Fault::new(FaultKind::Timeout, message)
}

async fn dashboard(
    client: &Client,
    known: Option<&str>,
    settings: &Value,
    taken: &BTreeSet<String>,
) -> Result<String> {
    let mut fields = settings.clone();
    if let Some(fields) = fields.as_object_mut() {
        for field in ["file_path", "embed_credentials", "published", "etag"] {
            fields.remove(field);
        }
    }
    let parent = settings["parent_path"].as_str().unwrap_or_default();
    let mut found = known.map(str::to_owned);
    if found.is_none() {
        client.workspace_mkdirs(parent).await?;
        let all = client.dashboards().await?;
        let own = |listed: &&Value| {
            let id = listed["dashboard_id"].as_str().unwrap_or_default();
            !taken.contains(id)
                && listed["display_name"] == settings["display_name"]
                && listed["parent_path"].as_str().is_some_and(|path| same_folder(path, parent))
        };
        found =
            all.iter().find(own).and_then(|own| own["dashboard_id"].as_str()).map(str::to_owned);
    }
    let id = match found {
        Some(id) => {
            client.dashboard_update(&id, &fields).await?;
            id
        }
        None => {
            let made = client.dashboard_create(&fields).await?;
            made["dashboard_id"].as_str().context("the new dashboard has no id")?.to_owned()
        }
    };
    let publish = json!({
        "embed_credentials": settings["embed_credentials"], "warehouse_id": settings["warehouse_id"],
    });
    client.dashboard_publish(&id, &publish).await?;
    Ok(id)
}

/// `/Workspace/Users/a` and `/Users/a` are one folder.
fn same_folder(one: &str, other: &str) -> bool {
    let short = |path: &str| path.strip_prefix("/Workspace").unwrap_or(path).to_owned();
    short(one) == short(other)
}

/// Grants are changed by what is added and what is taken away.
async fn grants(client: &Client, settings: &Value) -> Result<String> {
    let text = |field: &str| settings[field].as_str().unwrap_or_default();
    let id = format!("{}/{}", text("securable_type"), text("full_name"));
    let there = client.grants_get(&id).await?.unwrap_or_default();
    let there = there["privilege_assignments"].as_array().cloned().unwrap_or_default();
    let wanted = settings["__embed__"].as_array().cloned().unwrap_or_default();
    let words = |list: &[Value], who: &Value| -> Vec<String> {
        let own = list.iter().filter(|grant| grant["principal"] == *who);
        let words =
            own.flat_map(|grant| grant["privileges"].as_array().cloned().unwrap_or_default());
        words.filter_map(|word| Some(word.as_str()?.replace(' ', "_"))).collect()
    };
    let mut changes = Vec::new();
    let mut seen: Vec<&Value> = Vec::new();
    for grant in wanted.iter().chain(&there) {
        let who = &grant["principal"];
        if seen.contains(&who) {
            continue;
        }
        seen.push(who);
        let (new, old) = (words(&wanted, who), words(&there, who));
        let add: Vec<_> = new.iter().filter(|word| !old.contains(word)).collect();
        let remove: Vec<_> = old.iter().filter(|word| !new.contains(word)).collect();
        if !add.is_empty() || !remove.is_empty() {
            changes.push(json!({ "principal": who, "add": add, "remove": remove }));
        }
    }
    if !changes.is_empty() {
        client.grants_change(&id, &changes).await?;
    }
    Ok(id)
}

/// Removes a resource; one that is gone is fine. `whole` takes what is in a
/// schema, too. `settings` are those that were applied last.
pub(super) async fn delete(
    client: &Client,
    kind: Kind,
    id: &str,
    settings: &Value,
    whole: bool,
) -> Result<()> {
    let result = match kind {
        Kind::Jobs => client.job_delete(id.parse().context("read the job's id")?).await,
        Kind::Experiments => client.experiment_delete(id).await,
        Kind::Schemas => client.securable_delete(Securable::Schema, id, whole).await,
        Kind::Volumes => client.securable_delete(Securable::Volume, id, whole).await,
        Kind::RegisteredModels => client.securable_delete(Securable::Model, id, whole).await,
        Kind::QualityMonitors => client.quality_monitor_delete(id).await,
        Kind::Pipelines => client.pipeline_delete(id).await,
        Kind::Dashboards => client.dashboard_delete(id).await,
        Kind::ModelServingEndpoints => client.endpoint_delete(id).await,
        // The owner stays.
        Kind::Permissions => client.permissions_put(id, &[]).await,
        Kind::Grants => {
            let list = settings["__embed__"].as_array().into_iter().flatten();
            let changes: Vec<Value> = list
                .map(|grant| json!({ "principal": grant["principal"], "remove": grant["privileges"] }))
                .collect();
            client.grants_change(id, &changes).await
        }
    };
    match result {
        Err(error) if !error.is_not_found() => Err(error.into()),
        _ => Ok(()),
    }
}
