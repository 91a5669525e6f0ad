//! `model-gate`: whether a model version passes.

mod args;
mod decide;
mod input;
mod run;

pub use args::Args;
pub use run::{Request, run};
