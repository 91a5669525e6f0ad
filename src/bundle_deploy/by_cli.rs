//! A deployment that the official CLI carries out, held to the plan that was made
//! for it, and read back.

use anyhow::Result;

use super::approved::check_fresh;
use super::run::{Applied, Work};
use crate::bundle::{Action, Lock, Plan};
use crate::deployment::{self, Cli, Planned, Store};
use crate::report::{Fault, FaultKind};

impl Work<'_> {
    pub(super) async fn by_cli(&self, cli: &Cli, approved: Option<&Plan>) -> Result<Applied> {
        let (ctx, bundle, choice) = (self.ctx, &self.source.bundle, &self.source.choice);
        let Planned { plan, own } = cli.plan(ctx, bundle, choice).await?;
        let release = self.source.release.as_ref().map(|opened| opened.digest.to_string());
        let plan = Plan { release, ..plan };
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
        if self.source.release.is_some() {
            deployment::under_lock(ctx, bundle, step_key, async |_, _| self.begin().await).await?;
        }
        cli.deploy(ctx, choice, own.as_ref()).await?;
        let left = cli.plan(ctx, bundle, choice).await?.plan;
        if let Some(step) = left.steps.iter().find(|step| step.action != Action::Skip) {
            let message =
                format!("the CLI deployed, and would {} {} again", step.action.as_str(), step.key);
            return Err(Fault::new(FaultKind::Integrity, message)
                .hint("the workspace did not keep what it was sent")
                .into());
        }
        let note = async |_: &Store<'_>, _: &Lock| {
            deployment::remember(ctx, bundle, &plan, self.release()).await?;
            self.finish().await
        };
        deployment::under_lock(ctx, bundle, step_key, note).await?;
        Ok(Applied { plan, violations })
    }
}
