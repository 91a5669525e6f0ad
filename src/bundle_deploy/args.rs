//! The arguments of `bundle-deploy`.

use std::path::PathBuf;

use anyhow::Result;

use super::run::{Mode, Request};
use crate::checkout::BundleChoice;
use crate::config::Config;
use crate::names::pairs;
use crate::report::Fault;

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Verb {
    /// Show what would change
    Plan,
    /// Make the changes
    Apply,
    /// Remove everything that was deployed
    Destroy,
}

#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(value_enum, env = "LAKEGATE_ACTION")]
    action: Verb,
    /// The target in databricks.yml (default: the one marked `default`)
    #[arg(long, short, env = "LAKEGATE_TARGET")]
    target: Option<String>,
    /// The folder of databricks.yml
    #[arg(long, env = "LAKEGATE_BUNDLE", value_name = "DIR", default_value = ".")]
    bundle: PathBuf,
    /// A variable of the bundle; may be given several times
    #[arg(long, value_name = "NAME=VALUE", env = "LAKEGATE_BUNDLE_VARS", value_delimiter = '\n')]
    var: Vec<String>,
    /// Apply exactly this plan, and refuse when it is stale
    #[arg(long, env = "LAKEGATE_PLAN", value_name = "FILE")]
    plan: Option<PathBuf>,
    /// Allow the deletion of resources that exist
    #[arg(long, env = "LAKEGATE_ALLOW_DESTROY")]
    allow_destroy: bool,
    /// Tells a retried step from another deployment of the same CI run
    #[arg(long, env = "LAKEGATE_STEP_KEY", value_name = "KEY")]
    step_key: Option<String>,
}

impl Args {
    pub fn request(self, _: &Config) -> Result<Request> {
        if self.plan.is_some() && self.action != Verb::Apply {
            return Err(Fault::usage("--plan goes with `apply` only").into());
        }
        let variables = pairs("variable", &self.var)?;
        Ok(Request {
            mode: match self.action {
                Verb::Plan => Mode::Plan,
                Verb::Apply => Mode::Apply { plan: self.plan },
                Verb::Destroy => Mode::Destroy,
            },
            choice: BundleChoice {
                root: self.bundle,
                target: self.target,
                variables,
                isolation: None,
            },
            allow_destroy: self.allow_destroy,
            step_key: self.step_key,
        })
    }
}
