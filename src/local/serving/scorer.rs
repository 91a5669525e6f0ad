//! Processes that answer for model versions: one for each version that an endpoint serves,
//! with the packages that the version asks for.

use std::collections::{BTreeMap, HashMap};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context as _, Result, bail};
use axum::http::StatusCode;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{ChildStdin, ChildStdout};

use crate::local::{Shared, Workspace, environments};
use crate::names::Sha256;
use crate::sys::{clock, fs, process};

const SCORER: &str = include_str!("scorer.py");

/// Where a served version answers, and what it was asked so far.
#[derive(Debug, Default)]
pub(crate) struct Scorers {
    running: Mutex<HashMap<String, Arc<tokio::sync::OnceCell<Scorer>>>>,
    asked: Mutex<HashMap<[String; 2], Asked>>,
}

/// How many requests there were, by the minute that they began in: all, faults of the
/// caller, faults of the server.
type Asked = BTreeMap<i64, [u64; 3]>;

const MINUTE: i64 = 60_000;

#[derive(Debug)]
struct Scorer {
    /// The leader of the process group.
    group: Option<u32>,
    pipe: tokio::sync::Mutex<(ChildStdin, tokio::io::Lines<BufReader<ChildStdout>>)>,
    _child: tokio::process::Child,
}

impl Drop for Scorer {
    fn drop(&mut self) {
        if let Some(group) = self.group {
            process::kill_group(group);
        }
    }
}

/// What tells a scorer from others: the endpoint, and all that the version is served with.
fn key(endpoint: &str, entity: &Value) -> String {
    let mut fields = entity.clone();
    if let Some(fields) = fields.as_object_mut() {
        fields.remove("state");
    }
    format!("{endpoint}\n{}", Sha256::of(fields.to_string()))
}

impl Scorers {
    fn running(
        &self,
    ) -> std::sync::MutexGuard<'_, HashMap<String, Arc<tokio::sync::OnceCell<Scorer>>>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends those of an endpoint that serve none of `entities`.
    pub(super) fn keep_only(&self, endpoint: &str, entities: &[Value]) {
        let kept: Vec<String> = entities.iter().map(|entity| key(endpoint, entity)).collect();
        let own = format!("{endpoint}\n");
        self.running().retain(|key, _| !key.starts_with(&own) || kept.contains(key));
    }

    pub(super) fn stop_all(&self) {
        self.running().clear();
    }

    /// The requests of a whole minute that is over, the newest in which there were any or
    /// that is the last, with its end.
    pub(super) fn last_minute(&self, endpoint: &str, served: &str, now: i64) -> (i64, [u64; 3]) {
        let end = now / MINUTE * MINUTE;
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let of = asked.get(&[endpoint.to_owned(), served.to_owned()]);
        (end, of.and_then(|of| of.get(&(end - MINUTE))).copied().unwrap_or_default())
    }

    fn count(&self, endpoint: &str, served: &str, at: i64, status: u16) {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let own = asked.entry([endpoint.to_owned(), served.to_owned()]).or_default();
        let minute = at / MINUTE * MINUTE;
        // What is over is told for a minute.
        own.retain(|known, _| *known >= minute - 2 * MINUTE);
        let counts = own.entry(minute).or_default();
        counts[0] += 1;
        counts[1] += u64::from((400..500).contains(&status));
        counts[2] += u64::from(status >= 500);
    }
}

/// Starts what serves an entity, unless it runs.
pub(super) async fn up(workspace: &Shared, endpoint: &str, entity: &Value) -> Result<()> {
    scorer(workspace, endpoint, entity).await.map(drop)
}

async fn scorer(
    workspace: &Shared,
    endpoint: &str,
    entity: &Value,
) -> Result<Arc<tokio::sync::OnceCell<Scorer>>> {
    let key = key(endpoint, entity);
    let cell = workspace.scorers.running().entry(key.clone()).or_default().clone();
    let started = cell.get_or_try_init(|| start(workspace, &key, entity)).await;
    if let Err(error) = started {
        workspace.scorers.running().remove(&key);
        return Err(error);
    }
    Ok(cell)
}

/// Asks the entity, and returns the status and the body of its answer.
pub(super) async fn ask(
    workspace: &Shared,
    endpoint: &str,
    entity: &Value,
    body: &str,
) -> (StatusCode, String) {
    let begun = clock::now_ms();
    let answer = async {
        let cell = scorer(workspace, endpoint, entity).await?;
        let scorer = cell.get().context("it has just started")?;
        let mut pipe = scorer.pipe.lock().await;
        let (input, output) = &mut *pipe;
        let line = format!("{}\n", json!({ "body": body }));
        input.write_all(line.as_bytes()).await.context("hand the request over")?;
        input.flush().await.context("hand the request over")?;
        let line = output.next_line().await.context("read the answer")?;
        let line = line.context("the model's process ended before it answered")?;
        let answer: Value = serde_json::from_str(&line).context("read the answer")?;
        let status = answer["status"].as_u64().and_then(|status| u16::try_from(status).ok());
        let status = status.and_then(|status| StatusCode::from_u16(status).ok());
        let status = status.context("read the answer's status")?;
        anyhow::Ok((status, answer["body"].as_str().unwrap_or_default().to_owned()))
    };
    let (status, text) = answer.await.unwrap_or_else(|error| {
        workspace.scorers.running().remove(&key(endpoint, entity));
        let fault = json!({ "error_code": "INTERNAL_ERROR", "message": format!("{error:#}") });
        (StatusCode::INTERNAL_SERVER_ERROR, fault.to_string())
    });
    let served = entity["name"].as_str().unwrap_or_default();
    workspace.scorers.count(endpoint, served, begun, status.as_u16());
    (status, text)
}

/// The version's files, and what it needs to run.
async fn start(workspace: &Shared, key: &str, entity: &Value) -> Result<Scorer> {
    let text = |name: &str| entity[name].as_str().unwrap_or_default();
    let number = text("entity_version").parse().context("read the version's number")?;
    let version = workspace.version(text("entity_name"), number)?;
    let folder = workspace.file_path(version.folder().trim_start_matches('/'))?;
    let requirements = fs::read_text_if_exists(folder.join("requirements.txt"))?;
    let scratch = workspace.dir.join("serving").join(Sha256::of(key).short());
    // What a model writes beside itself must not become a part of the version.
    let own = scratch.join("model");
    fs::remove(&own)?;
    for file in fs::files_below(&folder)? {
        fs::write_atomic(own.join(&file), fs::read(folder.join(&file))?)?;
    }
    let packages = environments::requirement_lines(&requirements.unwrap_or_default())
        .context("read the model's requirements")?;
    let environment = environments::prepare(workspace, &packages, &scratch).await?;
    fs::write_atomic(scratch.join("scorer.py"), SCORER)?;
    let log = scratch.join("output.log");
    let mut command = process::command(&environment.python, &workspace.env);
    command
        .args(["-u".as_ref(), scratch.join("scorer.py").as_os_str(), own.as_os_str()])
        .current_dir(&scratch)
        .envs(&environment.variables)
        .envs(variables(workspace, entity)?)
        .env("MLFLOW_DISABLE_TELEMETRY", "true")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(fs::create(&log)?);
    let mut child = command.spawn().context("start Python")?;
    let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
        bail!("start Python: it has no pipes");
    };
    let pipe = tokio::sync::Mutex::new((input, BufReader::new(output).lines()));
    let scorer = Scorer { group: child.id(), pipe, _child: child };
    let line = scorer.pipe.lock().await.1.next_line().await.context("wait for the model")?;
    let told: Value = serde_json::from_str(line.as_deref().unwrap_or("{}")).unwrap_or_default();
    if told["ready"] == true {
        return Ok(scorer);
    }
    if let Some(error) = told["error"].as_str() {
        bail!("the model could not be loaded: {error}");
    }
    let said = fs::read_text_if_exists(&log)?.unwrap_or_default();
    let tail: Vec<&str> = said.lines().rev().take(4).collect();
    bail!("the model's process ended: {}", tail.into_iter().rev().collect::<Vec<_>>().join(" · "))
}

/// What the model sees of its environment.
fn variables(workspace: &Workspace, entity: &Value) -> Result<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    for (name, value) in entity["environment_vars"].as_object().into_iter().flatten() {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        if value.contains("{{secrets/") {
            bail!("the embedded workspace does not have secrets: `{name}` wants one");
        }
        found.insert(name.clone(), value);
    }
    found.insert("DATABRICKS_HOST".into(), workspace.jobs.host().to_owned());
    found.insert("DATABRICKS_TOKEN".into(), workspace.token.expose().to_owned());
    Ok(found)
}
