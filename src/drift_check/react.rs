//! What follows from a decision.

use anyhow::{Context as _, Result};

use super::decide::{Decision, State};
use super::run::Request;
use crate::checkout;
use crate::config::OnDrift;
use crate::databricks::jobs::RunNow;
use crate::names::Sha256;
use crate::step::Ctx;

/// What was done about a verdict.
pub(super) struct Reaction {
    pub(super) name: &'static str,
    pub(super) run: Option<(i64, String)>,
}

pub(super) async fn react(
    ctx: &Ctx,
    request: &Request,
    decision: &Decision,
    window: &str,
) -> Result<Reaction> {
    let name = match decision.state {
        State::None | State::Watch => "nothing",
        // Retraining on a broken feed would make the model worse.
        State::Inconclusive | State::Broken => "notify",
        State::Drift => "drift",
    };
    let (OnDrift::Retrain, Some(job)) = (request.policy.on_drift, &request.policy.retrain_job)
    else {
        return Ok(Reaction { name: if name == "drift" { "notify" } else { name }, run: None });
    };
    if name != "drift" {
        return Ok(Reaction { name, run: None });
    }
    let job_id = checkout::find_job(ctx, job, None).await?.job_id;
    let parts = ["drift", &job_id.to_string(), &request.policy.current.to_string(), window]
        .map(str::to_owned);
    let token = Sha256::of_parts(parts.iter().map(String::as_str)).to_string();
    let now = RunNow {
        job_id,
        idempotency_token: Some(token),
        job_parameters: request.retrain_parameters.clone(),
    };
    let run_id = ctx
        .client
        .run_now(&now)
        .await
        .with_context(|| format!("start the retraining job `{job}`"))?;
    let run = ctx.client.run_get(run_id).await.context("look at the retraining run")?;
    Ok(Reaction { name: "retrain", run: Some((run_id, run.run_page_url)) })
}
