//! What changed, what it touches, and whether that still holds.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::affected::{self, Affected, Chosen, Code};
use super::change::{self, Change, Touched};
use super::integration::Trial;
use super::tell::{self, Subject};
use super::unit::UnitTests;
use super::{integration, unit};
use crate::checkout::{self, Resolved};
use crate::config::{Integration, Tests};
use crate::deployment;
use crate::names::{SchemaName, Sha256};
use crate::report::{Fault, Finding, Graph, Outcome, Place, Report, Severity, Table, Verdict};
use crate::step::{self, Ctx};
use crate::sys::git::Git;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comment {
    Never,
    OnFailure,
    Always,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Action {
    Run,
    Unit,
    Affected,
    Integration,
    Clean,
    Sweep { hours: f64 },
}

#[derive(Debug, Clone)]
pub struct Request {
    pub action: Action,
    pub bundle: PathBuf,
    pub base: Option<String>,
    /// The branch that releases come from.
    pub main: String,
    /// The name of the commit's status.
    pub status: String,
    pub all: bool,
    pub isolation: Option<String>,
    pub keep: bool,
    pub comment: Comment,
    pub tests: Tests,
    pub record: Option<SchemaName>,
    pub step_key: Option<String>,
}

impl Request {
    fn integration(&self) -> Result<&Integration, Fault> {
        self.tests.integration.as_ref().ok_or_else(|| {
            Fault::usage("lakegate.yml has no `tests.integration`")
                .hint("say there which jobs run, and what must hold after them")
        })
    }
}

impl step::Request for Request {
    fn needs_workspace(&self) -> bool {
        match self.action {
            // Whether there is anything to run is known later.
            Action::Run | Action::Unit | Action::Affected => false,
            Action::Integration | Action::Clean | Action::Sweep { .. } => true,
        }
    }
}

pub async fn run(ctx: Ctx, request: Request) -> Result<Outcome> {
    match request.action {
        Action::Clean => clean(&ctx, &request).await,
        Action::Sweep { hours } => sweep(&ctx, &request, hours).await,
        _ => test(&ctx, &request).await,
    }
}

async fn clean(ctx: &Ctx, request: &Request) -> Result<Outcome> {
    let word = isolation(ctx, request).await?;
    let copy = integration::copy(ctx, &request.bundle, request.integration()?, &word).await?;
    let removed = deployment::remove_copy(ctx, &copy).await?;
    let report = Report::new("merge-test", format!("Clean {word}"));
    let reason = format!("{removed} resources and {} are gone", copy.root_path);
    Ok(Outcome::new(report.concluded(Verdict::Pass, reason)))
}

async fn sweep(ctx: &Ctx, request: &Request, hours: f64) -> Result<Outcome> {
    let limit = Duration::from_secs_f64(hours * 3600.0);
    let removed = integration::sweep(ctx, &request.bundle, request.integration()?, limit).await?;
    let report = Report::new("merge-test", "Sweep");
    let reason = match &removed[..] {
        [] => format!("no copy is older than {hours} hours"),
        names => format!("removed {}: {}", names.len(), names.join(", ")),
    };
    Ok(Outcome::new(report.concluded(Verdict::Pass, reason))
        .output("removed", removed.len().to_string()))
}

/// The word that this run's copy is known by. Each bundle of a repository has
/// its own.
async fn isolation(ctx: &Ctx, request: &Request) -> Result<String> {
    if let Some(word) = &request.isolation {
        return Ok(word.clone());
    }
    let folder = Git::of(&ctx.env, &request.bundle).await?.folder;
    let repository = ctx.context.repository.as_deref().unwrap_or_default();
    let bundle = Sha256::of_parts([repository, &folder]).short();
    let bundle = &bundle[..6];
    Ok(match (ctx.context.merge_request, &ctx.context.run_id, &ctx.context.actor) {
        (Some(number), ..) => format!("mr{number}_{bundle}"),
        (None, Some(run), _) => format!("run{}_{bundle}", Sha256::of(run).short()),
        (None, None, actor) => {
            let plain = |char: char| char.is_ascii_lowercase() || char.is_ascii_digit();
            let name: String = actor.as_deref().unwrap_or("me").to_ascii_lowercase();
            let name: String = name.chars().filter(|char| plain(*char)).collect();
            format!("test_{name}_{bundle}")
        }
    })
}

async fn test(ctx: &Ctx, request: &Request) -> Result<Outcome> {
    let git = Git::of(&ctx.env, &request.bundle).await?;
    let head = git.head().await?;
    let mut report = Report::new("merge-test", "Test the change");
    let change = Change::of(ctx, request, &git, &head, &mut report).await?;
    report.fact("commit", head.clone());
    if let Some(base) = &change.base {
        report.fact("since", base.clone());
    }
    let mut parts = vec![("static checks".to_owned(), static_checks(ctx, request, &mut report)?)];
    let code = Code::of(request, &git, &change)?;
    let mut touched = change::touched(ctx, request, &git, (&change, &code), &mut report).await?;
    report.fact("code", touched.kind);
    let mut unit = unit::Tested::default();
    if matches!(request.action, Action::Run | Action::Unit) {
        let tests = UnitTests {
            unit: &request.tests.unit,
            root: &request.bundle,
            prefix: &git.folder,
            lines: change.lines.as_ref(),
            change: (!request.all && change.base.is_some()).then_some(&code),
        };
        unit = tests.run(ctx, &mut report).await?;
    }
    parts.extend(unit.verdict.map(|verdict| (format!("unit tests: {}", unit.reason), verdict)));
    let chosen = choose(request, &mut touched, &mut report);
    // A workspace's time is not spent on what has failed already.
    let wanted = match request.action {
        Action::Run => worst(&parts) == Verdict::Pass,
        Action::Integration => true,
        _ => false,
    };
    let files = std::mem::take(&mut unit.files);
    let mut tested = integration::Tested::default();
    if wanted && let Some(done) = integrate(ctx, request, &chosen, &mut report).await? {
        let verdict = done.verdict.unwrap_or(Verdict::Inconclusive);
        parts.push((format!("integration tests: {}", done.reason), verdict));
        tested = done;
        report_coverage(&tested, &change, &git.folder, &mut report);
    }
    let verdict = worst(&parts);
    let words = parts.into_iter().filter(|(_, own)| *own == verdict).map(|(words, _)| words);
    report = report.concluded(verdict, words.collect::<Vec<_>>().join(" · "));
    let commit = ctx.context.commit.clone().unwrap_or_else(|| head.clone());
    let is_dirty = !git.dirty().await?.is_empty();
    let subject = Subject {
        is_exact: !is_dirty && holds(&git, &head, &commit).await?,
        commit,
        tree: git.tree(&head).await?,
        base: change.base.filter(|_| !request.all),
        tests: unit.suite.tests + tested.suite.tests,
        failures: unit.suite.failed + tested.suite.failed,
        coverage: unit.changed,
        jobs: tested.ran,
    };
    finish(ctx, request, &subject, is_dirty, &mut report).await?;
    Ok(Outcome { files, ..outcome(report, &subject, &touched, &chosen) })
}

/// The jobs to run; what they make is touched with them.
fn choose<'r>(request: &'r Request, touched: &mut Touched, report: &mut Report) -> Vec<Chosen<'r>> {
    let jobs = request.tests.integration.as_ref().map_or(&[][..], |tests| &tests.jobs);
    let Touched { affected, variables, .. } = touched;
    let chosen = affected::choose(jobs, affected, request.all);
    // A name that cannot be filled in is told as it is written.
    let name =
        |text: &str| integration::filled(text, variables).unwrap_or_else(|_| text.to_owned());
    affected.extend(affected::made(jobs, &chosen, name));
    report_touched(affected, &chosen, report);
    chosen
}

fn report_coverage(
    tested: &integration::Tested,
    change: &Change,
    folder: &str,
    report: &mut Report,
) {
    if let (Some(coverage), Some(lines)) = (&tested.coverage, &change.lines) {
        let changed = coverage.of_change(lines, folder);
        let title = "Coverage of the jobs";
        report.tables.push(unit::coverage_table(title, coverage, &changed, None));
    }
}

/// Whether what lies here is a commit, or what comes of merging it.
async fn holds(git: &Git<'_>, head: &str, commit: &str) -> Result<bool> {
    if head == commit {
        return Ok(true);
    }
    let (first, second) = tokio::try_join!(git.commit("HEAD^1"), git.commit("HEAD^2"))?;
    // A merge has two parents; the only parent of a commit is another state.
    Ok(second.is_some() && (first.as_deref() == Some(commit) || second.as_deref() == Some(commit)))
}

fn outcome(report: Report, subject: &Subject, touched: &Touched, chosen: &[Chosen<'_>]) -> Outcome {
    let affected: Vec<&str> = touched.affected.keys().map(String::as_str).collect();
    let chosen: Vec<&str> = chosen.iter().map(|chosen| chosen.job).collect();
    Outcome::new(report)
        .output("affected", affected.join(","))
        .output("jobs", chosen.join(","))
        .output("code", touched.kind)
        .output("tests", subject.tests.to_string())
        .output("failures", subject.failures.to_string())
        .output("tree", subject.tree.clone())
}

fn worst(parts: &[(String, Verdict)]) -> Verdict {
    parts.iter().map(|(_, verdict)| *verdict).fold(Verdict::Pass, Verdict::and)
}

/// Tells and records a whole test; a part of one proves nothing for a release.
async fn finish(
    ctx: &Ctx,
    request: &Request,
    subject: &Subject,
    is_dirty: bool,
    report: &mut Report,
) -> Result<()> {
    if request.action != Action::Run {
        return Ok(());
    }
    if !ctx.context.from_fork
        && let Some(schema) = &request.record
        && ctx.warehouse.is_some()
    {
        if is_dirty {
            let title = "files are not as they were committed: nothing was recorded of the commit";
            report.findings.push(Finding::new(Severity::Notice, "merge/unrecorded", title));
        } else {
            tell::record(ctx, schema, subject, report).await?;
        }
    }
    tell::everywhere(ctx, request, subject, report).await;
    Ok(())
}

/// Every target must resolve, whoever will deploy it.
fn static_checks(ctx: &Ctx, request: &Request, report: &mut Report) -> Result<Verdict> {
    let sources = checkout::sources(&request.bundle)?;
    let mut verdict = Verdict::Pass;
    let mut found = |message: String, hint: Option<String>, file: String| {
        let mut finding = Finding::new(Severity::Error, "merge/bundle", message);
        finding.hint = hint;
        finding.place = Some(Place { file, line: None });
        report.findings.push(finding);
        verdict = Verdict::Fail;
    };
    let targets = match checkout::every_target(&sources, &ctx.context) {
        Ok(targets) => targets,
        Err(error) => {
            found(error.message, error.hint, error.file);
            return Ok(verdict);
        }
    };
    for (target, resolved) in targets {
        if let Resolved::Wrong(fault) = resolved {
            let message = format!("target `{target}`: {}", fault.message);
            found(message, fault.hint, "databricks.yml".to_owned());
        }
    }
    Ok(verdict)
}

fn report_touched(touched: &Affected, chosen: &[Chosen<'_>], report: &mut Report) {
    let mut table = Table::new("What the change touches", ["resource", "why", "tested by"]);
    for (key, reason) in touched {
        let job = key.strip_prefix("jobs.").unwrap_or_default();
        let tested = chosen.iter().any(|chosen| chosen.job == job);
        let by = if tested { "an integration test" } else { "–" };
        table.row(None, [key.clone(), reason.told.clone(), by.to_owned()]);
    }
    for chosen in chosen {
        let key = format!("jobs.{}", chosen.job);
        if !touched.contains_key(&key) {
            table.row(None, [key, chosen.reason.told.clone(), "an integration test".to_owned()]);
        }
    }
    report.tables.push(table);
    report.graph = graph(touched, chosen);
}

fn graph(touched: &Affected, chosen: &[Chosen<'_>]) -> Option<Graph> {
    let of_jobs = chosen.iter().map(|chosen| (format!("jobs.{}", chosen.job), &chosen.reason));
    let reasons = touched.iter().map(|(key, reason)| (key.clone(), reason)).chain(of_jobs);
    let arrows: BTreeSet<[String; 2]> =
        reasons.filter_map(|(key, reason)| Some([reason.by.clone()?, key])).collect();
    let title = "From the change to what it touches".to_owned();
    (!arrows.is_empty()).then(|| Graph { title, arrows: arrows.into_iter().collect() })
}

async fn integrate(
    ctx: &Ctx,
    request: &Request,
    chosen: &[Chosen<'_>],
    report: &mut Report,
) -> Result<Option<integration::Tested>> {
    let Some(tests) = &request.tests.integration else {
        if request.action == Action::Integration {
            request.integration()?;
        }
        return Ok(None);
    };
    if chosen.is_empty() {
        ctx.host.progress("the change touches no job that has an integration test");
        return Ok(None);
    }
    if ctx.context.from_fork {
        let title = "the code comes from a fork: no integration test was run";
        report.findings.push(
            Finding::new(Severity::Warning, "merge/fork", title)
                .hint("after a look at the change, push it to a branch of this repository"),
        );
        return Ok(None);
    }
    let word = isolation(ctx, request).await?;
    report.fact("isolation", word.clone());
    let trial = Trial {
        ctx,
        root: &request.bundle,
        tests,
        word: &word,
        step_key: request.step_key.as_deref(),
        keep: request.keep,
    };
    trial.run(chosen, report).await.map(Some).context("the integration tests")
}
