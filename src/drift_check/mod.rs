//! `drift-check`: data now against data then, and what follows.

mod answered;
mod args;
mod bins;
mod categories;
mod compare;
mod compat;
mod decide;
mod describe;
mod frame;
mod judge;
mod keys;
mod measured;
mod metrics;
mod monitor;
mod performance;
mod profile;
mod pushdown;
mod quality;
mod react;
mod result;
mod retrain;
mod rows;
mod run;
mod schema;
mod scopes;
mod sides;
mod target;
mod together;
mod warehouse;

#[cfg(test)]
mod alarms_tests;

pub use args::{ABOUT, Args, OUTPUTS};
pub use result::Document;
pub use run::{Request, run};
