//! The suite's only integration-test binary: the real commands, over real
//! HTTP, in the embedded workspace.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and looks at files from outside"
)]

mod actions;
mod agent;
mod architecture;
mod azure;
mod commands;
mod conformance;
mod deployments;
mod devops;
mod drift;
mod durability;
mod init;
mod interchange;
mod merges;
mod monitors;
mod promotion;
mod reactions;
mod releases;
mod storage;
mod support;
mod tour;
