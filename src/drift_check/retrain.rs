//! Retraining: once per window, and not more often than the policy allows.

use std::time::Duration;

use anyhow::{Context as _, Result};
use uuid::Uuid;

use super::react::{Found, Reaction, forge};
use super::run::Request;
use crate::checkout;
use crate::config::Drift;
use crate::databricks::jobs::RunNow;
use crate::forge::{Forge, Pipeline};
use crate::names::{SchemaName, Sha256};
use crate::record::statement::{Parameter, Statement};
use crate::record::{self, DecisionRow};
use crate::report::{Fault, FaultKind};
use crate::step::Ctx;
use crate::sys::clock;

pub(super) async fn retrain(ctx: &Ctx, request: &Request, found: Found<'_>) -> Result<Reaction> {
    let policy = &request.policy;
    let trainer = Trainer::find(ctx, request).await?;
    let target = trainer.target(ctx);
    let current = policy.current.to_string();
    let mut claimed = None;
    let dispatches = trainer.is_pipeline();
    if dispatches || policy.retrain.needs_record() {
        let schema = request.record.as_ref().ok_or_else(|| {
            Fault::usage("a pipeline, a cool-down and a budget need the records of earlier checks")
                .hint("set `record.schema` in lakegate.yml")
        })?;
        let claims = Claims { ctx, schema, target: &target, current: &current };
        let other = match claims.stand(policy, found).await? {
            Standing::Free => match claims.claim(found).await? {
                Some(claimant) => {
                    claimed = Some((claims, claimant));
                    None
                }
                None => Some(format!("{target} is started for this window by another check")),
            },
            Standing::Taken => Some(taken(&target)),
            // It is not started again: what is done twice is worse than what is asked for.
            Standing::Unknown if dispatches => {
                let told = format!(
                    "an earlier check was about to start {target} for this window and never said that it did: look, and start it by hand if it did not"
                );
                // No later check is to take this one for the start.
                return Ok(Reaction { target: None, ..Reaction::retrain(&target, told) });
            }
            Standing::Unknown => None,
            Standing::Held(why) => {
                return Ok(Reaction { name: "held-back", ..Reaction::retrain(&target, why) });
            }
        };
        // A job is asked for again: its token gives the same run.
        if let Some(told) = other.filter(|_| dispatches) {
            return Ok(Reaction::retrain(&target, told));
        }
    }
    match &trainer {
        Trainer::Job(job_id, name) => {
            let (run_id, url) = start_job(ctx, request, found, *job_id)
                .await
                .with_context(|| format!("start the retraining job `{name}`"))?;
            let told = format!("retraining run {run_id} for this window: {url}");
            let (run_id, run_url) = (Some(run_id), Some(url));
            Ok(Reaction { run_id, run_url, ..Reaction::retrain(&target, told) })
        }
        Trainer::Pipeline(forge, pipeline) => {
            let started = forge.start(pipeline, &request.retrain_parameters).await;
            if let (Some((claims, claimant)), Err(error)) = (&claimed, &started)
                && Fault::of(error).is_some_and(|fault| fault.kind == FaultKind::Usage)
            {
                // Nothing was started: the next check may try again.
                claims.withdraw(found.window, claimant).await?;
            }
            let url = started?;
            let told = format!("retraining was started for this window: {url}");
            Ok(Reaction { run_url: Some(url), ..Reaction::retrain(&target, told) })
        }
    }
}

fn taken(target: &str) -> String {
    format!("{target} was started for this window by an earlier check")
}

/// Starts the job, or finds the run that was started for this window.
async fn start_job(
    ctx: &Ctx,
    request: &Request,
    found: Found<'_>,
    job_id: i64,
) -> Result<(i64, String)> {
    let current = request.policy.current.to_string();
    let token = Sha256::of_parts(["drift", &job_id.to_string(), &current, found.window]);
    let now = RunNow {
        job_id,
        idempotency_token: Some(token.to_string()),
        job_parameters: request.retrain_parameters.clone(),
    };
    let run_id = ctx.client.run_now(&now).await?;
    // It runs, whoever can look at it.
    let url = ctx.client.run_get(run_id).await.map(|run| run.run_page_url);
    Ok((run_id, url.unwrap_or_else(|_| ctx.client.host().to_owned())))
}

/// What retrains.
enum Trainer {
    Job(i64, String),
    Pipeline(Box<Forge>, Pipeline),
}

impl Trainer {
    fn is_pipeline(&self) -> bool {
        matches!(self, Self::Pipeline(..))
    }

    async fn find(ctx: &Ctx, request: &Request) -> Result<Self> {
        let policy = &request.policy;
        if request.retrain_here {
            return Ok(Self::Pipeline(Box::new(forge(ctx)?), this_pipeline(ctx)?));
        }
        if let Some(name) = &policy.retrain_job {
            let job = checkout::find_job(ctx, name, request.target.as_deref()).await?;
            return Ok(Self::Job(job.job_id, name.clone()));
        }
        let pipeline = match (&policy.retrain.workflow, policy.retrain.pipeline) {
            (Some(workflow), _) => {
                Pipeline::Workflow { file: workflow.file.clone(), branch: workflow.branch.clone() }
            }
            (None, Some(id)) => Pipeline::Azure { id },
            (None, None) => return Err(Fault::usage("nothing is named that retrains").into()),
        };
        Ok(Self::Pipeline(Box::new(forge(ctx)?), pipeline))
    }

    /// Its name in the records: those of one schema may be several repositories'.
    fn target(&self, ctx: &Ctx) -> String {
        let place = ctx.context.repository.as_deref().unwrap_or_default();
        match self {
            Self::Job(id, _) => format!("job:{id}"),
            Self::Pipeline(_, Pipeline::Workflow { file, branch }) => {
                format!("workflow:{place}/{file}@{branch}")
            }
            Self::Pipeline(forge, Pipeline::Azure { id }) => {
                format!("pipeline:{}/{id}", forge.place())
            }
        }
    }
}

/// The pipeline that this check is a step of.
fn this_pipeline(ctx: &Ctx) -> Result<Pipeline, Fault> {
    let context = &ctx.context;
    let unknown = || {
        Fault::usage("--retrain-here: it is not known which pipeline this is")
            .hint("leave it out in a terminal; `drift.retrain` names others")
    };
    let own = context.pipeline.clone().ok_or_else(unknown)?;
    match context.host {
        "github" => {
            let branch = context.branch.clone().ok_or_else(unknown)?;
            Ok(Pipeline::Workflow { file: own, branch })
        }
        _ => Ok(Pipeline::Azure { id: own.parse().ok().ok_or_else(unknown)? }),
    }
}

/// A check that claimed a retraining has said by then what became of it.
const PATIENCE_MS: i64 = 3_600_000;

/// The retrainings that were started or are about to be.
struct Claims<'a> {
    ctx: &'a Ctx,
    schema: &'a SchemaName,
    target: &'a str,
    /// The table that drifted: each has its own retrainings.
    current: &'a str,
}

enum Standing {
    Free,
    /// This window has its retraining.
    Taken,
    /// A check that meant to start it was lost.
    Unknown,
    /// Not now, and why.
    Held(String),
}

impl Claims<'_> {
    fn event(&self, window: &str) -> String {
        Sha256::of_parts(["claim", self.target, self.current, window]).to_string()
    }

    async fn stand(&self, policy: &Drift, found: Found<'_>) -> Result<Standing> {
        let lake = self.ctx.lake()?;
        lake.ensure::<DecisionRow>(self.schema).await?;
        let table = record::table::<DecisionRow>(self.schema).quoted();
        let statement = Statement {
            text: format!(
                "SELECT phase, `at`, window_id FROM {table} WHERE target = :target AND `current` = :current"
            ),
            parameters: [("target", self.target), ("current", self.current)]
                .map(|(name, value)| Parameter::new(name, Some(value.to_owned()), "STRING"))
                .to_vec(),
        };
        let rows = lake.client.sql(lake.warehouse, &statement).await;
        let rows = rows.context("look for earlier retrainings")?.rows;
        let cell = |row: &Vec<Option<String>>, at: usize| row.get(at).cloned().flatten();
        let time =
            |row: &Vec<Option<String>>| Some(crate::names::time(&cell(row, 1)?)?.as_millisecond());
        let (claims, outcomes): (Vec<_>, Vec<_>) =
            rows.into_iter().partition(|row| cell(row, 0).as_deref() == Some("claim"));
        let now = clock::now_ms();
        let own = claims.iter().find(|row| cell(row, 2).as_deref() == Some(found.window));
        if let Some(claim) = own.map(time) {
            // Whoever claimed may be at it.
            let is_lost = claim.is_some_and(|claim| {
                now - claim > PATIENCE_MS && !outcomes.iter().any(|row| time(row) >= Some(claim))
            });
            return Ok(if is_lost { Standing::Unknown } else { Standing::Taken });
        }
        let mut times: Vec<i64> = claims.iter().filter_map(time).collect();
        times.sort_unstable();
        let long = |ms: i64| clock::human(Duration::from_millis(ms.unsigned_abs()));
        if let (Some(pause), Some(last)) = (policy.retrain.cool_down_ms(), times.last())
            && now - last < pause
        {
            return Ok(Standing::Held(format!(
                "no retraining: the last one was {} ago, the cool-down is {}",
                long(now - last),
                long(pause)
            )));
        }
        if let Some((runs, period)) = policy.retrain.budget_ms() {
            let spent = times.iter().filter(|time| now - **time < period).count();
            if spent >= runs {
                return Ok(Standing::Held(format!(
                    "no retraining: {spent} of {runs} in {} are spent",
                    long(period)
                )));
            }
        }
        Ok(Standing::Free)
    }

    /// The claim, if this check may start the retraining: the first one stays.
    async fn claim(&self, found: Found<'_>) -> Result<Option<String>> {
        let lake = self.ctx.lake()?;
        let claimant = Uuid::new_v4().to_string();
        let row = DecisionRow {
            event_id: self.event(found.window),
            phase: "claim",
            baseline: found.baseline.to_owned(),
            current: self.current.to_owned(),
            window: found.window.to_owned(),
            state: found.state.as_str(),
            reason: found.report.reason.clone(),
            reaction: "retrain",
            target: Some(self.target.to_owned()),
            claimant: Some(claimant.clone()),
            run_url: self.ctx.context.run_url.clone(),
            at: clock::now().to_string(),
        };
        lake.record(self.schema, &[row]).await?;
        let table = record::table::<DecisionRow>(self.schema).quoted();
        let statement = Statement {
            text: format!("SELECT claimant FROM {table} WHERE event_id = :event"),
            parameters: vec![Parameter::new("event", Some(self.event(found.window)), "STRING")],
        };
        let read = lake.client.sql(lake.warehouse, &statement).await;
        let read = read.context("look whose claim the retraining is")?;
        Ok((read.first("claimant") == Some(&claimant)).then_some(claimant))
    }

    /// Takes back a claim of this check.
    async fn withdraw(&self, window: &str, claimant: &str) -> Result<()> {
        let lake = self.ctx.lake()?;
        let table = record::table::<DecisionRow>(self.schema).quoted();
        let statement = Statement {
            text: format!("DELETE FROM {table} WHERE event_id = :event AND claimant = :claimant"),
            parameters: vec![
                Parameter::new("event", Some(self.event(window)), "STRING"),
                Parameter::new("claimant", Some(claimant.to_owned()), "STRING"),
            ],
        };
        let gone = lake.client.sql(lake.warehouse, &statement).await;
        gone.map(drop).context("take back the claim on the retraining")
    }
}
