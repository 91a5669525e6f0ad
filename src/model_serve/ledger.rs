//! What is recorded of an endpoint: its roll-outs, and what was served before each.

use anyhow::{Context as _, Result};

use super::mover::Told;
use super::split::Split;
use crate::names::SchemaName;
use crate::record::statement::{Parameter, Statement};
use crate::record::{self, RolloutRow};
use crate::step::Ctx;

/// A recorded step.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) epoch: u64,
    pub(super) phase: String,
    pub(super) kind: String,
    pub(super) from: Option<String>,
    pub(super) to: String,
    pub(super) traffic: Option<String>,
    /// What was served before an intent; nothing where nothing was.
    pub(super) before: Option<Split>,
    pub(super) cause: String,
    pub(super) reason: Option<String>,
    pub(super) actor: Option<String>,
    pub(super) run_url: Option<String>,
    pub(super) at: String,
}

impl Entry {
    /// The rows that end what this began.
    pub(super) fn closing(&self) -> Told {
        Told {
            epoch: self.epoch,
            kind: if self.kind == "rollback" { "rollback" } else { "rollout" },
            from: self.from.clone(),
            before: self.before.clone(),
            to: self.to.clone(),
            cause: self.cause.clone(),
        }
    }

    /// Whether the endpoint went back.
    pub(super) fn is_rollback(&self) -> bool {
        self.phase == "outcome" && self.kind == "rollback"
    }
}

const COLUMNS: [&str; 12] = [
    "epoch",
    "phase",
    "kind",
    "from_version",
    "to_version",
    "traffic",
    "before",
    "cause",
    "reason",
    "actor",
    "run_url",
    "at",
];

/// The steps of an endpoint, the oldest first.
///
/// # Errors
/// Also when a row cannot be understood: an unknown past is no past.
pub(super) async fn read(ctx: &Ctx, schema: &SchemaName, endpoint: &str) -> Result<Vec<Entry>> {
    let lake = ctx.lake()?;
    lake.ensure::<RolloutRow>(schema).await?;
    let table = record::table::<RolloutRow>(schema).quoted();
    let columns = COLUMNS.map(|column| format!("`{column}`")).join(", ");
    let statement = Statement::new(format!(
        "SELECT {columns} FROM {table} WHERE workspace = :workspace AND endpoint = :endpoint ORDER BY epoch, `at`"
    ))
    .with(Parameter::string("workspace", ctx.client.host()))
    .with(Parameter::string("endpoint", endpoint));
    let rows = lake.client.sql(lake.warehouse, &statement).await;
    let rows = rows.with_context(|| format!("read {table}"))?.rows;
    let known = rows.iter().map(|row| {
        entry(row)
            .with_context(|| format!("{table} holds a row that cannot be understood: {row:?}"))
    });
    known.collect()
}

fn entry(row: &[Option<String>]) -> Option<Entry> {
    let cell = |name: &str| -> Option<&String> {
        row.get(COLUMNS.iter().position(|column| *column == name)?)?.as_ref()
    };
    let before = match cell("before") {
        Some(text) => Some(Split::parse(text)?).filter(|split| !split.is_empty()),
        None => None,
    };
    Some(Entry {
        epoch: cell("epoch")?.parse().ok()?,
        phase: cell("phase")?.clone(),
        kind: cell("kind")?.clone(),
        from: cell("from_version").cloned(),
        to: cell("to_version")?.clone(),
        traffic: cell("traffic").cloned(),
        before,
        cause: cell("cause")?.clone(),
        reason: cell("reason").cloned(),
        actor: cell("actor").cloned(),
        run_url: cell("run_url").cloned(),
        at: cell("at")?.clone(),
    })
}

/// The intent of the newest roll-out, where it has no end yet.
pub(super) fn open(entries: &[Entry]) -> Option<&Entry> {
    let last = entries.iter().rev().find(|entry| entry.phase == "intent")?;
    let is_end = |other: &&Entry| {
        other.epoch == last.epoch && matches!(other.phase.as_str(), "outcome" | "restored")
    };
    entries.iter().find(is_end).is_none().then_some(last)
}

/// The intent of the roll-out that made the endpoint serve `version`.
pub(super) fn rollout_of<'a>(entries: &'a [Entry], version: &str) -> Option<&'a Entry> {
    let is_it =
        |entry: &&Entry| entry.phase == "outcome" && entry.kind == "rollout" && entry.to == version;
    let epoch = entries.iter().rev().find(is_it)?.epoch;
    entries.iter().find(|entry| entry.phase == "intent" && entry.epoch == epoch)
}

/// The rollback away from `version`, where nothing was rolled out since.
pub(super) fn rolled_back<'a>(entries: &'a [Entry], version: &str) -> Option<&'a Entry> {
    let last = entries.iter().rev().find(|entry| entry.phase == "outcome")?;
    (last.is_rollback() && last.from.as_deref() == Some(version)).then_some(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn row(epoch: u64, phase: &str, kind: &str, from: Option<&str>, to: &str) -> Entry {
        let texts = [
            Some(epoch.to_string()),
            Some(phase.into()),
            Some(kind.into()),
            from.map(str::to_owned),
            Some(to.into()),
            None,
            from.map(|from| {
                json!({ "served_entities": [{ "name": from, "entity_name": "a.b.m", "entity_version": from }] })
                    .to_string()
            }),
            Some("c".into()),
            None,
            None,
            None,
            Some("t".into()),
        ];
        entry(&texts).unwrap()
    }

    #[test]
    fn an_intent_without_an_end_is_open() {
        let mut entries = vec![row(1, "intent", "rollout", None, "1")];
        assert_eq!(open(&entries).unwrap().to, "1");
        entries.push(row(1, "outcome", "rollout", None, "1"));
        assert_eq!(open(&entries), None);
        entries.push(row(2, "intent", "rollout", Some("1"), "2"));
        entries.push(row(2, "step", "rollout", Some("1"), "2"));
        assert_eq!(open(&entries).unwrap().before.as_ref().unwrap().shown(), "1");
        entries.push(row(2, "restored", "rollout", Some("1"), "2"));
        assert_eq!(open(&entries), None);
        assert_eq!(rollout_of(&entries, "2"), None);
        assert_eq!(rollout_of(&entries, "1").unwrap().before, None);
    }

    #[test]
    fn what_was_rolled_back_is_known_until_something_else_is_served() {
        let mut entries = vec![
            row(2, "outcome", "rollout", Some("1"), "2"),
            row(3, "intent", "rollback", Some("2"), "1"),
            row(3, "outcome", "rollback", Some("2"), "1"),
        ];
        assert_eq!(rolled_back(&entries, "2").unwrap().epoch, 3);
        assert_eq!(rolled_back(&entries, "3"), None);
        entries.push(row(4, "outcome", "rollout", Some("1"), "3"));
        assert_eq!(rolled_back(&entries, "2"), None);
    }

    #[test]
    fn a_row_that_cannot_be_understood_is_none() {
        let mut texts = vec![Some("1".to_owned()); 12];
        texts[6] = Some("{\"served_entities\": [{}]}".into());
        assert_eq!(entry(&texts), None);
        assert_eq!(entry(&texts[..5]), None);
    }
}
