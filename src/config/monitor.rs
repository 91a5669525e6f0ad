//! `drift.monitor`: the numbers of Databricks' own data profiling instead of
//! ours.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::windows;
use crate::names::TableName;

/// What the windows of a monitor are compared with.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MonitorAgainst {
    /// The monitor's baseline table.
    #[default]
    Baseline,
    /// The window before.
    Previous,
}

/// How the metric tables of the current table's monitor are read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Monitor {
    /// Refreshes the monitor first, and waits.
    pub refresh: bool,
    /// How long: `2h`.
    pub timeout: String,
    pub against: MonitorAgainst,
    /// As the tables write it: `1 day`. Needed where they hold several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub granularity: Option<String>,
    /// The model's id in an inference log; all models when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// `key=value` of a slice; all rows when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slice: Option<String>,
    /// Where the monitor's own tables are named otherwise than it says.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub drift_table: Option<TableName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub profile_table: Option<TableName>,
    /// Makes the monitor when the table has none: the fields of a bundle's
    /// `quality_monitors`, such as `output_schema_name` and `time_series`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub create: Option<serde_json::Value>,
}

impl Default for Monitor {
    fn default() -> Self {
        Self {
            refresh: true,
            timeout: "2h".into(),
            against: MonitorAgainst::default(),
            granularity: None,
            model: None,
            slice: None,
            drift_table: None,
            profile_table: None,
            create: None,
        }
    }
}

impl Monitor {
    pub(super) fn check(&self) -> Result<(), String> {
        if self.timeout_ms().is_none() {
            return Err("`monitor.timeout`: give a number of m, h, d or w, such as 2h".into());
        }
        if self.slice.as_ref().is_some_and(|slice| !slice.contains('=')) {
            return Err("`monitor.slice` is written `key=value`".into());
        }
        Ok(())
    }

    pub fn timeout_ms(&self) -> Option<i64> {
        windows::milliseconds(&self.timeout)
    }
}
