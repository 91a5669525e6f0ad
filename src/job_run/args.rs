//! The arguments of `job-run`.

use std::time::Duration;

use anyhow::Result;

use super::run::{Request, Start};
use crate::config::Config;
use crate::names::pairs;
use crate::report::Fault;
use crate::runs::Order;

/// What it is for, in one line.
pub const ABOUT: &str = "Start a job once, wait for it, and explain its failures";

/// What it sets beside what every step sets.
pub const OUTPUTS: &[(&str, &str)] = &[
    ("run-id", "The id of the run"),
    ("run-url", "Where the run can be seen"),
    ("result", "The run's result state"),
    ("task-values", "What the notebooks returned, by task, as JSON"),
];

#[derive(Debug, clap::Args)]
pub struct Args {
    /// The job: its id, its name, or its key in the bundle
    #[arg(value_name = "JOB", env = "LAKEGATE_JOB")]
    job: Option<String>,
    /// A job parameter; may be given several times
    #[arg(
        long = "param",
        short = 'p',
        value_name = "NAME=VALUE",
        env = "LAKEGATE_PARAMS",
        value_delimiter = '\n'
    )]
    params: Vec<String>,
    /// How long the run may wait for capacity
    #[arg(long, env = "LAKEGATE_QUEUE_TIMEOUT", value_name = "MINUTES", default_value_t = 30.0)]
    queue_timeout: f64,
    /// How long the run may take once it runs
    #[arg(long, env = "LAKEGATE_RUN_TIMEOUT", value_name = "MINUTES", default_value_t = 240.0)]
    run_timeout: f64,
    /// Run once more when the platform failed, never when the code did
    #[arg(long, env = "LAKEGATE_RERUN_INFRASTRUCTURE")]
    rerun_infrastructure: bool,
    /// Tells apart two steps that start the same job in one CI run
    #[arg(long, env = "LAKEGATE_STEP_KEY", value_name = "KEY")]
    step_key: Option<String>,
    /// Start nothing: cancel the runs that earlier steps of this CI job started and were
    /// killed before they ended
    #[arg(long, env = "LAKEGATE_CANCEL_LEFT")]
    cancel_left: bool,
}

impl Args {
    pub fn request(self, config: &Config) -> Result<Request> {
        let job = match (self.job, self.cancel_left) {
            (Some(job), false) => job,
            (None, true) => return Ok(Request::CancelLeft),
            (Some(job), true) => {
                let message = format!("--cancel-left starts nothing: leave the job `{job}` out");
                return Err(Fault::usage(message).into());
            }
            (None, false) => {
                let fault = Fault::usage("which job is to run?");
                return Err(fault.hint("give its id, its name, or its key in the bundle").into());
            }
        };
        let parameters = pairs("parameter", &self.params)?;
        let order = Order {
            parameters,
            queue_timeout: minutes("--queue-timeout", self.queue_timeout)?,
            run_timeout: minutes("--run-timeout", self.run_timeout)?,
            rerun_infrastructure: self.rerun_infrastructure,
            step_key: self.step_key,
        };
        Ok(Request::Run(Box::new(Start { job, target: config.target.clone(), order })))
    }
}

fn minutes(flag: &str, value: f64) -> Result<Duration, Fault> {
    Duration::try_from_secs_f64(value * 60.0)
        .ok()
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| {
            Fault::usage(format!("{flag} is {value}, it must be a positive number of minutes"))
        })
}
