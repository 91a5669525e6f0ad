//! `promotion`: how a version becomes the production model.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::names::Alias;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Promotion {
    /// The alias that production reads.
    pub alias: String,
    /// Evidence older than this many days is refused.
    pub max_evidence_days: f64,
}

impl Default for Promotion {
    fn default() -> Self {
        Self { alias: "champion".into(), max_evidence_days: 7.0 }
    }
}

impl Promotion {
    pub(super) fn check(&self) -> Result<(), String> {
        self.alias.parse::<Alias>().map_err(|error| format!("`alias`: {error}"))?;
        if !(self.max_evidence_days.is_finite() && self.max_evidence_days > 0.0) {
            return Err("`max_evidence_days` must be a positive number".into());
        }
        Ok(())
    }
}
