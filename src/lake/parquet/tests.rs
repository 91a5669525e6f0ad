//! Columns read from their pages against the same columns read by Arrow, in
//! every way that a writer may have laid them out; and files that lie.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanArray, Decimal128Array, Float32Array, Float64Array, Int8Array,
    Int32Array, Int64Array, RecordBatch, StringArray, UInt32Array, UInt64Array,
};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::{WriterProperties, WriterVersion};
use proptest::prelude::*;

use super::*;
use crate::stats;
use crate::stats::column::Column;
use crate::stats::keys::Scale;

/// How a file is laid out.
#[derive(Debug, Clone)]
struct Layout {
    version: WriterVersion,
    dictionary: bool,
    compression: Compression,
    page_rows: usize,
    group_rows: usize,
    encoding: Option<Encoding>,
}

fn layout() -> impl Strategy<Value = Layout> {
    let compression = prop_oneof![
        Just(Compression::UNCOMPRESSED),
        Just(Compression::SNAPPY),
        Just(Compression::ZSTD(ZstdLevel::default())),
        Just(Compression::LZ4_RAW),
    ];
    let version = prop_oneof![Just(WriterVersion::PARQUET_1_0), Just(WriterVersion::PARQUET_2_0)];
    (version, any::<bool>(), compression, 1usize..80, 1usize..200, any::<bool>()).prop_map(
        |(version, dictionary, compression, page_rows, group_rows, other)| Layout {
            version,
            dictionary,
            compression,
            page_rows,
            group_rows,
            // One that only the Arrow reader knows.
            encoding: (other && !dictionary).then_some(Encoding::BYTE_STREAM_SPLIT),
        },
    )
}

fn write(path: &Path, array: &ArrayRef, layout: &Layout) {
    let batch =
        RecordBatch::try_from_iter_with_nullable([("c", array.clone(), array.is_nullable())])
            .unwrap();
    let mut properties = WriterProperties::builder()
        .set_writer_version(layout.version)
        .set_dictionary_enabled(layout.dictionary)
        .set_compression(layout.compression)
        .set_data_page_row_count_limit(layout.page_rows)
        .set_write_batch_size(layout.page_rows)
        .set_max_row_group_row_count(Some(layout.group_rows));
    let splits = array.data_type().is_floating();
    if let Some(encoding) = layout.encoding.filter(|_| splits) {
        properties = properties.set_encoding(encoding);
    }
    let file = crate::sys::fs::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties.build())).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

/// The values of one column in a form that does not depend on how they came.
#[derive(Debug, PartialEq)]
enum Plain {
    Numbers { keys: Vec<u64>, nulls: u64, nans: u64, infinities: u64, zeros: u64 },
    Categories { counts: Vec<(Vec<u8>, u64)>, nulls: u64 },
}

fn plain(column: Column) -> Plain {
    match column {
        Column::Numbers(numbers) => {
            let facts = numbers.facts();
            let mut keys = numbers.sample.keys;
            for (key, count) in numbers.sample.counted {
                keys.extend(std::iter::repeat_n(key, usize::try_from(count).unwrap()));
            }
            keys.sort_unstable();
            assert_eq!(keys.len() as u64, facts.values);
            Plain::Numbers {
                keys,
                nulls: facts.nulls,
                nans: facts.nans,
                infinities: facts.infinities,
                zeros: facts.zeros,
            }
        }
        Column::Categories(categories) => {
            let mut counts: Vec<_> = categories.counts.into_iter().collect();
            counts.sort();
            Plain::Categories { counts, nulls: categories.nulls }
        }
        Column::Presence(_) | Column::Embedding(_) => unreachable!("no column is read so here"),
    }
}

fn read(path: &Path, measure: stats::column::Measure) -> anyhow::Result<Column> {
    let file = ParquetFile::open(path)?;
    let schema = file.schema().clone();
    let mut column = Column::new(measure);
    file.read(schema.field(0), &mut column, &mut Scratch::default(), None)?;
    Ok(column)
}

fn check(array: &ArrayRef, layout: &Layout) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("c.parquet");
    write(&path, array, layout);
    let own = stats::arrow::measure(array.data_type()).unwrap();
    let as_float = stats::column::Measure::Numbers(Scale::Float);
    let both = [own, if own == stats::column::Measure::Categories { own } else { as_float }];
    for measure in both {
        let mut expected = Column::new(measure);
        stats::arrow::push(&mut expected, array).unwrap();
        assert_eq!(plain(read(&path, measure).unwrap()), plain(expected), "{measure:?} {layout:?}");
    }
}

/// Arrays of every type that is compared, with nulls or without.
fn array() -> impl Strategy<Value = ArrayRef> {
    fn of<T: std::fmt::Debug + Clone + 'static>(
        value: impl Strategy<Value = T> + 'static,
        array: impl Fn(Vec<Option<T>>) -> ArrayRef + 'static,
    ) -> BoxedStrategy<ArrayRef> {
        prop::collection::vec(value, 1..300)
            .prop_flat_map(|values| {
                let length = values.len();
                (Just(values), prop::collection::vec(0..10u8, length), 0..10u8)
            })
            .prop_map(move |(values, holes, rate)| {
                let pairs = values.into_iter().zip(holes);
                array(pairs.map(|(value, hole)| (hole >= rate / 2).then_some(value)).collect())
            })
            .boxed()
    }
    let floats = prop_oneof![
        4 => (-9i32..9).prop_map(f64::from),
        2 => any::<f64>(),
        1 => Just(f64::NAN),
        1 => Just(f64::INFINITY),
        1 => Just(-0.0),
    ];
    prop_oneof![
        of(floats, |values| Arc::new(Float64Array::from(values))),
        of(any::<f32>(), |values| Arc::new(Float32Array::from(values))),
        of(-5i8..5, |values| Arc::new(Int8Array::from(values))),
        of(any::<i32>(), |values| Arc::new(Int32Array::from(values))),
        of(-50i64..50, |values| Arc::new(Int64Array::from(values))),
        of(any::<u32>(), |values| Arc::new(UInt32Array::from(values))),
        of(any::<u64>(), |values| Arc::new(UInt64Array::from(values))),
        of(-99_999i128..99_999, |values| {
            Arc::new(Decimal128Array::from(values).with_precision_and_scale(9, 2).unwrap())
        }),
        of(any::<bool>(), |values| Arc::new(BooleanArray::from(values))),
        of("[a-cé]{0,3}", |values| Arc::new(StringArray::from(values))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn every_layout_gives_the_values_that_were_written(array in array(), layout in layout()) {
        check(&array, &layout);
    }

    #[test]
    fn a_file_that_lies_is_an_error_or_an_answer_and_never_a_crash(
        array in array(),
        layout in layout(),
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
        is_cut in any::<bool>(),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("c.parquet");
        write(&path, &array, &layout);
        let mut bytes = crate::sys::fs::read(&path).unwrap();
        // Neither is the footer's: its length stands before the last four bytes.
        let tail = bytes.len() - 8;
        let footer = u32::from_le_bytes(bytes[tail..tail + 4].try_into().unwrap());
        let pages = tail - footer as usize;
        for (place, flip) in flips {
            let at = 4 + place.index(pages - 4);
            bytes[at] ^= flip;
        }
        if is_cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        crate::sys::fs::write_atomic(&path, &bytes).unwrap();
        let measure = stats::arrow::measure(array.data_type()).unwrap();
        if let Ok(column) = read(&path, measure) {
            prop_assert!(column.rows() <= array.len() as u64);
        }
    }
}
