//! Tables: a name, columns, and where the Delta log lies.

use std::path::PathBuf;

use axum::extract::{Path, State};
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::local::error::{Answer, ApiFault};
use crate::local::input::{Input, page_answer};
use crate::local::{Shared, USER, Workspace};
use crate::names::TableName;
use crate::sys::{clock, fs};

pub(super) const KIND: &str = "table";

/// A table's entry in the catalog. The data's own schema is in the Delta log.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Table {
    pub(crate) full_name: String,
    pub(crate) name: String,
    pub(crate) catalog_name: String,
    pub(crate) schema_name: String,
    pub(crate) table_type: String,
    pub(crate) data_source_format: String,
    pub(crate) storage_location: String,
    pub(crate) table_id: String,
    pub(crate) columns: Vec<Value>,
    pub(crate) owner: String,
    pub(crate) created_at: i64,
    pub(crate) updated_at: i64,
    #[serde(default)]
    pub(crate) comment: Option<String>,
    #[serde(default)]
    pub(crate) properties: Value,
}

impl Table {
    /// The folder of the Delta table.
    pub(crate) fn folder(&self) -> PathBuf {
        let path = self.storage_location.strip_prefix("file://").unwrap_or(&self.storage_location);
        PathBuf::from(path)
    }

    /// Removes the data of a managed table; that of others is not the catalog's.
    pub(crate) fn remove_data(&self) -> Answer<()> {
        if self.table_type == "MANAGED" {
            fs::remove(self.folder())?;
        }
        Ok(())
    }
}

pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route("/api/2.1/unity-catalog/tables", get(list).post(create))
        .route("/api/2.1/unity-catalog/tables/{name}", get(read).delete(delete))
        .route("/api/2.1/unity-catalog/tables/{name}/exists", get(exists))
}

pub(crate) fn absent(name: &str) -> ApiFault {
    ApiFault::missing(format!("Table '{name}' does not exist."))
}

impl Workspace {
    pub(crate) fn table(&self, name: &TableName) -> Answer<Table> {
        self.store.get(KIND, &name.to_string())?.ok_or_else(|| absent(&name.to_string()))
    }

    pub(crate) fn tables_of(&self, catalog: &str, schema: &str) -> Answer<Vec<Table>> {
        self.store.list(KIND, &format!("{catalog}.{schema}."))
    }

    /// An entry for a new table: where its data belongs. The catalog does not know it yet.
    pub(crate) fn new_table(
        &self,
        name: &TableName,
        columns: Vec<Value>,
        location: Option<&str>,
        comment: Option<&str>,
    ) -> Table {
        let now = clock::now_ms();
        let id = uuid::Uuid::new_v4();
        let managed = || {
            let folder = self.dir.join("tables").join(&name.catalog).join(&name.schema);
            folder
                .join(format!("{}-{}", name.name, &id.simple().to_string()[..8]))
                .display()
                .to_string()
        };
        Table {
            full_name: name.to_string(),
            name: name.name.clone(),
            catalog_name: name.catalog.clone(),
            schema_name: name.schema.clone(),
            table_type: if location.is_some() { "EXTERNAL" } else { "MANAGED" }.into(),
            data_source_format: "DELTA".into(),
            storage_location: location.map_or_else(managed, str::to_owned),
            table_id: id.to_string(),
            columns,
            owner: USER.into(),
            created_at: now,
            updated_at: now,
            comment: comment.map(str::to_owned),
            properties: json!({}),
        }
    }

    /// Enters a table into the catalog, in the place of `old` where that is given.
    pub(crate) fn enter_table(&self, table: &Table, old: Option<&Table>) -> Answer<()> {
        self.store.write(|transaction| {
            let schema = format!("{}.{}", table.catalog_name, table.schema_name);
            if transaction.get::<Value>("schema", &schema)?.is_none() {
                return Err(ApiFault::missing(format!("Schema '{schema}' does not exist.")));
            }
            let known = transaction.get::<Table>(KIND, &table.full_name)?;
            if known.map(|known| known.table_id) != old.map(|old| old.table_id.clone()) {
                let message = format!("Table '{}' already exists", table.full_name);
                return Err(ApiFault::exists(message));
            }
            transaction.put(KIND, &table.full_name, table)
        })
    }

    /// Takes a table out of the catalog; a managed one loses its data.
    pub(crate) fn drop_table(&self, name: &TableName) -> Answer<()> {
        let table = self.table(name)?;
        self.store.write(|transaction| transaction.delete(KIND, &table.full_name))?;
        table.remove_data()
    }
}

fn parsed(name: &str) -> Answer<TableName> {
    name.parse().map_err(|error: crate::names::NameError| ApiFault::invalid(error.to_string()))
}

async fn read(State(workspace): State<Shared>, Path(name): Path<String>) -> Answer<Json<Value>> {
    let table = workspace.table(&parsed(&name)?)?;
    let mut shown = json!(table);
    // Code may have written the table since it was entered: the log knows.
    if let Some(columns) = workspace.sql.columns(&table).await {
        shown["columns"] = json!(columns);
    }
    Ok(Json(shown))
}

async fn exists(State(workspace): State<Shared>, Path(name): Path<String>) -> Answer<Json<Value>> {
    let found = workspace.store.get::<Value>(KIND, &name)?.is_some();
    Ok(Json(json!({ "table_exists": found })))
}

async fn list(State(workspace): State<Shared>, input: Input) -> Answer<Json<Value>> {
    let tables = workspace.tables_of(input.text("catalog_name")?, input.text("schema_name")?)?;
    Ok(page_answer(
        &input,
        "tables",
        tables.iter().map(|table| json!(table)).collect(),
        "max_results",
        1000,
    ))
}

async fn create(State(workspace): State<Shared>, input: Input) -> Answer<Json<Value>> {
    let format = input.text_opt("data_source_format").unwrap_or("DELTA");
    if format != "DELTA" {
        return Err(ApiFault::unsupported(format!("tables of format {format}")));
    }
    let name = format!(
        "{}.{}.{}",
        input.text("catalog_name")?,
        input.text("schema_name")?,
        input.text("name")?
    );
    let location = input.text_opt("storage_location");
    let name = parsed(&name)?;
    // The data may follow later.
    let comment = input.text_opt("comment");
    let table = workspace.new_table(&name, input.list("columns"), location, comment);
    workspace.enter_table(&table, None)?;
    Ok(Json(json!(table)))
}

async fn delete(State(workspace): State<Shared>, Path(name): Path<String>) -> Answer<Json<Value>> {
    workspace.drop_table(&parsed(&name)?)?;
    Ok(Json(json!({})))
}
