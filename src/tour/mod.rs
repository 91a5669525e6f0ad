//! `lakegate tour`: the whole production loop in an embedded workspace.
//!
//! A demonstration and a test: real flights, real processes, real HTTP, and
//! exit code 0 only when every step did what it should. What is done is
//! remembered after each step; a tour that was killed goes on where it was.

mod args;
mod project;
mod report;
mod repository;
mod run;
mod steps;
mod travel;

pub use args::Args;
pub use run::run;
