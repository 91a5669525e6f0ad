//! `model-promote`: a version becomes the production model, on the strength of
//! a gate's evidence.

mod args;
mod check;
mod copy;
mod run;
mod sign_off;

pub use args::{ABOUT, Args, OUTPUTS};
pub use run::{Action, Promote, Request, run};
