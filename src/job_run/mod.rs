//! `job-run`: start a job once, wait for it, explain its failures.

mod args;
mod run;

pub use args::Args;
pub use run::{Request, run};
