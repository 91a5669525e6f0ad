//! `job-run`: start a job once, wait for it, explain its failures.

mod args;
mod run;

pub use args::{ABOUT, Args, OUTPUTS};
pub use run::{Request, Start, run};
