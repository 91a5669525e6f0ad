//! `drift.between`: what no column shows by itself.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Compares columns with each other, on some rows of both sides.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Between {
    /// Rows that are looked at, of each side; drawn with a fixed seed.
    pub rows: usize,
    /// The largest change of a correlation.
    pub correlation: f64,
    /// The relative change of the error with which the baseline's principal
    /// components describe the rows.
    pub reconstruction: f64,
    /// How far above one half the area under the curve of a model lies that
    /// tells the sides apart.
    pub classifier: f64,
    /// Whether it can make the table drift, or only watched.
    pub decides: bool,
}

impl Default for Between {
    fn default() -> Self {
        Self {
            rows: 20_000,
            correlation: 0.1,
            reconstruction: 0.1,
            classifier: 0.1,
            decides: false,
        }
    }
}

impl Between {
    pub(super) fn check(self) -> Result<(), String> {
        if !(100..=1_000_000).contains(&self.rows) {
            return Err("`between.rows` must lie between 100 and 1000000".into());
        }
        for (name, limit) in [
            ("correlation", self.correlation),
            ("reconstruction", self.reconstruction),
            ("classifier", self.classifier),
        ] {
            if !(limit.is_finite() && limit > 0.0) {
                return Err(format!("`between.{name}` must be a positive number"));
            }
        }
        Ok(())
    }
}
