//! The bytes of a file, by their places in it.

use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use bytes::{Buf as _, Bytes};
use parquet::errors::{ParquetError, Result as ParquetResult};
use parquet::file::reader::{ChunkReader, Length};

use crate::sys::fs::ReadAt;

/// Reads by place: threads do not move each other's offset.
#[derive(Debug, Clone)]
pub(in crate::lake) struct Positioned(Arc<ReadAt>);

impl Positioned {
    pub(super) fn open(path: &Path) -> Result<Self> {
        Ok(Self(Arc::new(ReadAt::open(path)?)))
    }

    pub(in crate::lake) fn of(file: std::fs::File) -> std::io::Result<Self> {
        Ok(Self(Arc::new(ReadAt::of(file)?)))
    }
}

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
pub(in crate::lake) struct From {
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
    /// `len` is the length of the whole file.
    pub(super) fn new(start: u64, bytes: Bytes, len: u64) -> Self {
        Self { start, bytes, len }
    }

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
