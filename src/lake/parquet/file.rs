//! A file and its columns.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use arrow::array::RecordBatch;
use arrow::datatypes::{Field, SchemaRef};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use parquet::file::reader::{ChunkReader as _, Length as _};

use super::bytes::{Part, Positioned};
use super::chunk::{self, Scratch};
use crate::lake::Room;
use crate::lake::files::{guarded, unreadable};
use crate::report::Fault;
use crate::stats::column::Column;

/// An open file. Its columns can be read by several threads at once.
#[derive(Debug, Clone)]
pub struct ParquetFile {
    path: PathBuf,
    file: Positioned,
    metadata: ArrowReaderMetadata,
    /// The leaves that are columns of their own, by name.
    leaves: Arc<BTreeMap<String, usize>>,
}

impl ParquetFile {
    /// # Errors
    /// When there is no such file, or it is not whole.
    pub fn open(path: &Path) -> Result<Self> {
        let file = Positioned::open(path)?;
        let load = || ArrowReaderMetadata::load(&file, ArrowReaderOptions::new());
        let metadata = guarded(path, load)?.map_err(|error| {
            Fault::usage(format!("`{}` is not a whole Parquet file: {error}", path.display()))
        })?;
        let schema = metadata.metadata().file_metadata().schema_descr();
        let alone = schema.columns().iter().enumerate().rev();
        let alone = alone.filter(|(_, leaf)| leaf.path().parts().len() == 1);
        let leaves = alone.map(|(at, leaf)| (leaf.name().to_owned(), at)).collect();
        Ok(Self { path: path.to_owned(), file, leaves: Arc::new(leaves), metadata })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn schema(&self) -> &SchemaRef {
        self.metadata.schema()
    }

    pub fn rows(&self) -> u64 {
        u64::try_from(self.raw().file_metadata().num_rows()).unwrap_or(0)
    }

    fn raw(&self) -> &Arc<ParquetMetaData> {
        self.metadata.metadata()
    }

    /// Counts a whole top-level column, and makes `room` for it on the way.
    pub fn read(
        &self,
        field: &Field,
        column: &mut Column,
        scratch: &mut Scratch,
        room: Option<&Room>,
    ) -> Result<()> {
        let mut read = || -> Result<()> {
            match self.flat(field) {
                Some(leaf) => self.read_flat(leaf, field, column, scratch, room),
                None => self.read_arrow(field, column, room),
            }
        };
        read().map_err(|error| {
            let what = format!("read column `{}` of `{}`", field.name(), self.path.display());
            match Fault::of(&error) {
                Some(_) => error.context(what),
                None => Fault::usage(format!("{what}: {error:#}")).into(),
            }
        })
    }

    /// The number of the column's only leaf, if the column is one that is
    /// decoded here.
    fn flat(&self, field: &Field) -> Option<usize> {
        let leaf = *self.leaves.get(field.name())?;
        let descriptor = self.raw().file_metadata().schema_descr().column(leaf);
        let flat = descriptor.max_rep_level() == 0 && descriptor.max_def_level() <= 1;
        let known = chunk::decodes(field.data_type(), descriptor.physical_type());
        let plain = |group: &parquet::file::metadata::RowGroupMetaData| {
            group.column(leaf).encodings().all(chunk::knows)
        };
        (flat && known && self.raw().row_groups().iter().all(plain)).then_some(leaf)
    }

    fn read_flat(
        &self,
        leaf: usize,
        field: &Field,
        column: &mut Column,
        scratch: &mut Scratch,
        room: Option<&Room>,
    ) -> Result<()> {
        for (number, group) in self.raw().row_groups().iter().enumerate() {
            let meta = group.column(leaf);
            let (start, length) = place(meta)?;
            if start.checked_add(length).is_none_or(|end| end > self.file.len()) {
                return Err(Fault::usage("a column reaches beyond the end of the file").into());
            }
            let bytes = self.file.get_bytes(start, usize::try_from(length)?)?;
            let part = Part::new(start, bytes, self.file.len());
            let rows = usize::try_from(group.num_rows())?;
            chunk::read(Arc::new(part), meta, rows, field.data_type(), column, scratch)
                .with_context(|| format!("row group {number}"))?;
            if let Some(room) = room {
                room.make(&mut [column])?;
            }
        }
        Ok(())
    }

    /// The rows with these columns, batch by batch.
    pub fn each(
        &self,
        names: &[String],
        mut each: impl FnMut(RecordBatch) -> Result<()>,
    ) -> Result<()> {
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(
            self.file.clone(),
            self.metadata.clone(),
        );
        // By number: a name may hold a dot, which would mean a path.
        let places =
            names.iter().map(|name| self.schema().index_of(name)).collect::<Result<Vec<_>, _>>()?;
        let mask = ProjectionMask::roots(builder.parquet_schema(), places);
        let rows = self.rows_at_once(&mask);
        let mut batches = builder.with_projection(mask).with_batch_size(rows).build()?;
        while let Some(batch) = guarded(&self.path, || batches.next())? {
            each(batch.map_err(|error| unreadable(&self.path, &error))?)?;
        }
        Ok(())
    }

    /// As many rows as are some megabytes: fewer of long texts, more of numbers.
    fn rows_at_once(&self, mask: &ProjectionMask) -> usize {
        const BYTES: i64 = 4 << 20;
        let groups = self.raw().row_groups().iter();
        let (mut bytes, mut rows) = (0i64, 0i64);
        for group in groups {
            let wanted =
                group.columns().iter().enumerate().filter(|(at, _)| mask.leaf_included(*at));
            let size = |(_, column): (usize, &ColumnChunkMetaData)| column.uncompressed_size();
            bytes = wanted.map(size).fold(bytes, i64::saturating_add);
            rows = rows.saturating_add(group.num_rows());
        }
        let fit = BYTES.saturating_mul(rows).checked_div(bytes).unwrap_or(0);
        usize::try_from(fit).unwrap_or(0).clamp(1024, 1 << 15)
    }

    fn read_arrow(&self, field: &Field, column: &mut Column, room: Option<&Room>) -> Result<()> {
        self.each(std::slice::from_ref(field.name()), |batch| {
            crate::stats::arrow::push(column, batch.column(0))?;
            room.map_or(Ok(()), |room| room.make(&mut [column]))
        })
    }
}

/// Where a column chunk lies. The library's own look-up does not bear negative
/// numbers, which a broken footer may hold.
fn place(meta: &ColumnChunkMetaData) -> Result<(u64, u64), Fault> {
    let start = meta.dictionary_page_offset().unwrap_or_else(|| meta.data_page_offset());
    match (u64::try_from(start), u64::try_from(meta.compressed_size())) {
        (Ok(start), Ok(length)) => Ok((start, length)),
        _ => Err(Fault::usage("the footer puts a column before the file's start")),
    }
}
