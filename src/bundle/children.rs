//! Permissions and grants: written with a resource, deployed after it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Bundle, Kind, Resource, Surroundings};

/// Takes permissions and grants out of their resources, and makes resources of
/// them.
pub(super) fn split(bundle: &mut Bundle, around: &Surroundings) {
    let mut children = BTreeMap::new();
    for (key, resource) in &mut bundle.resources {
        let Some(fields) = resource.settings.as_object_mut() else { continue };
        if let (Some(list), Some(object)) = (fields.remove("permissions"), resource.kind.object()) {
            let list = with_owner(list, resource.kind, around);
            let field = match resource.kind {
                Kind::ModelServingEndpoints => "endpoint_id",
                _ => "id",
            };
            let id = format!("${{resources.{key}.{field}}}");
            let settings = json!({ "object_id": format!("/{object}/{id}"), "__embed__": list });
            children.insert(
                format!("{key}.permissions"),
                child(Kind::Permissions, settings, key, field),
            );
        }
        if let (Some(list), Some(securable)) = (fields.remove("grants"), resource.kind.securable())
        {
            let settings = json!({
                "securable_type": securable,
                "full_name": full_name(&resource.settings),
                "__embed__": sorted(list),
            });
            children.insert(format!("{key}.grants"), child(Kind::Grants, settings, key, "id"));
        }
    }
    bundle.resources.extend(children);
}

fn child(kind: Kind, settings: Value, parent: &str, field: &str) -> Resource {
    Resource { kind, settings, references: vec![format!("resources.{parent}.{field}")] }
}

/// `catalog.schema.name`, of what has such a name.
pub fn full_name(settings: &Value) -> String {
    let parts = ["catalog_name", "schema_name", "name"];
    let parts: Vec<&str> = parts.iter().filter_map(|field| settings[*field].as_str()).collect();
    parts.join(".")
}

/// Whoever deploys keeps the right to do it again.
fn with_owner(mut list: Value, kind: Kind, around: &Surroundings) -> Value {
    let level = match kind {
        Kind::Jobs | Kind::Pipelines => "IS_OWNER",
        _ => "CAN_MANAGE",
    };
    if let Some(entries) = list.as_array_mut() {
        keep_owner(entries, level, around);
    }
    list
}

fn keep_owner(entries: &mut Vec<Value>, level: &str, around: &Surroundings) {
    let who = if uuid::Uuid::parse_str(&around.user).is_ok() {
        "service_principal_name"
    } else {
        "user_name"
    };
    let is_there = |entry: &Value| {
        entry[who] == around.user.as_str()
            && (entry["level"] == "CAN_MANAGE" || entry["level"] == "IS_OWNER")
    };
    let owned = level == "IS_OWNER" && entries.iter().any(|entry| entry["level"] == "IS_OWNER");
    if !owned && !entries.iter().any(is_there) {
        entries.push(json!({ "level": level, who: around.user }));
    }
}

/// Privileges are a set; `USE SCHEMA` and `USE_SCHEMA` are one.
fn sorted(mut list: Value) -> Value {
    for grant in list.as_array_mut().into_iter().flatten() {
        if let Some(privileges) = grant["privileges"].as_array_mut() {
            privileges.sort_by(|one, other| one.as_str().cmp(&other.as_str()));
            privileges.dedup();
        }
    }
    list
}

/// What `permissions` at the top of a bundle mean for its folders.
pub(super) fn of_folders(shared: &Value, around: &Surroundings) -> Vec<Value> {
    let mut rights = Vec::new();
    for right in shared.as_array().into_iter().flatten() {
        let level = match right["level"].as_str().unwrap_or_default() {
            "CAN_VIEW" => "CAN_READ",
            level => level,
        };
        let mut right = right.clone();
        right["level"] = json!(level);
        rights.push(right);
    }
    if !rights.is_empty() {
        keep_owner(&mut rights, "CAN_MANAGE", around);
    }
    rights
}

/// What `permissions` at the top of a bundle mean for a kind.
pub(super) fn shared_level(kind: Kind, level: &str) -> Option<&'static str> {
    match (kind, level) {
        (
            Kind::Jobs
            | Kind::Pipelines
            | Kind::Experiments
            | Kind::ModelServingEndpoints
            | Kind::Dashboards,
            "CAN_MANAGE",
        ) => Some("CAN_MANAGE"),
        (Kind::Jobs | Kind::Pipelines | Kind::ModelServingEndpoints, "CAN_VIEW") => {
            Some("CAN_VIEW")
        }
        (Kind::Experiments | Kind::Dashboards, "CAN_VIEW") => Some("CAN_READ"),
        (Kind::Jobs, "CAN_RUN") => Some("CAN_MANAGE_RUN"),
        (Kind::Pipelines, "CAN_RUN") => Some("CAN_RUN"),
        (Kind::ModelServingEndpoints, "CAN_RUN") => Some("CAN_QUERY"),
        _ => None,
    }
}
