//! `job-run`: start a job once, wait for it, explain its failures.

mod args;
mod run;
mod token;
mod watch;

pub use args::Args;
pub use run::{Request, Started, run};

use crate::names::near;
use crate::report::Fault;

/// How the caller names the job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobRef {
    Id(i64),
    Name(String),
}

/// No such job; the near names help.
pub(crate) fn unknown_job(name: &str, known: &[String]) -> Fault {
    let fault = Fault::usage(format!("no job is called `{name}`"));
    let names: Vec<&str> = known.iter().map(String::as_str).collect();
    if near(name, names.iter().copied()).is_empty() && names.is_empty() {
        return fault.hint("the workspace has no jobs: deploy the bundle first");
    }
    fault.or_near(name, names.iter().copied())
}
