//! The operating system: files, processes, environment, clock.
//!
//! The only place that touches `std::fs` and `std::process`; `clippy.toml`
//! refuses them elsewhere.

pub mod clock;
pub mod env;
pub mod fs;
pub mod process;

pub use env::Env;
