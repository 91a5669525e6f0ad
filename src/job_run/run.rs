//! Starts the run, waits, cancels, explains.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::{token, watch};
use crate::checkout;
use crate::databricks;
use crate::databricks::jobs::{Run, RunNow};
use crate::report::{Fault, FaultKind, Finding, Outcome, Report, Severity, Table, Verdict};
use crate::step::{self, Cancel, Ctx};
use crate::sys::clock;

/// Everything that one `job-run` needs to know.
#[derive(Debug, Clone)]
pub struct Request {
    /// An id, a name, or a key in the bundle of this folder.
    pub job: String,
    /// The bundle's target, for a key.
    pub target: Option<String>,
    pub parameters: BTreeMap<String, String>,
    pub queue_timeout: Duration,
    pub run_timeout: Duration,
    pub rerun_infrastructure: bool,
    pub step_key: Option<String>,
}

impl step::Request for Request {}

/// A run that was started, and the job it belongs to.
#[derive(Debug, Clone)]
struct Started {
    name: String,
    run_id: i64,
}

/// How long the workspace may be out of reach while its run goes on.
const OUTAGE: Duration = Duration::from_secs(15 * 60);
/// A line about a run that does not change comes this often.
const HEARTBEAT: Duration = Duration::from_secs(60);
/// How long the cancellation of the remote run may take.
const CANCEL_BUDGET: Duration = Duration::from_millis(2500);
/// How many runs of one step may have been lost before.
const LOST: u32 = 20;
/// How many lines of a failed task's log are shown.
const TAIL: usize = 30;

pub async fn run(ctx: Ctx, request: Request) -> Result<Outcome> {
    let job = checkout::find_job(&ctx, &request.job, request.target.as_deref()).await?;
    let (job_id, name) = (job.job_id, job.name().to_owned());
    let (mut number, mut reruns) = (0, 0);
    loop {
        let token = token::run_token(
            &ctx.context,
            request.step_key.as_deref(),
            job_id,
            &request.parameters,
            number,
        );
        let now = RunNow {
            job_id,
            idempotency_token: Some(token),
            job_parameters: request.parameters.clone(),
        };
        let run_id =
            ctx.client.run_now(&now).await.with_context(|| format!("start job `{name}`"))?;
        let started = Started { name: name.clone(), run_id };
        let (run, was_over) = wait(&ctx, &started, &request).await?;
        let failed = run.is_infrastructure_failure() && request.rerun_infrastructure;
        // A run that was over when we came was lost by whoever ran this step before.
        if failed && number < LOST && (was_over || reruns == 0) {
            ctx.host.progress(&format!("run {run_id} failed in the platform, running once more"));
            reruns += u32::from(!was_over);
            number += 1;
            continue;
        }
        return conclude(&ctx, &started, &run).await;
    }
}

/// Waits for a run to end, and tells whether it was over at the first look.
async fn wait(ctx: &Ctx, started: &Started, request: &Request) -> Result<(Run, bool)> {
    let begun = Instant::now();
    let mut running_since: Option<Instant> = None;
    let mut last = (String::new(), Instant::now());
    let mut outage: Option<Instant> = None;
    loop {
        let looked = tokio::select! {
            looked = ctx.client.run_get(started.run_id) => looked,
            () = ctx.cancel.asked() => return Err(cancelled(ctx, started).await.into()),
        };
        let run = match looked {
            Ok(run) => run,
            Err(error) if bears_with(ctx, &error, &mut outage) => {
                ctx.host
                    .progress(&format!("the workspace does not answer, looking again: {error}"));
                tokio::time::sleep(watch::pause(begun.elapsed())).await;
                continue;
            }
            Err(error) => {
                return Err(error).with_context(|| format!("look at run {}", started.run_id));
            }
        };
        outage = None;
        if last.0.is_empty() && !run.run_page_url.is_empty() {
            ctx.host.progress(&format!("job `{}` runs: {}", started.name, run.run_page_url));
        }
        let line = watch::progress(&run);
        let first = last.0.is_empty();
        if line != last.0 || last.1.elapsed() >= HEARTBEAT {
            ctx.host.progress(&format!("{line} ({})", clock::human(begun.elapsed())));
            last = (line, Instant::now());
        }
        if !run.is_queued() {
            running_since.get_or_insert_with(Instant::now);
        }
        let ran = running_since.map_or(Duration::ZERO, |since| since.elapsed());
        match watch::next(&run, begun.elapsed(), ran, request.queue_timeout, request.run_timeout) {
            watch::Next::Over => return Ok((run, first)),
            watch::Next::Wait => {}
            late => {
                cancel_remote(ctx, started).await;
                let (what, limit) = match late {
                    watch::Next::QueuedTooLong => ("waited for capacity", request.queue_timeout),
                    _ => ("ran", request.run_timeout),
                };
                let message = format!(
                    "run {} {what} for {} and was cancelled",
                    started.run_id,
                    clock::human(limit)
                );
                return Err(Fault::new(FaultKind::Timeout, message).into());
            }
        }
        tokio::select! {
            () = tokio::time::sleep(watch::pause(begun.elapsed())) => {}
            () = ctx.cancel.asked() => return Err(cancelled(ctx, started).await.into()),
        }
    }
}

/// Whether to go on waiting. The run goes on without us, so an outage of the
/// workspace loses nothing; an embedded one that is gone does not come back.
fn bears_with(ctx: &Ctx, error: &databricks::Error, outage: &mut Option<Instant>) -> bool {
    let embedded = ctx.client.host().starts_with("http://");
    error.is_passing() && !embedded && outage.get_or_insert_with(Instant::now).elapsed() < OUTAGE
}

async fn cancelled(ctx: &Ctx, started: &Started) -> Fault {
    cancel_remote(ctx, started).await;
    Cancel::fault(&format!("wait for run {}", started.run_id))
}

/// Never takes long: the CI host kills the step soon after its signal.
async fn cancel_remote(ctx: &Ctx, started: &Started) {
    let client = ctx.client.with_deadline(CANCEL_BUDGET);
    let sent = tokio::time::timeout(CANCEL_BUDGET, client.run_cancel(started.run_id)).await;
    let words = match sent {
        Ok(Ok(())) => format!("run {} was cancelled", started.run_id),
        Ok(Err(error)) => format!("run {} could not be cancelled: {error}", started.run_id),
        Err(_) => {
            format!("run {} could not be cancelled in time: cancel it by hand", started.run_id)
        }
    };
    ctx.host.say(&words);
}

async fn conclude(ctx: &Ctx, started: &Started, run: &Run) -> Result<Outcome> {
    let mut report = Report::new("job-run", format!("Job {}", started.name));
    report.fact("run", run.run_id.to_string());
    report.fact("link", run.run_page_url.clone());
    let took = Duration::from_millis(u64::try_from(run.end_time - run.start_time).unwrap_or(0));
    report.fact("took", clock::human(took));
    report.tables.push(task_table(run));
    let result =
        run.state.result_state.clone().unwrap_or_else(|| run.state.life_cycle_state.clone());
    let (verdict, reason) = if run.succeeded() {
        (Verdict::Pass, format!("run {} succeeded in {}", run.run_id, clock::human(took)))
    } else {
        let reason = explain(ctx, run, &mut report).await;
        (Verdict::Fail, format!("run {} ended {result}: {reason}", run.run_id))
    };
    let values = notebook_results(ctx, run).await;
    let outcome = Outcome::new(report.concluded(verdict, reason))
        .output("run-id", run.run_id.to_string())
        .output("run-url", run.run_page_url.clone())
        .output("result", result)
        .output("task-values", values.to_string());
    Ok(outcome)
}

fn task_table(run: &Run) -> Table {
    let mut table = Table::new("Tasks", ["task", "result", "took", "attempt"]);
    for task in &run.tasks {
        let result = task.state.result_state.as_deref().unwrap_or(&task.state.life_cycle_state);
        let verdict = match result {
            "SUCCESS" => Some(Verdict::Pass),
            "EXCLUDED" => None,
            _ => Some(Verdict::Fail),
        };
        let took =
            Duration::from_millis(u64::try_from(task.end_time - task.start_time).unwrap_or(0));
        let attempt = (task.attempt_number + 1).to_string();
        table.row(verdict, [task.task_key.clone(), result.to_owned(), clock::human(took), attempt]);
    }
    table
}

/// Shows the failing task's error and the end of its log; returns one line.
async fn explain(ctx: &Ctx, run: &Run, report: &mut Report) -> String {
    let Some(task) = watch::culprit(run) else { return run.state.state_message.clone() };
    let output = match ctx.client.run_output(task.run_id).await {
        Ok(output) => output,
        Err(error) => {
            // The log may be gone; the state still says something.
            return format!(
                "task `{}`: {} (its output could not be read: {error})",
                task.task_key, task.state.state_message
            );
        }
    };
    if let Some(logs) = output.logs.as_deref().filter(|logs| !logs.is_empty()) {
        let lines: Vec<&str> = logs.lines().collect();
        let tail = lines[lines.len().saturating_sub(TAIL)..].join("\n");
        ctx.host.group(&format!("the last lines of task {}", task.task_key), || {
            let mut relay = ctx.host.relay();
            relay.push(tail.as_bytes());
            relay.finish();
        });
    }
    let error = output.error.unwrap_or_else(|| task.state.state_message.clone());
    let title = format!("task `{}` failed: {error}", task.task_key);
    report.findings.push(
        Finding::new(Severity::Error, "job/task-failed", title)
            .hint(format!("see {}", run.run_page_url)),
    );
    let first = error.lines().next().unwrap_or_default();
    format!("task `{}`: {first}", task.task_key)
}

/// What the notebooks returned, by task.
async fn notebook_results(ctx: &Ctx, run: &Run) -> Value {
    let mut values = serde_json::Map::new();
    let succeeded =
        run.tasks.iter().filter(|task| task.state.result_state.as_deref() == Some("SUCCESS"));
    for task in succeeded.filter(|task| task.notebook_task.is_some()) {
        // The run has passed: a result that cannot be read does not change that.
        if let Ok(output) = ctx.client.run_output(task.run_id).await
            && let Some(result) = output.notebook_output.and_then(|output| output.result)
        {
            values.insert(task.task_key.clone(), json!(result));
        }
    }
    Value::Object(values)
}
