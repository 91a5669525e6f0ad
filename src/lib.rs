//! Lakegate carries machine-learning code from a merge request to monitored
//! production on Databricks: one small binary per step.

pub mod bundle;
pub mod bundle_deploy;
pub mod checkout;
pub mod cli;
pub mod config;
pub mod databricks;
pub mod drift_check;
pub mod host;
pub mod job_run;
pub mod lake;
#[cfg(feature = "local")]
pub mod local;
pub mod model_gate;
pub mod model_promote;
pub mod names;
pub mod record;
pub mod report;
pub mod stats;
pub mod step;
pub mod sys;
#[cfg(feature = "local")]
pub mod tour;
