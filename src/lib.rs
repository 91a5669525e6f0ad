//! Lakegate carries machine-learning code from a merge request to monitored
//! production on Databricks: one small binary per step.

pub mod bundle;
pub mod config;
pub mod databricks;
pub mod host;
#[cfg(feature = "local")]
pub mod local;
pub mod names;
pub mod report;
pub mod stats;
pub mod step;
pub mod sys;
