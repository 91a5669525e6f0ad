//! A Delta table: which files and rows count at a version. The
//! protocol is the kernel library's; files that hold their rows as they are
//! are read like any other Parquet file.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use delta_kernel::engine::arrow_conversion::TryIntoArrow as _;
use delta_kernel::engine::arrow_data::ArrowEngineData;
use delta_kernel::history_manager::{HistoryCommitType, latest_version_as_of};
use delta_kernel::scan::state::ScanFile;
use delta_kernel::{Engine, Snapshot, SnapshotRef};
use delta_kernel_engine::DefaultEngineBuilder;

use super::storage::Storage;
use crate::names::AsOf;
use crate::report::Fault;

/// A table at one version.
#[derive(Clone)]
pub(super) struct DeltaTable {
    name: String,
    /// Whether its files are of this machine.
    is_here: bool,
    engine: Arc<dyn Engine>,
    snapshot: SnapshotRef,
    schema: SchemaRef,
}

impl std::fmt::Debug for DeltaTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let version = self.snapshot.version();
        f.debug_struct("DeltaTable").field("name", &self.name).field("version", &version).finish()
    }
}

impl DeltaTable {
    pub(super) fn is_one(path: &Path) -> bool {
        path.join("_delta_log").is_dir()
    }

    /// # Errors
    /// When the log cannot be read, has no such version, or asks for something
    /// of the protocol that is not known.
    pub(super) fn open(storage: Storage, as_of: Option<AsOf>) -> Result<Self> {
        let Storage { name, url, store } = storage;
        let told = |error: delta_kernel::Error| told(&name, &error);
        let engine: Arc<dyn Engine> = Arc::new(DefaultEngineBuilder::new(store).build());
        let at = |version: Option<u64>| {
            let builder = Snapshot::builder_for(url.as_str());
            let builder = match version {
                Some(version) => builder.at_version(version),
                None => builder,
            };
            builder.build(engine.as_ref()).map_err(told)
        };
        let snapshot = match as_of {
            None => at(None)?,
            Some(AsOf::Version(version)) => at(Some(version))?,
            Some(AsOf::Time(time)) => {
                let newest = at(None)?;
                let kind = HistoryCommitType::Recreatable;
                let millis = time.as_millisecond();
                let found = latest_version_as_of(&newest, engine.as_ref(), millis, kind);
                at(Some(found.map_err(told)?.version))?
            }
        };
        let schema: Schema = snapshot
            .schema()
            .as_ref()
            .try_into_arrow()
            .with_context(|| format!("read the schema of `{name}`"))?;
        let is_here = url.scheme() == "file";
        Ok(Self { name, is_here, engine, snapshot, schema: Arc::new(schema) })
    }

    pub(super) fn version(&self) -> u64 {
        self.snapshot.version()
    }

    pub(super) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn told(&self, error: &delta_kernel::Error) -> Fault {
        told(&self.name, error)
    }

    /// The files, if they are here and each of their rows counts, just as it is: no deletion
    /// vectors, partition columns or renamed columns.
    pub(super) fn plain_files(&self) -> Result<Option<Vec<PathBuf>>> {
        if !self.is_here {
            return Ok(None);
        }
        let told = |error| self.told(&error);
        let scan = self.snapshot.clone().scan_builder().build().map_err(told)?;
        let mut files: Vec<ScanFile> = Vec::new();
        for part in scan.scan_metadata(self.engine.as_ref()).map_err(told)? {
            let part = part.map_err(told)?;
            files = part.visit_scan_files(files, |files, file| files.push(file)).map_err(told)?;
        }
        let is_plain = |file: &ScanFile| {
            !file.dv_info.has_vector()
                && file.transform.is_none()
                && file.partition_values.is_empty()
        };
        if !files.iter().all(is_plain) {
            return Ok(None);
        }
        let root = scan.table_root();
        let paths = files.iter().map(|file| {
            root.join(&file.path).ok().and_then(|url| url.to_file_path().ok()).with_context(|| {
                format!("`{}` names `{}`, which is no file here", self.name, file.path)
            })
        });
        paths.collect::<Result<_>>().map(Some)
    }

    /// The rows with these columns, batch by batch.
    pub(super) fn each(
        &self,
        names: &[String],
        mut each: impl FnMut(RecordBatch) -> Result<()>,
    ) -> Result<()> {
        let told = |error| self.told(&error);
        let wanted = self.snapshot.schema().project(names).map_err(told)?;
        let scan =
            self.snapshot.clone().scan_builder().with_schema(wanted).build().map_err(told)?;
        for data in scan.execute(self.engine.clone()).map_err(told)? {
            let data = data.and_then(ArrowEngineData::try_from_engine_data).map_err(told)?;
            each(RecordBatch::from(*data))?;
        }
        Ok(())
    }
}

/// The library's words, without the stack that it may add to them.
fn told(name: &str, error: &delta_kernel::Error) -> Fault {
    match error {
        delta_kernel::Error::Backtraced { source, .. } => told(name, source),
        error => Fault::usage(format!("read the Delta table `{name}`: {error}")),
    }
}
