//! The arguments of `drift-check`.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;

use super::run::{Production, Request};
use crate::config::{Compat, Config, Drift, Engine, Limit, OnDrift, Statistic};
use crate::names::{SchemaName, Source, pairs};
use crate::report::Fault;

/// What it is for, in one line.
pub const ABOUT: &str = "Compare data with a baseline, and decide: nothing, notify or retrain";

/// What it sets beside what every step sets.
pub const OUTPUTS: &[(&str, &str)] = &[
    ("decision", "What was done: nothing, notify, retrain, held-back, rollback or command"),
    ("drifted-columns", "The columns that drifted, with commas"),
    ("retrain-run-id", "The run that was started"),
    ("state", "none, watch, drift, broken or inconclusive"),
    ("result", "The path of the result"),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Reaction {
    /// The report and the records, and nothing else
    Nothing,
    /// Tell people
    Notify,
    /// Start the retraining, once per window
    Retrain,
    /// Go back to the model version before, once per window
    Rollback,
    /// Run the policy's command
    Command,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Foreign {
    /// Evidently 0.7 with its defaults
    Evidently,
    /// Nannyml 0.13 with its defaults
    Nannyml,
    /// The tests of Databricks data profiling, with an alert below p = 0.05
    Databricks,
}

impl From<Foreign> for Compat {
    fn from(foreign: Foreign) -> Self {
        match foreign {
            Foreign::Evidently => Self::Evidently,
            Foreign::Nannyml => Self::Nannyml,
            Foreign::Databricks => Self::Databricks,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Counting {
    /// Here, and on the warehouse from 20 million rows on
    Auto,
    /// Here, value by value
    Exact,
    /// On the SQL warehouse, by bins
    Warehouse,
    /// Here, from the tables' own files
    Storage,
}

impl From<Counting> for Engine {
    fn from(counting: Counting) -> Self {
        match counting {
            Counting::Auto => Self::Auto,
            Counting::Exact => Self::Exact,
            Counting::Warehouse => Self::Warehouse,
            Counting::Storage => Self::Storage,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Checks {
    All,
    Drift,
    Quality,
}

#[derive(Debug, clap::Args)]
pub struct Args {
    /// How the data was: a table, or Parquet, CSV or Arrow files (default: drift.baseline)
    #[arg(long, env = "LAKEGATE_BASELINE", value_name = "TABLE|PATH")]
    baseline: Option<Source>,
    /// A condition on the baseline's rows, as SQL
    #[arg(long, env = "LAKEGATE_BASELINE_WHERE", value_name = "SQL", allow_hyphen_values = true)]
    baseline_where: Option<String>,
    /// The data as it is now (default: drift.current)
    #[arg(long, env = "LAKEGATE_CURRENT", value_name = "TABLE|PATH")]
    current: Option<Source>,
    /// A condition on its rows, as SQL
    #[arg(long, env = "LAKEGATE_CURRENT_WHERE", value_name = "SQL", allow_hyphen_values = true)]
    current_where: Option<String>,
    /// Names the window of the current data: retraining starts once per window
    #[arg(long, env = "LAKEGATE_WINDOW")]
    window: Option<String>,
    /// What a drift verdict does (default: drift.on_drift)
    #[arg(long, env = "LAKEGATE_ON_DRIFT", value_enum)]
    on_drift: Option<Reaction>,
    /// The job that retrains (default: drift.retrain_job)
    #[arg(long, env = "LAKEGATE_RETRAIN_JOB", value_name = "JOB")]
    retrain_job: Option<String>,
    /// Retrain by starting this very pipeline of GitHub or Azure DevOps anew, whatever the
    /// policy names
    #[arg(long, env = "LAKEGATE_RETRAIN_HERE", conflicts_with = "retrain_job")]
    retrain_here: bool,
    /// A parameter of the retraining job; may be given several times
    #[arg(
        long = "retrain-param",
        env = "LAKEGATE_RETRAIN_PARAMS",
        value_name = "NAME=VALUE",
        value_delimiter = '\n'
    )]
    retrain_params: Vec<String>,
    /// What is checked: drift against the baseline, the quality of the current data, or both
    #[arg(long, env = "LAKEGATE_CHECKS", value_enum, default_value_t = Checks::All)]
    checks: Checks,
    /// Judge as another tool does (default: drift.compat)
    #[arg(long, env = "LAKEGATE_COMPAT", value_enum)]
    compat: Option<Foreign>,
    /// Where the counting is done (default: drift.engine)
    #[arg(long, env = "LAKEGATE_DRIFT_ENGINE", value_enum)]
    engine: Option<Counting>,
    /// How many columns are read at a time (default: one per processor)
    #[arg(long, env = "LAKEGATE_THREADS", value_name = "N")]
    threads: Option<std::num::NonZeroUsize>,
    /// What the values may take in memory, where all columns are read at once
    #[arg(long, env = "LAKEGATE_MEMORY", value_name = "MB", default_value_t = 4096)]
    memory: u64,
    /// A folder for files of values that exceed the memory (default: none; the check then ends)
    #[arg(long, env = "LAKEGATE_SPILL", value_name = "DIR")]
    spill: Option<PathBuf>,
}

impl Args {
    pub fn request(self, config: &Config) -> Result<Request> {
        let mut policy = match (&config.drift, &self.baseline, &self.current) {
            (Some(policy), ..) => policy.clone(),
            (None, Some(baseline), Some(current)) => {
                Drift::between(baseline.clone(), current.clone())
            }
            _ => {
                let fault = Fault::usage("lakegate.yml has no section `drift`");
                let hint = "name both sides in it, or with --baseline and --current";
                return Err(fault.hint(hint).into());
            }
        };
        policy.baseline = self.baseline.unwrap_or(policy.baseline);
        policy.current = self.current.unwrap_or(policy.current);
        policy.baseline_where = self.baseline_where.or(policy.baseline_where);
        policy.current_where = self.current_where.or(policy.current_where);
        policy.retrain_job = self.retrain_job.or(policy.retrain_job);
        react_as(self.on_drift, self.retrain_here, &mut policy)?;
        let retrain_parameters = pairs("parameter", &self.retrain_params)?;
        let production = match policy.on_drift {
            OnDrift::Rollback => Some(production(config)?),
            _ => None,
        };
        let record = config.record.schema.as_deref().map(str::parse::<SchemaName>).transpose()?;
        policy.compat = self.compat.map(Compat::from).or(policy.compat);
        policy.engine = self.engine.map_or(policy.engine, Engine::from);
        if self.spill.is_some() && (policy.compat.is_some() || policy.all_tests) {
            let fault = Fault::usage("`compat` and `all_tests` need all values in memory");
            return Err(fault.hint("leave out --spill, or them").into());
        }
        if policy.compat == Some(Compat::Nannyml) && policy.windows.is_some() {
            let fault = Fault::usage("nannyml's ten chunks are the windows already");
            return Err(fault.hint("leave `windows` out").into());
        }
        only(self.checks, &mut policy)?;
        if policy.monitor.is_some() && policy.numeric == Limit::default() {
            // Its tables have no Jensen-Shannon distance of numbers.
            policy.numeric.statistic = Statistic::KolmogorovSmirnov;
        }
        let threads = self.threads.or_else(|| std::thread::available_parallelism().ok());
        Ok(Request {
            policy,
            production,
            window: self.window,
            target: config.target.clone(),
            retrain_parameters,
            retrain_here: self.retrain_here,
            record,
            telemetry: config.telemetry.clone(),
            drift: self.checks != Checks::Quality,
            memory: self.memory << 20,
            spill: self.spill,
            threads: threads.map_or(1, std::num::NonZeroUsize::get),
        })
    }
}

/// The reaction that the flag or the policy names, with what it needs.
fn react_as(wanted: Option<Reaction>, here: bool, policy: &mut Drift) -> Result<(), Fault> {
    policy.on_drift = match wanted {
        Some(Reaction::Notify) => OnDrift::Notify,
        Some(Reaction::Retrain) => OnDrift::Retrain,
        Some(Reaction::Nothing) => OnDrift::Nothing,
        Some(Reaction::Rollback) => OnDrift::Rollback,
        Some(Reaction::Command) => OnDrift::Command,
        None => policy.on_drift,
    };
    if policy.on_drift == OnDrift::Retrain
        && !here
        && policy.retrain_job.is_none()
        && !policy.retrain.dispatches()
    {
        let fault = Fault::usage("`on_drift: retrain` says nothing of what retrains");
        return Err(fault.hint("name `drift.retrain_job` or `drift.retrain.workflow` or `.pipeline`, or say --retrain-here in the pipeline that trains"));
    }
    if policy.on_drift == OnDrift::Command && policy.command.is_none() {
        let fault = Fault::usage("--on-drift command needs a command");
        return Err(fault.hint("name it in drift.command.run"));
    }
    Ok(())
}

/// What a rollback is of.
fn production(config: &Config) -> Result<Production> {
    let promotion = &config.promotion;
    if config.record.schema.is_none() {
        let fault = Fault::usage("a rollback needs the records of earlier promotions");
        return Err(fault.hint("set `record.schema` in lakegate.yml").into());
    }
    let model = promotion.model.clone().ok_or_else(|| {
        Fault::usage("a rollback needs a model").hint("name it in `promotion.model`")
    })?;
    let [alias, previous] = [&promotion.alias, &promotion.previous];
    let lease = Duration::from_secs(promotion.lease_seconds);
    let (alias, previous) = (alias.parse()?, previous.parse()?);
    Ok(Production { model, alias, previous, lease, state_tag: promotion.state_tag.clone() })
}

/// Leaves out what is not checked.
fn only(checks: Checks, policy: &mut Drift) -> Result<(), Fault> {
    match checks {
        Checks::All if policy.monitor.is_some() && !policy.quality.is_empty() => {
            let fault = Fault::usage("a monitor knows nothing of the rules of quality");
            return Err(fault.hint("check one at a time, with --checks drift or quality"));
        }
        Checks::All if policy.sample.is_some() && !policy.quality.is_empty() => {
            let fault = Fault::usage("`sample` draws rows, and rules of quality need all");
            return Err(fault.hint("check one at a time, with --checks drift or quality"));
        }
        Checks::All => {}
        Checks::Drift => policy.quality.clear(),
        Checks::Quality if policy.quality.is_empty() => {
            let fault = Fault::usage("there are no rules of quality to check");
            return Err(fault.hint("write them under `drift.quality`"));
        }
        Checks::Quality => policy.sample = None,
    }
    Ok(())
}
