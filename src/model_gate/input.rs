//! From the predictions table to numbers that can be judged, or the reason why
//! they cannot.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Context as _, Result};
use arrow::array::{Array, ArrayRef, AsArray as _, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use arrow::row::{RowConverter, SortField};
use arrow::util::display::array_value_to_string;

use super::frame::{Frame, column};
use crate::config::{Gate, Problem};
use crate::lake::{Expression, Predicate};
use crate::report::Fault;
use crate::stats::metrics::{Answers, Classes, Forecast, Model, Own, Predictions, Ranking};
use crate::stats::resample::Units;

/// Both models' answers for the same rows.
#[derive(Debug)]
pub(super) struct Judged {
    pub(super) candidate: Model,
    pub(super) champion: Option<Model>,
    pub(super) rows: u64,
    pub(super) slices: Vec<Slice>,
    /// By column: the rows of each of its values.
    pub(super) groups: BTreeMap<String, BTreeMap<String, Vec<u32>>>,
    /// The names of classes, in the order of their numbers.
    pub(super) classes: Vec<String>,
    /// What is drawn together, by row.
    clusters: Option<Vec<u32>>,
    /// Of binary problems.
    positives: Option<Vec<bool>>,
    stratify: bool,
}

/// A part of the rows.
#[derive(Debug)]
pub(super) struct Slice {
    pub(super) name: String,
    pub(super) rows: Vec<u32>,
}

impl Judged {
    /// The candidate, and the champion if there is one.
    pub(super) fn models(&self) -> [Option<&Model>; 2] {
        [Some(&self.candidate), self.champion.as_ref()]
    }

    /// What a resample draws, of some rows or of all.
    pub(super) fn units(&self, rows: Option<&[u32]>) -> Units {
        let count = rows.map_or(self.rows as usize, <[u32]>::len);
        let row = |at: usize| rows.map_or(at, |rows| rows[at] as usize);
        if let Some(clusters) = &self.clusters {
            let mut known = HashMap::new();
            let of_row = (0..count).map(|at| {
                let next = known.len() as u32;
                *known.entry(clusters[row(at)]).or_insert(next)
            });
            let of_row: Vec<u32> = of_row.collect();
            return Units::clusters(of_row, known.len());
        }
        let units = Units::rows(count);
        match &self.positives {
            Some(positives) if self.stratify => {
                let of_label: Vec<u32> =
                    (0..count).map(|at| u32::from(positives[row(at)])).collect();
                units.stratified(&of_label)
            }
            _ => units,
        }
    }

    /// Rows of the rarer class, where there are two.
    pub(super) fn rarer(&self, rows: Option<&[u32]>) -> Option<u64> {
        let positives = self.positives.as_ref()?;
        let (count, hits) = match rows {
            None => (positives.len(), positives.iter().filter(|positive| **positive).count()),
            Some(rows) => (rows.len(), rows.iter().filter(|row| positives[**row as usize]).count()),
        };
        Some(hits.min(count - hits) as u64)
    }
}

/// # Errors
/// When a column is missing, is no number, is null or not finite somewhere, or
/// when rows repeat their key.
pub(super) fn judge(frame: &Frame, policy: &Gate, with_champion: bool) -> Result<Judged> {
    let count = frame.rows.num_rows();
    if count == 0 {
        let fault = Fault::usage(format!("`{}` has no rows to judge", policy.predictions));
        return Err(fault.hint("run the evaluation job first, or loosen --where").into());
    }
    let reader = Reader::new(frame, policy)?;
    let candidate = reader.model(Who::Candidate)?;
    let champion = with_champion.then(|| reader.model(Who::Champion)).transpose()?;
    let positives = (policy.problem == Problem::Binary)
        .then(|| reader.labels.iter().map(|label| *label == 1.0).collect());
    let drawn = policy.group.as_ref().or(policy.cluster.as_ref());
    let clusters = drawn.map(|name| numbered(&frame.rows, name)).transpose()?;
    if let Some((name, clusters)) = drawn.zip(clusters.as_ref())
        && clusters.iter().all(|cluster| *cluster == 0)
    {
        let fault = Fault::usage(format!("all rows are of one `{name}`, by which they are drawn"));
        return Err(fault.hint("nothing can be told about others: judge more rows").into());
    }
    let groups = policy.fairness.iter().map(|rule| {
        let groups = parts(&frame.rows, &rule.by)?.into_iter().collect();
        Ok((rule.by.clone(), groups))
    });
    Ok(Judged {
        candidate,
        champion,
        rows: count as u64,
        slices: slices(&frame.rows, policy)?,
        groups: groups.collect::<Result<_>>()?,
        classes: reader.classes,
        clusters,
        positives,
        stratify: policy.stratify,
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    Candidate,
    Champion,
}

/// What both models share.
struct Reader<'a> {
    frame: &'a Frame,
    policy: &'a Gate,
    labels: Vec<f64>,
    /// Of several classes: their names in order, and the number of each row's.
    classes: Vec<String>,
    class_of_row: Vec<u32>,
    weights: Option<Vec<f64>>,
}

impl<'a> Reader<'a> {
    fn new(frame: &'a Frame, policy: &'a Gate) -> Result<Self> {
        let weights = policy.weight.as_ref();
        let weights =
            weights.map(|name| anyhow::Ok(self::weights(&column(&frame.rows, name)?, name)?));
        let mut reader = Self {
            frame,
            policy,
            labels: Vec::new(),
            classes: Vec::new(),
            class_of_row: Vec::new(),
            weights: weights.transpose()?,
        };
        let Some(label) = &policy.label else { return Ok(reader) };
        match policy.problem {
            Problem::Multiclass => reader.read_classes(label)?,
            Problem::Other => {}
            _ => reader.labels = numbers(&column(&frame.rows, label)?, label)?,
        }
        match policy.problem {
            Problem::Binary => check_labels(&reader.labels, label)?,
            Problem::Ranking => {
                if let Some(below) = reader.labels.iter().find(|label| **label < 0.0) {
                    return Err(Fault::usage(format!(
                        "the label `{label}` holds {below}, a relevance is 0 or more"
                    ))
                    .into());
                }
            }
            _ => {}
        }
        Ok(reader)
    }

    /// Classes in scikit-learn's order: by their names, numbers by their values.
    fn read_classes(&mut self, label: &str) -> Result<()> {
        let labels = texts(&self.frame.rows, label)?;
        let mut classes: Vec<String> = if self.policy.candidate_scores.is_empty() {
            let mut all = labels.clone();
            for (batch, name) in [
                (&self.frame.rows, &self.policy.candidate),
                (&self.frame.champion, &self.policy.champion),
            ] {
                if let Some(name) =
                    name.as_ref().filter(|name| batch.column_by_name(name).is_some())
                {
                    all.extend(texts(batch, name)?);
                }
            }
            all
        } else {
            self.policy.candidate_scores.keys().cloned().collect()
        };
        let number = |text: &str| text.parse::<f64>().ok();
        classes.sort_by(|a, b| match (number(a), number(b)) {
            (Some(a), Some(b)) => a.total_cmp(&b),
            _ => a.cmp(b),
        });
        classes.dedup();
        self.classes = classes;
        self.class_of_row = self.numbers_of(&labels, label)?;
        Ok(())
    }

    fn numbers_of(&self, texts: &[String], name: &str) -> Result<Vec<u32>, Fault> {
        let places: HashMap<&str, u32> = self.classes.iter().map(String::as_str).zip(0..).collect();
        let number = |text: &String| {
            places.get(text.as_str()).copied().ok_or_else(|| {
                let fault =
                    Fault::usage(format!("`{name}` holds `{text}`, which is none of the classes"));
                fault.hint(format!("the classes are {}", self.classes.join(", ")))
            })
        };
        texts.iter().map(number).collect()
    }

    fn batch(&self, who: Who) -> &RecordBatch {
        match who {
            Who::Candidate => &self.frame.rows,
            Who::Champion => &self.frame.champion,
        }
    }

    fn model(&self, who: Who) -> Result<Model> {
        Ok(Model {
            answers: self.answers(who)?,
            own: self.own(who)?,
            rows: self.frame.rows.num_rows(),
            weights: self.weights.clone(),
        })
    }

    fn answers(&self, who: Who) -> Result<Answers> {
        let policy = self.policy;
        let (answer, scores, bounds) = match who {
            Who::Candidate => {
                (&policy.candidate, &policy.candidate_scores, &policy.candidate_bounds)
            }
            Who::Champion => (&policy.champion, &policy.champion_scores, &policy.champion_bounds),
        };
        if policy.problem == Problem::Multiclass && (answer.is_some() || !scores.is_empty()) {
            return self.classes(who, answer.as_deref(), scores);
        }
        let Some(name) = answer else { return Ok(Answers::Nothing) };
        let settings = policy.settings();
        let numbers_of = |name: &str| anyhow::Ok(numbers(&column(self.batch(who), name)?, name)?);
        let scores = match policy.problem {
            Problem::Other => return Ok(Answers::Nothing),
            _ => numbers_of(name)?,
        };
        if policy.problem == Problem::Binary {
            check_scores(&scores, name)?;
        }
        if policy.problem == Problem::Ranking {
            let group = policy.group.as_deref().context("a ranking has a group")?;
            let groups = numbered(&self.frame.rows, group)?;
            let ranking = Ranking::new(groups, self.labels.clone(), scores, settings);
            return Ok(Answers::Ranking(match &self.weights {
                Some(weights) => ranking.weighing(weights.clone()),
                None => ranking,
            }));
        }
        let predictions = Predictions::new(self.labels.clone(), scores, settings);
        let predictions = match &self.weights {
            Some(weights) => predictions.weighing(weights.clone()),
            None => predictions,
        };
        if policy.problem != Problem::Forecast {
            return Ok(Answers::Scores(predictions));
        }
        let scale = policy.scale.as_ref().map(|name| -> Result<Vec<f64>> {
            let scale = numbers(&column(&self.frame.rows, name)?, name)?;
            match scale.iter().find(|scale| **scale <= 0.0) {
                None => Ok(scale),
                Some(low) => Err(Fault::usage(format!(
                    "the scale `{name}` holds {low}, the error of a naive forecast is above 0"
                ))
                .into()),
            }
        });
        let bounds = bounds.as_ref().map(|[low, high]| -> Result<[Vec<f64>; 2]> {
            Ok([numbers_of(low)?, numbers_of(high)?])
        });
        Ok(Answers::Forecast(Forecast::new(predictions, scale.transpose()?, bounds.transpose()?)))
    }

    fn classes(
        &self,
        who: Who,
        answer: Option<&str>,
        scores: &BTreeMap<String, String>,
    ) -> Result<Answers> {
        let settings = self.policy.settings();
        let labels = self.class_of_row.clone();
        let said = answer.map(|name| -> Result<Vec<u32>> {
            Ok(self.numbers_of(&texts(self.batch(who), name)?, name)?)
        });
        let said = said.transpose()?;
        let classes = if scores.is_empty() {
            let said = said.context("a model of classes says one")?;
            Classes::said(labels, said, self.classes.len(), settings)
        } else {
            let of_class = |class: &String| -> Result<Vec<f64>> {
                let name =
                    scores.get(class).with_context(|| format!("class `{class}` has no column"))?;
                let values = numbers(&column(self.batch(who), name)?, name)?;
                check_scores(&values, name)?;
                Ok(values)
            };
            let probabilities = self.classes.iter().map(of_class).collect::<Result<_>>()?;
            Classes::likely(labels, said, probabilities, settings)
        };
        Ok(Answers::Classes(match &self.weights {
            Some(weights) => classes.weighing(weights.clone()),
            None => classes,
        }))
    }

    fn own(&self, who: Who) -> Result<BTreeMap<String, Own>> {
        let mut found = BTreeMap::new();
        for (name, measure) in &self.policy.measures {
            let text = match who {
                Who::Candidate => Some(&measure.candidate),
                Who::Champion => measure.champion.as_ref(),
            };
            let Some(text) = text else { continue };
            let values = text.parse::<Expression>()?.values(self.batch(who))?;
            let known: Vec<f64> =
                values.iter().flatten().copied().filter(|v| v.is_finite()).collect();
            if known.len() < values.len() {
                let missing = values.len() - known.len();
                let fault = Fault::usage(format!(
                    "`measures.{name}` has no finite value in {missing} of {} rows",
                    values.len()
                ));
                return Err(fault.hint("leave these rows out with --where, knowingly").into());
            }
            found.insert(name.clone(), Own { values: known, aggregate: measure.aggregate() });
        }
        Ok(found)
    }
}

fn check_scores(scores: &[f64], name: &str) -> Result<(), Fault> {
    match scores.iter().find(|score| !(0.0..=1.0).contains(*score)) {
        None => Ok(()),
        Some(outside) => Err(Fault::usage(format!(
            "column `{name}` holds {outside}, a probability lies between 0 and 1"
        ))
        .hint("store the probability of the class")),
    }
}

/// The slices of the policy, in its order.
fn slices(rows: &RecordBatch, policy: &Gate) -> Result<Vec<Slice>> {
    let Some(wanted) = &policy.slices else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for name in &wanted.columns {
        let mut values: Vec<(String, Vec<u32>)> = parts(rows, name)?.into_iter().collect();
        values.sort_by(|a, b| b.1.len().cmp(&a.1.len()).then_with(|| a.0.cmp(&b.0)));
        values.truncate(wanted.top);
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
fn parts(rows: &RecordBatch, name: &str) -> Result<HashMap<String, Vec<u32>>> {
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
            "null".to_owned()
        } else {
            array_value_to_string(&array, first)?
        };
        Ok((name, rows))
    };
    of_number.into_iter().map(named).collect()
}

/// Equal values by a number, in the order in which they first come.
fn numbered(rows: &RecordBatch, name: &str) -> Result<Vec<u32>> {
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

/// Every value as a text.
fn texts(rows: &RecordBatch, name: &str) -> Result<Vec<String>> {
    let array = column(rows, name)?;
    if array.null_count() > 0 {
        return Err(missing(&array, name).into());
    }
    (0..array.len()).map(|row| Ok(array_value_to_string(&array, row)?)).collect()
}

fn missing(array: &ArrayRef, name: &str) -> Fault {
    let (nulls, rows) = (array.null_count(), array.len());
    Fault::usage(format!("column `{name}` is null in {nulls} of {rows} rows")).hint("a row without a prediction or label cannot be judged: leave it out with --where, knowingly")
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
        return Err(missing(array, name));
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

#[cfg(test)]
#[path = "input_tests.rs"]
mod tests;
