//! Unit tests on the runner.

use std::collections::BTreeMap;
use std::io::BufReader;
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use super::environment;
use crate::config::Unit;
use crate::report::{Finding, Place, Report, Severity, Table, Verdict, counted, number};
use crate::results::{self, Changed, Coverage, Suite, Unreadable, junit};
use crate::step::Ctx;
use crate::step::child::{self, Ended};
use crate::sys::{fs, process};

/// Lines without a test that are told one by one.
const MISSED: usize = 20;

/// What came of the unit tests.
#[derive(Debug, Default)]
pub(super) struct Tested {
    pub(super) verdict: Option<Verdict>,
    pub(super) reason: String,
    pub(super) suite: Suite,
    pub(super) changed: Option<f64>,
}

/// The lines that changed, by file from the repository's root.
pub(super) type Lines = BTreeMap<String, Vec<RangeInclusive<u32>>>;

pub(super) async fn run(
    ctx: &Ctx,
    unit: &Unit,
    root: &Path,
    prefix: &str,
    lines: Option<&Lines>,
    report: &mut Report,
) -> Result<Tested> {
    let folder = fs::canonicalize(root.join(&unit.folder))?;
    let python = environment::python(ctx, &folder, unit).await?;
    let results = tempfile::tempdir()?;
    let (junit, coverage) = (results.path().join("junit.xml"), results.path().join("coverage.xml"));
    let mut command = match &unit.command {
        Some(words) => own(ctx, words, &python, &junit, &coverage),
        None => pytest(ctx, &python, &junit, &coverage).await,
    };
    // The tests are the change's own code: no token is in reach of them.
    command.current_dir(&folder);
    ctx.host.progress("run the unit tests");
    let limit = Duration::from_secs_f64(unit.timeout_minutes * 60.0);
    let ended = child::follow(ctx, &mut command, limit).await?;
    let suite = read(&junit, |file| junit::parse(BufReader::new(file)));
    let mut tested = judge(ended, suite, unit);
    report_failures(&tested.suite, prefix, &unit.folder, report);
    if let (Some(lines), true) = (lines, coverage.is_file()) {
        let below = below(prefix, &unit.folder);
        match text(&coverage).and_then(|text| Coverage::parse(&text).map_err(|e| e.to_string())) {
            Ok(coverage) => {
                let changed = coverage.of_change(lines, &below);
                weigh(&mut tested, &changed, &coverage, unit.changed_coverage, report);
            }
            Err(message) => {
                let title = format!("the coverage cannot be read: {message}");
                report.findings.push(Finding::new(Severity::Error, "merge/coverage", title));
                worsen(&mut tested, Verdict::Fail, "the coverage cannot be read");
            }
        }
    } else if unit.changed_coverage.is_some() && lines.is_some_and(|lines| !lines.is_empty()) {
        worsen(&mut tested, Verdict::Inconclusive, "no coverage was written");
    }
    Ok(tested)
}

fn below(prefix: &str, folder: &str) -> String {
    let folder = folder.trim_start_matches("./").trim_matches('/');
    let parts = [prefix, if folder == "." { "" } else { folder }];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/")
}

fn own(
    ctx: &Ctx,
    words: &[String],
    python: &Path,
    junit: &Path,
    coverage: &Path,
) -> tokio::process::Command {
    let fill = |word: &String| {
        word.replace("{junit}", &junit.display().to_string())
            .replace("{coverage}", &coverage.display().to_string())
            .replace("{python}", &python.display().to_string())
    };
    let mut command = process::command(fill(&words[0]), &ctx.env);
    command.args(words[1..].iter().map(fill));
    // The environment's programs come first.
    if let (Some(bin), Some(path)) = (python.parent(), ctx.env.get("PATH")) {
        let paths = std::iter::once(bin.to_path_buf()).chain(std::env::split_paths(path));
        if let Ok(joined) = std::env::join_paths(paths) {
            command.env("PATH", joined);
        }
    }
    command
}

async fn pytest(
    ctx: &Ctx,
    python: &Path,
    junit: &Path,
    coverage: &Path,
) -> tokio::process::Command {
    let mut ask = process::command(python, &ctx.env);
    ask.args(["-c", "import pytest_cov"]);
    let measures = ask.output().await.is_ok_and(|told| told.status.success());
    let mut command = process::command(python, &ctx.env);
    command.args(["-m", "pytest", "-q", "-o", "junit_family=xunit1"]);
    command.arg(format!("--junit-xml={}", junit.display()));
    if measures {
        command.args(["--cov=.", "--cov-report=", "--cov-branch"]);
        command.arg(format!("--cov-report=xml:{}", coverage.display()));
        command.env("COVERAGE_FILE", coverage.with_extension("data"));
    }
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

fn text(path: &Path) -> Result<String, String> {
    sized(path).map_err(|message| message.to_string())?;
    fs::read_text(path).map_err(|error| format!("{error:#}"))
}

fn sized(path: &Path) -> Result<std::fs::File, String> {
    if !path.is_file() {
        return Err("they were not written".to_owned());
    }
    let file = fs::open(path).map_err(|error| format!("{error:#}"))?;
    let size = file.metadata().map_err(|error| error.to_string())?.len();
    if size > results::MOST_BYTES {
        return Err(format!("it has {size} bytes, results have at most {}", results::MOST_BYTES));
    }
    Ok(file)
}

fn read(
    path: &Path,
    parse: impl Fn(std::fs::File) -> Result<Suite, Unreadable>,
) -> Result<Suite, String> {
    parse(sized(path)?).map_err(|error| error.to_string())
}

/// Passing needs both: the program's word and results that can be read.
fn judge(ended: Ended, suite: Result<Suite, String>, unit: &Unit) -> Tested {
    let (suite, unread) = match suite {
        Ok(suite) => (suite, None),
        Err(message) => (Suite::default(), Some(message)),
    };
    let counts = format!(
        "{}: {} passed, {} failed, {} skipped",
        counted(usize::try_from(suite.tests).unwrap_or(usize::MAX), "test"),
        suite.passed(),
        suite.failed,
        suite.skipped
    );
    let (verdict, reason) = match (ended, unread) {
        (Ended::TimedOut, _) => (
            Verdict::Fail,
            format!("the tests ran for {} minutes and were stopped", unit.timeout_minutes),
        ),
        (Ended::Exit(status), Some(message)) => (
            Verdict::Fail,
            format!("the results cannot be read: {message} (the tests ended with {status})"),
        ),
        (Ended::Exit(_), None) if suite.failed > 0 => (Verdict::Fail, counts),
        // pytest says 5 when it found none.
        (Ended::Exit(status), None)
            if suite.tests == 0 && (status.success() || status.code() == Some(5)) =>
        {
            (Verdict::Inconclusive, "no test ran".to_owned())
        }
        (Ended::Exit(status), None) if !status.success() => {
            (Verdict::Fail, format!("{counts}, and yet the tests ended with {status}"))
        }
        (Ended::Exit(_), None) if suite.passed() == 0 => {
            (Verdict::Inconclusive, format!("{counts}: nothing was tested"))
        }
        (Ended::Exit(_), None) => (Verdict::Pass, counts),
    };
    Tested { verdict: Some(verdict), reason, suite, changed: None }
}

fn worsen(tested: &mut Tested, verdict: Verdict, why: &str) {
    tested.reason = format!("{}; {why}", tested.reason);
    tested.verdict = Some(tested.verdict.unwrap_or(Verdict::Pass).and(verdict));
}

/// Failures become findings at their place in the repository.
pub(super) fn report_failures(suite: &Suite, prefix: &str, folder: &str, report: &mut Report) {
    let below = below(prefix, folder);
    for failure in &suite.failures {
        let kind = if failure.is_error { "broke" } else { "failed" };
        let title = format!("{} {kind}: {}", failure.test, failure.message);
        let mut finding = Finding::new(Severity::Error, "merge/test", title);
        finding.place = failure.place.as_ref().map(|place| Place {
            file: if below.is_empty() {
                place.file.clone()
            } else {
                format!("{below}/{}", place.file)
            },
            line: place.line,
        });
        report.findings.push(finding);
    }
}

fn weigh(
    tested: &mut Tested,
    changed: &Changed,
    coverage: &Coverage,
    least: Option<f64>,
    report: &mut Report,
) {
    tested.changed = changed.share();
    let percent = |share: f64| format!("{} %", number(share * 100.0));
    let mut table = Table::new("Coverage", ["of", "lines", "run by a test"]);
    let all: usize = coverage.0.values().map(BTreeMap::len).sum();
    let shown = |share: Option<f64>| share.map_or_else(|| "–".to_owned(), percent);
    table.row(None, ["all code".to_owned(), all.to_string(), shown(coverage.share())]);
    let verdict = match (least, changed.share()) {
        (Some(least), Some(share)) if share < least => Some(Verdict::Fail),
        (Some(_), Some(_)) => Some(Verdict::Pass),
        _ => None,
    };
    table.row(
        verdict,
        ["changed lines".to_owned(), changed.lines.to_string(), shown(changed.share())],
    );
    report.tables.push(table);
    let missed =
        changed.missed.iter().flat_map(|(file, lines)| lines.iter().map(move |l| (file, *l)));
    for file in changed.unknown.iter().take(MISSED) {
        let title = "the coverage report does not know this file, which the change touches";
        let mut finding = Finding::new(Severity::Notice, "merge/uncovered", title);
        finding.place = Some(Place { file: file.clone(), line: None });
        report.findings.push(finding);
    }
    for (file, line) in missed.take(MISSED) {
        let title = "no test runs this line, which the change brings";
        let mut finding = Finding::new(Severity::Notice, "merge/uncovered", title);
        finding.place = Some(Place { file: file.clone(), line: Some(line) });
        report.findings.push(finding);
    }
    if let (Some(least), Some(share)) = (least, changed.share())
        && share < least
    {
        let why = format!(
            "{} of the changed lines are run by a test, {} must be",
            percent(share),
            percent(least)
        );
        report.findings.push(Finding::new(Severity::Error, "merge/coverage", why.clone()));
        worsen(tested, Verdict::Fail, &why);
    }
}
