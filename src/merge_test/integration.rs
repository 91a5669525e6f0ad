//! Integration tests: jobs of a copy of the bundle, on a workspace.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use bytes::Bytes;
use serde_json::Value;

use super::affected::Chosen;
use super::unit;
use crate::bundle::{Bundle, Lock, MERGE_TESTS, State};
use crate::checkout::{self, BundleChoice};
use crate::config::{Expect, Integration, IntegrationJob};
use crate::databricks::jobs::Run;
use crate::deployment::{self, How, Store};
use crate::names::TableName;
use crate::record::statement::Statement;
use crate::report::{Fault, FaultKind, Finding, Report, Severity, Table, Verdict, counted, number};
use crate::results::{self, Coverage, Suite, junit};
use crate::runs::{self, Order};
use crate::step::Ctx;
use crate::sys::clock;

/// How often a copy that another run has is asked for.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// What came of the integration tests.
#[derive(Debug, Default)]
pub(super) struct Tested {
    pub(super) verdict: Option<Verdict>,
    pub(super) reason: String,
    pub(super) suite: Suite,
    pub(super) ran: Vec<String>,
    /// What the jobs say that they ran, where they say it.
    pub(super) coverage: Option<Coverage>,
}

/// The copy of the bundle that is this run's own.
pub(super) async fn copy(
    ctx: &Ctx,
    root: &Path,
    integration: &Integration,
    word: &str,
) -> Result<Bundle> {
    let variables = integration.variables.iter();
    let choice = BundleChoice {
        root: root.to_path_buf(),
        target: Some(integration.target.clone()),
        variables: variables
            .map(|(name, value)| (name.clone(), value.replace("{isolation}", word)))
            .collect(),
        isolation: Some(word.to_owned()),
        only_looks: false,
    };
    let bundle = checkout::load_bundle(&choice, &ctx.client, &ctx.env, &ctx.context).await?;
    checkout::confirm_host(&ctx.client, &bundle)?;
    Ok(bundle)
}

/// One run of integration tests.
pub(super) struct Trial<'a> {
    pub(super) ctx: &'a Ctx,
    pub(super) root: &'a Path,
    pub(super) tests: &'a Integration,
    pub(super) word: &'a str,
    pub(super) step_key: Option<&'a str>,
    /// Leave the copy.
    pub(super) keep: bool,
}

impl Trial<'_> {
    /// Deploys the copy, runs the jobs, and removes it again whatever came of it.
    /// The copy is locked until then: another run would change what is tested.
    pub(super) async fn run(&self, chosen: &[Chosen<'_>], report: &mut Report) -> Result<Tested> {
        let ctx = self.ctx;
        let mut bundle = copy(ctx, self.root, self.tests, self.word).await?;
        report.fact("copy", bundle.root_path.clone());
        let own = bundle.clone();
        let store = Store::new(&ctx.client, &own);
        let lock = self.lock(&store).await?;
        let tested = self.in_copy(&mut bundle, (&store, &lock), chosen, report).await;
        if ctx.cancel.is_asked() {
            ctx.host.say("the copy is left: `merge-test clean` removes it");
        } else if self.keep {
            ctx.host.say(&format!("the copy is kept at {}", bundle.root_path));
        } else {
            ctx.host.progress("remove the copy");
            if let Err(error) = deployment::remove_copy(ctx, &bundle).await {
                let title = format!("the copy could not be removed: {error:#}");
                report.findings.push(
                    Finding::new(Severity::Warning, "merge/left-behind", title)
                        .hint("`merge-test sweep` tries again"),
                );
            }
        }
        // It went with the copy, unless that is left.
        let unlocked = store.unlock_if_held(&lock).await;
        let tested = tested?;
        unlocked?;
        Ok(tested)
    }

    /// Waits for another run with this copy to end.
    async fn lock(&self, store: &Store<'_>) -> Result<Lock> {
        let ctx = self.ctx;
        let me = ctx.client.me().await?;
        // On a laptop, what was killed is taken up by whoever runs it again.
        let key = self.step_key.or(ctx.context.run_id.is_none().then_some(self.word));
        let give_up = Instant::now() + Duration::from_secs_f64(self.tests.queue_minutes * 60.0);
        let mut is_told = false;
        loop {
            let error = match store.lock(ctx, key, &me.user_name).await {
                Ok(lock) => return Ok(lock),
                Err(error) => error,
            };
            if Fault::of(&error).is_none_or(|fault| fault.kind != FaultKind::Conflict) {
                return Err(error);
            }
            if ctx.cancel.is_asked() || Instant::now() + LOOK_AGAIN > give_up {
                let message = format!("another run has the copy `{}`: {error:#}", self.word);
                return Err(Fault::new(FaultKind::Conflict, message)
                    .hint("wait for it; if it was killed: `merge-test clean`")
                    .into());
            }
            if !std::mem::replace(&mut is_told, true) {
                ctx.host.progress(&format!("wait for another run: {error:#}"));
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK_AGAIN) => {}
                () = ctx.cancel.asked() => {}
            }
        }
    }

    async fn in_copy(
        &self,
        bundle: &mut Bundle,
        held: (&Store<'_>, &Lock),
        chosen: &[Chosen<'_>],
        report: &mut Report,
    ) -> Result<Tested> {
        let state = self.deploy(bundle, held).await.context("deploy the copy")?;
        let mut tested = Tested::default();
        let mut table = Table::new("Integration tests", ["job", "why", "result", "took", "checks"]);
        for (at, Chosen { job, reason }) in chosen.iter().enumerate() {
            let spec = self.tests.jobs.iter().find(|spec| spec.job == *job);
            let spec = spec.context("find the job's test")?;
            let held = self.job_test(bundle, &state, spec, report).await?;
            tested.ran.push((*job).to_owned());
            let verdict = if held.passed { Verdict::Pass } else { Verdict::Fail };
            let cells = [
                (*job).to_owned(),
                reason.told.clone(),
                held.result,
                held.took,
                held.checks.join("; "),
            ];
            table.row(Some(verdict), cells);
            tested.verdict = Some(tested.verdict.unwrap_or(Verdict::Pass).and(verdict));
            if verdict == Verdict::Fail {
                // What comes after it would test what it did not write.
                let left: Vec<&str> = chosen[at + 1..].iter().map(|chosen| chosen.job).collect();
                let rest = if left.is_empty() {
                    String::new()
                } else {
                    format!("; not run: {}", left.join(", "))
                };
                tested.reason = format!("job `{job}` did not hold{rest}");
                break;
            }
        }
        report.tables.push(table);
        collect(self.ctx, bundle, self.tests, &mut tested, report).await;
        if tested.verdict == Some(Verdict::Pass) {
            tested.reason = format!("{} ran and held", counted(tested.ran.len(), "job"));
        }
        Ok(tested)
    }

    async fn deploy(
        &self,
        bundle: &mut Bundle,
        (store, lock): (&Store<'_>, &Lock),
    ) -> Result<State> {
        let ctx = self.ctx;
        ctx.host.progress(&format!("deploy a copy of {} to {}", bundle.name, bundle.root_path));
        let mut prepared = deployment::prepare(ctx, bundle, self.root, None).await?;
        let how = How { is_copy: true, ..How::default() };
        deployment::carry_out(ctx, bundle, &mut prepared, store, lock, how).await?;
        Ok(prepared.state)
    }

    async fn job_test(
        &self,
        bundle: &Bundle,
        state: &State,
        spec: &IntegrationJob,
        report: &mut Report,
    ) -> Result<Held> {
        let ctx = self.ctx;
        let id = state.id(&format!("jobs.{}", spec.job)).and_then(|id| id.parse().ok());
        let id: i64 = id.ok_or_else(|| {
            let known: Vec<&str> =
                bundle.resources.keys().filter_map(|key| key.strip_prefix("jobs.")).collect();
            Fault::usage(format!("tests.integration: the bundle has no job `{}`", spec.job))
                .or_near(&spec.job, known.iter().copied())
        })?;
        let job = ctx.client.job_get(id).await.with_context(|| format!("find job {id}"))?;
        let run = runs::to_end(ctx, &job, &self.order(spec)).await?;
        let result =
            run.state.result_state.clone().unwrap_or_else(|| run.state.life_cycle_state.clone());
        let took = clock::human(runs::took(&run));
        if !run.succeeded() {
            let why = runs::explain(ctx, &run, &mut report.findings).await;
            return Ok(Held { passed: false, result, took, checks: vec![why] });
        }
        let (mut passed, mut checks) = (true, Vec::new());
        for expect in &spec.expect {
            let (held, words) = check(ctx, bundle, &run, expect).await?;
            passed &= held;
            if !held {
                let title = format!("after `{}`: {words}", spec.job);
                report.findings.push(Finding::new(Severity::Error, "merge/expect", title));
            }
            checks.push(words);
        }
        Ok(Held { passed, result, took, checks })
    }

    fn order(&self, spec: &IntegrationJob) -> Order {
        let context = &self.ctx.context;
        let minutes = |minutes: f64| Duration::from_secs_f64(minutes * 60.0);
        let step = self.step_key.or(context.step.as_deref()).unwrap_or("merge-test");
        Order {
            parameters: spec.parameters.clone(),
            queue_timeout: minutes(self.tests.queue_minutes),
            run_timeout: minutes(self.tests.run_minutes),
            rerun_infrastructure: true,
            // A laptop has no attempt to tell its runs apart by.
            step_key: context.run_id.is_some().then(|| format!("{step}/{}", spec.job)),
        }
    }
}

/// How a job and what was expected of it came out.
struct Held {
    passed: bool,
    result: String,
    took: String,
    checks: Vec<String>,
}

/// Whether something holds after a job, and how it is.
async fn check(ctx: &Ctx, bundle: &Bundle, run: &Run, expect: &Expect) -> Result<(bool, String)> {
    let fill = |text: &str| filled(text, &bundle.variables);
    let (what, value) = if let Some(sql) = &expect.sql {
        let sql = fill(sql)?;
        (sql.clone(), first_value(ctx, &sql).await?)
    } else if let Some(rows) = &expect.rows {
        let table: TableName = fill(rows)?.parse()?;
        let sql = format!("SELECT count(*) FROM {}", table.quoted());
        (format!("rows of {table}"), first_value(ctx, &sql).await?)
    } else {
        let task = expect.task.as_deref().unwrap_or_default();
        let values = runs::notebook_results(ctx, run).await;
        (format!("result of task {task}"), values[task].as_str().map(str::to_owned))
    };
    let held = holds(value.as_deref(), expect, expect.equals.as_deref().map(fill).transpose()?);
    let shown = value.unwrap_or_else(|| "nothing".to_owned());
    let wanted = [
        expect.min.map(|min| format!("at least {}", number(min))),
        expect.max.map(|max| format!("at most {}", number(max))),
        expect.equals.clone().map(|text| format!("`{text}`")),
    ];
    let wanted: Vec<String> = wanted.into_iter().flatten().collect();
    Ok((held, format!("{what} is {shown}, wanted {}", wanted.join(" and "))))
}

/// Only a value that is there and fits holds: NaN fits nothing.
fn holds(value: Option<&str>, expect: &Expect, equals: Option<String>) -> bool {
    let Some(value) = value else { return false };
    let bounded = expect.min.is_some() || expect.max.is_some();
    let fits = !bounded
        || value.parse::<f64>().is_ok_and(|number| {
            number.is_finite()
                && expect.min.is_none_or(|min| number >= min)
                && expect.max.is_none_or(|max| number <= max)
        });
    fits && equals.is_none_or(|text| text == value)
}

async fn first_value(ctx: &Ctx, sql: &str) -> Result<Option<String>> {
    let lake = ctx.lake()?;
    let answer = lake.client.sql(lake.warehouse, &Statement::new(sql)).await;
    let rows = answer.with_context(|| format!("ask `{sql}`"))?.rows;
    Ok(rows.into_iter().next().and_then(|row| row.into_iter().next()).flatten())
}

/// `${var.name}` becomes the variable's value.
pub(super) fn filled(text: &str, variables: &BTreeMap<String, Value>) -> Result<String, Fault> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${var.") {
        let (name, after) = after
            .split_once('}')
            .ok_or_else(|| Fault::usage(format!("`{text}`: a reference is not closed")))?;
        let value = variables.get(name).ok_or_else(|| {
            let known: Vec<&str> = variables.keys().map(String::as_str).collect();
            Fault::usage(format!("`{text}`: the bundle has no variable `{name}`"))
                .or_near(name, known.iter().copied())
        })?;
        out.push_str(before);
        out.push_str(&value.as_str().map_or_else(|| value.to_string(), str::to_owned));
        rest = after;
    }
    out.push_str(rest);
    Ok(out)
}

/// Results that the jobs left in the workspace.
async fn collect(
    ctx: &Ctx,
    bundle: &Bundle,
    integration: &Integration,
    tested: &mut Tested,
    report: &mut Report,
) {
    for path in &integration.coverage {
        match fetch(ctx, bundle, path).await.and_then(|bytes| coverage_of(&bytes)) {
            Ok(own) => tested.coverage.get_or_insert_default().add(own),
            Err(error) => unreadable(path, &error, tested, report),
        }
    }
    for path in &integration.junit {
        let suite = fetch(ctx, bundle, path).await;
        match suite.and_then(|bytes| Ok(junit::parse(&bytes[..])?)) {
            Ok(suite) => {
                if suite.failed > 0 {
                    tested.verdict = Some(Verdict::Fail);
                    tested.reason =
                        format!("{} in `{path}` failed", counted(suite.failed as usize, "test"));
                } else if suite.passed() == 0 {
                    let verdict = tested.verdict.unwrap_or(Verdict::Pass);
                    tested.verdict = Some(verdict.and(Verdict::Inconclusive));
                    tested.reason = format!("no test in `{path}` passed");
                }
                unit::report_failures(&suite, "", ".", report);
                tested.suite.add(suite);
            }
            Err(error) => unreadable(path, &error, tested, report),
        }
    }
}

fn unreadable(path: &str, error: &anyhow::Error, tested: &mut Tested, report: &mut Report) {
    let title = format!("the results at `{path}` cannot be read: {error:#}");
    report.findings.push(Finding::new(Severity::Error, "merge/results", title));
    // A job that did not hold leaves nothing to be read: that it did not says more.
    if tested.verdict != Some(Verdict::Fail) {
        tested.reason = format!("the results at `{path}` cannot be read");
    }
    tested.verdict = Some(Verdict::Fail);
}

fn coverage_of(bytes: &[u8]) -> Result<Coverage> {
    let text = std::str::from_utf8(bytes).context("it is no text")?;
    Ok(Coverage::parse(text)?)
}

async fn fetch(ctx: &Ctx, bundle: &Bundle, path: &str) -> Result<Bytes> {
    let path = filled(path, &bundle.variables)?;
    let bytes = if path.starts_with("/Volumes/") {
        Some(ctx.client.file_read(&path).await?)
    } else {
        ctx.client.workspace_read(&path).await?
    };
    let bytes = bytes.context("there is no such file")?;
    if bytes.len() as u64 > results::MOST_BYTES {
        return Err(Fault::usage(format!("it has {} bytes", bytes.len())).into());
    }
    Ok(bytes)
}

/// Removes copies that are older than this, and tells their names.
pub(super) async fn sweep(
    ctx: &Ctx,
    root: &Path,
    integration: &Integration,
    older_than: Duration,
) -> Result<Vec<String>> {
    // Any copy tells where all of them are.
    let any = copy(ctx, root, integration, "sweep").await?;
    let (home, _) = any.root_path.rsplit_once('/').context("find the copies' folder")?;
    debug_assert!(home.ends_with(MERGE_TESTS));
    let listed = ctx.client.workspace_list(home).await.with_context(|| format!("list `{home}`"))?;
    let mut removed = Vec::new();
    for entry in listed {
        let word = entry.path.rsplit('/').next().unwrap_or_default().to_owned();
        let place = |path: &str| path.replacen(&any.root_path, &format!("{home}/{word}"), 1);
        let old = Bundle {
            root_path: place(&any.root_path),
            file_path: place(&any.file_path),
            artifact_path: place(&any.artifact_path),
            state_path: place(&any.state_path),
            ..any.clone()
        };
        // An age that nobody tells is no reason to remove what may be in use.
        let mut touched = entry.modified_at;
        for file in ["resources.json", "deploy.lock"] {
            let path = format!("{}/{file}", old.state_path);
            let found = ctx.client.workspace_status(&path).await?;
            touched = touched.max(found.map_or(0, |file| file.modified_at));
        }
        let age = u128::try_from(clock::now_ms().saturating_sub(touched)).unwrap_or(0);
        if touched == 0 || age < older_than.as_millis() {
            continue;
        }
        ctx.host.progress(&format!("remove {}", old.root_path));
        deployment::remove_copy(ctx, &old).await.with_context(|| format!("remove `{word}`"))?;
        removed.push(word);
    }
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_value_that_fits_holds() {
        let bounds = |min, max| Expect {
            sql: Some("x".into()),
            rows: None,
            task: None,
            min,
            max,
            equals: None,
        };
        assert!(holds(Some("5"), &bounds(Some(5.0), Some(5.0)), None));
        for (value, min) in [("4.9", 5.0), ("NaN", 0.0), ("inf", 0.0), ("five", 0.0), ("", 0.0)] {
            assert!(!holds(Some(value), &bounds(Some(min), None), None), "{value}");
        }
        assert!(!holds(None, &bounds(Some(0.0), None), None));
        assert!(holds(Some("a"), &bounds(None, None), Some("a".into())));
        assert!(!holds(Some("A"), &bounds(None, None), Some("a".into())));
    }

    #[test]
    fn variables_stand_in_texts() {
        let variables = BTreeMap::from([("schema".to_owned(), Value::from("mr1"))]);
        assert_eq!(filled("a.${var.schema}.t", &variables).unwrap(), "a.mr1.t");
        assert!(filled("${var.shema}", &variables).unwrap_err().hint.unwrap().contains("schema"));
        assert!(filled("${var.schema", &variables).is_err());
    }
}
