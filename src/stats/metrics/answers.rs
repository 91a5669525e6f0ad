//! All that one model said about the rows that are judged.

use std::collections::BTreeMap;

use pulp::Arch;
use rayon::prelude::*;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Classes, Forecast, Metric, Predictions, Ranking, Ready};

/// One model: its answers, and columns that were made from them.
#[derive(Debug, Clone)]
pub struct Model {
    pub answers: Answers,
    pub own: BTreeMap<String, Own>,
    pub rows: usize,
    /// Of the rows, for what is made from columns.
    pub weights: Option<Vec<f64>>,
}

/// What a model answers, by the kind of its problem.
#[derive(Debug, Clone)]
pub enum Answers {
    Scores(Predictions),
    Classes(Classes),
    Ranking(Ranking),
    Forecast(Forecast),
    /// Columns of the caller are all there is.
    Nothing,
}

/// A column of numbers, and what is made of it.
#[derive(Debug, Clone)]
pub struct Own {
    pub values: Vec<f64>,
    pub aggregate: Aggregate,
}

/// One number from a column of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Aggregate {
    Mean,
    /// The share of rows with a value other than 0.
    Rate,
    /// The value below which this share of the rows lies.
    Quantile(f64),
}

/// What is asked of a model.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Measure {
    Metric(Metric),
    /// A column of the caller, by its name.
    Own(String),
}

impl std::fmt::Display for Measure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Metric(metric) => metric.fmt(f),
            Self::Own(name) => f.write_str(name),
        }
    }
}

impl Answers {
    fn equal(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Scores(a), Self::Scores(b)) => a.scores() == b.scores(),
            (Self::Classes(a), Self::Classes(b)) => a.answers_as(b),
            (Self::Ranking(a), Self::Ranking(b)) => a.scores() == b.scores(),
            (Self::Forecast(a), Self::Forecast(b)) => a.numbers().scores() == b.numbers().scores(),
            _ => false,
        }
    }

    fn taken(&self, rows: &[u32]) -> Self {
        match self {
            Self::Scores(scores) => Self::Scores(scores.taken(rows)),
            Self::Classes(classes) => Self::Classes(classes.taken(rows)),
            Self::Ranking(ranking) => Self::Ranking(ranking.taken(rows)),
            Self::Forecast(forecast) => Self::Forecast(forecast.taken(rows)),
            Self::Nothing => Self::Nothing,
        }
    }

    fn followed_by(&self, other: &Self) -> Self {
        match (self, other) {
            (Self::Scores(a), Self::Scores(b)) => Self::Scores(a.followed_by(b)),
            (Self::Classes(a), Self::Classes(b)) => Self::Classes(a.followed_by(b)),
            (Self::Ranking(a), Self::Ranking(b)) => Self::Ranking(a.followed_by(b)),
            (Self::Forecast(a), Self::Forecast(b)) => Self::Forecast(a.followed_by(b)),
            _ => Self::Nothing,
        }
    }

    fn ready(&self, metric: Metric) -> Ready<'_> {
        match self {
            Self::Scores(scores) => scores.ready(metric),
            Self::Classes(classes) => classes.ready(metric),
            Self::Ranking(ranking) => ranking.ready(metric),
            Self::Forecast(forecast) => forecast.ready(metric),
            Self::Nothing => Ready::Undefined,
        }
    }
}

impl Model {
    /// A model whose scores are all that is known.
    pub fn of_scores(scores: Predictions) -> Self {
        let rows = scores.len();
        Self { answers: Answers::Scores(scores), own: BTreeMap::new(), rows, weights: None }
    }

    /// Whether both gave each row the same, in their answers or, where they have
    /// none, in all columns that were made from them.
    pub fn answers_as(&self, other: &Self) -> bool {
        if !matches!(self.answers, Answers::Nothing) {
            return self.answers.equal(&other.answers);
        }
        let same = |(name, own): (&String, &Own)| {
            other.own.get(name).is_some_and(|it| it.values == own.values)
        };
        !self.own.is_empty()
            && self.own.iter().filter(|(name, _)| other.own.contains_key(*name)).all(same)
            && !other.own.is_empty()
    }

    /// Some of the rows, in this order.
    #[must_use]
    pub fn taken(&self, rows: &[u32]) -> Self {
        let own = self.own.iter().map(|(name, own)| {
            let values = super::taken(&own.values, rows);
            (name.clone(), Own { values, aggregate: own.aggregate })
        });
        Self {
            answers: self.answers.taken(rows),
            own: own.collect(),
            rows: rows.len(),
            weights: self.weights.as_ref().map(|weights| super::taken(weights, rows)),
        }
    }

    /// The rows of both, as if one model had answered all.
    #[must_use]
    pub fn followed_by(&self, other: &Self) -> Self {
        let own = self.own.iter().filter_map(|(name, own)| {
            let values = [own.values.as_slice(), &other.own.get(name)?.values].concat();
            Some((name.clone(), Own { values, aggregate: own.aggregate }))
        });
        Self {
            answers: self.answers.followed_by(&other.answers),
            own: own.collect(),
            rows: self.rows + other.rows,
            weights: super::both(self.weights.as_deref(), other.weights.as_deref()),
        }
    }

    /// The order of the rows in which metrics are counted fastest.
    pub fn order(&self) -> Vec<u32> {
        match &self.answers {
            Answers::Scores(scores) => scores.order().to_vec(),
            _ => (0..self.rows as u32).collect(),
        }
    }

    pub fn ready(&self, measure: &Measure) -> Ready<'_> {
        match measure {
            Measure::Metric(metric) => self.answers.ready(*metric),
            Measure::Own(name) => self.own.get(name).map_or(Ready::Undefined, |own| {
                let (values, weights) = (own.values.clone(), self.weights.as_deref());
                match own.aggregate {
                    Aggregate::Mean => Ready::Mean { values, weights, root: false },
                    Aggregate::Rate => {
                        let told = values.iter().map(|value| f64::from(u8::from(*value != 0.0)));
                        Ready::Mean { values: told.collect(), weights, root: false }
                    }
                    Aggregate::Quantile(at) => Ready::quantile(values, at, weights),
                }
            }),
        }
    }

    /// With every row counted once.
    pub fn value(&self, measure: &Measure) -> f64 {
        self.ready(measure).once(self.rows)
    }

    /// Several measures, each on a core of its own.
    pub fn values(&self, measures: &[Measure]) -> Vec<f64> {
        let counts = vec![[1]; self.rows];
        let machine = Arch::new();
        let plainly = match &self.answers {
            Answers::Scores(scores) => Some(scores.plainly(&counts)),
            _ => None,
        };
        let value = |measure: &Measure| {
            if let (Measure::Metric(metric), Some(plainly)) = (measure, &plainly)
                && let Some(value) = plainly(*metric)
            {
                return value;
            }
            let [value] = self.ready(measure).counted_by(machine, &counts);
            value
        };
        measures.par_iter().map(value).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Problem;
    use crate::stats::lot;
    use crate::stats::metrics::Settings;

    #[test]
    fn several_measures_at_once_are_what_each_is_alone() {
        for (problem, kind) in [Problem::Binary, Problem::Regression]
            .into_iter()
            .flat_map(|problem| (0..4).map(move |kind| (problem, kind)))
        {
            let share = |row: u64, of: u64| (lot(row, of) % 64) as f64 / 64.0;
            let rows = 0..700;
            let label = |row| match (problem, kind) {
                (Problem::Binary, 0..3) => f64::from(share(row, 1) < 0.3),
                _ => share(row, 1),
            };
            let labels: Vec<f64> = rows.clone().map(label).collect();
            let scores: Vec<f64> = rows.clone().map(|row| share(row, 2)).collect();
            let weights = (kind % 2 == 1).then(|| rows.map(|row| share(row, 3)).collect());
            let predictions = Predictions::new(labels, scores, Settings::default());
            let model = Model::of_scores(predictions.weighing(weights));
            let measures: Vec<Measure> =
                Metric::of(problem).into_iter().map(Measure::Metric).collect();
            let together = model.values(&measures);
            for (measure, value) in measures.iter().zip(together) {
                let alone = model.value(measure);
                // Logarithms are taken of several rows at once.
                let is_log = *measure == Measure::Metric(Metric::LogLoss);
                let room = if is_log { 1e-14 * alone.abs() } else { 0.0 };
                let near = (value - alone).abs() <= room;
                assert!(near || value.is_nan() && alone.is_nan(), "{measure} {kind}");
            }
        }
    }
}
