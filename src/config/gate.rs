//! `gate`: when a model version passes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::names::TableName;
use crate::stats::metrics::Metric;

/// What kind of numbers the model predicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Problem {
    /// A score in `[0, 1]` for a label of 0 or 1.
    Binary,
    /// A score in `[0, 1]` for each of several classes.
    Multiclass,
    Regression,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Binary => "binary",
            Self::Multiclass => "multiclass",
            Self::Regression => "regression",
        })
    }
}

/// The policy of `model-gate`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Gate {
    pub problem: Problem,
    /// A table with the predictions of both models for the same rows.
    #[schemars(with = "String")]
    pub predictions: TableName,
    /// The columns that identify a row.
    pub key: Vec<String>,
    /// The column of the true value.
    pub label: String,
    /// The column of the candidate's predictions.
    pub candidate: String,
    /// The column of the champion's predictions; it is read when there is a
    /// champion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub champion: Option<String>,
    /// The score from which a prediction counts as positive.
    #[serde(default = "half")]
    pub threshold: f64,
    /// Of the intervals, between 0 and 1.
    #[serde(default = "confidence")]
    pub confidence: f64,
    /// Bootstrap resamples.
    #[serde(default = "resamples")]
    pub resamples: u32,
    /// Fewer rows than this give no answer.
    #[serde(default = "min_rows")]
    pub min_rows: u64,
    pub rules: Vec<Rule>,
}

/// One condition. All rules must hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    pub metric: Metric,
    /// The candidate's value is at least this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    /// The candidate's value is at most this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    /// The candidate is worse than the champion by less than this margin, with
    /// confidence: the bound of the interval decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_worse_than: Option<f64>,
    /// The candidate is better than the champion, with confidence.
    #[serde(default)]
    pub better_than_champion: bool,
}

impl Rule {
    /// Whether the rule looks at a champion.
    pub fn compares(&self) -> bool {
        self.better_than_champion || self.not_worse_than.is_some()
    }
}

fn half() -> f64 {
    0.5
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
    pub(super) fn check(&self) -> Result<(), String> {
        if self.problem == Problem::Multiclass {
            return Err("`problem: multiclass` is not judged by the gate yet".into());
        }
        if self.rules.is_empty() {
            return Err("`rules` is empty: a gate without a rule would let everything pass".into());
        }
        if self.key.is_empty() {
            return Err("`key` is empty: name the columns that identify a row".into());
        }
        if !(self.confidence > 0.5 && self.confidence < 1.0) {
            return Err(format!(
                "`confidence` is {}, it must lie between 0.5 and 1",
                self.confidence
            ));
        }
        if !(100..=100_000).contains(&self.resamples) {
            return Err(format!("`resamples` is {}, it must be 100 to 100000", self.resamples));
        }
        if !(self.threshold > 0.0 && self.threshold < 1.0) {
            return Err(format!("`threshold` is {}, it must lie between 0 and 1", self.threshold));
        }
        self.rules.iter().enumerate().try_for_each(|(at, rule)| {
            self.check_rule(rule).map_err(|message| format!("`rules[{at}]`: {message}"))
        })
    }

    fn check_rule(&self, rule: &Rule) -> Result<(), String> {
        if !rule.metric.fits(self.problem) {
            return Err(format!("`{}` is not a metric of {} problems", rule.metric, self.problem));
        }
        let limits = [rule.min, rule.max, rule.not_worse_than];
        if limits.iter().flatten().any(|limit| !limit.is_finite()) {
            return Err("limits must be finite numbers".into());
        }
        if rule.not_worse_than.is_some_and(|margin| margin < 0.0) {
            return Err("`not_worse_than` is a margin, it cannot be negative".into());
        }
        if limits.iter().all(Option::is_none) && !rule.better_than_champion {
            return Err(format!(
                "it says nothing about `{}`: give min, max, not_worse_than or better_than_champion",
                rule.metric
            ));
        }
        if rule.compares() && self.champion.is_none() {
            return Err(
                "it compares with the champion: name the column of its predictions, `champion`"
                    .into(),
            );
        }
        Ok(())
    }
}
