//! Files that lie, of every kind: an error or an answer, never a crash, and
//! memory that a test can bear.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Float64Array, Int64Array, ListArray, RecordBatch, StringArray,
    StructArray, TimestampMicrosecondArray,
};
use arrow::csv::WriterBuilder;
use arrow::datatypes::{DataType, Field, Int64Type};
use arrow::ipc::CompressionType;
use arrow::ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};
use parquet::arrow::ArrowWriter;
use proptest::prelude::*;

use super::{Grouping, Side};
use crate::stats::arrow::measure;
use crate::stats::column::Measure;
use crate::sys::fs;

const ROWS: usize = 120;

/// Columns of every make that files may hold; CSV knows the flat ones alone.
fn batch(is_flat: bool) -> RecordBatch {
    let rows = || 0..ROWS;
    let number = |row: usize| (!row.is_multiple_of(7)).then_some(row as f64 / 3.0);
    let mut columns: Vec<(&str, ArrayRef)> = vec![
        ("x", Arc::new(rows().map(number).collect::<Float64Array>())),
        ("n", Arc::new(rows().map(|row| Some(row as i64 % 5)).collect::<Int64Array>())),
        (
            "s",
            Arc::new(rows().map(|row| Some(format!("word {}", row % 9))).collect::<StringArray>()),
        ),
        ("b", Arc::new(rows().map(|row| Some(row % 2 == 0)).collect::<BooleanArray>())),
        (
            "t",
            Arc::new(
                rows()
                    .map(|row| Some(row as i64 * 1_000_000))
                    .collect::<TimestampMicrosecondArray>(),
            ),
        ),
    ];
    if !is_flat {
        let lists = rows().map(|row| (row % 4 > 0).then(|| (0..row as i64 % 3).map(Some)));
        let list = ListArray::from_iter_primitive::<Int64Type, _, _>(lists);
        let inner: ArrayRef = Arc::new(rows().map(|row| Some(row as i64)).collect::<Int64Array>());
        let field = Arc::new(Field::new("inner", DataType::Int64, true));
        columns.push(("l", Arc::new(list)));
        columns.push(("z", Arc::new(StructArray::from(vec![(field, inner)]))));
    }
    RecordBatch::try_from_iter(columns).unwrap()
}

#[derive(Debug, Clone, Copy)]
enum Made {
    Parquet,
    File,
    Stream,
    Packed,
    Csv,
}

impl Made {
    const ALL: [Self; 5] = [Self::Parquet, Self::File, Self::Stream, Self::Packed, Self::Csv];
}

fn written(made: Made) -> (Vec<u8>, &'static str) {
    let batch = batch(matches!(made, Made::Csv));
    let mut bytes = Vec::new();
    match made {
        Made::Parquet => {
            let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
            writer.write(&batch).unwrap();
            writer.close().unwrap();
            (bytes, "parquet")
        }
        Made::File | Made::Packed => {
            let packed = matches!(made, Made::Packed).then_some(CompressionType::LZ4_FRAME);
            let options = IpcWriteOptions::default().try_with_compression(packed).unwrap();
            let mut writer =
                FileWriter::try_new_with_options(&mut bytes, &batch.schema(), options).unwrap();
            writer.write(&batch).unwrap();
            writer.finish().unwrap();
            drop(writer);
            (bytes, if packed.is_some() { "feather" } else { "arrow" })
        }
        Made::Stream => {
            let mut writer = StreamWriter::try_new(&mut bytes, &batch.schema()).unwrap();
            writer.write(&batch).unwrap();
            writer.finish().unwrap();
            drop(writer);
            (bytes, "arrow")
        }
        Made::Csv => {
            let mut writer = WriterBuilder::new().with_header(true).build(&mut bytes);
            writer.write(&batch).unwrap();
            drop(writer);
            (bytes, "csv")
        }
    }
}

/// Counts every column, at once and one by one, whatever the file says it has.
fn read(path: &Path) -> anyhow::Result<u64> {
    let side = Side::files(path.to_str().unwrap(), None)?;
    let schema = side.schema().clone();
    let measured = |field: &Field| measure(field.data_type()).unwrap_or(Measure::Presence);
    let wanted: Vec<_> =
        schema.fields().iter().map(|field| (field.as_ref(), measured(field))).collect();
    for wanted in wanted.iter().filter(|_| side.reads_columns()) {
        // Another column may still be whole.
        side.column(*wanted, None, &mut super::parquet::Scratch::default(), None).ok();
    }
    let grouping = Grouping::default();
    let groups = side.groups(None, &wanted, &grouping);
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    Ok(runtime.block_on(groups)?.values().map(|group| group.rows).sum())
}

#[test]
fn every_kind_is_read_as_it_was_written() {
    for made in Made::ALL {
        let (bytes, ending) = written(made);
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(format!("data.{ending}"));
        fs::write_atomic(&path, &bytes).unwrap();
        assert_eq!(read(&path).unwrap(), ROWS as u64, "{made:?}");
    }
}

/// `LAKEGATE_FUZZ_CASES=100000` looks for longer.
fn cases() -> u32 {
    #[expect(clippy::disallowed_methods, reason = "a switch of this test alone")]
    let asked = std::env::var("LAKEGATE_FUZZ_CASES");
    asked.ok().and_then(|text| text.parse().ok()).unwrap_or(300)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn no_byte_that_is_changed_crashes_a_reader(
        made in prop::sample::select(Made::ALL.to_vec()),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        from_end in any::<bool>(),
        cut in prop::option::weighted(0.2, any::<prop::sample::Index>()),
    ) {
        let (mut bytes, ending) = written(made);
        for (place, flip) in flips {
            // Headers and footers are small beside what they describe.
            let near = if from_end { bytes.len().min(600) } else { bytes.len() };
            let at = bytes.len() - near + place.index(near);
            bytes[at] ^= flip;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(format!("data.{ending}"));
        fs::write_atomic(&path, &bytes).unwrap();
        if let Err(error) = read(&path) {
            prop_assert!(format!("{error:#}").contains("data."), "{error:#}");
        }
    }
}
