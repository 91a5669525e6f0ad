//! What each version is used for, as a tag that people and other tools read.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};

use super::{Held, Phase, Pointer};
use crate::names::ModelVersion;
use crate::report::{Finding, Severity};

/// The tag, and what the alias that moves makes of a version.
#[derive(Debug, Clone, Copy)]
pub struct States<'a> {
    pub tag: &'a str,
    /// Whether it is the alias that production reads; another one is for versions
    /// that run beside it.
    pub production: bool,
}

/// How many moves back a version may have lost its alias unnoticed.
const LAST: usize = 3;

impl Held<'_> {
    /// Tags the versions that the last moves were about. A tag is a courtesy: what
    /// keeps it from being set is told, and undoes nothing.
    pub(super) async fn mark(&self) {
        let Some(states) = self.pointer.states else { return };
        if let Err(error) = self.mark_all(states).await {
            let title = format!("the tag `{}` could not be set: {error:#}", states.tag);
            let hint =
                "the identity needs APPLY TAG on the model; `promotion.state_tag: null` sets none";
            let finding = Finding::new(Severity::Warning, "promote/state", title).hint(hint);
            self.ctx.host.annotate(&[finding]);
        }
    }

    async fn mark_all(&self, states: States<'_>) -> Result<()> {
        let Pointer { model, alias, previous, .. } = self.pointer;
        let client = &self.client;
        // The first read after a move may be of the time before it.
        let current = super::stable(client, self.pointer, None).await?;
        let before = match previous {
            Some(previous) => client.alias_get(model, previous).await?,
            None => None,
        };
        let registered = client.model_get(model).await?.context("the model is gone")?;
        let own =
            |name: &str| [Some(alias), previous].iter().flatten().any(|it| it.as_str() == name);
        let others: Vec<ModelVersion> = registered
            .aliases
            .iter()
            .filter(|info| !own(&info.alias_name))
            .map(|info| ModelVersion(info.version_num))
            .collect();
        let outcomes = self.entries.iter().rev().filter(|entry| entry.phase == Phase::Outcome);
        let recorded = outcomes.take(LAST).flat_map(|entry| [Some(entry.to), entry.from]);
        let versions: BTreeSet<ModelVersion> =
            recorded.chain([self.current, current, before]).flatten().collect();
        for version in versions {
            let is = |of: Option<ModelVersion>| of == Some(version);
            let elsewhere = others.contains(&version);
            let state = match states.production {
                true if is(current) => "production",
                true if is(before) => "previous",
                true if elsewhere => "shadow",
                // The alias of production says what it is for.
                false if elsewhere => continue,
                false if is(current) => "shadow",
                _ => "archived",
            };
            let tags = client.model_version_tags(model, version).await?;
            if tags.get(states.tag).is_none_or(|tag| tag != state) {
                client.model_version_tag(model, version, states.tag, state).await?;
            }
        }
        Ok(())
    }
}
