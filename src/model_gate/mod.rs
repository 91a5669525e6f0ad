//! `model-gate`: whether a model version passes.

mod advisories;
mod args;
mod change;
mod evaluation;
mod facts;
mod fairness;
mod frame;
mod input;
mod live;
mod measure;
mod outcome;
mod parts;
mod reader;
mod run;
mod verify;
mod versions;

pub use args::{ABOUT, Args, OUTPUTS};
pub use run::{Judge, Request, run};
