//! `gate`: when a model version passes.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::names::Source;
use crate::stats::bootstrap::Method;
use crate::stats::metrics::{Metric, Settings};

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
    /// A table, or files, with the predictions of both models for the same rows.
    #[schemars(with = "String")]
    pub predictions: Source,
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
    /// The column of the rows' weights; all count alike without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<String>,
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
    /// confidence: the bound of the interval decides. A number in the metric's
    /// unit, or a share of the champion's size such as `2%`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<MarginText>")]
    pub not_worse_than: Option<Margin>,
    /// The candidate is better than the champion, with confidence.
    #[serde(default)]
    pub better_than_champion: bool,
}

/// How much worse is not worse.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "MarginText", into = "MarginText")]
pub enum Margin {
    Absolute(f64),
    /// A share of the champion's absolute value.
    Relative(f64),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
enum MarginText {
    Number(f64),
    Percent(String),
}

impl TryFrom<MarginText> for Margin {
    type Error = String;

    fn try_from(text: MarginText) -> Result<Self, String> {
        match text {
            MarginText::Number(margin) => Ok(Self::Absolute(margin)),
            MarginText::Percent(text) => {
                let share = text.strip_suffix('%').and_then(|share| share.trim().parse().ok());
                let share: f64 = share.ok_or_else(|| {
                    format!("`{text}` is neither a number nor a share such as 2%")
                })?;
                Ok(Self::Relative(share / 100.0))
            }
        }
    }
}

impl From<Margin> for MarginText {
    fn from(margin: Margin) -> Self {
        match margin {
            Margin::Absolute(margin) => Self::Number(margin),
            Margin::Relative(_) => Self::Percent(margin.to_string()),
        }
    }
}

impl std::fmt::Display for Margin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Absolute(margin) => f.write_str(&crate::report::number(*margin)),
            Self::Relative(share) => write!(f, "{}%", share * 100.0),
        }
    }
}

impl Margin {
    fn size(self) -> f64 {
        match self {
            Self::Absolute(size) | Self::Relative(size) => size,
        }
    }

    /// In the metric's unit. Right for champions below zero too.
    pub fn against(self, champion: f64) -> f64 {
        match self {
            Self::Absolute(margin) => margin,
            Self::Relative(share) => share * champion.abs(),
        }
    }
}

/// What an error costs, in any unit.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Costs {
    pub false_alarm: f64,
    pub missed: f64,
}

impl Default for Costs {
    fn default() -> Self {
        Self { false_alarm: 1.0, missed: 1.0 }
    }
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

fn one() -> f64 {
    1.0
}

fn tenth() -> f64 {
    0.1
}

fn min_positives() -> u64 {
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
    /// What the metrics are told.
    pub fn settings(&self) -> Settings {
        Settings {
            threshold: self.threshold,
            beta: self.beta,
            top: self.top,
            costs: [self.costs.false_alarm, self.costs.missed],
            quantile: self.quantile,
        }
    }

    /// The columns that are read, beside the champion's.
    pub fn columns(&self) -> Vec<String> {
        let mut columns = self.key.clone();
        columns.extend([self.label.clone(), self.candidate.clone()]);
        columns.extend(self.weight.clone());
        columns.extend(self.cluster.clone());
        columns.sort();
        columns.dedup();
        columns
    }

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
        for (name, share) in [("top", self.top), ("quantile", self.quantile)] {
            if !(share > 0.0 && share < 1.0) {
                return Err(format!("`{name}` is {share}, it must lie between 0 and 1"));
            }
        }
        let costs = [self.costs.false_alarm, self.costs.missed];
        if !(self.beta.is_finite() && self.beta > 0.0) {
            return Err(format!("`beta` is {}, it must be above 0", self.beta));
        }
        if costs.iter().any(|cost| !cost.is_finite() || *cost < 0.0) {
            return Err("`costs` must be finite and not negative".into());
        }
        if self.stratify && (self.cluster.is_some() || self.problem != Problem::Binary) {
            return Err("`stratify` is for binary problems without clusters".into());
        }
        self.rules.iter().enumerate().try_for_each(|(at, rule)| {
            self.check_rule(rule).map_err(|message| format!("`rules[{at}]`: {message}"))
        })
    }

    fn check_rule(&self, rule: &Rule) -> Result<(), String> {
        if !rule.metric.fits(self.problem) {
            return Err(format!("`{}` is not a metric of {} problems", rule.metric, self.problem));
        }
        let margin = rule.not_worse_than.map(Margin::size);
        let limits = [rule.min, rule.max, margin];
        if limits.iter().flatten().any(|limit| !limit.is_finite()) {
            return Err("limits must be finite numbers".into());
        }
        if rule.compares() && !rule.metric.has_better_values() {
            return Err(format!("`{}` has no better values: give min and max", rule.metric));
        }
        if margin.is_some_and(|margin| margin < 0.0) {
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
