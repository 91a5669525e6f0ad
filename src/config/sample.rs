//! `drift.sample`: some of the rows instead of all.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The rows that are looked at, of both sides.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sample {
    /// The share of the rows, above 0 and up to 1.
    pub share: f64,
    /// The same seed chooses the same rows again.
    #[serde(default)]
    pub seed: u64,
}

impl Sample {
    pub(super) fn check(self) -> Result<(), String> {
        if self.share > 0.0 && self.share <= 1.0 {
            Ok(())
        } else {
            Err("`sample.share` must lie above 0 and not above 1".into())
        }
    }
}
