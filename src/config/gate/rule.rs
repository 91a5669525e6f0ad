//! One condition on one metric.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Better;
use crate::stats::metrics::{Measure, Metric};

/// One condition. All rules must hold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// A metric of the problem, or one of the policy's own `measures`.
    #[schemars(with = "Name")]
    pub metric: String,
    /// The candidate's value is at least this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    /// The candidate's value is at most this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    /// What decides: the value, as it is for `min` and `max` where nothing is said, or
    /// the bound of its interval, as it is for comparisons.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<On>,
    /// The candidate is worse than the champion by less than this margin. A number in
    /// the metric's unit, or a share of the champion's size such as `2%`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<MarginText>")]
    pub not_worse_than: Option<Margin>,
    /// The candidate is better than the champion.
    #[serde(default)]
    pub better_than_champion: bool,
    /// How the comparison is made.
    #[serde(default)]
    pub method: Test,
    /// Of this rule's interval, where it is not the policy's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f64>,
    /// Whether the confidence is shared by both ends of the interval.
    #[serde(default)]
    pub sided: Sided,
}

#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "the schema alone looks at it")]
enum Name {
    Metric(Metric),
    Own(String),
}

/// The value itself, or the end of its interval that is worse.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum On {
    #[default]
    Value,
    Bound,
}

/// How a comparison with the champion is made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Test {
    /// The paired bootstrap, of any metric.
    #[default]
    Bootstrap,
    /// The variance of placements, of `roc_auc` (DeLong 1988).
    Delong,
    /// Rows that only one model gets right, for `accuracy` and
    /// `better_than_champion` (McNemar 1947, exact).
    Mcnemar,
    /// Answers swapped at random, for `better_than_champion`.
    Permutation,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Sided {
    /// Each end of a 95 % interval is crossed by chance in 2.5 %.
    #[default]
    Two,
    /// The end that decides is crossed by chance in 5 %.
    One,
}

impl Rule {
    /// Whether the rule looks at a champion.
    pub fn compares(&self) -> bool {
        self.better_than_champion || self.not_worse_than.is_some()
    }

    /// Whether `min` and `max` are held against the end of an interval.
    pub fn bounds_limits(&self) -> bool {
        self.on == Some(On::Bound)
    }

    /// Whether the comparison is of the two values alone.
    pub fn compares_values(&self) -> bool {
        self.compares() && self.on == Some(On::Value)
    }

    /// The chance of crossing the end of the interval that decides.
    pub fn level(&self, confidence: f64) -> f64 {
        let outside = 1.0 - self.confidence.unwrap_or(confidence);
        match self.sided {
            Sided::Two => outside / 2.0,
            Sided::One => outside,
        }
    }

    pub(super) fn check(&self, (measure, better): (&Measure, Better)) -> Result<(), String> {
        let margin = self.not_worse_than.map(Margin::size);
        let limits = [self.min, self.max, margin];
        if limits.iter().flatten().any(|limit| !limit.is_finite()) {
            return Err("limits must be finite numbers".into());
        }
        if self.compares() && better == Better::Neither {
            return Err(format!("`{measure}` has no better values: give min and max"));
        }
        if margin.is_some_and(|margin| margin < 0.0) {
            return Err("`not_worse_than` is a margin, it cannot be negative".into());
        }
        let is_limited = self.min.is_some() || self.max.is_some();
        if is_limited && self.compares_values() {
            return Err("`on: value` would count for min or max and for the comparison: say it in two rules".into());
        }
        if limits.iter().all(Option::is_none) && !self.better_than_champion {
            return Err(format!(
                "it says nothing about `{measure}`: give min, max, not_worse_than or better_than_champion"
            ));
        }
        if self.confidence.is_some_and(|confidence| !(confidence > 0.5 && confidence < 1.0)) {
            return Err("`confidence` must lie between 0.5 and 1".into());
        }
        let fits = match self.method {
            Test::Bootstrap => true,
            Test::Delong => *measure == Measure::Metric(Metric::RocAuc),
            Test::Mcnemar => *measure == Measure::Metric(Metric::Accuracy),
            Test::Permutation => true,
        };
        if !fits {
            return Err(format!(
                "`method` does not know `{measure}`: delong is for roc_auc, mcnemar for accuracy"
            ));
        }
        if matches!(self.method, Test::Mcnemar | Test::Permutation) && self.not_worse_than.is_some()
        {
            return Err("`method` tells who is better, it knows no margin: leave out not_worse_than, or take bootstrap".into());
        }
        if self.method != Test::Bootstrap && !self.compares() {
            return Err("`method` is for comparisons with the champion".into());
        }
        if self.method != Test::Bootstrap && self.compares_values() {
            return Err("`on: value` compares without a method: leave one of them out".into());
        }
        Ok(())
    }
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
    pub(super) fn size(self) -> f64 {
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
