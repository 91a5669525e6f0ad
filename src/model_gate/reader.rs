//! From columns to a model's answers.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashMap};

use anyhow::{Context as _, Result};
use arrow::array::{Array, ArrayRef, AsArray as _, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use arrow::util::display::array_value_to_string;

use super::frame::{Frame, column, floats};
use super::parts::numbered;
use crate::config::{Gate, Problem};
use crate::record::evidence::Thresholds;
use crate::report::Fault;
use crate::sql::Expression;
use crate::stats::metrics::{
    Answers, Classes, Forecast, Model, Own, Predictions, Ranking, Settings,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    Candidate,
    Champion,
}

/// What both models share.
pub(super) struct Reader<'a> {
    frame: &'a Frame,
    policy: &'a Gate,
    pub(super) labels: Vec<f64>,
    /// Of several classes: their names in order, and the number of each row's.
    pub(super) classes: Vec<String>,
    class_of_row: Vec<u32>,
    weights: Option<Vec<f64>>,
    thresholds: Option<&'a Thresholds>,
}

impl<'a> Reader<'a> {
    /// With the thresholds that were chosen, if any were.
    pub(super) fn new(
        frame: &'a Frame,
        policy: &'a Gate,
        thresholds: Option<&'a Thresholds>,
    ) -> Result<Self> {
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
            thresholds,
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
                    let message =
                        format!("the label `{label}` holds {below}, a relevance is 0 or more");
                    return Err(Fault::data("out_of_range", message).into());
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
        // Numbers first, so that the order is one.
        classes.sort_by(|a, b| match (number(a), number(b)) {
            (Some(x), Some(y)) => x.total_cmp(&y).then_with(|| a.cmp(b)),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => a.cmp(b),
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
                let message = format!("`{name}` holds `{text}`, which is none of the classes");
                let fault = Fault::data("unknown_class", message);
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

    pub(super) fn model(&self, who: Who) -> Result<Model> {
        Ok(Model {
            answers: self.answers(who)?,
            own: self.own(who)?,
            rows: self.frame.rows.num_rows(),
            weights: self.weights.clone(),
        })
    }

    /// What the metrics of one model are told.
    fn settings(&self, who: Who) -> Settings {
        let settings = self.policy.settings();
        let chosen = self.thresholds.and_then(|thresholds| match who {
            Who::Candidate => Some(thresholds.candidate),
            Who::Champion => thresholds.champion,
        });
        Settings { threshold: chosen.unwrap_or(settings.threshold), ..settings }
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
        let Some(name) = answer.as_ref().filter(|_| policy.problem != Problem::Other) else {
            return Ok(Answers::Nothing);
        };
        let settings = self.settings(who);
        let numbers_of = |name: &str| anyhow::Ok(numbers(&column(self.batch(who), name)?, name)?);
        let scores = numbers_of(name)?;
        if policy.problem == Problem::Binary {
            check_scores(&scores, name)?;
        }
        if policy.problem == Problem::Ranking {
            let group = policy.group.as_deref().context("a ranking has a group")?;
            let groups = numbered(&self.frame.rows, group)?;
            let ranking = Ranking::new(groups, self.labels.clone(), scores, settings);
            return Ok(Answers::Ranking(ranking.weighing(self.weights.clone())));
        }
        let predictions = Predictions::new(self.labels.clone(), scores, settings);
        let predictions = predictions.weighing(self.weights.clone());
        if policy.problem != Problem::Forecast {
            return Ok(Answers::Scores(predictions));
        }
        let scale = policy.scale.as_ref().map(|name| -> Result<Vec<f64>> {
            let scale = numbers(&column(&self.frame.rows, name)?, name)?;
            match scale.iter().find(|scale| **scale <= 0.0) {
                None => Ok(scale),
                Some(low) => {
                    let message = format!(
                        "the scale `{name}` holds {low}, the error of a naive forecast is above 0"
                    );
                    Err(Fault::data("out_of_range", message).into())
                }
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
        Ok(Answers::Classes(classes.weighing(self.weights.clone())))
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
                let message = format!(
                    "`measures.{name}` has no finite value in {missing} of {} rows",
                    values.len()
                );
                let fault = Fault::data("not_finite", message);
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
        Some(outside) => {
            let message =
                format!("column `{name}` holds {outside}, a probability lies between 0 and 1");
            let fault = Fault::data("out_of_range", message);
            Err(fault.hint("store the probability of the class"))
        }
    }
}

/// Every value as a text.
fn texts(rows: &RecordBatch, name: &str) -> Result<Vec<String>> {
    let array = column(rows, name)?;
    if array.null_count() > 0 {
        return Err(missing(&array, name).into());
    }
    if array.data_type().is_floating() {
        // 1.0 is the class 1.
        let numbers = cast(&array, &DataType::Float64)?;
        let numbers = numbers.as_primitive::<Float64Type>();
        return Ok(numbers.values().iter().map(ToString::to_string).collect());
    }
    (0..array.len()).map(|row| Ok(array_value_to_string(&array, row)?)).collect()
}

fn missing(array: &ArrayRef, name: &str) -> Fault {
    let (nulls, rows) = (array.null_count(), array.len());
    let message = format!("column `{name}` is null in {nulls} of {rows} rows");
    Fault::data("missing", message).hint("a row without a prediction or label cannot be judged: leave it out with --where, knowingly")
}

/// Weights that can be counted.
fn weights(array: &ArrayRef, name: &str) -> Result<Vec<f64>, Fault> {
    let weights = numbers(array, name)?;
    if let Some(below) = weights.iter().find(|weight| **weight < 0.0) {
        let message = format!("the weight `{name}` holds {below}, it must be 0 or more");
        return Err(Fault::data("out_of_range", message));
    }
    if weights.iter().all(|weight| *weight == 0.0) {
        return Err(Fault::data("no_data", format!("the weight `{name}` is 0 in every row")));
    }
    Ok(weights)
}

/// Every value as a finite number.
fn numbers(array: &ArrayRef, name: &str) -> Result<Vec<f64>, Fault> {
    let found = floats(array, name)?;
    if array.null_count() > 0 {
        return Err(missing(array, name));
    }
    let values = found.values().to_vec();
    let bad = values.iter().filter(|value| !value.is_finite()).count();
    if bad > 0 {
        let message = format!("column `{name}` is not finite in {bad} of {} rows", values.len());
        return Err(Fault::data("not_finite", message));
    }
    Ok(values)
}

fn check_labels(labels: &[f64], name: &str) -> Result<(), Fault> {
    if let Some(other) = labels.iter().find(|label| **label != 0.0 && **label != 1.0) {
        let message = format!("the label `{name}` holds {other}, a binary label is 0 or 1");
        return Err(Fault::data("out_of_range", message));
    }
    let positives = labels.iter().filter(|label| **label == 1.0).count();
    if positives == 0 || positives == labels.len() {
        let message = format!("the label `{name}` has a single class in all {} rows", labels.len());
        let fault = Fault::data("degenerate", message);
        return Err(fault.hint("nothing can be told apart: judge more rows"));
    }
    Ok(())
}
