//! The command line: one subcommand per step, the same in every binary.

use clap::{Parser, Subcommand};

use super::connection::Connection;
use super::publish::Publishing;
use crate::{
    bundle_deploy, doctor, drift_check, job_run, merge_test, model_gate, model_promote,
    model_serve, release_build,
};

/// From merge request to monitored model on Databricks.
#[derive(Debug, Parser)]
#[command(name = "lakegate", version, propagate_version = true, max_term_width = 100)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    #[command(about = job_run::ABOUT)]
    JobRun(Step<job_run::Args>),
    #[command(about = model_gate::ABOUT)]
    ModelGate(Step<model_gate::Args>),
    #[command(about = model_promote::ABOUT)]
    ModelPromote(Step<model_promote::Args>),
    #[command(about = model_serve::ABOUT)]
    ModelServe(Step<model_serve::Args>),
    #[command(about = drift_check::ABOUT)]
    DriftCheck(Step<drift_check::Args>),
    #[command(about = merge_test::ABOUT)]
    MergeTest(Step<merge_test::Args>),
    #[command(about = release_build::ABOUT)]
    ReleaseBuild(Step<release_build::Args>),
    #[command(about = bundle_deploy::ABOUT)]
    BundleDeploy(Step<bundle_deploy::Args>),
    #[command(about = doctor::ABOUT)]
    Doctor(Step<doctor::Args>),
    /// Walk the whole production loop in an embedded workspace
    #[cfg(feature = "local")]
    Tour(crate::tour::Args),
    /// Write the workflows that compose the commands, and a starter project where there is no bundle
    #[cfg(feature = "local")]
    Init(crate::init::Args),
    /// The embedded workspace
    #[cfg(feature = "local")]
    #[command(subcommand)]
    Workspace(super::workspace::Workspace),
    /// Write the actions, tasks and pages that follow from the arguments
    #[command(hide = true)]
    Manifests {
        /// The checkout
        #[arg(default_value = ".")]
        checkout: std::path::PathBuf,
    },
    /// Write the JSON Schema of a document
    Schema {
        #[arg(value_enum, default_value_t = Schema::Config)]
        of: Schema,
    },
}

/// A document that has a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Schema {
    /// lakegate.yml
    Config,
    /// The result of drift-check
    DriftResult,
}

/// One command without the others.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
pub(super) struct Alone<A: clap::Args> {
    #[command(flatten)]
    pub(super) step: Step<A>,
}

/// What every step takes beside its own arguments.
#[derive(Debug, clap::Args)]
pub(super) struct Step<A: clap::Args> {
    #[command(flatten)]
    pub(super) own: A,
    #[command(flatten, next_help_heading = "Workspace")]
    pub(super) connection: Connection,
    #[command(flatten, next_help_heading = "Output")]
    pub(super) publishing: Publishing,
}
