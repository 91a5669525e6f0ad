//! Reads both sides, decides, records, and starts the retraining.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;

use super::decide::{Against, Decision, Scoped, State, decide};
use super::react::{Found, Reaction, react};
use super::schema::{Change, Chosen, choose};
use super::{describe, monitor, result, rows, sides};
use crate::config::{self, Drift, Notify, OnDrift};
use crate::lake::Opened;
use crate::names::{Alias, ModelName, SchemaName};
use crate::report::{Document, Fault, Finding, Outcome, Report, Severity, counted};
use crate::step::{self, Ctx};
use crate::sys::clock;
use crate::telemetry::Telemetry;

/// The model that reads the data, for a rollback.
#[derive(Debug, Clone)]
pub struct Production {
    pub model: ModelName,
    pub alias: Alias,
    pub previous: Alias,
    pub lease: Duration,
    pub state_tag: Option<String>,
}

#[derive(Debug, Clone)]
pub struct Request {
    pub policy: Drift,
    pub production: Option<Production>,
    pub window: Option<String>,
    /// The bundle's target, in which the retraining job is.
    pub target: Option<String>,
    pub retrain_parameters: BTreeMap<String, String>,
    /// This pipeline is what retrains.
    pub retrain_here: bool,
    pub record: Option<SchemaName>,
    pub telemetry: config::Telemetry,
    /// Whether both sides are compared, or the current one is looked at alone.
    pub drift: bool,
    /// How many columns are read at a time.
    pub threads: usize,
    /// What the values may take, in bytes.
    pub memory: u64,
    /// A folder for values that do not fit.
    pub spill: Option<PathBuf>,
}

impl Request {
    /// Rules of quality look at the current side alone, but for one.
    fn needs_baseline(&self) -> bool {
        self.drift && self.policy.monitor.is_none()
            || self.policy.quality.iter().any(|rule| rule.rows_change.is_some())
    }

    /// Whether anything is done once per window, and nobody named it.
    fn tells_windows_apart(&self) -> bool {
        let once = matches!(self.policy.on_drift, OnDrift::Retrain | OnDrift::Rollback);
        self.window.is_none() && (once || self.record.is_some())
    }
}

impl step::Request for Request {
    /// Files can be compared without a workspace, as long as nothing follows.
    fn needs_workspace(&self) -> bool {
        let policy = &self.policy;
        policy.current.is_table()
            || (self.needs_baseline() && policy.baseline.is_table())
            || policy.labels().is_some_and(|labels| labels.source.is_table())
            || self.record.is_some()
            || matches!(policy.on_drift, OnDrift::Retrain | OnDrift::Rollback)
    }

    /// Nothing follows but words to whoever reads the report.
    fn bears_foreign_code(&self) -> bool {
        let is_silent = match self.policy.on_drift {
            OnDrift::Nothing => true,
            OnDrift::Notify => self.policy.notify == Notify::default(),
            OnDrift::Retrain | OnDrift::Rollback | OnDrift::Command => false,
        };
        is_silent
            && self.telemetry == config::Telemetry::default()
            && !step::Request::needs_workspace(self)
    }
}

pub async fn run(ctx: Ctx, request: Request) -> Result<Outcome> {
    let policy = &request.policy;
    let telemetry = Telemetry::new(&request.telemetry, &ctx.env, ctx.masker())?;
    let Looked { chosen, scopes, current, baseline, rules } = match &policy.monitor {
        Some(monitor) if request.drift => at_monitor(&ctx, policy, monitor).await?,
        _ => at_rows(&ctx, &request).await?,
    };
    let newest = newest_window(policy, &scopes);
    let mut decision = decide(policy, &chosen.changes, scopes);
    if !request.drift {
        decision.judge_quality_alone(&chosen.changes, rules);
    }
    // The same data under the same policy is the same window.
    let window = request.window.clone().unwrap_or(current);
    let against = baseline.as_str();
    let mut report = report(policy, &decision, &window, &chosen);
    let state = decision.state;
    let kind = if request.drift { "drift" } else { "quality" };
    // Rows that came since do not make another occasion of the newest window.
    let occasion = request.window.clone().or(newest).unwrap_or_else(|| window.clone());
    let found = Found { state, report: &report, window: &occasion, baseline: against, kind };
    // What follows may fail: that is told, and the verdict is kept.
    let (reaction, failed) = react(&ctx, &request, found).await;
    let at = clock::now().to_string();
    let rows = rows::of(policy, &decision, [&window, against], reaction.name, &at);
    let decided = rows::decision(policy, &decision, [&window, against], &reaction, &at);
    if let Some(schema) = &request.record {
        let lake = ctx.lake()?;
        lake.record(schema, &rows).await?;
        lake.record(schema, std::slice::from_ref(&decided)).await?;
    }
    telemetry.send(&rows).await?;
    telemetry.send_decision(&decided).await?;
    for error in failed {
        let mut finding = Finding::new(Severity::Error, "drift/reaction", format!("{error:#}"));
        finding.hint = Fault::of(&error).and_then(|fault| fault.hint.clone());
        report.findings.insert(0, finding);
    }
    if let Some(told) = &reaction.told {
        report.reason = format!("{}; {told}", report.reason);
    }
    outcome(policy, report, &decision, &chosen, &reaction)
}

/// What there is to say about sides that share their rows.
///
/// # Errors
/// When both are the same rows: no difference would mean anything.
fn same_rows(policy: &Drift, baseline: &Opened, current: &Opened) -> Result<Option<Change>, Fault> {
    let told = |what: String| Change {
        column: "baseline".into(),
        what,
        breaks: false,
        rule: "drift/sides",
    };
    let [then, now] = [baseline.side.paths(), current.side.paths()];
    let shared = now.iter().filter(|file| then.contains(file)).count();
    let filters_alike = policy.baseline_where == policy.current_where;
    let are_files =
        shared > 0 && [then, now].map(|files| files.len()) == [shared; 2] && filters_alike;
    let is_same = (baseline.identity == current.identity || are_files) && policy.windows.is_none();
    if is_same && !are_files && policy.baseline != policy.current {
        // A state that is named twice: no error of the policy.
        return Ok(Some(told("is the current state: nothing was written since".into())));
    }
    if is_same {
        let message = format!("baseline and current are the same rows: {}", current.identity);
        return Err(Fault::usage(message)
            .hint("tell them apart by `baseline_where` and `current_where`, or by versions"));
    }
    if shared > 0 && filters_alike {
        let what = format!("shares {} with the current side", counted(shared, "file"));
        return Ok(Some(told(format!("{what}: a drift of them is told weaker"))));
    }
    if policy.baseline.place != policy.current.place {
        return Ok(None);
    }
    if let (Some(then), Some(now)) = (baseline.version, current.version)
        && then > now
    {
        let what = format!("is version {then}, newer than version {now} that is held against it");
        return Ok(Some(told(what)));
    }
    let is_part = policy.baseline_where.is_none()
        && policy.current_where.is_some()
        && baseline.version == current.version;
    Ok(is_part.then(|| told("holds the current rows, too: a drift of them is told weaker".into())))
}

/// A baseline that begins when the current rows are over: the sides may have changed
/// places.
fn newer_times(whole: &Scoped) -> Option<Change> {
    whole.columns.iter().find_map(|column| {
        let [then, now] = column.profiles.each_ref().map(|side| side.span);
        let (then, now) = (then?, now?);
        (then.first > now.last).then(|| {
            let ([first, _], [_, last]) = (then.shown(), now.shown());
            Change {
                column: column.column.clone(),
                what: format!(
                    "begins at {first} in the baseline, after the current rows end ({last})"
                ),
                breaks: false,
                rule: "drift/sides",
            }
        })
    })
}

/// The newest window that was compared, of the rows that the policy looks at.
fn newest_window(policy: &Drift, scopes: &[Scoped]) -> Option<String> {
    let of = |scoped: &Scoped| match &scoped.scope {
        Against::Window(name) => Some(name.clone()),
        _ => None,
    };
    let name = scopes.iter().rev().find_map(of)?;
    let filter = policy.current_where.as_ref().map(|filter| format!(" where {filter}"));
    Some(format!("{}{}, {name}", policy.current, filter.unwrap_or_default()))
}

/// What was found, before it is judged.
struct Looked {
    chosen: Chosen,
    scopes: Vec<Scoped>,
    /// Both sides with what identifies their state.
    current: String,
    baseline: String,
    /// Rules of quality that were checked.
    rules: usize,
}

/// Looks at the rows of both sides, or of the current one alone.
async fn at_rows(ctx: &Ctx, request: &Request) -> Result<Looked> {
    let policy = &request.policy;
    let filter = policy.current_where.as_deref();
    let (current, unfit) = sides::open(ctx, &policy.current, filter, policy).await?;
    let (baseline, unfit) = if request.needs_baseline() {
        let filter = policy.baseline_where.as_deref();
        let (opened, unfit) = sides::open(ctx, &policy.baseline, filter, policy).await?;
        (Some(opened), unfit)
    } else {
        (None, unfit)
    };
    // What only the current side lacks is a change of the feed.
    if let Some(fault) = unfit.into_iter().next() {
        return Err(fault.into());
    }
    let (mut chosen, scopes) = match &baseline {
        Some(baseline) if request.drift => {
            let told = same_rows(policy, baseline, &current)?;
            let (mut chosen, scopes) = compare(ctx, request, baseline, &current).await?;
            chosen.changes.extend(told);
            chosen.changes.extend(scopes.first().and_then(newer_times));
            (chosen, scopes)
        }
        _ => {
            ctx.host.progress(&format!("check the rules of quality on {}", policy.current));
            let rows = sides::rows(ctx, baseline.as_ref(), &current).await?;
            let whole = Scoped { scope: Against::All, rows, columns: Vec::new() };
            (Chosen::default(), vec![whole])
        }
    };
    let rows = scopes.first().map(|scope| scope.rows).unwrap_or_default();
    if rows[1] == 0 {
        // Missing data is a broken feed, never "no drift".
        chosen.changes.push(Change::empty(&current.identity));
    }
    let kept = sides::quality(ctx, request, &current, rows).await?;
    chosen.changes.extend(kept.broken);
    let mut identity = current.identity.clone();
    if request.tells_windows_apart()
        && let Some(digest) = current.side.digest()?
    {
        // A file that is written anew is another window.
        identity.push_str(&format!("#{}", digest.short()));
    }
    Ok(Looked {
        chosen,
        scopes,
        current: identity,
        baseline: baseline.map_or_else(|| "none".to_owned(), |baseline| baseline.identity),
        rules: kept.rules,
    })
}

/// Looks at what the table's monitor found: the newest window stands for all.
async fn at_monitor(ctx: &Ctx, policy: &Drift, wanted: &config::Monitor) -> Result<Looked> {
    let read = monitor::read(ctx, policy, wanted).await?;
    let mut scopes = read.scopes;
    if let Some(newest) = scopes.last().cloned() {
        if policy.windows.is_none() {
            scopes.clear();
        }
        scopes.insert(0, Scoped { scope: Against::All, ..newest });
    }
    Ok(Looked {
        chosen: read.chosen,
        scopes,
        current: read.identity,
        baseline: format!("monitor of {}", read.table),
        rules: 0,
    })
}

/// What both sides have in common, and how far apart it is.
async fn compare(
    ctx: &Ctx,
    request: &Request,
    baseline: &Opened,
    current: &Opened,
) -> Result<(Chosen, Vec<Scoped>)> {
    let policy = &request.policy;
    let mut chosen = choose(policy, baseline.side.schema(), current.side.schema())?;
    let columns = chosen.common.len();
    let what = format!("{} with {}", policy.current, policy.baseline);
    ctx.host.progress(&format!("compare {columns} columns of {what}"));
    let mut scopes = sides::compare(ctx, request, &mut chosen, baseline, current).await?;
    if let Some(whole) = scopes.first_mut().filter(|whole| whole.rows[1] > 0) {
        whole.columns.extend(sides::more(ctx, policy, &chosen, [baseline, current]).await?);
    }
    Ok((chosen, scopes))
}

fn report(policy: &Drift, decision: &Decision, window: &str, chosen: &Chosen) -> Report {
    let quality = chosen.common.is_empty() && policy.monitor.is_none();
    let what = if quality { "Quality" } else { "Drift" };
    let mut report = Report::new("drift-check", format!("{what} of {}", policy.current));
    report.fact("state", decision.state.as_str());
    report.fact("baseline", policy.baseline.to_string());
    let rows = decision.whole.rows;
    report.fact("rows", format!("{} then, {} now", rows[0], rows[1]));
    let count = |state| {
        let columns = decision.columns().iter();
        columns.filter(|column| column.state == state && column.compared.own.is_none()).count()
    };
    if !quality {
        report.fact("columns drifted", count(State::Drift).to_string());
        report.fact("watched", count(State::Watch).to_string());
    }
    report.fact("window", window);
    describe::describe(&mut report, decision, chosen);
    report.concluded(decision.state.verdict(), decision.reason.clone())
}

fn outcome(
    policy: &Drift,
    report: Report,
    decision: &Decision,
    chosen: &Chosen,
    reaction: &Reaction,
) -> Result<Outcome> {
    let drifted = decision
        .columns()
        .iter()
        .filter(|column| column.state == State::Drift)
        .map(|column| column.compared.column.as_str());
    let drifted = drifted.collect::<Vec<_>>().join(",");
    let mut outcome = Outcome::new(report)
        .output("state", decision.state.as_str())
        .output("decision", reaction.name)
        .output("drifted-columns", drifted);
    if let Some(run_id) = reaction.run_id {
        outcome = outcome.output("retrain-run-id", run_id.to_string());
    }
    let content = serde_json::to_value(result::Document::new(policy, decision, chosen))?;
    outcome.document = Some(Document { name: "result", content });
    Ok(outcome)
}
