//! Changes an endpoint: one mover at a time, each change waited for and read back.

use std::future::Future;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::{Value, json};

use super::judge::Seen;
use super::ledger::{self, Entry};
use super::run::Request;
use super::split::Split;
use crate::databricks::serving::Settled;
use crate::names::Sha256;
use crate::record::RolloutRow;
use crate::registry::{Fence, Subject};
use crate::report::{Fault, FaultKind};
use crate::step::{Cancel, Ctx};
use crate::sys::clock;

/// How often a change is looked for before it counts as undone by somebody.
const LOOKS: u32 = 10;

/// An endpoint that nobody else changes for now, where that is recorded.
#[derive(Debug)]
pub(super) struct Mover<'a> {
    pub(super) ctx: &'a Ctx,
    pub(super) request: &'a Request,
    fence: Option<Fence<'a>>,
    /// What is recorded of the endpoint, the oldest first.
    pub(super) entries: Vec<Entry>,
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
    pub(super) cause: String,
}

impl<'a> Mover<'a> {
    /// Waits until nobody else changes the endpoint.
    ///
    /// # Errors
    /// A conflict when somebody does for too long.
    pub(super) async fn take(ctx: &'a Ctx, request: &'a Request) -> Result<Self> {
        let Some(schema) = &request.record else {
            return Ok(Self { ctx, request, fence: None, entries: Vec::new() });
        };
        let endpoint = &request.serving.endpoint;
        let subject = Subject {
            model: request.model.to_string(),
            alias: format!("endpoint {endpoint} at {}", ctx.client.host()),
            shown: format!("the endpoint `{endpoint}`"),
            hint: "look at `model-serve history`, and try again",
        };
        let lease = Duration::from_secs(request.serving.lease_seconds);
        let fence = Fence::take(ctx, schema, subject, lease).await?;
        let entries = ledger::read(ctx, schema, endpoint).await?;
        Ok(Self { ctx, request, fence: Some(fence), entries })
    }

    /// Lets others change it.
    pub(super) async fn release(self) -> Result<()> {
        match self.fence {
            Some(fence) => fence.release().await,
            None => Ok(()),
        }
    }

    pub(super) fn epoch(&self) -> u64 {
        self.fence.as_ref().map_or(0, Fence::epoch)
    }

    /// Does what takes long, and keeps the endpoint meanwhile.
    ///
    /// # Errors
    /// When somebody else has it now, or the step is to end.
    pub(super) async fn keep<T>(&mut self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let cancel = self.ctx.cancel.clone();
        let renewed_every = Duration::from_secs(self.request.serving.lease_seconds) / 4;
        tokio::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return done,
                () = cancel.asked() => {
                    let fault = Cancel::fault(&format!("the endpoint `{}` stays as it is", self.name()));
                    let hint = "`model-serve` goes on where this ended, `model-serve rollback` restores what was served before";
                    return Err(fault.hint(hint).into());
                }
                () = tokio::time::sleep(renewed_every) => {
                    if let Some(fence) = &mut self.fence {
                        fence.renew().await?;
                    }
                }
            }
        }
    }

    fn name(&self) -> &'a str {
        &self.request.serving.endpoint
    }

    /// What the endpoint serves once no change of it is under way; nothing where there is
    /// none, or where it never served anything.
    pub(super) async fn now(&mut self) -> Result<Option<Split>> {
        let (client, name) = (&self.ctx.client, self.name());
        if client
            .endpoint_get(name)
            .await
            .with_context(|| format!("look at the endpoint `{name}`"))?
            .is_none()
        {
            return Ok(None);
        }
        let found = match self.settled().await? {
            Settled::Done(found) | Settled::Failed(found, _) => found,
            Settled::Late => return Err(self.late().into()),
        };
        let split = Split::read(&found["config"])?;
        Ok(Some(split).filter(|split| !split.is_empty()))
    }

    async fn settled(&mut self) -> Result<Settled> {
        let (client, name) = (&self.ctx.client, self.name());
        let patience = Duration::from_secs_f64(60.0 * self.request.serving.update_minutes);
        self.keep(async { Ok(client.endpoint_settled(name, patience).await?) }).await
    }

    fn late(&self) -> Fault {
        let minutes = self.request.serving.update_minutes;
        let message = format!(
            "the endpoint `{}` is still being changed after {minutes} minutes",
            self.name()
        );
        Fault::new(FaultKind::Timeout, message)
            .hint("a large model may need more: `serving.update_minutes`")
    }

    /// Makes the endpoint serve `split`, and returns why not where the service could not.
    ///
    /// # Errors
    /// When the service refuses, or serves something else then.
    pub(super) async fn change(&mut self, split: &Split) -> Result<Option<String>> {
        let (client, name) = (&self.ctx.client, self.name());
        let config = split.config();
        if client.endpoint_get(name).await?.is_some() {
            let set = client.endpoint_configure(name, "config", &config).await;
            set.with_context(|| format!("change the endpoint `{name}`"))?;
        } else {
            let mut fields = self.request.serving.settings.clone();
            fields.insert("name".into(), json!(name));
            fields.insert("config".into(), config);
            let made = client.endpoint_create(&Value::Object(fields)).await;
            made.with_context(|| format!("make the endpoint `{name}`"))?;
        }
        for look in 1..=LOOKS {
            let found = match self.settled().await? {
                Settled::Done(found) => found,
                Settled::Failed(found, state) => return Ok(Some(failure(&found, &state))),
                Settled::Late => return Ok(Some(self.late().message)),
            };
            if !split.is_met_by(&Split::read(&found["config"])?) {
                // A look may be older than the change.
                tokio::time::sleep(Duration::from_millis(200 * u64::from(look))).await;
                continue;
            }
            let ready = found.pointer("/state/ready").and_then(Value::as_str);
            return Ok((ready != Some("READY")).then(|| failure(&found, "NOT_READY")));
        }
        let message = format!(
            "the endpoint `{name}` was to serve {}, and serves something else",
            split.shown()
        );
        let fault = Fault::new(FaultKind::Conflict, message);
        Err(fault.hint("somebody changed it meanwhile").into())
    }

    /// Makes the endpoint serve what it served before, and writes that down.
    pub(super) async fn restore(&mut self, told: &Told, reason: &str) -> Result<()> {
        if let Some(before) = &told.before {
            self.serve(before).await?;
        }
        self.record(told, "restored", (None, None), Some(reason)).await
    }

    /// Makes the endpoint serve this, unless it does.
    pub(super) async fn serve(&mut self, split: &Split) -> Result<()> {
        if self.now().await?.is_some_and(|there| split.is_met_by(&there)) {
            return Ok(());
        }
        let Some(why) = self.change(split).await? else { return Ok(()) };
        let message = format!("the endpoint cannot serve {}: {why}", split.shown());
        let fault = Fault::new(FaultKind::Remote, message);
        Err(fault
            .hint("look at the endpoint in the workspace, and run `model-serve rollback` again")
            .into())
    }

    /// Writes a row; a repetition writes none.
    pub(super) async fn record(
        &self,
        told: &Told,
        phase: &'static str,
        (traffic, seen): (Option<u32>, Option<&Seen>),
        reason: Option<&str>,
    ) -> Result<()> {
        let Some(schema) = &self.request.record else { return Ok(()) };
        let (workspace, endpoint) = (self.ctx.client.host().to_owned(), self.name().to_owned());
        let share = traffic.map_or(String::new(), |share| share.to_string());
        // A step that is looked at again after a kill is another one.
        let own = self.epoch().to_string();
        let own = if phase == "step" { own.as_str() } else { "" };
        let parts = [&workspace, &endpoint, &told.epoch.to_string(), phase, told.kind, &share, own];
        let row = RolloutRow {
            event_id: Sha256::of_parts(parts).to_string(),
            phase,
            kind: told.kind,
            workspace,
            endpoint,
            model: self.request.model.to_string(),
            epoch: told.epoch,
            from_version: told.from.clone(),
            to_version: told.to.clone(),
            traffic: traffic.map(u64::from),
            before: told.before.as_ref().map(|split| split.config().to_string()),
            requests: seen.map(|seen| seen.requests),
            failed: seen.map(|seen| seen.failed),
            p95_ms: seen.and_then(Seen::p95_ms),
            live_requests: seen.and_then(|seen| seen.live).map(|[all, _]| all),
            live_failed: seen.and_then(|seen| seen.live).map(|[_, failed]| failed),
            cause: told.cause.clone(),
            reason: reason.map(str::to_owned),
            actor: self.ctx.context.actor.clone(),
            run_url: self.ctx.context.run_url.clone(),
            at: clock::now().to_string(),
        };
        self.ctx.lake()?.record(schema, &[row]).await
    }
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
