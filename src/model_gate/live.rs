//! From rows of live traffic to the difference of two groups.

use std::collections::HashMap;

use anyhow::Result;
use arrow::array::{Array as _, RecordBatch};
use arrow::util::display::array_value_to_string;

use super::frame::{column, floats};
use crate::config::{Experiment, LiveRule};
use crate::record::evidence::{Live, LiveAnswer, finite};
use crate::report::Fault;
use crate::stats::experiment::{Outcome, contrast, sample_ratio_p};

/// The columns that are read.
pub(super) fn columns(policy: &Experiment) -> Vec<String> {
    let mut names = vec![policy.unit.clone(), policy.group.clone()];
    for rule in &policy.rules {
        names.push(rule.outcome.clone());
        names.extend(rule.covariate.clone());
    }
    names.sort();
    names.dedup();
    names
}

/// `state` tells which rows these are, `alpha` is shared by both ends of an
/// interval.
///
/// # Errors
/// When a unit was served by both models, or an outcome is no number.
pub(super) fn measure(
    policy: &Experiment,
    (rows, state): (&RecordBatch, &str),
    alpha: f64,
) -> Result<Live> {
    let (of_row, is_candidate) = units(policy, rows)?;
    let candidates = is_candidate.iter().filter(|candidate| **candidate).count() as u64;
    let counts = [candidates, is_candidate.len() as u64 - candidates];
    let answer = |rule: &LiveRule| -> Result<LiveAnswer> {
        let values = means(rows, &rule.outcome, &of_row, is_candidate.len())?;
        let befores = match &rule.covariate {
            Some(name) => means(rows, name, &of_row, is_candidate.len())?,
            None => vec![0.0; is_candidate.len()],
        };
        let of = |wanted: bool| -> Vec<Outcome> {
            let all = values.iter().zip(&befores).zip(&is_candidate);
            let own = all.filter(|(_, candidate)| **candidate == wanted);
            own.map(|((value, before), _)| Outcome { value: *value, before: *before }).collect()
        };
        let found = contrast(&of(true), &of(false));
        let [low, high] = if policy.sequential {
            found.always(alpha, 2 * policy.min_units)
        } else {
            found.fixed(alpha)
        };
        Ok(LiveAnswer {
            candidate: finite(found.means[0]),
            champion: finite(found.means[1]),
            value: finite(found.value),
            low: finite(low),
            high: finite(high),
        })
    };
    Ok(Live {
        units: counts,
        state: state.to_owned(),
        sample_ratio_p: finite(sample_ratio_p(counts, policy.share)),
        answers: policy.rules.iter().map(answer).collect::<Result<_>>()?,
    })
}

/// The unit of each row, and which of them the candidate served.
fn units(policy: &Experiment, rows: &RecordBatch) -> Result<(Vec<Option<usize>>, Vec<bool>)> {
    let (names, groups) = (column(rows, &policy.unit)?, column(rows, &policy.group)?);
    let mut known: HashMap<String, (bool, usize)> = HashMap::new();
    let mut of_row = Vec::with_capacity(rows.num_rows());
    for row in 0..rows.num_rows() {
        let group = array_value_to_string(&groups, row)?;
        let candidate = group == policy.candidate;
        if !candidate && group != policy.champion {
            of_row.push(None);
            continue;
        }
        if names.is_null(row) {
            return Err(
                Fault::usage(format!("the unit `{}` is null in some rows", policy.unit)).into()
            );
        }
        let unit = array_value_to_string(&names, row)?;
        let next = known.len();
        let (own, place) = *known.entry(unit.clone()).or_insert((candidate, next));
        if own != candidate {
            let fault = Fault::usage(format!("the unit {unit} was served by both models"));
            return Err(fault.hint("a unit must stay with the model that it was given").into());
        }
        of_row.push(Some(place));
    }
    let mut is_candidate = vec![false; known.len()];
    for (candidate, place) in known.values() {
        is_candidate[*place] = *candidate;
    }
    Ok((of_row, is_candidate))
}

/// The mean of a column over each unit's rows.
fn means(
    rows: &RecordBatch,
    name: &str,
    of_row: &[Option<usize>],
    units: usize,
) -> Result<Vec<f64>> {
    let numbers = floats(&column(rows, name)?, name)?;
    let mut sums = vec![(0.0, 0.0); units];
    for (row, unit) in of_row.iter().enumerate() {
        let Some(unit) = unit else { continue };
        let value =
            Some(numbers.value(row)).filter(|value| numbers.is_valid(row) && value.is_finite());
        let value = value.ok_or_else(|| {
            Fault::usage(format!("column `{name}` has no finite value in some rows"))
                .hint("an outcome that did not come yet is no outcome: leave the unit out, or count it as 0, knowingly")
        })?;
        sums[*unit].0 += value;
        sums[*unit].1 += 1.0;
    }
    Ok(sums.into_iter().map(|(sum, count)| sum / count).collect())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Float64Array, Int64Array, StringArray};

    use super::*;

    fn policy() -> Experiment {
        let text = "gate: {problem: binary, predictions: a.b.c, key: [id], label: y, candidate: p, rules: [{metric: roc_auc, min: 0.5}], experiment: {outcomes: a.b.o, unit: u, group: g, candidate: B, champion: A, sequential: false, rules: [{outcome: sold, better_than_champion: true}]}}";
        crate::config::Config::parse("t", text).unwrap().gate.unwrap().experiment.unwrap()
    }

    fn rows(units: &[i64], groups: &[&str], sold: &[f64]) -> RecordBatch {
        RecordBatch::try_from_iter([
            ("u", Arc::new(Int64Array::from(units.to_vec())) as ArrayRef),
            ("g", Arc::new(StringArray::from(groups.to_vec()))),
            ("sold", Arc::new(Float64Array::from(sold.to_vec()))),
        ])
        .unwrap()
    }

    #[test]
    fn a_unit_counts_once_and_others_not_at_all() {
        let rows = rows(
            &[1, 1, 2, 3, 4, 5],
            &["B", "B", "B", "A", "A", "C"],
            &[1.0, 0.0, 1.0, 0.0, 0.5, 99.0],
        );
        let live = measure(&policy(), (&rows, ""), 0.05).unwrap();
        assert_eq!(live.units, [2, 2]);
        assert_eq!(live.answers[0].candidate, Some(0.75));
        assert_eq!(live.answers[0].value, Some(0.5));
    }

    #[test]
    fn a_unit_of_both_models_and_a_missing_outcome_are_refused() {
        let both = measure(&policy(), (&rows(&[1, 1], &["A", "B"], &[1.0, 1.0]), ""), 0.05);
        assert!(both.unwrap_err().to_string().contains("served by both models"));
        let open = measure(&policy(), (&rows(&[1, 2], &["A", "B"], &[1.0, f64::NAN]), ""), 0.05);
        assert!(open.unwrap_err().to_string().contains("no finite value"));
    }
}
