//! Parts of the rows: slices and groups.

use std::collections::HashMap;

use anyhow::{Context as _, Result};
use arrow::array::{Array, RecordBatch};
use arrow::row::{RowConverter, SortField};
use arrow::util::display::array_value_to_string;

use super::frame::column;
use crate::config::Gate;
use crate::sql::Predicate;

/// How rows without a value are called: as no text is.
const NULL: &str = "\u{2205} null";

/// A part of the rows.
#[derive(Debug)]
pub(super) struct Slice {
    pub(super) name: String,
    pub(super) rows: Vec<u32>,
}

/// The slices of the policy, in its order.
pub(super) fn slices(rows: &RecordBatch, policy: &Gate) -> Result<Vec<Slice>> {
    let Some(wanted) = &policy.slices else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for name in &wanted.columns {
        let mut values = parts(rows, name)?;
        values.sort_by(|a, b| b.1.len().cmp(&a.1.len()).then_with(|| a.0.cmp(&b.0)));
        // Rare values are judged together: left out, a bad one would pass.
        let rest = values.split_off(wanted.top.min(values.len()));
        if !rest.is_empty() {
            let count = rest.len();
            let mut rows: Vec<u32> = rest.into_iter().flat_map(|(_, rows)| rows).collect();
            rows.sort_unstable();
            let told = if count == 1 { "another value".into() } else { format!("{count} others") };
            values.push((told, rows));
        }
        found.extend(
            values
                .into_iter()
                .map(|(value, rows)| Slice { name: format!("{name} = {value}"), rows }),
        );
    }
    for (name, condition) in &wanted.conditions {
        let holds = condition.parse::<Predicate>()?.select(rows)?;
        let rows = (0..rows.num_rows()).filter(|row| holds.value(*row)).map(|row| row as u32);
        found.push(Slice { name: name.clone(), rows: rows.collect() });
    }
    Ok(found)
}

/// The rows of each value of a column.
pub(super) fn parts(rows: &RecordBatch, name: &str) -> Result<Vec<(String, Vec<u32>)>> {
    let numbers = numbered(rows, name)?;
    let array = column(rows, name)?;
    let mut of_number: Vec<Vec<u32>> = Vec::new();
    for (row, number) in numbers.iter().enumerate() {
        if *number as usize == of_number.len() {
            of_number.push(Vec::new());
        }
        of_number[*number as usize].push(row as u32);
    }
    let named = |rows: Vec<u32>| {
        let first = rows[0] as usize;
        let name = if array.is_null(first) {
            NULL.to_owned()
        } else {
            array_value_to_string(&array, first)?
        };
        Ok((name, rows))
    };
    of_number.into_iter().map(named).collect()
}

/// Equal values by a number, in the order in which they first come.
pub(super) fn numbered(rows: &RecordBatch, name: &str) -> Result<Vec<u32>> {
    let array = column(rows, name)?;
    let field = SortField::new(array.data_type().clone());
    let rows = RowConverter::new(vec![field])?.convert_columns(&[array])?;
    let mut known = HashMap::new();
    let mut numbers = Vec::with_capacity(rows.num_rows());
    for row in &rows {
        let next = u32::try_from(known.len()).context("there are too many values")?;
        numbers.push(*known.entry(row).or_insert(next));
    }
    Ok(numbers)
}
