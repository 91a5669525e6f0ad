//! `drift.performance`: whether the model still predicts as well as it did.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Problem, windows};
use crate::names::Source;
use crate::stats::metrics::Metric;

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
    /// prediction in regression.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score: Option<String>,
    /// The columns of the scores by class, in multiclass problems.
    #[serde(default)]
    pub scores: BTreeMap<String, String>,
    /// From this score on, a prediction is positive.
    #[serde(default = "half")]
    pub threshold: f64,
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

fn half() -> f64 {
    0.5
}

fn coverage() -> f64 {
    0.8
}

fn yes() -> bool {
    true
}

impl Performance {
    pub(super) fn check(&self) -> Result<(), String> {
        let known = [Problem::Binary, Problem::Multiclass, Problem::Regression];
        if !known.contains(&self.problem) {
            return Err(format!(
                "{} problems are not watched, binary, multiclass and regression are",
                self.problem
            ));
        }
        match self.problem {
            Problem::Multiclass if self.scores.len() < 3 => {
                return Err("multiclass problems need `scores` of three classes or more".into());
            }
            Problem::Binary | Problem::Regression if self.score.is_none() => {
                return Err("`score` names the column of the model's output".into());
            }
            _ => {}
        }
        if self.metrics.is_empty() {
            return Err("`metrics` is empty: name one, such as `roc_auc: 0.05`".into());
        }
        for (metric, limit) in &self.metrics {
            let one_against_rest =
                self.problem != Problem::Multiclass || Metric::ONE_AGAINST_REST.contains(metric);
            if !(metric.fits(self.problem) && one_against_rest) {
                return Err(format!("`{metric}` is not a metric of {} problems", self.problem));
            }
            if !(limit.is_finite() && *limit > 0.0) {
                return Err(format!("`metrics.{metric}` must be a positive number"));
            }
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

    /// How late labels arrive, in milliseconds.
    pub fn lag(&self) -> Option<i64> {
        windows::milliseconds(self.matured_after.as_deref()?)
    }

    /// The columns of the data that it needs beside those of `labels`.
    pub fn columns(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.scores.values().map(String::as_str).collect();
        names.extend(self.score.as_deref());
        names.extend(self.time.as_deref());
        names
    }
}
