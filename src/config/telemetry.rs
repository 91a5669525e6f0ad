//! `telemetry`: where records go beside the lakehouse.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Telemetry {
    /// A file that each record is added to, as one line of JSON.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub json_lines: Option<String>,
    /// Azure Monitor, through its Logs Ingestion API.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub azure_monitor: Option<AzureMonitor>,
}

/// Where a data collection rule takes records in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AzureMonitor {
    /// The address of the data collection endpoint, or of the rule itself.
    pub endpoint: String,
    /// The rule's immutable id, `dcr-…`.
    pub rule: String,
    /// The stream of drift results, such as `Custom-LakegateDrift`.
    pub stream: String,
    /// The stream of drift decisions, such as `Custom-LakegateDecisions`; they
    /// are not sent when it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decisions: Option<String>,
}

impl Telemetry {
    pub(super) fn check(&self) -> Result<(), String> {
        let Some(monitor) = &self.azure_monitor else { return Ok(()) };
        if !monitor.rule.starts_with("dcr-") {
            return Err(
                "`azure_monitor.rule` is the immutable id of a data collection rule, `dcr-…`"
                    .into(),
            );
        }
        let plain = |text: &str| {
            text.chars().all(|char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_'))
        };
        let decisions = monitor.decisions.as_deref().unwrap_or_default();
        if ![&monitor.rule, &monitor.stream, decisions].into_iter().all(plain) {
            return Err("`azure_monitor`: letters, digits, `-` and `_` only".into());
        }
        Ok(())
    }
}
