//! One side of a comparison, ready to be counted column by column.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use arrow::array::RecordBatch;
use arrow::datatypes::{Field, Schema, SchemaRef};
use rayon::prelude::*;

use super::csv::CsvFiles;
use super::delta::DeltaTable;
use super::draw::{Draw, Drawn};
use super::files::{self, Kind};
use super::groups::{Group, Grouping, Groups, Scope, Wanted};
use super::parquet::{ParquetFile, Scratch};
use super::partitions::Partitions;
use super::rows::Rows;
use super::storage::Storage;
use super::{Lake, Room, nested, types};
use crate::databricks::Client;
use crate::databricks::unity::TableInfo;
use crate::names::{AsOf, Sha256, TableName};
use crate::report::Fault;
use crate::stats;
use crate::stats::column::Column;
use crate::stats::derived::Derived;
use crate::sys::fs;

/// Rows that are read once the columns are known.
#[derive(Debug)]
pub struct Side {
    /// Derived columns come after those that are there.
    schema: SchemaRef,
    derived: Vec<Derived>,
    version: Option<u64>,
    /// Columns in the paths of the files; they come last in the schema.
    partitions: Partitions,
    rows: Rows,
}

impl Side {
    /// Files of this machine, all of one kind and schema; or a Delta table in a
    /// folder.
    pub fn files(text: &str, as_of: Option<AsOf>) -> Result<Self> {
        if DeltaTable::is_one(Path::new(text)) {
            return Self::delta(DeltaTable::open(Storage::folder(Path::new(text))?, as_of)?);
        }
        if let Some(state) = as_of {
            let fault = Fault::usage(format!("`{text}` has no state `{state}`"));
            return Err(fault.hint("only a folder with a Delta log has states of the past").into());
        }
        let (root, files) = files::expand(text)?;
        let kinds = files.iter().map(|file| files::kind(file)).collect::<Result<Vec<_>, _>>()?;
        let kind = *kinds.first().context("no file was named")?;
        if let Some(at) = kinds.iter().position(|other| *other != kind) {
            let (one, other) = (files[at].display(), files[0].display());
            let message = format!("`{one}` is not of the kind of `{other}`");
            return Err(Fault::usage(message).hint("name files of one kind").into());
        }
        let side = match kind {
            Kind::Parquet => Self::parquet(&files)?,
            Kind::Csv => {
                let csv = CsvFiles::open(&files)?;
                Self::of(csv.schema().clone(), Rows::Csv(csv))
            }
            Kind::Arrow => {
                let schemas = files.iter().map(|file| files::arrow_schema(file));
                let schema = files::same_schema(&files, schemas.collect::<Result<Vec<_>>>()?)?;
                Self::of(schema, Rows::Arrow(files.clone()))
            }
        };
        side.with_partitions(&root, &files)
    }

    /// The files of this machine that are read, by their own paths, whatever they were
    /// called by; nothing of tables and of Delta folders.
    pub fn paths(&self) -> Vec<PathBuf> {
        let named = if self.version.is_none() { self.rows.files() } else { Vec::new() };
        named.into_iter().filter_map(|file| file.canonicalize().ok()).collect()
    }

    fn with_partitions(mut self, root: &Path, files: &[PathBuf]) -> Result<Self> {
        self.partitions = Partitions::of(root, files, &self.schema)?;
        let held = self.schema.fields().iter().map(|field| field.as_ref().clone());
        self.schema = Arc::new(Schema::new(
            held.chain(self.partitions.fields().iter().cloned()).collect::<Vec<_>>(),
        ));
        Ok(self)
    }

    /// A table of the catalog, read from its files with what the catalog grants.
    /// `endpoint` stands for Azure's own address of the storage account.
    pub async fn stored(
        client: &Client,
        table: &TableName,
        info: &TableInfo,
        as_of: Option<AsOf>,
        endpoint: Option<&str>,
    ) -> Result<Self> {
        let id = info.table_id.as_deref();
        let id = id.with_context(|| format!("the catalog tells no id of `{table}`"))?;
        let granted = client.table_credentials(id).await.with_context(|| {
            format!("ask for a way to the files of `{table}` (needs EXTERNAL USE SCHEMA)")
        })?;
        Self::delta(DeltaTable::open(Storage::granted(table, &granted, endpoint)?, as_of)?)
    }

    fn parquet(files: &[PathBuf]) -> Result<Self> {
        let open = files.iter().map(|file| ParquetFile::open(file)).collect::<Result<Vec<_>>>()?;
        let schemas = open.iter().map(|file| file.schema().clone()).collect();
        let schema = files::same_schema(files, schemas)?;
        Ok(Self::of(schema, Rows::Parquet(open)))
    }

    /// Straight from the files where they hold what the table holds.
    fn delta(folder: DeltaTable) -> Result<Self> {
        let version = Some(folder.version());
        if let Some(files) = folder.plain_files()?.filter(|files| !files.is_empty())
            && let Ok(side) = Self::parquet(&files)
            && files::is_same(&side.schema, folder.schema())
        {
            return Ok(Self { version, ..side });
        }
        let schema = folder.schema().clone();
        Ok(Self { version, ..Self::of(schema, Rows::Delta(folder)) })
    }

    fn of(schema: SchemaRef, rows: Rows) -> Self {
        Self { schema, derived: Vec::new(), version: None, partitions: Partitions::default(), rows }
    }

    /// The version of a Delta table in a folder.
    pub fn version(&self) -> Option<u64> {
        self.version
    }

    /// The digest of plain files, whose path alone does not tell their state.
    pub fn digest(&self) -> Result<Option<Sha256>> {
        let files = self.rows.files();
        if self.version.is_some() || files.is_empty() {
            return Ok(None);
        }
        let digests = files
            .into_iter()
            .enumerate()
            .map(|(at, file)| Ok(format!("{}{}", self.partitions.told(at), fs::digest(file)?)));
        let digests: Vec<String> = digests.collect::<Result<_>>()?;
        Ok(Some(Sha256::of_parts(digests.iter().map(String::as_str))))
    }

    /// A table as it stands in a FROM clause; the warehouse evaluates `filter`.
    pub fn table(info: &TableInfo, from: String, filter: Option<&str>) -> Self {
        let rows = Rows::Table { from, filter: filter.map(str::to_owned) };
        Self::of(types::schema(info), rows)
    }

    /// The same rows with more columns; and those that cannot be made here,
    /// with the reason.
    #[must_use]
    pub fn with_derived(mut self, derived: &[Derived]) -> (Self, Vec<Fault>) {
        let mut fields: Vec<Field> =
            self.schema.fields().iter().map(|field| field.as_ref().clone()).collect();
        let mut faults = Vec::new();
        for derived in derived {
            let Ok(root) = self.schema.field_with_name(derived.root()) else {
                let known = self.schema.fields().iter().map(|field| field.name().as_str());
                let fault =
                    Fault::usage(format!("`{derived}`: there is no column `{}`", derived.root()));
                faults.push(fault.or_near(derived.root(), known));
                continue;
            };
            match derived.data_type(root.data_type()) {
                Ok(kind) => {
                    fields.push(Field::new(derived.name(), kind, true));
                    self.derived.push(derived.clone());
                }
                Err(reason) => faults.push(Fault::usage(format!("`{derived}`: {reason}"))),
            }
        }
        self.schema = Arc::new(Schema::new(fields));
        (self, faults)
    }

    fn derived(&self, name: &str) -> Option<&Derived> {
        self.derived.iter().find(|derived| derived.name() == name)
    }

    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Whether a single column can be read without the others.
    pub fn reads_columns(&self) -> bool {
        matches!(self.rows, Rows::Parquet(_))
    }

    /// The number of rows, where it is known without reading them.
    pub fn rows(&self) -> Option<u64> {
        self.rows.count()
    }

    /// Counts a column by itself, in the room of `column`.
    pub fn column(
        &self,
        (field, measure): Wanted<'_>,
        spare: Option<Column>,
        scratch: &mut Scratch,
        room: Option<&Room>,
    ) -> Result<Column> {
        let Rows::Parquet(files) = &self.rows else {
            anyhow::bail!("column `{}` cannot be read by itself", field.name());
        };
        let mut column = Column::reuse(measure, spare);
        for (at, file) in files.iter().enumerate() {
            let derived = self.derived(field.name());
            let root = derived.map_or(field.name().as_str(), Derived::root);
            if self.partitions.has(root) {
                let rows = usize::try_from(file.rows())?;
                let values = self.partitions.repeated(at, root, rows)?;
                let values = derived.map_or(Ok(values.clone()), |made| made.values(&values))?;
                stats::arrow::push(&mut column, &values)?;
                continue;
            }
            match derived {
                None => file.read(field, &mut column, scratch, room)?,
                Some(derived) => file.each(&[root.to_owned()], |batch| {
                    stats::arrow::push(&mut column, &derived.values(batch.column(0))?)?;
                    room.map_or(Ok(()), |room| room.make(&mut [&mut column]))
                })?,
            }
        }
        Ok(column)
    }

    /// Counts all columns in one pass over the rows, told apart by `grouping`.
    pub async fn groups(
        &self,
        lake: Option<Lake<'_>>,
        wanted: &[Wanted<'_>],
        grouping: &Grouping,
    ) -> Result<BTreeMap<Scope, Group>> {
        if let Rows::Parquet(files) = &self.rows {
            return self.groups_at_once(files, wanted, grouping);
        }
        let mut groups = Groups::new(wanted, grouping, &self.derived);
        let names = self.roots(wanted.iter().map(|(field, _)| field.name().clone()), grouping);
        self.each(lake, &names, |batch| groups.push(&batch)).await?;
        Ok(groups.done())
    }

    /// The same, some columns on each thread: all of them see the same rows.
    fn groups_at_once(
        &self,
        files: &[ParquetFile],
        wanted: &[Wanted<'_>],
        grouping: &Grouping,
    ) -> Result<BTreeMap<Scope, Group>> {
        let threads = grouping.threads.clamp(1, wanted.len().max(1));
        let mut grouping = grouping.clone();
        if let Some(room) = &mut grouping.room {
            room.most /= threads as u64;
        }
        let count = |at: usize| -> Result<BTreeMap<Scope, Group>> {
            let wanted: Vec<Wanted<'_>> =
                wanted.iter().skip(at).step_by(threads).copied().collect();
            let mut groups = Groups::new(&wanted, &grouping, &self.derived);
            let names = wanted.iter().map(|(field, _)| field.name().clone());
            let names = self.roots(names, &grouping);
            self.each_parquet(files, &names, |batch| groups.push(&batch))?;
            Ok(groups.done())
        };
        let parts = (0..threads).into_par_iter().map(count);
        let mut parts = parts.collect::<Result<Vec<_>>>()?.into_iter();
        let mut groups = parts.next().unwrap_or_default();
        for (scope, part) in parts.flatten() {
            if let Some(group) = groups.get_mut(&scope) {
                group.columns.extend(part.columns);
            }
        }
        Ok(groups)
    }

    /// All rows that `grouping` lets through, with these columns.
    ///
    /// # Errors
    /// Also when there is no such column; the near ones are told.
    pub async fn read(
        &self,
        lake: Option<Lake<'_>>,
        names: &[String],
        grouping: &Grouping,
    ) -> Result<Vec<RecordBatch>> {
        let known: Vec<&str> =
            self.schema.fields().iter().map(|field| field.name().as_str()).collect();
        let asked = names.iter().cloned().chain(grouping.columns());
        if let Some(missing) = asked.into_iter().find(|name| !known.contains(&name.as_str())) {
            let fault = Fault::usage(format!("the data has no column `{missing}`"));
            return Err(fault.or_near(&missing, known.iter().copied()).into());
        }
        let mut groups = Groups::new(&[], grouping, &self.derived);
        let mut batches = Vec::new();
        let read = self.roots(names.iter().cloned(), grouping);
        self.each(lake, &read, |batch| {
            batches.push(groups.kept(&batch)?);
            Ok(())
        })
        .await?;
        Ok(batches)
    }

    /// Some rows with these columns: at most `limit`, of those that `grouping`
    /// draws and lets through.
    pub async fn draw(
        &self,
        lake: Option<Lake<'_>>,
        names: &[&str],
        grouping: &Grouping,
        limit: usize,
    ) -> Result<Drawn> {
        let mut draw = Draw::new(limit);
        self.visit(lake, names, grouping, |batch| draw.push(batch)).await?;
        let places = names.iter().map(|name| self.schema.index_of(name));
        draw.done(&Arc::new(self.schema.project(&places.collect::<Result<Vec<_>, _>>()?)?))
    }

    /// Shows the rows that `grouping` lets through, with these columns, in parts.
    pub async fn visit(
        &self,
        lake: Option<Lake<'_>>,
        names: &[&str],
        grouping: &Grouping,
        mut act: impl FnMut(&RecordBatch) -> Result<()>,
    ) -> Result<()> {
        let mut groups = Groups::new(&[], grouping, &self.derived);
        let read = self.roots(names.iter().map(|name| (*name).to_owned()), grouping);
        self.each(lake, &read, |batch| {
            let batch = groups.kept(&batch)?;
            let places = names.iter().map(|name| batch.schema().index_of(name));
            act(&batch.project(&places.collect::<Result<Vec<_>, _>>()?)?)
        })
        .await
    }

    /// The columns that must be read for these and for `grouping`.
    fn roots(&self, names: impl Iterator<Item = String>, grouping: &Grouping) -> Vec<String> {
        let mut names: Vec<String> = names.chain(grouping.columns()).collect();
        for name in &mut names {
            if let Some(derived) = self.derived(name) {
                derived.root().clone_into(name);
            }
        }
        // Rows of no columns cannot be counted.
        if names.is_empty() {
            names.extend(self.schema.fields().first().map(|field| field.name().clone()));
        }
        names.sort();
        names.dedup();
        names
    }

    /// Those of the columns that the files hold; one at least, as rows of no
    /// columns cannot be counted.
    fn held(&self, names: &[String]) -> Vec<String> {
        let mut held: Vec<String> =
            names.iter().filter(|name| !self.partitions.has(name)).cloned().collect();
        if held.is_empty() {
            held.extend(self.schema.fields().first().map(|field| field.name().clone()));
        }
        held
    }

    fn each_parquet(
        &self,
        files: &[ParquetFile],
        names: &[String],
        mut each: impl FnMut(RecordBatch) -> Result<()>,
    ) -> Result<()> {
        let held = self.held(names);
        for (at, file) in files.iter().enumerate() {
            file.each(&held, |batch| each(self.partitions.extend(at, batch, names)?))?;
        }
        Ok(())
    }

    /// Where those of these columns stand that the files hold.
    fn places(&self, names: &[String]) -> Result<Vec<usize>> {
        let held = self.held(names);
        Ok(held.iter().map(|name| self.schema.index_of(name)).collect::<Result<_, _>>()?)
    }

    /// The rows, batch by batch, with these columns only.
    async fn each(
        &self,
        lake: Option<Lake<'_>>,
        names: &[String],
        mut each: impl FnMut(RecordBatch) -> Result<()>,
    ) -> Result<()> {
        match &self.rows {
            Rows::Parquet(files) => self.each_parquet(files, names, each)?,
            Rows::Csv(files) => {
                files.each(&self.places(names)?, |at, batch| {
                    each(self.partitions.extend(at, batch, names)?)
                })?;
            }
            Rows::Arrow(files) => {
                let places = self.places(names)?;
                for (at, file) in files.iter().enumerate() {
                    let read = files::each_of_arrow(file, &places, |batch| {
                        each(self.partitions.extend(at, batch, names)?)
                    });
                    read.map_err(|error| files::naming(file, error))?;
                }
            }
            Rows::Delta(folder) => folder.each(names, each)?,
            Rows::Table { from, filter } => {
                let lake = lake.context("a table needs a warehouse")?;
                let typed = |batch| each(nested::typed(batch, &self.schema)?);
                lake.read_each(from, names, filter.as_deref(), typed).await?;
            }
        }
        Ok(())
    }
}
