//! Resources that are kept as they were defined, and do nothing here: pipelines,
//! dashboards, quality monitors. Asked to work, each says so.

use axum::extract::{Path, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Map, Value, json};

use super::error::{Answer, ApiFault};
use super::input::{Input, page_answer};
use super::store::Kind;
use super::{Shared, USER};
use crate::sys::clock;

const PIPELINE: Kind = "pipeline";
const DASHBOARD: Kind = "dashboard";
const MONITOR: Kind = "quality_monitor";

pub(crate) fn routes() -> Router<Shared> {
    Router::new().merge(pipelines()).merge(dashboards()).merge(monitors())
}

fn absent(kind: Kind, id: &str) -> ApiFault {
    ApiFault::missing(format!("The {} '{id}' does not exist.", kind.replace('_', " ")))
}

fn find(workspace: &Shared, kind: Kind, id: &str) -> Answer<Map<String, Value>> {
    workspace.store.get(kind, id)?.ok_or_else(|| absent(kind, id))
}

/// Changes a document as a whole.
fn change(
    workspace: &Shared,
    kind: Kind,
    id: &str,
    change: impl FnOnce(&mut Map<String, Value>) -> Answer<()>,
) -> Answer<Map<String, Value>> {
    workspace.store.write(|transaction| {
        let mut document: Map<String, Value> =
            transaction.get(kind, id)?.ok_or_else(|| absent(kind, id))?;
        change(&mut document)?;
        transaction.put(kind, id, &document)?;
        Ok(document)
    })
}

fn remove(workspace: &Shared, kind: Kind, id: &str) -> Answer<Json<Value>> {
    workspace.store.write(|transaction| {
        if transaction.delete(kind, id)? { Ok(Json(json!({}))) } else { Err(absent(kind, id)) }
    })
}

fn pipelines() -> Router<Shared> {
    let idle = || async { ApiFault::unsupported("updates of pipelines: they are kept, not run") };
    Router::new()
        .route("/api/2.0/pipelines", get(list_pipelines).post(create_pipeline))
        .route(
            "/api/2.0/pipelines/{id}",
            get(read_pipeline).put(replace_pipeline).delete(
                |State(workspace): State<Shared>, Path(id): Path<String>| async move {
                    remove(&workspace, PIPELINE, &id)
                },
            ),
        )
        .route("/api/2.0/pipelines/{id}/updates", post(idle))
        .route("/api/2.0/pipelines/{id}/stop", post(|| async { Json(json!({})) }))
}

fn pipeline(spec: &Map<String, Value>) -> Value {
    let mut spec = spec.clone();
    let id = spec.remove("pipeline_id");
    spec.insert("id".into(), json!(id));
    json!({
        "pipeline_id": id,
        "name": spec.get("name"),
        "creator_user_name": USER,
        "run_as_user_name": USER,
        "state": "IDLE",
        "spec": spec,
    })
}

async fn create_pipeline(State(workspace): State<Shared>, input: Input) -> Answer<Json<Value>> {
    input.text("name")?;
    let id = uuid::Uuid::new_v4().to_string();
    let mut spec = input.0;
    spec.insert("pipeline_id".into(), json!(id));
    workspace.store.put(PIPELINE, &id, &spec)?;
    Ok(Json(json!({ "pipeline_id": id })))
}

async fn read_pipeline(
    State(workspace): State<Shared>,
    Path(id): Path<String>,
) -> Answer<Json<Value>> {
    Ok(Json(pipeline(&find(&workspace, PIPELINE, &id)?)))
}

async fn replace_pipeline(
    State(workspace): State<Shared>,
    Path(id): Path<String>,
    input: Input,
) -> Answer<Json<Value>> {
    change(&workspace, PIPELINE, &id, |spec| {
        *spec = input.0;
        spec.remove("id");
        spec.insert("pipeline_id".into(), json!(id));
        Ok(())
    })?;
    Ok(Json(json!({})))
}

async fn list_pipelines(State(workspace): State<Shared>, input: Input) -> Answer<Json<Value>> {
    let found = workspace.store.list::<Map<String, Value>>(PIPELINE, "")?;
    let found = found.iter().map(pipeline).collect();
    Ok(page_answer(&input, "statuses", found, "max_results", 25))
}

fn dashboards() -> Router<Shared> {
    let all = "/api/2.0/lakeview/dashboards";
    Router::new()
        .route(all, get(list_dashboards).post(create_dashboard))
        .route(
            "/api/2.0/lakeview/dashboards/{id}",
            get(read_dashboard).patch(update_dashboard).delete(trash_dashboard),
        )
        .route(
            "/api/2.0/lakeview/dashboards/{id}/published",
            get(read_published).post(publish).delete(unpublish),
        )
}

async fn create_dashboard(State(workspace): State<Shared>, input: Input) -> Answer<Json<Value>> {
    let mut document = input.0.clone();
    let id = uuid::Uuid::new_v4().simple().to_string();
    let parent = input.text_opt("parent_path").unwrap_or("/Users").to_owned();
    let path = format!("{parent}/{}.lvdash.json", input.text("display_name")?);
    let taken = workspace.store.list::<Map<String, Value>>(DASHBOARD, "")?;
    if taken
        .iter()
        .any(|other| other["path"] == path.as_str() && other["lifecycle_state"] == "ACTIVE")
    {
        return Err(ApiFault::exists(format!("Path ({path}) already exists.")));
    }
    document.extend([
        ("dashboard_id".to_owned(), json!(id)),
        ("path".to_owned(), json!(path)),
        ("parent_path".to_owned(), json!(parent)),
        ("lifecycle_state".to_owned(), json!("ACTIVE")),
        ("etag".to_owned(), json!("1")),
    ]);
    workspace.store.put(DASHBOARD, &id, &document)?;
    Ok(Json(Value::Object(document)))
}

async fn read_dashboard(
    State(workspace): State<Shared>,
    Path(id): Path<String>,
) -> Answer<Json<Value>> {
    let mut document = find(&workspace, DASHBOARD, &id)?;
    document.remove("published");
    Ok(Json(Value::Object(document)))
}

async fn list_dashboards(State(workspace): State<Shared>, input: Input) -> Answer<Json<Value>> {
    let found = workspace.store.list::<Value>(DASHBOARD, "")?;
    let found = found.into_iter().filter(|found| found["lifecycle_state"] == "ACTIVE").collect();
    Ok(page_answer(&input, "dashboards", found, "page_size", 100))
}

async fn update_dashboard(
    State(workspace): State<Shared>,
    Path(id): Path<String>,
    input: Input,
) -> Answer<Json<Value>> {
    let mut document = change(&workspace, DASHBOARD, &id, |document| {
        let etag = document["etag"].as_str().and_then(|etag| etag.parse::<u64>().ok()).unwrap_or(0);
        if input.text_opt("etag").is_some_and(|given| given != etag.to_string()) {
            return Err(ApiFault::exists("The dashboard was modified in the meantime."));
        }
        for field in ["display_name", "serialized_dashboard", "warehouse_id"] {
            if let Some(value) = input.0.get(field) {
                document.insert(field.into(), value.clone());
            }
        }
        document.insert("etag".into(), json!((etag + 1).to_string()));
        Ok(())
    })?;
    document.remove("published");
    Ok(Json(Value::Object(document)))
}

async fn trash_dashboard(
    State(workspace): State<Shared>,
    Path(id): Path<String>,
) -> Answer<Json<Value>> {
    change(&workspace, DASHBOARD, &id, |document| {
        document.insert("lifecycle_state".into(), json!("TRASHED"));
        Ok(())
    })?;
    Ok(Json(json!({})))
}

async fn publish(
    State(workspace): State<Shared>,
    Path(id): Path<String>,
    input: Input,
) -> Answer<Json<Value>> {
    let mut document = change(&workspace, DASHBOARD, &id, |document| {
        let published = json!({
            "display_name": document["display_name"],
            "embed_credentials": input.flag("embed_credentials"),
            "warehouse_id": input.value("warehouse_id"),
            "revision_create_time": clock::now().to_string(),
        });
        document.insert("published".into(), published);
        Ok(())
    })?;
    Ok(Json(document.remove("published").unwrap_or_default()))
}

async fn read_published(
    State(workspace): State<Shared>,
    Path(id): Path<String>,
) -> Answer<Json<Value>> {
    let published = find(&workspace, DASHBOARD, &id)?.remove("published");
    published.map(Json).ok_or_else(|| absent("published dashboard", &id))
}

async fn unpublish(State(workspace): State<Shared>, Path(id): Path<String>) -> Answer<Json<Value>> {
    change(&workspace, DASHBOARD, &id, |document| {
        document.remove("published");
        Ok(())
    })?;
    Ok(Json(json!({})))
}

fn monitors() -> Router<Shared> {
    let idle = || async { ApiFault::unsupported("refreshes of monitors: they are kept, not run") };
    Router::new()
        .route(
            "/api/2.1/unity-catalog/tables/{name}/monitor",
            get(read_monitor).post(create_monitor).put(replace_monitor).delete(
                |State(workspace): State<Shared>, Path(name): Path<String>| async move {
                    remove(&workspace, MONITOR, &name)
                },
            ),
        )
        .route("/api/2.1/unity-catalog/tables/{name}/monitor/refreshes", post(idle))
}

async fn create_monitor(
    State(workspace): State<Shared>,
    Path(name): Path<String>,
    input: Input,
) -> Answer<Json<Value>> {
    if workspace.store.get::<Value>("table", &name)?.is_none() {
        return Err(ApiFault::missing(format!("Table '{name}' does not exist.")));
    }
    if workspace.store.get::<Value>(MONITOR, &name)?.is_some() {
        return Err(ApiFault::exists(format!("A monitor of '{name}' already exists.")));
    }
    let (short, schema) = (name.replace('.', "_"), input.text("output_schema_name")?.to_owned());
    let mut document = input.0.clone();
    document.extend([
        ("table_name".to_owned(), json!(name)),
        ("status".to_owned(), json!("MONITOR_STATUS_ACTIVE")),
        ("monitor_version".to_owned(), json!(0)),
        (
            "profile_metrics_table_name".to_owned(),
            json!(format!("{schema}.{short}_profile_metrics")),
        ),
        ("drift_metrics_table_name".to_owned(), json!(format!("{schema}.{short}_drift_metrics"))),
    ]);
    workspace.store.put(MONITOR, &name, &document)?;
    Ok(Json(Value::Object(document)))
}

async fn read_monitor(
    State(workspace): State<Shared>,
    Path(name): Path<String>,
) -> Answer<Json<Value>> {
    Ok(Json(Value::Object(find(&workspace, MONITOR, &name)?)))
}

async fn replace_monitor(
    State(workspace): State<Shared>,
    Path(name): Path<String>,
    input: Input,
) -> Answer<Json<Value>> {
    let document = change(&workspace, MONITOR, &name, |document| {
        let version = document["monitor_version"].as_i64().unwrap_or(0) + 1;
        document.extend(input.0);
        document.insert("monitor_version".into(), json!(version));
        Ok(())
    })?;
    Ok(Json(Value::Object(document)))
}
