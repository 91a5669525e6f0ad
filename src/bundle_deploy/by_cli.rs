//! A deployment that the official CLI carries out, held to the plan that was made
//! for it, and read back.

use std::time::Duration;

use anyhow::{Context as _, Result};

use super::approved::check_fresh;
use super::run::{Applied, Work};
use crate::bundle::{Action, Lock, Plan};
use crate::deployment::{self, Cli, Planned, Store};
use crate::report::{Fault, FaultKind};

/// How often a lock that somebody took in between is waited for.
const PATIENCE: u32 = 30;

impl Work<'_> {
    /// What the CLI would do, of the release where there is one.
    pub(super) async fn planned(&self, cli: &Cli) -> Result<Planned> {
        let mut planned = cli.plan(self.ctx, &self.source.bundle, &self.source.choice).await?;
        planned.plan.release = self.release_digest();
        Ok(planned)
    }

    pub(super) async fn by_cli(&self, cli: &Cli, approved: Option<&Plan>) -> Result<Applied> {
        let (ctx, bundle, choice) = (self.ctx, &self.source.bundle, &self.source.choice);
        let Planned { plan, own } = self.planned(cli).await?;
        if let Some(approved) = approved {
            check_fresh(approved, &plan)?;
        }
        let violations = self.violations(&plan);
        if !violations.is_empty() {
            return Ok(Applied { plan, violations });
        }
        // The CLI takes the lock for itself, so that what stands beside its state
        // is noted before and after.
        let step_key = self.request.wanted.step_key.as_deref();
        let begin = async |store: &Store<'_>, _: &Lock| {
            self.claim().await?.make(store).await?;
            self.begin().await
        };
        deployment::under_lock(ctx, bundle, step_key, begin).await?;
        let store = Store::new(&ctx.client, bundle);
        if own.is_none() {
            // It will plan anew: what that comes to must be what was looked at.
            check_fresh(&plan, &self.planned(cli).await?.plan)?;
        } else if plan.serial == 0 && store.state().await?.serial > 0 {
            let message = "the plan is stale: another deployment came first";
            return Err(Fault::new(FaultKind::Conflict, message).hint("make a new plan").into());
        }
        cli.deploy(ctx, choice, own.as_ref()).await?;
        let (left, files) = cli.left(ctx, bundle, choice).await?;
        if files != plan.files {
            let message = "files of the bundle changed while the CLI deployed them";
            return Err(Fault::new(FaultKind::Integrity, message)
                .hint("let a build leave its files where git ignores them, and deploy again")
                .into());
        }
        if let Some(step) = left.iter().find(|step| step.action != Action::Skip) {
            let message =
                format!("the CLI deployed, and would {} {} again", step.action.as_str(), step.key);
            return Err(Fault::new(FaultKind::Integrity, message)
                .hint("the workspace did not keep what it was sent")
                .into());
        }
        self.note(&plan).await.context("the CLI has deployed; what came of it is not noted")?;
        Ok(Applied { plan, violations })
    }

    /// Notes what was deployed, once nobody else is at work.
    async fn note(&self, plan: &Plan) -> Result<()> {
        let (ctx, bundle) = (self.ctx, &self.source.bundle);
        let step_key = self.request.wanted.step_key.as_deref();
        let store = Store::new(&ctx.client, bundle);
        let mut waited = 0;
        loop {
            let noting = async |_: &Store<'_>, _: &Lock| {
                deployment::remember(ctx, bundle, plan, self.release()).await?;
                self.finish().await
            };
            let noted = deployment::under_lock(ctx, bundle, step_key, noting).await;
            if noted.is_ok() || waited == PATIENCE || store.holder().await?.is_none() {
                return noted;
            }
            waited += 1;
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
    }
}
