//! Permissions of workspace objects: kept and shown, not enforced, as there is
//! one user only.

use axum::extract::{Path, State};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::error::{Answer, ApiFault};
use super::input::Input;
use super::{Shared, USER};

const KIND: &str = "permissions";
const TYPES: [&str; 6] =
    ["jobs", "experiments", "directories", "pipelines", "serving-endpoints", "dashboards"];

pub(crate) fn routes() -> Router<Shared> {
    Router::new().route("/api/2.0/permissions/{kind}/{id}", get(read).put(replace).patch(add))
}

fn known(kind: &str) -> Answer<()> {
    if TYPES.contains(&kind) {
        Ok(())
    } else {
        Err(ApiFault::unsupported(format!("permissions on {kind}")))
    }
}

fn shown(kind: &str, id: &str, given: &[Value]) -> Json<Value> {
    let owner = json!({ "user_name": USER, "all_permissions": [{ "permission_level": "IS_OWNER", "inherited": false }] });
    let entries = given.iter().map(|entry| {
        let mut fields = entry.as_object().cloned().unwrap_or_default();
        let level = fields.remove("permission_level").unwrap_or(Value::Null);
        fields.insert(
            "all_permissions".into(),
            json!([{ "permission_level": level, "inherited": false }]),
        );
        Value::Object(fields)
    });
    // Whoever is given a level by name has that one.
    let named = given.iter().any(|entry| entry["user_name"] == USER);
    let list: Vec<Value> = Some(owner).filter(|_| !named).into_iter().chain(entries).collect();
    Json(
        json!({ "object_id": format!("/{kind}/{id}"), "object_type": kind.trim_end_matches('s'), "access_control_list": list }),
    )
}

async fn read(
    State(workspace): State<Shared>,
    Path((kind, id)): Path<(String, String)>,
) -> Answer<Json<Value>> {
    known(&kind)?;
    let given: Vec<Value> = workspace.store.get(KIND, &format!("{kind}/{id}"))?.unwrap_or_default();
    Ok(shown(&kind, &id, &given))
}

async fn replace(
    State(workspace): State<Shared>,
    Path((kind, id)): Path<(String, String)>,
    input: Input,
) -> Answer<Json<Value>> {
    known(&kind)?;
    let given = input.list("access_control_list");
    workspace.store.put(KIND, &format!("{kind}/{id}"), &given)?;
    Ok(shown(&kind, &id, &given))
}

async fn add(
    State(workspace): State<Shared>,
    Path((kind, id)): Path<(String, String)>,
    input: Input,
) -> Answer<Json<Value>> {
    known(&kind)?;
    let key = format!("{kind}/{id}");
    let given = workspace.store.write(|transaction| {
        let mut given: Vec<Value> = transaction.get(KIND, &key)?.unwrap_or_default();
        given.extend(input.list("access_control_list"));
        transaction.put(KIND, &key, &given)?;
        Ok(given)
    })?;
    Ok(shown(&kind, &id, &given))
}
