//! Rolls a version out: what an earlier mover left is settled, then the version gets its
//! traffic.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::judge::{Held, Seen};
use super::ledger;
use super::live::Live;
use super::mover::{Mover, Told};
use super::probe::Probe;
use super::ramp::{ALL, Next, Ramp, State};
use super::run::outputs;
use super::split::{Served, Split};
use crate::databricks::Client;
use crate::names::ModelVersion;
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
}

/// Where a roll-out begins.
enum Begun {
    /// All of the traffic goes to the version.
    Over,
    /// What to write down of it, and how far an earlier mover came.
    At(Told, State),
}

pub(super) async fn rolled_out(
    mover: &mut Mover<'_>,
    asked: &Asked<'_>,
    report: Report,
) -> Result<Outcome> {
    let version = asked.version;
    let endpoint = mover.request.serving.endpoint.clone();
    let back = ledger::rolled_back(&mover.entries, &version.to_string());
    if let Some(back) = back.filter(|_| !asked.again) {
        let why = back.reason.as_deref().unwrap_or("no reason was told");
        let message = format!("version {version} was rolled back at {}: {why}", back.at);
        let fault = Fault::new(FaultKind::Conflict, message);
        return Err(fault
            .hint("promote another version, or roll this one out with --again")
            .into());
    }
    let (told, state) = match begun(mover, asked).await? {
        Begun::At(told, state) => (told, state),
        Begun::Over => {
            let reason = format!("{endpoint} serves version {version} already");
            let done = Outcome::new(report.concluded(Verdict::Pass, reason));
            let version = version.to_string();
            return Ok(done
                .output("endpoint", endpoint)
                .output("version", &version)
                .output("previous-version", &version));
        }
    };
    ramped(mover, asked, &told, state, report).await
}

/// Settles what an earlier mover left, and writes down what is to be done.
async fn begun(mover: &mut Mover<'_>, asked: &Asked<'_>) -> Result<Begun> {
    let there = mover.now().await?;
    let request = mover.request;
    if let Some(other) = there.as_ref().and_then(|split| split.other_than(&request.model)) {
        let message = format!("the endpoint `{}` serves `{other}`, too", request.serving.endpoint);
        let hint = "give the model an endpoint of its own: `serving.endpoint`";
        return Err(Fault::usage(message).hint(hint).into());
    }
    let share = there.as_ref().and_then(|split| split.share_of(&asked.wanted));
    let mut state = share.map_or(State::Absent, State::Given);
    let mut told = Told {
        epoch: mover.epoch(),
        kind: "rollout",
        from: None,
        before: there,
        to: asked.version.to_string(),
        cause: mover.ctx.context.cause(),
    };
    match ledger::open(&mover.entries).cloned() {
        Some(open) if open.kind == "rollback" => {
            let message = format!("a rollback to {} was not over when it ended", open.to);
            let fault = Fault::new(FaultKind::Conflict, message);
            return Err(fault.hint("run `model-serve rollback` again").into());
        }
        Some(open) if open.to == told.to => return Ok(Begun::At(open.closing(), state)),
        Some(open) => {
            let reason = format!("version {} came before it had ended", asked.version);
            mover.restore(&open.closing(), &reason).await?;
            told.before = open.before;
            state = State::Absent;
        }
        // Where nothing is written down, a part of the traffic is what a mover left.
        None if request.record.is_none() && share.is_some_and(|share| share < ALL) => {
            told.before = told.before.map(|split| split.without(&asked.wanted));
        }
        None => {}
    }
    if told.before.as_ref().is_some_and(|split| split.is_all(&asked.wanted)) {
        return Ok(Begun::Over);
    }
    told.from = told.before.as_ref().map(Split::shown);
    mover.record(&told, "intent", (None, None), None).await?;
    Ok(Begun::At(told, state))
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
    let stopped = climbed(mover, asked, told, state, &mut steps).await?;
    report.tables.push(steps);
    report.fact("before", before.shown());
    if let Some(stopped) = stopped {
        return restored(mover, told, stopped, report).await;
    }
    // What is kept beside it without traffic costs, too.
    mover.serve(&before.with(&asked.wanted, ALL)).await?;
    mover.record(told, "outcome", (Some(ALL), None), None).await?;
    let (endpoint, version) = (&mover.request.serving.endpoint, asked.version.to_string());
    let was = before.shown();
    let reason = format!("{endpoint} serves version {version}, it served {was}");
    Ok(outputs(report.concluded(Verdict::Pass, reason), [endpoint, &version, &was]))
}

/// Where a version did not stand up: its share, what that says, and why.
struct Stopped {
    share: u32,
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
    let mut worst = String::new();
    loop {
        match ramp.next(state) {
            Next::Give(share) => {
                let words = format!("version {} gets {share} % of the traffic", asked.version);
                mover.ctx.host.progress(&words);
                state = match mover.change(&before.with(&asked.wanted, share)).await? {
                    None => State::Given(share),
                    Some(why) => {
                        steps.row(Some(Verdict::Fail), unseen(share, &why));
                        worst = why;
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
                    mover.record(told, "step", (Some(share), Some(&seen)), None).await?;
                }
                worst = held.into_iter().next().map_or(String::new(), |one| one.told);
                state = State::Judged(share, verdict);
            }
            Next::Restore(share, verdict) => {
                let reason = format!("at {share} %: {worst}");
                return Ok(Some(Stopped { share, verdict, reason }));
            }
            Next::Done => return Ok(None),
        }
    }
}

/// Takes back what did not stand up, and says so.
async fn restored(
    mover: &mut Mover<'_>,
    told: &Told,
    Stopped { share, verdict, reason }: Stopped,
    mut report: Report,
) -> Result<Outcome> {
    let endpoint = mover.request.serving.endpoint.clone();
    mover.ctx.host.progress(&format!("{reason}: restoring what was served before"));
    mover.restore(told, &reason).await.with_context(|| {
        format!("version {} was stopped ({reason}) and has up to {share} % of the traffic", told.to)
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
        seen.live.map_or(String::new(), |[all, failed]| format!("{failed} of {all} failed")),
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
) -> Option<[u64; 2]> {
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
