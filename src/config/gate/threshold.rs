//! From which score on a prediction counts as positive.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Problem;
use super::check::check_sql;
use crate::sql::Predicate;
use crate::stats::metrics::Metric;

/// A score, or how one is found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "a score such as 0.5, or `best` and `where`")]
pub enum Threshold {
    Given(f64),
    Chosen(Choice),
}

/// Each model's best score on rows of their own, which are not judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Choice {
    /// What is to be at its best: a metric of alarms.
    pub best: Metric,
    /// Which rows it is chosen on, as SQL: `split = 'validation'`.
    #[serde(rename = "where")]
    pub condition: String,
}

impl Default for Threshold {
    fn default() -> Self {
        Self::Given(0.5)
    }
}

impl Threshold {
    /// How it is chosen, if it is.
    pub fn choice(&self) -> Option<&Choice> {
        match self {
            Self::Given(_) => None,
            Self::Chosen(choice) => Some(choice),
        }
    }

    pub(super) fn check(&self, problem: Problem) -> Result<(), String> {
        // Precision and recall are at their best where the other one is worst.
        const FIT: [Metric; 7] = [
            Metric::F1,
            Metric::FBeta,
            Metric::Mcc,
            Metric::CohenKappa,
            Metric::Accuracy,
            Metric::BalancedAccuracy,
            Metric::Cost,
        ];
        match self {
            Self::Given(score) if *score > 0.0 && *score < 1.0 => Ok(()),
            Self::Given(score) => {
                Err(format!("`threshold` is {score}, it must lie between 0 and 1"))
            }
            Self::Chosen(_) if problem != Problem::Binary => {
                Err(format!("`threshold.best` is for binary problems, this one is {problem}"))
            }
            Self::Chosen(choice) if !FIT.contains(&choice.best) => Err(format!(
                "`threshold.best` is {}, which does not choose one: take one of {}",
                choice.best,
                FIT.map(Metric::as_str).join(", ")
            )),
            Self::Chosen(choice) => check_sql::<Predicate>("threshold.where", &choice.condition),
        }
    }
}
