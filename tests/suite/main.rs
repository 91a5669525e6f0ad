//! The suite's only integration-test binary: the real commands, over real
//! HTTP, in the embedded workspace.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and looks at files from outside"
)]

mod acceptance;
mod actions;
mod agent;
mod architecture;
mod azure;
mod commands;
mod conformance;
mod deployments;
mod docs;
mod doctor;
mod drift;
mod drift_files;
mod durability;
mod fine_tuning;
mod gates;
mod github;
mod hosts;
mod init;
mod interchange;
mod merges;
mod monitors;
mod orchestrators;
mod promotion;
mod publish;
mod reactions;
mod releases;
mod repositories;
mod serving;
mod storage;
mod support;
