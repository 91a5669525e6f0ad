//! From the predictions table to numbers that can be judged, or the reason why
//! they cannot.

use std::collections::{HashMap, HashSet};

use anyhow::{Context as _, Result};
use arrow::array::{Array, ArrayRef, AsArray as _, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use arrow::row::{RowConverter, SortField};

use crate::config::{Gate, Problem};
use crate::lake;
use crate::report::Fault;
use crate::stats::metrics::Predictions;
use crate::stats::resample::Units;

/// Both models' predictions for the same rows.
#[derive(Debug)]
pub(super) struct Judged {
    pub(super) candidate: Predictions,
    pub(super) champion: Option<Predictions>,
    /// What a resample draws.
    pub(super) units: Units,
    pub(super) rows: u64,
    /// Rows of the rarer class, where there are two.
    pub(super) rarer: Option<u64>,
}

pub(super) fn judge(batches: &[RecordBatch], policy: &Gate, with_champion: bool) -> Result<Judged> {
    let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
    if rows == 0 {
        let fault = Fault::usage(format!("`{}` has no rows to judge", policy.predictions));
        return Err(fault.hint("run the evaluation job first, or loosen --where").into());
    }
    unique_keys(batches, &policy.key)?;
    let labels = numbers(&lake::column(batches, &policy.label)?, &policy.label)?;
    if policy.problem == Problem::Binary {
        check_labels(&labels, &policy.label)?;
    }
    let weights = match &policy.weight {
        Some(name) => Some(weights(&lake::column(batches, name)?, name)?),
        None => None,
    };
    let scores = |name: &str| -> Result<Predictions> {
        let scores = numbers(&lake::column(batches, name)?, name)?;
        if policy.problem == Problem::Binary
            && let Some(outside) = scores.iter().find(|score| !(0.0..=1.0).contains(*score))
        {
            let fault = Fault::usage(format!(
                "column `{name}` holds {outside}, a binary model's score lies between 0 and 1"
            ));
            return Err(fault.hint("store the probability of the positive class").into());
        }
        let predictions = Predictions::new(labels.clone(), scores, policy.settings());
        Ok(match &weights {
            Some(weights) => predictions.weighing(weights.clone()),
            None => predictions,
        })
    };
    let champion = match (&policy.champion, with_champion) {
        (Some(name), true) => Some(scores(name)?),
        _ => None,
    };
    let rarer = (policy.problem == Problem::Binary).then(|| {
        let positives = labels.iter().filter(|label| **label == 1.0).count();
        positives.min(rows - positives) as u64
    });
    let candidate = scores(&policy.candidate)?;
    Ok(Judged {
        candidate,
        champion,
        units: units(batches, policy, &labels)?,
        rows: rows as u64,
        rarer,
    })
}

/// Rows, or the clusters that rows belong to.
fn units(batches: &[RecordBatch], policy: &Gate, labels: &[f64]) -> Result<Units> {
    let Some(name) = &policy.cluster else {
        let units = Units::rows(labels.len());
        let of_label: Vec<u32> = labels.iter().map(|label| u32::from(*label == 1.0)).collect();
        return Ok(if policy.stratify { units.stratified(&of_label) } else { units });
    };
    let column = lake::column(batches, name)?;
    let field = SortField::new(column.data_type().clone());
    let rows = RowConverter::new(vec![field])?.convert_columns(&[column])?;
    let mut known = HashMap::new();
    let mut of_row = Vec::with_capacity(rows.num_rows());
    for row in &rows {
        let next = u32::try_from(known.len()).context("there are too many clusters")?;
        of_row.push(*known.entry(row).or_insert(next));
    }
    if known.len() < 2 {
        let fault = Fault::usage(format!("all rows are of one cluster `{name}`"));
        return Err(fault.hint("nothing can be told about others: judge more rows").into());
    }
    let count = known.len();
    Ok(Units::clusters(of_row, count))
}

/// Weights that can be counted.
fn weights(array: &ArrayRef, name: &str) -> Result<Vec<f64>, Fault> {
    let weights = numbers(array, name)?;
    if let Some(below) = weights.iter().find(|weight| **weight < 0.0) {
        return Err(Fault::usage(format!(
            "the weight `{name}` holds {below}, it must be 0 or more"
        )));
    }
    if weights.iter().all(|weight| *weight == 0.0) {
        return Err(Fault::usage(format!("the weight `{name}` is 0 in every row")));
    }
    Ok(weights)
}

/// Every value as a finite number.
fn numbers(array: &ArrayRef, name: &str) -> Result<Vec<f64>, Fault> {
    let kind = array.data_type();
    if !(kind.is_numeric() || *kind == DataType::Boolean) {
        return Err(Fault::usage(format!("column `{name}` is of type {kind}, a number is needed")));
    }
    if array.null_count() > 0 {
        let fault = Fault::usage(format!(
            "column `{name}` is null in {} of {} rows",
            array.null_count(),
            array.len()
        ));
        return Err(fault.hint("a row without a prediction or label cannot be judged: leave it out with --where, knowingly"));
    }
    let as_float = cast(array, &DataType::Float64)
        .map_err(|error| Fault::usage(format!("column `{name}`: {error}")))?;
    let values = as_float.as_primitive::<Float64Type>().values().to_vec();
    let bad = values.iter().filter(|value| !value.is_finite()).count();
    if bad > 0 {
        return Err(Fault::usage(format!(
            "column `{name}` is not finite in {bad} of {} rows",
            values.len()
        )));
    }
    Ok(values)
}

fn check_labels(labels: &[f64], name: &str) -> Result<(), Fault> {
    if let Some(other) = labels.iter().find(|label| **label != 0.0 && **label != 1.0) {
        return Err(Fault::usage(format!(
            "the label `{name}` holds {other}, a binary label is 0 or 1"
        )));
    }
    let positives = labels.iter().filter(|label| **label == 1.0).count();
    if positives == 0 || positives == labels.len() {
        let fault = Fault::usage(format!(
            "the label `{name}` has a single class in all {} rows",
            labels.len()
        ));
        return Err(fault.hint("nothing can be told apart: judge more rows"));
    }
    Ok(())
}

/// A row that is there twice would count twice.
fn unique_keys(batches: &[RecordBatch], key: &[String]) -> Result<()> {
    let columns: Vec<ArrayRef> =
        key.iter().map(|name| lake::column(batches, name)).collect::<Result<_>>()?;
    let fields = columns.iter().map(|column| SortField::new(column.data_type().clone())).collect();
    let rows = RowConverter::new(fields)?.convert_columns(&columns)?;
    let mut seen = HashSet::with_capacity(rows.num_rows());
    let repeated: Vec<usize> =
        rows.iter().enumerate().filter(|(_, row)| !seen.insert(*row)).map(|(at, _)| at).collect();
    let Some(first) = repeated.first() else { return Ok(()) };
    let shown: Vec<String> = columns
        .iter()
        .map(|column| arrow::util::display::array_value_to_string(column, *first))
        .collect::<Result<_, _>>()?;
    let message = format!(
        "{} rows repeat the key of another, such as {} = {}",
        repeated.len(),
        key.join(", "),
        shown.join(", ")
    );
    Err(Fault::usage(message).hint("`gate.key` must name the columns that identify a row").into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{BooleanArray, Float64Array, Int64Array, StringArray};
    use std::sync::Arc;

    fn policy() -> Gate {
        let text = "gate: {problem: binary, predictions: a.b.c, key: [id], label: y, candidate: p, champion: q, rules: [{metric: roc_auc, min: 0.5}]}";
        crate::config::Config::parse("t", text).unwrap().gate.unwrap()
    }

    fn refused(columns: Vec<(&str, ArrayRef)>) -> String {
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        judge(&[batch], &policy(), true).unwrap_err().to_string()
    }

    fn ids(values: &[i64]) -> ArrayRef {
        Arc::new(Int64Array::from(values.to_vec()))
    }

    fn floats(values: &[f64]) -> ArrayRef {
        Arc::new(Float64Array::from(values.to_vec()))
    }

    #[test]
    fn what_cannot_be_judged_is_refused_with_the_reason() {
        let fine = floats(&[0.1, 0.9]);
        let y = floats(&[0.0, 1.0]);
        let with = |id: ArrayRef, y: ArrayRef, p: ArrayRef| {
            refused(vec![("id", id), ("y", y), ("p", p), ("q", fine.clone())])
        };
        assert!(
            with(ids(&[7, 7]), y.clone(), fine.clone())
                .contains("1 rows repeat the key of another, such as id = 7")
        );
        assert!(with(ids(&[1, 2]), floats(&[1.0, 1.0]), fine.clone()).contains("single class"));
        assert!(with(ids(&[1, 2]), floats(&[0.0, 2.0]), fine.clone()).contains("holds 2"));
        assert!(
            with(ids(&[1, 2]), y.clone(), floats(&[0.1, f64::NAN]))
                .contains("not finite in 1 of 2")
        );
        assert!(with(ids(&[1, 2]), y.clone(), floats(&[0.1, 1.5])).contains("holds 1.5"));
        let text: ArrayRef = Arc::new(StringArray::from(vec!["a", "b"]));
        assert!(with(ids(&[1, 2]), y.clone(), text).contains("Utf8"));
        let holes: ArrayRef = Arc::new(Float64Array::from(vec![Some(0.1), None]));
        assert!(with(ids(&[1, 2]), y, holes).contains("null in 1 of 2"));
        assert!(judge(&[], &policy(), false).unwrap_err().to_string().contains("no rows"));
    }

    #[test]
    fn booleans_are_labels() {
        let y: ArrayRef = Arc::new(BooleanArray::from(vec![false, true]));
        let batch = RecordBatch::try_from_iter(vec![
            ("id", ids(&[1, 2])),
            ("y", y),
            ("p", floats(&[0.1, 0.9])),
        ])
        .unwrap();
        let judged = judge(&[batch], &policy(), false).unwrap();
        assert_eq!((judged.rows, judged.candidate.labels()), (2, [0.0, 1.0].as_slice()));
    }
}
