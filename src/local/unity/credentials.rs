//! Credentials for a table's files. Tables of this workspace lie in folders and
//! need none; for storage elsewhere, a test says what is granted.

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::tables::{self, Table};
use crate::local::Shared;
use crate::local::error::{Answer, ApiFault};
use crate::local::input::Input;
use crate::sys::clock;

/// A shared access signature for everything below a place.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Grant {
    url: String,
    sas_token: String,
}

pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route("/api/2.0/unity-catalog/temporary-table-credentials", post(grant))
        .route("/api/2.1/unity-catalog/temporary-table-credentials", post(grant))
        .route("/__lakegate/storage", post(allow))
}

async fn allow(State(workspace): State<Shared>, Json(grant): Json<Grant>) -> Answer<Json<Value>> {
    workspace.store.put("storage", &grant.url, &grant)?;
    Ok(Json(json!({})))
}

async fn grant(State(workspace): State<Shared>, input: Input) -> Answer<Json<Value>> {
    const HOUR: i64 = 3_600_000;
    let operation = input.text("operation")?;
    if !matches!(operation, "READ" | "READ_WRITE") {
        return Err(ApiFault::invalid(format!(
            "operation {operation} is neither READ nor READ_WRITE"
        )));
    }
    let id = input.text("table_id")?;
    let known: Vec<Table> = workspace.store.list(tables::KIND, "")?;
    let table = known.into_iter().find(|table| table.table_id == id);
    let table =
        table.ok_or_else(|| ApiFault::missing(format!("Table with id '{id}' does not exist.")))?;
    let place = table.storage_location;
    let mut answer = json!({ "url": place, "expiration_time": clock::now_ms() + HOUR });
    if place.starts_with('/') {
        answer["url"] = json!(format!("file://{place}"));
    } else if !place.starts_with("file://") {
        let grants: Vec<Grant> = workspace.store.list("storage", "")?;
        let grant = grants.into_iter().find(|grant| place.starts_with(&grant.url));
        let grant =
            grant.ok_or_else(|| ApiFault::unsupported(format!("credentials for `{place}`")))?;
        answer["azure_user_delegation_sas"] = json!({ "sas_token": grant.sas_token });
    }
    Ok(Json(answer))
}
