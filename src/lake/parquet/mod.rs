//! Parquet files, a column at a time.
//!
//! Strings and repeated numbers are counted by the indices of the file's own
//! dictionaries, so that a row is never hashed or sorted. Flat columns in the
//! usual encodings are decoded here, straight into what counts them; everything
//! else goes through the Arrow reader.

mod bytes;
mod chunk;
mod file;
mod hybrid;
mod index;
mod page;
mod raw;

pub(super) use bytes::Positioned;
pub use chunk::Scratch;
pub use file::ParquetFile;

#[cfg(test)]
mod tests;
