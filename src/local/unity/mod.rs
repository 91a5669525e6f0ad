//! Unity Catalog: catalogs, schemas, volumes, tables, registered models.

mod credentials;
mod grants;
pub(crate) mod models;
mod securables;
pub(crate) mod tables;
mod tags;

use axum::Router;
use serde_json::json;

use super::error::Answer;
use super::store::Store;
use super::{Shared, USER};
use crate::sys::clock;

pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .merge(securables::routes())
        .merge(tables::routes())
        .merge(credentials::routes())
        .merge(grants::routes())
        .merge(models::routes())
        .merge(tags::routes())
}

/// The catalog and schema that every workspace starts with.
pub(crate) fn bootstrap(store: &Store) -> Answer<()> {
    store.write(|transaction| {
        if transaction.get::<serde_json::Value>("catalog", "main")?.is_none() {
            let now = clock::now_ms();
            let stamp =
                json!({ "owner": USER, "created_at": now, "created_by": USER, "updated_at": now });
            let mut catalog =
                json!({ "name": "main", "full_name": "main", "catalog_type": "MANAGED_CATALOG" });
            let mut schema =
                json!({ "name": "default", "catalog_name": "main", "full_name": "main.default" });
            for (name, value) in stamp.as_object().into_iter().flatten() {
                catalog[name] = value.clone();
                schema[name] = value.clone();
            }
            transaction.put("catalog", "main", &catalog)?;
            transaction.put("schema", "main.default", &schema)?;
        }
        Ok(())
    })
}
