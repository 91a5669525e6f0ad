//! What is deployed, and what others made of it.

use anyhow::Result;

use super::{Store, remote};
use crate::bundle::{Action, Bundle, Kind, Remembered, Remotes, State, Step, differences};
use crate::step::Ctx;

/// A deployment as it stands.
#[derive(Debug)]
pub struct Found {
    pub state: State,
    pub remembered: Remembered,
    pub(super) remotes: Remotes,
}

/// Looks at a deployment without comparing it with any bundle.
pub async fn look(ctx: &Ctx, bundle: &Bundle) -> Result<Found> {
    let store = Store::new(&ctx.client, bundle);
    let (state, remembered) = tokio::try_join!(store.state(), store.remembered())?;
    let remotes = remote::look(&ctx.client, &state).await?;
    Ok(Found { state, remembered, remotes })
}

impl Found {
    /// Whether anybody knows how the resources were right after they were deployed.
    pub fn is_known(&self) -> bool {
        self.remembered.of(&self.state).is_some()
    }

    /// The resources that others changed since.
    pub fn drifted(&self) -> Vec<Step> {
        let Some(then) = self.remembered.of(&self.state) else { return Vec::new() };
        let mut found = Vec::new();
        for (key, now) in &self.remotes {
            let (Some(now), Some(then)) = (now, then.get(key)) else { continue };
            let drift = differences(then, &now.settings);
            if let (Some(kind), false) = (Kind::of_key(key), drift.is_empty()) {
                found.push(Step {
                    key: key.clone(),
                    kind,
                    action: Action::Skip,
                    id: None,
                    settings: None,
                    changes: Vec::new(),
                    drift,
                    references: Vec::new(),
                });
            }
        }
        found
    }

    /// The resources that are no longer there.
    pub fn gone(&self) -> impl Iterator<Item = String> + '_ {
        self.remotes.iter().filter(|(_, found)| found.is_none()).map(|(key, _)| key.clone())
    }
}
