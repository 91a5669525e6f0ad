//! `gate`: when a model version passes.

mod check;
mod compliance;
mod experiment;
mod infrastructure;
mod jobs;
mod rule;
mod slices;
mod threshold;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::compliance::{Compliance, Licences, Pickle};
pub use self::experiment::{Experiment, LiveRule};
pub use self::infrastructure::{Infrastructure, Range};
pub use self::jobs::GateJob;
pub use self::rule::{Margin, On, Rule, Sided, Test};
pub use self::slices::{Fair, Fairness, Slices};
pub use self::threshold::{Choice, Threshold};
use crate::names::Source;
use crate::stats::bootstrap::Method;
use crate::stats::correction::Correction;
use crate::stats::metrics::{Aggregate, Measure, Metric, Settings};

/// What kind of numbers the model predicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Problem {
    /// A score in `[0, 1]` for a label of 0 or 1.
    Binary,
    /// A score in `[0, 1]` for each of several classes.
    Multiclass,
    Regression,
    /// A score by which the rows of each group are put in order.
    Ranking,
    /// A number for a time to come, its interval where there is one.
    Forecast,
    /// Whatever the policy's own `measures` look at, such as the scores that a
    /// judge gave to texts.
    Other,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Binary => "binary",
            Self::Multiclass => "multiclass",
            Self::Regression => "regression",
            Self::Ranking => "ranking",
            Self::Forecast => "forecast",
            Self::Other => "other",
        })
    }
}

/// The policy of `model-gate`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Gate {
    pub problem: Problem,
    /// Jobs that are run first, in this order: one that writes the predictions, one
    /// that runs the version.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub jobs: Vec<GateJob>,
    /// A table, or files, with the predictions of both models for the same rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub predictions: Option<Source>,
    /// Where the champion's predictions lie when they lie apart; rows are found
    /// by their key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub champion_predictions: Option<Source>,
    /// The columns that identify a row.
    #[serde(default)]
    pub key: Vec<String>,
    /// The column of the true value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// The column of the candidate's predictions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candidate: Option<String>,
    /// The column of the champion's predictions; it is read when there is a
    /// champion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub champion: Option<String>,
    /// The columns of the candidate's probabilities by class, in multiclass
    /// problems.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub candidate_scores: BTreeMap<String, String>,
    /// The same of the champion.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub champion_scores: BTreeMap<String, String>,
    /// The column of the group within which rows are put in order, in ranking
    /// problems.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The column of the mean error of a naive forecast, for `mase`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<String>,
    /// The columns of the lower and upper end of the candidate's forecast.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candidate_bounds: Option<[String; 2]>,
    /// The same of the champion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub champion_bounds: Option<[String; 2]>,
    /// Metrics of the policy's own, made from columns.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub measures: BTreeMap<String, OwnMeasure>,
    /// Metrics that training logged to MLflow, and which of their values are
    /// better. They have no intervals: their values are compared as they are.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub logged: BTreeMap<String, Better>,
    /// The score from which a prediction counts as positive; or how each model's
    /// own is chosen.
    #[serde(default)]
    pub threshold: Threshold,
    /// The column with the version whose answers `candidate` holds: all rows must
    /// be of the version that is judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candidate_version: Option<String>,
    /// The same of the champion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub champion_version: Option<String>,
    /// The column of the rows' weights; all count alike without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<String>,
    /// The column of the rows' times, for `max_age_days`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// The newest row is at most so many days old.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_age_days: Option<f64>,
    /// A column whose equal values belong together, such as a customer: rows of
    /// one are not independent, and are drawn together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// Resamples have as many positives as the data.
    #[serde(default)]
    pub stratify: bool,
    /// The weight of recall in `f_beta`.
    #[serde(default = "one")]
    pub beta: f64,
    /// The share of rows that `lift_at_top` and `recall_at_top` look at.
    #[serde(default = "tenth")]
    pub top: f64,
    /// How many of a group's rows `ndcg`, `map` and `mrr` look at, and of the
    /// classes `top_k`.
    #[serde(default = "ten")]
    pub k: u32,
    /// What `cost` counts.
    #[serde(default)]
    pub costs: Costs,
    /// What `pinball` is the loss of.
    #[serde(default = "half")]
    pub quantile: f64,
    /// How intervals follow from the resamples.
    #[serde(default)]
    pub interval: Method,
    /// Of the intervals, between 0 and 1.
    #[serde(default = "confidence")]
    pub confidence: f64,
    /// Bootstrap resamples.
    #[serde(default = "resamples")]
    pub resamples: u32,
    /// Fewer rows than this give no answer.
    #[serde(default = "min_rows")]
    pub min_rows: u64,
    /// Fewer rows of the rarer class than this give no answer.
    #[serde(default = "min_positives")]
    pub min_positives: u64,
    /// Fewer clusters, or groups of a ranking, than this give no answer.
    #[serde(default = "min_clusters")]
    pub min_clusters: u64,
    /// What is held over all comparisons at once, slices included. All rules
    /// must hold, so that none needs a correction for the pass to be sure; with
    /// many slices, one guards against refusals by chance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correction: Option<Correction>,
    /// Two models that answer alike are a comparison of one with itself, unless
    /// this says that it may be.
    #[serde(default)]
    pub allow_identical: bool,
    /// For how many days the evidence may promote; `promotion.max_evidence_days`
    /// holds beside it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_days: Option<f64>,
    pub rules: Vec<Rule>,
    /// What must hold within parts of the rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slices: Option<Slices>,
    /// How far groups of people may be apart.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fairness: Vec<Fairness>,
    /// What must be known about the version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compliance: Option<Compliance>,
    /// What must hold of the version when it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub infrastructure: Option<Infrastructure>,
    /// What live traffic must say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub experiment: Option<Experiment>,
}

/// A metric of the policy's own: one number from a column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OwnMeasure {
    /// A column of the candidate, or an expression over columns, in SQL.
    pub candidate: String,
    /// The same of the champion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub champion: Option<String>,
    #[serde(default)]
    pub aggregate: Reduction,
    /// The share of rows below the `quantile`.
    #[serde(default = "half")]
    pub at: f64,
    #[serde(default)]
    pub better: Better,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Reduction {
    #[default]
    Mean,
    /// The share of rows that are true, or not 0.
    Rate,
    Quantile,
}

impl OwnMeasure {
    pub fn aggregate(&self) -> Aggregate {
        match self.aggregate {
            Reduction::Mean => Aggregate::Mean,
            Reduction::Rate => Aggregate::Rate,
            Reduction::Quantile => Aggregate::Quantile(self.at),
        }
    }
}

/// Which values of a metric are better.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Better {
    #[default]
    Higher,
    Lower,
    Neither,
}

/// What each kind of row costs, in any unit; what is gained is below zero.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Costs {
    pub false_alarm: f64,
    pub missed: f64,
    /// A positive that was found.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub hit: f64,
    /// A negative that was let pass.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub passed: f64,
}

fn is_nothing(cost: &f64) -> bool {
    *cost == 0.0
}

impl Costs {
    /// By what was said of a row, alarm first, and then by what it is.
    pub(super) fn matrix(&self) -> [[f64; 2]; 2] {
        [[self.hit, self.false_alarm], [self.missed, self.passed]]
    }
}

impl Default for Costs {
    fn default() -> Self {
        Self { false_alarm: 1.0, missed: 1.0, hit: 0.0, passed: 0.0 }
    }
}

pub(super) fn half() -> f64 {
    0.5
}

pub(super) fn one() -> f64 {
    1.0
}

pub(super) fn ten() -> u32 {
    10
}

pub(super) fn tenth() -> f64 {
    0.1
}

fn min_positives() -> u64 {
    20
}

fn min_clusters() -> u64 {
    20
}

fn confidence() -> f64 {
    0.95
}

fn resamples() -> u32 {
    1000
}

fn min_rows() -> u64 {
    1000
}

impl Gate {
    /// What the metrics are told. A threshold that is yet to be chosen is the usual one.
    pub fn settings(&self) -> Settings {
        let usual = Settings::default().threshold;
        Settings {
            threshold: match self.threshold {
                Threshold::Given(score) => score,
                Threshold::Chosen(_) => usual,
            },
            beta: self.beta,
            top: self.top,
            costs: self.costs.matrix(),
            quantile: self.quantile,
            k: self.k,
        }
    }

    /// What a rule asks for, and which of its values are better.
    pub fn measure(&self, name: &str) -> Option<(Measure, Better)> {
        if let Some(own) = self.measures.get(name) {
            return Some((Measure::Own(name.to_owned()), own.better));
        }
        if let Some(better) = self.logged.get(name) {
            return Some((Measure::Own(name.to_owned()), *better));
        }
        let metric = Metric::named(name).filter(|metric| metric.fits(self.problem))?;
        Some((Measure::Metric(metric), metric.better()))
    }

    /// All that can be measured with the columns that are named.
    pub fn all_measures(&self) -> Vec<Measure> {
        let metrics = Metric::of(self.problem).into_iter().map(Measure::Metric);
        metrics.chain(self.measures.keys().cloned().map(Measure::Own)).collect()
    }
}
