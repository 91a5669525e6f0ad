//! Nested values that a warehouse sends as JSON text, as the catalog types them.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use arrow::array::{Array as _, ArrayRef, AsArray as _, RecordBatch, RecordBatchOptions};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, FieldRef, Schema};
use arrow::json::ReaderBuilder;

/// The batch with its nested columns in the types of `schema`; those that have
/// them already stay as they are.
pub(super) fn typed(batch: RecordBatch, schema: &Schema) -> Result<RecordBatch> {
    let is_text =
        |kind: &DataType| matches!(kind, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    let declared = |name: &str| {
        let field = schema.field_with_name(name).ok()?;
        field.data_type().is_nested().then(|| Arc::new(field.clone()))
    };
    let fits = |field: &FieldRef| !is_text(field.data_type()) || declared(field.name()).is_none();
    if batch.schema().fields().iter().all(fits) {
        return Ok(batch);
    }
    let mut fields: Vec<FieldRef> = Vec::new();
    let mut columns = Vec::new();
    for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
        match declared(field.name()).filter(|_| is_text(field.data_type())) {
            Some(target) => {
                let read = parse(column, &target);
                columns.push(read.with_context(|| format!("read `{}` as JSON", field.name()))?);
                fields.push(target);
            }
            None => {
                columns.push(column.clone());
                fields.push(field.clone());
            }
        }
    }
    let rows = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    Ok(RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &rows)?)
}

fn parse(texts: &ArrayRef, target: &FieldRef) -> Result<ArrayRef> {
    let texts = cast(texts, &DataType::LargeUtf8)?;
    let texts = texts.as_string::<i64>();
    let field: FieldRef = Arc::new(Field::new("value", target.data_type().clone(), true));
    let mut decoder = ReaderBuilder::new_with_field(field)
        .with_batch_size(texts.len().max(1))
        .with_coerce_primitive(true)
        .build_decoder()?;
    for text in texts {
        // What is decoded in one piece must be used up in one.
        let text = text.unwrap_or("null");
        let mut rest = text.as_bytes();
        while !rest.is_empty() {
            let used = decoder.decode(rest)?;
            anyhow::ensure!(used > 0, "`{text}` holds more than one value");
            rest = &rest[used..];
        }
        decoder.decode(b"\n")?;
    }
    match decoder.flush()? {
        Some(read) => {
            anyhow::ensure!(read.num_rows() == texts.len(), "some rows hold no value");
            Ok(read.column(0).clone())
        }
        None => Ok(arrow::array::new_empty_array(target.data_type())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Float64Array, StringArray};
    use arrow::datatypes::Float64Type;

    fn field(name: &str, kind: DataType) -> Field {
        Field::new(name, kind, true)
    }

    #[test]
    fn json_text_becomes_what_the_catalog_says() {
        let list = DataType::List(Arc::new(field("element", DataType::Float64)));
        let inner = vec![field("city", DataType::Utf8), field("zip", DataType::Int64)];
        let schema = Schema::new(vec![
            field("tags", list),
            field("address", DataType::Struct(inner.into())),
            field("plain", DataType::Utf8),
        ]);
        let batch = RecordBatch::try_from_iter_with_nullable([
            (
                "tags",
                Arc::new(StringArray::from(vec![Some("[1,2.5]"), None, Some("[]")])) as ArrayRef,
                true,
            ),
            (
                "address",
                Arc::new(StringArray::from(vec![
                    Some(r#"{"city":"Rome","zip":"12"}"#),
                    Some(r#"{"city":null}"#),
                    None,
                ])),
                true,
            ),
            ("plain", Arc::new(StringArray::from(vec!["[", "x", "{"])), true),
        ])
        .unwrap();
        let read = typed(batch.clone(), &schema).unwrap();
        let tags = read.column_by_name("tags").unwrap().as_list::<i32>();
        assert_eq!(tags.value(0).as_primitive::<Float64Type>().values(), &[1.0, 2.5]);
        assert!(tags.is_null(1) && tags.value(2).is_empty());
        let address = read.column_by_name("address").unwrap().as_struct();
        let cities = address.column_by_name("city").unwrap().as_string::<i32>();
        assert_eq!(cities.value(0), "Rome");
        assert!(cities.is_null(1) && address.is_null(2));
        assert_eq!(read.column_by_name("plain"), batch.column_by_name("plain"));
        let wrong = RecordBatch::try_from_iter([(
            "tags",
            Arc::new(StringArray::from(vec!["not json"])) as ArrayRef,
        )]);
        assert!(typed(wrong.unwrap(), &schema).is_err());
        let native = RecordBatch::try_from_iter([(
            "plain",
            Arc::new(Float64Array::from(vec![1.0])) as ArrayRef,
        )])
        .unwrap();
        assert_eq!(typed(native.clone(), &schema).unwrap(), native);
    }
}
