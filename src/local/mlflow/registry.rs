//! The registry dialect that MLflow's client speaks to Unity Catalog.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::routing::{delete, get, patch, post};
use axum::{Json, Router};
use serde_json::{Value, json};

use super::{entries, map_of};
use crate::local::error::{Answer, ApiFault};
use crate::local::input::{Input, page_answer};
use crate::local::unity::models::{Model, Version};
use crate::local::{Shared, USER, Workspace};
use crate::sys::{clock, fs};

pub(super) fn routes() -> Router<Shared> {
    let model = |verb: &str| format!("/api/2.0/mlflow/unity-catalog/registered-models/{verb}");
    let version = |verb: &str| format!("/api/2.0/mlflow/unity-catalog/model-versions/{verb}");
    let uploads = "/api/2.0/mlflow/unity-catalog/registered-models:is-databricks-sdk-models-artifact-repository-enabled";
    Router::new()
        .route(&model("create"), post(create_model))
        .route(&model("get"), get(read_model))
        .route(&model("search"), get(search_models))
        .route(&model("update"), patch(update_model))
        .route(&model("delete"), delete(delete_model))
        .route(&model("alias"), get(read_alias).post(set_alias).delete(delete_alias))
        .route(&model("set-tag"), post(set_model_tag))
        .route(&model("delete-tag"), delete(delete_model_tag))
        .route(&version("create"), post(create_version))
        .route(&version("finalize"), post(finalize))
        .route(&version("get"), get(read_version))
        .route(&version("search"), get(search_versions))
        .route(&version("update"), patch(update_version))
        .route(&version("delete"), delete(delete_version))
        .route(&version("set-tag"), post(set_version_tag))
        .route(&version("delete-tag"), delete(delete_version_tag))
        .route(&version("get-download-uri"), get(download_uri))
        .route(&version("emit-lineage"), post(|| async { Json(json!({})) }))
        // Files go through the Files API, so that no cloud's credentials are needed.
        .route(
            uploads,
            get(|| async {
                Json(json!({ "is_databricks_sdk_models_artifact_repository_enabled": true }))
            }),
        )
}

fn show_model(model: &Model) -> Value {
    let aliases = model
        .aliases
        .iter()
        .map(|(alias, version)| json!({ "alias": alias, "version": version.to_string() }));
    json!({
        "name": model.full_name,
        "creation_timestamp": model.created_at,
        "last_updated_timestamp": model.updated_at,
        "user_id": USER,
        "description": model.comment,
        "aliases": aliases.collect::<Vec<_>>(),
        "tags": entries(&model.tags),
    })
}

fn show_version(version: &Version, model: &Model) -> Value {
    let aliases = model.aliases.iter().filter(|(_, number)| **number == version.version);
    json!({
        "name": version.model,
        "version": version.version.to_string(),
        "creation_timestamp": version.created_at,
        "last_updated_timestamp": version.updated_at,
        "user_id": USER,
        "description": version.comment,
        "source": version.source,
        "run_id": version.run_id,
        "model_id": version.model_id,
        "status": version.status,
        "storage_location": version.folder(),
        "aliases": aliases.map(|(alias, number)| json!({ "alias": alias, "version": number.to_string() })).collect::<Vec<_>>(),
        "tags": entries(&version.tags),
    })
}

impl Workspace {
    fn shown_version(&self, version: &Version) -> Answer<Json<Value>> {
        Ok(Json(json!({ "model_version": show_version(version, &self.model(&version.model)?) })))
    }
}

fn number(input: &Input) -> Answer<u64> {
    let number = input.int("version")?;
    u64::try_from(number)
        .ok()
        .ok_or_else(|| ApiFault::invalid(format!("'{number}' is not a version")))
}

async fn create_model(State(workspace): State<Shared>, input: Input) -> Answer<Json<Value>> {
    let comment = input.text_opt("description").unwrap_or_default();
    let model =
        workspace.create_model(input.text("name")?, comment, map_of(&input.list("tags")))?;
    Ok(Json(json!({ "registered_model": show_model(&model) })))
}

async fn read_model(State(workspace): State<Shared>, input: Input) -> Answer<Json<Value>> {
    Ok(Json(json!({ "registered_model": show_model(&workspace.model(input.text("name")?)?) })))
}

async fn search_models(State(workspace): State<Shared>, input: Input) -> Answer<Json<Value>> {
    let models = workspace.all_models()?.iter().map(show_model).collect();
    Ok(page_answer(&input, "registered_models", models, "max_results", 100))
}

async fn update_model(State(workspace): State<Shared>, input: Input) -> Answer<Json<Value>> {
    if input.text_opt("new_name").is_some() {
        return Err(ApiFault::unsupported("renaming a registered model"));
    }
    let model = workspace.change_model(input.text("name")?, |model| {
        input.text_opt("description").unwrap_or_default().clone_into(&mut model.comment);
        Ok(())
    })?;
    Ok(Json(json!({ "registered_model": show_model(&model) })))
}

async fn delete_model(State(workspace): State<Shared>, input: Input) -> Answer<Json<Value>> {
    workspace.delete_model(input.text("name")?)?;
    Ok(Json(json!({})))
}

async fn read_alias(State(workspace): State<Shared>, input: Input) -> Answer<Json<Value>> {
    let version = workspace.version_by_alias(input.text("name")?, input.text("alias")?)?;
    workspace.shown_version(&version)
}

async fn set_alias(State(workspace): State<Shared>, input: Input) -> Answer<Json<Value>> {
    workspace.set_alias(input.text("name")?, input.text("alias")?, number(&input)?)?;
    Ok(Json(json!({})))
}

async fn delete_alias(State(workspace): State<Shared>, input: Input) -> Answer<Json<Value>> {
    workspace.remove_alias(input.text("name")?, input.text("alias")?)?;
    Ok(Json(json!({})))
}

async fn set_model_tag(State(workspace): State<Shared>, input: Input) -> Answer<Json<Value>> {
    let (key, value) = (input.text("key")?, input.text_opt("value").unwrap_or_default());
    workspace.change_model(input.text("name")?, |model| {
        model.tags.insert(key.into(), value.into());
        Ok(())
    })?;
    Ok(Json(json!({})))
}

async fn delete_model_tag(State(workspace): State<Shared>, input: Input) -> Answer<Json<Value>> {
    let key = input.text("key")?;
    workspace.change_model(input.text("name")?, |model| {
        model.tags.remove(key);
        Ok(())
    })?;
    Ok(Json(json!({})))
}

async fn create_version(State(workspace): State<Shared>, input: Input) -> Answer<Json<Value>> {
    let name = input.text("name")?;
    let now = clock::now_ms();
    let version = Version {
        model: name.to_owned(),
        version: 0,
        status: "PENDING_REGISTRATION".into(),
        source: input.text("source")?.to_owned(),
        run_id: input.text_opt("run_id").map(str::to_owned),
        model_id: input.text_opt("model_id").map(str::to_owned),
        comment: input.text_opt("description").unwrap_or_default().to_owned(),
        tags: map_of(&input.list("tags")),
        created_at: now,
        updated_at: now,
    };
    workspace.shown_version(&workspace.create_version(name, version)?)
}

/// A version is ready once its files are there: `MLmodel` at the least.
async fn finalize(State(workspace): State<Shared>, input: Input) -> Answer<Json<Value>> {
    let (name, number) = (input.text("name")?, number(&input)?);
    let folder = workspace.file_path(&workspace.version(name, number)?.folder())?;
    let files = if folder.is_dir() { fs::files_below(&folder)? } else { Vec::new() };
    let status = if files.iter().any(|file| file.ends_with("MLmodel")) {
        "READY"
    } else {
        "FAILED_REGISTRATION"
    };
    let version = workspace.change_version(name, number, |version| {
        status.clone_into(&mut version.status);
        Ok(())
    })?;
    workspace.shown_version(&version)
}

async fn read_version(State(workspace): State<Shared>, input: Input) -> Answer<Json<Value>> {
    workspace.shown_version(&workspace.version(input.text("name")?, number(&input)?)?)
}

/// The filters that Unity Catalog takes: `name = '…'` or `run_id = '…'`.
async fn search_versions(State(workspace): State<Shared>, input: Input) -> Answer<Json<Value>> {
    let filter = input.text_opt("filter").unwrap_or_default();
    let wanted = filter
        .split_once('=')
        .map(|(field, value)| (field.trim(), value.trim().trim_matches(['\'', '"'])));
    let models: BTreeMap<String, Model> =
        workspace.all_models()?.into_iter().map(|model| (model.full_name.clone(), model)).collect();
    let mut found = Vec::new();
    for (name, model) in &models {
        for version in workspace.versions(name)? {
            let matches = match wanted {
                Some(("name", value)) => name == value,
                Some(("run_id", value)) => version.run_id.as_deref() == Some(value),
                None if filter.is_empty() => true,
                _ => return Err(ApiFault::invalid(format!("Invalid filter string: {filter}"))),
            };
            if matches {
                found.push(show_version(&version, model));
            }
        }
    }
    found.reverse();
    Ok(page_answer(&input, "model_versions", found, "max_results", 10_000))
}

async fn update_version(State(workspace): State<Shared>, input: Input) -> Answer<Json<Value>> {
    let version = workspace.change_version(input.text("name")?, number(&input)?, |version| {
        input.text_opt("description").unwrap_or_default().clone_into(&mut version.comment);
        Ok(())
    })?;
    workspace.shown_version(&version)
}

async fn delete_version(State(workspace): State<Shared>, input: Input) -> Answer<Json<Value>> {
    workspace.delete_version(input.text("name")?, number(&input)?)?;
    Ok(Json(json!({})))
}

async fn set_version_tag(State(workspace): State<Shared>, input: Input) -> Answer<Json<Value>> {
    let (key, value) = (input.text("key")?, input.text_opt("value").unwrap_or_default());
    workspace.change_version(input.text("name")?, number(&input)?, |version| {
        version.tags.insert(key.into(), value.into());
        Ok(())
    })?;
    Ok(Json(json!({})))
}

async fn delete_version_tag(State(workspace): State<Shared>, input: Input) -> Answer<Json<Value>> {
    let key = input.text("key")?;
    workspace.change_version(input.text("name")?, number(&input)?, |version| {
        version.tags.remove(key);
        Ok(())
    })?;
    Ok(Json(json!({})))
}

async fn download_uri(State(workspace): State<Shared>, input: Input) -> Answer<Json<Value>> {
    let version = workspace.version(input.text("name")?, number(&input)?)?;
    Ok(Json(json!({ "artifact_uri": version.folder() })))
}
