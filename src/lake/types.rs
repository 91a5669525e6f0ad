//! The catalog's types as Arrow's.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};

use crate::databricks::unity::TableInfo;

/// The schema of a table as the catalog tells it. A type that is not known
/// here is kept as null: it is never compared.
pub(super) fn schema(table: &TableInfo) -> SchemaRef {
    let field = |column: &crate::databricks::unity::ColumnInfo| {
        Field::new(&column.name, data_type(&column.type_text), true)
    };
    Arc::new(Schema::new(table.columns.iter().map(field).collect::<Vec<_>>()))
}

fn data_type(text: &str) -> DataType {
    let text = text.trim().to_ascii_lowercase();
    let (name, arguments) = text.split_once('(').unwrap_or((&text, ""));
    match name.trim() {
        "tinyint" | "byte" => DataType::Int8,
        "smallint" | "short" => DataType::Int16,
        "int" | "integer" => DataType::Int32,
        "bigint" | "long" => DataType::Int64,
        "float" | "real" => DataType::Float32,
        "double" => DataType::Float64,
        "decimal" | "dec" | "numeric" => decimal(arguments),
        "boolean" => DataType::Boolean,
        "string" | "varchar" | "char" => DataType::Utf8,
        "date" => DataType::Date32,
        "timestamp" => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        "timestamp_ntz" => DataType::Timestamp(TimeUnit::Microsecond, None),
        _ => DataType::Null,
    }
}

/// `10,2)`; Spark's default is 10 digits and none behind the point.
fn decimal(arguments: &str) -> DataType {
    let mut numbers = arguments.trim_end_matches(')').split(',').map(str::trim);
    let precision = numbers.next().and_then(|text| text.parse().ok()).unwrap_or(10);
    let digits = numbers.next().and_then(|text| text.parse().ok()).unwrap_or(0);
    DataType::Decimal128(precision, digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_spark_are_known() {
        assert_eq!(data_type("BIGINT"), DataType::Int64);
        assert_eq!(data_type("decimal(12, 2)"), DataType::Decimal128(12, 2));
        assert_eq!(data_type("varchar(20)"), DataType::Utf8);
        assert_eq!(data_type("struct<a:int>"), DataType::Null);
    }
}
