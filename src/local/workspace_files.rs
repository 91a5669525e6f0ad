//! Workspace files, folders and notebooks.

use std::path::PathBuf;

use axum::body::Bytes;
use axum::extract::{FromRequest as _, Multipart, Path, Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::error::{Answer, ApiFault};
use super::input::Input;
use super::store::Transaction;
use super::{Shared, Workspace, paths};
use crate::sys::{clock, fs};

/// The first line of a notebook in source form.
const NOTEBOOK: &[u8] = b"# Databricks notebook source";

const KIND: &str = "workspace";

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Object {
    path: String,
    object_type: String,
    object_id: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    language: Option<String>,
    #[serde(default)]
    created_at: i64,
    #[serde(default)]
    modified_at: i64,
    #[serde(default)]
    size: u64,
    /// Where the bytes are, below the workspace's file folder.
    #[serde(default)]
    file: String,
}

impl Object {
    fn shown(&self) -> Value {
        let mut shown = json!({
            "path": self.path,
            "object_type": self.object_type,
            "object_id": self.object_id,
            "resource_id": self.object_id.to_string(),
            "created_at": self.created_at,
            "modified_at": self.modified_at,
        });
        if let Some(language) = &self.language {
            shown["language"] = json!(language);
        }
        if self.object_type == "FILE" {
            shown["size"] = json!(self.size);
        }
        shown
    }
}

pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route("/api/2.0/workspace/mkdirs", post(mkdirs))
        .route("/api/2.0/workspace/import", post(import))
        .route("/api/2.0/workspace-files/import-file/{*path}", post(import_file))
        .route("/api/2.0/workspace-files/{*path}", get(read_file))
        .route("/api/2.0/workspace/export", get(export))
        .route("/api/2.0/workspace/get-status", get(status))
        .route("/api/2.0/workspace/list", get(list))
        .route("/api/2.0/workspace/delete", post(delete))
}

/// `/Workspace/a` and `/a` are the same object.
fn object_path(path: &str) -> Answer<String> {
    let normal = paths::normal(path)?;
    Ok(match normal.strip_prefix("/Workspace") {
        Some("") => "/".to_owned(),
        Some(rest) if rest.starts_with('/') => rest.to_owned(),
        _ => normal,
    })
}

impl Workspace {
    fn workspace_root(&self) -> PathBuf {
        self.dir.join("workspace")
    }

    /// The file behind a workspace path, for tasks that run it. Notebooks are
    /// named without their ending.
    pub(crate) fn workspace_file(&self, path: &str) -> Answer<PathBuf> {
        let path = object_path(path)?;
        let found = self.store.get::<Object>(KIND, &path)?;
        let object = found.filter(|object| object.object_type != "DIRECTORY").ok_or_else(|| {
            ApiFault::missing(format!("Unable to access the file or notebook \"{path}\""))
        })?;
        paths::below(&self.workspace_root(), &object.file)
    }
}

async fn mkdirs(State(workspace): State<Shared>, input: Input) -> Answer<Json<Value>> {
    let path = object_path(input.text("path")?)?;
    workspace.store.write(|transaction| make_folders(transaction, &path))?;
    Ok(Json(json!({})))
}

fn make_folders(transaction: &mut Transaction<'_>, path: &str) -> Answer<()> {
    let mut folder = String::new();
    for part in paths::parts(path)? {
        folder = format!("{folder}/{part}");
        match transaction.get::<Object>(KIND, &folder)? {
            Some(found) if found.object_type == "DIRECTORY" => {}
            Some(_) => return Err(ApiFault::exists(format!("`{folder}` is a file, not a folder"))),
            None => {
                let object_id = transaction.next("object")?;
                let now = clock::now_ms();
                let object = Object {
                    path: folder.clone(),
                    object_type: "DIRECTORY".into(),
                    object_id,
                    language: None,
                    created_at: now,
                    modified_at: now,
                    size: 0,
                    file: String::new(),
                };
                transaction.put(KIND, &folder, &object)?;
            }
        }
    }
    Ok(())
}

/// `POST import-file/<path>`: the bytes as they are. A missing parent folder
/// is 404, as callers rely on.
async fn import_file(
    State(workspace): State<Shared>,
    Path(path): Path<String>,
    axum::extract::Query(query): axum::extract::Query<std::collections::HashMap<String, String>>,
    body: Bytes,
) -> Answer<Json<Value>> {
    let path = object_path(&format!("/{path}"))?;
    let overwrite = query.get("overwrite").is_some_and(|flag| flag == "true");
    let notebook = path.ends_with(".py") && body.starts_with(NOTEBOOK);
    save(&workspace, &path, &body, overwrite, notebook, false)?;
    Ok(Json(json!({})))
}

fn save(
    workspace: &Workspace,
    file: &str,
    bytes: &[u8],
    overwrite: bool,
    notebook: bool,
    parents: bool,
) -> Answer<()> {
    let path = if notebook { file.strip_suffix(".py").unwrap_or(file) } else { file };
    let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
    // Bytes under a name of their own first: the document then switches over.
    let unique = format!("{file}.{}", uuid::Uuid::new_v4().simple());
    let staged = paths::below(&workspace.dir.join("staged"), &unique)?;
    fs::write_atomic(&staged, bytes)?;
    workspace.store.write(|transaction| {
        if parents {
            make_folders(transaction, parent)?;
        } else if !parent.is_empty() && transaction.get::<Object>(KIND, parent)?.is_none() {
            return Err(ApiFault::missing(format!("The parent folder ({parent}) does not exist.")));
        }
        let old = transaction.get::<Object>(KIND, path)?;
        if let Some(old) = &old {
            if old.object_type == "DIRECTORY" {
                return Err(ApiFault::exists(format!("`{path}` is a folder")));
            }
            if !overwrite {
                return Err(ApiFault::exists(format!("Path ({path}) already exists.")));
            }
        }
        let now = clock::now_ms();
        let object = Object {
            path: path.to_owned(),
            object_type: if notebook { "NOTEBOOK" } else { "FILE" }.into(),
            object_id: old
                .as_ref()
                .map_or_else(|| transaction.next("object"), |old| Ok(old.object_id))?,
            language: notebook.then(|| "PYTHON".to_owned()),
            created_at: old.map_or(now, |old| old.created_at),
            modified_at: now,
            size: bytes.len() as u64,
            file: file.to_owned(),
        };
        let place = paths::below(&workspace.workspace_root(), file)?;
        if let Some(folder) = place.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::rename(&staged, &place)?;
        transaction.put(KIND, path, &object)
    })
}

/// `POST import`: JSON with base64 content, or a form upload.
async fn import(State(workspace): State<Shared>, request: Request) -> Answer<Json<Value>> {
    let form = request.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    let is_form = form.is_some_and(|kind| kind.starts_with("multipart/form-data"));
    let mut fields = std::collections::HashMap::new();
    let mut content = Vec::new();
    if is_form {
        let fail =
            |error: String| ApiFault::invalid(format!("the form could not be read: {error}"));
        let mut form =
            Multipart::from_request(request, &()).await.map_err(|error| fail(error.to_string()))?;
        while let Some(field) = form.next_field().await.map_err(|error| fail(error.to_string()))? {
            let name = field.name().unwrap_or_default().to_owned();
            let bytes = field.bytes().await.map_err(|error| fail(error.to_string()))?;
            if name == "content" {
                content = bytes.to_vec();
            } else {
                fields.insert(name, String::from_utf8_lossy(&bytes).into_owned());
            }
        }
    } else {
        let input = Input::from_request(request, &()).await?;
        for name in ["path", "format", "language"] {
            if let Some(value) = input.text_opt(name) {
                fields.insert(name.into(), value.into());
            }
        }
        fields.insert("overwrite".into(), input.flag("overwrite").to_string());
        let text = input.text_opt("content").unwrap_or_default();
        content = STANDARD
            .decode(text)
            .map_err(|error| ApiFault::invalid(format!("content is not base64: {error}")))?;
    }
    let path =
        fields.get("path").ok_or_else(|| ApiFault::invalid("missing required field: path"))?;
    let mut path = object_path(path)?;
    let format = fields.get("format").map_or("SOURCE", String::as_str);
    let language = fields.get("language").map_or("PYTHON", String::as_str);
    let notebook = match format {
        "SOURCE" => true,
        "AUTO" => path.ends_with(".py") && content.starts_with(NOTEBOOK),
        "RAW" => false,
        other => return Err(ApiFault::unsupported(format!("imports of format `{other}`"))),
    };
    if notebook {
        if language != "PYTHON" {
            return Err(ApiFault::unsupported(format!("notebooks in {language}")));
        }
        if !path.ends_with(".py") {
            path.push_str(".py");
        }
        if !content.starts_with(NOTEBOOK) {
            content = [NOTEBOOK, b"\n", &content].concat();
        }
    }
    let overwrite = fields.get("overwrite").is_some_and(|flag| flag == "true");
    save(&workspace, &path, &content, overwrite, notebook, false)?;
    Ok(Json(json!({})))
}

fn find(workspace: &Workspace, path: &str) -> Answer<Object> {
    if path == "/" {
        return Ok(Object {
            path: "/".into(),
            object_type: "DIRECTORY".into(),
            object_id: 0,
            language: None,
            created_at: 0,
            modified_at: 0,
            size: 0,
            file: String::new(),
        });
    }
    let found = workspace.store.get(KIND, path)?;
    found.ok_or_else(|| ApiFault::missing(format!("Path ({path}) doesn't exist.")))
}

async fn status(State(workspace): State<Shared>, input: Input) -> Answer<Json<Value>> {
    Ok(Json(find(&workspace, &object_path(input.text("path")?)?)?.shown()))
}

async fn list(State(workspace): State<Shared>, input: Input) -> Answer<Json<Value>> {
    let path = object_path(input.text("path")?)?;
    let folder = find(&workspace, &path)?;
    if folder.object_type != "DIRECTORY" {
        return Ok(Json(json!({ "objects": [folder.shown()] })));
    }
    let prefix = if path == "/" { path } else { format!("{path}/") };
    let objects: Vec<Object> = workspace.store.list(KIND, &prefix)?;
    let children = objects.iter().filter(|object| !object.path[prefix.len()..].contains('/'));
    Ok(Json(json!({ "objects": children.map(Object::shown).collect::<Vec<_>>() })))
}

async fn export(State(workspace): State<Shared>, input: Input) -> Answer<Response> {
    let path = object_path(input.text("path")?)?;
    let object = find(&workspace, &path)?;
    if object.object_type == "DIRECTORY" {
        return Err(ApiFault::unsupported("exports of whole folders"));
    }
    let bytes = fs::read(paths::below(&workspace.workspace_root(), &object.file)?)?;
    if input.flag("direct_download") {
        return Ok(bytes.into_response());
    }
    let file_type = if object.object_type == "NOTEBOOK" { "py" } else { "" };
    Ok(Json(json!({ "content": STANDARD.encode(bytes), "file_type": file_type })).into_response())
}

/// The bytes alone, as the official CLI asks for its own files.
async fn read_file(State(workspace): State<Shared>, Path(path): Path<String>) -> Answer<Response> {
    let object = find(&workspace, &object_path(&format!("/{}", path.trim_start_matches('/')))?)?;
    if object.object_type == "DIRECTORY" {
        return Err(ApiFault::invalid(format!("'{path}' is a folder")));
    }
    Ok(fs::read(paths::below(&workspace.workspace_root(), &object.file)?)?.into_response())
}

async fn delete(State(workspace): State<Shared>, input: Input) -> Answer<Json<Value>> {
    let path = object_path(input.text("path")?)?;
    let recursive = input.flag("recursive");
    let object = find(&workspace, &path)?;
    let removed = workspace.store.write(|transaction| {
        let below: Vec<Object> = transaction.list(KIND, &format!("{path}/"))?;
        if !below.is_empty() && !recursive {
            return Err(ApiFault::invalid(format!("Folder ({path}) is not empty")));
        }
        for object in &below {
            transaction.delete(KIND, &object.path)?;
        }
        transaction.delete(KIND, &path)?;
        Ok(if object.object_type == "DIRECTORY" { path.clone() } else { object.file.clone() })
    })?;
    // The documents are gone: what a kill leaves here is out of reach.
    fs::remove(paths::below(&workspace.workspace_root(), &removed)?)?;
    Ok(Json(json!({})))
}
