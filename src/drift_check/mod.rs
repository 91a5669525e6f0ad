//! `drift-check`: data now against data then, and what follows.

mod args;
mod compare;
mod decide;
mod describe;
mod run;
mod schema;
mod scopes;

pub use args::Args;
pub use run::{Request, run};
