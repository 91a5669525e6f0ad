//! Lakegate carries machine-learning code from a merge request to monitored
//! production on Databricks: one small binary per step.

pub mod databricks;
pub mod host;
pub mod names;
pub mod report;
pub mod sys;
#[cfg(feature = "local")]
pub mod local;
