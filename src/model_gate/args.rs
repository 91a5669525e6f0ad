//! The arguments of `model-gate`.

use std::path::PathBuf;

use anyhow::Result;

use super::run::{Judge, Request};
use super::versions::{Candidate, Champion};
use crate::config::Config;
use crate::names::{ModelName, SchemaName, Source};
use crate::report::Fault;

/// What it is for, in one line.
pub const ABOUT: &str =
    "Decide whether a model version passes: thresholds and the comparison with the champion";

/// What it sets beside what every step sets.
pub const OUTPUTS: &[(&str, &str)] = &[
    ("candidate-version", "The version that was judged"),
    ("champion-version", "The version that it was compared with, or none"),
    ("digest", "The digest of its files"),
    ("decided", "When the evidence was decided, for verify"),
    ("evidence", "The path of the evidence"),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Verb {
    /// Judge a version, and write the evidence
    Judge,
    /// Take the decision of an evidence again, without a workspace
    Verify,
}

#[derive(Debug, clap::Args)]
pub struct Args {
    #[arg(value_enum, env = "LAKEGATE_ACTION", default_value = "judge")]
    action: Verb,
    /// The evidence, for `verify`
    #[arg(
        env = "LAKEGATE_EVIDENCE",
        value_name = "FILE",
        default_value = ".lakegate/reports/model-gate.evidence.json"
    )]
    evidence: PathBuf,
    /// Also measure again, from the data that the evidence names
    #[arg(long, env = "LAKEGATE_RECOMPUTE")]
    recompute: bool,
    /// The registered model, catalog.schema.model (default: promotion.model)
    #[arg(long, env = "LAKEGATE_MODEL")]
    model: Option<ModelName>,
    /// The version to judge: a number, an alias, `latest`, or `run:ID` for what the run of a
    /// job registered (the output run-id of job-run)
    #[arg(long, env = "LAKEGATE_CANDIDATE", default_value = "latest")]
    candidate: String,
    /// The version that it must stand up to: a number, an alias, or `none` for a first model
    /// (default: the holder of promotion.alias, if there is one)
    #[arg(long, env = "LAKEGATE_CHAMPION", value_name = "VERSION|ALIAS|none")]
    champion: Option<String>,
    /// The table of predictions, or files of them (default: gate.predictions)
    #[arg(long, env = "LAKEGATE_PREDICTIONS", value_name = "TABLE|PATH")]
    predictions: Option<Source>,
    /// A condition on its rows, as SQL
    #[arg(long = "where", env = "LAKEGATE_WHERE", value_name = "SQL")]
    filter: Option<String>,
}

impl Args {
    pub fn request(self, config: &Config) -> Result<Request> {
        if self.action == Verb::Verify {
            return Ok(Request::Verify { evidence: self.evidence, recompute: self.recompute });
        }
        let judged = || config.promotion.judged().cloned();
        let model = self.model.or_else(judged).ok_or_else(|| {
            Fault::usage("which model?").hint("name it with --model, or set `promotion.model`")
        })?;
        let mut policy = config.gate.clone().ok_or_else(|| {
            Fault::usage("lakegate.yml has no section `gate`")
                .hint("say what must hold: metrics, limits, the predictions table")
        })?;
        if let Some(table) = self.predictions {
            policy.predictions = Some(table);
        }
        let candidate: Candidate = self.candidate.parse()?;
        let copy = config.promotion.copy.as_ref();
        // What is judged elsewhere stands up to the champion of where it goes.
        let champion_of = match (copy, &config.promotion.model) {
            (Some(copy), Some(destination)) if copy.from == model => destination.clone(),
            _ => model.clone(),
        };
        let champion = match self.champion.as_deref() {
            Some("none") => Champion::None,
            Some(named) => Champion::Named(named.parse()?),
            None => Champion::Holder(config.promotion.alias.parse()?),
        };
        let record = config.record.schema.as_deref().map(str::parse::<SchemaName>).transpose()?;
        let judge = Judge {
            model,
            candidate,
            champion,
            champion_of,
            target: config.target.clone(),
            policy,
            filter: self.filter,
            record,
        };
        Ok(Request::Judge(Box::new(judge)))
    }
}
