//! Columns of drawn rows, as numbers or as text.

use std::collections::HashMap;

use anyhow::{Context as _, Result};
use arrow::array::{AsArray as _, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, TimeUnit, TimestampMillisecondType};

use crate::stats::column::Kind;

/// NaN stands for null and for what is not finite.
pub(super) fn numbers(batch: &RecordBatch, name: &str) -> Result<Vec<f64>> {
    let column = column(batch, name)?;
    let column =
        cast(column, &DataType::Float64).with_context(|| format!("read `{name}` as numbers"))?;
    let values = column.as_primitive::<Float64Type>().iter();
    Ok(values.map(|value| value.filter(|value| value.is_finite()).unwrap_or(f64::NAN)).collect())
}

pub(super) fn texts(batch: &RecordBatch, name: &str) -> Result<Vec<Option<String>>> {
    let column = column(batch, name)?;
    let column =
        cast(column, &DataType::LargeUtf8).with_context(|| format!("read `{name}` as text"))?;
    Ok(column.as_string::<i64>().iter().map(|text| text.map(str::to_owned)).collect())
}

/// Times in milliseconds since 1970.
pub(super) fn times(batch: &RecordBatch, name: &str) -> Result<Vec<Option<i64>>> {
    let column = column(batch, name)?;
    let kind = DataType::Timestamp(TimeUnit::Millisecond, None);
    let column = cast(column, &kind).with_context(|| format!("read `{name}` as times"))?;
    Ok(column.as_primitive::<TimestampMillisecondType>().iter().collect())
}

fn column<'b>(batch: &'b RecordBatch, name: &str) -> Result<&'b arrow::array::ArrayRef> {
    batch.column_by_name(name).with_context(|| format!("column `{name}` was not read"))
}

/// Columns of both sides as numbers: a category is the share of the baseline's
/// rows that have it.
pub(super) fn features(
    columns: &[(&str, Kind)],
    sides: [&RecordBatch; 2],
) -> Result<[Vec<Vec<f64>>; 2]> {
    let mut found = [Vec::new(), Vec::new()];
    for (name, kind) in columns {
        if *kind == Kind::Numbers {
            for (side, batch) in found.iter_mut().zip(sides) {
                side.push(numbers(batch, name)?);
            }
            continue;
        }
        let told = [texts(sides[0], name)?, texts(sides[1], name)?];
        let mut shares = HashMap::<&str, f64>::new();
        let rows = told[0].len() as f64;
        for text in told[0].iter().flatten() {
            *shares.entry(text).or_default() += 1.0 / rows;
        }
        let share = |text: &Option<String>| match text {
            Some(text) => shares.get(text.as_str()).copied().unwrap_or(0.0),
            None => f64::NAN,
        };
        for (side, texts) in found.iter_mut().zip(&told) {
            side.push(texts.iter().map(share).collect());
        }
    }
    Ok(found)
}
