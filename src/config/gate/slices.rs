//! Parts of the rows: what must hold in each, and how far they may be apart.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::check::check_sql;
use super::{On, Problem, Rule};
use crate::sql::Predicate;

/// Rules for each part of the rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Slices {
    /// Columns whose values are a slice each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
    /// Conditions in SQL, by the name of their slice.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub conditions: BTreeMap<String, String>,
    /// How many values of each column are a slice of their own, the most frequent
    /// first; all others are one together.
    #[serde(default = "twenty")]
    pub top: usize,
    /// Fewer rows than this give no answer for a slice.
    #[serde(default = "hundred")]
    pub min_rows: u64,
    pub rules: Vec<Rule>,
}

/// How far groups may be apart in how they are treated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fairness {
    /// The column of the groups.
    pub by: String,
    pub measure: Fair,
    /// Between the groups with the highest and the lowest share.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_difference: Option<f64>,
    /// The lowest share over the highest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_ratio: Option<f64>,
    /// Whether the limits are held against the shares as they are, or against the
    /// worse end of what they may be: of every pair of groups at once (Bonferroni).
    #[serde(default)]
    pub on: On,
    /// Groups of fewer rows give no answer.
    #[serde(default = "hundred")]
    pub min_rows: u64,
}

/// Which shares of alarms must be alike in all groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fair {
    /// Among all rows.
    DemographicParity,
    /// Among the positives (Hardt, Price and Srebro 2016).
    EqualOpportunity,
    /// Among the positives, and among the negatives.
    EqualizedOdds,
}

impl Fair {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DemographicParity => "demographic parity",
            Self::EqualOpportunity => "equal opportunity",
            Self::EqualizedOdds => "equalized odds",
        }
    }
}

fn twenty() -> usize {
    20
}

fn hundred() -> u64 {
    100
}

impl Slices {
    pub(super) fn check(&self) -> Result<(), String> {
        if self.columns.is_empty() && self.conditions.is_empty() {
            return Err("`slices` has neither columns nor conditions".into());
        }
        if self.rules.is_empty() {
            return Err("`slices.rules` is empty: say what must hold in each slice".into());
        }
        if self.top == 0 {
            return Err("`slices.top` is 0: no value would be looked at".into());
        }
        self.conditions.iter().try_for_each(|(name, condition)| {
            check_sql::<Predicate>(&format!("slices.conditions.{name}"), condition)
        })
    }
}

impl Fairness {
    pub(super) fn check(&self, problem: Problem) -> Result<(), String> {
        if problem != Problem::Binary {
            return Err(format!(
                "it compares shares of alarms, which {problem} problems do not have"
            ));
        }
        if self.max_difference.is_none() && self.min_ratio.is_none() {
            return Err("it has no limit: give max_difference or min_ratio".into());
        }
        let limits = [self.max_difference, self.min_ratio];
        if limits.iter().flatten().any(|limit| !(0.0..=1.0).contains(limit)) {
            return Err("limits must lie between 0 and 1".into());
        }
        Ok(())
    }
}
