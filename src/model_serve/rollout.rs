//! Rolls a version out: what an earlier mover left is settled, then the version gets its
//! traffic.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use jiff::Timestamp;

use super::judge::{Held, Seen};
use super::ledger::{self, Entry};
use super::live::{Counts, Live};
use super::mover::{Halt, Mover, Said, Told};
use super::probe::Probe;
use super::ramp::{ALL, Next, Ramp, State};
use super::run::outputs;
use super::split::{Served, Split};
use crate::databricks::Client;
use crate::names::{ModelVersion, shown as shown_version};
use crate::report::{Fault, FaultKind, Finding, Outcome, Report, Severity, Table, Verdict, number};
use crate::sys::clock;

/// How often the endpoint's own numbers are asked for.
const LOOKED_AT_EVERY: Duration = Duration::from_secs(20);

/// What is to be served, and how.
pub(super) struct Asked<'a> {
    pub(super) wanted: Served,
    pub(super) version: ModelVersion,
    pub(super) probe: Probe<'a>,
    pub(super) at_once: bool,
    pub(super) again: bool,
    /// When the version was promoted.
    pub(super) promoted: Option<Timestamp>,
}

pub(super) async fn rolled_out(
    mover: &mut Mover<'_>,
    mut asked: Asked<'_>,
    report: Report,
) -> Result<Outcome> {
    let version = asked.version.to_string();
    let endpoint = mover.request.serving.endpoint.clone();
    let held = ledger::held_back(&mover.entries, &version, asked.promoted);
    if let Some(held) = held.filter(|_| !asked.again) {
        let what = if held.is_rollback() { "was rolled back" } else { "did not stand up" };
        let why = held.reason.as_deref().unwrap_or("no reason was told");
        let message = format!("version {version} {what} at {}: {why}", held.at);
        let fault = Fault::new(FaultKind::Conflict, message);
        return Err(fault
            .hint("promote another version, or roll this one out with --again")
            .into());
    }
    match begun(mover, &mut asked).await? {
        Some((told, state)) => ramped(mover, &asked, &told, state, report).await,
        None => {
            let reason = format!("{endpoint} serves version {version} already");
            let report = report.concluded(Verdict::Pass, reason);
            Ok(outputs(report, [&endpoint, &version, &version]))
        }
    }
}

/// Settles what an earlier mover left, and writes down what is to be done; with how far
/// an earlier mover came. Nothing is, where all of the traffic goes to the version and it
/// stood up.
async fn begun(mover: &mut Mover<'_>, asked: &mut Asked<'_>) -> Result<Option<(Told, State)>> {
    let there = mover.now().await?;
    let request = mover.request;
    if let Some(other) = there.as_ref().and_then(|split| split.other_than(&request.model)) {
        let message = format!("the endpoint `{}` serves `{other}`, too", request.serving.endpoint);
        let hint = "give the model an endpoint of its own: `serving.endpoint`";
        return Err(Fault::usage(message).hint(hint).into());
    }
    if let Some(there) = &there {
        asked.wanted = there.name(&asked.wanted);
    }
    let share = there.as_ref().and_then(|split| split.share_of(&asked.wanted));
    let mut state = share.map_or(State::Absent, State::Given);
    let mut told = Told {
        epoch: mover.epoch(),
        kind: "rollout",
        from: None,
        before: there,
        to: asked.version.to_string(),
        target: None,
        cause: mover.ctx.context.cause(),
    };
    let open = ledger::open(&mover.entries).next().cloned();
    match open {
        Some(open) if open.kind == "rollback" => {
            let message = format!("a rollback to {} was not over when it ended", open.to);
            let fault = Fault::new(FaultKind::Conflict, message);
            return Err(fault.hint("run `model-serve rollback` again").into());
        }
        Some(open) if open.to == told.to => return Ok(Some((open.closing(), state))),
        Some(open) => {
            told.before = superseded(mover, &open, told.before, asked).await?;
            state = State::Absent;
        }
        // Where nothing is written down, a part of the traffic is what a mover left.
        None if request.record.is_none() && share.is_some_and(|share| share < ALL) => {
            told.before = told.before.map(|split| split.without(&asked.wanted));
        }
        None => {}
    }
    let is_all = told.before.as_ref().is_some_and(|split| split.is_all(&asked.wanted));
    if is_all && ledger::stood_up(&mover.entries, &told.to) {
        return Ok(None);
    }
    told.from = told.before.as_ref().map(Split::shown);
    mover.record(&[(&told, "intent", Said::default())]).await?;
    Ok(Some((told, state)))
}

/// Takes back what a killed mover had begun with another version, and returns what is
/// served then.
async fn superseded(
    mover: &mut Mover<'_>,
    open: &Entry,
    there: Option<Split>,
    asked: &Asked<'_>,
) -> Result<Option<Split>> {
    let reason = format!("version {} came before it had ended", asked.version);
    match mover.restore(&open.closing(), Said::because(&reason)).await {
        Ok(()) => Ok(open.before.clone()),
        Err(error) if is_final(&error) => Err(error),
        Err(error) => {
            // What it came from cannot be served any more: what is left without it is.
            let reason = format!("{reason}, and what it came from cannot be served: {error:#}");
            mover.record(&[(&open.closing(), "abandoned", Said::because(&reason))]).await?;
            let of = [asked.wanted.of[0].clone(), open.to.clone()];
            let gone = Served { of, ..asked.wanted.clone() };
            Ok(there.map(|split| split.without(&gone)).filter(|split| !split.is_empty()))
        }
    }
}

/// Whether somebody else has the endpoint now, or the step is to end: what is served is
/// not ours to change any more.
fn is_final(error: &anyhow::Error) -> bool {
    let of = Fault::of(error).map(|fault| fault.kind);
    matches!(of, Some(FaultKind::Conflict | FaultKind::Cancelled))
}

/// Gives the version its traffic, and concludes with how far it came.
async fn ramped(
    mover: &mut Mover<'_>,
    asked: &Asked<'_>,
    told: &Told,
    state: State,
    mut report: Report,
) -> Result<Outcome> {
    let columns = ["Traffic", "Requests", "Failed", "p95 ms", "Live", "What was seen"];
    let mut steps = Table::new("Steps", columns);
    let before = told.before.clone().unwrap_or_default();
    mover.watched = Some(told.epoch);
    let climbed = climbed(mover, asked, told, state, &mut steps).await;
    mover.watched = None;
    report.tables.push(steps);
    report.fact("before", before.shown());
    match climbed {
        Ok(None) => {}
        Ok(Some(stopped)) => return restored(mover, told, stopped, report).await,
        Err(error) if is_final(&error) => return Err(error),
        Err(error) => return given_up(mover, told, error, report).await,
    }
    let all = before.with(&asked.wanted, ALL);
    if !mover.serves.as_ref().is_some_and(|serves| all.is_like(serves)) {
        // What is kept beside it without traffic costs, too.
        mover.serve(&all).await?;
    }
    let said = Said { traffic: Some(ALL), ..Said::default() };
    mover.record(&[(told, "outcome", said)]).await?;
    if !mover.serves.as_ref().is_some_and(|serves| all.is_met_by(serves)) {
        let title = "the service does not tell all of `serving.entity` as it is written there";
        report.findings.push(
            Finding::new(Severity::Warning, "serve/entity", title)
                .hint("each run rolls the version out anew until both say the same"),
        );
    }
    let (endpoint, version) = (&mover.request.serving.endpoint, asked.version.to_string());
    let was = before.shown();
    let reason = match was == version {
        true => format!("{endpoint} serves version {version}, which stood up"),
        false => format!("{endpoint} serves version {version}, it served {was}"),
    };
    Ok(outputs(report.concluded(Verdict::Pass, reason), [endpoint, &version, &was]))
}

/// Takes back what could not be ended, and says why.
async fn given_up(
    mover: &mut Mover<'_>,
    told: &Told,
    error: anyhow::Error,
    report: Report,
) -> Result<Outcome> {
    let reason = format!("{error:#}");
    if error.is::<Halt>() {
        let stopped = Stopped { share: None, verdict: Verdict::Fail, reason };
        return restored(mover, told, stopped, report).await;
    }
    let restored = mover.restore(told, Said::because(&reason)).await;
    let serves = told.before.as_ref().map_or("nothing else".to_owned(), Split::shown);
    let error = match error.downcast::<Moved>() {
        Ok(moved) => Fault::new(FaultKind::Conflict, moved.0).into(),
        Err(error) => error,
    };
    Err(match restored {
        Ok(()) => error.context(format!(
            "version {} was not rolled out, {} is served again",
            told.to, serves
        )),
        Err(more) => error.context(format!(
            "version {} may have a part of the traffic, as {serves} could not be served again ({more:#}); `model-serve rollback` tries that again",
            told.to
        )),
    })
}

/// Where a version did not stand up: its share, what that says, and why.
struct Stopped {
    /// None where that says nothing of the version.
    share: Option<u32>,
    verdict: Verdict,
    reason: String,
}

/// Gives the version its shares, until it has all of the traffic or does not stand up.
async fn climbed(
    mover: &mut Mover<'_>,
    asked: &Asked<'_>,
    told: &Told,
    mut state: State,
    steps: &mut Table,
) -> Result<Option<Stopped>> {
    let serving = &mover.request.serving;
    let before = told.before.clone().unwrap_or_default();
    let ramp = match before.without(&asked.wanted).is_empty() {
        // With nothing else, or the same version with other settings, there is no sharing.
        true => Ramp::alone(),
        false if asked.at_once => Ramp::by(&[]),
        false => Ramp::by(&serving.steps),
    };
    let (mut worst, mut could_not) = (String::new(), false);
    mover.heed().await?;
    loop {
        match ramp.next(state) {
            Next::Give(share) => {
                still_wanted(mover, asked.version).await?;
                let words = format!("version {} gets {share} % of the traffic", asked.version);
                mover.ctx.host.progress(&words);
                state = match mover.change(&before.with(&asked.wanted, share)).await? {
                    None => State::Given(share),
                    Some(why) => {
                        steps.row(Some(Verdict::Fail), unseen(share, &why));
                        worst = why;
                        could_not = true;
                        State::Judged(share, Verdict::Fail)
                    }
                };
            }
            Next::Judge(share) => {
                let seen = seen(mover, asked, share).await?;
                let held = seen.held(&serving.stop);
                let verdict = held.iter().map(|one| one.verdict).fold(Verdict::Pass, Verdict::and);
                steps.row(Some(verdict), shown(share, &seen, &held));
                if verdict == Verdict::Pass {
                    let said = Said { traffic: Some(share), seen: Some(&seen), reason: None };
                    mover.record(&[(told, "step", said)]).await?;
                }
                worst = held.into_iter().next().map_or(String::new(), |one| one.told);
                state = State::Judged(share, verdict);
            }
            Next::Restore(share, verdict) => {
                let reason = format!("at {share} %: {worst}");
                let share = (!could_not).then_some(share);
                return Ok(Some(Stopped { share, verdict, reason }));
            }
            Next::Done => {
                still_wanted(mover, asked.version).await?;
                return Ok(None);
            }
        }
    }
}

/// Whether the alias still points to the version: who has moved it has changed his mind.
async fn still_wanted(mover: &Mover<'_>, version: ModelVersion) -> Result<()> {
    let (model, alias) = (&mover.request.model, &mover.request.alias);
    let now = mover.ctx.client.alias_get(model, alias).await?;
    if now == Some(version) {
        return Ok(());
    }
    Err(Moved(format!("`{alias}` points to {} by now", shown_version(now))).into())
}

/// The alias was moved meanwhile.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Moved(String);

/// Takes back what did not stand up, and says so.
async fn restored(
    mover: &mut Mover<'_>,
    told: &Told,
    Stopped { share, verdict, reason }: Stopped,
    mut report: Report,
) -> Result<Outcome> {
    let endpoint = mover.request.serving.endpoint.clone();
    mover.ctx.host.progress(&format!("{reason}: restoring what was served before"));
    let said = Said { traffic: share, seen: None, reason: Some(&reason) };
    mover.restore(told, said).await.with_context(|| {
        format!("version {} was stopped ({reason}) and may have a part of the traffic; `model-serve rollback` tries again to take it back", told.to)
    })?;
    let serves = match &told.before {
        Some(before) => format!("{endpoint} serves {} again", before.shown()),
        None => format!("{endpoint} is new and stays for its logs to be read"),
    };
    let title = format!("version {} was not rolled out: {reason}", told.to);
    report.findings.push(Finding::new(Severity::Error, "serve/stopped", title));
    let now = told.before.as_ref().map_or(String::new(), Split::shown);
    let report = report.concluded(verdict, format!("{reason}; {serves}"));
    Ok(outputs(report, [&endpoint, &now, &now]))
}

fn unseen(share: u32, why: &str) -> [String; 6] {
    let none = String::new;
    [format!("{share} %"), none(), none(), none(), none(), why.to_owned()]
}

fn shown(share: u32, seen: &Seen, held: &[Held]) -> [String; 6] {
    let says: Vec<&str> = held.iter().map(|one| one.told.as_str()).collect();
    [
        format!("{share} %"),
        seen.requests.to_string(),
        seen.failed.to_string(),
        seen.p95_ms().map_or(String::new(), number),
        seen.live.map_or(String::new(), |[[all, failed], _]| format!("{failed} of {all} failed")),
        says.join("; "),
    ]
}

/// Asks the version, and looks at what others ask it.
async fn seen(mover: &mut Mover<'_>, asked: &Asked<'_>, share: u32) -> Result<Seen> {
    let (client, serving) = (&mover.ctx.client, &mover.request.serving);
    let names = [serving.endpoint.as_str(), asked.wanted.name.as_str()];
    let patience = Duration::from_secs_f64(60.0 * serving.update_minutes);
    let ask = async { Ok(asked.probe.ask(client, names, patience).await) };
    let mut seen = mover.keep(ask).await?;
    let stands = seen.held(&serving.stop).iter().all(|one| one.verdict == Verdict::Pass);
    if stands && (1..ALL).contains(&share) && serving.soak_minutes > 0.0 {
        let soak = Duration::from_secs_f64(60.0 * serving.soak_minutes);
        mover.ctx.host.progress(&format!(
            "version {} has {share} % of the traffic for {}",
            asked.version,
            clock::human(soak)
        ));
        seen.live = mover.keep(async { Ok(soaked(client, names, soak).await) }).await?;
        seen.soaked = true;
    }
    Ok(seen)
}

/// Counts the requests of others for a while, where the endpoint tells of them.
async fn soaked(
    client: &Client,
    [endpoint, served]: [&str; 2],
    soak: Duration,
) -> Option<[Counts; 2]> {
    let begun = Instant::now();
    let mut live = Live::of(served, clock::now_ms());
    loop {
        let left = soak.saturating_sub(begun.elapsed());
        tokio::time::sleep(left.min(LOOKED_AT_EVERY)).await;
        match client.endpoint_metrics(endpoint).await {
            Ok(text) => live.add(&text, clock::now_ms()),
            Err(error) => tracing::debug!(%error, "the endpoint tells nothing of its requests"),
        }
        if begun.elapsed() >= soak {
            return live.counts();
        }
    }
}
