//! Serves again what was served before.

use anyhow::Result;

use super::ledger::{self, Entry};
use super::mover::{Mover, Said, Told};
use super::run::outputs;
use super::split::Split;
use crate::report::{Fault, FaultKind, Outcome, Report, Verdict};

/// What a rollback is asked for.
pub(super) struct Asked<'a> {
    pub(super) reason: &'a str,
    /// Away from this version, if it is told.
    pub(super) from: Option<String>,
    /// The roll-out that was under way, and was asked to end.
    pub(super) halted: Option<Entry>,
}

/// Once per cause; and where it is told from which version, only from there.
pub(super) async fn rolled_back(mover: &mut Mover<'_>, asked: &Asked<'_>) -> Result<Outcome> {
    let endpoint = mover.request.serving.endpoint.clone();
    let report = Report::new("model-serve", format!("Rollback of {endpoint}"));
    let cause = mover.ctx.context.cause();
    let now = mover.now().await?.unwrap_or_default();
    let open: Vec<Entry> = ledger::open(&mover.entries).cloned().collect();
    let last = mover.entries.iter().rev().find(|entry| entry.phase == "outcome");
    let is_done = |last: &&Entry| {
        let same = last.cause == cause || asked.from.is_some() && last.from == asked.from;
        open.is_empty() && last.is_rollback() && last.to == now.shown() && same
    };
    if let Some(done) = last.filter(is_done) {
        let told = format!("{endpoint} went back to {} by an earlier attempt", done.to);
        let from = done.from.clone().unwrap_or_default();
        return Ok(outputs(report.concluded(Verdict::Pass, told), [&endpoint, &done.to, &from]));
    }
    let (told, target) = way_back(mover, asked, &open, &now, cause)?;
    for version in target.versions() {
        // A rollback that cannot come to its end must not begin.
        mover.ctx.client.ready_digest(&mover.request.model, version).await?;
    }
    let said = Said::because(asked.reason);
    mover.record(&[(&told, "intent", said)]).await?;
    if let Err(error) = mover.serve(&target).await {
        // What has changed nothing is over.
        if mover.now().await.is_ok_and(|there| there.is_some_and(|there| now.is_like(&there))) {
            mover.record(&[(&told, "abandoned", said)]).await?;
        }
        return Err(error);
    }
    let closing: Vec<Told> =
        open.iter().filter(|open| open.epoch != told.epoch).map(Entry::closing).collect();
    let mut rows: Vec<_> = closing.iter().map(|open| (open, "restored", said)).collect();
    rows.push((&told, "outcome", said));
    mover.record(&rows).await?;
    let (from, to) = (told.from.unwrap_or_default(), target.shown());
    let said = format!("{endpoint} serves {to} again, it served {from}");
    Ok(outputs(report.concluded(Verdict::Pass, said), [&endpoint, &to, &from]))
}

/// What a rollback leads to, and how it is written down.
fn way_back(
    mover: &Mover<'_>,
    asked: &Asked<'_>,
    open: &[Entry],
    now: &Split,
    cause: String,
) -> Result<(Told, Split)> {
    let told = match open.first() {
        // One that was killed goes on.
        Some(open) if open.kind == "rollback" => open.closing(),
        open => {
            let halted = asked.halted.as_ref().filter(|halted| {
                let ended =
                    |entry: &Entry| entry.epoch == halted.epoch && entry.phase == "restored";
                mover.entries.iter().any(ended)
            });
            let intent = open.or(halted);
            let intent = intent.or_else(|| ledger::rollout_of(&mover.entries, &now.shown()));
            let endpoint = &mover.request.serving.endpoint;
            let intent = intent.ok_or_else(|| {
                let served = now.shown();
                let message =
                    format!("no roll-out is recorded that made {endpoint} serve {served}");
                Fault::usage(message).hint("only what model-serve rolled out can be rolled back")
            })?;
            Told {
                epoch: mover.epoch(),
                kind: "rollback",
                from: Some(intent.to.clone()),
                before: Some(now.clone()),
                to: intent.before.as_ref().map_or(String::new(), Split::shown),
                target: intent.before.clone(),
                cause,
            }
        }
    };
    let from = told.from.clone().unwrap_or_default();
    if let Some(away) = asked.from.as_ref().filter(|away| **away != from) {
        let message = format!("it would go back from {from}, not from {away}");
        return Err(Fault::new(FaultKind::Conflict, message).into());
    }
    let Some(target) = told.target.clone() else {
        let endpoint = &mover.request.serving.endpoint;
        let message = format!("{from} was the first that {endpoint} served: nothing was before it");
        return Err(Fault::usage(message).into());
    };
    Ok((told, target))
}
