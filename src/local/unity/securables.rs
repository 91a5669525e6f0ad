//! Catalogs, schemas and volumes: named documents in a tree.

use axum::extract::{Path, State};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Map, Value, json};

use crate::local::error::{Answer, ApiFault};
use crate::local::input::{Input, page};
use crate::local::store::{Kind, Transaction};
use crate::local::{Shared, USER, paths};
use crate::names::is_identifier;
use crate::sys::{clock, fs};

/// One level of the tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Level {
    kind: Kind,
    /// The field that lists answer under.
    plural: &'static str,
    /// The fields that name the parents, from the top.
    parents: &'static [&'static str],
    parent_kind: Option<Kind>,
    /// The kinds that may stand below it.
    children: &'static [Kind],
}

const CATALOG: Level = Level {
    kind: "catalog",
    plural: "catalogs",
    parents: &[],
    parent_kind: None,
    children: &["schema"],
};
const SCHEMA: Level = Level {
    kind: "schema",
    plural: "schemas",
    parents: &["catalog_name"],
    parent_kind: Some("catalog"),
    children: &["table", "volume", "model"],
};
const VOLUME: Level = Level {
    kind: "volume",
    plural: "volumes",
    parents: &["catalog_name", "schema_name"],
    parent_kind: Some("schema"),
    children: &[],
};

pub(crate) fn routes() -> Router<Shared> {
    [CATALOG, SCHEMA, VOLUME].into_iter().fold(Router::new(), |router, level| {
        let collection = format!("/api/2.1/unity-catalog/{}", level.plural);
        let object = format!("{collection}/{{name}}");
        router
            .route(
                &collection,
                get(move |State(workspace): State<Shared>, input: Input| async move {
                    list(&workspace, level, &input)
                })
                .post(
                    move |State(workspace): State<Shared>, input: Input| async move {
                        create(&workspace, level, &input)
                    },
                ),
            )
            .route(
                &object,
                get(move |State(workspace): State<Shared>, Path(name): Path<String>| async move {
                    read(&workspace, level, &name)
                })
                .patch(
                    move |State(workspace): State<Shared>,
                          Path(name): Path<String>,
                          input: Input| async move {
                        update(&workspace, level, &name, &input)
                    },
                )
                .delete(
                    move |State(workspace): State<Shared>,
                          Path(name): Path<String>,
                          input: Input| async move {
                        delete(&workspace, level, &name, input.flag("force"))
                    },
                ),
            )
    })
}

fn absent(level: Level, name: &str) -> ApiFault {
    let mut title = level.kind.to_owned();
    title[..1].make_ascii_uppercase();
    ApiFault::missing(format!("{title} '{name}' does not exist."))
}

fn list(workspace: &Shared, level: Level, input: &Input) -> Answer<Json<Value>> {
    let mut prefix = String::new();
    for parent in level.parents {
        prefix.push_str(input.text(parent)?);
        prefix.push('.');
    }
    let (items, next) =
        page(input, workspace.store.list(level.kind, &prefix)?, "max_results", 1000);
    let mut answer = Map::from_iter([(level.plural.to_owned(), Value::from(items))]);
    if let Some(next) = next {
        answer.insert("next_page_token".into(), next.into());
    }
    Ok(Json(Value::Object(answer)))
}

fn create(workspace: &Shared, level: Level, input: &Input) -> Answer<Json<Value>> {
    let name = input.text("name")?.to_owned();
    if !is_identifier(&name) {
        return Err(ApiFault::invalid(format!("'{name}' is not a valid name")));
    }
    let mut parts = Vec::new();
    for parent in level.parents {
        parts.push(input.text(parent)?.to_owned());
    }
    let parent = parts.join(".");
    parts.push(name);
    let full_name = parts.join(".");
    let created = workspace.store.write(|transaction| {
        if let Some(kind) = level.parent_kind
            && transaction.get::<Value>(kind, &parent)?.is_none()
        {
            let above = [CATALOG, SCHEMA].into_iter().find(|above| above.kind == kind).unwrap_or(CATALOG);
            return Err(absent(above, &parent));
        }
        if transaction.get::<Value>(level.kind, &full_name)?.is_some() {
            return Err(ApiFault::exists(format!("{} '{full_name}' already exists", level.kind)));
        }
        let now = clock::now_ms();
        let mut document = input.0.clone();
        document.extend([
            ("full_name".to_owned(), json!(full_name)),
            ("owner".to_owned(), json!(USER)),
            ("created_at".to_owned(), json!(now)),
            ("created_by".to_owned(), json!(USER)),
            ("updated_at".to_owned(), json!(now)),
        ]);
        if level == VOLUME {
            document.entry("volume_type").or_insert_with(|| "MANAGED".into());
            document.insert("volume_id".into(), json!(uuid::Uuid::new_v4().to_string()));
            document.insert("storage_location".into(), json!(format!("/Volumes/{}", full_name.replace('.', "/"))));
        }
        transaction.put(level.kind, &full_name, &document)?;
        // A catalog comes with a schema, as on the service.
        if level == CATALOG {
            let id = format!("{full_name}.default");
            let schema = json!({ "name": "default", "catalog_name": full_name, "full_name": id, "owner": USER, "created_at": now, "updated_at": now });
            transaction.put("schema", &id, &schema)?;
        }
        Ok(Value::Object(document))
    })?;
    if level == VOLUME {
        fs::create_dir_all(
            workspace.file_path(&format!("Volumes/{}", full_name.replace('.', "/")))?,
        )?;
    }
    Ok(Json(created))
}

fn read(workspace: &Shared, level: Level, name: &str) -> Answer<Json<Value>> {
    workspace.store.get(level.kind, name)?.map(Json).ok_or_else(|| absent(level, name))
}

fn update(workspace: &Shared, level: Level, name: &str, input: &Input) -> Answer<Json<Value>> {
    workspace.store.write(|transaction| {
        let mut document: Map<String, Value> =
            transaction.get(level.kind, name)?.ok_or_else(|| absent(level, name))?;
        if input.text_opt("new_name").is_some_and(|new| new != document["name"]) {
            return Err(ApiFault::unsupported(format!("renaming a {}", level.kind)));
        }
        for field in ["comment", "owner", "properties"] {
            if let Some(value) = input.0.get(field) {
                document.insert(field.into(), value.clone());
            }
        }
        document.insert("updated_at".into(), json!(clock::now_ms()));
        transaction.put(level.kind, name, &document)?;
        Ok(Json(Value::Object(document)))
    })
}

fn delete(workspace: &Shared, level: Level, name: &str, force: bool) -> Answer<Json<Value>> {
    workspace.store.write(|transaction| {
        if transaction.get::<Value>(level.kind, name)?.is_none() {
            return Err(absent(level, name));
        }
        delete_children(transaction, level, name, force)?;
        transaction.delete(level.kind, name)?;
        Ok(())
    })?;
    if level == VOLUME {
        let path = format!("/Volumes/{}", name.replace('.', "/"));
        fs::remove(paths::below(&workspace.dir.join("files"), &path)?)?;
    }
    Ok(Json(json!({})))
}

fn delete_children(
    transaction: &mut Transaction<'_>,
    level: Level,
    name: &str,
    force: bool,
) -> Answer<()> {
    for kind in level.children {
        let children: Vec<Value> = transaction.list(kind, &format!("{name}."))?;
        for child in children {
            let id = child["full_name"].as_str().unwrap_or_default().to_owned();
            let empty_default = *kind == "schema" && child["name"] == "default";
            if !force && !empty_default {
                return Err(ApiFault::invalid(format!(
                    "Cannot delete '{name}': it is not empty (it holds {kind} '{id}')"
                )));
            }
            if *kind == "schema" {
                delete_children(transaction, SCHEMA, &id, force)?;
            }
            transaction.delete(kind, &id)?;
        }
    }
    Ok(())
}
