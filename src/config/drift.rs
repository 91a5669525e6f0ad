//! `drift`: when data counts as drifted, and what follows.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::names::TableName;

/// What a drift verdict does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnDrift {
    /// Tell people: the step fails and the report says why.
    #[default]
    Notify,
    /// Start the retraining job, once per window.
    Retrain,
}

/// The policy of `drift-check`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Drift {
    /// The table that shows how the data was when the model was made.
    #[schemars(with = "String")]
    pub baseline: TableName,
    /// A condition on the baseline's rows, as SQL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline_where: Option<String>,
    /// The table with the data as it is now.
    #[schemars(with = "String")]
    pub current: TableName,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_where: Option<String>,
    /// The columns to look at; all that both tables have when empty.
    #[serde(default)]
    pub columns: Vec<String>,
    /// Columns to leave out: identifiers and times always differ.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// A column drifted when its population stability index is above this and
    /// the difference is significant.
    #[serde(default = "psi")]
    pub psi: f64,
    /// The level of significance, shared between the columns (Benjamini-Hochberg).
    #[serde(default = "alpha")]
    pub alpha: f64,
    /// A change of the share of nulls above this is drift of its own.
    #[serde(default = "nulls")]
    pub nulls: f64,
    /// The table drifted when at least this share of its columns did.
    #[serde(default = "share")]
    pub share: f64,
    /// One of these alone makes the table drift.
    #[serde(default)]
    pub critical: Vec<String>,
    /// Fewer rows than this on either side give no answer.
    #[serde(default = "min_rows")]
    pub min_rows: u64,
    #[serde(default)]
    pub on_drift: OnDrift,
    /// The job that `on_drift: retrain` starts: a name, an id or a bundle key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retrain_job: Option<String>,
}

fn psi() -> f64 {
    0.2
}

fn alpha() -> f64 {
    0.01
}

fn nulls() -> f64 {
    0.05
}

fn share() -> f64 {
    0.3
}

fn min_rows() -> u64 {
    500
}

impl Drift {
    pub(super) fn check(&self) -> Result<(), String> {
        for (name, value) in [("psi", self.psi), ("nulls", self.nulls)] {
            if !(value.is_finite() && value > 0.0) {
                return Err(format!("`{name}` must be a positive number"));
            }
        }
        for (name, value) in [("alpha", self.alpha), ("share", self.share)] {
            if !(value > 0.0 && value <= 1.0) {
                return Err(format!("`{name}` must lie between 0 and 1"));
            }
        }
        if self.on_drift == OnDrift::Retrain && self.retrain_job.is_none() {
            return Err("`on_drift: retrain` needs `retrain_job`".into());
        }
        Ok(())
    }
}
