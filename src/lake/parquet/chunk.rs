//! One column in one row group: pages into counts.

use std::sync::Arc;

use anyhow::{Result, bail};
use arrow::datatypes::DataType;
use bytes::Bytes;
use parquet::basic::{Encoding, Type};
use parquet::column::page::{Page, PageReader as _};
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::serialized_reader::SerializedPageReader;

use super::bytes::Part;
use super::hybrid::{self, Malformed, Present, take};
use super::index::{AT_ONCE, Count, LookUp, indices};
use super::page::{Values, values_of};
use super::raw::Raw;
use crate::stats::column::{Column, Numbers};

/// Buffers that one thread uses for column after column.
#[derive(Debug, Default)]
pub struct Scratch {
    keys: Vec<u64>,
    dictionary: Vec<u64>,
    counts: Vec<u64>,
}

/// Whether columns of this type are decoded here.
pub(super) fn decodes(data_type: &DataType, physical: Type) -> bool {
    match physical {
        Type::BOOLEAN => *data_type == DataType::Boolean,
        Type::INT32 | Type::INT64 => {
            data_type.is_integer()
                || matches!(
                    data_type,
                    DataType::Decimal32(..) | DataType::Decimal64(..) | DataType::Decimal128(..)
                )
        }
        Type::FLOAT => *data_type == DataType::Float32,
        Type::DOUBLE => *data_type == DataType::Float64,
        Type::BYTE_ARRAY => {
            matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
        }
        Type::INT96 | Type::FIXED_LEN_BYTE_ARRAY => false,
    }
}

pub(super) fn knows(encoding: Encoding) -> bool {
    #[expect(deprecated, reason = "old writers used it for levels")]
    let of_levels = Encoding::BIT_PACKED;
    encoding == of_levels
        || matches!(
            encoding,
            Encoding::PLAIN | Encoding::RLE | Encoding::PLAIN_DICTIONARY | Encoding::RLE_DICTIONARY
        )
}

pub(super) fn read(
    part: Arc<Part>,
    meta: &ColumnChunkMetaData,
    rows: usize,
    data_type: &DataType,
    column: &mut Column,
    scratch: &mut Scratch,
) -> Result<()> {
    let optional = meta.column_descr().max_def_level() == 1;
    let physical = meta.column_type();
    let total = usize::try_from(meta.num_values())?;
    // How often an entry of the dictionary is met is a matter of the values.
    let nulls = meta.statistics().and_then(|statistics| statistics.null_count_opt()).unwrap_or(0);
    let values = total.saturating_sub(usize::try_from(nulls)?);
    let mut reader = SerializedPageReader::new(part, meta, rows, None)?;
    let mut target = Target::new(column, physical, data_type, scratch)?;
    let mut seen = 0;
    while let Some(page) = reader.get_next_page()? {
        if let Page::DictionaryPage { buf, num_values, .. } = page {
            target.dictionary(&buf, num_values as usize, values)?;
            continue;
        }
        let in_page = page.num_values() as usize;
        seen += in_page;
        if seen > total {
            bail!("the pages hold more values than the {total} that were announced");
        }
        let values = values_of(page, optional)?;
        target.nulls((in_page - values.count) as u64);
        target.values(&values)?;
    }
    if seen != total {
        bail!("the pages hold {seen} values, {total} were announced");
    }
    target.finish();
    Ok(())
}

/// Where the values of the chunk go.
enum Target<'a> {
    Numbers(NumberTarget<'a>),
    Bytes { column: &'a mut Column, dictionary: Vec<Bytes>, counts: &'a mut Vec<u64> },
    Booleans { column: &'a mut Column, counts: [u64; 2] },
}

struct NumberTarget<'a> {
    numbers: &'a mut Numbers,
    raw: Raw,
    scratch: &'a mut Scratch,
    /// Whether the chunk's values are counted by their index.
    by_index: bool,
}

impl<'a> Target<'a> {
    fn new(
        column: &'a mut Column,
        physical: Type,
        data_type: &DataType,
        scratch: &'a mut Scratch,
    ) -> Result<Self> {
        scratch.counts.clear();
        scratch.dictionary.clear();
        if physical == Type::BOOLEAN {
            return Ok(Self::Booleans { column, counts: [0; 2] });
        }
        match (column, Raw::of(physical, data_type)) {
            (Column::Numbers(numbers), Some(raw)) => {
                Ok(Self::Numbers(NumberTarget { numbers, raw, scratch, by_index: false }))
            }
            (column @ Column::Categories(_), None) => {
                Ok(Self::Bytes { column, dictionary: Vec::new(), counts: &mut scratch.counts })
            }
            _ => bail!("a column of type {data_type} is not what it is read as"),
        }
    }

    fn nulls(&mut self, count: u64) {
        match self {
            Self::Numbers(target) => target.numbers.push_nulls(count),
            Self::Bytes { column, .. } | Self::Booleans { column, .. } => column.push_nulls(count),
        }
    }

    fn dictionary(&mut self, bytes: &Bytes, count: usize, total: usize) -> Result<()> {
        match self {
            Self::Numbers(target) => {
                let width = target.raw.width();
                if bytes.len() / width < count {
                    bail!("the dictionary is shorter than its {count} entries");
                }
                let scratch = &mut target.scratch;
                scratch.dictionary.clear();
                target.raw.keys(
                    &bytes[..count * width],
                    target.numbers.scale,
                    &mut scratch.dictionary,
                );
                // With few values per entry the detour over counts costs more than it saves.
                target.by_index = count * 2 <= total;
                if target.by_index {
                    scratch.counts.clear();
                    scratch.counts.resize(count, 0);
                }
            }
            Self::Bytes { dictionary, counts, .. } => {
                let mut rest = bytes.clone();
                dictionary.clear();
                for _ in 0..count {
                    dictionary.push(next_bytes(&mut rest)?);
                }
                counts.clear();
                counts.resize(count, 0);
            }
            Self::Booleans { .. } => bail!("truth values have no dictionary"),
        }
        Ok(())
    }

    fn values(&mut self, values: &Values) -> Result<()> {
        let indexed =
            matches!(values.encoding, Encoding::PLAIN_DICTIONARY | Encoding::RLE_DICTIONARY);
        match self {
            Self::Numbers(target) if indexed => target.indexed(values),
            Self::Numbers(target) => target.plain(values),
            Self::Bytes { counts, .. } if indexed => indices(values, &mut Count::new(counts)),
            Self::Bytes { column, .. } => {
                let Column::Categories(categories) = column else { return Ok(()) };
                let mut rest = values.bytes.clone();
                for _ in 0..values.count {
                    categories.push(&next_bytes(&mut rest)?, 1);
                }
                Ok(())
            }
            Self::Booleans { counts, .. } => booleans(values, counts),
        }
    }

    fn finish(self) {
        match self {
            Self::Numbers(target) if target.by_index => {
                let scratch = target.scratch;
                let entries = scratch.dictionary.iter().zip(&scratch.counts);
                target.numbers.push_counted(entries.map(|(key, count)| (*key, *count)));
            }
            Self::Numbers(_) => {}
            Self::Bytes { column, dictionary, counts } => {
                let Column::Categories(categories) = column else { return };
                for (entry, count) in dictionary.iter().zip(counts.iter()) {
                    categories.push(entry, *count);
                }
            }
            Self::Booleans { column, counts } => {
                let Column::Categories(categories) = column else { return };
                categories.push(b"false", counts[0]);
                categories.push(b"true", counts[1]);
            }
        }
    }
}

impl NumberTarget<'_> {
    fn plain(&mut self, values: &Values) -> Result<()> {
        let width = self.raw.width();
        if values.encoding != Encoding::PLAIN || values.bytes.len() / width < values.count {
            return Err(Malformed("a page is shorter than its values").into());
        }
        let keys = &mut self.scratch.keys;
        for part in values.bytes[..values.count * width].chunks(width * AT_ONCE) {
            keys.clear();
            self.raw.keys(part, self.numbers.scale, keys);
            self.numbers.push(keys);
        }
        Ok(())
    }

    fn indexed(&mut self, values: &Values) -> Result<()> {
        let scratch = &mut *self.scratch;
        if self.by_index {
            return indices(values, &mut Count::new(&mut scratch.counts));
        }
        let mut look_up = LookUp::new(&scratch.dictionary, &mut scratch.keys, self.numbers);
        indices(values, &mut look_up)?;
        look_up.flush();
        Ok(())
    }
}

fn next_bytes(rest: &mut Bytes) -> Result<Bytes, Malformed> {
    let short = Malformed("a string reaches beyond its page");
    if rest.len() < 4 {
        return Err(short);
    }
    let length = u32::from_le_bytes([rest[0], rest[1], rest[2], rest[3]]) as usize;
    if rest.len() - 4 < length {
        return Err(short);
    }
    let value = rest.slice(4..4 + length);
    *rest = rest.slice(4 + length..);
    // Two values that are told by the same sign would be counted as one.
    match std::str::from_utf8(&value) {
        Ok(_) => Ok(value),
        Err(_) => Err(Malformed("a text is not UTF-8, as the file says that it is")),
    }
}

fn booleans(values: &Values, counts: &mut [u64; 2]) -> Result<()> {
    let trues = match values.encoding {
        Encoding::PLAIN => {
            let bytes = values.bytes.get(..values.count.div_ceil(8));
            let bytes = bytes.ok_or(Malformed("a page is shorter than its values"))?;
            let whole = &bytes[..values.count / 8];
            let mut trues: u64 = whole.iter().map(|byte| u64::from(byte.count_ones())).sum();
            if !values.count.is_multiple_of(8) {
                let mask = (1u8 << (values.count % 8)) - 1;
                trues += u64::from((bytes[values.count / 8] & mask).count_ones());
            }
            trues
        }
        Encoding::RLE => {
            let mut bytes = &values.bytes[..];
            take(&mut bytes, 4)?;
            let mut present = Present::default();
            hybrid::decode(bytes, 1, values.count, &mut present)?;
            present.0 as u64
        }
        other => bail!("truth values in the encoding {other}"),
    };
    counts[1] += trues;
    counts[0] += values.count as u64 - trues;
    Ok(())
}
