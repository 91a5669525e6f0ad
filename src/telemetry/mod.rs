//! Records beside the lakehouse: Azure Monitor, and lines of JSON.

mod azure;

use std::path::PathBuf;

use anyhow::Result;
use serde_json::Value;

use crate::config;
use crate::databricks::Masker;
use crate::record::{self, Row};
use crate::sys::{Env, fs};

/// Where records go.
#[derive(Debug)]
pub struct Telemetry {
    lines: Option<PathBuf>,
    monitor: Option<azure::Monitor>,
}

impl Telemetry {
    /// # Errors
    /// When the endpoint is not one of Azure Monitor, or no way to sign in is
    /// configured: this is told before anything is done.
    pub fn new(config: &config::Telemetry, env: &Env, masker: Masker) -> Result<Self> {
        let monitor = config.azure_monitor.as_ref();
        Ok(Self {
            lines: config.json_lines.as_ref().map(PathBuf::from),
            monitor: monitor
                .map(|monitor| azure::Monitor::new(monitor, env, masker))
                .transpose()?,
        })
    }

    /// Sends records. One that arrives twice, since an answer was lost, has the
    /// same `event_id`.
    pub async fn send<R: Row>(&self, rows: &[R]) -> Result<()> {
        let records: Vec<Value> = rows.iter().map(record::json).collect();
        if let Some(path) = &self.lines {
            let text: String = records.iter().map(|record| format!("{record}\n")).collect();
            fs::append(path, &text)?;
        }
        match &self.monitor {
            Some(monitor) => monitor.send(&records).await,
            None => Ok(()),
        }
    }
}
