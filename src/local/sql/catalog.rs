//! The catalog as the query engine sees it: tables are opened when a query
//! names them, at the version that it names, with the rows that it asks for.

use std::sync::Arc;

use arrow::array::BooleanArray;
use arrow::compute::filter_record_batch;
use async_trait::async_trait;
use datafusion::catalog::{CatalogProvider, CatalogProviderList, SchemaProvider, TableProvider};
use datafusion::datasource::MemTable;
use datafusion::error::{DataFusionError, Result};
use datafusion::prelude::{SessionConfig, SessionContext};
use deltalake_core::{DeltaTable, DeltaTableBuilder};

use super::engine::Failure;
use crate::local::Workspace;
use crate::local::unity::tables::Table;
use crate::names::TableName;

/// Joins a table's name and how it is read inside the engine; no name may hold it.
const AT: char = '@';

/// How a query reads a table: as it is where nothing is told.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Reading {
    pub(super) version: Option<Version>,
    pub(super) sample: Option<Sample>,
}

/// Rows that are drawn by lot.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Sample {
    pub(super) percent: f64,
    pub(super) seed: u64,
}

impl Reading {
    /// The name under which the engine finds `table` read like this.
    pub(super) fn name(&self, table: &str) -> String {
        let version = self.version.as_ref().map(|version| match version {
            Version::Number(number) => format!("{AT}v{number}"),
            Version::Time(time) => format!("{AT}t{time}"),
        });
        let sample = self.sample.map(|Sample { percent, seed }| format!("{AT}s{percent}/{seed}"));
        format!("{table}{}{}", version.unwrap_or_default(), sample.unwrap_or_default())
    }

    /// The table of a name, and how it is read.
    fn of(name: &str) -> (&str, Self) {
        let mut parts = name.split(AT);
        let table = parts.next().unwrap_or(name);
        let mut reading = Self::default();
        for part in parts {
            match part.split_at_checked(1) {
                Some(("v", number)) => reading.version = number.parse().ok().map(Version::Number),
                Some(("t", time)) => reading.version = Some(Version::Time(time.to_owned())),
                Some(("s", sample)) => {
                    let sample = sample.split_once('/').and_then(|(percent, seed)| {
                        Some(Sample { percent: percent.parse().ok()?, seed: seed.parse().ok()? })
                    });
                    reading.sample = sample;
                }
                _ => {}
            }
        }
        (table, reading)
    }
}

/// A point in a table's history.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Version {
    Number(u64),
    Time(String),
}

#[derive(Clone)]
pub(super) struct Catalogs(pub(super) Arc<Workspace>);

impl std::fmt::Debug for Catalogs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Catalogs")
    }
}

impl CatalogProviderList for Catalogs {
    fn register_catalog(
        &self,
        _: String,
        _: Arc<dyn CatalogProvider>,
    ) -> Option<Arc<dyn CatalogProvider>> {
        None
    }

    fn catalog_names(&self) -> Vec<String> {
        names(self.0.store.list("catalog", ""))
    }

    fn catalog(&self, name: &str) -> Option<Arc<dyn CatalogProvider>> {
        self.0.store.get::<serde_json::Value>("catalog", name).ok().flatten()?;
        Some(Arc::new(Catalog { all: self.clone(), name: name.to_owned() }))
    }
}

fn names(documents: crate::local::error::Answer<Vec<serde_json::Value>>) -> Vec<String> {
    let documents = documents.unwrap_or_default();
    documents.iter().filter_map(|document| Some(document["name"].as_str()?.to_owned())).collect()
}

#[derive(Debug)]
struct Catalog {
    all: Catalogs,
    name: String,
}

impl CatalogProvider for Catalog {
    fn schema_names(&self) -> Vec<String> {
        names(self.all.0.store.list("schema", &format!("{}.", self.name)))
    }

    fn schema(&self, name: &str) -> Option<Arc<dyn SchemaProvider>> {
        let id = format!("{}.{name}", self.name);
        self.all.0.store.get::<serde_json::Value>("schema", &id).ok().flatten()?;
        Some(Arc::new(Tables {
            all: self.all.clone(),
            catalog: self.name.clone(),
            schema: name.to_owned(),
        }))
    }
}

#[derive(Debug)]
struct Tables {
    all: Catalogs,
    catalog: String,
    schema: String,
}

#[async_trait]
impl SchemaProvider for Tables {
    fn table_names(&self) -> Vec<String> {
        let tables = self.all.0.tables_of(&self.catalog, &self.schema).unwrap_or_default();
        tables.into_iter().map(|table| table.name).collect()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>> {
        let (name, reading) = Reading::of(name);
        let full = format!("{}.{}.{name}", self.catalog, self.schema);
        let Some(table) =
            full.parse::<TableName>().ok().and_then(|name| self.all.0.table(&name).ok())
        else {
            return Ok(None);
        };
        let failed = |failure: Failure| DataFusionError::External(Box::new(failure));
        let delta = open_at(&table, reading.version.as_ref()).await.map_err(failed)?;
        let provider = delta.table_provider().await;
        let provider: Arc<dyn TableProvider> =
            provider.map_err(|error| DataFusionError::External(Box::new(error)))?;
        match reading.sample {
            None => Ok(Some(provider)),
            Some(sample) => drawn(provider, sample).await.map(Some),
        }
    }

    fn table_exist(&self, name: &str) -> bool {
        let full = format!("{}.{}.{}", self.catalog, self.schema, Reading::of(name).0);
        full.parse::<TableName>().is_ok_and(|name| self.all.0.table(&name).is_ok())
    }
}

/// Some of a table's rows, the same ones for the same seed.
async fn drawn(provider: Arc<dyn TableProvider>, sample: Sample) -> Result<Arc<dyn TableProvider>> {
    // A single reader, so that the rows have an order.
    let mut config = SessionConfig::new().with_target_partitions(1);
    config.options_mut().execution.parquet.schema_force_view_types = false;
    let frame = SessionContext::new_with_config(config).read_table(provider)?;
    let schema = Arc::new(frame.schema().as_arrow().clone());
    let mut rows = 0u64..;
    let mut kept = Vec::new();
    for batch in frame.collect().await? {
        let lot = |row: u64| crate::stats::lot(sample.seed, row) as f64 / 2f64.powi(64);
        let of_batch = rows.by_ref().take(batch.num_rows());
        let mask: BooleanArray =
            of_batch.map(|row| Some(lot(row) * 100.0 < sample.percent)).collect();
        kept.push(filter_record_batch(&batch, &mask)?);
    }
    Ok(Arc::new(MemTable::try_new(schema, vec![kept])?))
}

/// The Delta table behind a catalog entry, at its newest version.
pub(super) async fn open(table: &Table) -> Result<DeltaTable, Failure> {
    open_at(table, None).await
}

pub(super) async fn open_at(
    table: &Table,
    version: Option<&Version>,
) -> Result<DeltaTable, Failure> {
    let url = location(table)?;
    let builder = DeltaTableBuilder::from_url(url).map_err(Failure::from)?;
    let builder = match version {
        None => builder,
        Some(Version::Number(number)) => builder.with_version(*number),
        Some(Version::Time(time)) => builder.with_datestring(time).map_err(Failure::from)?,
    };
    builder.load().await.map_err(|error| match error {
        deltalake_core::DeltaTableError::NotATable(_) => Failure::new(
            "DELTA_TABLE_NOT_FOUND",
            format!(
                "[DELTA_TABLE_NOT_FOUND] table '{}' has no Delta log at {}",
                table.full_name, table.storage_location
            ),
        ),
        other => Failure::from(other),
    })
}

pub(super) fn location(table: &Table) -> Result<url::Url, Failure> {
    url::Url::from_directory_path(table.folder()).map_err(|()| {
        Failure::new("INVALID_LOCATION", format!("`{}` is not a folder", table.storage_location))
    })
}
