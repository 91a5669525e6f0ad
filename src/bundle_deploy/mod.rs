//! `bundle-deploy`: plan, apply exactly that plan, or destroy.

mod args;
mod run;

pub use args::Args;
pub use run::{Mode, Request, run};
