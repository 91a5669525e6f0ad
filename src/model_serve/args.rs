//! The arguments of `model-serve`.

use anyhow::Result;

use super::run::{Action, Request};
use crate::config::Config;
use crate::names::{Alias, ModelName, ModelVersion, SchemaName};
use crate::report::Fault;

/// What it is for, in one line.
pub const ABOUT: &str =
    "Serve the production model online: roll a version out step by step, or back";

/// What it sets beside what every step sets.
pub const OUTPUTS: &[(&str, &str)] = &[
    ("endpoint", "The endpoint"),
    ("version", "The version that it serves, or the versions with their shares"),
    ("previous-version", "What it served before"),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Verb {
    /// Serve the version that the alias points to: the endpoint is made if there is none
    Rollout,
    /// Serve again what was served before
    Rollback,
    /// Tell what is served, and what was
    History,
}

#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(value_enum, env = "LAKEGATE_ACTION", default_value = "rollout")]
    action: Verb,
    /// The endpoint (default: serving.endpoint)
    #[arg(long, env = "LAKEGATE_ENDPOINT", value_name = "NAME")]
    endpoint: Option<String>,
    /// All of the traffic at once, after the probe
    #[arg(long, env = "LAKEGATE_AT_ONCE")]
    at_once: bool,
    /// Roll a version out that was rolled back
    #[arg(long, env = "LAKEGATE_AGAIN")]
    again: bool,
    /// The version that is rolled back: asked again, nothing happens twice (default: what is served)
    #[arg(long, env = "LAKEGATE_FROM", value_name = "N")]
    from: Option<ModelVersion>,
    /// Why it is rolled back
    #[arg(long, env = "LAKEGATE_REASON", value_name = "TEXT")]
    reason: Option<String>,
}

impl Args {
    pub fn request(self, config: &Config) -> Result<Request> {
        let Some(mut serving) = config.serving.clone() else {
            let fault = Fault::usage("nothing says what is served, and how");
            return Err(fault
                .hint("write a section `serving` with an `endpoint` in lakegate.yml")
                .into());
        };
        if let Some(endpoint) = self.endpoint {
            serving.endpoint = endpoint;
        }
        let model: Option<ModelName> = serving.model.clone().or(config.promotion.model.clone());
        let model = model.ok_or_else(|| {
            Fault::usage("which model?").hint("set `promotion.model` or `serving.model`")
        })?;
        let alias: Alias = serving.alias.as_deref().unwrap_or(&config.promotion.alias).parse()?;
        let (back, out) =
            (self.from.is_some() || self.reason.is_some(), self.at_once || self.again);
        let misplaced = match self.action {
            Verb::Rollout => back.then_some("`--from` and `--reason` are for `rollback`"),
            Verb::Rollback => out.then_some("`--at-once` and `--again` are for `rollout`"),
            Verb::History => None,
        };
        if let Some(misplaced) = misplaced {
            return Err(Fault::usage(misplaced).into());
        }
        let action = match self.action {
            Verb::Rollout => Action::Rollout { at_once: self.at_once, again: self.again },
            Verb::Rollback => Action::Rollback {
                reason: self.reason.ok_or_else(|| {
                    Fault::usage("a rollback needs a reason, for the records")
                        .hint("say it with --reason")
                })?,
                from: self.from,
            },
            Verb::History => Action::History,
        };
        let record = config.record.schema.as_deref().map(str::parse::<SchemaName>).transpose()?;
        Ok(Request { action, serving, model, alias, record })
    }
}
