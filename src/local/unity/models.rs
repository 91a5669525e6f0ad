//! Registered models, their versions, aliases and tags.
//!
//! One document per model and per version serves both dialects: the 2.1 API
//! here and MLflow's registry dialect beside the tracking API.

use std::collections::BTreeMap;

use axum::extract::{Path, State};
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::local::error::{Answer, ApiFault};
use crate::local::input::{Input, page_answer};
use crate::local::store::Transaction;
use crate::local::{Shared, USER, Workspace, paths};
use crate::names::{Alias, ModelName, NameError};
use crate::sys::{clock, fs};

const MODEL: &str = "model";
const VERSION: &str = "model_version";

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Model {
    pub(crate) full_name: String,
    pub(crate) comment: String,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
    pub(crate) aliases: BTreeMap<String, u64>,
    pub(crate) tags: BTreeMap<String, String>,
    /// The last number given; numbers are never used again.
    pub(crate) last_version: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Version {
    pub(crate) model: String,
    pub(crate) version: u64,
    pub(crate) status: String,
    pub(crate) source: String,
    pub(crate) run_id: Option<String>,
    pub(crate) model_id: Option<String>,
    pub(crate) comment: String,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
}

impl Version {
    fn id(model: &str, version: u64) -> String {
        // Padded, so that versions are listed in their order.
        format!("{model}#{version:09}")
    }

    /// Where the version's files are, as a path of the Files API.
    pub(crate) fn folder(&self) -> String {
        format!("/Models/{}/{}", self.model.replace('.', "/"), self.version)
    }
}

pub(crate) fn routes() -> Router<Shared> {
    let model = "/api/2.1/unity-catalog/models/{name}";
    Router::new()
        .route("/api/2.1/unity-catalog/models", get(list).post(create))
        .route(model, get(read).patch(update).delete(delete))
        .route(&format!("{model}/versions"), get(list_versions))
        .route(
            &format!("{model}/versions/{{version}}"),
            get(read_version).patch(update_version).delete(delete_version),
        )
        .route(
            &format!("{model}/aliases/{{alias}}"),
            get(read_alias).put(set_alias).delete(delete_alias),
        )
}

pub(crate) fn absent(name: &str) -> ApiFault {
    ApiFault::missing(format!("Registered model '{name}' does not exist."))
}

pub(crate) fn absent_version(name: &str, version: u64) -> ApiFault {
    ApiFault::missing(format!("Model version {version} of '{name}' does not exist."))
}

pub(crate) fn load(transaction: &Transaction<'_>, name: &str) -> Answer<Model> {
    transaction.get(MODEL, name)?.ok_or_else(|| absent(name))
}

impl Workspace {
    pub(crate) fn model(&self, name: &str) -> Answer<Model> {
        self.store.get(MODEL, name)?.ok_or_else(|| absent(name))
    }

    pub(crate) fn all_models(&self) -> Answer<Vec<Model>> {
        self.store.list(MODEL, "")
    }

    pub(crate) fn version(&self, name: &str, version: u64) -> Answer<Version> {
        self.model(name)?;
        self.store
            .get(VERSION, &Version::id(name, version))?
            .ok_or_else(|| absent_version(name, version))
    }

    pub(crate) fn versions(&self, name: &str) -> Answer<Vec<Version>> {
        self.store.list(VERSION, &format!("{name}#"))
    }

    pub(crate) fn create_model(
        &self,
        name: &str,
        comment: &str,
        tags: BTreeMap<String, String>,
    ) -> Answer<Model> {
        let parsed: ModelName =
            name.parse().map_err(|error: NameError| ApiFault::invalid(error.to_string()))?;
        let now = clock::now_ms();
        let model = Model {
            full_name: name.to_owned(),
            comment: comment.to_owned(),
            created_at: now,
            updated_at: now,
            aliases: BTreeMap::new(),
            tags,
            last_version: 0,
        };
        self.store.write(|transaction| {
            let schema = parsed.schema_name().to_string();
            if transaction.get::<Value>("schema", &schema)?.is_none() {
                return Err(ApiFault::missing(format!("Schema '{schema}' does not exist.")));
            }
            if transaction.get::<Value>(MODEL, name)?.is_some() {
                return Err(ApiFault::exists(format!("Registered model '{name}' already exists")));
            }
            transaction.put(MODEL, name, &model)
        })?;
        Ok(model)
    }

    pub(crate) fn change_model(
        &self,
        name: &str,
        change: impl FnOnce(&mut Model) -> Answer<()>,
    ) -> Answer<Model> {
        self.store.write(|transaction| {
            let mut model = load(transaction, name)?;
            change(&mut model)?;
            model.updated_at = clock::now_ms();
            transaction.put(MODEL, name, &model)?;
            Ok(model)
        })
    }

    /// Deletes a model. Versions go with it only on the 2.1 API's `force`.
    pub(crate) fn delete_model(&self, name: &str) -> Answer<()> {
        self.store.write(|transaction| {
            load(transaction, name)?;
            for version in transaction.list::<Version>(VERSION, &format!("{name}#"))? {
                transaction.delete(VERSION, &Version::id(name, version.version))?;
            }
            transaction.delete(MODEL, name)
        })?;
        Ok(fs::remove(paths::below(
            &self.dir.join("files"),
            &format!("/Models/{}", name.replace('.', "/")),
        )?)?)
    }

    /// Gives the next number to a version that waits for its files.
    pub(crate) fn create_version(&self, name: &str, mut version: Version) -> Answer<Version> {
        self.store.write(|transaction| {
            let mut model = load(transaction, name)?;
            model.last_version += 1;
            version.version = model.last_version;
            transaction.put(MODEL, name, &model)?;
            transaction.put(VERSION, &Version::id(name, version.version), &version)?;
            Ok(version)
        })
    }

    pub(crate) fn change_version(
        &self,
        name: &str,
        number: u64,
        change: impl FnOnce(&mut Version) -> Answer<()>,
    ) -> Answer<Version> {
        self.store.write(|transaction| {
            load(transaction, name)?;
            let id = Version::id(name, number);
            let mut version: Version =
                transaction.get(VERSION, &id)?.ok_or_else(|| absent_version(name, number))?;
            change(&mut version)?;
            version.updated_at = clock::now_ms();
            transaction.put(VERSION, &id, &version)?;
            Ok(version)
        })
    }

    pub(crate) fn delete_version(&self, name: &str, number: u64) -> Answer<()> {
        let folder = self.version(name, number)?.folder();
        self.store.write(|transaction| {
            let mut model = load(transaction, name)?;
            if let Some((alias, _)) = model.aliases.iter().find(|(_, version)| **version == number)
            {
                return Err(ApiFault::state(format!(
                    "Model version {number} of '{name}' is the alias '{alias}'"
                )));
            }
            model.updated_at = clock::now_ms();
            transaction.put(MODEL, name, &model)?;
            transaction.delete(VERSION, &Version::id(name, number))
        })?;
        Ok(fs::remove(paths::below(&self.dir.join("files"), &folder)?)?)
    }

    pub(crate) fn set_alias(&self, name: &str, alias: &str, number: u64) -> Answer<Model> {
        let alias: Alias =
            alias.parse().map_err(|error: NameError| ApiFault::invalid(error.to_string()))?;
        self.version(name, number)?;
        self.change_model(name, |model| {
            model.aliases.insert(alias.to_string(), number);
            Ok(())
        })
    }

    pub(crate) fn remove_alias(&self, name: &str, alias: &str) -> Answer<()> {
        self.change_model(name, |model| match model.aliases.remove(alias) {
            Some(_) => Ok(()),
            None => Err(absent_alias(name, alias)),
        })?;
        Ok(())
    }

    pub(crate) fn version_by_alias(&self, name: &str, alias: &str) -> Answer<Version> {
        let number = self
            .model(name)?
            .aliases
            .get(alias)
            .copied()
            .ok_or_else(|| absent_alias(name, alias))?;
        self.version(name, number)
    }
}

fn absent_alias(name: &str, alias: &str) -> ApiFault {
    ApiFault::missing(format!("Alias '{alias}' does not exist on registered model '{name}'."))
}

fn show_model(model: &Model) -> Value {
    let parts: Vec<_> = model.full_name.split('.').collect();
    let aliases = model
        .aliases
        .iter()
        .map(|(alias, version)| json!({ "alias_name": alias, "version_num": version }));
    json!({
        "full_name": model.full_name,
        "catalog_name": parts.first(),
        "schema_name": parts.get(1),
        "name": parts.get(2),
        "comment": model.comment,
        "owner": USER,
        "created_at": model.created_at,
        "created_by": USER,
        "updated_at": model.updated_at,
        "storage_location": format!("/Models/{}", model.full_name.replace('.', "/")),
        "aliases": aliases.collect::<Vec<_>>(),
    })
}

fn show_version(version: &Version, model: &Model) -> Value {
    let parts: Vec<_> = version.model.split('.').collect();
    let aliases = model.aliases.iter().filter(|(_, number)| **number == version.version);
    json!({
        "catalog_name": parts.first(),
        "schema_name": parts.get(1),
        "model_name": parts.get(2),
        "version": version.version,
        "status": version.status,
        "source": version.source,
        "run_id": version.run_id,
        "comment": version.comment,
        "storage_location": version.folder(),
        "created_at": version.created_at,
        "created_by": USER,
        "updated_at": version.updated_at,
        "aliases": aliases.map(|(alias, number)| json!({ "alias_name": alias, "version_num": number })).collect::<Vec<_>>(),
    })
}

async fn list(State(workspace): State<Shared>, input: Input) -> Answer<Json<Value>> {
    let prefix = match (input.text_opt("catalog_name"), input.text_opt("schema_name")) {
        (Some(catalog), Some(schema)) => format!("{catalog}.{schema}."),
        _ => String::new(),
    };
    let models: Vec<Model> = workspace.store.list(MODEL, &prefix)?;
    Ok(page_answer(
        &input,
        "registered_models",
        models.iter().map(show_model).collect(),
        "max_results",
        1000,
    ))
}

async fn create(State(workspace): State<Shared>, input: Input) -> Answer<Json<Value>> {
    let name = format!(
        "{}.{}.{}",
        input.text("catalog_name")?,
        input.text("schema_name")?,
        input.text("name")?
    );
    let model = workspace.create_model(
        &name,
        input.text_opt("comment").unwrap_or_default(),
        BTreeMap::new(),
    )?;
    Ok(Json(show_model(&model)))
}

async fn read(State(workspace): State<Shared>, Path(name): Path<String>) -> Answer<Json<Value>> {
    Ok(Json(show_model(&workspace.model(&name)?)))
}

async fn update(
    State(workspace): State<Shared>,
    Path(name): Path<String>,
    input: Input,
) -> Answer<Json<Value>> {
    let model = workspace.change_model(&name, |model| {
        if let Some(comment) = input.text_opt("comment") {
            comment.clone_into(&mut model.comment);
        }
        Ok(())
    })?;
    Ok(Json(show_model(&model)))
}

async fn delete(State(workspace): State<Shared>, Path(name): Path<String>) -> Answer<Json<Value>> {
    workspace.delete_model(&name)?;
    Ok(Json(json!({})))
}

async fn list_versions(
    State(workspace): State<Shared>,
    Path(name): Path<String>,
    input: Input,
) -> Answer<Json<Value>> {
    let model = workspace.model(&name)?;
    let mut versions = workspace.versions(&name)?;
    versions.reverse();
    let shown = versions.iter().map(|version| show_version(version, &model)).collect();
    Ok(page_answer(&input, "model_versions", shown, "max_results", 1000))
}

async fn read_version(
    State(workspace): State<Shared>,
    Path((name, version)): Path<(String, u64)>,
) -> Answer<Json<Value>> {
    let found = workspace.version(&name, version)?;
    Ok(Json(show_version(&found, &workspace.model(&name)?)))
}

async fn update_version(
    State(workspace): State<Shared>,
    Path((name, version)): Path<(String, u64)>,
    input: Input,
) -> Answer<Json<Value>> {
    let changed = workspace.change_version(&name, version, |version| {
        if let Some(comment) = input.text_opt("comment") {
            comment.clone_into(&mut version.comment);
        }
        Ok(())
    })?;
    Ok(Json(show_version(&changed, &workspace.model(&name)?)))
}

async fn delete_version(
    State(workspace): State<Shared>,
    Path((name, version)): Path<(String, u64)>,
) -> Answer<Json<Value>> {
    workspace.delete_version(&name, version)?;
    Ok(Json(json!({})))
}

async fn read_alias(
    State(workspace): State<Shared>,
    Path((name, alias)): Path<(String, String)>,
) -> Answer<Json<Value>> {
    let version = workspace.version_by_alias(&name, &alias)?;
    Ok(Json(show_version(&version, &workspace.model(&name)?)))
}

async fn set_alias(
    State(workspace): State<Shared>,
    Path((name, alias)): Path<(String, String)>,
    input: Input,
) -> Answer<Json<Value>> {
    let number = u64::try_from(input.int("version_num")?).unwrap_or(0);
    workspace.set_alias(&name, &alias, number)?;
    Ok(Json(json!({ "alias_name": alias, "version_num": number })))
}

async fn delete_alias(
    State(workspace): State<Shared>,
    Path((name, alias)): Path<(String, String)>,
) -> Answer<Json<Value>> {
    workspace.remove_alias(&name, &alias)?;
    Ok(Json(json!({})))
}
