//! `release-build`: one commit, tested, packed into bytes that can be proved.

mod args;
mod pack;
mod publish;
mod run;
mod tested;

pub use args::{ABOUT, Args, OUTPUTS};
pub use run::{Request, run};
