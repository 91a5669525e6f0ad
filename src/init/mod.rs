//! `lakegate init`: the workflows that compose the commands, for a repository
//! as it is.

mod adopt;
mod args;
mod next;
mod render;
mod run;

pub use args::Args;
pub use run::run;
