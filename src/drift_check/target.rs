//! Whether the truth itself drifted, on the rows whose labels are known.

use std::sync::Arc;

use anyhow::Result;
use arrow::array::{ArrayRef, Float64Array, StringArray};

use super::compare::{Compared, compare};
use super::performance::{Rows, mature};
use crate::config::{Drift, Performance, Problem};
use crate::stats;
use crate::stats::column::{Column, Measure};
use crate::stats::keys::Scale;

/// The labels of both sides as a column, unless a side has fewer than the policy's
/// least number of rows with one, or they are left out or compared as a column already. `clock` is in
/// milliseconds since 1970.
///
/// # Errors
/// When the time of a row cannot be read.
pub(super) fn target(
    policy: &Drift,
    wanted: &Performance,
    sides: [&Rows; 2],
    clock: i64,
) -> Result<Option<Compared>> {
    let Some(label) = policy.target() else { return Ok(None) };
    let mut columns = Vec::new();
    for side in sides {
        let mature = mature(wanted, side, clock)?;
        let labels: Vec<&str> =
            mature.into_iter().filter_map(|row| side.labels[row].as_deref()).collect();
        if (labels.len() as u64) < policy.min_rows.max(1) {
            return Ok(None);
        }
        columns.push(column(wanted.problem, labels)?);
    }
    compare(policy, label, [&columns[0], &columns[1]]).map(Some)
}

fn column(problem: Problem, labels: Vec<&str>) -> Result<Column> {
    let is_class = matches!(problem, Problem::Binary | Problem::Multiclass);
    let (measure, labels): (_, ArrayRef) = if is_class {
        (Measure::Categories, Arc::new(StringArray::from(labels)))
    } else {
        // They were looked at where the metrics were measured.
        let numbers = labels.into_iter().map(|label| label.parse::<f64>().ok());
        (Measure::Numbers(Scale::Float), Arc::new(numbers.collect::<Float64Array>()))
    };
    let mut column = Column::new(measure);
    stats::arrow::push(&mut column, &labels)?;
    Ok(column)
}
