//! `model-gate`: whether a model version passes.

mod args;
mod decide;
mod fairness;
mod frame;
mod input;
mod measure;
mod outcome;
mod run;

pub use args::Args;
pub use run::{Request, run};
