//! `drift-check`: data now against data then, and what follows.

mod args;
mod columns;
mod decide;
mod run;

pub use args::Args;
pub use run::{Request, run};
