//! Changes an endpoint: one mover at a time, each change waited for and read back.

use std::future::{Future, pending};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::judge::Seen;
use super::ledger::{self, Entry};
use super::run::Request;
use super::split::Split;
use crate::databricks::Client;
use crate::databricks::serving::Settled;
use crate::names::Sha256;
use crate::record::RolloutRow;
use crate::registry::{Fence, PATIENCE, Subject};
use crate::report::{Fault, FaultKind};
use crate::step::{Cancel, Ctx};
use crate::sys::clock;

/// How long a look may be older than a change before somebody must have undone it.
const STALE: Duration = Duration::from_secs(60);
/// How often an endpoint that was there must not be found before it is gone.
const MISSES: u32 = 10;

/// An endpoint that nobody else changes for now, where that is recorded.
#[derive(Debug)]
pub(super) struct Mover<'a> {
    pub(super) ctx: &'a Ctx,
    pub(super) request: &'a Request,
    fence: Option<Fence<'a>>,
    /// What is recorded of the endpoint, the oldest first.
    pub(super) entries: Vec<Entry>,
    /// What it was last seen to serve: whoever makes it serve something else is not us.
    pub(super) serves: Option<Split>,
    /// The roll-out that somebody may ask to end, by its epoch.
    pub(super) watched: Option<u64>,
}

/// A roll-out or a rollback, as its rows tell of it.
#[derive(Debug, Clone)]
pub(super) struct Told {
    pub(super) epoch: u64,
    pub(super) kind: &'static str,
    /// What was served before.
    pub(super) from: Option<String>,
    /// All that is needed to serve it again.
    pub(super) before: Option<Split>,
    pub(super) to: String,
    /// What a rollback leads to.
    pub(super) target: Option<Split>,
    pub(super) cause: String,
}

/// What a row says beside that.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Said<'a> {
    pub(super) traffic: Option<u32>,
    pub(super) seen: Option<&'a Seen>,
    pub(super) reason: Option<&'a str>,
}

impl<'a> Said<'a> {
    pub(super) fn because(reason: &'a str) -> Self {
        Self { reason: Some(reason), ..Self::default() }
    }
}

/// Somebody asked for the end of a roll-out.
#[derive(Debug, thiserror::Error)]
#[error("somebody asked for its end: {0}")]
pub(super) struct Halt(pub(super) String);

/// The workspace in records. The embedded one has another port each time.
pub(super) fn workspace(client: &Client) -> String {
    let host = client.host();
    match host.rsplit_once(':') {
        Some((address, port))
            if address.ends_with("127.0.0.1") && port.chars().all(|char| char.is_ascii_digit()) =>
        {
            address.to_owned()
        }
        _ => host.to_owned(),
    }
}

impl<'a> Mover<'a> {
    /// Waits until nobody else changes the endpoint.
    ///
    /// # Errors
    /// A conflict when somebody does for too long.
    pub(super) async fn take(ctx: &'a Ctx, request: &'a Request, more: Duration) -> Result<Self> {
        let bare =
            Self { ctx, request, fence: None, entries: Vec::new(), serves: None, watched: None };
        let Some(schema) = &request.record else { return Ok(bare) };
        let endpoint = &request.serving.endpoint;
        let subject = Subject {
            model: endpoint.clone(),
            alias: format!("endpoint at {}", workspace(&ctx.client)),
            shown: format!("the endpoint `{endpoint}`"),
            hint: "look at `model-serve history`; `model-serve rollback` takes a roll-out back that is under way",
        };
        let lease = Duration::from_secs(request.serving.lease_seconds);
        let fence = Fence::take(ctx, schema, subject, [lease, lease + PATIENCE + more]).await?;
        let entries = ledger::read(ctx, schema, endpoint).await?;
        Ok(Self { fence: Some(fence), entries, ..bare })
    }

    /// Lets others change it, whatever was done came to.
    pub(super) async fn end<T>(self, done: Result<T>) -> Result<T> {
        let released = match self.fence {
            Some(fence) => fence.release().await,
            None => Ok(()),
        };
        let done = done?;
        released?;
        Ok(done)
    }

    pub(super) fn epoch(&self) -> u64 {
        self.fence.as_ref().map_or(0, Fence::epoch)
    }

    /// Does what takes long, and keeps the endpoint meanwhile.
    ///
    /// # Errors
    /// When somebody else has it now or asks for the end, or the step is to end.
    pub(super) async fn keep<T>(&mut self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let cancel = self.ctx.cancel.clone();
        tokio::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return done,
                () = cancel.asked() => {
                    let fault = Cancel::fault(&format!("the endpoint `{}` stays as it is", self.name()));
                    let hint = "`model-serve` goes on where this ended, `model-serve rollback` restores what was served before";
                    return Err(fault.hint(hint).into());
                }
                // Work goes on while the lease is renewed: it may be what is measured.
                renewed = self.renewal() => renewed?,
            }
        }
    }

    async fn renewal(&mut self) -> Result<()> {
        let Some(fence) = &mut self.fence else { return pending().await };
        tokio::time::sleep(fence.due_in()).await;
        fence.renew().await?;
        self.heed().await
    }

    /// Whether somebody asks for the end of what goes on.
    pub(super) async fn heed(&self) -> Result<()> {
        let (Some(schema), Some(epoch)) = (&self.request.record, self.watched) else {
            return Ok(());
        };
        match ledger::stop(self.ctx, schema, self.name(), epoch).await? {
            Some(reason) => Err(Halt(reason).into()),
            None => Ok(()),
        }
    }

    /// Before anything takes effect: nobody else can have the endpoint meanwhile.
    async fn ensure(&mut self) -> Result<()> {
        match &mut self.fence {
            Some(fence) if fence.due_in().is_zero() => fence.renew().await,
            _ => Ok(()),
        }
    }

    /// A client that does nothing once the endpoint may be somebody else's.
    fn client(&self) -> Client {
        let client = &self.ctx.client;
        self.fence
            .as_ref()
            .map_or_else(|| client.clone(), |fence| client.with_deadline(fence.left()))
    }

    fn name(&self) -> &'a str {
        &self.request.serving.endpoint
    }

    /// What the endpoint serves once no change of it is under way; nothing where there is
    /// none, or where it never served anything.
    pub(super) async fn now(&mut self) -> Result<Option<Split>> {
        let (client, name) = (&self.ctx.client, self.name());
        let was_there = self.entries.iter().any(|entry| entry.phase == "outcome");
        for miss in 0..if was_there { MISSES } else { 2 } {
            if miss > 0 {
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
            let found = client.endpoint_get(name).await;
            if found.with_context(|| format!("look at the endpoint `{name}`"))?.is_some() {
                let found = match self.settled().await? {
                    Settled::Done(found) | Settled::Failed(found, _) => found,
                    Settled::Late => return Err(self.late().into()),
                };
                let split = Split::read(&found["config"])?;
                self.serves = Some(split).filter(|split| !split.is_empty());
                return Ok(self.serves.clone());
            }
        }
        self.serves = None;
        Ok(None)
    }

    async fn settled(&mut self) -> Result<Settled> {
        let (client, name) = (&self.ctx.client, self.name());
        let patience = Duration::from_secs_f64(60.0 * self.request.serving.update_minutes);
        self.keep(async { Ok(client.endpoint_settled(name, patience).await?) }).await
    }

    fn late(&self) -> Fault {
        let minutes = self.request.serving.update_minutes;
        let name = self.name();
        let message =
            format!("the endpoint `{name}` is still being changed after {minutes} minutes");
        Fault::new(FaultKind::Timeout, message)
            .hint("a large model may need more: `serving.update_minutes`")
    }

    /// Makes the endpoint serve `split`, and returns why not where the service could not.
    ///
    /// # Errors
    /// When the service refuses, or somebody else changes it.
    pub(super) async fn change(&mut self, split: &Split) -> Result<Option<String>> {
        self.ensure().await?;
        let there = self.ctx.client.endpoint_get(self.name()).await?;
        if let (Some(found), Some(last)) = (&there, &self.serves) {
            self.is_ours(last, &Split::read(&found["config"])?)?;
        }
        let before = there.as_ref().map_or(0, version);
        self.put(split, there.is_some()).await?;
        let begun = Instant::now();
        loop {
            let is_stale = begun.elapsed() > STALE;
            match self.settled().await? {
                Settled::Late => return Ok(Some(self.late().message)),
                Settled::Done(found) => {
                    let serves = Split::read(&found["config"])?;
                    if split.is_like(&serves) {
                        self.serves = Some(serves);
                        let ready = found.pointer("/state/ready").and_then(Value::as_str);
                        return Ok((ready != Some("READY")).then(|| failure(&found, "NOT_READY")));
                    }
                    if is_stale || version(&found) > before + 1 {
                        self.is_ours(split, &serves)?;
                    }
                }
                // What failed may be an earlier change.
                Settled::Failed(found, state) => {
                    let own = Split::read(&found["pending_config"]);
                    if is_stale || own.is_ok_and(|pending| split.is_like(&pending)) {
                        return Ok(Some(failure(&found, &state)));
                    }
                }
            }
            let pause = async {
                tokio::time::sleep(Duration::from_millis(500)).await;
                Ok(())
            };
            self.keep(pause).await?;
        }
    }

    fn is_ours(&self, last: &Split, serves: &Split) -> Result<(), Fault> {
        if last.is_like(serves) {
            return Ok(());
        }
        let message = format!(
            "the endpoint `{}` was made to serve {}, and serves {}",
            self.name(),
            last.shown(),
            serves.shown()
        );
        let fault = Fault::new(FaultKind::Conflict, message);
        Err(fault.hint("somebody changed it meanwhile: it stays as it is; `model-serve` begins with what it finds"))
    }

    async fn put(&mut self, split: &Split, is_there: bool) -> Result<()> {
        let (name, config) = (self.name(), split.config());
        if !is_there {
            let mut fields = self.request.serving.settings.clone();
            fields.insert("name".into(), json!(name));
            fields.insert("config".into(), config);
            let made = self.client().endpoint_create(&Value::Object(fields)).await;
            return made.with_context(|| format!("make the endpoint `{name}`"));
        }
        let set = self.client().endpoint_configure(name, "config", &config).await;
        let context = || format!("change the endpoint `{name}`");
        if !set.as_ref().is_err_and(crate::databricks::Error::is_busy) {
            return set.with_context(context);
        }
        // A change goes on: somebody's, or this one, whose answer was lost.
        if let Settled::Done(found) | Settled::Failed(found, _) = self.settled().await? {
            let serves = Split::read(&found["config"])?;
            if split.is_like(&serves) {
                return Ok(());
            }
            if let Some(last) = &self.serves {
                self.is_ours(last, &serves)?;
            }
        }
        self.ensure().await?;
        self.client().endpoint_configure(name, "config", &config).await.with_context(context)
    }

    /// Makes the endpoint serve what it served before, and writes that down.
    pub(super) async fn restore(&mut self, told: &Told, said: Said<'_>) -> Result<()> {
        if let Some(before) = &told.before {
            self.serve(before).await?;
        }
        self.record(&[(told, "restored", said)]).await
    }

    /// Makes the endpoint serve this, unless it does.
    pub(super) async fn serve(&mut self, split: &Split) -> Result<()> {
        // A look may be older than a change.
        let mut met = 0;
        while self.now().await?.is_some_and(|there| split.is_met_by(&there)) {
            met += 1;
            if met == 2 {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        let Some(why) = self.change(split).await? else { return Ok(()) };
        let message = format!("the endpoint cannot serve {}: {why}", split.shown());
        let fault = Fault::new(FaultKind::Remote, message);
        let hint = "look at the endpoint in the workspace, and run `model-serve rollback` again";
        Err(fault.hint(hint).into())
    }

    /// Writes rows, all of them or none; a repetition writes none.
    pub(super) async fn record(&mut self, rows: &[(&Told, &'static str, Said<'_>)]) -> Result<()> {
        let Some(schema) = &self.request.record else { return Ok(()) };
        self.ensure().await?;
        let rows: Vec<RolloutRow> = rows.iter().map(|row| self.row(*row)).collect();
        self.ctx.lake()?.record(schema, &rows).await
    }

    fn row(&self, (told, phase, said): (&Told, &'static str, Said<'_>)) -> RolloutRow {
        let share = said.traffic.map_or(String::new(), |share| share.to_string());
        // A step that is looked at again after a kill is another one.
        let own = if phase == "step" { self.epoch().to_string() } else { String::new() };
        row(self.ctx, self.request, (told, phase, said), [&share, &own])
    }
}

/// A row of the endpoint; `own` tells it from others of its epoch and phase.
pub(super) fn row(
    ctx: &Ctx,
    request: &Request,
    (told, phase, said): (&Told, &'static str, Said<'_>),
    own: [&str; 2],
) -> RolloutRow {
    let Said { traffic, seen, reason } = said;
    let (workspace, endpoint) = (workspace(&ctx.client), request.serving.endpoint.clone());
    let epoch = told.epoch.to_string();
    let parts = [&workspace, &endpoint, epoch.as_str(), phase, told.kind, own[0], own[1]];
    let live = seen.and_then(|seen| seen.live).map(|[own, _]| own);
    RolloutRow {
        event_id: Sha256::of_parts(parts).to_string(),
        phase,
        kind: told.kind,
        workspace,
        endpoint,
        model: request.model.to_string(),
        epoch: told.epoch,
        from_version: told.from.clone(),
        to_version: told.to.clone(),
        traffic: traffic.map(u64::from),
        before: told.before.as_ref().map(|split| split.config().to_string()),
        target: told.target.as_ref().map(|split| split.config().to_string()),
        requests: seen.map(|seen| seen.requests),
        failed: seen.map(|seen| seen.failed),
        p95_ms: seen.and_then(Seen::p95_ms),
        live_requests: live.map(|[all, _]| all),
        live_failed: live.map(|[_, failed]| failed),
        cause: told.cause.clone(),
        reason: reason.map(str::to_owned),
        actor: ctx.context.actor.clone(),
        run_url: ctx.context.run_url.clone(),
        at: clock::now().to_string(),
    }
}

/// How often the endpoint was changed so far.
fn version(found: &Value) -> u64 {
    let of = |config: &str| found.pointer(&format!("/{config}/config_version"))?.as_u64();
    of("config").max(of("pending_config")).unwrap_or(0)
}

/// What the service says of why a change failed.
fn failure(found: &Value, state: &str) -> String {
    let of = |config: &str| found.pointer(&format!("/{config}/served_entities"));
    let entities = ["pending_config", "config"].into_iter().filter_map(of);
    let told = entities.filter_map(Value::as_array).flatten().find_map(|entity| {
        let state = &entity["state"];
        let message = state["deployment_state_message"].as_str().filter(|text| !text.is_empty())?;
        let is_up = state["deployment"].as_str().is_some_and(|state| state.ends_with("READY"));
        (!is_up).then(|| message.to_owned())
    });
    told.map_or_else(
        || format!("the change ended {state}: look at the endpoint's events and build logs"),
        |told| format!("the change ended {state}: {told}"),
    )
}
