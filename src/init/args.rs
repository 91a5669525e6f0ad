//! The arguments of `init`.

use std::path::PathBuf;

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Where {
    /// GitHub Actions
    Github,
    /// Azure Pipelines, for a repository at Azure DevOps or at GitHub
    Azure,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum On {
    /// A Databricks workspace, signed in to by workload identity
    Databricks,
    /// The embedded workspace, on the runner: to try the checks without an account
    Embedded,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Module {
    /// Fine-tuning of a foundation model: jobs, policies, and a workflow of its own
    FineTuning,
}

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The CI host
    #[arg(long, value_enum, default_value = "github")]
    pub(super) host: Where,
    /// Where the jobs run
    #[arg(long, value_enum, default_value = "databricks")]
    pub(super) workspace: On,
    /// The folder of databricks.yml; an empty one gets the starter project
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(super) dir: PathBuf,
    /// The branch that merge requests go to
    #[arg(long, default_value = "main")]
    pub(super) main: String,
    /// The target that merge requests are tested in (default: the bundle's default one)
    #[arg(long, value_name = "TARGET")]
    pub(super) test_target: Option<String>,
    /// The target that the main branch is deployed to (default: staging)
    #[arg(long, value_name = "TARGET")]
    pub(super) staging_target: Option<String>,
    /// The target that releases are deployed to (default: prod, production)
    #[arg(long, value_name = "TARGET")]
    pub(super) production_target: Option<String>,
    /// For GitHub: the commit of a release of Lakegate that the workflows use
    #[arg(long, value_name = "SHA")]
    pub(super) suite_ref: Option<String>,
    /// Python on the runner
    #[arg(long, default_value = "3.12")]
    pub(super) python: String,
    /// What the project has beside the usual loop
    #[arg(long, value_enum)]
    pub(super) with: Option<Module>,
    /// Write over files that were changed since they were written
    #[arg(long)]
    pub(super) force: bool,
    /// Only tell what would be written
    #[arg(long)]
    pub(super) dry_run: bool,
}
