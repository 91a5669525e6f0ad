//! What must hold of a version when it runs.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::names::Source;

/// Results of a job that loaded the version and used it, and their limits. The
/// runner never reads a model itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Infrastructure {
    /// A table, or files, with the columns `model`, `version`, `check`, `value`
    /// and `at`; the newest value of each check counts.
    #[schemars(with = "String")]
    pub results: Source,
    /// By the name of a check. One without a result does not pass.
    pub limits: BTreeMap<String, Range>,
    /// Older results do not count.
    #[serde(default = "week")]
    pub max_age_days: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Range {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
}

fn week() -> f64 {
    7.0
}

impl Infrastructure {
    pub(super) fn check(&self) -> Result<(), String> {
        if self.limits.is_empty() {
            return Err("`infrastructure.limits` is empty: say what must hold".into());
        }
        if !(self.max_age_days.is_finite() && self.max_age_days > 0.0) {
            return Err("`infrastructure.max_age_days` must be a positive number".into());
        }
        for (name, range) in &self.limits {
            let ends = [range.min, range.max];
            if ends.iter().all(Option::is_none) {
                return Err(format!("`infrastructure.limits.{name}` has neither min nor max"));
            }
            if ends.iter().flatten().any(|end| !end.is_finite()) {
                return Err(format!("`infrastructure.limits.{name}` must be finite"));
            }
        }
        Ok(())
    }
}
