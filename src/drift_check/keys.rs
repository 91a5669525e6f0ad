//! Whether the rows have keys of their own.

use anyhow::{Context as _, Result};
use arrow::array::RecordBatch;
use arrow::row::{RowConverter, SortField};
use arrow::util::display::array_value_to_string;
use sha2::{Digest as _, Sha256};

use crate::databricks::sql::Statement;
use crate::lake::{Lake, Opened, Versioned};
use crate::names::quoted;
use crate::report::{Fault, counted};
use crate::step::Ctx;

/// What is wrong with a key of several columns; nothing when no two rows share
/// theirs. Nulls are equal to each other.
///
/// # Errors
/// When the data lacks a column of it.
pub(super) async fn repeated(ctx: &Ctx, opened: &Opened, key: &[String]) -> Result<Option<String>> {
    let schema = opened.side.schema();
    let known: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    if let Some(missing) = key.iter().find(|name| !known.contains(&name.as_str())) {
        let fault = Fault::usage(format!("`quality.key`: the data has no column `{missing}`"));
        return Err(fault.or_near(missing, known.iter().copied()).into());
    }
    match &opened.table {
        Some(table) => by_the_warehouse(ctx.lake()?, table, key).await,
        None => here(ctx, opened, key).await,
    }
}

fn told(keys: u64, example: &str) -> Option<String> {
    let values = counted(usize::try_from(keys).unwrap_or(usize::MAX), "value");
    (keys > 0).then(|| format!("has {values} that more than one row has, such as {example}"))
}

/// The warehouse counts; not a row leaves it but the example.
async fn by_the_warehouse(
    lake: Lake<'_>,
    table: &Versioned,
    key: &[String],
) -> Result<Option<String>> {
    let statement = Statement::new(statement(table, key));
    let answer = lake.client.sql(lake.warehouse, &statement).await;
    let answer = answer.context("count the keys that stand more than once")?;
    let Some(row) = answer.rows.first() else { return Ok(None) };
    let keys = row.first().cloned().flatten().and_then(|count| count.parse().ok());
    let values = row.iter().skip(1).map(|value| value.as_deref().unwrap_or("null"));
    Ok(told(keys.context("an answer has no count")?, &values.collect::<Vec<_>>().join(", ")))
}

fn statement(table: &Versioned, key: &[String]) -> String {
    let columns: Vec<String> = key.iter().map(|name| quoted(name)).collect();
    let columns = columns.join(", ");
    let (relation, filter) = (table.relation(), table.condition());
    format!(
        "SELECT COUNT(*) OVER () AS keys, {columns} FROM (SELECT {columns} FROM {relation}{filter} GROUP BY {columns} HAVING COUNT(*) > 1) AS k ORDER BY {columns} LIMIT 1"
    )
}

/// A digest of each row's key, half of SHA-256.
async fn here(ctx: &Ctx, opened: &Opened, key: &[String]) -> Result<Option<String>> {
    let names: Vec<&str> = key.iter().map(String::as_str).collect();
    let mut digests = Vec::<u128>::new();
    let side = &opened.side;
    let take = |batch: &RecordBatch| {
        digests.extend(self::digests(batch)?);
        Ok(())
    };
    side.visit(ctx.lake_if_any(), &names, &opened.grouping, take).await?;
    digests.sort_unstable();
    let repeats: Vec<u128> =
        digests.chunk_by(|a, b| a == b).filter(|run| run.len() > 1).map(|run| run[0]).collect();
    let Some(first) = repeats.first() else { return Ok(None) };
    let mut example = None;
    let find = |batch: &RecordBatch| {
        if example.is_none() {
            let row = self::digests(batch)?.into_iter().position(|digest| digest == *first);
            example = row.map(|row| values(batch, row)).transpose()?;
        }
        Ok(())
    };
    side.visit(ctx.lake_if_any(), &names, &opened.grouping, find).await?;
    Ok(told(repeats.len() as u64, &example.unwrap_or_default()))
}

fn digests(batch: &RecordBatch) -> Result<Vec<u128>> {
    let fields = batch.columns().iter().map(|column| SortField::new(column.data_type().clone()));
    let rows = RowConverter::new(fields.collect())?.convert_columns(batch.columns())?;
    let digest = |row: arrow::row::Row<'_>| {
        let digest = Sha256::digest(row.as_ref());
        digest.iter().take(16).fold(0u128, |digest, byte| digest << 8 | u128::from(*byte))
    };
    Ok(rows.iter().map(digest).collect())
}

fn values(batch: &RecordBatch, row: usize) -> Result<String> {
    let values = batch.columns().iter().map(|column| match column.is_null(row) {
        true => Ok("null".to_owned()),
        false => array_value_to_string(column, row),
    });
    Ok(values.collect::<Result<Vec<_>, _>>()?.join(", "))
}

/// The subject of such a rule.
pub(super) fn subject(key: &[String]) -> String {
    format!("the key ({})", key.join(", "))
}
