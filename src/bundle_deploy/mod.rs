//! `bundle-deploy`: plan, apply exactly that plan, or destroy.

mod apply;
mod args;
mod artifacts;
mod deployment;
mod run;

pub use args::Args;
pub use run::{Mode, Request, run};
