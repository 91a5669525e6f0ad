//! MLflow: experiments, runs, logged models, artifacts, and the registry in
//! Unity Catalog's dialect. Messages follow MLflow's published protocol.

mod experiments;
mod filter;
mod logged_models;
mod registry;
mod runs;

use std::collections::BTreeMap;

use axum::Router;
use serde_json::{Value, json};

use super::Shared;

pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .merge(experiments::routes())
        .merge(runs::routes())
        .merge(logged_models::routes())
        .merge(registry::routes())
}

/// `{a: 1}` as `[{key: a, value: 1}]`, which is how MLflow writes maps.
fn entries(map: &BTreeMap<String, String>) -> Vec<Value> {
    map.iter().map(|(key, value)| json!({ "key": key, "value": value })).collect()
}

/// The reverse of [`entries`].
fn map_of(list: &[Value]) -> BTreeMap<String, String> {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    list.iter()
        .filter_map(|entry| Some((entry["key"].as_str()?.to_owned(), text(entry.get("value")?))))
        .collect()
}
