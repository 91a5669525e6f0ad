//! Runs of jobs: started once, waited for, cancelled with the step, explained.

mod left;
mod token;
mod watch;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use crate::databricks;
use crate::databricks::jobs::{Job, Run, RunNow};
use crate::report::{Fault, FaultKind, Finding, Severity, Table, Verdict};
use crate::step::{Cancel, Ctx};
use crate::sys::clock;

pub use self::left::{Left, are_any as are_any_left, cancel as cancel_left};

/// A run to start, or to find again.
#[derive(Debug, Clone)]
pub struct Order {
    pub parameters: BTreeMap<String, String>,
    pub queue_timeout: Duration,
    pub run_timeout: Duration,
    /// Start once more what the platform failed, never what the code did.
    pub rerun_infrastructure: bool,
    /// Tells apart two steps that start the same job in one CI run.
    pub step_key: Option<String>,
}

impl Order {
    /// Of a job that another step needs: once more where the platform fails.
    pub fn of(parameters: BTreeMap<String, String>, run_timeout: Duration) -> Self {
        Self {
            parameters,
            queue_timeout: QUEUE,
            run_timeout,
            rerun_infrastructure: true,
            step_key: None,
        }
    }
}

/// How long such a run may wait for capacity.
const QUEUE: Duration = Duration::from_secs(30 * 60);

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

/// [`to_end`], and nothing but success will do; `purpose` is told of a failure.
pub async fn to_success(ctx: &Ctx, job: &Job, order: &Order, purpose: &str) -> Result<Run> {
    let run = to_end(ctx, job, order).await?;
    if run.succeeded() {
        return Ok(run);
    }
    let why = explain(ctx, &run, &mut Vec::new()).await;
    let message = format!("run {} of `{}`, {purpose}: {why}", run.run_id, job.name());
    let fault = Fault::new(FaultKind::Remote, message);
    Err(fault.hint(format!("see {}", run.run_page_url)).into())
}

/// Starts the job once per step attempt, and waits for its end.
pub async fn to_end(ctx: &Ctx, job: &Job, order: &Order) -> Result<Run> {
    let (job_id, name) = (job.job_id, job.name());
    let (mut number, mut reruns) = (0, 0);
    loop {
        let token = token::run_token(
            &ctx.context,
            order.step_key.as_deref(),
            job_id,
            &order.parameters,
            number,
        );
        let now = RunNow {
            job_id,
            idempotency_token: Some(token),
            job_parameters: order.parameters.clone(),
        };
        let run_id =
            ctx.client.run_now(&now).await.with_context(|| format!("start job `{name}`"))?;
        let started = Started { name: name.to_owned(), run_id };
        let marked = left::Marked::of(ctx, &started);
        let (run, was_over) = wait(ctx, &started, order).await?;
        marked.clear();
        let failed = run.is_infrastructure_failure() && order.rerun_infrastructure;
        // A run that was over when we came was lost by whoever ran this step before.
        if failed && number < LOST && (was_over || reruns == 0) {
            ctx.host.progress(&format!("run {run_id} failed in the platform, running once more"));
            reruns += u32::from(!was_over);
            number += 1;
            continue;
        }
        return Ok(run);
    }
}

/// Waits for a run to end, and tells whether it was over at the first look.
async fn wait(ctx: &Ctx, started: &Started, order: &Order) -> Result<(Run, bool)> {
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
        match watch::next(&run, begun.elapsed(), ran, order.queue_timeout, order.run_timeout) {
            watch::Next::Over => return Ok((run, first)),
            watch::Next::Wait => {}
            late => {
                cancel_remote(ctx, started).await;
                let (what, limit) = match late {
                    watch::Next::QueuedTooLong => ("waited for capacity", order.queue_timeout),
                    _ => ("ran", order.run_timeout),
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

/// How each task of a run went.
pub fn task_table(run: &Run) -> Table {
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

/// How long a run took.
pub fn took(run: &Run) -> Duration {
    Duration::from_millis(u64::try_from(run.end_time - run.start_time).unwrap_or(0))
}

/// Shows a failed run's error and the end of its log; returns one line.
pub async fn explain(ctx: &Ctx, run: &Run, findings: &mut Vec<Finding>) -> String {
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
    findings.push(
        Finding::new(Severity::Error, "job/task-failed", title)
            .hint(format!("see {}", run.run_page_url)),
    );
    let first = error.lines().next().unwrap_or_default();
    format!("task `{}`: {first}", task.task_key)
}

/// What the notebooks returned, by task.
pub async fn notebook_results(ctx: &Ctx, run: &Run) -> Value {
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
