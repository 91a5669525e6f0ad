//! `merge-test`: what a change must pass before it is merged.

mod affected;
mod args;
mod change;
mod environment;
mod imports;
mod integration;
mod run;
mod shards;
mod tell;
mod unit;

pub use args::{ABOUT, Args, OUTPUTS};
pub use run::{Request, run};
