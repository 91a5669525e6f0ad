//! The arguments of `merge-test`.

use std::path::PathBuf;

use anyhow::Result;

use super::run::{Action, Comment, Request};
use crate::config::{Config, Environment};
use crate::names::SchemaName;
use crate::report::Fault;

/// What it is for, in one line.
pub const ABOUT: &str =
    "Test a change before it is merged: static checks, unit tests, the jobs that it touches";

/// What it sets beside what every step sets.
pub const OUTPUTS: &[(&str, &str)] = &[
    ("affected", "The resources that the change touches, with commas"),
    ("jobs", "The jobs that have an integration test and run, with commas"),
    ("code", "What kind of code changed: ml, operations, both or nothing"),
    ("tests", "How many tests ran"),
    ("failures", "How many of them failed"),
    ("tree", "The git tree that was tested"),
    ("removed", "For sweep: how many copies were removed"),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Verb {
    /// Everything: static checks, unit tests, the integration tests of what the change touches
    Run,
    /// Static checks and unit tests, without a workspace
    Unit,
    /// Only tell what the change touches
    Affected,
    /// Only the integration tests
    Integration,
    /// Remove the merge request's own copy of the bundle, after a run that was killed
    Clean,
    /// Remove the copies that other runs left behind
    Sweep,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum When {
    Never,
    OnFailure,
    Always,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum From {
    Auto,
    Uv,
    Poetry,
    Pip,
    None,
}

#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(value_enum, env = "LAKEGATE_ACTION", default_value = "run")]
    action: Verb,
    /// The folder of databricks.yml
    #[arg(long, env = "LAKEGATE_BUNDLE", value_name = "DIR", default_value = ".")]
    bundle: PathBuf,
    /// The branch or commit that the change is compared with (default: where the merge request goes)
    #[arg(long, env = "LAKEGATE_BASE", value_name = "REF")]
    base: Option<String>,
    /// Run every integration test, whatever the change touches
    #[arg(long, env = "LAKEGATE_ALL")]
    all: bool,
    /// The word that makes the copy of the bundle this run's own (default: from the merge request)
    #[arg(long, env = "LAKEGATE_ISOLATION", value_name = "WORD")]
    isolation: Option<String>,
    /// Leave the copy for a look at it; `clean` removes it
    #[arg(long, env = "LAKEGATE_KEEP")]
    keep: bool,
    /// Where the packages of the unit tests come from (default: tests.unit.environment)
    #[arg(long, env = "LAKEGATE_ENVIRONMENT", value_enum)]
    environment: Option<From>,
    /// When the merge request is commented on
    #[arg(long, env = "LAKEGATE_COMMENT", value_enum, default_value_t = When::Always)]
    comment: When,
    /// For `sweep`: copies that are older than this go
    #[arg(long, env = "LAKEGATE_OLDER_THAN", value_name = "HOURS", default_value_t = 24.0)]
    older_than: f64,
    /// Tells apart two steps of one CI run
    #[arg(long, env = "LAKEGATE_STEP_KEY", value_name = "KEY")]
    step_key: Option<String>,
}

impl Args {
    pub fn request(self, config: &Config) -> Result<Request> {
        if let Some(word) = &self.isolation {
            let plain =
                |char: char| char.is_ascii_lowercase() || char.is_ascii_digit() || char == '_';
            if word.is_empty() || word.len() > 40 || !word.chars().all(plain) {
                let message = format!("--isolation is `{word}`: it becomes part of names");
                return Err(Fault::usage(message)
                    .hint("use up to 40 small letters, digits and `_`")
                    .into());
            }
        }
        if !(self.older_than.is_finite() && self.older_than >= 0.0) {
            return Err(Fault::usage("--older-than must be a number of hours").into());
        }
        let mut tests = config.tests.clone();
        if let Some(from) = self.environment {
            tests.unit.environment = match from {
                From::Auto => Environment::Auto,
                From::Uv => Environment::Uv,
                From::Poetry => Environment::Poetry,
                From::Pip => Environment::Pip,
                From::None => Environment::None,
            };
        }
        Ok(Request {
            action: match self.action {
                Verb::Run => Action::Run,
                Verb::Unit => Action::Unit,
                Verb::Affected => Action::Affected,
                Verb::Integration => Action::Integration,
                Verb::Clean => Action::Clean,
                Verb::Sweep => Action::Sweep { hours: self.older_than },
            },
            bundle: self.bundle,
            base: self.base.or_else(|| tests.base.clone()),
            main: config.release.branch.clone(),
            status: config.release.check.clone(),
            all: self.all,
            isolation: self.isolation,
            keep: self.keep,
            comment: match self.comment {
                When::Never => Comment::Never,
                When::OnFailure => Comment::OnFailure,
                When::Always => Comment::Always,
            },
            tests,
            record: config.record.schema.as_deref().map(str::parse::<SchemaName>).transpose()?,
            step_key: self.step_key,
        })
    }
}
