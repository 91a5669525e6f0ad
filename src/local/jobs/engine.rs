//! What runs when: tasks in the order of their dependencies, each as soon as
//! it may, with retries, timeouts and cancellation.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use axum::Json;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::execute::{self, Finished};
use super::model::{Run, State, TaskRun};
use super::{RUN, TOKEN, fresh, key};
use crate::local::error::{Answer, ApiFault};
use crate::local::store::Store;
use crate::local::{Shared, Workspace};
use crate::sys::clock;

/// The runs that are going on.
#[derive(Debug, Default)]
pub(crate) struct Engine {
    host: OnceLock<String>,
    active: Mutex<HashMap<i64, watch::Sender<bool>>>,
}

impl Engine {
    /// Tells the engine where its own server is, for the tasks' environment.
    pub(crate) fn start(&self, host: &str) {
        self.host.get_or_init(|| host.to_owned());
    }

    pub(crate) fn host(&self) -> &str {
        self.host.get().map_or("", String::as_str)
    }

    fn active(&self) -> std::sync::MutexGuard<'_, HashMap<i64, watch::Sender<bool>>> {
        self.active.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Ends the runs of a workspace that was killed. Their processes are gone:
/// they end when their standard input closes.
pub(crate) fn end_orphans(store: &Store) -> Answer<()> {
    let runs: Vec<Run> = store.list(RUN, "")?;
    for mut run in runs.into_iter().filter(|run| !run.state.is_over()) {
        for task in run.tasks.iter_mut().filter(|task| !task.state.is_over()) {
            task.state = State::lost();
            task.error = Some(task.state.message.clone());
            task.end = clock::now_ms();
        }
        run.state = State::lost();
        run.end = clock::now_ms();
        store.put(RUN, &key(run.run_id), &run)?;
    }
    Ok(())
}

/// Cancels every run and waits for their processes to end.
pub(crate) async fn stop_all(workspace: &Shared) {
    for cancel in workspace.jobs.active().values() {
        cancel.send_replace(true);
    }
    for _ in 0..100 {
        if workspace.jobs.active().is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Begins a run, or finds the one that the token stands for.
pub(super) fn start(
    workspace: &Shared,
    job_id: i64,
    settings: &Value,
    parameters: BTreeMap<String, String>,
    token: Option<&str>,
    submitted: bool,
) -> Answer<Json<Value>> {
    if token.is_some_and(|token| token.len() > 64) {
        return Err(ApiFault::invalid("idempotency_token can have at most 64 characters"));
    }
    let (run, is_new) = workspace.store.write(|transaction| {
        let known = token.map(|token| transaction.get::<i64>(TOKEN, token)).transpose()?.flatten();
        if let Some(id) = known {
            let known: Option<Run> = transaction.get(RUN, &key(id))?;
            let known = known.ok_or_else(|| {
                ApiFault::state(format!("The run {id} of this idempotency_token was deleted"))
            })?;
            return Ok((known, false));
        }
        let all: Vec<Run> = transaction.list(RUN, "")?;
        let of_job = || all.iter().filter(|run| run.job_id == job_id && !submitted);
        let number = i64::try_from(of_job().count()).unwrap_or(0) + 1;
        let active = of_job().filter(|run| !run.state.is_over()).count();
        let limit = settings["max_concurrent_runs"].as_u64().unwrap_or(1);
        let full = !submitted && active as u64 >= limit;
        let queued = settings["queue"]["enabled"].as_bool().unwrap_or(false);
        let id = 1_000 + transaction.next("run")?;
        let mut run = fresh(id, job_id, number, settings.clone(), parameters, submitted);
        if full {
            run.state = if queued { State::moving("QUEUED") } else { State::too_many() };
            run.end = if queued { 0 } else { run.start };
        }
        transaction.put(RUN, &key(id), &run)?;
        if let Some(token) = token {
            transaction.put(TOKEN, token, &id)?;
        }
        Ok((run, true))
    })?;
    if is_new && !run.state.is_over() {
        launch(workspace, run.run_id);
    }
    Ok(Json(json!({ "run_id": run.run_id, "number_in_job": run.number_in_job })))
}

fn launch(workspace: &Shared, run_id: i64) {
    let (cancel, cancelled) = watch::channel(false);
    workspace.jobs.active().insert(run_id, cancel);
    let workspace = workspace.clone();
    tokio::spawn(async move {
        let driven = drive(&workspace, run_id, cancelled).await;
        if let Err(fault) = driven {
            tracing::error!(run_id, %fault, "the run could not be driven to its end");
        }
        workspace.jobs.active().remove(&run_id);
    });
}

pub(super) fn cancel(workspace: &Shared, run_id: i64) -> Answer<()> {
    let sent = workspace.jobs.active().get(&run_id).map(|cancel| cancel.send_replace(true));
    if sent.is_some() {
        workspace.change_run(run_id, |run| {
            if !run.state.is_over() {
                run.state = State::moving("TERMINATING");
            }
        })?;
    }
    Ok(())
}

async fn drive(workspace: &Shared, run_id: i64, cancelled: watch::Receiver<bool>) -> Answer<()> {
    wait_in_queue(workspace, run_id, &cancelled).await?;
    let run = workspace.change_run(run_id, |run| {
        if !run.state.is_over() && !*cancelled.borrow() {
            run.state = State::moving("RUNNING");
        }
    })?;
    let limit = run.settings["timeout_seconds"].as_u64().filter(|seconds| *seconds > 0);
    let (stop, stopped) = watch::channel(false);
    let work = tasks(workspace, run_id, stopped);
    tokio::pin!(work);
    let mut cancelled = cancelled;
    let deadline = async {
        match limit {
            Some(seconds) => tokio::time::sleep(Duration::from_secs(seconds)).await,
            None => std::future::pending().await,
        }
    };
    let ended_by = tokio::select! {
        result = &mut work => return finish(workspace, run_id, &result?, None),
        _ = cancelled.wait_for(|cancelled| *cancelled) => State::canceled(),
        () = deadline => State::timed_out(limit.unwrap_or(0)),
    };
    stop.send_replace(true);
    let last = work.await?;
    finish(workspace, run_id, &last, Some(ended_by))
}

async fn wait_in_queue(
    workspace: &Shared,
    run_id: i64,
    cancelled: &watch::Receiver<bool>,
) -> Answer<()> {
    loop {
        let run = workspace.run(run_id)?;
        if run.state.life_cycle != "QUEUED" || *cancelled.borrow() {
            return Ok(());
        }
        let all: Vec<Run> = workspace.store.list(RUN, "")?;
        let ahead = all.iter().filter(|other| {
            other.job_id == run.job_id && other.run_id < run_id && !other.state.is_over()
        });
        let limit = run.settings["max_concurrent_runs"].as_u64().unwrap_or(1);
        if (ahead.count() as u64) < limit {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn finish(workspace: &Workspace, run_id: i64, run: &Run, ended_by: Option<State>) -> Answer<()> {
    let state = ended_by.unwrap_or_else(|| result_of(run));
    workspace.change_run(run_id, |run| {
        for task in run.tasks.iter_mut().filter(|task| !task.state.is_over()) {
            task.state = State::canceled();
            task.end = clock::now_ms();
        }
        run.state = state;
        run.end = clock::now_ms();
    })?;
    Ok(())
}

/// The leaves decide: a failure that a later task made good is not the run's.
fn result_of(run: &Run) -> State {
    let keys: Vec<&str> =
        run.task_settings().iter().filter_map(|task| task["task_key"].as_str()).collect();
    let has_dependents = |key: &str| {
        run.task_settings()
            .iter()
            .any(|task| dependencies(task).iter().any(|(name, _)| name == key))
    };
    let failed = |key: &str| run.newest(key).is_some_and(|task| task.state.is_failure());
    let leaf = keys.iter().copied().filter(|key| !has_dependents(key)).find(|key| failed(key));
    let Some(key) = leaf else {
        return if keys.iter().any(|key| failed(key)) {
            State::with_failures()
        } else {
            State::success()
        };
    };
    // The task that really failed, above the leaf that only could not run.
    let origin = keys
        .iter()
        .filter_map(|key| run.newest(key))
        .find(|task| task.state.is_failure() && !task.state.result().starts_with("UPSTREAM"));
    let Some(origin) = origin.or_else(|| run.newest(key)) else { return State::success() };
    let mut state = origin.state.clone();
    if state.life_cycle == "INTERNAL_ERROR" && state.kind.as_deref() == Some("CLIENT_ERROR") {
        "TERMINATED".clone_into(&mut state.life_cycle);
    }
    state.message =
        format!("Task {} failed with message: {}", origin.task_key, origin.state.message);
    state
}

/// `(task, outcome)` of what a task waits for.
fn dependencies(task: &Value) -> Vec<(String, Option<String>)> {
    let listed = task["depends_on"].as_array().into_iter().flatten();
    let pair = |dependency: &Value| {
        let outcome = dependency["outcome"].as_str().map(str::to_lowercase);
        Some((dependency["task_key"].as_str()?.to_owned(), outcome))
    };
    listed.filter_map(pair).collect()
}

/// Whether a task may start, must be skipped, or has to wait.
enum Turn {
    Wait,
    Start,
    Skip(State),
}

fn turn(run: &Run, task: &Value) -> Turn {
    let mut succeeded = 0;
    let mut failed = 0;
    let mut excluded = 0;
    let all = dependencies(task);
    for (key, outcome) in &all {
        let Some(dependency) = run.newest(key).filter(|dependency| dependency.state.is_over())
        else {
            return Turn::Wait;
        };
        let other_branch = outcome.is_some() && *outcome != dependency.outcome;
        if dependency.state.is_failure() {
            failed += 1;
        } else if other_branch || dependency.state.result() == "EXCLUDED" {
            excluded += 1;
        } else {
            succeeded += 1;
        }
    }
    let start = match task["run_if"].as_str().unwrap_or("ALL_SUCCESS") {
        "ALL_DONE" => true,
        "NONE_FAILED" => failed == 0 && (succeeded > 0 || all.is_empty()),
        "AT_LEAST_ONE_SUCCESS" => succeeded > 0,
        "ALL_FAILED" => failed > 0 && failed == all.len(),
        "AT_LEAST_ONE_FAILED" => failed > 0,
        _ => failed == 0 && excluded == 0,
    };
    match task["run_if"].as_str().unwrap_or("ALL_SUCCESS") {
        _ if start => Turn::Start,
        "ALL_SUCCESS" | "NONE_FAILED" if failed > 0 => {
            Turn::Skip(State::upstream("UPSTREAM_FAILED"))
        }
        _ => Turn::Skip(State::excluded()),
    }
}

/// Runs all tasks; returns the run as it stands when nothing is left to do.
async fn tasks(workspace: &Shared, run_id: i64, stopped: watch::Receiver<bool>) -> Answer<Run> {
    let mut running = JoinSet::new();
    loop {
        let run = workspace.run(run_id)?;
        let mut skipped = false;
        for task in run.task_settings() {
            let key = task["task_key"].as_str().unwrap_or_default().to_owned();
            // A repair leaves a fresh attempt that has not begun.
            let begun = run.newest(&key).is_some_and(|task| task.state.life_cycle != "BLOCKED");
            if begun || *stopped.borrow() {
                continue;
            }
            match turn(&run, task) {
                Turn::Wait => {}
                Turn::Skip(state) => {
                    let task_run = begin(workspace, run_id, &key, 0)?;
                    settle(workspace, run_id, &key, Finished { state, ..Finished::default() })?;
                    tracing::debug!(run_id, task_run, key, "skipped");
                    skipped = true;
                }
                Turn::Start => {
                    begin(workspace, run_id, &key, 0)?;
                    running.spawn(attempts(
                        workspace.clone(),
                        run_id,
                        task.clone(),
                        stopped.clone(),
                    ));
                }
            }
        }
        if skipped {
            continue;
        }
        match running.join_next().await {
            None => return workspace.run(run_id),
            Some(Ok(result)) => result?,
            Some(Err(error)) => return Err(ApiFault::from(anyhow::Error::from(error))),
        }
    }
}

/// Enters a new attempt of a task and returns its run id.
fn begin(workspace: &Workspace, run_id: i64, task_key: &str, attempt: u32) -> Answer<i64> {
    workspace.store.write(|transaction| {
        let id = 1_000 + transaction.next("run")?;
        let mut run: Run =
            transaction.get(RUN, &key(run_id))?.ok_or_else(|| super::absent_run(run_id))?;
        run.tasks.retain(|task| task.task_key != task_key || task.state.life_cycle != "BLOCKED");
        run.tasks.push(TaskRun::new(id, task_key, attempt));
        transaction.put(RUN, &key(run_id), &run)?;
        Ok(id)
    })
}

fn settle(workspace: &Workspace, run_id: i64, task_key: &str, finished: Finished) -> Answer<()> {
    workspace.change_run(run_id, |run| {
        if let Some(task) = run.newest_mut(task_key) {
            task.state = finished.state;
            task.values = finished.values;
            task.outcome = finished.outcome;
            task.result = finished.result;
            task.error = finished.error;
            task.trace = finished.trace;
            task.child = finished.child;
            task.end = clock::now_ms();
        }
    })?;
    Ok(())
}

/// One task with its retries.
async fn attempts(
    workspace: Shared,
    run_id: i64,
    task: Value,
    stopped: watch::Receiver<bool>,
) -> Answer<()> {
    let task_key = task["task_key"].as_str().unwrap_or_default().to_owned();
    let retries = task["max_retries"].as_i64().unwrap_or(0);
    let pause = Duration::from_millis(task["min_retry_interval_millis"].as_u64().unwrap_or(0));
    let mut attempt = 0;
    loop {
        let finished = execute::task(&workspace, run_id, &task_key, stopped.clone()).await;
        let again = match finished.state.result() {
            "FAILED" => true,
            "TIMEDOUT" => task["retry_on_timeout"].as_bool().unwrap_or(false),
            _ => false,
        };
        settle(&workspace, run_id, &task_key, finished)?;
        attempt += 1;
        if !again || *stopped.borrow() || (retries >= 0 && i64::from(attempt) > retries) {
            return Ok(());
        }
        tokio::time::sleep(pause).await;
        begin(&workspace, run_id, &task_key, attempt)?;
    }
}

/// The tasks that a repair runs again: those named or failed, and all that
/// depend on them.
pub(super) fn to_repair(run: &Run, named: &[String], all_failed: bool) -> Vec<String> {
    let keys: Vec<&str> =
        run.task_settings().iter().filter_map(|task| task["task_key"].as_str()).collect();
    let failed = |key: &str| run.newest(key).is_none_or(|task| task.state.is_failure());
    let mut again: Vec<String> = keys
        .iter()
        .filter(|key| named.iter().any(|name| name == *key) || (all_failed && failed(key)))
        .map(|key| (*key).to_owned())
        .collect();
    loop {
        let more: Vec<String> = run
            .task_settings()
            .iter()
            .filter(|task| dependencies(task).iter().any(|(name, _)| again.contains(name)))
            .filter_map(|task| task["task_key"].as_str().map(str::to_owned))
            .filter(|key| !again.contains(key))
            .collect();
        if more.is_empty() {
            return again;
        }
        again.extend(more);
    }
}

pub(super) fn repair(workspace: &Shared, run_id: i64, again: &[String]) -> Answer<i64> {
    let repair_id = workspace.store.write(|transaction| {
        let repair_id = transaction.next("repair")?;
        let mut run: Run =
            transaction.get(RUN, &key(run_id))?.ok_or_else(|| super::absent_run(run_id))?;
        for task_key in again {
            let attempt = run.newest(task_key).map_or(0, |task| task.attempt + 1);
            let id = 1_000 + transaction.next("run")?;
            let mut task = TaskRun::new(id, task_key, attempt);
            task.state = State::moving("BLOCKED");
            run.tasks.push(task);
        }
        run.state = State::moving("PENDING");
        run.repairs
            .push(json!({ "id": repair_id, "type": "REPAIR", "start_time": clock::now_ms() }));
        transaction.put(RUN, &key(run_id), &run)?;
        Ok(repair_id)
    })?;
    launch(workspace, run_id);
    Ok(repair_id)
}
