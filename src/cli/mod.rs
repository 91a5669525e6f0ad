//! The edge: from arguments to a request, from an outcome to the host and an
//! exit code. Everything that reads flags or prints lives here.

mod blank;
mod command;
mod connection;
mod entry;
pub mod exit;
mod manifests;
mod publish;
mod stdout;
#[cfg(feature = "local")]
mod workspace;

pub use entry::{
    bundle_deploy, doctor, drift_check, job_run, main, merge_test, model_gate, model_promote,
    model_serve, read, release_build,
};
