//! Promotes what a gate vouches for, rolls back, tells what was.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::copy::{self, Copying};
use super::{check, sign_off};
use crate::config::{ApprovalSource, Gate, Override, SignOff};
use crate::names::{Alias, ModelName, ModelVersion, SchemaName, shown};
use crate::record::evidence::{Evidence, Statement};
use crate::registry::{self, Entry, Kind, Move, Phase, Pointer, States};
use crate::report::{Fault, Finding, Outcome, Report, Severity, Table, Verdict};
use crate::step::{self, Ctx};
use crate::sys::{clock, fs};
use crate::verdict;
use crate::verdict::sign_off::Approval;

#[derive(Debug, Clone)]
pub struct Request {
    pub action: Action,
    /// The model whose versions are judged.
    pub model: Option<ModelName>,
    /// Where they are copied to, if they are.
    pub copy: Option<Copying>,
    /// What the gate is to ask for.
    pub policy: Option<Gate>,
    pub alias: Alias,
    /// The alias that keeps what `alias` pointed to before.
    pub previous: Option<Alias>,
    pub lease: Duration,
    pub record: Option<SchemaName>,
    pub state_tag: Option<String>,
}

#[derive(Debug, Clone)]
pub enum Action {
    Promote(Promote),
    /// Says that a person agrees with the promotion of what was judged.
    Approve {
        evidence: PathBuf,
        comment: Option<String>,
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

/// What is needed to promote.
#[derive(Debug, Clone)]
pub struct Promote {
    pub evidence: PathBuf,
    pub max_age_days: f64,
    pub sign_off: Option<SignOff>,
    pub overrule: Option<Override>,
    /// Why the gate's refusal is overruled, if it is to be.
    pub overruled: Option<String>,
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
            states: self.state_tag.as_deref().map(|tag| {
                // Only the alias of production keeps what it pointed to before.
                States { tag, production: self.previous.is_some() }
            }),
        }
    }
}

pub async fn run(ctx: Ctx, request: Request) -> Result<Outcome> {
    match &request.action {
        Action::Promote(asked) => promote(&ctx, &request, asked).await,
        Action::Approve { evidence, comment } => {
            approve(&ctx, &request, evidence, comment.as_deref()).await
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
    Ok(Evidence::parse(&text, &shown.to_string())?)
}

/// Reads the evidence and holds it against what is true now.
async fn checked(ctx: &Ctx, request: &Request, path: &Path, max_age_days: f64) -> Result<Evidence> {
    let evidence = read(path)?;
    let statement = &evidence.statement;
    let digest = ctx.client.ready_digest(&statement.model, statement.candidate.version).await?;
    let now = check::Now {
        digest,
        time: clock::now(),
        max_age_days,
        repository: ctx.context.repository.as_deref(),
        model: request.model.as_ref(),
        destination: request.copy.as_ref().map(|copy| &copy.to),
        policy: request.policy.as_ref(),
    };
    if let Err(fault) = check::evidence(&evidence, &now) {
        // A refusal stays one where it cannot be written down.
        if let Err(error) = refused(ctx, request, &evidence, &fault.to_string()).await {
            ctx.host.progress(&format!("the refusal was not recorded: {error:#}"));
        }
        return Err(fault.into());
    }
    Ok(evidence)
}

/// Writes down that something was not promoted, and why.
async fn refused(ctx: &Ctx, request: &Request, evidence: &Evidence, why: &str) -> Result<()> {
    let said = Approval {
        who: ctx.context.actor.clone(),
        at: None,
        comment: why.to_owned(),
        source: ctx.context.host.to_owned(),
    };
    sign_off::keep(ctx, evidence, request.record.as_ref(), "refusal", &[said]).await
}

async fn approve(
    ctx: &Ctx,
    request: &Request,
    path: &Path,
    comment: Option<&str>,
) -> Result<Outcome> {
    let evidence = checked(ctx, request, path, f64::INFINITY).await?;
    let statement = &evidence.statement;
    let record = request.record.as_ref().ok_or_else(sign_off::no_record)?;
    // The workspace says who this is, not the environment.
    let who = ctx.client.me().await.context("ask who this is")?.user_name;
    let approval = Approval {
        who: Some(who.clone()),
        at: Some(clock::now()),
        comment: comment.unwrap_or_default().to_owned(),
        source: "table".into(),
    };
    sign_off::keep(ctx, &evidence, Some(record), "approval", &[approval]).await?;
    let (model, version) = (&statement.model, statement.candidate.version);
    let mut report = Report::new("model-promote", format!("{model} version {version}"));
    report.fact("digest", statement.candidate.digest.short());
    report.fact("the gate said", statement.verdict.clone());
    let reason = format!("{who} agrees with the promotion of version {version}");
    Ok(Outcome::new(report.concluded(Verdict::Pass, reason)).output("approved-by", who))
}

async fn promote(ctx: &Ctx, request: &Request, asked: &Promote) -> Result<Outcome> {
    let evidence = checked(ctx, request, &asked.evidence, asked.max_age_days).await?;
    let statement = &evidence.statement;
    let (model, version) = (&statement.model, statement.candidate.version);
    let mut report =
        Report::new("model-promote", format!("{model} version {version} as {}", request.alias));
    report.fact("evidence", evidence.digest.chars().take(12).collect::<String>());
    report.fact("digest", statement.candidate.digest.short());
    if stands_already(ctx, request, statement).await? {
        let reason = format!("{} points to version {version} already", request.alias);
        return Ok(Outcome::new(report.concluded(Verdict::Pass, reason))
            .output("version", version.to_string())
            .output("digest", statement.candidate.digest.to_string())
            .output("previous-version", version.to_string()));
    }
    if let Some((verdict, reason)) = refusal(ctx, request, asked, &evidence, &mut report).await? {
        refused(ctx, request, &evidence, &reason).await?;
        report.findings.push(Finding::new(Severity::Error, "promote/refused", reason.clone()));
        return Ok(Outcome::new(report.concluded(verdict, reason)));
    }
    if request.record.is_none() {
        let title = "nothing keeps two promotions apart, and no rollback will be possible";
        report.findings.push(
            Finding::new(Severity::Warning, "promote/no-record", title)
                .hint("set `record.schema` in lakegate.yml"),
        );
    }
    let (model, version) = match &request.copy {
        None => (model, version),
        Some(copy) => {
            let copied = copy::copied(ctx, copy, statement, &request.alias).await?;
            report.fact("copy", format!("{} version {copied}", copy.to));
            (&copy.to, copied)
        }
    };
    let from = statement.champion.as_ref().map(|champion| champion.version);
    let wanted = Move {
        kind: Kind::Promotion,
        from,
        to: version,
        digest: statement.candidate.digest,
        evidence: evidence.digest.clone(),
        cause: format!("evidence {}", evidence.digest),
        reason: asked.overruled.clone(),
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
        .output("digest", evidence.statement.candidate.digest.to_string())
        .output("previous-version", from.map_or(String::new(), |from| from.to_string())))
}

/// Whether the champion itself was judged and is champion still: nobody is asked about what
/// is, and the records keep how it came to be.
async fn stands_already(ctx: &Ctx, request: &Request, statement: &Statement) -> Result<bool> {
    let version = Some(statement.candidate.version);
    Ok(request.copy.is_none()
        && statement.measured.is_champion
        && statement.verdict == Verdict::Pass.as_str()
        && ctx.client.alias_get(&statement.model, &request.alias).await? == version)
}

/// Why the version must not be promoted, if it must not.
async fn refusal(
    ctx: &Ctx,
    request: &Request,
    asked: &Promote,
    evidence: &Evidence,
    report: &mut Report,
) -> Result<Option<(Verdict, String)>> {
    let statement = &evidence.statement;
    if statement.verdict != Verdict::Pass.as_str() {
        let said = format!("the gate said {}: {}", statement.verdict, statement.reason);
        match overruled(ctx, request, asked, evidence).await? {
            Ok(title) => report
                .findings
                .push(Finding::new(Severity::Warning, "promote/overruled", title).hint(said)),
            Err(why) => return Ok(Some((Verdict::Fail, format!("{said}{why}")))),
        }
    }
    match &asked.sign_off {
        Some(policy) => unsigned(ctx, request, policy, evidence, report).await,
        None => Ok(None),
    }
}

/// Whether a person whom the policy lets decide otherwise did so; or why not.
async fn overruled(
    ctx: &Ctx,
    request: &Request,
    asked: &Promote,
    evidence: &Evidence,
) -> Result<Result<String, String>> {
    let Some(why) = &asked.overruled else { return Ok(Err(String::new())) };
    let Some(rule) = &asked.overrule else {
        return Ok(Err("; nobody may overrule it: `promotion.override` is not set".into()));
    };
    let who = sign_off::caller(ctx).await?;
    if !rule.by.iter().any(|known| known.eq_ignore_ascii_case(&who)) {
        return Ok(Err(format!("; {who} may not overrule it")));
    }
    if evidence.statement.measured.unjudged.is_some() {
        return Ok(Err("; rows that could not be judged cannot be overruled".into()));
    }
    if request.record.is_none() {
        let fault = Fault::usage("an override that nobody records is none");
        return Err(fault.hint("set `record.schema` in lakegate.yml").into());
    }
    verdict::in_time(&evidence.statement, clock::now(), Some(rule.max_age_days))?;
    let approval = Approval {
        who: Some(who.clone()),
        at: Some(clock::now()),
        comment: why.clone(),
        source: ctx.context.host.to_owned(),
    };
    sign_off::keep(ctx, evidence, request.record.as_ref(), "override", &[approval]).await?;
    Ok(Ok(format!("{who} overruled the gate: {why}")))
}

/// Whether approvals are missing.
async fn unsigned(
    ctx: &Ctx,
    request: &Request,
    policy: &SignOff,
    evidence: &Evidence,
    report: &mut Report,
) -> Result<Option<(Verdict, String)>> {
    let record = request.record.as_ref();
    let signed = sign_off::signed(ctx, policy, &evidence.statement, record).await?;
    let mut table = Table::new("Sign-off", ["who", "counts", "where", "comment"]);
    let mut told = |approval: &Approval, counts: String, verdict| {
        let who = approval.who.clone().unwrap_or("not told".into());
        table.row(verdict, [who, counts, approval.source.clone(), approval.comment.clone()]);
    };
    for approval in &signed.counted {
        told(approval, "yes".into(), Some(Verdict::Pass));
    }
    for (approval, why) in &signed.refused {
        told(approval, format!("no: {why}"), None);
    }
    report.tables.push(table);
    if signed.missing > 0 {
        let refused = signed.refused.first().map(|(_, why)| format!("; {why}"));
        let people = if signed.missing == 1 { "approval is" } else { "approvals are" };
        let reason = format!("{} {people} missing{}", signed.missing, refused.unwrap_or_default());
        return Ok(Some((Verdict::Inconclusive, reason)));
    }
    if policy.from != ApprovalSource::Table {
        sign_off::keep(ctx, evidence, record, "approval", &signed.counted).await?;
    }
    Ok(None)
}

async fn roll_back(
    ctx: &Ctx,
    request: &Request,
    model: &ModelName,
    from: Option<ModelVersion>,
    reason: &str,
) -> Result<Outcome> {
    let report = Report::new("model-promote", format!("Rollback of {model} as {}", request.alias));
    let cause = ctx.context.cause();
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
