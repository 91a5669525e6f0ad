//! Verifies, records the intent, moves the alias, reads back, records the outcome.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::check::{self, Move};
use crate::names::{Alias, ModelName, ModelVersion, SchemaName, Sha256};
use crate::record::PromotionRow;
use crate::record::evidence::Evidence;
use crate::report::{Fault, FaultKind, Finding, Outcome, Report, Severity, Verdict};
use crate::step::{self, Ctx};
use crate::sys::{clock, fs};

#[derive(Debug, Clone)]
pub struct Request {
    pub evidence: PathBuf,
    pub alias: Alias,
    pub max_age_days: f64,
    pub record: Option<SchemaName>,
}

impl step::Request for Request {}

pub async fn run(ctx: Ctx, request: Request) -> Result<Outcome> {
    let text = fs::read_text_if_exists(&request.evidence)?.ok_or_else(|| {
        Fault::usage(format!("`{}` does not exist", request.evidence.display()))
            .hint("run model-gate first, or name its evidence with --evidence")
    })?;
    let evidence: Evidence = serde_json::from_str(&text).map_err(|error| {
        Fault::new(
            FaultKind::Integrity,
            format!("`{}` is no evidence: {error}", request.evidence.display()),
        )
    })?;
    let statement = &evidence.statement;
    let (model, version) = (&statement.model, statement.candidate.version);
    let digest = ctx.client.ready_digest(model, version).await?;
    check::evidence(&evidence, digest, clock::now(), request.max_age_days)?;

    let mut report =
        Report::new("model-promote", format!("{model} version {version} as {}", request.alias));
    report.fact("evidence", evidence.digest.chars().take(12).collect::<String>());
    report.fact("digest", digest.short());
    if statement.verdict != Verdict::Pass.as_str() {
        let reason = format!("the gate said {}: {}", statement.verdict, statement.reason);
        report.findings.push(Finding::new(
            Severity::Error,
            "promote/gate-did-not-pass",
            reason.clone(),
        ));
        return Ok(Outcome::new(report.concluded(Verdict::Fail, reason)));
    }
    let before = alias_now(&ctx, model, &request.alias).await?;
    let from = statement.champion.as_ref().map(|champion| champion.version);
    let reason = match check::alias(&evidence, before)? {
        Move::Done => format!("{} points to version {version} already", request.alias),
        Move::Set { from } => {
            let shown = from.map_or("nothing".to_owned(), |from| format!("version {from}"));
            format!("{} moved from {shown} to version {version}", request.alias)
        }
    };
    // Both rows are keyed by the evidence: a repetition adds what is missing.
    record(&ctx, &request, &evidence, "intent", from).await?;
    if before != Some(version) {
        ctx.client
            .alias_set(model, &request.alias, version)
            .await
            .with_context(|| format!("set the alias `{}`", request.alias))?;
        read_back(&ctx, model, &request.alias, version).await?;
    }
    record(&ctx, &request, &evidence, "outcome", from).await?;
    Ok(Outcome::new(report.concluded(Verdict::Pass, reason))
        .output("version", version.to_string())
        .output("previous-version", from.map_or(String::new(), |from| from.to_string())))
}

async fn alias_now(ctx: &Ctx, model: &ModelName, alias: &Alias) -> Result<Option<ModelVersion>> {
    ctx.client
        .alias_get(model, alias)
        .await
        .with_context(|| format!("read the alias `{alias}` of `{model}`"))
}

/// Two equal reads: the first after a change may be stale.
async fn read_back(
    ctx: &Ctx,
    model: &ModelName,
    alias: &Alias,
    version: ModelVersion,
) -> Result<()> {
    let mut equal = 0;
    let mut last = None;
    for attempt in 0..10u64 {
        last = alias_now(ctx, model, alias).await?;
        equal = if last == Some(version) { equal + 1 } else { 0 };
        if equal == 2 {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(100 * (attempt + 1))).await;
    }
    let shown = last.map_or("nothing".to_owned(), |version| format!("version {version}"));
    let message =
        format!("the alias `{alias}` was set to version {version}, but it points to {shown}");
    Err(Fault::new(FaultKind::Conflict, message).hint("another promotion came between").into())
}

async fn record(
    ctx: &Ctx,
    request: &Request,
    evidence: &Evidence,
    phase: &'static str,
    from: Option<ModelVersion>,
) -> Result<()> {
    let Some(schema) = &request.record else { return Ok(()) };
    let statement = &evidence.statement;
    let row = PromotionRow {
        event_id: Sha256::of_parts([evidence.digest.as_str(), request.alias.as_str(), phase])
            .to_string(),
        phase,
        model: statement.model.to_string(),
        alias: request.alias.to_string(),
        from_version: from.map(|from| from.0),
        to_version: statement.candidate.version.0,
        digest: statement.candidate.digest.to_string(),
        evidence: evidence.digest.clone(),
        actor: ctx.context.actor.clone(),
        run_url: ctx.context.run_url.clone(),
        at: clock::now().to_string(),
    };
    let lake = ctx.lake()?;
    lake.record(schema, &[row]).await
}
