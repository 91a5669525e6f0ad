//! Arrow arrays into columns.

use anyhow::{Context as _, Result, bail};
use arrow::array::{Array, ArrayRef, AsArray as _, OffsetSizeTrait};
use arrow::compute::{cast, max, min};
use arrow::datatypes::{
    DataType, Decimal128Type, Float64Type, Int64Type, TimeUnit, TimestampMicrosecondType,
    UInt64Type,
};

use super::column::{Categories, Column, Measure, Numbers, Span};
use super::derived;
use super::embedding::Embedding;
use super::keys::{self, Scale};

/// How a column of this type is compared; nothing for types that have no drift
/// of their own, such as times.
pub fn measure(data_type: &DataType) -> Option<Measure> {
    /// Decimals of up to this many digits are whole numbers of 64 bits.
    const DIGITS: u8 = 18;
    let decimal = |precision: u8, digits: i8| match u8::try_from(digits) {
        Ok(digits) if precision <= DIGITS => Scale::Signed { digits },
        _ => Scale::Float,
    };
    let scale = match data_type {
        DataType::Boolean | DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
            return Some(Measure::Categories);
        }
        DataType::Dictionary(_, values) => return measure(values),
        DataType::Decimal32(precision, digits)
        | DataType::Decimal64(precision, digits)
        | DataType::Decimal128(precision, digits)
        | DataType::Decimal256(precision, digits) => decimal(*precision, *digits),
        kind if kind.is_unsigned_integer() => Scale::Unsigned,
        kind if kind.is_signed_integer() => Scale::Signed { digits: 0 },
        kind if kind.is_floating() => Scale::Float,
        _ => return None,
    };
    Some(Measure::Numbers(scale))
}

/// Counts an array's values.
pub fn push(column: &mut Column, array: &ArrayRef) -> Result<()> {
    match column {
        Column::Numbers(numbers) => push_numbers(numbers, array),
        Column::Categories(categories) => push_categories(categories, array),
        Column::Presence(presence) => {
            let nulls = array.logical_null_count();
            presence.nulls += nulls as u64;
            presence.values += (array.len() - nulls) as u64;
            let both = [presence.span, span(array)?].into_iter().flatten();
            presence.span = both.reduce(Span::over);
            Ok(())
        }
        Column::Embedding(embedding) => push_points(embedding, array),
    }
}

/// From when to when times are; nothing of what is no time.
fn span(array: &ArrayRef) -> Result<Option<Span>> {
    let zone = match array.data_type() {
        DataType::Date32 | DataType::Date64 => None,
        DataType::Timestamp(_, zone) => zone.clone(),
        _ => return Ok(None),
    };
    let times = cast(array, &DataType::Timestamp(TimeUnit::Microsecond, zone))?;
    let times = times.as_primitive::<TimestampMicrosecondType>();
    Ok(min(times).zip(max(times)).map(|(first, last)| Span { first, last }))
}

fn push_numbers(numbers: &mut Numbers, array: &ArrayRef) -> Result<()> {
    let kind = array.data_type();
    let known = kind.is_numeric() || kind.is_temporal();
    if !known && !matches!(kind, DataType::Dictionary(..) | DataType::Null) {
        bail!("a column of type {kind} does not hold numbers");
    }
    let to =
        |target: &DataType| cast(array, target).with_context(|| format!("read {kind} as {target}"));
    let keys: Vec<u64> = match (numbers.scale, measure(kind)) {
        (Scale::Signed { digits: 0 }, _) => to(&DataType::Int64)?
            .as_primitive::<Int64Type>()
            .iter()
            .flatten()
            .map(keys::of_signed)
            .collect(),
        (Scale::Signed { digits }, _) => {
            let wide = to(&DataType::Decimal128(38, i8::try_from(digits)?))?;
            let whole = wide.as_primitive::<Decimal128Type>().iter().flatten();
            whole
                .map(|value| i64::try_from(value).map(keys::of_signed))
                .collect::<Result<_, _>>()?
        }
        (Scale::Unsigned, _) => {
            to(&DataType::UInt64)?.as_primitive::<UInt64Type>().iter().flatten().collect()
        }
        // Through whole numbers, so that both sides are rounded in one way.
        (Scale::Float, Some(Measure::Numbers(scale @ Scale::Signed { digits }))) if digits > 0 => {
            let mut exact = Numbers::new(scale);
            push_numbers(&mut exact, array)?;
            exact.sample.keys.iter().map(|key| keys::of_float(scale.value(*key))).collect()
        }
        (Scale::Float, _) => to(&DataType::Float64)?
            .as_primitive::<Float64Type>()
            .iter()
            .flatten()
            .map(keys::of_float)
            .collect(),
    };
    numbers.push_nulls((array.len() - keys.len()) as u64);
    numbers.push(&keys);
    Ok(())
}

fn push_categories(categories: &mut Categories, array: &ArrayRef) -> Result<()> {
    match array.data_type() {
        DataType::Boolean => {
            let values = array.as_boolean();
            let trues = values.true_count();
            let nulls = values.null_count();
            categories.push(b"true", trues as u64);
            categories.push(b"false", (values.len() - trues - nulls) as u64);
            categories.push_nulls(nulls as u64);
        }
        DataType::Utf8 => strings(categories, array.as_string::<i32>()),
        DataType::LargeUtf8 => strings(categories, array.as_string::<i64>()),
        DataType::Null => categories.push_nulls(array.len() as u64),
        DataType::Utf8View | DataType::Dictionary(..) => {
            let text = cast(array, &DataType::LargeUtf8).context("read a column as text")?;
            strings(categories, text.as_string::<i64>());
        }
        other => bail!("a column of type {other} does not hold categories"),
    }
    Ok(())
}

fn push_points(embedding: &mut Embedding, array: &ArrayRef) -> Result<()> {
    let lists = derived::as_list(array)?;
    let Some(lists) = lists.as_list_opt::<i64>() else {
        bail!("a column of type {} does not hold points", array.data_type());
    };
    for row in 0..lists.len() {
        if lists.is_null(row) {
            embedding.nulls += 1;
            continue;
        }
        let point = cast(&lists.value(row), &DataType::Float64).context("read a point")?;
        let point = point.as_primitive::<Float64Type>();
        embedding.push((point.null_count() == 0).then(|| point.values().to_vec()));
    }
    Ok(())
}

fn strings<O: OffsetSizeTrait>(
    categories: &mut Categories,
    array: &arrow::array::GenericStringArray<O>,
) {
    for value in array.iter().flatten() {
        categories.push(value.as_bytes(), 1);
    }
    categories.push_nulls(array.null_count() as u64);
}
