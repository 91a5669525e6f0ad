//! Files of this machine: which ones a path names, and their rows.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use arrow::array::{RecordBatch, RecordBatchReader};
use arrow::datatypes::{Schema, SchemaRef};
use arrow::ipc::reader::{FileReader, StreamReader};
use globset::GlobBuilder;

use super::ipc::{self, Form};
use crate::names::FILE_KINDS;
use crate::report::{Fault, shortened};
use crate::sys::fs;

/// The data files that a path, a folder or a pattern names, in order, and the
/// folder that they are below.
pub(super) fn expand(text: &str) -> Result<(PathBuf, Vec<PathBuf>)> {
    let path = Path::new(text);
    if path.is_file() {
        let folder = path.parent().unwrap_or(Path::new(""));
        return Ok((folder.to_owned(), vec![path.to_owned()]));
    }
    let (root, pattern) = if path.is_dir() {
        (path.to_owned(), None)
    } else if text.contains(['*', '?', '[']) {
        // As in a shell: a star does not go into folders, two stars do.
        let text = &direct(text);
        let glob = GlobBuilder::new(text)
            .literal_separator(true)
            .build()
            .map_err(|error| Fault::usage(format!("`{text}` is no pattern: {error}")))?
            .compile_matcher();
        (fixed_part(text), Some(glob))
    } else {
        return Err(Fault::usage(format!("`{text}` does not exist")).into());
    };
    let below = if root.is_dir() { fs::files_below(&root)? } else { Vec::new() };
    if let Some(packed) = below.iter().filter(|_| pattern.is_none()).find(|file| is_packed(file)) {
        let fault = Fault::usage(format!("`{}` is compressed", root.join(packed).display()));
        let hint = "unpack it, or name a pattern that leaves it out";
        return Err(fault.hint(hint).into());
    }
    let wanted = |file: &PathBuf| match &pattern {
        Some(glob) if root == Path::new(".") => glob.is_match(file),
        Some(glob) => glob.is_match(root.join(file)),
        None => is_data(file),
    };
    let found: Vec<PathBuf> =
        below.into_iter().filter(wanted).map(|file| root.join(file)).collect();
    if found.is_empty() {
        let fault = Fault::usage(format!("`{text}` names no data files"));
        let kinds = FILE_KINDS.join(", ");
        let hint = format!("data files end with {kinds}; a star stays in its folder, two go below");
        return Err(fault.hint(hint).into());
    }
    Ok((root, found))
}

/// A pattern without steps that lead nowhere.
fn direct(pattern: &str) -> String {
    let root = if pattern.starts_with('/') { "/" } else { "" };
    let parts = pattern.split('/').filter(|part| !matches!(*part, "" | "."));
    root.to_owned() + &parts.collect::<Vec<_>>().join("/")
}

/// Hidden files and those of other systems' bookkeeping are no data.
fn is_data(file: &Path) -> bool {
    let hidden = file
        .components()
        .any(|part| part.as_os_str().to_str().is_some_and(|name| name.starts_with(['.', '_'])));
    !hidden && FILE_KINDS.contains(&ending(file).as_str())
}

/// A data file that would be passed over for its second ending.
fn is_packed(file: &Path) -> bool {
    const PACKED: [&str; 5] = ["gz", "zst", "bz2", "xz", "zip"];
    PACKED.contains(&ending(file).as_str()) && is_data(&file.with_extension(""))
}

/// The folders in front of a pattern's first wildcard.
fn fixed_part(pattern: &str) -> PathBuf {
    let fixed = pattern.split(['*', '?', '[']).next().unwrap_or_default();
    match fixed.rsplit_once('/') {
        Some(("", _)) => PathBuf::from("/"),
        Some((folder, _)) => PathBuf::from(folder),
        None => PathBuf::from("."),
    }
}

fn ending(path: &Path) -> String {
    path.extension().and_then(|ending| ending.to_str()).unwrap_or_default().to_ascii_lowercase()
}

/// What a file is, by its ending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Parquet,
    Csv,
    Arrow,
}

pub(super) fn kind(path: &Path) -> Result<Kind, Fault> {
    match ending(path).as_str() {
        "parquet" | "pq" => Ok(Kind::Parquet),
        "csv" => Ok(Kind::Csv),
        "arrow" | "arrows" | "feather" | "ipc" => Ok(Kind::Arrow),
        _ => {
            let fault = Fault::usage(format!("`{}` is no data file that is known", path.display()));
            Err(fault.hint(format!("data files end with {}", FILE_KINDS.join(", "))))
        }
    }
}

/// The libraries' decoders panic at some files that lie.
pub(super) fn guarded<T>(path: &Path, decode: impl FnOnce() -> T) -> Result<T, Fault> {
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(decode)).map_err(|_panic| {
        Fault::usage(format!("`{}` is damaged: it cannot be decoded", path.display()))
    })
}

pub(super) fn arrow_schema(path: &Path) -> Result<SchemaRef> {
    guarded(path, || Ok(batches(path, None)?.schema()))?
}

/// The rows of an Arrow file, batch by batch; `wanted` are the only columns that are
/// read.
pub(super) fn each_of_arrow(
    path: &Path,
    wanted: &[usize],
    mut each: impl FnMut(RecordBatch) -> Result<()>,
) -> Result<()> {
    let mut batches = guarded(path, || batches(path, Some(wanted.to_vec())))??;
    while let Some(batch) = guarded(path, || batches.next())? {
        each(batch.map_err(|error| unreadable(path, &error))?)?;
    }
    Ok(())
}

fn batches(path: &Path, projection: Option<Vec<usize>>) -> Result<Box<dyn RecordBatchReader>> {
    let unreadable = |error| unreadable(path, &error);
    Ok(match ipc::check(path)? {
        Form::File => Box::new(FileReader::try_new(open(path)?, projection).map_err(unreadable)?),
        Form::Stream => {
            Box::new(StreamReader::try_new(open(path)?, projection).map_err(unreadable)?)
        }
    })
}

pub(super) fn open(path: &Path) -> Result<std::io::BufReader<std::fs::File>> {
    fs::open(path).map(std::io::BufReader::new)
}

/// The schema that all files share.
pub(super) fn same_schema(files: &[PathBuf], schemas: Vec<SchemaRef>) -> Result<SchemaRef> {
    let mut schemas = schemas.into_iter().zip(files);
    let (first, file) = schemas.next().context("no file was named")?;
    for (other, path) in schemas {
        if !is_same(&other, &first) {
            let fault = Fault::usage(format!(
                "`{}` has other columns or types than `{}`",
                path.display(),
                file.display()
            ));
            return Err(fault.hint("compare files of one schema at a time").into());
        }
    }
    Ok(first)
}

/// Whether two schemas have the same columns.
pub(super) fn is_same(one: &Schema, other: &Schema) -> bool {
    plain(one) == plain(other)
}

fn plain(schema: &Schema) -> Vec<(&str, String)> {
    schema
        .fields()
        .iter()
        .map(|field| (field.name().as_str(), field.data_type().to_string()))
        .collect()
}

pub(super) fn unreadable(path: &Path, error: &arrow::error::ArrowError) -> Fault {
    // Some errors show the parser's whole state.
    let told = shortened(&error.to_string(), 300);
    Fault::usage(format!("read `{}`: {told}", path.display()))
}

/// With the file that an error is about. A fault names its own.
pub(super) fn naming(path: &Path, error: anyhow::Error) -> anyhow::Error {
    match Fault::of(&error) {
        Some(_) => error,
        None => error.context(format!("read `{}`", path.display())),
    }
}
