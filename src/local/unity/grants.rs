//! Grants: kept and shown, not enforced, as there is one user only.

use std::collections::BTreeMap;

use axum::extract::{Path, State};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::local::error::{Answer, ApiFault};
use crate::local::input::Input;
use crate::local::store::Kind;
use crate::local::{Shared, USER};

const KIND: Kind = "grant";

/// The service's word for a kind of securable, and ours.
const TYPES: [(&str, Kind); 5] = [
    ("catalog", "catalog"),
    ("schema", "schema"),
    ("table", "table"),
    ("volume", "volume"),
    // The service takes registered models for functions.
    ("function", "model"),
];

/// Each principal's privileges, in order.
type Grants = BTreeMap<String, Vec<String>>;

pub(super) fn routes() -> Router<Shared> {
    Router::new()
        .route("/api/2.1/unity-catalog/permissions/{kind}/{name}", get(read).patch(change))
        .route("/api/2.1/unity-catalog/effective-permissions/{kind}/{name}", get(effective))
}

/// The one user may do everything.
async fn effective(
    State(workspace): State<Shared>,
    Path((kind, name)): Path<(String, String)>,
) -> Answer<Json<Value>> {
    confirm(&workspace, &kind, &name)?;
    let all = json!([{ "privilege": "ALL_PRIVILEGES" }]);
    Ok(Json(json!({ "privilege_assignments": [{ "principal": USER, "privileges": all }] })))
}

fn confirm(workspace: &Shared, kind: &str, name: &str) -> Answer<String> {
    let own = TYPES.iter().find(|(word, _)| *word == kind);
    let (_, own) =
        own.ok_or_else(|| ApiFault::unsupported(format!("grants on a securable `{kind}`")))?;
    if workspace.store.get::<Value>(own, name)?.is_none() {
        return Err(ApiFault::missing(format!("{kind} '{name}' does not exist.")));
    }
    Ok(format!("{kind}/{name}"))
}

fn shown(grants: &Grants) -> Json<Value> {
    let list = grants
        .iter()
        .map(|(who, privileges)| json!({ "principal": who, "privileges": privileges }));
    Json(json!({ "privilege_assignments": list.collect::<Vec<_>>() }))
}

async fn read(
    State(workspace): State<Shared>,
    Path((kind, name)): Path<(String, String)>,
) -> Answer<Json<Value>> {
    let key = confirm(&workspace, &kind, &name)?;
    Ok(shown(&workspace.store.get::<Grants>(KIND, &key)?.unwrap_or_default()))
}

async fn change(
    State(workspace): State<Shared>,
    Path((kind, name)): Path<(String, String)>,
    input: Input,
) -> Answer<Json<Value>> {
    let key = confirm(&workspace, &kind, &name)?;
    let words = |value: &Value| -> Vec<String> {
        let list = value.as_array().into_iter().flatten();
        list.filter_map(|word| Some(word.as_str()?.replace(' ', "_"))).collect()
    };
    let grants = workspace.store.write(|transaction| {
        let mut grants: Grants = transaction.get(KIND, &key)?.unwrap_or_default();
        for change in input.list("changes") {
            let who = change["principal"].as_str().unwrap_or_default().to_owned();
            let own = grants.entry(who).or_default();
            let gone = words(&change["remove"]);
            own.retain(|word| !gone.contains(word) && !gone.contains(&"ALL_PRIVILEGES".to_owned()));
            own.extend(words(&change["add"]));
            own.sort();
            own.dedup();
        }
        grants.retain(|_, privileges| !privileges.is_empty());
        transaction.put(KIND, &key, &grants)?;
        Ok(grants)
    })?;
    Ok(shown(&grants))
}
