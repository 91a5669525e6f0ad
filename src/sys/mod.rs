//! The operating system: files, processes, environment, clock, network.
//!
//! The only place that touches `std::fs` and `std::process`; `clippy.toml`
//! refuses them elsewhere.

pub mod clock;
pub mod env;
pub mod fs;
pub mod git;
pub mod https;
pub mod kept;
pub mod process;
pub mod retry;
pub mod terminal;

pub use env::Env;
