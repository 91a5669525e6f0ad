//! Where the rows of a side lie.

use std::path::{Path, PathBuf};

use super::csv::CsvFiles;
use super::delta::DeltaTable;
use super::parquet::ParquetFile;

#[derive(Debug)]
pub(super) enum Rows {
    /// Read column by column, each when it is asked for.
    Parquet(Vec<ParquetFile>),
    /// Read batch by batch, as are the others below.
    Csv(CsvFiles),
    Arrow(Vec<PathBuf>),
    /// As its log says.
    Delta(DeltaTable),
    Table {
        /// As it stands in a FROM clause.
        from: String,
        filter: Option<String>,
    },
}

impl Rows {
    /// The files that are read by their names.
    pub(super) fn files(&self) -> Vec<&Path> {
        match self {
            Self::Parquet(files) => files.iter().map(ParquetFile::path).collect(),
            Self::Csv(files) => files.paths().collect(),
            Self::Arrow(files) => files.iter().map(PathBuf::as_path).collect(),
            Self::Delta(_) | Self::Table { .. } => Vec::new(),
        }
    }

    /// How many there are, where it is known without reading them.
    pub(super) fn count(&self) -> Option<u64> {
        match self {
            Self::Parquet(files) => Some(files.iter().map(ParquetFile::rows).sum()),
            _ => None,
        }
    }
}
