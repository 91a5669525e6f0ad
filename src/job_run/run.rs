//! Starts the run, waits, explains.

use anyhow::Result;

use crate::checkout;
use crate::databricks::jobs::{Job, Run};
use crate::report::{Outcome, Report, Verdict};
use crate::runs::{self, Order};
use crate::step::{self, Ctx};
use crate::sys::clock;

/// Everything that one `job-run` needs to know.
#[derive(Debug, Clone)]
pub struct Request {
    /// An id, a name, or a key in the bundle of this folder.
    pub job: String,
    /// The bundle's target, for a key.
    pub target: Option<String>,
    pub order: Order,
}

impl step::Request for Request {
    fn about(&self) -> Option<&str> {
        Some(&self.job)
    }
}

pub async fn run(ctx: Ctx, request: Request) -> Result<Outcome> {
    let job = checkout::find_job(&ctx, &request.job, request.target.as_deref()).await?;
    let run = runs::to_end(&ctx, &job, &request.order).await?;
    conclude(&ctx, &job, &run).await
}

async fn conclude(ctx: &Ctx, job: &Job, run: &Run) -> Result<Outcome> {
    let mut report = Report::new("job-run", format!("Job {}", job.name()));
    report.fact("run", run.run_id.to_string());
    report.fact("link", run.run_page_url.clone());
    let took = runs::took(run);
    report.fact("took", clock::human(took));
    report.tables.push(runs::task_table(run));
    let result =
        run.state.result_state.clone().unwrap_or_else(|| run.state.life_cycle_state.clone());
    let (verdict, reason) = if run.succeeded() {
        (Verdict::Pass, format!("run {} succeeded in {}", run.run_id, clock::human(took)))
    } else {
        let reason = runs::explain(ctx, run, &mut report.findings).await;
        (Verdict::Fail, format!("run {} ended {result}: {reason}", run.run_id))
    };
    let values = runs::notebook_results(ctx, run).await;
    let outcome = Outcome::new(report.concluded(verdict, reason))
        .output("run-id", run.run_id.to_string())
        .output("run-url", run.run_page_url.clone())
        .output("result", result)
        .output("task-values", values.to_string());
    Ok(outcome)
}
