//! Whether the model predicts as well as it did: where labels are there, and
//! as far as it can be told where they are not.

use std::collections::{HashMap, HashSet};

use anyhow::Result;
use arrow::array::RecordBatch;

use super::compare::{Compared, Effect, Own, nothing_to_compare};
use super::frame::{features, numbers, texts, times};
use super::measured::{Labelled, no_value};
use super::profile::Profile;
use crate::config::{Better, Limit, Performance, Problem, Statistic};
use crate::report::{Fault, number};
use crate::stats::column::Kind;
use crate::stats::metrics::{Metric, Predictions, Settings};
use crate::stats::numeric::Tested;
use crate::stats::outcomes::{self, Class, Judged, Measured};
use crate::stats::special;

/// The rows of one side.
#[derive(Debug)]
pub(super) struct Rows {
    pub(super) batch: RecordBatch,
    /// The truth of each row, where it is known.
    pub(super) labels: Vec<Option<String>>,
}

/// The labels of a table of their own, by their key.
pub(super) type Known = HashMap<Vec<String>, String>;

/// Takes in the labels of the rows that are `wanted`; a table of labels may have many
/// more.
///
/// # Errors
/// When a key has two labels.
pub(super) fn learn(
    found: &mut Known,
    policy: &Performance,
    batch: &RecordBatch,
    (key, wanted): (&[String], &HashSet<Vec<String>>),
) -> Result<()> {
    for (key, label) in keys(batch, key)?.into_iter().zip(texts(batch, &policy.label)?) {
        let (Some(key), Some(label)) = (key, label) else { continue };
        if !wanted.contains(&key) {
            continue;
        }
        if let Some(other) = found.insert(key.clone(), label.clone())
            && other != label
        {
            let key = key.join(", ");
            let message = format!("`performance.labels`: the key `{key}` has two labels");
            return Err(Fault::usage(message).into());
        }
    }
    Ok(())
}

/// The key of each row; none where a part of it is null.
pub(super) fn keys(batch: &RecordBatch, names: &[String]) -> Result<Vec<Option<Vec<String>>>> {
    let parts = names.iter().map(|name| texts(batch, name)).collect::<Result<Vec<_>>>()?;
    Ok((0..batch.num_rows())
        .map(|row| parts.iter().map(|part| part[row].clone()).collect::<Option<Vec<String>>>())
        .collect())
}

/// The labels of rows that have their own, or find them by key.
pub(super) fn labels(
    policy: &Performance,
    batch: &RecordBatch,
    known: Option<&Known>,
) -> Result<Vec<Option<String>>> {
    match (&policy.labels, known) {
        (Some(place), Some(known)) => {
            let found = keys(batch, &place.key)?.into_iter();
            Ok(found.map(|key| known.get(&key?).cloned()).collect())
        }
        _ => texts(batch, &policy.label),
    }
}

/// Compares the metrics of both sides. `columns` are the features that a
/// second model may learn from; `clock` is in milliseconds since 1970, and
/// `least` the fewest labelled rows that give an answer.
pub(super) fn performance(
    policy: &Performance,
    columns: &[(&str, Kind)],
    sides: [&Rows; 2],
    (clock, least): (i64, u64),
) -> Result<Vec<Compared>> {
    let mature = [mature(policy, sides[0], clock)?, mature(policy, sides[1], clock)?];
    let coverage = |at: usize| {
        let labelled = mature[at].iter().filter(|row| sides[at].labels[**row].is_some()).count();
        (labelled, mature[at].len())
    };
    let rows = |counts: [usize; 2]| counts.map(|count| Profile::of_rows(count as u64));
    let [(known, all), (known_now, all_now)] = [coverage(0), coverage(1)];
    let mut found = Vec::new();
    if covers(policy, known, all, least) {
        let before = labelled(policy, &mature[0], sides[0])?;
        let now = labelled(policy, &mature[1], sides[1])?;
        let outputs = [outputs(policy, sides[0])?, outputs(policy, sides[1])?];
        let labels_suffice = covers(policy, known_now, all_now, least);
        if labels_suffice {
            let known = [
                Labelled::new(policy, sides[0], &before, &outputs[0])?,
                Labelled::new(policy, sides[1], &now, &outputs[1])?,
            ];
            for (metric, limit) in &policy.metrics {
                let measured = known.each_ref().map(|known| known.measure(*metric));
                let profiles = rows([before.len(), now.len()]);
                found.push(asked(*metric, "", *limit, measured, profiles));
            }
        }
        let mut estimated = 0;
        if policy.estimate {
            let judged = outputs[0].judged(&before);
            let estimate = Estimate { columns, sides, before: &before, outputs: &outputs };
            let counts = rows([before.len(), sides[1].batch.num_rows()]);
            for (metric, limit) in &policy.metrics {
                let Some(now) = estimate.of(*metric)? else { continue };
                let measured = [judged.measure(*metric), now];
                found.push(asked(*metric, " (estimated)", *limit, measured, counts.clone()));
                estimated += 1;
            }
        }
        // A metric that nobody answered is no calm.
        if !labels_suffice && estimated < policy.metrics.len() {
            let told = short(policy, "now", known_now, all_now, least);
            found.push(unanswered("labels", rows([known, known_now]), told));
        }
    } else {
        let told = short(policy, "on the baseline", known, all, least);
        found.push(unanswered("labels", rows([known, known_now]), told));
    }
    Ok(found)
}

fn covers(policy: &Performance, known: usize, all: usize, least: u64) -> bool {
    known as u64 >= least.max(2) && known as f64 >= policy.min_coverage * all as f64
}

fn short(policy: &Performance, side: &str, known: usize, all: usize, least: u64) -> String {
    let share = number(policy.min_coverage * 100.0);
    format!(
        "{known} of {all} mature rows have a label {side}, {share} % and {least} rows are needed"
    )
}

/// The rows that are old enough to have a label.
pub(super) fn mature(policy: &Performance, rows: &Rows, clock: i64) -> Result<Vec<usize>> {
    let all = 0..rows.batch.num_rows();
    let (Some(lag), Some(time)) = (policy.lag(), &policy.time) else { return Ok(all.collect()) };
    let times = times(&rows.batch, time)?;
    let old = |row: &usize| times[*row].is_some_and(|time| time.saturating_add(lag) <= clock);
    Ok(all.filter(old).collect())
}

/// # Errors
/// When a label is none of a number's or of the classes.
fn labelled(
    policy: &Performance,
    mature: &[usize],
    rows: &Rows,
) -> Result<Vec<(usize, String)>, Fault> {
    let found: Vec<(usize, String)> =
        mature.iter().filter_map(|row| Some((*row, rows.labels[*row].clone()?))).collect();
    let (fits, what): (&dyn Fn(&str) -> bool, _) = match policy.problem {
        // One class against everything else; but not against nothing at all.
        Problem::Binary => {
            let named = |(_, label): &(usize, String)| is_class(&policy.positive, label);
            if found.is_empty() || found.iter().any(named) {
                return Ok(found);
            }
            let (positive, label) = (&policy.positive, &policy.label);
            let fault = Fault::usage(format!(
                "`performance`: no label in `{label}` is `{positive}`, such as `{}`",
                found[0].1
            ));
            return Err(fault.hint("name the positive one with `performance.positive`"));
        }
        Problem::Multiclass => (
            &|label| policy.scores.keys().any(|class| is_class(class, label)),
            "none of the classes",
        ),
        Problem::Regression | Problem::Ranking | Problem::Forecast | Problem::Other => {
            (&|label| label.parse::<f64>().is_ok_and(f64::is_finite), "no number")
        }
    };
    match found.iter().find(|(_, label)| !fits(label)) {
        None => Ok(found),
        Some((_, label)) => Err(Fault::usage(format!(
            "`performance`: the label `{label}` of `{}` is {what}",
            policy.label
        ))),
    }
}

/// Whether a label names this class: numbers and booleans are written in more
/// than one way.
pub(super) fn is_class(class: &str, label: &str) -> bool {
    let number = |text: &str| match text {
        "true" => Some(1.0),
        "false" => Some(0.0),
        text => text.parse::<f64>().ok(),
    };
    class == label || number(class).is_some_and(|class| number(label) == Some(class))
}

/// What the model put out for each row.
pub(super) enum Outputs {
    Classes { names: Vec<String>, classes: Vec<Class> },
    Numbers(Vec<f64>),
}

fn outputs(policy: &Performance, rows: &Rows) -> Result<Outputs> {
    let read = |name: &str| -> Result<Vec<f64>> {
        let values = numbers(&rows.batch, name)?;
        match values.iter().any(|value| value.is_nan()) {
            true => Err(no_value(name).into()),
            false => Ok(values),
        }
    };
    match (policy.problem, &policy.score) {
        (Problem::Regression | Problem::Ranking | Problem::Forecast, Some(name)) => {
            Ok(Outputs::Numbers(read(name)?))
        }
        (Problem::Binary, Some(name)) => {
            let scores = read(name)?;
            check_scores(name, &scores)?;
            let chosen = scores.iter().map(|score| *score >= policy.threshold).collect();
            let class = Class { scores, chosen };
            Ok(Outputs::Classes { names: vec![policy.positive.clone()], classes: vec![class] })
        }
        _ => {
            let mut columns = Vec::new();
            for name in policy.scores.values() {
                let scores = read(name)?;
                check_scores(name, &scores)?;
                columns.push(scores);
            }
            let best = |row: usize| {
                let better = |best: usize, at: usize| {
                    if columns[at][row] > columns[best][row] { at } else { best }
                };
                (0..columns.len()).reduce(better)
            };
            let best: Vec<Option<usize>> = (0..rows.batch.num_rows()).map(best).collect();
            let chosen = |at: usize| best.iter().map(|best| *best == Some(at)).collect();
            let class = |(at, scores): (usize, &Vec<f64>)| Class {
                scores: scores.clone(),
                chosen: chosen(at),
            };
            let classes = columns.iter().enumerate().map(class).collect();
            Ok(Outputs::Classes { names: policy.scores.keys().cloned().collect(), classes })
        }
    }
}

fn check_scores(name: &str, scores: &[f64]) -> Result<(), Fault> {
    match scores.iter().find(|score| !(0.0..=1.0).contains(*score)) {
        None => Ok(()),
        Some(wrong) => Err(Fault::usage(format!(
            "`performance`: `{name}` holds {wrong}, a score lies between 0 and 1"
        ))),
    }
}

impl Outputs {
    /// The outputs of labelled rows, with their labels.
    fn judged(&self, rows: &[(usize, String)]) -> Judged {
        match self {
            Self::Numbers(predictions) => {
                let (labels, scores): (Vec<f64>, Vec<f64>) = rows
                    .iter()
                    .map(|(row, label)| (label.parse().unwrap_or(f64::NAN), predictions[*row]))
                    .unzip();
                Judged::new(vec![Predictions::new(labels, scores, Settings::default())])
            }
            Self::Classes { names, classes } => {
                let one = |(name, class): (&String, &Class)| {
                    let class = chosen(class, rows);
                    let labels = of_class(name, rows);
                    Predictions::with_alarms(labels, class.scores, class.chosen)
                };
                Judged::new(names.iter().zip(classes).map(one).collect())
            }
        }
    }
}

fn chosen(class: &Class, rows: &[(usize, String)]) -> Class {
    Class {
        scores: rows.iter().map(|(row, _)| class.scores[*row]).collect(),
        chosen: rows.iter().map(|(row, _)| class.chosen[*row]).collect(),
    }
}

/// 1 where the label is this class.
fn of_class(name: &str, rows: &[(usize, String)]) -> Vec<f64> {
    rows.iter().map(|(_, label)| f64::from(u8::from(is_class(name, label)))).collect()
}

/// What the metrics of all current rows seem to be.
struct Estimate<'a> {
    columns: &'a [(&'a str, Kind)],
    sides: [&'a Rows; 2],
    before: &'a [(usize, String)],
    outputs: &'a [Outputs; 2],
}

impl Estimate<'_> {
    fn of(&self, metric: Metric) -> Result<Option<Measured>> {
        match self.outputs {
            [Outputs::Classes { names, classes }, Outputs::Classes { classes: now, .. }] => {
                // Of several classes: what is a mean of each against the rest.
                if names.len() > 1 && !Metric::ONE_AGAINST_REST.contains(&metric) {
                    return Ok(None);
                }
                let known: Vec<Class> =
                    classes.iter().map(|class| chosen(class, self.before)).collect();
                let labels: Vec<Vec<f64>> =
                    names.iter().map(|name| of_class(name, self.before)).collect();
                Ok(Some(outcomes::estimated_classes(&known, &labels, now).measure(metric)))
            }
            [Outputs::Numbers(then), Outputs::Numbers(now)] => {
                let labels: Vec<f64> = self
                    .before
                    .iter()
                    .map(|(_, label)| label.parse().unwrap_or(f64::NAN))
                    .collect();
                let kept: Vec<f64> = self.before.iter().map(|(row, _)| then[*row]).collect();
                let Some(losses) = outcomes::losses(metric, &labels, &kept) else {
                    return Ok(None);
                };
                let batches = self.sides.map(|side| &side.batch);
                let [mut first, mut second] = features(self.columns, batches)?;
                first.push(then.clone());
                second.push(now.clone());
                let pick = |column: &Vec<f64>| -> Vec<f64> {
                    self.before.iter().map(|(row, _)| column[*row]).collect()
                };
                let first: Vec<Vec<f64>> = first.iter().map(pick).collect();
                Ok(Some(outcomes::estimated_loss(metric, [&first, &second], &losses)))
            }
            _ => Ok(None),
        }
    }
}

/// A metric that may have become worse, as a column of its own.
fn asked(
    metric: Metric,
    how: &str,
    threshold: f64,
    [before, now]: [Measured; 2],
    profiles: [Profile; 2],
) -> Compared {
    let change = now.value - before.value;
    let worse = match metric.better() {
        Better::Higher => -change,
        Better::Lower => change,
        // Whichever way it moved.
        Better::Neither => change.abs(),
    };
    let error = before.error.hypot(now.error);
    let p_value = if error > 0.0 {
        let sides = if metric.better() == Better::Neither { 2.0 } else { 1.0 };
        sides * special::normal_sf(worse / error)
    } else {
        // Without spread, a difference is one.
        f64::from(u8::from(worse <= 0.0))
    };
    let statistic = Statistic::Worsening;
    let told = format!("{metric}{how} {} → {}", number(before.value), number(now.value));
    // What is not a number passes nothing.
    let corrected = if worse.is_nan() { f64::NAN } else { worse.max(0.0) };
    Compared {
        effects: vec![Effect { statistic, value: worse, corrected, error: 0.0 }],
        test: "z",
        tested: Tested {
            statistic: worse / error,
            p_value: if p_value.is_nan() { 1.0 } else { p_value },
        },
        own: Some(Own { limit: Limit { statistic, threshold: Some(threshold) }, told }),
        ..nothing_to_compare(&format!("{metric}{how}"), Kind::Performance, profiles)
    }
}

/// A question that has no answer, with the reason.
fn unanswered(name: &str, profiles: [Profile; 2], told: String) -> Compared {
    let limit = Limit { statistic: Statistic::Worsening, threshold: None };
    Compared {
        own: Some(Own { limit, told }),
        ..nothing_to_compare(name, Kind::Performance, profiles)
    }
}

#[cfg(test)]
#[path = "performance_tests.rs"]
mod tests;
