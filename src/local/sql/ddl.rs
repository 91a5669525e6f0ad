//! Statements about tables: create, drop, describe, show.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::sql::sqlparser::ast::{
    ColumnOption, CommentDef, CreateTable, DataType as SqlType, HiveDistributionStyle, ObjectName,
    ObjectType, Statement,
};
use deltalake_core::kernel::StructField;
use deltalake_core::kernel::engine::arrow_conversion::TryIntoKernel as _;
use deltalake_core::operations::create::CreateBuilder;
use deltalake_core::protocol::SaveMode;
use futures::TryStreamExt as _;
use serde_json::json;

use super::engine::{Failure, Session, parse};
use super::{Table, catalog, dml, render};
use crate::names::TableName;
use crate::sys::fs;

/// A result without rows.
pub(super) fn nothing() -> Table {
    Table::new(Arc::new(Schema::empty()), Vec::new())
}

/// Text columns as a result.
fn texts<const N: usize>(names: [&str; N], rows: &[[Option<String>; N]]) -> Result<Table, Failure> {
    let schema =
        Arc::new(Schema::new(names.map(|name| Field::new(name, DataType::Utf8, true)).to_vec()));
    let columns = (0..N).map(|at| {
        Arc::new(rows.iter().map(|row| row[at].clone()).collect::<StringArray>()) as ArrayRef
    });
    let batch = RecordBatch::try_new(schema.clone(), columns.collect())?;
    Ok(Table::new(schema, vec![batch]))
}

pub(super) async fn create_table(session: &Session, create: CreateTable) -> Result<Table, Failure> {
    let name = session.name(&create.name)?;
    // A table and its log come into being together, for whoever else creates it.
    let queue = session.workspace.sql.writer(&format!("create {name}"));
    let _turn = queue.lock().await;
    let known = session.workspace.table(&name).ok();
    if known.is_some() && create.if_not_exists {
        return Ok(nothing());
    }
    if known.is_some() && !create.or_replace {
        let message = format!("[TABLE_OR_VIEW_ALREADY_EXISTS] Table '{name}' already exists");
        return Err(Failure::new("TABLE_OR_VIEW_ALREADY_EXISTS", message));
    }
    let rows = match &create.query {
        Some(query) => Some(session.query(Statement::Query(query.clone())).await?),
        None => None,
    };
    let schema = match &rows {
        Some(rows) => nullable(&rows.schema),
        None => Arc::new(Schema::new(columns(&create)?)),
    };
    if schema.fields().is_empty() {
        return Err(Failure::new("PARSE_SYNTAX_ERROR", format!("table {name} needs columns")));
    }
    let comment = create.comment.as_ref().map(|comment| match comment {
        CommentDef::WithEq(text) | CommentDef::WithoutEq(text) => text.as_str(),
    });
    let described =
        schema.fields().iter().enumerate().map(|(at, field)| render::column(field, at)).collect();
    let location = create.location.as_deref();
    let table = session.workspace.new_table(&name, described, location, comment);
    let made = async {
        make_log(&table, &schema, &create).await?;
        if let Some(rows) = rows {
            dml::append(session, &table, rows.batches, SaveMode::Append).await?;
        }
        // The catalog comes last: a process that is killed leaves no table without its data.
        Ok(session.workspace.enter_table(&table, known.as_ref())?)
    };
    let made: Result<(), Failure> = made.await;
    // Of the two, one is known no more.
    let other = if made.is_err() { Some(&table) } else { known.as_ref() };
    if let Some(other) = other {
        other.remove_data()?;
    }
    made.map(|()| nothing())
}

/// The first commit of a table: its schema and nothing else. What lies at the location
/// of an external table is kept, unless it is to be replaced.
async fn make_log(
    table: &crate::local::unity::tables::Table,
    schema: &Schema,
    create: &CreateTable,
) -> Result<(), Failure> {
    fs::create_dir_all(table.folder())
        .map_err(|error| Failure::new("IO_ERROR", format!("{error:#}")))?;
    let fields: Result<Vec<StructField>, _> =
        schema.fields().iter().map(|field| field.as_ref().try_into_kernel()).collect();
    CreateBuilder::new()
        .with_location(catalog::location(table)?.to_string())
        .with_columns(fields?)
        .with_partition_columns(partitions(create))
        .with_save_mode(if create.or_replace { SaveMode::Overwrite } else { SaveMode::Ignore })
        .await?;
    Ok(())
}

fn nullable(schema: &Schema) -> Arc<Schema> {
    let fields = schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

fn partitions(create: &CreateTable) -> Vec<String> {
    match &create.hive_distribution {
        HiveDistributionStyle::PARTITIONED { columns } => {
            columns.iter().map(|column| column.name.value.clone()).collect()
        }
        _ => Vec::new(),
    }
}

fn columns(create: &CreateTable) -> Result<Vec<Field>, Failure> {
    let declared = create.columns.iter().map(|column| {
        let required =
            column.options.iter().any(|option| matches!(option.option, ColumnOption::NotNull));
        Ok(Field::new(&column.name.value, arrow_type(&column.data_type)?, !required))
    });
    declared.collect()
}

fn arrow_type(sql: &SqlType) -> Result<DataType, Failure> {
    let text = sql.to_string().to_ascii_uppercase();
    let (name, arguments) = match text.split_once('(') {
        Some((name, rest)) => (name.trim(), rest.trim_end_matches(')')),
        None => (text.as_str(), ""),
    };
    Ok(match name {
        "STRING" | "TEXT" | "VARCHAR" | "CHAR" => DataType::Utf8,
        "BIGINT" | "LONG" => DataType::Int64,
        "INT" | "INTEGER" => DataType::Int32,
        "SMALLINT" | "SHORT" => DataType::Int16,
        "TINYINT" | "BYTE" => DataType::Int8,
        "DOUBLE" | "DOUBLE PRECISION" => DataType::Float64,
        "FLOAT" | "REAL" => DataType::Float32,
        "BOOLEAN" | "BOOL" => DataType::Boolean,
        "DATE" => DataType::Date32,
        "TIMESTAMP" => {
            DataType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, Some("UTC".into()))
        }
        "TIMESTAMP_NTZ" => DataType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, None),
        "BINARY" => DataType::Binary,
        "DECIMAL" | "NUMERIC" => {
            let mut numbers =
                arguments.split(',').map(|number| number.trim().parse::<i16>().unwrap_or(0));
            let precision = numbers.next().filter(|precision| *precision > 0).unwrap_or(10);
            let scale = numbers.next().unwrap_or(0);
            DataType::Decimal128(
                u8::try_from(precision).unwrap_or(10),
                i8::try_from(scale).unwrap_or(0),
            )
        }
        _ => return Err(Failure::unsupported(&format!("columns of type {text}"))),
    })
}

pub(super) fn create_schema(
    session: &Session,
    name: &str,
    if_not_exists: bool,
) -> Result<Table, Failure> {
    let name = name.replace('`', "");
    let full = if name.contains('.') { name } else { format!("{}.{name}", session.catalog) };
    let (catalog, schema) = full.split_once('.').unwrap_or((&session.catalog, &full));
    let store = &session.workspace.store;
    if store.get::<serde_json::Value>("schema", &full)?.is_some() {
        if if_not_exists {
            return Ok(nothing());
        }
        return Err(Failure::new(
            "SCHEMA_ALREADY_EXISTS",
            format!("[SCHEMA_ALREADY_EXISTS] Schema '{full}' already exists"),
        ));
    }
    if store.get::<serde_json::Value>("catalog", catalog)?.is_none() {
        return Err(Failure::new(
            "CATALOG_NOT_FOUND",
            format!("Catalog '{catalog}' does not exist."),
        ));
    }
    let now = crate::sys::clock::now_ms();
    let document = json!({ "name": schema, "catalog_name": catalog, "full_name": full, "owner": crate::local::USER, "created_at": now, "updated_at": now });
    store.put("schema", &full, &document)?;
    Ok(nothing())
}

pub(super) fn drop(
    session: &Session,
    kind: &ObjectType,
    if_exists: bool,
    names: &[ObjectName],
) -> Result<Table, Failure> {
    if *kind != ObjectType::Table {
        return Err(Failure::unsupported(&format!("DROP {kind}")));
    }
    for name in names {
        let name = session.name(name)?;
        if if_exists && session.workspace.table(&name).is_err() {
            continue;
        }
        session.workspace.drop_table(&name)?;
    }
    Ok(nothing())
}

/// DESCRIBE, SHOW and ADD COLUMNS, which the SQL parser reads in other dialects only.
pub(super) async fn show(session: &Session, text: &str) -> Option<Result<Table, Failure>> {
    let words: Vec<_> = text.trim().trim_end_matches(';').split_whitespace().collect();
    let upper: Vec<_> = words.iter().map(|word| word.to_ascii_uppercase()).collect();
    let upper: Vec<_> = upper.iter().map(String::as_str).collect();
    match upper[..] {
        ["DESCRIBE" | "DESC", "HISTORY", _] => Some(history(session, words[2]).await),
        ["DESCRIBE" | "DESC", "DETAIL", _] => Some(detail(session, words[2]).await),
        ["DESCRIBE" | "DESC", "TABLE", _] | ["DESCRIBE" | "DESC", "TABLE", "EXTENDED", _] => {
            Some(describe(session, words.last().copied().unwrap_or_default()).await)
        }
        ["DESCRIBE" | "DESC", name] if name != "HISTORY" => Some(describe(session, words[1]).await),
        ["ALTER", "TABLE", _, "ADD", "COLUMN" | "COLUMNS", ..] => {
            let (_, list) = text.split_at(text.find('(').unwrap_or(text.len()));
            // A table of the new columns alone says what they are.
            Some(match parse(&format!("CREATE TABLE {} {list}", words[2])) {
                Ok(parsed) => add_columns(session, parsed).await,
                Err(failure) => Err(failure),
            })
        }
        ["SHOW", "TABLES"] => Some(show_tables(session, None)),
        ["SHOW", "TABLES", "IN" | "FROM", _] => Some(show_tables(session, Some(words[3]))),
        _ => None,
    }
}

async fn add_columns(session: &Session, parsed: Vec<Statement>) -> Result<Table, Failure> {
    let [Statement::CreateTable(create)] = &parsed[..] else {
        return Err(Failure::new("PARSE_SYNTAX_ERROR", "[PARSE_SYNTAX_ERROR] columns are missing"));
    };
    let name = session.name(&create.name)?;
    let queue = session.workspace.sql.writer(&name.to_string());
    let _turn = queue.lock().await;
    let delta = catalog::open(&session.workspace.table(&name)?).await?;
    let there = dml::arrow_schema(&delta)?;
    let fields = columns(create)?;
    if let Some(known) = fields.iter().find(|field| there.field_with_name(field.name()).is_ok()) {
        let message = format!("[FIELD_ALREADY_EXISTS] column `{}` is there already", known.name());
        return Err(Failure::new("FIELD_ALREADY_EXISTS", message));
    }
    let fields: Result<Vec<StructField>, _> =
        fields.iter().map(|field| field.try_into_kernel()).collect();
    delta.add_columns().with_fields(fields?).await?;
    Ok(nothing())
}

fn named(session: &Session, text: &str) -> Result<TableName, Failure> {
    let parts: Vec<_> = text.split('.').collect();
    let full = match parts.len() {
        1 => format!("{}.{}.{text}", session.catalog, session.schema),
        2 => format!("{}.{text}", session.catalog),
        _ => text.to_owned(),
    };
    full.parse().map_err(|error: crate::names::NameError| {
        Failure::new("PARSE_SYNTAX_ERROR", error.to_string())
    })
}

async fn describe(session: &Session, name: &str) -> Result<Table, Failure> {
    let table = session.workspace.table(&named(session, name)?)?;
    let schema = dml::arrow_schema(&catalog::open(&table).await?)?;
    let rows: Vec<_> = schema
        .fields()
        .iter()
        .map(|field| {
            let kind = render::type_names(field.data_type()).1.to_ascii_lowercase();
            [Some(field.name().clone()), Some(kind), None]
        })
        .collect();
    texts(["col_name", "data_type", "comment"], &rows)
}

async fn detail(session: &Session, name: &str) -> Result<Table, Failure> {
    let table = session.workspace.table(&named(session, name)?)?;
    let files = catalog::open(&table).await?.get_file_uris()?.count();
    let row = [
        Some("delta".into()),
        Some(table.full_name.clone()),
        Some(table.storage_location.clone()),
        Some(files.to_string()),
    ];
    texts(["format", "name", "location", "numFiles"], &[row])
}

/// Newest first, as the service lists it.
async fn history(session: &Session, name: &str) -> Result<Table, Failure> {
    let table = session.workspace.table(&named(session, name)?)?;
    let delta = catalog::open(&table).await?;
    let commits: Vec<_> = delta.history(None).await_all().await?;
    let newest = i64::try_from(delta.version().unwrap_or(0)).unwrap_or(0);
    let versions: Int64Array =
        (0..commits.len()).map(|back| newest - i64::try_from(back).unwrap_or(0)).collect();
    let times = commits.iter().map(|commit| {
        let time = jiff::Timestamp::from_millisecond(commit.timestamp.unwrap_or(0)).ok();
        time.map(|time| time.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string())
    });
    let operations = commits.iter().map(|commit| commit.operation.clone());
    let schema = Arc::new(Schema::new(vec![
        Field::new("version", DataType::Int64, false),
        Field::new("timestamp", DataType::Utf8, true),
        Field::new("operation", DataType::Utf8, true),
    ]));
    let columns: Vec<ArrayRef> = vec![
        Arc::new(versions),
        Arc::new(times.collect::<StringArray>()),
        Arc::new(operations.collect::<StringArray>()),
    ];
    Ok(Table::new(schema.clone(), vec![RecordBatch::try_new(schema, columns)?]))
}

/// Collects a stream of commits.
trait AwaitAll<T> {
    async fn await_all(self) -> Result<Vec<T>, Failure>;
}

impl<S, T> AwaitAll<T> for S
where
    S: futures::Stream<Item = Result<T, deltalake_core::DeltaTableError>>,
{
    async fn await_all(self) -> Result<Vec<T>, Failure> {
        Ok(self.try_collect().await?)
    }
}

fn show_tables(session: &Session, within: Option<&str>) -> Result<Table, Failure> {
    let within = within.map(|name| name.replace('`', ""));
    let (catalog, schema) = match within.as_deref().map(|name| name.split_once('.').ok_or(name)) {
        Some(Ok((catalog, schema))) => (catalog.to_owned(), schema.to_owned()),
        Some(Err(schema)) => (session.catalog.clone(), schema.to_owned()),
        None => (session.catalog.clone(), session.schema.clone()),
    };
    let tables = session.workspace.tables_of(&catalog, &schema)?;
    let rows: Vec<_> = tables
        .into_iter()
        .map(|table| [Some(schema.clone()), Some(table.name), Some("false".into())])
        .collect();
    texts(["database", "tableName", "isTemporary"], &rows)
}
