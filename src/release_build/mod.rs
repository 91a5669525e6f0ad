//! `release-build`: one commit, tested, packed into bytes that can be proved.

mod args;
mod pack;
mod publish;
mod run;
mod tested;

pub use args::Args;
pub use run::{Request, run};
