//! Rolls a version out, back, tells what was.

use std::time::Duration;

use anyhow::Result;

use super::ledger::{self, Entry};
use super::mover::Mover;
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
    let (model, endpoint) = (&request.model, &request.serving.endpoint);
    let version = ctx.client.alias_get(model, &request.alias).await?.ok_or_else(|| {
        Fault::usage(format!("`{}` of `{model}` points to no version yet", request.alias))
            .hint("promote one first: `model-promote`")
    })?;
    let mut report = Report::new("model-serve", format!("{model} version {version} at {endpoint}"));
    let digest = ctx.client.ready_digest(model, version).await?;
    report.fact("digest", digest.short());
    vouched(ctx, request, version, digest, &mut report).await?;
    let probe = Probe::of(&ctx.client, &request.serving.probe, model, version).await?;
    let mut mover = Mover::take(ctx, request).await?;
    let wanted = Served::new(model, version, &request.serving.entity);
    let asked = Asked { wanted, version, probe, at_once, again };
    let done = rollout::rolled_out(&mut mover, &asked, report).await;
    let released = mover.release().await;
    let done = done?;
    released?;
    Ok(done)
}

/// Holds what the alias points to against the promotion that made it so.
async fn vouched(
    ctx: &Ctx,
    request: &Request,
    version: ModelVersion,
    digest: Sha256,
    report: &mut Report,
) -> Result<()> {
    let (model, alias) = (&request.model, &request.alias);
    let Some(schema) = &request.record else {
        let title = "nothing keeps two roll-outs apart, and no rollback will be possible";
        let finding = Finding::new(Severity::Warning, "serve/no-record", title);
        report.findings.push(finding.hint("set `record.schema` in lakegate.yml"));
        return Ok(());
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
    Ok(())
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
    if request.record.is_none() {
        let fault = Fault::usage("a rollback needs the records of earlier roll-outs");
        return Err(fault.hint("set `record.schema` in lakegate.yml").into());
    }
    let mut mover = Mover::take(ctx, request).await?;
    let done = rollback::rolled_back(&mut mover, reason, from).await;
    let released = mover.release().await;
    let done = done?;
    released?;
    Ok(done)
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
    if let Some(open) = ledger::open(entries) {
        let traffic = entries.iter().rev().find_map(|entry| entry.traffic.clone());
        let what =
            format!("{}, not over: stood up to {} %", open.kind, traffic.unwrap_or("0".into()));
        let none = String::new;
        let from = open.from.clone().unwrap_or_default();
        table.rows.insert(
            0,
            Row {
                verdict: Some(Verdict::Inconclusive),
                cells: vec![open.at.clone(), what, from, open.to.clone(), none(), none(), none()],
                bars: None,
            },
        );
    }
    table
}
