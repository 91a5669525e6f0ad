//! Results as the service writes them: type names, text, Arrow streams.

use arrow::array::{Array as _, ArrayRef, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::ipc::writer::StreamWriter;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use axum::body::Bytes;
use serde_json::{Value, json};

use super::Table;
use crate::local::error::{Answer, ApiFault};

/// The columns of a manifest.
pub(super) fn schema(schema: &Schema) -> Value {
    let columns: Vec<_> = schema
        .fields()
        .iter()
        .enumerate()
        .map(|(position, field)| column(field, position))
        .collect();
    json!({ "column_count": columns.len(), "columns": columns })
}

/// A column as statements and tables describe it.
pub(super) fn column(field: &Field, position: usize) -> Value {
    let (name, text) = type_names(field.data_type());
    let mut column = json!({
        "name": field.name(), "position": position, "type_name": name, "type_text": text, "nullable": field.is_nullable(),
    });
    if let DataType::Decimal128(precision, scale) = field.data_type() {
        column["type_precision"] = json!(precision);
        column["type_scale"] = json!(scale);
    }
    column
}

/// `type_name` and `type_text` of a type.
pub(super) fn type_names(data_type: &DataType) -> (&'static str, String) {
    let plain = |name: &'static str, text: &str| (name, text.to_owned());
    match data_type {
        DataType::Boolean => plain("BOOLEAN", "BOOLEAN"),
        DataType::Int8 => plain("BYTE", "TINYINT"),
        DataType::Int16 | DataType::UInt8 => plain("SHORT", "SMALLINT"),
        DataType::Int32 | DataType::UInt16 => plain("INT", "INT"),
        DataType::Int64 | DataType::UInt32 | DataType::UInt64 => plain("LONG", "BIGINT"),
        DataType::Float32 | DataType::Float16 => plain("FLOAT", "FLOAT"),
        DataType::Float64 => plain("DOUBLE", "DOUBLE"),
        DataType::Date32 | DataType::Date64 => plain("DATE", "DATE"),
        DataType::Timestamp(_, Some(_)) => plain("TIMESTAMP", "TIMESTAMP"),
        DataType::Timestamp(_, None) => plain("TIMESTAMP_NTZ", "TIMESTAMP_NTZ"),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => {
            plain("BINARY", "BINARY")
        }
        DataType::Null => plain("NULL", "VOID"),
        DataType::Decimal128(precision, scale) => {
            ("DECIMAL", format!("DECIMAL({precision},{scale})"))
        }
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            ("ARRAY", format!("ARRAY<{}>", type_names(item.data_type()).1))
        }
        DataType::Struct(fields) => {
            let fields = fields
                .iter()
                .map(|field| format!("{}: {}", field.name(), type_names(field.data_type()).1));
            ("STRUCT", format!("STRUCT<{}>", fields.collect::<Vec<_>>().join(", ")))
        }
        DataType::Map(entries, _) => {
            let DataType::Struct(pair) = entries.data_type() else { return plain("MAP", "MAP") };
            let names: Vec<_> = pair.iter().map(|field| type_names(field.data_type()).1).collect();
            ("MAP", format!("MAP<{}>", names.join(", ")))
        }
        _ => plain("STRING", "STRING"),
    }
}

/// Types that other readers know: no views, dictionaries or unsigned numbers.
pub(super) fn portable_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Utf8View | DataType::LargeUtf8 => DataType::Utf8,
        DataType::BinaryView | DataType::LargeBinary => DataType::Binary,
        DataType::UInt8 => DataType::Int16,
        DataType::UInt16 => DataType::Int32,
        DataType::UInt32 | DataType::UInt64 => DataType::Int64,
        DataType::Timestamp(_, zone) => DataType::Timestamp(TimeUnit::Microsecond, zone.clone()),
        DataType::Dictionary(_, value) => portable_type(value),
        other => other.clone(),
    }
}

pub(super) fn portable_schema(schema: &Schema) -> SchemaRef {
    let fields = schema.fields().iter().map(|field| {
        Field::new(field.name(), portable_type(field.data_type()), field.is_nullable())
    });
    Schema::new(fields.collect::<Vec<_>>()).into()
}

/// The batches in the types of [`portable_schema`].
pub(super) fn portable(schema: &SchemaRef, batches: Vec<RecordBatch>) -> Answer<Vec<RecordBatch>> {
    let convert = |batch: RecordBatch| -> Result<RecordBatch, arrow::error::ArrowError> {
        let columns: Result<Vec<ArrayRef>, _> = batch
            .columns()
            .iter()
            .zip(schema.fields())
            .map(|(array, field)| cast(array, field.data_type()))
            .collect();
        RecordBatch::try_new(schema.clone(), columns?)
    };
    let converted: Result<Vec<_>, _> = batches.into_iter().map(convert).collect();
    converted.map_err(|error| ApiFault::from(anyhow::Error::from(error)))
}

/// Every value as text, null as nothing.
pub(super) fn text_rows(table: &Table) -> Answer<Vec<Vec<Option<String>>>> {
    let fail = |error: arrow::error::ArrowError| ApiFault::from(anyhow::Error::from(error));
    let options = FormatOptions::new()
        .with_timestamp_tz_format(Some("%Y-%m-%dT%H:%M:%S%.3fZ"))
        .with_timestamp_format(Some("%Y-%m-%dT%H:%M:%S%.3f"));
    let mut rows = Vec::new();
    for batch in &table.batches {
        let formatters: Result<Vec<_>, _> =
            batch.columns().iter().map(|array| ArrayFormatter::try_new(array, &options)).collect();
        let formatters = formatters.map_err(fail)?;
        // An array of type null has no bitmap, and is null all the same.
        let nulls: Vec<_> = batch.columns().iter().map(|array| array.logical_nulls()).collect();
        for row in 0..batch.num_rows() {
            let values = formatters.iter().zip(&nulls).map(|(text, nulls)| {
                let null = nulls.as_ref().is_some_and(|nulls| nulls.is_null(row));
                (!null).then(|| text.value(row).to_string())
            });
            rows.push(values.collect());
        }
    }
    Ok(rows)
}

pub(super) fn arrow_stream(table: &Table) -> Answer<Bytes> {
    let write = || -> Result<Vec<u8>, arrow::error::ArrowError> {
        let mut writer = StreamWriter::try_new(Vec::new(), &table.schema)?;
        for batch in &table.batches {
            writer.write(batch)?;
        }
        writer.into_inner()
    };
    write().map(Bytes::from).map_err(|error| ApiFault::from(anyhow::Error::from(error)))
}
