//! The suite's only integration-test binary: the real commands, over real
//! HTTP, in the embedded workspace.

mod architecture;
mod commands;
mod conformance;
mod durability;
mod support;
mod tour;
