//! Walks the steps by running the real binaries against the embedded workspace.

use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;

use super::repository::{self, Change};
use super::steps::{self, Action, STEPS, Step};
use super::travel::{Done, Places, Travel, shown};
use super::{Args, project, report};
use crate::databricks::{Client, Settings};
use crate::host::{Host, relay};
use crate::local::{self, Running};
use crate::report::{Fault, FaultKind, Verdict};
use crate::step::Cancel;
use crate::sys::{Env, clock, fs, process};

/// What the steps share.
struct Tour<'a> {
    places: Places,
    env: &'a Arc<Env>,
    running: Running,
    client: Client,
    python: Option<std::path::PathBuf>,
    cancel: Cancel,
}

/// What a step came to.
struct Came {
    /// Nothing when the step broke: that is no answer, not even a no.
    verdict: Option<Verdict>,
    reason: String,
    report: Option<String>,
    outputs: Value,
}

impl Came {
    fn pass(reason: impl Into<String>) -> Self {
        Self {
            verdict: Some(Verdict::Pass),
            reason: reason.into(),
            report: None,
            outputs: Value::Null,
        }
    }

    fn fail(reason: impl Into<String>) -> Self {
        Self { verdict: Some(Verdict::Fail), ..Self::pass(reason) }
    }

    fn broken(reason: impl Into<String>) -> Self {
        Self { verdict: None, ..Self::pass(reason) }
    }
}

/// Walks the tour. Gives its verdict, and the JSON that `--json` asks for.
pub async fn run(args: Args, env: &Arc<Env>, host: &Host) -> Result<(Verdict, Option<Value>)> {
    let last = last_step(args.until.as_deref())?;
    fs::create_dir_all(&args.dir)?;
    let places = Places { root: fs::canonicalize(&args.dir)? };
    let mut travel = Travel::resume(&places, args.fresh)?;
    let running = local::serve(&places.workspace(), 0, env).await?;
    let settings = Settings::loopback(&running.host, &running.token)?;
    let client = Client::new(&settings, Arc::new(|_| {}))?;
    let mut tour =
        Tour { places, env, running, client, python: None, cancel: Cancel::on_signals() };
    if !args.json {
        host.say(&format!(
            "embedded workspace at {}, state in {}",
            tour.running.host,
            shown(&tour.places.root)
        ));
        if !travel.done.is_empty() {
            host.say(&format!("going on after {} steps that are done", travel.done.len()));
        }
    }
    let result = tour.walk(&mut travel, last, host, args.json).await;
    let Tour { running, places, .. } = tour;
    running.stop().await;
    result?;

    let report = report::build(&places, &travel);
    fs::write_atomic(places.report(), report.html()?)?;
    if args.json {
        let result = json!({ "report": report.json(&[]), "steps": travel.done });
        return Ok((report.verdict, Some(result)));
    }
    host.say("");
    host.say(&format!("{} {}", report.verdict.mark(), report.reason));
    host.say(&format!("report: {}", shown(&places.report())));
    next_steps(&places, travel.finished, host);
    Ok((report.verdict, None))
}

fn last_step(until: Option<&str>) -> Result<usize, Fault> {
    let Some(id) = until else { return Ok(STEPS.len() - 1) };
    let ids = STEPS.map(|step| step.id);
    STEPS.iter().position(|step| step.id == id).ok_or_else(|| {
        Fault::usage(format!("the tour has no step `{id}`")).or_near(id, ids.iter().copied())
    })
}

fn next_steps(places: &Places, finished: bool, host: &Host) {
    if !finished {
        return;
    }
    host.say("");
    host.say("what to try next:");
    host.say(&format!(
        "  look at {}: the bundle, the jobs, lakegate.yml",
        shown(&places.project())
    ));
    host.say(&format!("  lakegate workspace serve --dir {}", shown(&places.workspace())));
    host.say("  then export what it prints, and run a step by hand, such as");
    host.say("  lakegate drift-check --current-where \"month = 2\" --on-drift notify");
}

impl Tour<'_> {
    async fn walk(
        &mut self,
        travel: &mut Travel,
        last: usize,
        host: &Host,
        quiet: bool,
    ) -> Result<()> {
        for (at, step) in STEPS.iter().enumerate().take(last + 1) {
            if travel.find(step.id).is_some_and(|done| done.as_expected) {
                continue;
            }
            travel.done.retain(|done| done.id != step.id);
            let started = Instant::now();
            let bar = bar(at, step);
            let came = self.take(step, travel, &bar).await;
            bar.finish_and_clear();
            if self.cancel.is_asked() {
                return Err(Cancel::fault("the tour").into());
            }
            let came = match came {
                Ok(came) => came,
                // What the caller must change is no step's result.
                Err(error) if is_usage(&error) => return Err(error),
                Err(error) => {
                    let words = format!("{error:#}");
                    fs::write_atomic(self.places.log(step.id), &words)?;
                    Came::broken(words)
                }
            };
            let done = Done {
                id: step.id.to_owned(),
                verdict: came.verdict.map_or("broken", Verdict::as_str).to_owned(),
                as_expected: came.verdict == Some(step.expected),
                reason: came.reason,
                seconds: started.elapsed().as_secs_f64(),
                report: came.report,
                outputs: came.outputs,
            };
            if !quiet {
                let took = clock::human(started.elapsed());
                host.say(&format!(
                    "{} {:>2} {:<48} {took:>8}  {}",
                    done.mark().mark(),
                    at + 1,
                    step.title,
                    done.reason
                ));
            }
            let failed = !done.as_expected;
            travel.done.push(done);
            travel.finished = at + 1 == STEPS.len() && !failed;
            travel.save(&self.places)?;
            if failed {
                if !quiet {
                    host.say(&format!(
                        "     its output is in {}",
                        shown(&self.places.log(step.id))
                    ));
                }
                break;
            }
        }
        Ok(())
    }

    async fn take(&mut self, step: &Step, travel: &Travel, bar: &ProgressBar) -> Result<Came> {
        match step.action {
            Action::Project => {
                let count = project::write(&self.places.project())?;
                repository::init(self.env, &self.places.project()).await?;
                Ok(Came::pass(format!("{count} files in {}", shown(&self.places.project()))))
            }
            Action::Environment => {
                let python = self.environment().await?;
                Ok(Came::pass(format!("{} is ready", shown(&python))))
            }
            Action::MergeTest(change) => self.merge_test(step, change, bar).await,
            Action::Release(branch) => {
                repository::merge(self.env, &self.places.project(), branch).await?;
                self.command(step, &["release-build"], bar).await
            }
            Action::ByHand => {
                self.change_by_hand().await?;
                self.command(step, &["bundle-deploy", "status"], bar).await
            }
            Action::Command(words) => self.command(step, words, bar).await,
            Action::SameRetraining(words) => {
                let mut came = self.command(step, words, bar).await?;
                let before =
                    travel.find("drift").map(|done| done.outputs["retrain-run-id"].clone());
                if before.as_ref() != came.outputs.get("retrain-run-id") {
                    came = Came::pass(format!("another run was started: {}", came.reason));
                }
                Ok(came)
            }
            Action::Retraining => self.retraining(travel).await,
            Action::Rollback(words) => {
                // Named, so that a tour that was killed here rolls back once.
                let promoted = travel.find("promote-new").map(|done| &done.outputs["version"]);
                let promoted = promoted.and_then(Value::as_str).context("nothing was promoted")?;
                let from = format!("--from={promoted}");
                self.command(step, &[words, &[from.as_str()]].concat(), bar).await
            }
        }
    }

    async fn environment(&mut self) -> Result<std::path::PathBuf> {
        if let Some(python) = &self.python {
            return Ok(python.clone());
        }
        let packages = project::requirements(&self.places.project())?;
        let python = self
            .running
            .python_environment(&packages)
            .await
            .context("install the Python packages")?;
        self.python = Some(python.clone());
        Ok(python)
    }

    /// The tests run in the environment that is there already.
    async fn merge_test(
        &mut self,
        step: &Step,
        change: &Change,
        bar: &ProgressBar,
    ) -> Result<Came> {
        repository::commit(self.env, &self.places.project(), change).await?;
        let python = self.environment().await?;
        let words =
            ["merge-test", "run", "--environment=none", "--isolation=tour", "--step-key={step}"];
        let path = std::env::split_paths(self.env.get("PATH").unwrap_or_default());
        let path = python.parent().map(std::path::Path::to_path_buf).into_iter().chain(path);
        let mut command = self.program(step, &words)?;
        command.env("PATH", std::env::join_paths(path).context("make a PATH")?);
        self.answered(step, command, bar).await
    }

    /// What somebody does in the workspace's own pages.
    async fn change_by_hand(&self) -> Result<()> {
        let jobs = self.client.job_list(Some("flights-train")).await?;
        let job = jobs.first().context("the training job is not deployed")?;
        let job = self.client.job_get(job.job_id).await?;
        let mut settings = job.settings.clone();
        settings["max_concurrent_runs"] = json!(10);
        self.client.job_reset(job.job_id, &settings).await.context("change the job")
    }

    /// Runs this very program as a step's process.
    async fn command(&self, step: &Step, words: &[&str], bar: &ProgressBar) -> Result<Came> {
        let command = self.program(step, words)?;
        self.answered(step, command, bar).await
    }

    fn program(&self, step: &Step, words: &[&str]) -> Result<tokio::process::Command> {
        let program = std::env::current_exe().context("find this program")?;
        let mut command = process::installer(program, self.env);
        command
            .args(steps::arguments(words, step.id))
            .env("DATABRICKS_HOST", &self.running.host)
            .env("DATABRICKS_TOKEN", self.running.token.expose())
            .env("DATABRICKS_WAREHOUSE_ID", local::WAREHOUSE);
        Ok(command)
    }

    async fn answered(
        &self,
        step: &Step,
        command: tokio::process::Command,
        bar: &ProgressBar,
    ) -> Result<Came> {
        let (code, stdout, tail) = self.child(step, command, bar).await?;
        let Ok(result) = serde_json::from_str::<Value>(&stdout) else {
            let last = tail.lines().last().unwrap_or_default().to_owned();
            return Ok(Came::broken(format!(
                "exit code {}: {last}",
                code.map_or("none".into(), |code| code.to_string())
            )));
        };
        let text = |name: &str| result[name].as_str().unwrap_or_default().to_owned();
        let verdict = match (text("verdict").as_str(), code) {
            ("pass", Some(0)) => Some(Verdict::Pass),
            ("fail", Some(1)) => Some(Verdict::Fail),
            ("inconclusive", Some(3)) => Some(Verdict::Inconclusive),
            _ => None,
        };
        let report = result["outputs"]["report"]
            .as_str()
            .map(|path| shown(&self.places.project().join(path)));
        Ok(Came { verdict, reason: text("reason"), report, outputs: result["outputs"].clone() })
    }

    /// Runs a child in the project's folder: its errors go to the step's log
    /// and, line by line, to the bar. Returns its exit code, its output, and
    /// the end of its log.
    async fn child(
        &self,
        step: &Step,
        mut command: tokio::process::Command,
        bar: &ProgressBar,
    ) -> Result<(Option<i32>, String, String)> {
        command
            .current_dir(self.places.project())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("start step {}", step.id))?;
        let group = child.id();
        let (mut out, mut err) = (
            child.stdout.take().context("read its output")?,
            child.stderr.take().context("read its errors")?,
        );
        let mut stdout = Vec::new();
        let mut log = Vec::new();
        let watch = async {
            let mut tail = relay::Tail::new(1);
            let mut relay = relay::Relay::new(|line: &str| tail.push(line));
            let mut chunk = vec![0; 8192];
            loop {
                let read = err.read(&mut chunk).await?;
                if read == 0 {
                    break;
                }
                relay.push(&chunk[..read]);
                log.extend_from_slice(&chunk[..read]);
                let text =
                    String::from_utf8_lossy(&log[log.len().saturating_sub(200)..]).into_owned();
                let line = text.trim_end().lines().last().unwrap_or_default().to_owned();
                bar.set_message(relay::harmless_lines(&line).join(" "));
            }
            anyhow::Ok(())
        };
        let finished = async {
            let (read, watched) = tokio::join!(out.read_to_end(&mut stdout), watch);
            read.context("read the step's output")?;
            watched.context("read the step's log")?;
            child.wait().await.context("wait for the step")
        };
        let status = tokio::select! {
            status = finished => status?,
            () = self.cancel.asked() => {
                if let Some(group) = group {
                    process::kill_group(group);
                }
                return Err(Cancel::fault(step.id).into());
            }
        };
        fs::write_atomic(self.places.log(step.id), [log.as_slice(), stdout.as_slice()].concat())?;
        let words = if log.is_empty() { &stdout } else { &log };
        let tail = String::from_utf8_lossy(words).trim_end().to_owned();
        Ok((status.code(), String::from_utf8_lossy(&stdout).into_owned(), tail))
    }

    /// Waits for the run of the drift check; one that a killed tour lost is
    /// repaired, not started again.
    async fn retraining(&self, travel: &Travel) -> Result<Came> {
        let started = travel
            .find("drift")
            .and_then(|done| done.outputs["retrain-run-id"].as_str()?.parse::<i64>().ok());
        let run_id = started.context("the drift check started no run")?;
        let mut repaired = false;
        loop {
            let run = self.client.run_get(run_id).await?;
            if run.is_infrastructure_failure() && !repaired {
                self.client.run_repair(run_id).await?;
                repaired = true;
            } else if run.is_over() {
                let result = run.state.result_state.clone().unwrap_or_default();
                return Ok(if run.succeeded() {
                    Came::pass(format!("run {run_id} succeeded"))
                } else {
                    Came::fail(format!("run {run_id} ended {result}: {}", run.state.state_message))
                });
            }
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(200)) => {}
                () = self.cancel.asked() => return Err(Cancel::fault("retrain").into()),
            }
        }
    }
}

fn is_usage(error: &anyhow::Error) -> bool {
    Fault::of(error).is_some_and(|fault| fault.kind == FaultKind::Usage)
}

/// A spinner with the step and its newest line; hidden when nobody watches.
fn bar(at: usize, step: &Step) -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    let style = ProgressStyle::with_template("{spinner} {prefix} {elapsed} {wide_msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    bar.set_prefix(format!("{:>2} {}", at + 1, step.title));
    bar.enable_steady_tick(Duration::from_millis(120));
    bar
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_carried_project_is_whole() {
        let dir = tempfile::tempdir().unwrap();
        let count = project::write(dir.path()).unwrap();
        assert!(dir.path().join("databricks.yml").is_file() && count >= 18, "{count}");
        assert!(project::requirements(dir.path()).unwrap().iter().all(|line| line.contains("==")));
    }

    #[test]
    fn a_folder_with_other_things_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        fs::write_atomic(dir.path().join("thesis.tex"), "x").unwrap();
        let places = Places { root: dir.path().to_path_buf() };
        assert!(Travel::resume(&places, true).unwrap_err().to_string().contains("not a tour"));
        assert!(dir.path().join("thesis.tex").exists());
    }

    #[test]
    fn an_unfinished_tour_goes_on_and_a_finished_one_starts_over() {
        let dir = tempfile::tempdir().unwrap();
        let places = Places { root: dir.path().to_path_buf() };
        let mut travel = Travel::resume(&places, false).unwrap();
        travel.done.push(Done {
            id: "project".into(),
            verdict: "pass".into(),
            as_expected: true,
            reason: String::new(),
            seconds: 0.1,
            report: None,
            outputs: Value::Null,
        });
        travel.save(&places).unwrap();
        assert_eq!(Travel::resume(&places, false).unwrap(), travel);
        travel.finished = true;
        travel.save(&places).unwrap();
        assert!(Travel::resume(&places, false).unwrap().done.is_empty());
    }

    #[test]
    fn an_unknown_step_is_told_with_near_ones() {
        let fault = last_step(Some("dirft")).unwrap_err();
        assert_eq!(fault.hint.as_deref(), Some("did you mean `drift`?"));
    }
}
