//! CSV files: types that all rows of all files have in common, and limits, as the
//! format has neither.

use std::io::BufRead as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use arrow::array::{AsArray as _, RecordBatch};
use arrow::csv::reader::{Format, ReaderBuilder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

use super::files::{guarded, naming, open, unreadable};
use crate::report::Fault;

/// A line that is longer is no row of a table.
const LONGEST_LINE: u64 = 64 << 20;
/// What the rows that are read at once may take as text.
const BYTES_AT_ONCE: u64 = 16 << 20;

/// The files of one side, all with the same columns.
#[derive(Debug)]
pub(super) struct CsvFiles {
    files: Vec<CsvFile>,
    schema: SchemaRef,
}

#[derive(Debug)]
struct CsvFile {
    path: PathBuf,
    rows_at_once: usize,
}

impl CsvFiles {
    /// # Errors
    /// When a file is no table, or has other columns than the first.
    pub(super) fn open(paths: &[PathBuf]) -> Result<Self> {
        let mut files = Vec::new();
        let mut schema: Option<Schema> = None;
        for path in paths {
            let file = CsvFile { path: path.clone(), rows_at_once: rows_at_once(path)? };
            let own = file.schema()?;
            schema = Some(match schema {
                None => own,
                Some(common) => both(&common, &own).ok_or_else(|| {
                    let (own, first) = (path.display(), paths[0].display());
                    Fault::usage(format!("`{own}` has other columns than `{first}`"))
                        .hint("compare files with one header at a time")
                })?,
            });
            files.push(file);
        }
        let schema = Arc::new(schema.context("no file was named")?);
        Ok(Self { files, schema })
    }

    pub(super) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    pub(super) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(|file| &*file.path)
    }

    /// The rows of every file with the columns at these places, each with the file's
    /// number.
    pub(super) fn each(
        &self,
        wanted: &[usize],
        mut each: impl FnMut(usize, RecordBatch) -> Result<()>,
    ) -> Result<()> {
        for (at, file) in self.files.iter().enumerate() {
            for batch in file.batches(&self.schema, wanted)? {
                each(at, batch?).map_err(|error| naming(&file.path, error))?;
            }
        }
        Ok(())
    }
}

impl CsvFile {
    fn batches(
        &self,
        schema: &SchemaRef,
        wanted: &[usize],
    ) -> Result<impl Iterator<Item = Result<RecordBatch>>> {
        let path = &*self.path;
        let builder = ReaderBuilder::new(schema.clone())
            .with_header(true)
            .with_batch_size(self.rows_at_once)
            .with_projection(wanted.to_vec());
        let file = open(path)?;
        let batches = guarded(path, || builder.build(file))?;
        let mut batches = batches.map_err(|error| unreadable(path, &error))?;
        Ok(std::iter::from_fn(move || match guarded(path, || batches.next()) {
            Ok(next) => next.map(|batch| batch.map_err(|error| unreadable(path, &error).into())),
            Err(damaged) => Some(Err(damaged.into())),
        }))
    }

    /// Types from all rows: those of the first ones may mislead.
    fn schema(&self) -> Result<Schema> {
        let path = &*self.path;
        let format = Format::default().with_header(true);
        let file = open(path)?;
        let inferred = guarded(path, || format.infer_schema(file, None))?;
        let (schema, _) = inferred.map_err(|error| unreadable(path, &error))?;
        if schema.fields().is_empty() {
            return Err(Fault::usage(format!("`{}` has no header", path.display())).into());
        }
        let is_text = |place: &usize| *schema.field(*place).data_type() == DataType::Utf8;
        let places: Vec<usize> = (0..schema.fields().len()).filter(is_text).collect();
        if places.is_empty() {
            return Ok(schema);
        }
        let mut seen = vec![Seen::default(); places.len()];
        for batch in self.batches(&Arc::new(schema.clone()), &places)? {
            for (seen, column) in seen.iter_mut().zip(batch?.columns()) {
                column.as_string::<i32>().iter().flatten().for_each(|text| seen.look(text));
            }
            // Most texts are told by their first rows.
            if seen.iter().all(|seen| seen.is_text) {
                break;
            }
        }
        let mut fields: Vec<Field> =
            schema.fields().iter().map(|field| field.as_ref().clone()).collect();
        for (place, seen) in places.into_iter().zip(seen) {
            if seen.are_numbers() {
                fields[place].set_data_type(DataType::Float64);
            }
        }
        Ok(Schema::new(fields))
    }
}

/// What the texts of a column look like: the inference knows few spellings of what is
/// infinite.
#[derive(Debug, Clone, Default)]
struct Seen {
    finite: u64,
    others: u64,
    is_text: bool,
}

impl Seen {
    fn look(&mut self, text: &str) {
        if self.is_text {
            return;
        }
        let bare = text.strip_prefix('-').unwrap_or(text);
        let is_special =
            ["inf", "infinity", "nan"].iter().any(|special| bare.eq_ignore_ascii_case(special));
        let is_digits = bare.bytes().all(|byte| byte.is_ascii_digit());
        match text.parse::<f64>() {
            Ok(_) if is_special => self.others += 1,
            // Digits beyond 64 bits are a key; a sign or blanks in front are somebody's own.
            Ok(_) if is_digits => {
                self.is_text = text.parse::<i64>().is_err();
                self.finite += 1;
            }
            Ok(_) if bare.starts_with(|char: char| char.is_ascii_digit() || char == '.') => {
                self.finite += 1;
            }
            _ => self.is_text = true,
        }
    }

    fn are_numbers(&self) -> bool {
        !self.is_text && self.finite > 0 && self.others > 0
    }
}

/// The columns that two files have in common; nothing where they have others.
fn both(one: &Schema, other: &Schema) -> Option<Schema> {
    if one.fields().len() != other.fields().len() {
        return None;
    }
    let pairs = one.fields().iter().zip(other.fields());
    let fields = pairs.map(|(a, b)| {
        let data_type = common(a.data_type(), b.data_type());
        (a.name() == b.name()).then(|| Field::new(a.name(), data_type, true))
    });
    Some(Schema::new(fields.collect::<Option<Vec<_>>>()?))
}

/// The type that the values of both fit in.
fn common(one: &DataType, other: &DataType) -> DataType {
    use DataType::{Date32, Float64, Int64, Null, Timestamp, Utf8};
    match (one, other) {
        (a, b) if a == b => a.clone(),
        (Null, known) | (known, Null) => known.clone(),
        (Int64 | Float64, Int64 | Float64) => Float64,
        (Timestamp(unit, zone), Date32) | (Date32, Timestamp(unit, zone)) => {
            Timestamp(*unit, zone.clone())
        }
        // Nanoseconds do not reach the years that stand for "never".
        (Timestamp(_, zone), Timestamp(..)) => Timestamp(TimeUnit::Microsecond, zone.clone()),
        _ => Utf8,
    }
}

/// How many rows fit, from the longest line.
///
/// # Errors
/// When a quotation does not end, which would swallow the rest of the file, or a line
/// is longer than a row can be.
fn rows_at_once(path: &Path) -> Result<usize> {
    const MOST: u64 = 1024;
    let mut reader = open(path)?;
    let (mut place, mut line, mut longest) = (Place::Start, 0, 1);
    while longest <= LONGEST_LINE {
        let bytes = reader.fill_buf().with_context(|| format!("read `{}`", path.display()))?;
        if bytes.is_empty() {
            break;
        }
        for byte in bytes {
            line += 1;
            place = place.after(*byte);
            if matches!(byte, b'\n' | b'\r') && place == Place::Start {
                longest = longest.max(line);
                line = 0;
            }
        }
        longest = longest.max(line);
        let read = bytes.len();
        reader.consume(read);
    }
    let is_quoted = place == Place::Quoted;
    let told = |what: String| Err(Fault::usage(format!("`{}` {what}", path.display())).into());
    if longest > LONGEST_LINE {
        let open = if is_quoted { " (does a quotation not end?)" } else { "" };
        return told(format!("has a line of more than {} MiB{open}", LONGEST_LINE >> 20));
    }
    if is_quoted {
        return told("has a quotation that does not end".to_owned());
    }
    Ok(usize::try_from((BYTES_AT_ONCE / longest).clamp(1, MOST))?)
}

/// Where in a row a reader is, as far as quotes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Before a field: here alone a quote begins a quotation.
    Start,
    Plain,
    Quoted,
    /// Behind a quote in a quotation: its end, or the first half of a quote.
    Closed,
}

impl Place {
    fn after(self, byte: u8) -> Self {
        match (self, byte) {
            (Self::Start | Self::Closed, b'"') => Self::Quoted,
            (Self::Quoted, b'"') => Self::Closed,
            (Self::Quoted, _) => Self::Quoted,
            (_, b',' | b'\n' | b'\r') => Self::Start,
            _ => Self::Plain,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::fs;

    fn opened(texts: &[&str]) -> Result<CsvFiles> {
        let dir = tempfile::tempdir().unwrap();
        let mut paths = Vec::new();
        for (at, text) in texts.iter().enumerate() {
            paths.push(dir.path().join(format!("{at}.csv")));
            fs::write_atomic(&paths[at], text).unwrap();
        }
        let files = CsvFiles::open(&paths)?;
        let all: Vec<usize> = (0..files.schema().fields().len()).collect();
        files.each(&all, |_, _| Ok(()))?;
        Ok(files)
    }

    fn types(texts: &[&str]) -> Vec<String> {
        let files = opened(texts).unwrap();
        files.schema().fields().iter().map(|field| field.data_type().to_string()).collect()
    }

    #[test]
    fn values_are_what_all_rows_make_of_them() {
        for (values, data_type) in [
            ("1\n-2\n", "Int64"),
            ("007\n12\n", "Int64"),
            ("1\n18446744073709551615\n", "Utf8"),
            ("1\n99999999999999999999\n", "Utf8"),
            ("1.5\nInfinity\n-inf\nnan\n", "Float64"),
            ("1\nInfinity\n", "Float64"),
            ("99999999999999999999\nInfinity\n", "Utf8"),
            ("nan\nNaN\n", "Float64"),
            ("Infinity\nInfinity\n", "Utf8"),
            ("1\n n/a\n", "Utf8"),
            ("1\n 2\n", "Utf8"),
            ("+491\n+492\n", "Utf8"),
            ("true\nfalse\n", "Boolean"),
        ] {
            let text = format!("x,y\n{}", values.replace('\n', ",1\n"));
            assert_eq!(types(&[&text])[0], data_type, "{text}");
        }
    }

    #[test]
    fn files_of_one_side_agree_on_their_types() {
        for (other, data_type) in
            [("1.5", "Float64"), ("", "Int64"), ("x", "Utf8"), ("01", "Int64")]
        {
            let other = format!("x,y\n{other},1\n");
            assert_eq!(types(&["x,y\n1,1\n", &other])[0], data_type, "{other}");
        }
        let times = ["x,y\n2026-01-01 10:00:00,1\n", "x,y\n2026-01-01 10:00:00.25,1\n"];
        assert_eq!(types(&times)[0], "Timestamp(µs)");
        let dates = ["x,y\n2026-01-01,1\n", "x,y\n2026-01-01 10:00:00,1\n"];
        assert_eq!(types(&dates)[0], "Timestamp(s)");
        let never = ["x,y\n9999-12-31 00:00:00,1\n", "x,y\n2026-01-01 10:00:00.123456789,1\n"];
        assert_eq!(types(&never)[0], "Timestamp(µs)");
        let error = opened(&["x,y\n1,1\n", "x,z\n1,1\n"]).unwrap_err().to_string();
        assert!(error.contains("1.csv` has other columns than"), "{error}");
    }

    #[test]
    fn a_line_without_an_end_is_refused() {
        let error = |text: &str| opened(&[text]).unwrap_err().to_string();
        assert!(error("x\n\"a\n1\n").contains("a quotation that does not end"));
        let long = format!("x\n{}\n", "a".repeat(65 << 20));
        assert!(error(&long).contains("a line of more than 64 MiB"));
        // A quote within a field begins nothing, and old systems end lines otherwise.
        for text in ["x\ntv 55\" wide\n1\n", "x\n\"a \"\"b\"\"\nc\"\n"] {
            opened(&[text]).unwrap();
        }
        opened(&[&format!("x\r{}", format!("{}\r", "a".repeat(100)).repeat(700_000))]).unwrap();
    }
}
