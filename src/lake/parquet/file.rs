//! A file and its columns.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use arrow::array::RecordBatch;
use arrow::datatypes::{Field, SchemaRef};
use bytes::{Buf as _, Bytes};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use parquet::file::reader::{ChunkReader, Length};

use super::chunk::{self, Scratch};
use crate::report::Fault;
use crate::stats::column::Column;
use crate::sys::fs::ReadAt;

/// An open file. Its columns can be read by several threads at once.
#[derive(Debug, Clone)]
pub struct ParquetFile {
    path: PathBuf,
    file: Positioned,
    metadata: ArrowReaderMetadata,
}

impl ParquetFile {
    /// # Errors
    /// When there is no such file, or it is not whole.
    pub fn open(path: &Path) -> Result<Self> {
        let file = Positioned(Arc::new(ReadAt::open(path)?));
        let metadata =
            ArrowReaderMetadata::load(&file, ArrowReaderOptions::new()).map_err(|error| {
                Fault::usage(format!("`{}` is not a whole Parquet file: {error}", path.display()))
            })?;
        Ok(Self { path: path.to_owned(), file, metadata })
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

    /// Counts a whole top-level column.
    pub fn read(&self, field: &Field, column: &mut Column, scratch: &mut Scratch) -> Result<()> {
        let mut read = || -> Result<()> {
            match self.flat(field) {
                Some(leaf) => self.read_flat(leaf, field, column, scratch),
                None => self.read_arrow(field, column),
            }
        };
        read()
            .with_context(|| format!("read column `{}` of `{}`", field.name(), self.path.display()))
    }

    /// The number of the column's only leaf, if the column is one that is
    /// decoded here.
    fn flat(&self, field: &Field) -> Option<usize> {
        let schema = self.raw().file_metadata().schema_descr();
        let leaf = (0..schema.num_columns()).find(|at| {
            let descriptor = schema.column(*at);
            descriptor.path().parts().len() == 1 && descriptor.name() == field.name()
        })?;
        let descriptor = schema.column(leaf);
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
    ) -> Result<()> {
        for (number, group) in self.raw().row_groups().iter().enumerate() {
            let meta = group.column(leaf);
            let (start, length) = place(meta)?;
            if start.checked_add(length).is_none_or(|end| end > self.file.len()) {
                return Err(Fault::usage("a column reaches beyond the end of the file").into());
            }
            let bytes = self.file.get_bytes(start, usize::try_from(length)?)?;
            let part = Part { start, bytes, len: self.file.len() };
            let rows = usize::try_from(group.num_rows())?;
            chunk::read(Arc::new(part), meta, rows, field.data_type(), column, scratch)
                .with_context(|| format!("row group {number}"))?;
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
        let known = names.iter().map(String::as_str);
        let mask = ProjectionMask::columns(builder.parquet_schema(), known);
        let mut batches = builder.with_projection(mask).build()?;
        while let Some(batch) = self.guarded(|| batches.next())? {
            let unreadable = |error: arrow::error::ArrowError| {
                Fault::usage(format!("read `{}`: {error}", self.path.display()))
            };
            each(batch.map_err(unreadable)?)?;
        }
        Ok(())
    }

    /// The library's decoders panic at some files that lie.
    fn guarded<T>(&self, decode: impl FnOnce() -> T) -> Result<T, Fault> {
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(decode)).map_err(|_panic| {
            Fault::usage(format!("`{}` is damaged: it cannot be decoded", self.path.display()))
        })
    }

    fn read_arrow(&self, field: &Field, column: &mut Column) -> Result<()> {
        self.each(std::slice::from_ref(field.name()), |batch| {
            crate::stats::arrow::push(column, batch.column(0))
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

/// Reads by place: threads do not move each other's offset.
#[derive(Debug, Clone)]
struct Positioned(Arc<ReadAt>);

impl Length for Positioned {
    fn len(&self) -> u64 {
        self.0.len()
    }
}

impl ChunkReader for Positioned {
    type T = std::io::BufReader<From>;

    fn get_read(&self, start: u64) -> ParquetResult<Self::T> {
        Ok(std::io::BufReader::new(From { file: self.0.clone(), at: start }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> ParquetResult<Bytes> {
        let end = start.saturating_add(length as u64);
        if end > self.0.len() {
            return Err(ParquetError::EOF(format!("the file ends before byte {end}")));
        }
        let mut bytes = vec![0; length];
        self.0.fill(start, &mut bytes)?;
        Ok(bytes.into())
    }
}

#[derive(Debug)]
struct From {
    file: Arc<ReadAt>,
    at: u64,
}

impl std::io::Read for From {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let left = self.file.len().saturating_sub(self.at);
        let count = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        self.file.fill(self.at, &mut buffer[..count])?;
        self.at += count as u64;
        Ok(count)
    }
}

/// The bytes of one column chunk, under their places in the file.
#[derive(Debug)]
pub(super) struct Part {
    start: u64,
    bytes: Bytes,
    len: u64,
}

impl Part {
    fn from(&self, start: u64) -> ParquetResult<Bytes> {
        let at = start.checked_sub(self.start).and_then(|at| usize::try_from(at).ok());
        let at = at.filter(|at| *at <= self.bytes.len());
        let outside = || ParquetError::EOF("a page lies outside of its column".into());
        Ok(self.bytes.slice(at.ok_or_else(outside)?..))
    }
}

impl Length for Part {
    fn len(&self) -> u64 {
        self.len
    }
}

impl ChunkReader for Part {
    type T = bytes::buf::Reader<Bytes>;

    fn get_read(&self, start: u64) -> ParquetResult<Self::T> {
        Ok(self.from(start)?.reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> ParquetResult<Bytes> {
        let bytes = self.from(start)?;
        if length > bytes.len() {
            return Err(ParquetError::EOF("a page reaches beyond its column".into()));
        }
        Ok(bytes.slice(..length))
    }
}
