//! Unit tests on the runner.

use std::collections::BTreeMap;
use std::io::BufReader;
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use futures::StreamExt as _;

use super::affected::Code;
use super::environment;
use super::shards::{self, Part};
use crate::config::Unit;
use crate::names::Sha256;
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
    /// What the runners wrote of their tests, by names of files.
    pub(super) files: Vec<(String, Vec<u8>)>,
}

/// The lines that changed, by file from the repository's root.
pub(super) type Lines = BTreeMap<String, Vec<RangeInclusive<u32>>>;

/// The unit tests of a change.
pub(super) struct UnitTests<'a> {
    pub(super) unit: &'a Unit,
    /// The bundle's folder, and where that is in the repository.
    pub(super) root: &'a Path,
    pub(super) prefix: &'a str,
    pub(super) lines: Option<&'a Lines>,
    /// Nothing where everything is to be tested.
    pub(super) change: Option<&'a Code>,
}

/// What one command left.
struct Left {
    tested: Tested,
    coverage: Option<Result<Coverage, String>>,
    /// Its results, where they can be read.
    results: Option<Vec<u8>>,
}

impl UnitTests<'_> {
    pub(super) async fn run(&self, ctx: &Ctx, report: &mut Report) -> Result<Tested> {
        let Self { unit, prefix, lines, .. } = *self;
        let parts = shards::choose(unit, self.change);
        self.report_parts(&parts, report);
        if parts.is_empty() {
            let reason = format!("the change touches none of {} parts", unit.shards.len());
            return Ok(Tested { verdict: Some(Verdict::Pass), reason, ..Tested::default() });
        }
        let folder = fs::canonicalize(self.root.join(&unit.folder))?;
        let python = environment::python(ctx, &folder, unit).await?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let runs = parts.iter().map(|part| self.one(ctx, &folder, &python, part));
        // All of them come to their end, also when one is cancelled: what a test has
        // started is killed there.
        let left: Vec<Result<Left>> = futures::stream::iter(runs).buffered(cores).collect().await;
        let left: Vec<Left> = left.into_iter().collect::<Result<_>>()?;
        let (mut all, mut coverages, mut files) = (Vec::new(), Vec::new(), Vec::new());
        for (part, Left { tested, coverage, results }) in parts.iter().zip(left) {
            files.extend(results.map(|bytes| (file_of(part.name), bytes)));
            coverages.push(coverage);
            all.push(tested);
        }
        report.tables.extend(counted_tests(&parts, &all));
        let mut tested = together(&parts, all);
        tested.files = files;
        report_failures(&tested.suite, prefix, &unit.folder, report);
        let is_measured = coverages.iter().all(Option::is_some);
        let coverages: Result<Vec<Coverage>, String> = coverages.into_iter().flatten().collect();
        match (lines, coverages) {
            (Some(_), Err(message)) => {
                let title = format!("the coverage cannot be read: {message}");
                report.findings.push(Finding::new(Severity::Error, "merge/coverage", title));
                worsen(&mut tested, Verdict::Fail, "the coverage cannot be read");
            }
            (Some(lines), Ok(coverages)) if !coverages.is_empty() => {
                let mut coverage = Coverage::default();
                coverages.into_iter().for_each(|own| coverage.add(own));
                let changed = coverage.of_change(lines, &below(prefix, &unit.folder));
                weigh(&mut tested, &changed, &coverage, unit.changed_coverage, report);
                if unit.changed_coverage.is_some() && !is_measured {
                    worsen(&mut tested, Verdict::Inconclusive, "a part wrote no coverage");
                }
            }
            (Some(lines), Ok(_)) if unit.changed_coverage.is_some() && !lines.is_empty() => {
                worsen(&mut tested, Verdict::Inconclusive, "no coverage was written");
            }
            _ => {}
        }
        Ok(tested)
    }

    /// Runs a part of the tests. They are the change's own code: no token is in
    /// reach of them.
    async fn one(&self, ctx: &Ctx, folder: &Path, python: &Path, part: &Part<'_>) -> Result<Left> {
        let unit = self.unit;
        let results = tempfile::tempdir()?;
        let (junit, coverage) =
            (results.path().join("junit.xml"), results.path().join("coverage.xml"));
        let files = Files { junit: &junit, coverage: &coverage };
        let mut command = match &unit.command {
            Some(words) => own(ctx, words, python, files, part.tests),
            None => pytest(ctx, python, files, part.tests).await,
        };
        command.current_dir(folder);
        match part.name {
            "" => ctx.host.progress("run the unit tests"),
            name => ctx.host.progress(&format!("run the unit tests: {name}")),
        }
        let limit = Duration::from_secs_f64(unit.timeout_minutes * 60.0);
        let ended = child::follow(ctx, &mut command, limit).await?;
        let suite = read(&junit, |file| junit::parse(BufReader::new(file)));
        let coverage = coverage.is_file().then(|| {
            text(&coverage).and_then(|text| Coverage::parse(&text).map_err(|e| e.to_string()))
        });
        let results = suite.is_ok().then(|| fs::read(&junit)).transpose()?;
        Ok(Left { tested: judge(ended, suite, unit), coverage, results })
    }

    fn report_parts(&self, parts: &[Part<'_>], report: &mut Report) {
        if self.unit.shards.is_empty() {
            return;
        }
        let mut table = Table::new("Parts of the unit tests", ["part", "tested, because"]);
        for shard in &self.unit.shards {
            let part = parts.iter().find(|part| part.name == shard.name);
            let why =
                part.map_or("not: the change touches nothing that it reads", |part| &part.why);
            table.row(None, [shard.name.clone(), why.to_owned()]);
        }
        report.tables.push(table);
        for path in self.change.into_iter().flat_map(|code| shards::left_out(self.unit, code)) {
            let title = format!("`{path}` belongs to no part of the unit tests: it never runs");
            let finding = Finding::new(Severity::Warning, "merge/no-shard", title);
            report.findings.push(finding.hint("name it, or its folder, under `tests.unit.shards`"));
        }
    }
}

/// How the results of a part are called beside the report: no two alike, whatever the
/// file system makes of letters.
fn file_of(part: &str) -> String {
    let plain = |char: char| if char.is_ascii_alphanumeric() { char } else { '-' };
    let name: String = part.to_lowercase().chars().map(plain).collect();
    match part {
        "" => "unit.xml".to_owned(),
        part if name == part => format!("unit-{name}.xml"),
        part => format!("unit-{name}-{}.xml", &Sha256::of(part).short()[..8]),
    }
}

/// How many tests each part has, and what came of them; nothing where there are none.
fn counted_tests(parts: &[Part<'_>], tested: &[Tested]) -> Option<Table> {
    let columns = ["part", "tests", "passed", "failed", "skipped", "seconds"];
    let mut table = Table::new("Unit tests", columns);
    for (part, Tested { suite, verdict, .. }) in parts.iter().zip(tested) {
        let name = if part.name.is_empty() { "all" } else { part.name };
        let counts = [suite.tests, suite.passed(), suite.failed, suite.skipped];
        let counts = counts.iter().map(u64::to_string);
        let cells = std::iter::once(name.to_owned()).chain(counts).chain([number(suite.seconds)]);
        table.row(*verdict, cells);
    }
    table.worst_first();
    tested.iter().any(|own| own.suite.tests > 0).then_some(table)
}

/// What the parts say together: the worst of them speak.
fn together(parts: &[Part<'_>], mut tested: Vec<Tested>) -> Tested {
    if parts.len() == 1
        && let Some(only) = tested.pop()
    {
        return only;
    }
    let verdicts = tested.iter().filter_map(|own| own.verdict);
    let verdict = verdicts.fold(Verdict::Pass, Verdict::and);
    let worst = parts.iter().zip(&tested).filter(|(_, own)| own.verdict == Some(verdict));
    let words: Vec<String> =
        worst.map(|(part, own)| format!("{}: {}", part.name, own.reason)).collect();
    let mut suite = Suite::default();
    tested.into_iter().for_each(|own| suite.add(own.suite));
    let reason = match verdict {
        Verdict::Pass => format!("{} in {}", counts(&suite), counted(parts.len(), "part")),
        _ => words.join("; "),
    };
    Tested { verdict: Some(verdict), reason, suite, ..Tested::default() }
}

/// Where the tests write their results.
#[derive(Clone, Copy)]
struct Files<'a> {
    junit: &'a Path,
    coverage: &'a Path,
}

/// `folder` below `prefix`, either of which may be the place itself.
pub(super) fn below(prefix: &str, folder: &str) -> String {
    let parts = [prefix, folder].map(|part| part.trim_start_matches("./").trim_matches('/'));
    let named = parts.into_iter().filter(|part| !matches!(*part, "" | "."));
    named.collect::<Vec<_>>().join("/")
}

fn own(
    ctx: &Ctx,
    words: &[String],
    python: &Path,
    files: Files<'_>,
    tests: &[String],
) -> tokio::process::Command {
    let fill = |word: &String| {
        word.replace("{junit}", &files.junit.display().to_string())
            .replace("{coverage}", &files.coverage.display().to_string())
            .replace("{python}", &python.display().to_string())
    };
    let mut command = process::command(fill(&words[0]), &ctx.env);
    for word in &words[1..] {
        match word.as_str() {
            "{tests}" => command.args(tests),
            _ => command.arg(fill(word)),
        };
    }
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
    Files { junit, coverage }: Files<'_>,
    tests: &[String],
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
    command.args(tests);
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

fn counts(suite: &Suite) -> String {
    format!(
        "{}: {} passed, {} failed, {} skipped",
        counted(usize::try_from(suite.tests).unwrap_or(usize::MAX), "test"),
        suite.passed(),
        suite.failed,
        suite.skipped
    )
}

/// Passing needs both: the program's word and results that can be read.
fn judge(ended: Ended, suite: Result<Suite, String>, unit: &Unit) -> Tested {
    let (suite, unread) = match suite {
        Ok(suite) => (suite, None),
        Err(message) => (Suite::default(), Some(message)),
    };
    let counts = counts(&suite);
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
    Tested { verdict: Some(verdict), reason, suite, ..Tested::default() }
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

fn percent(share: f64) -> String {
    format!("{} %", number(share * 100.0))
}

/// How much of all code was run, and how much of a change.
pub(super) fn coverage_table(
    title: &str,
    coverage: &Coverage,
    changed: &Changed,
    verdict: Option<Verdict>,
) -> Table {
    let mut table = Table::new(title, ["of", "lines", "run by a test"]);
    let all: usize = coverage.0.values().map(BTreeMap::len).sum();
    let shown = |share: Option<f64>| share.map_or_else(|| "–".to_owned(), percent);
    table.row(None, ["all code".to_owned(), all.to_string(), shown(coverage.share())]);
    let lines = changed.lines.to_string();
    table.row(verdict, ["changed lines".to_owned(), lines, shown(changed.share())]);
    table
}

fn weigh(
    tested: &mut Tested,
    changed: &Changed,
    coverage: &Coverage,
    least: Option<f64>,
    report: &mut Report,
) {
    tested.changed = changed.share();
    let verdict = match (least, changed.share()) {
        (Some(least), Some(share)) if share < least => Some(Verdict::Fail),
        (Some(_), Some(_)) => Some(Verdict::Pass),
        _ => None,
    };
    report.tables.push(coverage_table("Coverage", coverage, changed, verdict));
    let missed =
        changed.missed.iter().flat_map(|(file, lines)| lines.iter().map(move |l| (file, *l)));
    for file in changed.unknown.iter().take(MISSED) {
        let title = "the coverage report does not know this file, which the change touches";
        let severity = if least.is_some() { Severity::Warning } else { Severity::Notice };
        let mut finding = Finding::new(severity, "merge/uncovered", title);
        finding.place = Some(Place { file: file.clone(), line: None });
        report.findings.push(finding);
    }
    for (file, line) in missed.take(MISSED) {
        let title = "no test runs this line, which the change brings";
        let mut finding = Finding::new(Severity::Notice, "merge/uncovered", title);
        finding.place = Some(Place { file: file.clone(), line: Some(line) });
        report.findings.push(finding);
    }
    // Files that only jobs run are in no report of unit tests; a report of nothing is none.
    if least.is_some() && coverage.0.values().all(BTreeMap::is_empty) {
        let why =
            "the coverage report knows no line: which of the changed ones a test runs is not known";
        report.findings.push(Finding::new(Severity::Error, "merge/coverage", why));
        worsen(tested, Verdict::Inconclusive, why);
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
