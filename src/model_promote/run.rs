//! Promotes what a gate vouches for, rolls back, tells what was.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Result;

use super::check;
use crate::names::{Alias, ModelName, ModelVersion, SchemaName, shown};
use crate::record::evidence::Evidence;
use crate::registry::{self, Entry, Kind, Move, Phase, Pointer};
use crate::report::{Fault, FaultKind, Finding, Outcome, Report, Severity, Table, Verdict};
use crate::step::{self, Ctx};
use crate::sys::{clock, fs};

#[derive(Debug, Clone)]
pub struct Request {
    pub action: Action,
    pub alias: Alias,
    /// The alias that keeps what `alias` pointed to before.
    pub previous: Option<Alias>,
    pub lease: Duration,
    pub record: Option<SchemaName>,
}

#[derive(Debug, Clone)]
pub enum Action {
    Promote {
        evidence: PathBuf,
        max_age_days: f64,
    },
    /// Away from this version, if it is told.
    Rollback {
        model: ModelName,
        from: Option<ModelVersion>,
        reason: String,
    },
    History {
        model: ModelName,
    },
}

impl step::Request for Request {}

impl Request {
    fn pointer<'a>(&'a self, model: &'a ModelName) -> Pointer<'a> {
        Pointer {
            model,
            alias: &self.alias,
            record: self.record.as_ref(),
            previous: self.previous.as_ref(),
            lease: self.lease,
        }
    }
}

pub async fn run(ctx: Ctx, request: Request) -> Result<Outcome> {
    match &request.action {
        Action::Promote { evidence, max_age_days } => {
            promote(&ctx, &request, evidence, *max_age_days).await
        }
        Action::Rollback { model, from, reason } => {
            roll_back(&ctx, &request, model, *from, reason).await
        }
        Action::History { model } => history(&ctx, &request, model).await,
    }
}

fn read(path: &Path) -> Result<Evidence> {
    let shown = path.display();
    let text = fs::read_text_if_exists(path)?.ok_or_else(|| {
        Fault::usage(format!("`{shown}` does not exist"))
            .hint("run model-gate first, or name its evidence with --evidence")
    })?;
    let evidence = serde_json::from_str(&text).map_err(|error| {
        Fault::new(FaultKind::Integrity, format!("`{shown}` is no evidence: {error}"))
    })?;
    Ok(evidence)
}

async fn promote(ctx: &Ctx, request: &Request, path: &Path, max_age_days: f64) -> Result<Outcome> {
    let evidence = read(path)?;
    let statement = &evidence.statement;
    let (model, version) = (&statement.model, statement.candidate.version);
    let digest = ctx.client.ready_digest(model, version).await?;
    check::evidence(&evidence, digest, clock::now(), max_age_days)?;

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
    if request.record.is_none() {
        let title = "nothing keeps two promotions apart, and no rollback will be possible";
        report.findings.push(
            Finding::new(Severity::Warning, "promote/no-record", title)
                .hint("set `record.schema` in lakegate.yml"),
        );
    }
    let from = statement.champion.as_ref().map(|champion| champion.version);
    let wanted = Move {
        kind: Kind::Promotion,
        from,
        to: version,
        digest,
        evidence: evidence.digest.clone(),
        cause: format!("evidence {}", evidence.digest),
        reason: None,
    };
    let before = registry::hold(ctx, request.pointer(model), async |held| {
        held.make(&wanted).await?;
        Ok(held.current)
    })
    .await?;
    let reason = if before == Some(version) {
        format!("{} points to version {version} already", request.alias)
    } else {
        format!("{} moved from {} to version {version}", request.alias, shown(from))
    };
    Ok(Outcome::new(report.concluded(Verdict::Pass, reason))
        .output("version", version.to_string())
        .output("previous-version", from.map_or(String::new(), |from| from.to_string())))
}

async fn roll_back(
    ctx: &Ctx,
    request: &Request,
    model: &ModelName,
    from: Option<ModelVersion>,
    reason: &str,
) -> Result<Outcome> {
    let report = Report::new("model-promote", format!("Rollback of {model} as {}", request.alias));
    // Another attempt of one CI run asks for the same; people ask anew.
    let context = &ctx.context;
    let cause = match (&context.repository, &context.run_id) {
        (Some(repository), Some(run)) => {
            format!("run {run} of {repository} {}", context.step.as_deref().unwrap_or_default())
        }
        _ => format!("asked for at {}", clock::now()),
    };
    let done = registry::roll_back(ctx, request.pointer(model), from, [&cause, reason]).await?;
    let told =
        format!("{} moved back from {} to version {}", request.alias, shown(done.from), done.to);
    let told = if done.earlier { format!("{told} by an earlier attempt") } else { told };
    Ok(Outcome::new(report.concluded(Verdict::Pass, told))
        .output("version", done.to.to_string())
        .output("previous-version", done.from.map_or(String::new(), |from| from.to_string())))
}

async fn history(ctx: &Ctx, request: &Request, model: &ModelName) -> Result<Outcome> {
    let mut report =
        Report::new("model-promote", format!("History of {model} as {}", request.alias));
    let Some(schema) = &request.record else {
        let fault = Fault::usage("nothing is recorded");
        return Err(fault.hint("set `record.schema` in lakegate.yml").into());
    };
    let pointer = request.pointer(model);
    let entries = registry::read(ctx, schema, pointer).await?;
    let now = ctx.client.alias_get(model, &request.alias).await?;
    report.fact("now", shown(now));
    report.tables.push(told(&entries));
    let moves = entries.iter().filter(|entry| entry.phase == Phase::Outcome);
    let reason = format!("{} moves, it points to {} now", moves.count(), shown(now));
    Ok(Outcome::new(report.concluded(Verdict::Pass, reason)))
}

/// The moves, the newest first.
fn told(entries: &[Entry]) -> Table {
    let columns = ["When", "What", "From", "To", "Who", "Why", "Evidence", "Run"];
    let mut table = Table::new("Moves", columns);
    for entry in entries.iter().rev() {
        let what = match entry.phase {
            Phase::Outcome => entry.kind.as_str().to_owned(),
            Phase::Abandoned => format!("{}, without effect", entry.kind.as_str()),
            Phase::Intent => continue,
        };
        table.row(
            None,
            [
                entry.at.clone(),
                what,
                shown(entry.from),
                shown(Some(entry.to)),
                entry.actor.clone().unwrap_or_default(),
                entry.reason.clone().unwrap_or_default(),
                entry.evidence.chars().take(12).collect(),
                entry.run_url.clone().unwrap_or_default(),
            ],
        );
    }
    table
}
