//! The arguments of `model-gate`.

use anyhow::Result;

use super::run::Request;
use crate::config::Config;
use crate::names::{Alias, ModelName, SchemaName, Source, VersionRef};
use crate::report::Fault;

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The registered model, catalog.schema.model
    #[arg(long, env = "LAKEGATE_MODEL")]
    model: ModelName,
    /// The version to judge: a number, an alias, or `latest`
    #[arg(long, env = "LAKEGATE_CANDIDATE", default_value = "latest")]
    candidate: String,
    /// The alias of the model that it must stand up to
    #[arg(long, env = "LAKEGATE_CHAMPION", value_name = "ALIAS")]
    champion: Option<Alias>,
    /// The table of predictions, or files of them (default: gate.predictions)
    #[arg(long, env = "LAKEGATE_PREDICTIONS", value_name = "TABLE|PATH")]
    predictions: Option<Source>,
    /// A condition on its rows, as SQL
    #[arg(long = "where", env = "LAKEGATE_WHERE", value_name = "SQL")]
    filter: Option<String>,
}

impl Args {
    pub fn request(self, config: &Config) -> Result<Request> {
        let mut policy = config.gate.clone().ok_or_else(|| {
            Fault::usage("lakegate.yml has no section `gate`")
                .hint("say what must hold: metrics, limits, the predictions table")
        })?;
        if let Some(table) = self.predictions {
            policy.predictions = table;
        }
        let candidate = match self.candidate.as_str() {
            "latest" => None,
            text => Some(text.parse::<VersionRef>()?),
        };
        let champion = match self.champion {
            Some(alias) => alias,
            None => config.promotion.alias.parse()?,
        };
        let record = config.record.schema.as_deref().map(str::parse::<SchemaName>).transpose()?;
        Ok(Request { model: self.model, candidate, champion, policy, filter: self.filter, record })
    }
}
