//! Starts the run, waits, explains.

use anyhow::Result;

use crate::checkout;
use crate::databricks::jobs::{Job, Run};
use crate::report::{Outcome, Report, Table, Verdict, counted};
use crate::runs::{self, Left, Order};
use crate::step::{self, Ctx};
use crate::sys::clock;

/// Everything that one `job-run` needs to know.
#[derive(Debug, Clone)]
pub enum Request {
    Run(Box<Start>),
    /// Cancels what killed steps left running.
    CancelLeft,
}

#[derive(Debug, Clone)]
pub struct Start {
    /// An id, a name, or a key in the bundle of this folder.
    pub job: String,
    /// The bundle's target, for a key.
    pub target: Option<String>,
    pub order: Order,
}

impl step::Request for Request {
    fn about(&self) -> Option<&str> {
        match self {
            Self::Run(start) => Some(&start.job),
            Self::CancelLeft => None,
        }
    }

    /// Where nothing was left, nobody need be asked.
    fn needs_workspace(&self) -> bool {
        match self {
            Self::Run(_) => true,
            Self::CancelLeft => runs::are_any_left(),
        }
    }

    fn bears_foreign_code(&self) -> bool {
        false
    }
}

pub async fn run(ctx: Ctx, request: Request) -> Result<Outcome> {
    let start = match request {
        Request::Run(start) => start,
        Request::CancelLeft => return cancel_left(&ctx).await,
    };
    let job = checkout::find_job(&ctx, &start.job, start.target.as_deref()).await?;
    let run = runs::to_end(&ctx, &job, &start.order).await?;
    conclude(&ctx, &job, &run).await
}

async fn cancel_left(ctx: &Ctx) -> Result<Outcome> {
    let left = runs::cancel_left(ctx).await?;
    let mut report = Report::new("job-run", "Runs that were left");
    let mut table = Table::new("Runs", ["run", "job", "what became of it"]);
    for Left { run_id, job, told } in &left {
        table.row(None, [run_id.to_string(), job.clone(), (*told).to_owned()]);
    }
    let reason = match left.len() {
        0 => "no run was left".to_owned(),
        count => format!("looked after {}", counted(count, "run")),
    };
    report.tables.push(table);
    Ok(Outcome::new(report.concluded(Verdict::Pass, reason)))
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
