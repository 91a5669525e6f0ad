//! What is recorded of an endpoint: its roll-outs, and what was served before each.

use anyhow::{Context as _, Result};
use jiff::Timestamp;

use super::mover::{Told, workspace};
use super::split::Split;
use crate::names::{self, SchemaName};
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
    /// What a rollback leads to.
    pub(super) target: Option<Split>,
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
            target: self.target.clone(),
            cause: self.cause.clone(),
        }
    }

    /// Whether the endpoint went back.
    pub(super) fn is_rollback(&self) -> bool {
        self.phase == "outcome" && self.kind == "rollback"
    }

    fn is_end(&self) -> bool {
        matches!(self.phase.as_str(), "outcome" | "restored" | "abandoned")
    }

    /// Whether a roll-out of the version ended, and did not end well.
    fn is_stop_of(&self, version: &str) -> bool {
        let rolled_back = self.is_rollback() && self.from.as_deref() == Some(version);
        // Without a share, it was not the version that did not stand up.
        let stopped = self.phase == "restored" && self.to == version && self.traffic.is_some();
        rolled_back || stopped
    }

    fn is_rollout_of(&self, version: &str) -> bool {
        self.phase == "outcome" && self.kind == "rollout" && self.to == version
    }
}

const COLUMNS: [&str; 13] = [
    "epoch",
    "phase",
    "kind",
    "from_version",
    "to_version",
    "traffic",
    "before",
    "target",
    "cause",
    "reason",
    "actor",
    "run_url",
    "at",
];

fn of_endpoint(ctx: &Ctx, text: String, endpoint: &str) -> Statement {
    Statement::new(text)
        .with(Parameter::string("workspace", workspace(&ctx.client)))
        .with(Parameter::string("endpoint", endpoint))
}

/// The steps of an endpoint, the oldest first.
///
/// # Errors
/// Also when a row cannot be understood: an unknown past is no past.
pub(super) async fn read(ctx: &Ctx, schema: &SchemaName, endpoint: &str) -> Result<Vec<Entry>> {
    let lake = ctx.lake()?;
    lake.ensure::<RolloutRow>(schema).await?;
    let table = record::table::<RolloutRow>(schema).quoted();
    let columns = COLUMNS.map(|column| format!("`{column}`")).join(", ");
    let text = format!(
        "SELECT {columns} FROM {table} WHERE workspace = :workspace AND endpoint = :endpoint ORDER BY epoch, `at`"
    );
    let rows = lake.client.sql(lake.warehouse, &of_endpoint(ctx, text, endpoint)).await;
    let rows = rows.with_context(|| format!("read {table}"))?.rows;
    let known = rows.iter().map(|row| {
        entry(row)
            .with_context(|| format!("{table} holds a row that cannot be understood: {row:?}"))
    });
    known.collect()
}

/// Why somebody asks for the end of a roll-out, if somebody does.
pub(super) async fn stop(
    ctx: &Ctx,
    schema: &SchemaName,
    endpoint: &str,
    epoch: u64,
) -> Result<Option<String>> {
    let lake = ctx.lake()?;
    let table = record::table::<RolloutRow>(schema).quoted();
    let text = format!(
        "SELECT coalesce(reason, '') AS reason FROM {table} WHERE workspace = :workspace AND endpoint = :endpoint AND phase = 'stop' AND epoch = CAST(:epoch AS BIGINT)"
    );
    let asked = of_endpoint(ctx, text, endpoint);
    let asked = asked.with(Parameter::new("epoch", Some(epoch.to_string()), "BIGINT"));
    let rows = lake.client.sql(lake.warehouse, &asked).await;
    let rows = rows.with_context(|| format!("read {table}"))?;
    Ok(rows.first("reason").map(str::to_owned))
}

fn entry(row: &[Option<String>]) -> Option<Entry> {
    let cell = |name: &str| -> Option<&String> {
        row.get(COLUMNS.iter().position(|column| *column == name)?)?.as_ref()
    };
    let split = |name: &str| -> Option<Option<Split>> {
        match cell(name) {
            Some(text) => Some(Some(Split::parse(text)?).filter(|split| !split.is_empty())),
            None => Some(None),
        }
    };
    Some(Entry {
        epoch: cell("epoch")?.parse().ok()?,
        phase: cell("phase")?.clone(),
        kind: cell("kind")?.clone(),
        from: cell("from_version").cloned(),
        to: cell("to_version")?.clone(),
        traffic: cell("traffic").cloned(),
        before: split("before")?,
        target: split("target")?,
        cause: cell("cause")?.clone(),
        reason: cell("reason").cloned(),
        actor: cell("actor").cloned(),
        run_url: cell("run_url").cloned(),
        at: cell("at")?.clone(),
    })
}

/// The intents that have no end yet, the newest first.
pub(super) fn open(entries: &[Entry]) -> impl Iterator<Item = &Entry> {
    let is_open = |intent: &&Entry| {
        !entries.iter().any(|other| other.epoch == intent.epoch && other.is_end())
    };
    entries.iter().rev().filter(|entry| entry.phase == "intent").filter(is_open)
}

/// The intent of the roll-out that made the endpoint serve `version`.
pub(super) fn rollout_of<'a>(entries: &'a [Entry], version: &str) -> Option<&'a Entry> {
    let epoch = entries.iter().rev().find(|entry| entry.is_rollout_of(version))?.epoch;
    entries.iter().find(|entry| entry.phase == "intent" && entry.epoch == epoch)
}

/// Whether the version came to be served by what is recorded, and stood up.
pub(super) fn stood_up(entries: &[Entry], version: &str) -> bool {
    let mut about = entries.iter().rev().filter(|entry| entry.is_end() && entry.to == version);
    about.next().is_some_and(|last| last.phase == "outcome")
}

/// What keeps a version from being rolled out again: it was rolled back, or did not stand
/// up, since it was rolled out and since it was `promoted`.
pub(super) fn held_back<'a>(
    entries: &'a [Entry],
    version: &str,
    promoted: Option<Timestamp>,
) -> Option<&'a Entry> {
    let about = |entry: &&Entry| entry.is_stop_of(version) || entry.is_rollout_of(version);
    let last = entries.iter().rev().find(about)?;
    let is_older =
        promoted.is_some_and(|promoted| names::time(&last.at).is_some_and(|at| at < promoted));
    (last.is_stop_of(version) && !is_older).then_some(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn row(epoch: u64, phase: &str, kind: &str, from: Option<&str>, to: &str) -> Entry {
        let split = |version: &str| {
            json!({ "served_entities": [{ "name": version, "entity_name": "a.b.m", "entity_version": version }] })
                .to_string()
        };
        let texts = [
            Some(epoch.to_string()),
            Some(phase.into()),
            Some(kind.into()),
            from.map(str::to_owned),
            Some(to.into()),
            (phase == "restored").then(|| "10".into()),
            from.map(split),
            (kind == "rollback").then(|| split(to)),
            Some("c".into()),
            None,
            None,
            None,
            Some(format!("2026-01-01T00:00:0{epoch}Z")),
        ];
        entry(&texts).unwrap()
    }

    #[test]
    fn an_intent_without_an_end_is_open() {
        let mut entries = vec![row(1, "intent", "rollout", None, "1")];
        assert_eq!(open(&entries).next().unwrap().to, "1");
        assert!(!stood_up(&entries, "1"));
        entries.push(row(1, "outcome", "rollout", None, "1"));
        assert_eq!(open(&entries).count(), 0);
        assert!(stood_up(&entries, "1"));
        entries.push(row(2, "intent", "rollout", Some("1"), "2"));
        entries.push(row(2, "step", "rollout", Some("1"), "2"));
        assert_eq!(open(&entries).next().unwrap().before.as_ref().unwrap().shown(), "1");
        // Somebody goes back from what is under way.
        entries.push(row(3, "intent", "rollback", Some("2"), "1"));
        let both: Vec<u64> = open(&entries).map(|entry| entry.epoch).collect();
        assert_eq!(both, [3, 2]);
        assert_eq!(open(&entries).next().unwrap().target.as_ref().unwrap().shown(), "1");
        entries.push(row(2, "restored", "rollout", Some("1"), "2"));
        entries.push(row(3, "outcome", "rollback", Some("2"), "1"));
        assert_eq!(open(&entries).count(), 0);
        assert_eq!(rollout_of(&entries, "2"), None);
        assert_eq!(rollout_of(&entries, "1").unwrap().before, None);
        assert!(stood_up(&entries, "1") && !stood_up(&entries, "2"));
    }

    #[test]
    fn what_did_not_stand_up_is_known_until_it_is_rolled_out_or_promoted_again() {
        let at = |second: u32| Some(format!("2026-01-01T00:00:0{second}Z").parse().unwrap());
        let mut entries = vec![
            row(2, "outcome", "rollout", Some("1"), "2"),
            row(3, "outcome", "rollback", Some("2"), "1"),
        ];
        assert_eq!(held_back(&entries, "2", at(2)).unwrap().epoch, 3);
        assert_eq!(held_back(&entries, "2", None).unwrap().epoch, 3);
        assert_eq!(held_back(&entries, "2", at(4)), None);
        assert_eq!(held_back(&entries, "3", None), None);
        // Whatever becomes of others.
        entries.push(row(4, "outcome", "rollout", Some("1"), "3"));
        entries.push(row(5, "outcome", "rollback", Some("3"), "1"));
        assert_eq!(held_back(&entries, "2", None).unwrap().epoch, 3);
        entries.push(row(6, "outcome", "rollout", Some("1"), "2"));
        assert_eq!(held_back(&entries, "2", None), None);
        entries.push(row(7, "restored", "rollout", Some("2"), "4"));
        assert_eq!(held_back(&entries, "4", None).unwrap().epoch, 7);
    }

    #[test]
    fn a_row_that_cannot_be_understood_is_none() {
        let mut texts = vec![Some("1".to_owned()); 13];
        texts[7] = None;
        texts[6] = Some("{\"served_entities\": [{}]}".into());
        assert_eq!(entry(&texts), None);
        texts[6] = None;
        assert!(entry(&texts).is_some());
        assert_eq!(entry(&texts[..5]), None);
    }
}
