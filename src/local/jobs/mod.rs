//! Jobs 2.2: definitions, runs, and their real execution as processes.

mod engine;
mod execute;
mod model;
mod references;
mod validate;

pub(crate) use engine::{Engine, end_orphans, stop_all};

use std::collections::BTreeMap;

use axum::extract::State as Extract;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Map, Value, json};

use super::error::{Answer, ApiFault};
use super::input::{Input, page};
use super::{Shared, USER, Workspace};
use crate::sys::{clock, fs};
use model::{Run, State};

const JOB: &str = "job";
const RUN: &str = "job_run";
/// Idempotency tokens, and the run that each stands for.
const TOKEN: &str = "job_token";

/// The service keeps the first 5 MB of a task's output.
const MAX_LOGS: usize = 5 << 20;

pub(crate) fn routes() -> Router<Shared> {
    let mut router = Router::new();
    for version in ["2.1", "2.2"] {
        let at = |verb: &str| format!("/api/{version}/jobs/{verb}");
        router = router
            .route(&at("create"), post(create))
            .route(&at("reset"), post(reset))
            .route(&at("update"), post(update))
            .route(&at("get"), get(read))
            .route(&at("list"), get(list))
            .route(&at("delete"), post(delete))
            .route(&at("run-now"), post(run_now))
            .route(&at("runs/submit"), post(submit))
            .route(&at("runs/get"), get(read_run))
            .route(&at("runs/list"), get(list_runs))
            .route(&at("runs/get-output"), get(output))
            .route(&at("runs/cancel"), post(cancel))
            .route(&at("runs/cancel-all"), post(cancel_all))
            .route(&at("runs/repair"), post(repair))
            .route(&at("runs/delete"), post(delete_run));
    }
    router
}

fn absent(id: i64) -> ApiFault {
    ApiFault::missing(format!("Job {id} does not exist."))
}

fn absent_run(id: i64) -> ApiFault {
    ApiFault::missing(format!("Run {id} does not exist."))
}

/// Ids in an order that the store's keys keep.
fn key(id: i64) -> String {
    format!("{id:015}")
}

impl Workspace {
    fn job(&self, id: i64) -> Answer<Value> {
        self.store.get(JOB, &key(id))?.ok_or_else(|| absent(id))
    }

    fn run(&self, id: i64) -> Answer<Run> {
        self.store.get(RUN, &key(id))?.ok_or_else(|| absent_run(id))
    }

    fn change_run(&self, id: i64, change: impl FnOnce(&mut Run)) -> Answer<Run> {
        self.store.write(|transaction| {
            let mut run: Run = transaction.get(RUN, &key(id))?.ok_or_else(|| absent_run(id))?;
            change(&mut run);
            transaction.put(RUN, &key(id), &run)?;
            Ok(run)
        })
    }
}

async fn create(Extract(workspace): Extract<Shared>, input: Input) -> Answer<Json<Value>> {
    let settings = with_defaults(input.0);
    validate::job(&settings)?;
    let id = workspace.store.write(|transaction| {
        let id = 100 + transaction.next("job")?;
        let job = json!({ "job_id": id, "creator_user_name": USER, "run_as_user_name": USER, "created_time": clock::now_ms(), "settings": settings });
        transaction.put(JOB, &key(id), &job)?;
        Ok(id)
    })?;
    Ok(Json(json!({ "job_id": id })))
}

fn with_defaults(mut settings: Map<String, Value>) -> Value {
    for (name, value) in [
        ("name", json!("Untitled")),
        ("format", json!("MULTI_TASK")),
        ("max_concurrent_runs", json!(1)),
        ("timeout_seconds", json!(0)),
        ("email_notifications", json!({})),
        ("webhook_notifications", json!({})),
    ] {
        settings.entry(name).or_insert(value);
    }
    Value::Object(settings)
}

async fn reset(Extract(workspace): Extract<Shared>, input: Input) -> Answer<Json<Value>> {
    let id = input.int("job_id")?;
    let Value::Object(settings) = input.value("new_settings") else {
        return Err(ApiFault::invalid("missing required field: new_settings"));
    };
    let settings = with_defaults(settings);
    validate::job(&settings)?;
    change_settings(&workspace, id, |job| *job = settings)
}

/// Replaces the fields that are given, and removes those that are named.
async fn update(Extract(workspace): Extract<Shared>, input: Input) -> Answer<Json<Value>> {
    let id = input.int("job_id")?;
    let mut settings = workspace.job(id)?["settings"].clone();
    for (name, value) in input.value("new_settings").as_object().into_iter().flatten() {
        settings[name] = value.clone();
    }
    if let Some(fields) = settings.as_object_mut() {
        for name in input.list("fields_to_remove").iter().filter_map(Value::as_str) {
            fields.remove(name);
        }
    }
    validate::job(&settings)?;
    change_settings(&workspace, id, |job| *job = settings)
}

fn change_settings(
    workspace: &Workspace,
    id: i64,
    change: impl FnOnce(&mut Value),
) -> Answer<Json<Value>> {
    workspace.store.write(|transaction| {
        let mut job: Value = transaction.get(JOB, &key(id))?.ok_or_else(|| absent(id))?;
        change(&mut job["settings"]);
        transaction.put(JOB, &key(id), &job)
    })?;
    Ok(Json(json!({})))
}

async fn read(Extract(workspace): Extract<Shared>, input: Input) -> Answer<Json<Value>> {
    Ok(Json(workspace.job(input.int("job_id")?)?))
}

async fn list(Extract(workspace): Extract<Shared>, input: Input) -> Answer<Json<Value>> {
    let mut jobs: Vec<Value> = workspace.store.list(JOB, "")?;
    if let Some(name) = input.text_opt("name") {
        jobs.retain(|job| {
            job["settings"]["name"].as_str().is_some_and(|known| known.eq_ignore_ascii_case(name))
        });
    }
    jobs.reverse();
    if !input.flag("expand_tasks") {
        for job in &mut jobs {
            if let Some(settings) = job["settings"].as_object_mut() {
                for heavy in ["tasks", "environments", "job_clusters", "parameters"] {
                    settings.remove(heavy);
                }
            }
        }
    }
    let (jobs, next) = page(&input, jobs, "limit", 20);
    let mut answer = json!({ "jobs": jobs, "has_more": next.is_some() });
    if let Some(next) = next {
        answer["next_page_token"] = json!(next);
    }
    Ok(Json(answer))
}

async fn delete(Extract(workspace): Extract<Shared>, input: Input) -> Answer<Json<Value>> {
    let id = input.int("job_id")?;
    workspace.job(id)?;
    workspace.store.write(|transaction| transaction.delete(JOB, &key(id)))?;
    Ok(Json(json!({})))
}

async fn run_now(Extract(workspace): Extract<Shared>, input: Input) -> Answer<Json<Value>> {
    let id = input.int("job_id")?;
    let settings = workspace.job(id)?["settings"].clone();
    let mut parameters: BTreeMap<String, String> = BTreeMap::new();
    let mut known = Vec::new();
    for declared in settings["parameters"].as_array().into_iter().flatten() {
        let name = declared["name"].as_str().unwrap_or_default();
        known.push(name);
        parameters.insert(name.into(), declared["default"].as_str().unwrap_or_default().into());
    }
    for (name, value) in input.value("job_parameters").as_object().into_iter().flatten() {
        if !known.contains(&name.as_str()) {
            return Err(ApiFault::invalid(format!(
                "Job parameter {name} is not defined in job {id}"
            )));
        }
        parameters
            .insert(name.clone(), value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    }
    for other in ["notebook_params", "python_params", "python_named_params", "only", "jar_params"] {
        if !input.value(other).is_null() {
            return Err(ApiFault::unsupported(format!(
                "`{other}` in run-now (use job_parameters)"
            )));
        }
    }
    engine::start(&workspace, id, &settings, parameters, input.text_opt("idempotency_token"), false)
}

async fn submit(Extract(workspace): Extract<Shared>, input: Input) -> Answer<Json<Value>> {
    let mut settings = Value::Object(input.0.clone());
    settings["name"] = json!(input.text_opt("run_name").unwrap_or("Untitled"));
    validate::job(&settings)?;
    engine::start(
        &workspace,
        0,
        &settings,
        BTreeMap::new(),
        input.text_opt("idempotency_token"),
        true,
    )
}

async fn read_run(Extract(workspace): Extract<Shared>, input: Input) -> Answer<Json<Value>> {
    let run = workspace.run(input.int("run_id")?)?;
    Ok(Json(run.shown(workspace.jobs.host())))
}

async fn list_runs(Extract(workspace): Extract<Shared>, input: Input) -> Answer<Json<Value>> {
    let mut runs: Vec<Run> = workspace.store.list(RUN, "")?;
    if let Some(job) = input.int_opt("job_id") {
        runs.retain(|run| run.job_id == job);
    }
    if input.flag("active_only") {
        runs.retain(|run| !run.state.is_over());
    }
    if input.flag("completed_only") {
        runs.retain(|run| run.state.is_over());
    }
    runs.reverse();
    let shown = runs.iter().map(|run| {
        let mut shown = run.shown(workspace.jobs.host());
        if let Some(fields) = shown.as_object_mut().filter(|_| !input.flag("expand_tasks")) {
            fields.remove("tasks");
        }
        shown
    });
    let (runs, next) = page(&input, shown.collect(), "limit", 20);
    let mut answer = json!({ "runs": runs, "has_more": next.is_some() });
    if let Some(next) = next {
        answer["next_page_token"] = json!(next);
    }
    Ok(Json(answer))
}

async fn output(Extract(workspace): Extract<Shared>, input: Input) -> Answer<Json<Value>> {
    let id = input.int("run_id")?;
    let runs: Vec<Run> = workspace.store.list(RUN, "")?;
    let owner = runs.iter().find_map(|run| {
        let single = run.run_id == id && run.tasks.len() == 1;
        let task = run.tasks.iter().find(|task| task.run_id == id || single)?;
        Some((run, task))
    });
    let Some((run, task)) = owner else {
        if runs.iter().any(|run| run.run_id == id) {
            return Err(ApiFault::invalid(
                "Retrieving the output of runs with multiple tasks is not supported. Please retrieve the output of each individual task run instead.",
            ));
        }
        return Err(absent_run(id));
    };
    let log =
        fs::read_text_if_exists(execute::log_path(&workspace, task.run_id))?.unwrap_or_default();
    let cut = log.len() > MAX_LOGS;
    let end = (0..=MAX_LOGS.min(log.len())).rev().find(|at| log.is_char_boundary(*at)).unwrap_or(0);
    let mut answer = json!({ "metadata": run.shown(workspace.jobs.host()), "logs": log[..end], "logs_truncated": cut });
    if run.task(&task.task_key).is_some_and(|settings| settings.get("notebook_task").is_some()) {
        answer["notebook_output"] = json!({ "result": task.result, "truncated": false });
    }
    if let Some(child) = task.child {
        answer["run_job_output"] = json!({ "run_id": child });
    }
    for (name, value) in [("error", &task.error), ("error_trace", &task.trace)] {
        if let Some(value) = value {
            answer[name] = json!(value);
        }
    }
    Ok(Json(answer))
}

async fn cancel(Extract(workspace): Extract<Shared>, input: Input) -> Answer<Json<Value>> {
    let run = workspace.run(input.int("run_id")?)?;
    engine::cancel(&workspace, run.run_id)?;
    Ok(Json(json!({})))
}

async fn cancel_all(Extract(workspace): Extract<Shared>, input: Input) -> Answer<Json<Value>> {
    let job = input.int("job_id")?;
    let runs: Vec<Run> = workspace.store.list(RUN, "")?;
    for run in runs.iter().filter(|run| run.job_id == job && !run.state.is_over()) {
        engine::cancel(&workspace, run.run_id)?;
    }
    Ok(Json(json!({})))
}

/// Runs the failed tasks of a run again, and those that depend on them.
async fn repair(Extract(workspace): Extract<Shared>, input: Input) -> Answer<Json<Value>> {
    let run = workspace.run(input.int("run_id")?)?;
    if !run.state.is_over() {
        return Err(ApiFault::state("Only runs that are over can be repaired"));
    }
    let named: Vec<String> = input
        .list("rerun_tasks")
        .iter()
        .filter_map(|task| task.as_str().map(str::to_owned))
        .collect();
    let again = engine::to_repair(&run, &named, input.flag("rerun_all_failed_tasks"));
    if again.is_empty() {
        return Err(ApiFault::invalid(
            "No task to rerun: name rerun_tasks, or set rerun_all_failed_tasks",
        ));
    }
    let repair_id = engine::repair(&workspace, run.run_id, &again)?;
    Ok(Json(json!({ "repair_id": repair_id })))
}

async fn delete_run(Extract(workspace): Extract<Shared>, input: Input) -> Answer<Json<Value>> {
    let id = input.int("run_id")?;
    if !workspace.run(id)?.state.is_over() {
        return Err(ApiFault::state(format!("Run {id} is active: cancel it first")));
    }
    workspace.store.write(|transaction| transaction.delete(RUN, &key(id)))?;
    Ok(Json(json!({})))
}

/// A run that has not begun.
fn fresh(
    run_id: i64,
    job_id: i64,
    number: i64,
    settings: Value,
    parameters: BTreeMap<String, String>,
    submitted: bool,
) -> Run {
    Run {
        run_id,
        job_id,
        run_name: settings["name"].as_str().unwrap_or_default().to_owned(),
        number_in_job: number,
        settings,
        parameters,
        state: State::moving("PENDING"),
        start: clock::now_ms(),
        end: 0,
        tasks: Vec::new(),
        trigger: "ONE_TIME".into(),
        repairs: Vec::new(),
        submitted,
    }
}
