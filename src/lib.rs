//! Lakegate carries machine-learning code from a merge request to monitored
//! production on Databricks: one small binary per step.
//!
//! # Layers
//!
//! `bin → cli → features → adapters → pure`, one direction. A feature is a
//! folder named after its command: `args.rs` knows the command line, `run.rs`
//! does the I/O, every other file is pure. What two features need moves down.
//! [`local`] is the embedded workspace; it speaks the same REST as the real
//! one, so that tests, the tour and users share one code path.
//!
//! # The life of a step
//!
//! Environment and flags become `Args`, those a typed `Request`; the feature
//! turns it into an [`report::Outcome`] and prints nothing; the edge publishes
//! the outcome and maps its verdict to the exit code. A negative verdict is an
//! answer. Errors are for what could not be answered, and say what to change.

pub mod bundle;
pub mod bundle_deploy;
pub mod checkout;
pub mod cli;
pub mod config;
pub mod databricks;
pub mod deployment;
pub mod doctor;
pub mod drift_check;
pub mod forge;
pub mod host;
#[cfg(feature = "local")]
pub mod init;
pub mod job_run;
pub mod lake;
#[cfg(feature = "local")]
pub mod local;
pub mod merge_test;
pub mod model_gate;
pub mod model_promote;
pub mod model_serve;
pub mod names;
pub mod record;
pub mod registry;
pub mod release;
pub mod release_build;
pub mod report;
pub mod results;
pub mod runs;
pub mod sql;
#[cfg(feature = "local")]
pub mod starter;
pub mod stats;
pub mod step;
pub mod sys;
pub mod telemetry;
#[cfg(feature = "local")]
pub mod tour;
pub mod verdict;

/// Static binaries: musl's own allocator holds threads up.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
