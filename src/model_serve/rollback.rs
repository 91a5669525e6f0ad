//! Serves again what was served before.

use anyhow::Result;

use super::ledger::{self, Entry};
use super::mover::{Mover, Told};
use super::run::outputs;
use super::split::Split;
use crate::names::ModelVersion;
use crate::report::{Fault, FaultKind, Outcome, Report, Verdict};

/// Once per cause; and where `away_from` is told, only from there.
pub(super) async fn rolled_back(
    mover: &mut Mover<'_>,
    reason: &str,
    away_from: Option<ModelVersion>,
) -> Result<Outcome> {
    let endpoint = mover.request.serving.endpoint.clone();
    let report = Report::new("model-serve", format!("Rollback of {endpoint}"));
    let cause = mover.ctx.context.cause();
    let now = mover.now().await?.unwrap_or_default();
    let open = ledger::open(&mover.entries).cloned();
    let away_from = away_from.map(|version| version.to_string());
    let is_gone = |last: &Entry| {
        open.is_none() && last.from.is_some() && last.from == away_from && last.to == now.shown()
    };
    let backs = || mover.entries.iter().filter(|entry| entry.is_rollback());
    let done = backs().find(|entry| entry.cause == cause);
    if let Some(done) = done.or_else(|| backs().next_back().filter(|last| is_gone(last))) {
        let told = format!("{endpoint} went back to {} by an earlier attempt", done.to);
        let from = done.from.clone().unwrap_or_default();
        return Ok(outputs(report.concluded(Verdict::Pass, told), [&endpoint, &done.to, &from]));
    }
    let (told, before) = way_back(mover, open.as_ref(), &now, cause)?;
    if away_from.is_some() && told.from != away_from {
        let served = told.from.unwrap_or_default();
        let message =
            format!("it would go back from {served}, not from {}", away_from.unwrap_or_default());
        return Err(Fault::new(FaultKind::Conflict, message).into());
    }
    // The intent of a roll-out that is not over tells already what is to be served again.
    if open.is_none() {
        mover.record(&told, "intent", (None, None), Some(reason)).await?;
    }
    mover.serve(&before).await?;
    if let Some(open) = open.filter(|open| open.kind == "rollout") {
        mover.record(&open.closing(), "restored", (None, None), Some(reason)).await?;
    }
    mover.record(&told, "outcome", (None, None), Some(reason)).await?;
    let (from, to) = (told.from.unwrap_or_default(), before.shown());
    let said = format!("{endpoint} serves {to} again, it served {from}");
    Ok(outputs(report.concluded(Verdict::Pass, said), [&endpoint, &to, &from]))
}

/// What a rollback leads to, and how it is written down.
fn way_back(
    mover: &Mover<'_>,
    open: Option<&Entry>,
    now: &Split,
    cause: String,
) -> Result<(Told, Split)> {
    let served = match open {
        Some(open) if open.kind == "rollback" => open.from.clone().unwrap_or_default(),
        _ => now.shown(),
    };
    let intent = match open {
        Some(open) if open.kind == "rollout" => Some(open),
        _ => ledger::rollout_of(&mover.entries, &served),
    };
    let endpoint = &mover.request.serving.endpoint;
    let Some(intent) = intent else {
        let message = format!("no roll-out is recorded that made {endpoint} serve {served}");
        let fault = Fault::usage(message);
        return Err(fault.hint("only what model-serve rolled out can be rolled back").into());
    };
    let Some(before) = intent.before.clone() else {
        let message =
            format!("{} was the first that {endpoint} served: nothing was before it", intent.to);
        return Err(Fault::usage(message).into());
    };
    let told = match open {
        Some(open) if open.kind == "rollback" => open.closing(),
        _ => Told {
            epoch: mover.epoch(),
            kind: "rollback",
            from: Some(intent.to.clone()),
            before: Some(now.clone()),
            to: before.shown(),
            cause,
        },
    };
    Ok((told, before))
}
