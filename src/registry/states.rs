//! What each version is used for, as a tag that people and other tools read.

use std::collections::BTreeSet;

use anyhow::Result;

use super::{Held, Pointer};
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
const LAST: usize = 6;

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
        let set = client.model_get(model).await?.map(|model| model.aliases).unwrap_or_default();
        let of_alias = |name: Option<&crate::names::Alias>| {
            let name = name?.to_string();
            set.iter().find(|info| info.alias_name == name).map(|info| info.version_num)
        };
        let (current, before) = (of_alias(Some(alias)), of_alias(previous));
        let recorded = self.entries.iter().rev().take(LAST).flat_map(|entry| {
            [Some(entry.to), entry.from].into_iter().flatten().map(|version| version.0)
        });
        let versions: BTreeSet<u64> =
            recorded.chain(self.current.map(|it| it.0)).chain(current).chain(before).collect();
        for version in versions {
            let elsewhere = set.iter().any(|info| {
                info.version_num == version
                    && info.alias_name != alias.to_string()
                    && previous.is_none_or(|name| info.alias_name != name.to_string())
            });
            let state = match () {
                () if current == Some(version) && states.production => "production",
                // Another alias says what it is for.
                () if elsewhere => continue,
                () if current == Some(version) => "shadow",
                () if before == Some(version) => "previous",
                () => "archived",
            };
            let version = ModelVersion(version);
            let tags = client.model_version_tags(model, version).await?;
            if tags.get(states.tag).is_none_or(|tag| tag != state) {
                client.model_version_tag(model, version, states.tag, state).await?;
            }
        }
        Ok(())
    }
}
