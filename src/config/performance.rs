//! `drift.performance`: whether the model still predicts as well as it did.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::gate::{self, Costs};
use super::{Problem, windows};
use crate::names::Source;
use crate::stats::metrics::{Metric, Settings};

/// How the model's outputs stand in the data, and how much worse it may get.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Performance {
    pub problem: Problem,
    /// The column of the truth; null where it is not known yet.
    pub label: String,
    /// The label that counts as positive, in binary problems.
    #[serde(default = "one")]
    pub positive: String,
    /// The column of the score in `[0, 1]`, in binary problems; of the
    /// prediction in the others but those of several classes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<String>,
    /// The columns of the scores by class, in multiclass problems.
    #[serde(default)]
    pub scores: BTreeMap<String, String>,
    /// From this score on, a prediction is positive.
    #[serde(default = "gate::half")]
    pub threshold: f64,
    /// The column of the group within which rows are put in order, in ranking
    /// problems.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The columns of the lower and upper end of a forecast.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bounds: Option<[String; 2]>,
    /// The column of the mean error of a naive forecast, for `mase`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<String>,
    /// The weight of recall in `f_beta`.
    #[serde(default = "gate::one")]
    pub beta: f64,
    /// The share of rows that `lift_at_top` and `recall_at_top` look at.
    #[serde(default = "gate::tenth")]
    pub top: f64,
    /// How many of a group's rows `ndcg`, `map` and `mrr` look at, and of the
    /// classes `top_k`.
    #[serde(default = "gate::ten")]
    pub k: u32,
    /// What `cost` counts.
    #[serde(default)]
    pub costs: Costs,
    /// What `pinball` is the loss of.
    #[serde(default = "gate::half")]
    pub quantile: f64,
    /// Labels in a place of their own, found by a key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<Labels>,
    /// The column of each prediction's time, for `matured_after`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// Labels arrive this late: `7d`. Younger rows are not asked for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matured_after: Option<String>,
    /// The share of mature rows that must have a label.
    #[serde(default = "coverage")]
    pub min_coverage: f64,
    /// How much worse each metric may be than on the baseline.
    pub metrics: BTreeMap<Metric, f64>,
    /// Estimates the metrics from all rows, labels or not.
    #[serde(default = "yes")]
    pub estimate: bool,
}

/// Where labels lie.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Labels {
    #[schemars(with = "String")]
    pub source: Source,
    /// The columns that identify a row on both sides.
    pub key: Vec<String>,
}

fn one() -> String {
    "1".into()
}

fn coverage() -> f64 {
    0.8
}

fn yes() -> bool {
    true
}

impl Performance {
    pub(super) fn check(&self) -> Result<(), String> {
        match self.problem {
            Problem::Other => {
                return Err("`problem: other` has no metrics: name the kind of its answers".into());
            }
            Problem::Multiclass if self.scores.len() < 3 => {
                return Err("multiclass problems need `scores` of three classes or more".into());
            }
            Problem::Multiclass => {}
            _ if self.score.is_none() => {
                return Err("`score` names the column of the model's output".into());
            }
            Problem::Ranking if self.group.is_none() => {
                return Err("`group` names the column within whose values rows are ranked".into());
            }
            _ => {}
        }
        if self.metrics.is_empty() {
            return Err("`metrics` is empty: name one, such as `roc_auc: 0.05`".into());
        }
        for (metric, limit) in &self.metrics {
            if !metric.fits(self.problem) {
                return Err(format!("`{metric}` is not a metric of {} problems", self.problem));
            }
            let needed = match metric {
                Metric::Mase => Some(("scale", self.scale.is_some())),
                Metric::Coverage | Metric::Width => Some(("bounds", self.bounds.is_some())),
                _ => None,
            };
            if let Some((name, false)) = needed {
                return Err(format!("`metrics.{metric}` needs `{name}`"));
            }
            if !(limit.is_finite() && *limit > 0.0) {
                return Err(format!("`metrics.{metric}` must be a positive number"));
            }
        }
        for (name, share) in [("top", self.top), ("quantile", self.quantile)] {
            if !(share > 0.0 && share < 1.0) {
                return Err(format!("`{name}` must lie between 0 and 1"));
            }
        }
        if self.k == 0 || !(self.beta.is_finite() && self.beta > 0.0) {
            return Err("`k` and `beta` must be above 0".into());
        }
        if !(self.min_coverage > 0.0 && self.min_coverage <= 1.0) {
            return Err("`min_coverage` must lie between 0 and 1".into());
        }
        if self.matured_after.is_some() != self.time.is_some() {
            return Err("`matured_after` and `time` need each other".into());
        }
        if self.matured_after.is_some() && self.lag().is_none() {
            return Err("`matured_after`: give a number of m, h, d or w, such as 7d".into());
        }
        if self.labels.as_ref().is_some_and(|labels| labels.key.is_empty()) {
            return Err("`labels.key` is empty: name the columns that identify a row".into());
        }
        Ok(())
    }

    /// What the metrics are told.
    pub fn settings(&self) -> Settings {
        Settings {
            threshold: self.threshold,
            beta: self.beta,
            top: self.top,
            k: self.k,
            costs: self.costs.matrix(),
            quantile: self.quantile,
        }
    }

    /// How late labels arrive, in milliseconds.
    pub fn lag(&self) -> Option<i64> {
        windows::milliseconds(self.matured_after.as_deref()?)
    }

    /// The columns of the data that it needs beside those of `labels`.
    pub fn columns(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.scores.values().map(String::as_str).collect();
        names.extend(self.score.as_deref());
        names.extend(self.time.as_deref());
        names.extend(self.group.as_deref());
        names.extend(self.scale.as_deref());
        names.extend(self.bounds.iter().flatten().map(String::as_str));
        names
    }
}
