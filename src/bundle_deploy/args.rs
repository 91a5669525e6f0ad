//! The arguments of `bundle-deploy`.

use std::path::PathBuf;

use anyhow::Result;

use super::policy::Agreed;
use super::run::{Action, Request, Wanted};
use crate::checkout::{self, BundleChoice};
use crate::config::{Config, DeployEngine};
use crate::names::{SchemaName, pairs};
use crate::report::Fault;

/// What it is for, in one line.
pub const ABOUT: &str =
    "Plan, apply or destroy an asset bundle; tell what is deployed, and go back";

/// What it sets beside what every step sets.
pub const OUTPUTS: &[(&str, &str)] = &[
    ("changes", "Whether anything changes, or did"),
    ("destroys", "Whether the plan deletes or recreates anything"),
    ("drift", "Whether others changed what was deployed"),
    ("deployed", "For status: whether anything is deployed"),
    ("release-version", "The release that was deployed"),
    ("plan", "The path of the plan"),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Verb {
    /// Show what would change, and whether the policy allows it
    Plan,
    /// Make the changes
    Apply,
    /// Remove everything that was deployed
    Destroy,
    /// Tell which release runs, and what others changed since
    Status,
    /// Deploy the release before the present one again
    Rollback,
    /// Take the lock away from a deployment that was killed
    Unlock,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum By {
    Auto,
    Cli,
    Native,
}

#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(value_enum, env = "LAKEGATE_ACTION")]
    action: Verb,
    /// The folder of databricks.yml
    #[arg(long, env = "LAKEGATE_BUNDLE", value_name = "DIR", default_value = ".")]
    bundle: PathBuf,
    /// Deploy this release: its tag, its folder, its manifest.json, or the address of that
    #[arg(long, env = "LAKEGATE_RELEASE", value_name = "RELEASE", conflicts_with = "bundle")]
    release: Option<String>,
    /// The sha256 that the release's manifest.json must have
    #[arg(long, env = "LAKEGATE_MANIFEST_DIGEST", value_name = "SHA256", requires = "release")]
    manifest_digest: Option<String>,
    /// A variable of the bundle; may be given several times
    #[arg(long, value_name = "NAME=VALUE", env = "LAKEGATE_BUNDLE_VARS", value_delimiter = '\n')]
    var: Vec<String>,
    /// Apply exactly this plan, and refuse when it is stale
    #[arg(long, env = "LAKEGATE_PLAN", value_name = "FILE")]
    plan: Option<PathBuf>,
    /// Agree to the deletion of resources that hold no data
    #[arg(long, env = "LAKEGATE_ALLOW_DESTROY")]
    allow_destroy: bool,
    /// Agree to the deletion of this resource, such as `schemas.flights`; may be given several times
    #[arg(long, value_name = "KEY", env = "LAKEGATE_DESTROY", value_delimiter = '\n')]
    destroy: Vec<String>,
    /// Who carries it out (default: deploy.engine)
    #[arg(long, env = "LAKEGATE_ENGINE", value_enum)]
    engine: Option<By>,
    /// For `rollback`: the version that is left; asked again, nothing happens twice (default: the present one)
    #[arg(long, env = "LAKEGATE_FROM", value_name = "X.Y.Z")]
    from: Option<String>,
    /// The lock to break, as the refusal tells it
    #[arg(long, env = "LAKEGATE_LOCK_ID", value_name = "ID")]
    lock_id: Option<String>,
    /// For `plan`: keep a comment with it on the merge request
    #[arg(long, env = "LAKEGATE_PLAN_COMMENT")]
    comment: bool,
    /// Tells a retried step from another deployment of the same CI run
    #[arg(long, env = "LAKEGATE_STEP_KEY", value_name = "KEY")]
    step_key: Option<String>,
}

impl Args {
    pub fn request(self, config: &Config) -> Result<Request> {
        if self.plan.is_some() && self.action != Verb::Apply {
            return Err(Fault::usage("--plan goes with `apply` only").into());
        }
        if self.lock_id.is_some() != (self.action == Verb::Unlock) {
            return Err(Fault::usage("`unlock` needs --lock-id, and nothing else takes it").into());
        }
        if self.from.is_some() && self.action != Verb::Rollback {
            return Err(Fault::usage("--from goes with `rollback` only").into());
        }
        let action = match (self.action, self.lock_id) {
            (Verb::Plan, _) => Action::Plan,
            (Verb::Apply, _) => Action::Apply { plan: self.plan },
            (Verb::Destroy, _) => Action::Destroy,
            (Verb::Status, _) => Action::Status,
            (Verb::Rollback, _) => Action::Rollback { from: self.from },
            (Verb::Unlock, id) => Action::Unlock { id: id.unwrap_or_default() },
        };
        let engine = match self.engine {
            None => config.deploy.engine,
            Some(By::Auto) => DeployEngine::Auto,
            Some(By::Cli) => DeployEngine::Cli,
            Some(By::Native) => DeployEngine::Native,
        };
        Ok(Request {
            comment: self.comment,
            action,
            wanted: Wanted {
                choice: BundleChoice {
                    root: self.bundle,
                    target: config.target.clone(),
                    variables: pairs("variable", &self.var)?,
                    isolation: None,
                    // A plan that tells merge requests is made with the right to read.
                    only_looks: self.action == Verb::Status
                        || (self.action == Verb::Plan && self.comment),
                },
                release: self.release,
                tags: config.release.clone(),
                digest: self.manifest_digest.as_deref().map(checkout::digest).transpose()?,
                engine,
                step_key: self.step_key,
            },
            agreed: Agreed {
                harmless: self.allow_destroy,
                named: self.destroy.into_iter().filter(|key| !key.is_empty()).collect(),
            },
            policy: config.deploy.clone(),
            record: config.record.schema.as_deref().map(str::parse::<SchemaName>).transpose()?,
        })
    }
}
