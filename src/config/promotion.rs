//! `promotion`: how a version becomes the production model.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Override, SignOff};
use crate::names::{Alias, ModelName};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Promotion {
    /// The alias that production reads.
    pub alias: String,
    /// The alias that keeps what production read before.
    pub previous: String,
    /// The model, for what is not told it by evidence: `model-promote rollback`
    /// and `history`, `drift.on_drift: rollback`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub model: Option<ModelName>,
    /// For so many seconds nobody else moves the alias, should the mover die. A
    /// slow warehouse needs more of them.
    pub lease_seconds: u64,
    /// Evidence older than this many days is refused.
    pub max_evidence_days: f64,
    /// Who must agree.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sign_off: Option<SignOff>,
    /// Who may promote what the gate did not pass; nobody where left out.
    #[serde(rename = "override", skip_serializing_if = "Option::is_none")]
    pub overrule: Option<Override>,
}

impl Default for Promotion {
    fn default() -> Self {
        Self {
            alias: "champion".into(),
            previous: "previous".into(),
            model: None,
            lease_seconds: 30,
            max_evidence_days: 7.0,
            sign_off: None,
            overrule: None,
        }
    }
}

impl Promotion {
    pub(super) fn check(&self) -> Result<(), String> {
        self.alias.parse::<Alias>().map_err(|error| format!("`alias`: {error}"))?;
        self.previous.parse::<Alias>().map_err(|error| format!("`previous`: {error}"))?;
        if !(5..=600).contains(&self.lease_seconds) {
            return Err("`lease_seconds` must be between 5 and 600".into());
        }
        if self.alias == self.previous {
            return Err("`previous` must be another alias".into());
        }
        if !(self.max_evidence_days.is_finite() && self.max_evidence_days > 0.0) {
            return Err("`max_evidence_days` must be a positive number".into());
        }
        self.sign_off.as_ref().map_or(Ok(()), SignOff::check)?;
        self.overrule.as_ref().map_or(Ok(()), Override::check)
    }
}
