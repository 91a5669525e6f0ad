//! Records beside the lakehouse: Azure Monitor, and lines of JSON.

mod azure;

use std::path::PathBuf;

use anyhow::Result;
use serde_json::Value;

use crate::config;
use crate::databricks::Masker;
use crate::record::{self, DecisionRow, DriftRow, Row};
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

    /// Sends what was found, column by column. A record that arrives twice, since
    /// an answer was lost, has the same `event_id`.
    pub async fn send(&self, results: &[DriftRow]) -> Result<()> {
        let records = self.write(results)?;
        match &self.monitor {
            Some(monitor) => monitor.send(&monitor.results, &records).await,
            None => Ok(()),
        }
    }

    /// Sends what was decided, where a stream takes it.
    pub async fn send_decision(&self, decision: &DecisionRow) -> Result<()> {
        let records = self.write(std::slice::from_ref(decision))?;
        match self.monitor.as_ref().and_then(|monitor| Some((monitor, monitor.decisions.as_ref()?)))
        {
            Some((monitor, stream)) => monitor.send(stream, &records).await,
            None => Ok(()),
        }
    }

    /// Adds a line for each record, with the name of its table.
    fn write<R: Row>(&self, rows: &[R]) -> Result<Vec<Value>> {
        let records: Vec<Value> = rows.iter().map(record::json).collect();
        if let Some(path) = &self.lines {
            let line = |record: &Value| {
                let mut record = record.clone();
                record["table"] = R::TABLE.into();
                format!("{record}\n")
            };
            fs::append(path, &records.iter().map(line).collect::<String>())?;
        }
        Ok(records)
    }
}
