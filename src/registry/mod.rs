//! Moves of a model's alias: one mover at a time, an intent before the effect
//! and an outcome after it, so that a kill anywhere can be repaired.

mod fence;
mod ledger;
mod states;

pub use fence::{Fence, PATIENCE, Subject};
pub use ledger::{Entry, Kind, Phase, read};
pub use states::States;

use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::databricks::{self, Client};
use crate::lake::Lake;
use crate::names::{Alias, ModelName, ModelVersion, SchemaName, Sha256, shown};
use crate::record::PromotionRow;
use crate::report::{Fault, FaultKind};
use crate::step::Ctx;
use crate::sys::clock;

/// An alias of a model, and where its moves are recorded.
#[derive(Debug, Clone, Copy)]
pub struct Pointer<'a> {
    pub model: &'a ModelName,
    pub alias: &'a Alias,
    /// Without records there is no fence either.
    pub record: Option<&'a SchemaName>,
    /// The alias that keeps what this one pointed to before.
    pub previous: Option<&'a Alias>,
    /// How long nobody else moves it, should the mover die.
    pub lease: Duration,
    /// How versions are tagged, if they are.
    pub states: Option<States<'a>>,
}

/// What an alias shall point to, and why.
#[derive(Debug, Clone)]
pub struct Move {
    pub kind: Kind,
    /// What it is expected to point to.
    pub from: Option<ModelVersion>,
    pub to: ModelVersion,
    pub digest: Sha256,
    /// The digest of the gate's evidence.
    pub evidence: String,
    /// What asked for it: a repetition has the same one.
    pub cause: String,
    pub reason: Option<String>,
}

/// An alias that nobody else moves for now.
#[derive(Debug)]
pub struct Held<'a> {
    ctx: &'a Ctx,
    client: Client,
    pointer: Pointer<'a>,
    epoch: u64,
    /// What it points to, by two equal reads.
    pub current: Option<ModelVersion>,
    /// Its recorded moves, the oldest first. What an earlier mover left
    /// unfinished is settled.
    pub entries: Vec<Entry>,
}

/// Does `work` while nobody else moves the alias.
///
/// # Errors
/// A conflict when somebody else does for too long.
pub async fn hold<T>(
    ctx: &Ctx,
    pointer: Pointer<'_>,
    work: impl AsyncFnOnce(&Held<'_>) -> Result<T>,
) -> Result<T> {
    let Some(schema) = pointer.record else {
        let held = Held::new(ctx, ctx.client.clone(), pointer, 0).await?;
        let done = work(&held).await?;
        held.mark().await;
        return Ok(done);
    };
    let subject = Subject {
        model: pointer.model.to_string(),
        alias: pointer.alias.to_string(),
        shown: format!("`{}` of `{}`", pointer.alias, pointer.model),
        hint: "look at `model-promote history`, and try again",
    };
    let fence =
        Fence::take(ctx, schema, subject, [pointer.lease, pointer.lease + PATIENCE]).await?;
    // Nothing may take effect once somebody else can have the fence.
    let client = ctx.client.with_deadline(fence.left());
    let done = async {
        let mut held = Held::new(ctx, client, pointer, fence.epoch()).await?;
        held.entries = ledger::read(ctx, schema, pointer).await?;
        held.settle().await?;
        let done = work(&held).await?;
        held.mark().await;
        Ok(done)
    };
    let done: Result<T> = done.await;
    let released = fence.release().await;
    let done = done.map_err(|error| late(error, pointer))?;
    released?;
    Ok(done)
}

/// What to do when a lease was too short for the work.
fn late(error: anyhow::Error, Pointer { model, alias, lease, .. }: Pointer<'_>) -> anyhow::Error {
    let is_late = |cause: &&databricks::Error| matches!(cause, databricks::Error::Deadline { .. });
    if !error.chain().any(|cause| cause.downcast_ref().is_some_and(|cause| is_late(&cause))) {
        return error;
    }
    let message = format!(
        "the move of `{alias}` of `{model}` was not over when its lease of {} s was: {error:#}",
        lease.as_secs()
    );
    let fault = Fault::new(FaultKind::Timeout, message);
    fault.hint("run it again: it goes on where this ended; where the warehouse is always this slow, raise `promotion.lease_seconds`").into()
}

impl<'a> Held<'a> {
    async fn new(ctx: &'a Ctx, client: Client, pointer: Pointer<'a>, epoch: u64) -> Result<Self> {
        let current = stable(&client, pointer, None).await?;
        Ok(Self { ctx, client, pointer, epoch, current, entries: Vec::new() })
    }

    /// Moves the alias, unless it points there already.
    ///
    /// # Errors
    /// A conflict when it points to something else than expected, before or after.
    pub async fn make(&self, wanted: &Move) -> Result<()> {
        let Pointer { model, alias, previous, .. } = self.pointer;
        let is_there = self.current == Some(wanted.to);
        if !is_there && self.current != wanted.from {
            let message = format!(
                "the alias `{alias}` points to {}, it was expected at {}",
                shown(self.current),
                shown(wanted.from)
            );
            let fault = Fault::new(FaultKind::Conflict, message);
            return Err(fault.hint("somebody moved it: run model-gate again").into());
        }
        let last = self.entries.iter().rev().find(|entry| entry.phase == Phase::Outcome);
        if is_there && last.is_some_and(|last| last.to == wanted.to) {
            return Ok(());
        }
        self.record("intent", self.epoch, wanted).await?;
        if !is_there {
            if let (Some(previous), Some(current)) = (previous, self.current) {
                let kept = self.client.alias_set(model, previous, current).await;
                kept.with_context(|| format!("set the alias `{previous}`"))?;
            }
            let set = self.client.alias_set(model, alias, wanted.to).await;
            set.with_context(|| format!("set the alias `{alias}`"))?;
            let found = stable(&self.client, self.pointer, Some(wanted.to)).await?;
            if found != Some(wanted.to) {
                let message = format!(
                    "the alias `{alias}` was set to version {}, but it points to {}",
                    wanted.to,
                    shown(found)
                );
                let fault = Fault::new(FaultKind::Conflict, message);
                return Err(fault.hint("somebody moved it past the fence").into());
            }
        }
        self.record("outcome", self.epoch, wanted).await
    }

    /// Ends what an earlier mover began: it took effect, or it did not.
    async fn settle(&mut self) -> Result<()> {
        let open: Vec<Entry> = ledger::unfinished(&self.entries).cloned().collect();
        for mut entry in open {
            let took_effect = self.current == Some(entry.to);
            let phase = if took_effect { "outcome" } else { "abandoned" };
            let digest = entry.digest.parse().with_context(|| {
                format!("the recorded digest of version {} is damaged", entry.to)
            })?;
            let wanted = Move {
                kind: entry.kind,
                from: entry.from,
                to: entry.to,
                digest,
                evidence: entry.evidence.clone(),
                cause: entry.cause.clone(),
                reason: Some("settled by the next mover".into()),
            };
            self.record(phase, entry.epoch, &wanted).await?;
            entry.phase = if took_effect { Phase::Outcome } else { Phase::Abandoned };
            self.entries.push(entry);
        }
        Ok(())
    }

    async fn record(&self, phase: &'static str, epoch: u64, wanted: &Move) -> Result<()> {
        let Some(schema) = self.pointer.record else { return Ok(()) };
        let (model, alias) = (self.pointer.model.to_string(), self.pointer.alias.to_string());
        let row = PromotionRow {
            event_id: Sha256::of_parts([&model, &alias, &epoch.to_string(), phase]).to_string(),
            phase,
            kind: wanted.kind.as_str(),
            model,
            alias,
            epoch,
            from_version: wanted.from.map(|from| from.0),
            to_version: wanted.to.0,
            digest: wanted.digest.to_string(),
            evidence: wanted.evidence.clone(),
            cause: wanted.cause.clone(),
            reason: wanted.reason.clone(),
            actor: self.ctx.context.actor.clone(),
            run_url: self.ctx.context.run_url.clone(),
            at: clock::now().to_string(),
        };
        let lake = Lake { client: &self.client, ..self.ctx.lake()? };
        lake.record(schema, &[row]).await
    }
}

/// What a rollback came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RolledBack {
    pub from: Option<ModelVersion>,
    pub to: ModelVersion,
    /// A mover before did it, for the same cause.
    pub earlier: bool,
}

/// Moves the alias back to the version that the present one replaced, on the
/// strength of the evidence that once promoted it. Once per `cause`; and where
/// `away_from` is told, only from there.
///
/// # Errors
/// When there is nothing to go back to, or its files are not what they were.
pub async fn roll_back(
    ctx: &Ctx,
    pointer: Pointer<'_>,
    away_from: Option<ModelVersion>,
    [cause, reason]: [&str; 2],
) -> Result<RolledBack> {
    if pointer.record.is_none() {
        let fault = Fault::usage("a rollback needs the records of earlier promotions");
        return Err(fault.hint("set `record.schema` in lakegate.yml").into());
    }
    hold(ctx, pointer, async |held| {
        let outcomes = || held.entries.iter().filter(|entry| entry.phase == Phase::Outcome);
        let mut rollbacks = outcomes().filter(|entry| entry.kind == Kind::Rollback);
        let is_gone = |last: &&Entry| {
            let from = away_from.is_some() && last.from == away_from;
            last.kind == Kind::Rollback && from && held.current == Some(last.to)
        };
        let done = rollbacks.find(|entry| entry.cause == cause);
        if let Some(done) = done.or_else(|| outcomes().next_back().filter(is_gone)) {
            return Ok(RolledBack { from: done.from, to: done.to, earlier: true });
        }
        let Some(current) = held.current else {
            let message =
                format!("the alias `{}` of `{}` is not set", pointer.alias, pointer.model);
            return Err(Fault::usage(message).into());
        };
        if let Some(wanted) = away_from.filter(|wanted| *wanted != current) {
            let message = format!(
                "the alias `{}` points to version {current}, not to version {wanted}",
                pointer.alias
            );
            return Err(Fault::new(FaultKind::Conflict, message).into());
        }
        let target = ledger::before(&held.entries, current)?;
        let digest = held.client.ready_digest(pointer.model, target.version).await?;
        if digest.to_string() != target.digest {
            let message = format!(
                "version {} is not what was promoted: its files have digest {}",
                target.version,
                digest.short()
            );
            return Err(Fault::new(FaultKind::Integrity, message).into());
        }
        let wanted = Move {
            kind: Kind::Rollback,
            from: Some(current),
            to: target.version,
            digest,
            evidence: target.evidence,
            cause: cause.to_owned(),
            reason: Some(reason.to_owned()),
        };
        held.make(&wanted).await?;
        Ok(RolledBack { from: Some(current), to: target.version, earlier: false })
    })
    .await
}

/// What the alias points to: two equal reads, as the first one after a change
/// may be stale. With `wanted`, the reads that agree on it are waited for.
async fn stable(
    client: &Client,
    Pointer { model, alias, .. }: Pointer<'_>,
    wanted: Option<ModelVersion>,
) -> Result<Option<ModelVersion>> {
    const READS: u64 = 10;
    let mut last = None;
    for read in 0..READS {
        let found = client.alias_get(model, alias).await;
        let found = found.with_context(|| format!("read the alias `{alias}` of `{model}`"))?;
        let agrees = wanted.is_none() || found == wanted;
        if agrees && last == Some(found) {
            return Ok(found);
        }
        last = Some(found);
        tokio::time::sleep(Duration::from_millis(if agrees { 20 } else { 100 * (read + 1) })).await;
    }
    match last.flatten() {
        found if wanted.is_some() => Ok(found),
        _ => {
            let message = format!("the alias `{alias}` of `{model}` does not keep still");
            Err(Fault::new(FaultKind::Conflict, message).into())
        }
    }
}
