//! An A/B test on live traffic, as a condition of the gate.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Better;
use crate::names::Source;

/// Outcomes of units that were served by one model or the other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Experiment {
    /// A table, or files, of outcomes: one row each, or several per unit.
    #[schemars(with = "String")]
    pub outcomes: Source,
    /// The column of what was given to one model or the other, such as a
    /// customer: rows of one are not independent, and count as their mean.
    pub unit: String,
    /// The column of the group.
    pub group: String,
    /// Its value for the candidate.
    pub candidate: String,
    /// Its value for the champion.
    pub champion: String,
    /// The share of units that the candidate was to serve.
    #[serde(default = "half")]
    pub share: f64,
    /// Groups whose sizes are as unlikely as this were not drawn as planned.
    #[serde(default = "unlikely")]
    pub sample_ratio_p: f64,
    /// Whether the intervals hold however often one looks; without it, at one
    /// look that was planned.
    #[serde(default = "yes")]
    pub sequential: bool,
    /// Fewer units in either group give no answer. Sequential intervals are
    /// tightest at twice as many in all.
    #[serde(default = "thousand")]
    pub min_units: u64,
    pub rules: Vec<LiveRule>,
}

/// One condition on the difference of means.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LiveRule {
    /// The column of the outcome: a number, or whether it happened.
    pub outcome: String,
    /// A column of what was known of the unit before, which takes noise away.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub covariate: Option<String>,
    #[serde(default)]
    pub better: Better,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_worse_than: Option<f64>,
    #[serde(default)]
    pub better_than_champion: bool,
}

fn half() -> f64 {
    0.5
}

fn unlikely() -> f64 {
    0.001
}

fn yes() -> bool {
    true
}

fn thousand() -> u64 {
    1000
}

impl Experiment {
    pub(super) fn check(&self) -> Result<(), String> {
        if self.candidate == self.champion {
            return Err("`experiment`: candidate and champion are one group".into());
        }
        for (name, share) in [("share", self.share), ("sample_ratio_p", self.sample_ratio_p)] {
            if !(share > 0.0 && share < 1.0) {
                return Err(format!("`experiment.{name}` is {share}, it must lie between 0 and 1"));
            }
        }
        if self.min_units < 2 {
            return Err("`experiment.min_units` must be 2 or more".into());
        }
        if self.rules.is_empty() {
            return Err("`experiment.rules` is empty: say what must hold".into());
        }
        for (at, rule) in self.rules.iter().enumerate() {
            let wrong = |why: &str| Err(format!("`experiment.rules[{at}]`: {why}"));
            if rule.not_worse_than.is_none() && !rule.better_than_champion {
                return wrong("it says nothing: give not_worse_than or better_than_champion");
            }
            if rule.better == Better::Neither {
                return wrong("`better` must be higher or lower");
            }
            if rule.not_worse_than.is_some_and(|margin| !(margin.is_finite() && margin >= 0.0)) {
                return wrong("`not_worse_than` is a margin, it cannot be negative");
            }
        }
        Ok(())
    }
}
