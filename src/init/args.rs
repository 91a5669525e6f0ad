//! The arguments of `init`.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::adopt::{Chosen, Roles};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Where {
    /// GitHub Actions
    Github,
    /// Azure Pipelines, for a repository at Azure DevOps
    Azure,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(super) enum On {
    /// A Databricks workspace
    Databricks,
    /// The embedded workspace, on the runner: to try the checks without an account
    Embedded,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Workflows {
    /// Whole workflows in this repository, every step to see and to change
    Whole,
    /// Short ones that call Lakegate's own, which change with the release they name
    Call,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(super) enum SignIn {
    /// Workload identity: no secret
    Federation,
    /// The secrets that a project made from mlops-stacks has: STAGING_… and PROD_…
    StacksSecrets,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Module {
    /// Fine-tuning of a foundation model: jobs, policies, and a workflow of its own
    FineTuning,
}

/// What somebody may choose. What is left out is what it was the last time, then
/// what the repository shows, then the default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, clap::Args)]
#[serde(deny_unknown_fields)]
pub(super) struct Choices {
    /// The CI host (default: that of the remote, then github)
    #[arg(long, value_enum)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) host: Option<Where>,
    /// Where the jobs run (default: databricks)
    #[arg(long, value_enum)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) workspace: Option<On>,
    /// Where the steps of the workflows stand (default: whole)
    #[arg(long, value_enum)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) workflows: Option<Workflows>,
    /// How the workflows sign in to Databricks (default: federation, but in a project made from mlops-stacks)
    #[arg(long, value_enum)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) sign_in: Option<SignIn>,
    /// The branch that merge requests go to (default: that of the remote, then main)
    #[arg(long, value_name = "BRANCH")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) main: Option<String>,
    /// The target that merge requests are tested in (default: the bundle's default one)
    #[arg(long, value_name = "TARGET")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) test_target: Option<String>,
    /// The target that the main branch is deployed to, or none (default: staging)
    #[arg(long, value_name = "TARGET")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) staging_target: Option<String>,
    /// The target that releases are deployed to, or none (default: prod, production)
    #[arg(long, value_name = "TARGET")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) production_target: Option<String>,
    /// Tell merge requests what they would change in staging; by an identity of its own, which may only read
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) plan_comment: Option<bool>,
    /// Serve the production model online, by the section `serving` of lakegate.yml
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) serve: Option<bool>,
    /// The job of a part of the loop (features, train, evaluate, check, score), or none; may be given several times (default: by their keys)
    #[arg(long = "job", value_name = "PART=KEY")]
    #[serde(default, rename = "jobs", skip_serializing_if = "Vec::is_empty")]
    pub(super) jobs: Vec<Chosen>,
    /// Python on the runner (default: 3.12)
    #[arg(long, value_name = "VERSION")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) python: Option<String>,
    /// Who runs the jobs: labels of runners, joined by commas, or an image or pool of Azure's agents (default: ubuntu-latest)
    #[arg(long, value_name = "NAME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) runner: Option<String>,
    /// What the project has beside the usual loop
    #[arg(long, value_enum)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) with: Option<Module>,
}

impl Choices {
    pub(super) fn roles(&self) -> Roles {
        [&self.test_target, &self.staging_target, &self.production_target].map(Option::clone)
    }

    /// These, and what they leave open from `other`.
    pub(super) fn or(self, other: Self) -> Self {
        Self {
            host: self.host.or(other.host),
            workspace: self.workspace.or(other.workspace),
            workflows: self.workflows.or(other.workflows),
            sign_in: self.sign_in.or(other.sign_in),
            main: self.main.or(other.main),
            test_target: self.test_target.or(other.test_target),
            staging_target: self.staging_target.or(other.staging_target),
            production_target: self.production_target.or(other.production_target),
            plan_comment: self.plan_comment.or(other.plan_comment),
            serve: self.serve.or(other.serve),
            jobs: Chosen::together(other.jobs, self.jobs),
            python: self.python.or(other.python),
            runner: self.runner.or(other.runner),
            with: self.with.or(other.with),
        }
    }
}

#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    #[command(flatten)]
    pub(super) choices: Choices,
    /// The folder of databricks.yml, or one above the only bundle; an empty one gets the starter project
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub(super) dir: PathBuf,
    /// For GitHub: the commit of a release of Lakegate that the workflows use
    #[arg(long, value_name = "SHA")]
    pub(super) suite_ref: Option<String>,
    /// Ask nothing; nobody is asked either where no terminal is
    #[arg(long, short)]
    pub(super) yes: bool,
    /// Take the new text where it and somebody's changes meet, and write what was removed
    #[arg(long)]
    pub(super) force: bool,
    /// Only tell what would be written, as a diff
    #[arg(long)]
    pub(super) dry_run: bool,
}
