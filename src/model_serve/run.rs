//! Rolls a version out, back, tells what was.

use std::time::Duration;

use anyhow::Result;
use jiff::Timestamp;

use super::ledger::{self, Entry};
use super::mover::{self, Mover, Said};
use super::probe::Probe;
use super::rollback;
use super::rollout::{self, Asked};
use super::split::{Served, Split};
use crate::config::Serving;
use crate::names::{self, Alias, ModelName, ModelVersion, SchemaName, Sha256};
use crate::registry::{self, Phase, Pointer};
use crate::report::{Fault, FaultKind, Finding, Outcome, Report, Row, Severity, Table, Verdict};
use crate::step::{self, Ctx};

#[derive(Debug, Clone)]
pub struct Request {
    pub action: Action,
    pub serving: Serving,
    pub model: ModelName,
    /// What it points to is served.
    pub alias: Alias,
    pub record: Option<SchemaName>,
}

#[derive(Debug, Clone)]
pub enum Action {
    Rollout {
        /// Without the steps between none and all of the traffic.
        at_once: bool,
        /// Also what was rolled back.
        again: bool,
    },
    Rollback {
        reason: String,
        /// Away from this version, if it is told.
        from: Option<ModelVersion>,
    },
    History,
}

impl step::Request for Request {}

pub async fn run(ctx: Ctx, request: Request) -> Result<Outcome> {
    match &request.action {
        Action::Rollout { at_once, again } => roll_out(&ctx, &request, *at_once, *again).await,
        Action::Rollback { reason, from } => roll_back(&ctx, &request, reason, *from).await,
        Action::History => history(&ctx, &request).await,
    }
}

async fn roll_out(ctx: &Ctx, request: &Request, at_once: bool, again: bool) -> Result<Outcome> {
    let mut mover = Mover::take(ctx, request, Duration::ZERO).await?;
    // What the alias says counts once nobody else follows it.
    let done = async {
        let (model, endpoint) = (&request.model, &request.serving.endpoint);
        let version = ctx.client.alias_get(model, &request.alias).await?.ok_or_else(|| {
            Fault::usage(format!("`{}` of `{model}` points to no version yet", request.alias))
                .hint("promote one first: `model-promote`")
        })?;
        let title = format!("{model} version {version} at {endpoint}");
        let mut report = Report::new("model-serve", title);
        let digest = ctx.client.ready_digest(model, version).await?;
        report.fact("digest", digest.short());
        let promoted = vouched(ctx, request, version, digest, &mut report).await?;
        let probe = Probe::of(&ctx.client, &request.serving.probe, model, version).await?;
        let wanted = Served::new(model, version, &request.serving.entity);
        let asked = Asked { wanted, version, probe, at_once, again, promoted };
        rollout::rolled_out(&mut mover, asked, report).await
    };
    let done = done.await;
    mover.end(done).await
}

/// Holds what the alias points to against the promotion that made it so, and returns when
/// that was.
async fn vouched(
    ctx: &Ctx,
    request: &Request,
    version: ModelVersion,
    digest: Sha256,
    report: &mut Report,
) -> Result<Option<Timestamp>> {
    let (model, alias) = (&request.model, &request.alias);
    let Some(schema) = &request.record else {
        let title = "nothing keeps two roll-outs apart, and no rollback will be possible";
        let finding = Finding::new(Severity::Warning, "serve/no-record", title);
        report.findings.push(finding.hint("set `record.schema` in lakegate.yml"));
        return Ok(None);
    };
    let pointer = Pointer {
        model,
        alias,
        record: Some(schema),
        previous: None,
        lease: Duration::ZERO,
        states: None,
    };
    let entries = registry::read(ctx, schema, pointer).await?;
    let last = entries.iter().rev().find(|entry| entry.phase == Phase::Outcome);
    let Some(last) = last.filter(|last| last.to == version) else {
        let message = format!(
            "`{alias}` of `{model}` points to version {version}, and no promotion made it so"
        );
        let fault = Fault::new(FaultKind::Integrity, message);
        return Err(fault
            .hint("judge it with model-gate, and promote it with model-promote")
            .into());
    };
    if last.digest != digest.to_string() {
        let message = format!(
            "version {version} of `{model}` is not what was promoted: its files have digest {}",
            digest.short()
        );
        return Err(Fault::new(FaultKind::Integrity, message).into());
    }
    report.fact("evidence", last.evidence.chars().take(12).collect::<String>());
    Ok(names::time(&last.at))
}

pub(super) fn outputs(report: Report, [endpoint, version, before]: [&str; 3]) -> Outcome {
    Outcome::new(report)
        .output("endpoint", endpoint)
        .output("version", version)
        .output("previous-version", before)
}

async fn roll_back(
    ctx: &Ctx,
    request: &Request,
    reason: &str,
    from: Option<ModelVersion>,
) -> Result<Outcome> {
    let Some(schema) = &request.record else {
        let fault = Fault::usage("a rollback needs the records of earlier roll-outs");
        return Err(fault.hint("set `record.schema` in lakegate.yml").into());
    };
    let halted = halt(ctx, request, schema, reason).await?;
    // Who is asked to end takes back what it has begun.
    let more = Duration::from_secs_f64(60.0 * request.serving.update_minutes);
    let more = if halted.is_some() { more } else { Duration::ZERO };
    let mut mover = Mover::take(ctx, request, more).await?;
    let from = from.map(|version| version.to_string());
    let asked = rollback::Asked { reason, from, halted };
    let done = rollback::rolled_back(&mut mover, &asked).await;
    mover.end(done).await
}

/// Asks a roll-out that is under way to end, whoever is at it.
async fn halt(
    ctx: &Ctx,
    request: &Request,
    schema: &SchemaName,
    reason: &str,
) -> Result<Option<Entry>> {
    let entries = ledger::read(ctx, schema, &request.serving.endpoint).await?;
    let open = ledger::open(&entries).next().filter(|open| open.kind == "rollout");
    let Some(open) = open else { return Ok(None) };
    let row = mover::row(ctx, request, (&open.closing(), "stop", Said::because(reason)), ["", ""]);
    ctx.lake()?.record(schema, &[row]).await?;
    Ok(Some(open.clone()))
}

async fn history(ctx: &Ctx, request: &Request) -> Result<Outcome> {
    let endpoint = &request.serving.endpoint;
    let mut report = Report::new("model-serve", format!("History of {endpoint}"));
    let schema = request.record.as_ref().ok_or_else(|| {
        Fault::usage("nothing is recorded").hint("set `record.schema` in lakegate.yml")
    })?;
    let entries = ledger::read(ctx, schema, endpoint).await?;
    let found = ctx.client.endpoint_get(endpoint).await?;
    let now = match &found {
        Some(found) => Split::read(&found["config"])?,
        None => Split::default(),
    };
    let alias = ctx.client.alias_get(&request.model, &request.alias).await?;
    report.fact("now", now.shown());
    report.fact(request.alias.to_string(), names::shown(alias));
    report.tables.push(moves(&entries));
    let done = entries.iter().filter(|entry| entry.phase == "outcome").count();
    let reason = format!("{done} moves, it serves {} now", now.shown());
    Ok(outputs(report.concluded(Verdict::Pass, reason), [endpoint, &now.shown(), ""]))
}

/// What was done, the newest first.
fn moves(entries: &[Entry]) -> Table {
    let columns = ["When", "What", "From", "To", "Who", "Why", "Run"];
    let mut table = Table::new("Roll-outs", columns);
    for entry in entries.iter().rev() {
        let what = match entry.phase.as_str() {
            "outcome" => entry.kind.clone(),
            "restored" => format!("{}, taken back", entry.kind),
            "abandoned" => format!("{}, without effect", entry.kind),
            _ => continue,
        };
        table.row(
            None,
            [
                entry.at.clone(),
                what,
                entry.from.clone().unwrap_or_default(),
                entry.to.clone(),
                entry.actor.clone().unwrap_or_default(),
                entry.reason.clone().unwrap_or_default(),
                entry.run_url.clone().unwrap_or_default(),
            ],
        );
    }
    if let Some(open) = ledger::open(entries).next() {
        let of = |entry: &&Entry| entry.epoch == open.epoch && entry.phase == "step";
        let step = entries.iter().rev().find(of).and_then(|step| step.traffic.as_ref());
        let stood = step.map_or(String::new(), |share| format!(", stood up to {share} %"));
        let none = String::new;
        let (from, to) = (open.from.clone().unwrap_or_default(), open.to.clone());
        let what = format!("{}, not over{stood}", open.kind);
        let cells = vec![open.at.clone(), what, from, to, none(), none(), none()];
        let verdict = Some(Verdict::Inconclusive);
        table.rows.insert(0, Row { verdict, cells, bars: None });
    }
    table
}
