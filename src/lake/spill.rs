//! Room for values, and files for those that it does not hold.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use arrow::array::{ArrayRef, AsArray as _, RecordBatch, UInt64Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, UInt64Type};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReaderBuilder};
use parquet::basic::Encoding;
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnPath;

use super::parquet::Positioned;
use crate::report::Fault;
use crate::stats::away::{Away, Counted, Rising, merged};
use crate::stats::column::{Column, Numbers};
use crate::sys::fs;

/// What the values of columns may take in memory.
#[derive(Debug, Clone)]
pub struct Room {
    /// Bytes.
    pub most: u64,
    /// A folder for files of values that do not fit; without one, they are
    /// refused.
    pub spill: Option<PathBuf>,
}

/// Fewer bytes of one column are not worth a file.
const LEAST: u64 = 1 << 18;
/// More files of one column are made one.
const FILES: usize = 64;

impl Room {
    /// Makes room when the columns hold too much.
    ///
    /// # Errors
    /// Better told in time than ended by the system: when nothing may be put
    /// away, or not enough of it can be.
    pub(super) fn make<'c>(&self, columns: &mut [&'c mut Column]) -> Result<()> {
        let held = |columns: &[&'c mut Column]| columns.iter().map(|column| column.held()).sum();
        let before: u64 = held(columns);
        if before <= self.most {
            return Ok(());
        }
        let Some(folder) = &self.spill else {
            return Err(self.too_much(before).hint(
                "raise --memory, allow a folder to be filled with --spill, look at a `sample`, compare fewer columns, or let the warehouse count (`engine: warehouse`)",
            ).into());
        };
        for column in columns.iter_mut() {
            if column.held() >= LEAST
                && let Column::Numbers(numbers) = &mut **column
            {
                put_away(folder, numbers)?;
            }
        }
        // Otherwise each batch would come here again.
        let after: u64 = held(columns);
        if after > self.most / 2 {
            return Err(self.too_much(after).hint(
                "raise --memory: what is left are categories, embeddings and many small groups, which are not put away",
            ).into());
        }
        Ok(())
    }

    fn too_much(&self, held: u64) -> Fault {
        Fault::usage(format!(
            "the values take {:.1} MB, and {:.1} MB are allowed",
            held as f64 / f64::from(1 << 20),
            self.most as f64 / f64::from(1 << 20)
        ))
    }
}

/// Writes the values in memory to a file of their own.
fn put_away(folder: &Path, numbers: &mut Numbers) -> Result<()> {
    let sample = numbers.take_sample();
    let (mut keys, mut counted) = (sample.keys, sample.counted);
    keys.sort_unstable();
    counted.sort_unstable();
    let keys = keys.into_iter().map(|key| Ok((key, 1)));
    let run =
        Run::write(folder, merged(vec![Box::new(keys), Box::new(counted.into_iter().map(Ok))])?)?;
    numbers.away.push(Arc::new(run));
    if numbers.away.len() >= FILES {
        let streams = numbers.away.iter().map(|away| away.rising());
        let one = Run::write(folder, merged(streams.collect::<std::io::Result<_>>()?)?)?;
        numbers.away = vec![Arc::new(one)];
    }
    Ok(())
}

/// A file of rising keys with their counts. It has no name: it is gone with its
/// last reader.
#[derive(Debug)]
struct Run(Positioned);

/// Rows between a stream and its file.
const BATCH: usize = 1 << 13;

impl Run {
    fn write(folder: &Path, rising: Rising<'_>) -> Result<Self> {
        let context = || format!("put values away in `{}`", folder.display());
        let file = fs::nameless(folder)?;
        let properties = WriterProperties::builder()
            .set_column_dictionary_enabled(ColumnPath::from("key"), false)
            .set_column_encoding(ColumnPath::from("key"), Encoding::DELTA_BINARY_PACKED)
            .set_data_page_size_limit(1 << 16)
            .set_write_batch_size(1 << 10)
            .build();
        let copy = file.try_clone().with_context(context)?;
        let mut writer =
            ArrowWriter::try_new(copy, schema(), Some(properties)).with_context(context)?;
        let (mut keys, mut counts) = (Vec::with_capacity(BATCH), Vec::with_capacity(BATCH));
        let mut flush = |keys: &mut Vec<u64>, counts: &mut Vec<u64>| -> Result<()> {
            let keys: ArrayRef = Arc::new(UInt64Array::from(std::mem::take(keys)));
            let counts: ArrayRef = Arc::new(UInt64Array::from(std::mem::take(counts)));
            let batch = RecordBatch::try_new(schema(), vec![keys, counts])?;
            writer.write(&batch).with_context(context)
        };
        for entry in rising {
            let (key, count) = entry.with_context(context)?;
            keys.push(key);
            counts.push(count);
            if keys.len() == BATCH {
                flush(&mut keys, &mut counts)?;
            }
        }
        flush(&mut keys, &mut counts)?;
        writer.close().with_context(context)?;
        Ok(Self(Positioned::of(file).with_context(context)?))
    }
}

impl Away for Run {
    fn rising(&self) -> std::io::Result<Rising<'_>> {
        let failed = std::io::Error::other::<parquet::errors::ParquetError>;
        let metadata = ArrowReaderMetadata::load(&self.0, Default::default()).map_err(failed)?;
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(self.0.clone(), metadata);
        let batches = builder.with_batch_size(BATCH).build().map_err(failed)?;
        Ok(Box::new(batches.flat_map(|batch| match batch {
            Ok(batch) => entries(&batch),
            Err(error) => vec![Err(std::io::Error::other(error))],
        })))
    }
}

fn entries(batch: &RecordBatch) -> Vec<Counted> {
    let of = |at: usize| batch.column(at).as_primitive::<UInt64Type>().values();
    of(0).iter().copied().zip(of(1).iter().copied()).map(Ok).collect()
}

fn schema() -> SchemaRef {
    let field = |name: &str| Field::new(name, DataType::UInt64, false);
    Arc::new(Schema::new(vec![field("key"), field("count")]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::column::Measure;
    use crate::stats::keys::{Scale, of_float};
    use crate::stats::pair::{self, Bins};
    use crate::stats::streamed;
    use proptest::prelude::*;

    const QUANTILES: [f64; 5] = [0.0, 0.1, 0.5, 0.99, 1.0];

    fn numbers(values: &[f64], room: Option<&Room>) -> Numbers {
        let mut column = Column::new(Measure::Numbers(Scale::Float));
        for (at, chunk) in values.chunks(97).enumerate() {
            let Column::Numbers(numbers) = &mut column else { unreachable!() };
            let keys: Vec<u64> = chunk.iter().map(|value| of_float(*value)).collect();
            if at % 3 == 0 {
                numbers.push_counted(keys.iter().map(|key| (*key, 2)));
            } else {
                numbers.push(&keys);
            }
            if let (Some(room), Column::Numbers(numbers)) = (room, &mut column) {
                put_away(room.spill.as_deref().unwrap(), numbers).unwrap();
            }
        }
        let Column::Numbers(numbers) = column else { unreachable!() };
        numbers
    }

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() <= 1e-9 * (1.0 + a.abs())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn values_that_were_put_away_compare_as_those_in_memory(
            a in prop::collection::vec((-20i32..20).prop_map(f64::from), 1..400),
            b in prop::collection::vec(-30.0..30.0f64, 1..9000),
            bins in 2u32..12,
        ) {
            let folder = tempfile::tempdir().unwrap();
            let room = Room { most: 0, spill: Some(folder.path().to_owned()) };
            let bins = Bins::Quantiles(bins);
            for [a, b] in [[&a, &b], [&b, &a]] {
                let held = [numbers(a, None), numbers(b, None)];
                let there = pair::compare(Scale::Float, [&held[0].sample, &held[1].sample], None, &QUANTILES, &bins);
                let away = [numbers(a, Some(&room)), numbers(b, Some(&room))];
                prop_assert!(away[0].sample.is_empty() && away[0].away.len() < FILES);
                let facts = [away[0].facts(), held[0].facts()];
                prop_assert_eq!(facts[0].values, facts[1].values);
                prop_assert_eq!(facts[0].max, facts[1].max);
                prop_assert!(close(facts[0].mean, facts[1].mean));
                prop_assert!(close(facts[0].deviation(), facts[1].deviation()));
                let found = streamed::compare([&away[0], &away[1]], &QUANTILES, &bins).unwrap();
                prop_assert!(close(found.wasserstein, there.wasserstein));
                prop_assert_eq!(found.ks, there.ks);
                prop_assert_eq!(&found.quantiles, &there.quantiles);
                prop_assert_eq!(&found.edges, &there.edges);
                prop_assert_eq!(&found.counts, &there.counts);
                prop_assert_eq!(&found.frequent, &there.frequent);
                let few = [0, 1].map(|side| there.distinct[side].error == 0.0);
                prop_assert!((0..2).all(|side| !few[side] || found.distinct[side] == there.distinct[side]));
            }
        }
    }

    #[test]
    fn too_much_is_refused_or_put_away() {
        let folder = tempfile::tempdir().unwrap();
        let mut many: Vec<f64> = (0..50_000).map(f64::from).collect();
        many.reverse();
        let mut column = Column::Numbers(numbers(&many, None));
        let mut room = Room { most: 100_000, spill: None };
        let error = room.make(&mut [&mut column]).unwrap_err();
        assert!(error.to_string().contains("MB are allowed"), "{error:#}");
        room.spill = Some(folder.path().to_owned());
        room.make(&mut [&mut column]).unwrap();
        assert_eq!(column.held(), 0);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "files have no names");
        room.spill = Some(folder.path().join("missing"));
        let mut column = Column::Numbers(numbers(&many, None));
        let error = room.make(&mut [&mut column]).unwrap_err();
        assert!(format!("{error:#}").contains("missing"), "{error:#}");
    }
}
