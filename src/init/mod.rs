//! `lakegate init`: the workflows that compose the commands, for a repository
//! as it is.

mod adopt;
mod answers;
mod args;
mod ask;
mod change;
mod compose;
mod facts;
mod next;
mod place;
mod policies;
mod record;
mod remote;
mod render;
mod run;
mod shared;

pub use args::Args;
pub use run::run;
pub use shared::shared;
