//! One side of a comparison, ready to be counted column by column.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Mutex;

use anyhow::{Context as _, Result};
use arrow::array::{RecordBatch, RecordBatchReader as _};
use arrow::datatypes::{Field, SchemaRef};

use super::Lake;
use super::files::{self, Kind};
use super::parquet::{ParquetFile, Scratch};
use super::types;
use crate::databricks::unity::TableInfo;
use crate::names::TableName;
use crate::report::Fault;
use crate::stats;
use crate::stats::column::{Column, Measure};

/// A column and what it is counted as.
pub type Wanted<'a> = (&'a Field, Measure);

/// Rows that are read once the columns are known.
#[derive(Debug)]
pub struct Side {
    schema: SchemaRef,
    rows: Rows,
}

#[derive(Debug)]
enum Rows {
    /// Read column by column, each when it is asked for.
    Parquet(Vec<ParquetFile>),
    /// Read in one go; columns are handed out once.
    Counted {
        rows: u64,
        columns: Mutex<HashMap<String, Column>>,
    },
    /// Not read yet.
    Files {
        kind: Kind,
        files: Vec<PathBuf>,
    },
    Table {
        table: TableName,
        version: u64,
        filter: Option<String>,
    },
}

impl Side {
    /// Files of this machine, all of one kind and schema.
    pub fn files(text: &str) -> Result<Self> {
        let files = files::expand(text)?;
        let kinds = files.iter().map(|file| files::kind(file)).collect::<Result<Vec<_>, _>>()?;
        let kind = *kinds.first().context("no file was named")?;
        if let Some(at) = kinds.iter().position(|other| *other != kind) {
            let message =
                format!("`{}` is not of the kind of `{}`", files[at].display(), files[0].display());
            return Err(Fault::usage(message).hint("name files of one kind").into());
        }
        if kind == Kind::Parquet {
            let open =
                files.iter().map(|file| ParquetFile::open(file)).collect::<Result<Vec<_>>>()?;
            let schemas = open.iter().map(|file| file.schema().clone()).collect();
            let schema = files::same_schema(&files, schemas)?;
            return Ok(Self { schema, rows: Rows::Parquet(open) });
        }
        let schemas = files
            .iter()
            .map(|file| Ok(files::batches(file, kind, None)?.schema()))
            .collect::<Result<Vec<_>>>()?;
        let schema = files::same_schema(&files, schemas)?;
        Ok(Self { schema, rows: Rows::Files { kind, files } })
    }

    /// A table as it was at `version`.
    pub fn table(info: &TableInfo, table: &TableName, version: u64, filter: Option<&str>) -> Self {
        let rows = Rows::Table { table: table.clone(), version, filter: filter.map(str::to_owned) };
        Self { schema: types::schema(info), rows }
    }

    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Reads what cannot be read column by column.
    pub async fn load(&mut self, lake: Option<Lake<'_>>, wanted: &[Wanted<'_>]) -> Result<()> {
        let mut counting = Counting::new(wanted);
        match &self.rows {
            Rows::Parquet(_) | Rows::Counted { .. } => return Ok(()),
            Rows::Files { kind, files } => {
                let places: Vec<usize> = wanted
                    .iter()
                    .map(|(field, _)| self.schema.index_of(field.name()))
                    .collect::<Result<_, _>>()?;
                for file in files {
                    for batch in files::batches(file, *kind, Some(&places))? {
                        counting.push(&files::checked(file, batch)?)?;
                    }
                }
            }
            Rows::Table { table, version, filter } => {
                let lake = lake.context("a table needs a warehouse")?;
                let names: Vec<String> =
                    wanted.iter().map(|(field, _)| field.name().clone()).collect();
                lake.read_each(table, *version, &names, filter.as_deref(), |batch| {
                    counting.push(&batch)
                })
                .await?;
            }
        }
        self.rows = counting.done();
        Ok(())
    }

    /// The number of rows; what was not loaded yet has none.
    pub fn rows(&self) -> u64 {
        match &self.rows {
            Rows::Parquet(files) => files.iter().map(ParquetFile::rows).sum(),
            Rows::Counted { rows, .. } => *rows,
            Rows::Files { .. } | Rows::Table { .. } => 0,
        }
    }

    /// Counts a column. `spare` is an empty column to use the room of.
    pub fn column(
        &self,
        (field, measure): Wanted<'_>,
        spare: Option<Column>,
        scratch: &mut Scratch,
    ) -> Result<Column> {
        match &self.rows {
            Rows::Parquet(files) => {
                let mut column = Column::reuse(measure, spare);
                for file in files {
                    file.read(field, &mut column, scratch)?;
                }
                Ok(column)
            }
            Rows::Counted { columns, .. } => {
                let mut columns = columns.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                columns
                    .remove(field.name())
                    .with_context(|| format!("column `{}` was not read", field.name()))
            }
            Rows::Files { .. } | Rows::Table { .. } => {
                anyhow::bail!("column `{}` was not read", field.name())
            }
        }
    }
}

/// Batches into columns.
struct Counting {
    rows: u64,
    columns: Vec<(String, Column)>,
}

impl Counting {
    fn new(wanted: &[Wanted<'_>]) -> Self {
        let column = |(field, measure): &Wanted<'_>| (field.name().clone(), Column::new(*measure));
        Self { rows: 0, columns: wanted.iter().map(column).collect() }
    }

    fn push(&mut self, batch: &RecordBatch) -> Result<()> {
        self.rows += batch.num_rows() as u64;
        for (name, column) in &mut self.columns {
            let array = batch
                .column_by_name(name)
                .with_context(|| format!("column `{name}` is missing in the answer"))?;
            stats::arrow::push(column, array).with_context(|| format!("read column `{name}`"))?;
        }
        Ok(())
    }

    fn done(self) -> Rows {
        Rows::Counted { rows: self.rows, columns: Mutex::new(self.columns.into_iter().collect()) }
    }
}
