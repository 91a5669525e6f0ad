//! The arguments of `model-promote`.

use std::path::PathBuf;

use anyhow::Result;

use super::run::Request;
use crate::config::Config;
use crate::names::{Alias, SchemaName};

#[derive(Debug, clap::Args)]
pub struct Args {
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
}

impl Args {
    pub fn request(self, config: &Config) -> Result<Request> {
        let alias = match self.alias {
            Some(alias) => alias,
            None => config.promotion.alias.parse()?,
        };
        Ok(Request {
            evidence: self.evidence,
            alias,
            max_age_days: config.promotion.max_evidence_days,
            record: config.record.schema.as_deref().map(str::parse::<SchemaName>).transpose()?,
        })
    }
}
