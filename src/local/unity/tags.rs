//! Tags of tables and their columns.

use std::collections::BTreeMap;

use axum::extract::{Path, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::local::error::{Answer, ApiFault};
use crate::local::input::{Input, page_answer};
use crate::local::store::Kind;
use crate::local::{Shared, USER};
use crate::sys::clock;

const KIND: Kind = "tag";

/// The assignments of one entity, by key.
type Assigned = BTreeMap<String, Value>;

pub(super) fn routes() -> Router<Shared> {
    const ROOT: &str = "/api/2.1/unity-catalog/entity-tag-assignments";
    Router::new()
        .route(ROOT, post(create))
        .route(&format!("{ROOT}/{{kind}}/{{name}}/tags"), get(list))
        .route(&format!("{ROOT}/{{kind}}/{{name}}/tags/{{key}}"), get(read).delete(delete))
}

/// Where the assignments of an entity are kept: a table that is made anew has none.
async fn place(workspace: &Shared, kind: &str, name: &str) -> Answer<String> {
    let (table, column) = match kind {
        "tables" => (name, None),
        "columns" => {
            let parts = name.rsplit_once('.');
            let (table, column) = parts
                .ok_or_else(|| ApiFault::invalid(format!("`{name}` is no column of a table")))?;
            (table, Some(column))
        }
        _ => return Err(ApiFault::unsupported(format!("tags of {kind}"))),
    };
    let table = table
        .parse()
        .map_err(|error: crate::names::NameError| ApiFault::invalid(error.to_string()))?;
    let table = workspace.table(&table)?;
    if let Some(column) = column {
        let columns = workspace.sql.columns(&table).await.unwrap_or(table.columns);
        if !columns.iter().any(|known| known["name"] == column) {
            return Err(ApiFault::missing(format!("Column '{name}' does not exist.")));
        }
    }
    Ok(format!("{}/{}", table.table_id, column.unwrap_or_default()))
}

async fn create(State(workspace): State<Shared>, input: Input) -> Answer<Json<Value>> {
    let (kind, name) = (input.text("entity_type")?, input.text("entity_name")?);
    let key = input.text("tag_key")?;
    let place = place(&workspace, kind, name).await?;
    let assignment = json!({
        "entity_type": kind,
        "entity_name": name,
        "tag_key": key,
        "tag_value": input.text_opt("tag_value").unwrap_or_default(),
        "update_time": clock::now().to_string(),
        "updated_by": USER,
    });
    workspace.store.write(|transaction| {
        let mut assigned: Assigned = transaction.get(KIND, &place)?.unwrap_or_default();
        if assigned.contains_key(key) {
            let message = format!("Tag '{key}' is already assigned to '{name}'");
            return Err(ApiFault::exists(message));
        }
        assigned.insert(key.to_owned(), assignment.clone());
        transaction.put(KIND, &place, &assigned)
    })?;
    Ok(Json(assignment))
}

async fn list(
    State(workspace): State<Shared>,
    Path((kind, name)): Path<(String, String)>,
    input: Input,
) -> Answer<Json<Value>> {
    let place = place(&workspace, &kind, &name).await?;
    let assigned: Assigned = workspace.store.get(KIND, &place)?.unwrap_or_default();
    let all = assigned.into_values().collect();
    Ok(page_answer(&input, "tag_assignments", all, "max_results", 1000))
}

fn unassigned(key: &str, name: &str) -> ApiFault {
    ApiFault::missing(format!("Tag '{key}' is not assigned to '{name}'"))
}

async fn read(
    State(workspace): State<Shared>,
    Path((kind, name, key)): Path<(String, String, String)>,
) -> Answer<Json<Value>> {
    let place = place(&workspace, &kind, &name).await?;
    let assigned: Assigned = workspace.store.get(KIND, &place)?.unwrap_or_default();
    assigned.get(&key).cloned().map(Json).ok_or_else(|| unassigned(&key, &name))
}

async fn delete(
    State(workspace): State<Shared>,
    Path((kind, name, key)): Path<(String, String, String)>,
) -> Answer<Json<Value>> {
    let place = place(&workspace, &kind, &name).await?;
    workspace.store.write(|transaction| {
        let mut assigned: Assigned = transaction.get(KIND, &place)?.unwrap_or_default();
        assigned.remove(&key).ok_or_else(|| unassigned(&key, &name))?;
        transaction.put(KIND, &place, &assigned)
    })?;
    Ok(Json(json!({})))
}
