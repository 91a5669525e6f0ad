//! The arguments of `model-promote`.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;

use super::copy::Copying;
use super::run::{Action, Promote, Request};
use crate::config::Config;
use crate::names::{Alias, ModelName, ModelVersion, SchemaName};
use crate::report::Fault;

/// What it is for, in one line.
pub const ABOUT: &str = "Make a version the production model, on the strength of a gate's evidence";

/// What it sets beside what every step sets.
pub const OUTPUTS: &[(&str, &str)] = &[
    ("version", "The version that the alias points at"),
    ("previous-version", "The one before it"),
    ("digest", "The digest of its files"),
    ("approved-by", "Who agreed"),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Verb {
    /// Move the alias to the version that the evidence is about
    Promote,
    /// Agree with the promotion of what the evidence is about, as the workspace knows you
    Approve,
    /// Move it back to the version before, with that one's own evidence
    Rollback,
    /// Tell who moved it, when and why
    History,
}

#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(value_enum, env = "LAKEGATE_ACTION", default_value = "promote")]
    action: Verb,
    /// The evidence that model-gate wrote
    #[arg(
        long,
        env = "LAKEGATE_EVIDENCE",
        value_name = "FILE",
        default_value = ".lakegate/reports/model-gate.evidence.json"
    )]
    evidence: PathBuf,
    /// The alias to move (default: promotion.alias)
    #[arg(long, env = "LAKEGATE_ALIAS")]
    alias: Option<Alias>,
    /// The model, for `rollback` and `history` (default: promotion.model)
    #[arg(long, env = "LAKEGATE_MODEL", value_name = "CATALOG.SCHEMA.MODEL")]
    model: Option<ModelName>,
    /// The version that is rolled back: asked again, nothing happens twice (default: the present one)
    #[arg(long, env = "LAKEGATE_FROM", value_name = "N")]
    from: Option<ModelVersion>,
    /// Promote though the gate did not pass, for this reason, where the policy lets you
    #[arg(long = "override", env = "LAKEGATE_OVERRIDE", value_name = "REASON")]
    overrule: Option<String>,
    /// Why it is rolled back, or approved
    #[arg(long, env = "LAKEGATE_REASON", value_name = "TEXT")]
    reason: Option<String>,
}

impl Args {
    pub fn request(self, config: &Config) -> Result<Request> {
        let promotion = &config.promotion;
        let own: Alias = promotion.alias.parse()?;
        let alias = self.alias.unwrap_or_else(|| own.clone());
        let model = || {
            self.model.clone().or_else(|| promotion.model.clone()).ok_or_else(|| {
                Fault::usage("which model?").hint("name it with --model, or set `promotion.model`")
            })
        };
        let action = match self.action {
            Verb::Promote => Action::Promote(Promote {
                evidence: self.evidence,
                max_age_days: promotion.max_evidence_days,
                sign_off: promotion.sign_off.clone(),
                overrule: promotion.overrule.clone(),
                overruled: self.overrule,
            }),
            Verb::Approve => Action::Approve { evidence: self.evidence, comment: self.reason },
            Verb::Rollback => {
                let reason = self.reason.ok_or_else(|| {
                    Fault::usage("a rollback needs a reason, for the records")
                        .hint("say it with --reason")
                })?;
                Action::Rollback { model: model()?, from: self.from, reason }
            }
            Verb::History => Action::History { model: model()? },
        };
        Ok(Request {
            action,
            model: promotion.judged().cloned(),
            copy: Copying::of(promotion, config.target.clone()),
            policy: config.gate.clone(),
            previous: (alias == own).then(|| promotion.previous.parse()).transpose()?,
            alias,
            lease: Duration::from_secs(promotion.lease_seconds),
            state_tag: promotion.state_tag.clone(),
            record: config.record.schema.as_deref().map(str::parse::<SchemaName>).transpose()?,
        })
    }
}
