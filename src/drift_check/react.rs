//! What follows from a decision.

use anyhow::{Context as _, Result};

use super::decide::State;
use super::retrain::retrain;
use super::run::Request;
use crate::config::{Drift, OnDrift};
use crate::forge::chat::{Chat, Kind, Message};
use crate::forge::{Forge, Ticket};
use crate::names::{Source, shown};
use crate::registry::{self, Pointer, States};
use crate::report::{Fault, FaultKind, Report};
use crate::step::Ctx;
use crate::sys::process;

/// What was done about a verdict.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Reaction {
    pub(super) name: &'static str,
    pub(super) run_id: Option<i64>,
    pub(super) run_url: Option<String>,
    /// What retrains.
    pub(super) target: Option<String>,
    /// In words, for the reason.
    pub(super) told: Option<String>,
}

impl Reaction {
    fn named(name: &'static str) -> Self {
        Self { name, ..Self::default() }
    }

    fn failed(error: &anyhow::Error) -> Self {
        Self { told: Some(format!("what follows failed: {error:#}")), ..Self::named("failed") }
    }

    pub(super) fn retrain(target: &str, told: String) -> Self {
        Self { target: Some(target.to_owned()), told: Some(told), ..Self::named("retrain") }
    }
}

/// What a check found, as far as a reaction asks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found<'a> {
    pub(super) state: State,
    pub(super) report: &'a Report,
    pub(super) window: &'a str,
    pub(super) baseline: &'a str,
    /// What was checked: `drift` or `quality`.
    pub(super) kind: &'static str,
}

/// What was done, and what of it failed: people are told of a reaction that could not be,
/// and one that was done is known where they could not be told.
pub(super) async fn react(
    ctx: &Ctx,
    request: &Request,
    found: Found<'_>,
) -> (Reaction, Vec<anyhow::Error>) {
    let policy = &request.policy;
    let calm = matches!(found.state, State::None | State::Watch);
    let done = match (found.state, policy.on_drift) {
        (_, OnDrift::Nothing) => return (Reaction::named("nothing"), Vec::new()),
        _ if calm => Ok(Reaction::named("nothing")),
        (State::Drift, OnDrift::Retrain) => retrain(ctx, request, found).await,
        (State::Drift, OnDrift::Rollback) => roll_back(ctx, request, found).await,
        (State::Drift, OnDrift::Command) => command(ctx, policy, found).await,
        // Retraining on a broken feed would make the model worse.
        _ => Ok(Reaction::named("notify")),
    };
    let (mut reaction, mut failed) = match done {
        Ok(reaction) => (reaction, Vec::new()),
        Err(error) => (Reaction::failed(&error), vec![error]),
    };
    let untold = notify(ctx, policy, found, calm, &reaction).await;
    if let Some(first) = untold.first() {
        let why = format!("not everybody was told: {first:#}");
        reaction.told = Some(reaction.told.map_or(why.clone(), |told| format!("{told}; {why}")));
    }
    failed.extend(untold);
    (reaction, failed)
}

async fn roll_back(ctx: &Ctx, request: &Request, found: Found<'_>) -> Result<Reaction> {
    let production = request.production.as_ref().context("no model is named for the rollback")?;
    let pointer = Pointer {
        model: &production.model,
        alias: &production.alias,
        record: request.record.as_ref(),
        previous: Some(&production.previous),
        lease: production.lease,
        states: production.state_tag.as_deref().map(|tag| States { tag, production: true }),
    };
    // Whatever the number of checks of a window: one rollback.
    let cause = format!("drift of {} in {}", request.policy.current, found.window);
    let done = registry::roll_back(ctx, pointer, None, [&cause, &found.report.reason]).await?;
    let (model, alias) = (&production.model, &production.alias);
    let from = shown(done.from);
    let when = if done.earlier { "was moved back by an earlier check" } else { "moved back" };
    Ok(Reaction {
        target: Some(format!("model:{model}@{alias}")),
        told: Some(format!("{alias} of {model} {when} from {from} to version {}", done.to)),
        ..Reaction::named("rollback")
    })
}

pub(super) fn forge(ctx: &Ctx) -> Result<Forge, Fault> {
    Forge::new(&ctx.context, &ctx.env, &ctx.masker())
}

async fn command(ctx: &Ctx, policy: &Drift, found: Found<'_>) -> Result<Reaction> {
    let Some(wanted) = &policy.command else { return Ok(Reaction::named("notify")) };
    let Some((program, arguments)) = wanted.run.split_first() else {
        return Ok(Reaction::named("notify"));
    };
    let mut child = process::command(program, &ctx.env);
    child.args(arguments);
    for name in &wanted.env {
        if let Some(value) = ctx.env.get(name) {
            child.env(name, value);
        }
    }
    child.env("LAKEGATE_STATE", found.state.as_str());
    child.env("LAKEGATE_REASON", &found.report.reason);
    child.env("LAKEGATE_WINDOW", found.window);
    ctx.host.progress(&format!("run `{program}`"));
    let output = child.output().await.with_context(|| format!("run `{program}`"))?;
    for text in [&output.stdout, &output.stderr] {
        ctx.host.say(String::from_utf8_lossy(text).trim_end());
    }
    if !output.status.success() {
        let message = format!("`{program}` ended with {}", output.status);
        return Err(Fault::new(FaultKind::Remote, message).into());
    }
    Ok(Reaction { told: Some(format!("`{program}` was run")), ..Reaction::named("command") })
}

/// The columns that a message names.
const NAMED: usize = 5;
/// Tickets have room for a little more than this.
const LONGEST: usize = 60_000;

async fn notify(
    ctx: &Ctx,
    policy: &Drift,
    found: Found<'_>,
    calm: bool,
    reaction: &Reaction,
) -> Vec<anyhow::Error> {
    let ticket = match policy.notify.ticket {
        true => write_ticket(ctx, policy, found, calm, reaction).await,
        false => Ok(()),
    };
    let mut failed: Vec<_> = ticket.err().into_iter().collect();
    if calm {
        return failed;
    }
    let masker = ctx.masker();
    let mut lines = vec![found.report.reason.clone()];
    lines.extend(found.report.findings.iter().take(NAMED).map(|finding| finding.title.clone()));
    lines.extend(reaction.told.clone());
    let message = Message {
        title: format!("{} in {}", found.state.as_str(), policy.current),
        lines,
        link: ctx.context.run_url.clone(),
    };
    let chats = [(Kind::Slack, &policy.notify.slack), (Kind::Teams, &policy.notify.teams)];
    for (kind, variable) in chats {
        let Some(variable) = variable else { continue };
        let posted = match Chat::new(kind, variable, &ctx.env, &masker) {
            Ok(chat) => chat.post(&message).await,
            Err(fault) => Err(fault.into()),
        };
        failed.extend(posted.err());
    }
    failed
}

async fn write_ticket(
    ctx: &Ctx,
    policy: &Drift,
    found: Found<'_>,
    calm: bool,
    reaction: &Reaction,
) -> Result<()> {
    // One ticket per question: the state of the table is not part of it.
    let place = Source { as_of: None, ..policy.current.clone() };
    let condition = policy.current_where.as_deref();
    let condition = condition.map(|text| format!(" where {text}")).unwrap_or_default();
    let key = format!("{} of {place}{condition}", found.kind);
    let told = reaction.told.as_deref().unwrap_or_default();
    let forge = forge(ctx)?;
    let place = if calm {
        let word = format!("It is over: {}.", found.report.reason);
        forge.close(&key, &word).await?
    } else {
        let mut body = found.report.markdown();
        if body.len() > LONGEST {
            body.truncate(body.floor_char_boundary(LONGEST));
            body.push_str("\n\n… cut short, see the report of the run");
        }
        let run = ctx.context.run_url.as_deref().unwrap_or_default();
        body.push_str(&format!("\n\n{told}\n\nWindow: {}\n{run}", found.window));
        let title = format!("{}: {key}", found.state.as_str());
        Some(forge.tell(&Ticket { key, title, body }).await?)
    };
    if let Some(place) = place {
        ctx.host.progress(&format!("ticket: {place}"));
    }
    Ok(())
}
