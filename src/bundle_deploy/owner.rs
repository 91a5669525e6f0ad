//! Whose deployment it is: two repositories that call their bundle alike would undo
//! each other's work, in a workspace that they share.

use anyhow::Result;

use crate::bundle::Bundle;
use crate::config::Deploy;
use crate::deployment::Store;
use crate::report::{Fault, FaultKind};
use crate::step::Ctx;

/// Whether a deployment may be made, and by which name it is known.
#[derive(Debug)]
pub(super) struct Claim {
    owner: Option<String>,
    here: Option<String>,
}

impl Claim {
    /// # Errors
    /// When another repository deploys here.
    pub(super) async fn check(ctx: &Ctx, policy: &Deploy, bundle: &Bundle) -> Result<Self> {
        let owner = Store::new(&ctx.client, bundle).owner().await?;
        let claim = Self { owner, here: ctx.context.origin.clone() };
        claim.confirm(&policy.renamed_from, bundle)?;
        Ok(claim)
    }

    fn confirm(&self, renamed_from: &[String], bundle: &Bundle) -> Result<(), Fault> {
        let (Some(owner), Some(here)) = (&self.owner, &self.here) else { return Ok(()) };
        let mut known = renamed_from.iter().chain([here]);
        if known.any(|name| name.eq_ignore_ascii_case(owner)) {
            return Ok(());
        }
        let Bundle { name, target, .. } = bundle;
        let message = format!(
            "`{name}` is deployed to {target} by the repository `{owner}`, this runs in `{here}`"
        );
        Err(Fault::new(FaultKind::Conflict, message).hint(
            "give one of the bundles another name; where the repository was renamed: `deploy.renamed_from`",
        ))
    }

    /// Says whose deployment it is to those who are in no repository.
    pub(super) fn tell(&self, ctx: &Ctx) {
        if let (Some(owner), None) = (&self.owner, &self.here) {
            ctx.host.progress(&format!("this is the deployment of the repository `{owner}`"));
        }
    }

    /// Notes that this repository deploys here, before it makes anything.
    pub(super) async fn make(&self, store: &Store<'_>) -> Result<()> {
        match &self.here {
            Some(here) if self.owner.as_ref() != Some(here) => store.claim(here).await,
            _ => Ok(()),
        }
    }
}
