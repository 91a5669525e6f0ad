//! `doctor`: what the other commands need, looked at before they need it.

mod args;
mod check;
mod compute;
mod data;
mod federation;
mod gates;
mod inputs;
mod jobs;
mod permissions;
mod published;
mod repository;
mod rights;
mod run;
mod workflows;

pub use args::{ABOUT, Args, OUTPUTS};
pub use run::{Request, run};
