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
    let mut rest = text;
    let kind = parse(&mut rest);
    kind.filter(|_| rest.trim().is_empty()).unwrap_or(DataType::Null)
}

/// A type at the start of `rest`, which is moved behind it.
fn parse(rest: &mut &str) -> Option<DataType> {
    let end = rest.find(['<', '>', ',', '(']).unwrap_or(rest.len());
    let name = rest[..end].trim().to_ascii_lowercase();
    *rest = &rest[end..];
    match name.as_str() {
        "array" => {
            let element = inside(rest, parse)?;
            Some(DataType::List(Arc::new(Field::new("element", element, true))))
        }
        "map" => {
            let (key, value) = inside(rest, |rest| {
                let key = parse(rest)?;
                *rest = rest.strip_prefix(',')?;
                Some((key, parse(rest)?))
            })?;
            let fields = vec![Field::new("key", key, false), Field::new("value", value, true)];
            let entries = Field::new("entries", DataType::Struct(fields.into()), false);
            Some(DataType::Map(Arc::new(entries), false))
        }
        "struct" => inside(rest, fields).map(|fields| DataType::Struct(fields.into())),
        name => {
            let mut arguments = "";
            if let Some(behind) = rest.strip_prefix('(') {
                let (between, after) = behind.split_once(')')?;
                arguments = between;
                *rest = after;
            }
            Some(flat(name, arguments))
        }
    }
}

/// What stands between `<` and `>`.
fn inside<T>(rest: &mut &str, read: impl FnOnce(&mut &str) -> Option<T>) -> Option<T> {
    *rest = rest.strip_prefix('<')?;
    let found = read(rest)?;
    *rest = rest.trim_start().strip_prefix('>')?;
    Some(found)
}

/// `name:type,...`, as deep as it goes.
fn fields(rest: &mut &str) -> Option<Vec<Field>> {
    let mut found = Vec::new();
    while !rest.trim_start().starts_with('>') {
        // Names between backticks may hold anything.
        let (name, behind) = match rest.trim_start().strip_prefix('`') {
            Some(quoted) => quoted.split_once("`:")?,
            None => rest.split_once(':')?,
        };
        *rest = behind;
        let name = name.trim().replace("``", "`");
        found.push(Field::new(name, parse(rest)?, true));
        match rest.strip_prefix(',') {
            Some(behind) => *rest = behind,
            None => break,
        }
    }
    Some(found)
}

fn flat(name: &str, arguments: &str) -> DataType {
    match name {
        "tinyint" | "byte" => DataType::Int8,
        "smallint" | "short" => DataType::Int16,
        "int" | "integer" => DataType::Int32,
        "bigint" | "long" => DataType::Int64,
        "float" | "real" => DataType::Float32,
        "double" => DataType::Float64,
        "decimal" | "dec" | "numeric" => decimal(arguments),
        "boolean" => DataType::Boolean,
        "string" | "varchar" | "char" => DataType::Utf8,
        "binary" => DataType::Binary,
        "date" => DataType::Date32,
        "timestamp" => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        "timestamp_ntz" => DataType::Timestamp(TimeUnit::Microsecond, None),
        _ => DataType::Null,
    }
}

/// `10,2`; Spark's default is 10 digits and none behind the point.
fn decimal(arguments: &str) -> DataType {
    let mut numbers = arguments.split(',').map(str::trim);
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
        assert_eq!(data_type("interval day"), DataType::Null);
        assert_eq!(data_type("int>"), DataType::Null);
    }

    #[test]
    fn nested_types_are_read_to_the_bottom() {
        let told = data_type("struct<a:int,`b:c`:array<decimal(10,2)>,m:map<string,double>>");
        let DataType::Struct(fields) = told else { panic!("{told}") };
        let names: Vec<&str> = fields.iter().map(|field| field.name().as_str()).collect();
        assert_eq!(names, ["a", "b:c", "m"]);
        let DataType::List(element) = fields[1].data_type() else { panic!("{:?}", fields[1]) };
        assert_eq!(element.data_type(), &DataType::Decimal128(10, 2));
        for cut in ["struct<a:int", "array<", "map<string>", "struct<a>"] {
            assert_eq!(data_type(cut), DataType::Null, "{cut}");
        }
    }
}
