//! Tables in and out as Arrow, through a SQL warehouse.

mod csv;
mod delta;
mod draw;
mod files;
mod groups;
mod ipc;
mod nested;
mod open;
pub mod parquet;
mod partitions;
mod rows;
mod side;
mod spill;
mod storage;
mod types;

pub use draw::Drawn;
pub use groups::{Group, Grouping, Scope, Slice, Wanted, Window};
pub use open::{Asked, Opened, Versioned, open};
pub use side::Side;
pub use spill::Room;

use anyhow::{Context as _, Result};
use arrow::array::{Array as _, ArrayRef, RecordBatch};
use arrow::compute::concat;

use crate::databricks::sql::Statement;
use crate::databricks::unity::TableInfo;
use crate::databricks::{Client, Error};
use crate::names::{self, AsOf, SchemaName, TableName};
use crate::record::{self, Row};
use crate::report::Fault;

/// A warehouse and the client that reaches it.
#[derive(Debug, Clone, Copy)]
pub struct Lake<'a> {
    pub client: &'a Client,
    pub warehouse: &'a str,
}

/// The table's entry in the catalog; a missing one is the caller's mistake.
pub async fn table(client: &Client, table: &TableName) -> Result<TableInfo> {
    let found =
        client.table_get(table).await.with_context(|| format!("look up the table `{table}`"))?;
    found.ok_or_else(|| {
        Fault::usage(format!("the table `{table}` does not exist"))
            .hint("check its name, and that the identity may see its catalog and schema")
            .into()
    })
}

impl Lake<'_> {
    /// The version in the table's Delta log that is asked for; the newest one
    /// when nothing is.
    pub async fn version(&self, table: &TableName, as_of: Option<AsOf>) -> Result<u64> {
        let not_after = match as_of {
            Some(AsOf::Version(version)) => return Ok(version),
            Some(AsOf::Time(time)) => Some(time),
            None => None,
        };
        let statement = Statement::new(format!("DESCRIBE HISTORY {}", table.quoted()));
        let history = self
            .client
            .sql(self.warehouse, &statement)
            .await
            .with_context(|| format!("read the history of `{table}`"))?;
        let cell = |row: &[Option<String>], name: &str| -> Option<String> {
            let at = history.columns.iter().position(|column| column == name)?;
            row.get(at)?.clone()
        };
        let versions = history.rows.iter().filter_map(|row| {
            let version: u64 = cell(row, "version")?.parse().ok()?;
            let known = not_after.is_none_or(|limit| {
                cell(row, "timestamp")
                    .and_then(|text| names::time(&text))
                    .is_some_and(|at| at <= limit)
            });
            known.then_some(version)
        });
        let newest = versions.max();
        newest.ok_or_else(|| match not_after {
            Some(time) => Fault::usage(format!("`{table}` has no version of {time} or before"))
                .hint("its history may have been cleaned up: name a later time")
                .into(),
            None => anyhow::anyhow!("`{table}` has no history"),
        })
    }

    /// Columns of what stands in a FROM clause, a batch at a time as they arrive.
    pub async fn read_each(
        &self,
        from: &str,
        columns: &[String],
        filter: Option<&str>,
        each: impl FnMut(RecordBatch) -> Result<()>,
    ) -> Result<()> {
        let statement = select(from, columns, filter);
        let read = self.client.sql_arrow_each(self.warehouse, &statement, each).await;
        read.with_context(|| format!("read {from}"))
    }

    /// Makes the table of a kind of rows when it is missing.
    pub async fn ensure<R: Row>(&self, schema: &SchemaName) -> Result<()> {
        let table = record::create::<R>(schema);
        let mut made = self.client.sql(self.warehouse, &table).await;
        // What is recorded first comes before the first deployment.
        if made.as_ref().is_err_and(Error::is_not_found) {
            let parent = Statement::new(format!("CREATE SCHEMA IF NOT EXISTS {}", schema.quoted()));
            let parent = self.client.sql(self.warehouse, &parent).await;
            parent.with_context(|| format!("make the schema `{schema}`"))?;
            made = self.client.sql(self.warehouse, &table).await;
        }
        let made = match made {
            // IF NOT EXISTS looks first: another check may come between.
            Err(error) if error.is_already_there() => Ok(()),
            made => made.map(drop),
        };
        made.with_context(|| format!("make `{}`", record::table::<R>(schema)))
    }

    /// Adds rows to their table, which is made when it is missing.
    pub async fn record<R: Row>(&self, schema: &SchemaName, rows: &[R]) -> Result<()> {
        /// One statement has room for this many rows' parameters.
        const AT_ONCE: usize = 40;
        let context = || format!("record in `{}`", record::table::<R>(schema));
        self.ensure::<R>(schema).await?;
        for part in rows.chunks(AT_ONCE) {
            // Keyed by event_id: sent again after a lost answer, it adds nothing.
            let statement = record::merge(schema, part);
            let mut added = self.client.sql(self.warehouse, &statement).await;
            if added.as_ref().is_err_and(Error::is_unresolved) {
                self.widen::<R>(schema).await.with_context(context)?;
                added = self.client.sql(self.warehouse, &statement).await;
            }
            added.with_context(context)?;
        }
        Ok(())
    }

    /// Gives a table that an earlier build made the columns that its rows have now.
    async fn widen<R: Row>(&self, schema: &SchemaName) -> Result<()> {
        let name = record::table::<R>(schema);
        let there = table(self.client, &name).await?.columns;
        let is_there = |column: &str| there.iter().any(|it| it.name.eq_ignore_ascii_case(column));
        let missing = R::COLUMNS.iter().filter(|(column, ..)| !is_there(column));
        let missing: Vec<String> =
            missing.map(|(column, kind, _)| format!("{column} {kind}")).collect();
        if missing.is_empty() {
            return Ok(());
        }
        let text = format!("ALTER TABLE {} ADD COLUMNS ({})", name.quoted(), missing.join(", "));
        match self.client.sql(self.warehouse, &Statement::new(text)).await {
            // Another step was faster.
            Err(error) if error.is_already_there() => Ok(()),
            done => done.map(drop).with_context(|| format!("add columns to `{name}`")),
        }
    }
}

fn select(from: &str, columns: &[String], filter: Option<&str>) -> Statement {
    let quoted: Vec<String> = columns.iter().map(|column| names::quoted(column)).collect();
    let filter = filter.map(|filter| format!(" WHERE ({filter})")).unwrap_or_default();
    Statement::new(format!("SELECT {} FROM {from}{filter}", quoted.join(", ")))
}

/// One column of all batches in a single array.
pub fn column(batches: &[RecordBatch], name: &str) -> Result<ArrayRef> {
    let parts: Vec<ArrayRef> =
        batches.iter().filter_map(|batch| batch.column_by_name(name).cloned()).collect();
    let parts: Vec<&dyn arrow::array::Array> =
        parts.iter().map(|part| &**part as &dyn arrow::array::Array).collect();
    if parts.is_empty() {
        return Ok(arrow::array::new_empty_array(&arrow::datatypes::DataType::Null));
    }
    let joined = concat(&parts).with_context(|| format!("join the column `{name}`"))?;
    debug_assert_eq!(joined.len(), batches.iter().map(RecordBatch::num_rows).sum::<usize>());
    Ok(joined)
}

#[cfg(test)]
mod hostile_tests;
