//! One attempt of one task: a process, a comparison, or another job's run.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::engine;
use super::model::{Run, State};
use super::references::Scope;
use crate::local::error::{Answer, ApiFault};
use crate::local::{Shared, Workspace, environments};
use crate::sys::{fs, process};

const RUNNER: &str = include_str!("runner.py");

/// What an attempt came to.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) state: State,
    pub(super) values: BTreeMap<String, Value>,
    pub(super) outcome: Option<String>,
    pub(super) result: Option<String>,
    pub(super) error: Option<String>,
    pub(super) trace: Option<String>,
    pub(super) child: Option<i64>,
}

impl Default for Finished {
    fn default() -> Self {
        Self {
            state: State::success(),
            values: BTreeMap::new(),
            outcome: None,
            result: None,
            error: None,
            trace: None,
            child: None,
        }
    }
}

impl Finished {
    /// Over without a word of the task's own.
    fn ended(state: State) -> Box<Self> {
        Box::new(Self { error: Some(state.message.clone()), state, ..Self::default() })
    }

    fn refused(fault: ApiFault) -> Box<Self> {
        Box::new(Self::failed(fault.message))
    }

    fn failed(message: impl Into<String>) -> Self {
        let message = message.into();
        Self { state: State::failed(message.clone()), error: Some(message), ..Self::default() }
    }
}

fn task_dir(workspace: &Workspace, task_run_id: i64) -> PathBuf {
    workspace.dir.join("runs").join(task_run_id.to_string())
}

pub(super) fn log_path(workspace: &Workspace, task_run_id: i64) -> PathBuf {
    task_dir(workspace, task_run_id).join("output.log")
}

/// Runs the newest attempt of a task to its end.
pub(super) async fn task(
    workspace: &Shared,
    run_id: i64,
    task_key: &str,
    stopped: watch::Receiver<bool>,
) -> Finished {
    let attempt = async {
        let run = workspace.run(run_id).map_err(Finished::refused)?;
        let (Some(task), Some(settings)) = (run.newest(task_key), run.task(task_key)) else {
            return Err(Box::new(Finished::failed("the task is not in the job")));
        };
        let scope = Scope { run: &run, task, host: workspace.jobs.host() };
        let settings =
            scope.resolve(settings).map_err(|message| Box::new(Finished::failed(message)))?;
        if settings.get("condition_task").is_some() {
            return condition(&settings["condition_task"]);
        }
        if settings.get("run_job_task").is_some() {
            return run_job(workspace, &settings["run_job_task"], stopped).await;
        }
        python(workspace, &run, task.run_id, &settings, stopped).await
    };
    attempt.await.unwrap_or_else(|failed| *failed)
}

fn condition(settings: &Value) -> Result<Finished, Box<Finished>> {
    let side = |name: &str| {
        settings[name].as_str().map_or_else(|| settings[name].to_string(), str::to_owned)
    };
    let (left, right) = (side("left"), side("right"));
    let numbers = left.parse::<f64>().ok().zip(right.parse::<f64>().ok());
    let compare =
        |holds: fn(&f64, &f64) -> bool| numbers.as_ref().map(|(left, right)| holds(left, right));
    let operator = settings["op"].as_str().unwrap_or_default();
    let holds = match operator {
        "EQUAL_TO" => Some(left == right),
        "NOT_EQUAL" => Some(left != right),
        "GREATER_THAN" => compare(f64::gt),
        "GREATER_THAN_OR_EQUAL" => compare(f64::ge),
        "LESS_THAN" => compare(f64::lt),
        "LESS_THAN_OR_EQUAL" => compare(f64::le),
        other => {
            let message = format!("the condition `{other}` is not known");
            return Err(Box::new(Finished::failed(message)));
        }
    };
    let holds = holds
        .ok_or_else(|| Finished::failed(format!("`{left}` and `{right}` are not both numbers")))?;
    Ok(Finished { outcome: Some(holds.to_string()), ..Finished::default() })
}

async fn run_job(
    workspace: &Shared,
    settings: &Value,
    stopped: watch::Receiver<bool>,
) -> Result<Finished, Box<Finished>> {
    let fail = Finished::refused;
    let job_id = match &settings["job_id"] {
        Value::String(text) => text.parse().unwrap_or(0),
        other => other.as_i64().unwrap_or(0),
    };
    let job = workspace.job(job_id).map_err(fail)?;
    let mut parameters = BTreeMap::new();
    for declared in job["settings"]["parameters"].as_array().into_iter().flatten() {
        let text = |field: &str| declared[field].as_str().unwrap_or_default().to_owned();
        parameters.insert(text("name"), text("default"));
    }
    for (name, value) in settings["job_parameters"].as_object().into_iter().flatten() {
        parameters
            .insert(name.clone(), value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    }
    let started = engine::start(workspace, job_id, &job["settings"], parameters, None, false)
        .map_err(fail)?;
    let child = started.0["run_id"].as_i64().unwrap_or(0);
    loop {
        let run = workspace.run(child).map_err(fail)?;
        if run.state.is_over() {
            let mut finished = Finished { child: Some(child), ..Finished::default() };
            if run.state.result() != "SUCCESS" {
                let message = format!(
                    "run {child} of job {job_id} ended {}: {}",
                    run.state.result(),
                    run.state.message
                );
                finished.state = State::failed(message.clone());
                finished.error = Some(message);
            }
            return Ok(finished);
        }
        if *stopped.borrow() {
            engine::cancel(workspace, child).map_err(fail)?;
            let canceled = Finished::ended(State::canceled());
            return Err(Box::new(Finished { child: Some(child), ..*canceled }));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// The program and the arguments of a task that runs Python.
fn specification(workspace: &Workspace, run: &Run, settings: &Value) -> Answer<Value> {
    let arguments = |settings: &Value| -> Vec<String> {
        let listed = settings["parameters"].as_array().into_iter().flatten();
        listed
            .map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
            .collect()
    };
    if let Some(notebook) = settings.get("notebook_task") {
        let path =
            workspace.workspace_file(notebook["notebook_path"].as_str().unwrap_or_default())?;
        // Job parameters reach every notebook; its own ones win.
        let mut widgets: serde_json::Map<String, Value> =
            run.parameters.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        widgets.extend(notebook["base_parameters"].as_object().cloned().unwrap_or_default());
        return Ok(json!({ "kind": "notebook", "path": path, "args": [], "widgets": widgets }));
    }
    if let Some(wheel) = settings.get("python_wheel_task") {
        let mut args = arguments(wheel);
        let named = wheel["named_parameters"].as_object().into_iter().flatten();
        args.extend(named.map(|(name, value)| {
            format!("--{name}={}", value.as_str().map_or_else(|| value.to_string(), str::to_owned))
        }));
        return Ok(json!({
            "kind": "wheel", "package_name": wheel["package_name"], "entry_point": wheel["entry_point"], "args": args,
        }));
    }
    let script = &settings["spark_python_task"];
    let path = workspace.workspace_file(script["python_file"].as_str().unwrap_or_default())?;
    Ok(json!({ "kind": "script", "path": path, "args": arguments(script) }))
}

async fn python(
    workspace: &Shared,
    run: &Run,
    task_run_id: i64,
    settings: &Value,
    stopped: watch::Receiver<bool>,
) -> Result<Finished, Box<Finished>> {
    let specification = specification(workspace, run, settings).map_err(Finished::refused)?;
    let dir = task_dir(workspace, task_run_id);
    let dependencies = environments::of_task(settings, &run.settings);
    let environment = tokio::select! {
        prepared = environments::prepare(workspace, &dependencies, &dir) => prepared,
        () = wait_for_stop(stopped.clone()) => return Err(Finished::ended(State::canceled())),
    };
    let environment = environment
        .map_err(|error| Finished::ended(State::bad_environment(format!("{error:#}"))))?;
    let command = prepare(workspace, run, &dir, specification, &environment)
        .map_err(|error| Box::new(Finished::failed(format!("{error:#}"))))?;
    mark_running(workspace, run.run_id, task_run_id).map_err(Finished::refused)?;
    let limit = settings["timeout_seconds"].as_u64().filter(|seconds| *seconds > 0);
    let success = supervise(command, limit, stopped).await?;
    Ok(outcome(&dir, success))
}

/// Writes the task's specification, and makes the command that reads it.
fn prepare(
    workspace: &Workspace,
    run: &Run,
    dir: &std::path::Path,
    mut specification: Value,
    environment: &environments::Prepared,
) -> anyhow::Result<tokio::process::Command> {
    let values: BTreeMap<&str, &BTreeMap<String, Value>> =
        run.tasks.iter().map(|task| (task.task_key.as_str(), &task.values)).collect();
    specification["task_values"] = json!(values);
    specification["values_path"] = json!(dir.join("values.json"));
    specification["result_path"] = json!(dir.join("result.json"));
    fs::write_atomic(dir.join("task.json"), specification.to_string())?;
    fs::write_atomic(dir.join("runner.py"), RUNNER)?;
    // What MLflow puts on every run that it tracks here, as a job on the service would.
    let tags = json!({
        "mlflow.source.type": "JOB",
        "mlflow.databricks.jobID": run.job_id.to_string(),
        "mlflow.databricks.jobRunID": run.run_id.to_string(),
    });
    let log = fs::create(dir.join("output.log"))?;
    let errors = log.try_clone().context("open the task's log")?;
    let mut command = process::command(&environment.python, &workspace.env);
    command
        .args(["-u".as_ref(), dir.join("runner.py").as_os_str(), dir.join("task.json").as_os_str()])
        .current_dir(dir)
        .envs(&environment.variables)
        .env("DATABRICKS_HOST", workspace.jobs.host())
        .env("DATABRICKS_TOKEN", workspace.token.expose())
        .env("MLFLOW_TRACKING_URI", "databricks")
        .env("MLFLOW_REGISTRY_URI", "databricks-uc")
        .env("MLFLOW_DISABLE_TELEMETRY", "true")
        .env("MLFLOW_RUN_CONTEXT", tags.to_string())
        .env("PYTHONUNBUFFERED", "1")
        .stdin(Stdio::piped())
        .stdout(log)
        .stderr(errors);
    Ok(command)
}

/// Runs the process to its end, or to that of its time. Returns whether it
/// ended well; whatever it started ends with it.
async fn supervise(
    mut command: tokio::process::Command,
    limit: Option<u64>,
    stopped: watch::Receiver<bool>,
) -> Result<bool, Box<Finished>> {
    let mut child = command
        .spawn()
        .map_err(|error| Box::new(Finished::failed(format!("start Python: {error}"))))?;
    // Waiting closes a child's input, and the runner ends when it does: the
    // pipe is held here, so that it closes only with the workspace itself.
    let _lifeline = child.stdin.take();
    let group = child.id();
    let deadline = async {
        match limit {
            Some(seconds) => tokio::time::sleep(Duration::from_secs(seconds)).await,
            None => std::future::pending().await,
        }
    };
    let ended = tokio::select! {
        status = child.wait() => Ok(status.is_ok_and(|status| status.success())),
        () = wait_for_stop(stopped) => Err(Finished::ended(State::canceled())),
        () = deadline => Err(Finished::ended(State::timed_out(limit.unwrap_or(0)))),
    };
    if let Some(group) = group {
        process::kill_group(group);
    }
    ended
}

async fn wait_for_stop(mut stopped: watch::Receiver<bool>) {
    if stopped.wait_for(|stopped| *stopped).await.is_err() {
        std::future::pending::<()>().await;
    }
}

fn mark_running(workspace: &Workspace, run_id: i64, task_run_id: i64) -> Answer<()> {
    workspace.change_run(run_id, |run| {
        if let Some(task) = run.tasks.iter_mut().find(|task| task.run_id == task_run_id) {
            task.state = State::moving("RUNNING");
        }
    })?;
    Ok(())
}

/// Reads what the runner wrote. A process that ended without a word failed.
fn outcome(dir: &std::path::Path, success: bool) -> Finished {
    let read = |name: &str| -> Option<Value> {
        serde_json::from_str(&fs::read_text_if_exists(dir.join(name)).ok()??).ok()
    };
    let values = read("values.json")
        .and_then(|values| serde_json::from_value(values).ok())
        .unwrap_or_default();
    let text = |result: &Value, name: &str| result[name].as_str().map(str::to_owned);
    match read("result.json") {
        Some(result) if success && result.get("error").is_none() => {
            Finished { values, result: text(&result, "result"), ..Finished::default() }
        }
        Some(result) => {
            let error = text(&result, "error").unwrap_or_else(|| "the task failed".into());
            Finished { values, trace: text(&result, "trace"), ..Finished::failed(error) }
        }
        None => Finished {
            values,
            ..Finished::failed("the process ended before the task did (killed, or out of memory)")
        },
    }
}
