//! Serving endpoints. A new configuration is loaded before it takes the place of the old
//! one, which goes on serving when that fails.

mod scorer;

use axum::extract::{Path, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, patch, post, put};
use axum::{Json, Router};
use serde_json::{Map, Value, json};

pub(crate) use self::scorer::Scorers;
use super::error::{Answer, ApiFault};
use super::input::Input;
use super::store::Kind;
use super::{Shared, USER};
use crate::sys::clock;

const ENDPOINT: Kind = "serving_endpoint";

type Document = Map<String, Value>;

pub(crate) fn routes() -> Router<Shared> {
    let one = "/api/2.0/serving-endpoints/{name}";
    Router::new()
        .route("/api/2.0/serving-endpoints", get(list).post(create))
        .route(one, get(read).delete(remove))
        .route(&format!("{one}/config"), put(configure))
        .route(&format!("{one}/tags"), patch(tag))
        .route(&format!("{one}/ai-gateway"), put(gateway))
        .route(&format!("{one}/metrics"), get(metrics))
        .route("/serving-endpoints/{name}/invocations", post(invoke))
        .route("/serving-endpoints/{name}/served-models/{served}/invocations", post(invoke_one))
}

/// Takes up what a killed workspace had not ended.
pub(crate) fn resume(workspace: &Shared) -> anyhow::Result<()> {
    for document in workspace.store.list::<Document>(ENDPOINT, "")? {
        begin(workspace, &document);
    }
    Ok(())
}

pub(crate) fn stop_all(workspace: &Shared) {
    workspace.scorers.stop_all();
}

fn absent(name: &str) -> ApiFault {
    ApiFault::missing(format!("The serving endpoint '{name}' does not exist."))
}

fn find(workspace: &Shared, name: &str) -> Answer<Document> {
    workspace.store.get(ENDPOINT, name)?.ok_or_else(|| absent(name))
}

/// Changes a document as a whole.
fn change(
    workspace: &Shared,
    name: &str,
    change: impl FnOnce(&mut Document) -> Answer<()>,
) -> Answer<Document> {
    workspace.store.write(|transaction| {
        let mut document: Document =
            transaction.get(ENDPOINT, name)?.ok_or_else(|| absent(name))?;
        change(&mut document)?;
        transaction.put(ENDPOINT, name, &document)?;
        Ok(document)
    })
}

fn entities(config: Option<&Value>) -> &[Value] {
    let list = config.and_then(|config| config["served_entities"].as_array());
    list.map_or(&[], Vec::as_slice)
}

/// A version of a registered model; what is served for others is kept, and not run here.
fn is_version(entity: &Value) -> bool {
    entity["entity_name"].is_string() && !entity["entity_version"].is_null()
}

/// As the service tells it.
fn shown(document: &Document) -> Value {
    let mut shown = document.clone();
    let update = shown.remove("config_update").unwrap_or(json!("NOT_UPDATING"));
    let is_ready = !entities(document.get("config")).is_empty()
        && entities(document.get("config")).iter().all(is_version);
    let ready = if is_ready { "READY" } else { "NOT_READY" };
    shown.insert("state".into(), json!({ "ready": ready, "config_update": update }));
    Value::Object(shown)
}

/// A configuration that can be loaded: with names, with shares of the traffic that make up
/// all of it, and with versions that there are.
fn checked(workspace: &Shared, mut config: Document, version: i64) -> Answer<Value> {
    let mut names = Vec::new();
    for entity in
        config.get_mut("served_entities").and_then(Value::as_array_mut).into_iter().flatten()
    {
        if is_version(entity) {
            let model = entity["entity_name"].as_str().unwrap_or_default().to_owned();
            let number = match &entity["entity_version"] {
                Value::String(text) => text.parse().ok(),
                other => other.as_u64(),
            };
            let found = workspace.version(&model, number.unwrap_or(0))?;
            if found.status != "READY" {
                return Err(ApiFault::state(format!(
                    "Version {} of '{model}' is {}.",
                    found.version, found.status
                )));
            }
            entity["entity_version"] = json!(found.version.to_string());
            if entity["name"].is_null() {
                let short = model.rsplit('.').next().unwrap_or_default();
                entity["name"] = json!(format!("{short}-{}", found.version));
            }
            let mut state = json!({ "deployment": "DEPLOYMENT_CREATING" });
            state["deployment_state_message"] = json!("Loading the model");
            entity["state"] = state;
            entity["creator"] = json!(USER);
        }
        names.push(entity["name"].as_str().unwrap_or_default().to_owned());
    }
    names.sort();
    if names.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(ApiFault::invalid("Served entities must have names of their own."));
    }
    let mut config = Value::Object(config);
    match config.pointer("/traffic_config/routes").and_then(Value::as_array) {
        Some(routes) => whole(routes, &names)?,
        None if names.len() == 1 => {
            let route = json!({ "served_model_name": names[0], "traffic_percentage": 100 });
            config["traffic_config"] = json!({ "routes": [route] });
        }
        None if names.is_empty() => {}
        None => return Err(ApiFault::invalid("Several served entities need a traffic_config.")),
    }
    config["config_version"] = json!(version);
    Ok(config)
}

fn share(route: &Value) -> Option<u64> {
    let told = &route["traffic_percentage"];
    told.as_u64().or_else(|| told.as_str()?.parse().ok())
}

fn target(route: &Value) -> &str {
    let told = route["served_model_name"].as_str().or(route["served_entity_name"].as_str());
    told.unwrap_or_default()
}

fn whole(routes: &[Value], names: &[String]) -> Answer<()> {
    if let Some(route) = routes.iter().find(|route| !names.iter().any(|name| name == target(route)))
    {
        return Err(ApiFault::invalid(format!("No served entity is named '{}'.", target(route))));
    }
    let all: Option<u64> = routes.iter().map(share).sum();
    match all {
        Some(100) => Ok(()),
        _ => Err(ApiFault::invalid("The traffic percentages must add up to 100.")),
    }
}

async fn create(State(workspace): State<Shared>, input: Input) -> Answer<Json<Value>> {
    let name = input.text("name")?.to_owned();
    let config = input.value("config").as_object().cloned().unwrap_or_default();
    let config = checked(&workspace, config, 1)?;
    let document = workspace.store.write(|transaction| {
        if transaction.get::<Value>(ENDPOINT, &name)?.is_some() {
            return Err(ApiFault::exists(format!("Endpoint with name '{name}' already exists.")));
        }
        let mut document = input.0.clone();
        document.remove("config");
        document.extend([
            ("id".to_owned(), json!(uuid::Uuid::new_v4().simple().to_string())),
            ("creator".to_owned(), json!(USER)),
            ("creation_timestamp".to_owned(), json!(clock::now_ms())),
        ]);
        pend(&mut document, config);
        transaction.put(ENDPOINT, &name, &document)?;
        Ok(document)
    })?;
    begin(&workspace, &document);
    Ok(Json(shown(&document)))
}

/// Puts a configuration in front of the one that is served.
fn pend(document: &mut Document, config: Value) {
    if entities(Some(&config)).iter().any(is_version) {
        document.insert("pending_config".into(), config);
        document.insert("config_update".into(), json!("IN_PROGRESS"));
    } else {
        document.remove("pending_config");
        document.insert("config".into(), config);
        document.insert("config_update".into(), json!("NOT_UPDATING"));
    }
}

fn begin(workspace: &Shared, document: &Document) {
    if document.get("config_update") == Some(&json!("IN_PROGRESS"))
        && let Some(name) = document["name"].as_str()
    {
        tokio::spawn(load(workspace.clone(), name.to_owned()));
    }
}

/// Loads what is pending, and serves it once all of it is there.
async fn load(workspace: Shared, name: String) {
    let Ok(document) = find(&workspace, &name) else { return };
    let Some(pending) = document.get("pending_config").cloned() else { return };
    let mut states = Vec::new();
    for entity in entities(Some(&pending)) {
        states.push(match is_version(entity) {
            true => scorer::up(&workspace, &name, &bare(entity))
                .await
                .map_err(|error| format!("{error:#}")),
            false => Ok(()),
        });
    }
    let is_up = states.iter().all(Result::is_ok);
    let mut done = pending.clone();
    let own = done["served_entities"].as_array_mut();
    for (entity, state) in own.into_iter().flatten().zip(&states) {
        entity["state"] = match state {
            Ok(()) => json!({ "deployment": "DEPLOYMENT_READY", "deployment_state_message": "" }),
            Err(why) => {
                json!({ "deployment": "DEPLOYMENT_FAILED", "deployment_state_message": why })
            }
        };
    }
    let ended = change(&workspace, &name, |document| {
        if document.get("pending_config") != Some(&pending) {
            return Err(ApiFault::state("something else is pending now"));
        }
        if is_up {
            document.remove("pending_config");
            document.insert("config".into(), done);
            document.insert("config_update".into(), json!("NOT_UPDATING"));
        } else {
            document.insert("pending_config".into(), done);
            document.insert("config_update".into(), json!("UPDATE_FAILED"));
        }
        Ok(())
    });
    match ended {
        Ok(document) => {
            let served: Vec<Value> = entities(document.get("config")).iter().map(bare).collect();
            workspace.scorers.keep_only(&name, &served);
        }
        Err(fault) => tracing::debug!(%fault, endpoint = name, "the endpoint has gone on"),
    }
}

/// An entity as it was asked for.
fn bare(entity: &Value) -> Value {
    let mut entity = entity.clone();
    if let Some(fields) = entity.as_object_mut() {
        fields.remove("state");
        fields.remove("creator");
    }
    entity
}

async fn read(State(workspace): State<Shared>, Path(name): Path<String>) -> Answer<Json<Value>> {
    Ok(Json(shown(&find(&workspace, &name)?)))
}

async fn list(State(workspace): State<Shared>) -> Answer<Json<Value>> {
    let found = workspace.store.list::<Document>(ENDPOINT, "")?;
    Ok(Json(json!({ "endpoints": found.iter().map(shown).collect::<Vec<_>>() })))
}

async fn remove(State(workspace): State<Shared>, Path(name): Path<String>) -> Answer<Json<Value>> {
    workspace.store.write(|transaction| {
        if transaction.delete(ENDPOINT, &name)? { Ok(()) } else { Err(absent(&name)) }
    })?;
    workspace.scorers.keep_only(&name, &[]);
    Ok(Json(json!({})))
}

async fn configure(
    State(workspace): State<Shared>,
    Path(name): Path<String>,
    input: Input,
) -> Answer<Json<Value>> {
    let there = find(&workspace, &name)?;
    let of = |config: &str| there.get(config).and_then(|config| config["config_version"].as_i64());
    let last = of("pending_config").max(of("config")).unwrap_or(0);
    let config = checked(&workspace, input.0, last + 1)?;
    let document = change(&workspace, &name, |document| {
        if document.get("config_update") == Some(&json!("IN_PROGRESS")) {
            let message = format!(
                "Endpoint '{name}' is being updated: it takes the next change when that has ended."
            );
            return Err(ApiFault { code: "RESOURCE_CONFLICT", ..ApiFault::exists(message) });
        }
        pend(document, config);
        Ok(())
    })?;
    begin(&workspace, &document);
    Ok(Json(shown(&document)))
}

async fn gateway(
    State(workspace): State<Shared>,
    Path(name): Path<String>,
    input: Input,
) -> Answer<Json<Value>> {
    let document = change(&workspace, &name, |document| {
        document.insert("ai_gateway".to_owned(), Value::Object(input.0));
        Ok(())
    })?;
    Ok(Json(shown(&document)))
}

async fn tag(
    State(workspace): State<Shared>,
    Path(name): Path<String>,
    input: Input,
) -> Answer<Json<Value>> {
    let (gone, added) = (input.list("delete_tags"), input.list("add_tags"));
    let document = change(&workspace, &name, |document| {
        let own = document.get("tags").and_then(Value::as_array).cloned().unwrap_or_default();
        let replaced = |tag: &Value| added.iter().any(|other| other["key"] == tag["key"]);
        let mut tags: Vec<Value> =
            own.into_iter().filter(|tag| !gone.contains(&tag["key"]) && !replaced(tag)).collect();
        tags.extend(added.iter().cloned());
        document.insert("tags".into(), json!(tags));
        Ok(())
    })?;
    Ok(Json(json!({ "tags": document["tags"] })))
}

/// The last whole minute of each served version, in Prometheus' text format.
async fn metrics(State(workspace): State<Shared>, Path(name): Path<String>) -> Answer<String> {
    let document = find(&workspace, &name)?;
    let mut text = String::new();
    let kinds = ["request_count_total", "request_4xx_count_total", "request_5xx_count_total"];
    for (which, kind) in kinds.into_iter().enumerate() {
        text += &format!("# TYPE {kind} gauge\n");
        for entity in entities(document.get("config")) {
            let served = entity["name"].as_str().unwrap_or_default();
            let (end, counts) = workspace.scorers.last_minute(&name, served, clock::now_ms());
            text += &format!(
                "{kind}{{endpoint_name=\"{name}\",served_model_name=\"{served}\"}} {} {end}\n",
                counts[which]
            );
        }
    }
    Ok(text)
}

/// The version that a request goes to, by the shares of the traffic.
async fn invoke(
    State(workspace): State<Shared>,
    Path(name): Path<String>,
    body: String,
) -> Answer<Response> {
    let document = find(&workspace, &name)?;
    let config = document.get("config").cloned().unwrap_or_default();
    let routes = config.pointer("/traffic_config/routes").and_then(Value::as_array);
    let mut at = uuid::Uuid::new_v4().as_u128() % 100;
    let served = routes.into_iter().flatten().find(|route| {
        let share = u128::from(share(route).unwrap_or(0));
        let is_it = at < share;
        at = at.saturating_sub(share);
        is_it
    });
    let served = served.map(|route| target(route).to_owned());
    answered(&workspace, &name, &config, served.as_deref(), &body).await
}

async fn invoke_one(
    State(workspace): State<Shared>,
    Path((name, served)): Path<(String, String)>,
    body: String,
) -> Answer<Response> {
    let document = find(&workspace, &name)?;
    let config = document.get("config").cloned().unwrap_or_default();
    answered(&workspace, &name, &config, Some(&served), &body).await
}

async fn answered(
    workspace: &Shared,
    name: &str,
    config: &Value,
    served: Option<&str>,
    body: &str,
) -> Answer<Response> {
    let own = entities(Some(config)).iter().find(|entity| entity["name"].as_str() == served);
    let entity = own.filter(|_| served.is_some()).ok_or_else(|| match served {
        Some(served) => ApiFault::missing(format!("Endpoint '{name}' serves no '{served}'.")),
        None => ApiFault::state(format!("Endpoint '{name}' serves nothing yet.")),
    })?;
    if !is_version(entity) {
        return Err(ApiFault::unsupported("serving of what is no version of a registered model"));
    }
    let (status, text): (StatusCode, String) =
        scorer::ask(workspace, name, &bare(entity), body).await;
    let mut response = (status, text).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Ok(value) = HeaderValue::from_str(served.unwrap_or_default()) {
        headers.insert(HeaderName::from_static("served-model-name"), value);
    }
    Ok(response)
}
