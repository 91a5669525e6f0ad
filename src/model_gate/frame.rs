//! The rows that are judged: of both models, row by row.

use std::collections::BTreeSet;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use arrow::array::{Array as _, ArrayRef, AsArray as _, Float64Array, RecordBatch, UInt32Array};
use arrow::compute::{cast, concat_batches, filter_record_batch, max, not, take_record_batch};
use arrow::datatypes::{DataType, Float64Type, Schema, TimeUnit, TimestampMillisecondType};
use arrow::row::{OwnedRow, RowConverter, SortField};
use arrow::util::display::array_value_to_string;
use rayon::prelude::*;

use crate::config::Gate;
use crate::names::ModelVersion;
use crate::report::Fault;
use crate::sql::{Expression, Predicate};

/// Rows with the candidate's columns, and the same rows with the champion's.
/// They are in the order of their keys, so that how they arrive changes nothing.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) rows: RecordBatch,
    pub(super) champion: RecordBatch,
}

impl Frame {
    /// Both models in one table.
    ///
    /// # Errors
    /// When a key comes twice.
    pub(super) fn one(batches: &[RecordBatch], key: &[String]) -> Result<Self> {
        let (rows, _) = ordered(&joined(batches)?, key, None)?;
        Ok(Self { champion: rows.clone(), rows })
    }

    /// The champion's rows come from elsewhere, found by `key`.
    ///
    /// # Errors
    /// When a key comes twice, or a row of one side has no partner on the other.
    pub(super) fn two(
        ours: &[RecordBatch],
        theirs: &[RecordBatch],
        key: &[String],
    ) -> Result<Self> {
        let ours = joined(ours)?;
        if ours.num_rows() == 0 {
            return Err(Fault::data("no_data", "there are no predictions of the candidate").into());
        }
        // Keys of another type, such as INT beside BIGINT, are the same numbers.
        let kinds = key.iter().map(|name| Ok(column(&ours, name)?.data_type().clone()));
        let kinds: Vec<DataType> = kinds.collect::<Result<_>>()?;
        let (ours, a) = ordered(&ours, key, Some(&kinds))?;
        let (theirs, b) = ordered(&joined(theirs)?, key, Some(&kinds))
            .context("read the champion's predictions")?;
        if a != b {
            return Err(unmatched([(&ours, &a), (&theirs, &b)], key)?.into());
        }
        Ok(Self { rows: ours, champion: theirs })
    }

    /// The rows that fulfil a condition, and all others.
    pub(super) fn split(&self, condition: &str) -> Result<[Self; 2]> {
        let holds = condition.parse::<Predicate>()?.select(&self.rows)?;
        let part = |mask| -> Result<Self> {
            let [rows, champion] =
                [&self.rows, &self.champion].map(|batch| filter_record_batch(batch, mask));
            Ok(Self { rows: rows?, champion: champion? })
        };
        Ok([part(&holds)?, part(&not(&holds)?)?])
    }
}

pub(super) fn joined(batches: &[RecordBatch]) -> Result<RecordBatch> {
    match batches {
        [] => Ok(RecordBatch::new_empty(Arc::new(Schema::empty()))),
        [first, ..] => concat_batches(&first.schema(), batches).context("join the rows"),
    }
}

/// The rows in the order of their keys; and these, where `kinds` tells what they
/// are to be.
fn ordered(
    rows: &RecordBatch,
    key: &[String],
    kinds: Option<&[DataType]>,
) -> Result<(RecordBatch, Vec<OwnedRow>)> {
    if rows.num_rows() == 0 {
        return Ok((rows.clone(), Vec::new()));
    }
    let mut columns: Vec<ArrayRef> =
        key.iter().map(|name| column(rows, name)).collect::<Result<_>>()?;
    for (array, kind) in columns.iter_mut().zip(kinds.into_iter().flatten()) {
        *array = cast(array, kind).context("the keys of both sides have different types")?;
    }
    let fields = columns.iter().map(|array| SortField::new(array.data_type().clone()));
    let keys = RowConverter::new(fields.collect())?.convert_columns(&columns)?;
    let mut order: Vec<u32> = (0..u32::try_from(keys.num_rows())?).collect();
    order.par_sort_unstable_by(|a, b| {
        keys.row(*a as usize).cmp(&keys.row(*b as usize)).then(a.cmp(b))
    });
    let equal = |pair: &[u32]| keys.row(pair[0] as usize) == keys.row(pair[1] as usize);
    let repeated: Vec<u32> =
        order.windows(2).filter(|pair| equal(pair)).map(|pair| pair[1]).collect();
    if let Some(first) = repeated.first() {
        let message = format!(
            "{} rows repeat the key of another, such as {}",
            repeated.len(),
            told(rows, key, *first as usize)?
        );
        let hint = "`gate.key` must name the columns that identify a row";
        return Err(Fault::data("ambiguous", message).hint(hint).into());
    }
    // They are needed to find partners only.
    let kept = if kinds.is_some() { order.as_slice() } else { &[] };
    let keys = kept.iter().map(|row| keys.row(*row as usize).owned()).collect();
    Ok((take_record_batch(rows, &UInt32Array::from(order))?, keys))
}

/// How many rows of either side are alone, with an example of each.
fn unmatched(sides: [(&RecordBatch, &Vec<OwnedRow>); 2], key: &[String]) -> Result<Fault> {
    let alone = |side: usize| -> Result<String> {
        let [(rows, own), (_, others)] = [sides[side], sides[1 - side]];
        let missing: Vec<usize> =
            (0..own.len()).filter(|row| others.binary_search(&own[*row]).is_err()).collect();
        Ok(match missing.first() {
            None => "0".into(),
            Some(first) => format!("{} (such as {})", missing.len(), told(rows, key, *first)?),
        })
    };
    let message = format!(
        "{} rows of the candidate have no partner among the champion's, {} of the champion's none among the candidate's",
        alone(0)?,
        alone(1)?
    );
    let fault = Fault::data("mismatch", message);
    Ok(fault.hint("both models must answer the same rows: evaluate them together, or leave rows out with --where"))
}

/// Refuses answers of another version than the one that is judged.
pub(super) fn of_version(rows: &RecordBatch, name: &str, version: ModelVersion) -> Result<()> {
    if rows.num_rows() == 0 {
        return Ok(());
    }
    let array = column(rows, name)?;
    for row in 0..rows.num_rows() {
        let said = array_value_to_string(&array, row)?;
        if said.parse() != Ok(version.0) {
            let said = if array.is_null(row) {
                "no version".to_owned()
            } else {
                format!("version {said}")
            };
            let message = format!("`{name}` says {said} in some rows, version {version} is judged");
            let fault = Fault::data("mismatch", message);
            return Err(fault.hint("run the evaluation job for this version first").into());
        }
    }
    Ok(())
}

/// The newest of a column's times, in milliseconds since 1970. One without a zone is
/// taken as UTC.
pub(super) fn newest(rows: &RecordBatch, name: &str) -> Result<Option<i64>> {
    let array = column(rows, name)?;
    let kind = array.data_type();
    if !(kind.is_temporal() || kind.is_string()) {
        let message = format!("column `{name}` is of type {kind}, a time is needed");
        return Err(Fault::usage(message).into());
    }
    let times = cast(&array, &DataType::Timestamp(TimeUnit::Millisecond, None));
    let times = times.map_err(|error| Fault::usage(format!("column `{name}`: {error}")))?;
    Ok(max(times.as_primitive::<TimestampMillisecondType>()))
}

fn told(rows: &RecordBatch, key: &[String], row: usize) -> Result<String> {
    let values = key.iter().map(|name| Ok(array_value_to_string(&column(rows, name)?, row)?));
    Ok(format!("{} = {}", key.join(", "), values.collect::<Result<Vec<_>>>()?.join(", ")))
}

/// A column that must be there.
pub(super) fn column(rows: &RecordBatch, name: &str) -> Result<ArrayRef> {
    let found = rows.column_by_name(name).cloned();
    found.ok_or_else(|| {
        let schema = rows.schema();
        let known = schema.fields().iter().map(|field| field.name().as_str());
        let fault = Fault::usage(format!("the predictions have no column `{name}`"));
        fault.or_near(name, known).into()
    })
}

/// A column's numbers as floats, nulls left as they are.
pub(super) fn floats(array: &ArrayRef, name: &str) -> Result<Float64Array, Fault> {
    let kind = array.data_type();
    if !(kind.is_numeric() || *kind == DataType::Boolean) {
        return Err(Fault::usage(format!("column `{name}` is of type {kind}, a number is needed")));
    }
    let numbers = cast(array, &DataType::Float64)
        .map_err(|error| Fault::usage(format!("column `{name}`: {error}")))?;
    Ok(numbers.as_primitive::<Float64Type>().clone())
}

/// The columns that are read from the candidate's side, and from the champion's.
pub(super) fn columns(policy: &Gate, with_champion: bool) -> Result<[Vec<String>; 2]> {
    let mut ours = BTreeSet::from_iter(policy.key.iter().cloned());
    let alone = [
        &policy.label,
        &policy.candidate,
        &policy.weight,
        &policy.cluster,
        &policy.group,
        &policy.scale,
        &policy.time,
    ];
    ours.extend(alone.into_iter().flatten().cloned());
    ours.extend(policy.candidate_version.clone());
    ours.extend(policy.candidate_scores.values().cloned());
    ours.extend(policy.candidate_bounds.iter().flatten().cloned());
    ours.extend(policy.fairness.iter().map(|rule| rule.by.clone()));
    if let Some(choice) = policy.threshold.choice() {
        ours.extend(choice.condition.parse::<Predicate>()?.columns());
    }
    if let Some(slices) = &policy.slices {
        ours.extend(slices.columns.iter().cloned());
        for condition in slices.conditions.values() {
            ours.extend(condition.parse::<Predicate>()?.columns());
        }
    }
    let mut theirs = BTreeSet::new();
    if with_champion {
        theirs.extend(policy.champion.clone());
        theirs.extend(policy.champion_version.clone());
        theirs.extend(policy.champion_scores.values().cloned());
        theirs.extend(policy.champion_bounds.iter().flatten().cloned());
    }
    for measure in policy.measures.values() {
        ours.extend(measure.candidate.parse::<Expression>()?.columns());
        if let Some(text) = measure.champion.as_ref().filter(|_| with_champion) {
            theirs.extend(text.parse::<Expression>()?.columns());
        }
    }
    if policy.champion_predictions.is_some() {
        theirs.extend(policy.key.iter().cloned());
    } else {
        ours.append(&mut theirs);
    }
    Ok([ours, theirs].map(|names| names.into_iter().collect()))
}
