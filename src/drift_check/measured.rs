//! The metrics of rows whose labels are known, each with its standard error.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Context as _, Result};

use super::frame::{numbers, texts};
use super::performance::{Outputs, Rows, is_class};
use crate::config::{Performance, Problem};
use crate::report::Fault;
use crate::stats::metrics::{Answers, Classes, Forecast, Metric, Model, Predictions, Ranking};
use crate::stats::outcomes::{self, Measured};
use crate::stats::resample::Units;

/// Labelled rows as the metrics take them, and what a resample is made of.
pub(super) struct Labelled {
    model: Model,
    units: Units,
}

impl Labelled {
    /// `labelled` are rows with their labels, and `outputs` those of all rows.
    ///
    /// # Errors
    /// When a column that goes with the problem has rows without a value.
    pub(super) fn new(
        policy: &Performance,
        side: &Rows,
        labelled: &[(usize, String)],
        outputs: &Outputs,
    ) -> Result<Self> {
        let picked = Picked { policy, side, labelled };
        let mut units = Units::rows(labelled.len());
        let answers = match outputs {
            Outputs::Classes { names, classes } if policy.problem == Problem::Multiclass => {
                let scores = classes.iter().map(|class| picked.of(&class.scores));
                let labels = picked.classes(names)?;
                Answers::Classes(Classes::likely(labels, None, scores.collect(), policy.settings()))
            }
            Outputs::Classes { names, classes } => {
                let (name, class) = names.first().zip(classes.first()).context("no class")?;
                let label =
                    |(_, label): &(usize, String)| f64::from(u8::from(is_class(name, label)));
                let labels = labelled.iter().map(label).collect();
                Answers::Scores(picked.predictions(labels, &class.scores))
            }
            Outputs::Numbers(all) if policy.problem == Problem::Ranking => {
                let (groups, count) = picked.groups()?;
                units = Units::clusters(groups.clone(), count);
                let (labels, scores) = (picked.numbers(), picked.of(all));
                Answers::Ranking(Ranking::new(groups, labels, scores, policy.settings()))
            }
            Outputs::Numbers(all) => {
                let predictions = picked.predictions(picked.numbers(), all);
                match policy.problem {
                    Problem::Forecast => Answers::Forecast(picked.forecast(predictions)?),
                    _ => Answers::Scores(predictions),
                }
            }
        };
        let rows = labelled.len();
        let model = Model { answers, own: BTreeMap::new(), rows, weights: None };
        Ok(Self { model, units })
    }

    pub(super) fn measure(&self, metric: Metric) -> Measured {
        outcomes::measured(&self.model, &self.units, metric)
    }
}

/// The rows of a side that have labels.
struct Picked<'a> {
    policy: &'a Performance,
    side: &'a Rows,
    labelled: &'a [(usize, String)],
}

impl Picked<'_> {
    fn of<T: Copy>(&self, all: &[T]) -> Vec<T> {
        self.labelled.iter().map(|(row, _)| all[*row]).collect()
    }

    fn predictions(&self, labels: Vec<f64>, scores: &[f64]) -> Predictions {
        Predictions::new(labels, self.of(scores), self.policy.settings())
    }

    /// Labels that are numbers; they were looked at before.
    fn numbers(&self) -> Vec<f64> {
        self.labelled.iter().map(|(_, label)| label.parse().unwrap_or(f64::NAN)).collect()
    }

    /// The number of each label's class.
    fn classes(&self, names: &[String]) -> Result<Vec<u32>> {
        let number = |(_, label): &(usize, String)| {
            let at = names.iter().position(|name| is_class(name, label));
            Ok(u32::try_from(at.with_context(|| format!("`{label}` is none of the classes"))?)?)
        };
        self.labelled.iter().map(number).collect()
    }

    /// The number of each row's group, and of groups.
    fn groups(&self) -> Result<(Vec<u32>, usize)> {
        let name = self.policy.group.as_deref().context("a ranking has a group")?;
        let texts = texts(&self.side.batch, name)?;
        let mut known = HashMap::<&str, u32>::new();
        let mut numbers = Vec::with_capacity(self.labelled.len());
        for (row, _) in self.labelled {
            let text = texts[*row].as_deref().ok_or_else(|| no_value(name))?;
            let next = u32::try_from(known.len())?;
            numbers.push(*known.entry(text).or_insert(next));
        }
        let count = known.len();
        Ok((numbers, count))
    }

    fn forecast(&self, predictions: Predictions) -> Result<Forecast> {
        let read = |name: &String| -> Result<Vec<f64>> {
            let values = self.of(&numbers(&self.side.batch, name)?);
            match values.iter().any(|value| value.is_nan()) {
                true => Err(no_value(name).into()),
                false => Ok(values),
            }
        };
        let scale = self.policy.scale.as_ref().map(&read).transpose()?;
        if let Some(low) = scale.iter().flatten().find(|scale| **scale <= 0.0) {
            let message = format!(
                "`performance.scale` holds {low}, the error of a naive forecast is above 0"
            );
            return Err(Fault::usage(message).into());
        }
        let bounds = self.policy.bounds.as_ref();
        let bounds = bounds.map(|[low, high]| Ok::<_, anyhow::Error>([read(low)?, read(high)?]));
        Ok(Forecast::new(predictions, scale, bounds.transpose()?))
    }
}

/// What has no value in a row cannot be measured.
pub(super) fn no_value(name: &str) -> Fault {
    let fault = Fault::usage(format!("`performance`: `{name}` has rows without a value"));
    fault.hint("leave them out with a condition")
}
