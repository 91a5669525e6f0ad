//! What is recorded of an alias: its moves, and where a rollback leads.

use anyhow::{Context as _, Result};

use super::Pointer;
use crate::names::{ModelVersion, SchemaName};
use crate::record::statement::{Parameter, Statement};
use crate::record::{self, PromotionRow};
use crate::report::Fault;
use crate::step::Ctx;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Promotion,
    Rollback,
}

impl Kind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Promotion => "promotion",
            Self::Rollback => "rollback",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    Intent,
    Outcome,
    Abandoned,
}

/// A recorded step of a move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub epoch: u64,
    pub phase: Phase,
    pub kind: Kind,
    pub from: Option<ModelVersion>,
    pub to: ModelVersion,
    pub digest: String,
    pub evidence: String,
    pub cause: String,
    pub reason: Option<String>,
    pub actor: Option<String>,
    pub run_url: Option<String>,
    pub at: String,
}

const COLUMNS: [&str; 12] = [
    "epoch",
    "phase",
    "kind",
    "from_version",
    "to_version",
    "digest",
    "evidence",
    "cause",
    "reason",
    "actor",
    "run_url",
    "at",
];

/// The moves of an alias, the oldest first.
///
/// # Errors
/// Also when a row cannot be understood: an unknown past is no past.
pub async fn read(ctx: &Ctx, schema: &SchemaName, pointer: Pointer<'_>) -> Result<Vec<Entry>> {
    let lake = ctx.lake()?;
    lake.ensure::<PromotionRow>(schema).await?;
    let table = record::table::<PromotionRow>(schema).quoted();
    let columns = COLUMNS.map(|column| format!("`{column}`")).join(", ");
    let statement = Statement {
        text: format!(
            "SELECT {columns} FROM {table} WHERE model = :model AND alias = :alias ORDER BY epoch, `at`"
        ),
        parameters: vec![
            Parameter::new("model", Some(pointer.model.to_string()), "STRING"),
            Parameter::new("alias", Some(pointer.alias.to_string()), "STRING"),
        ],
    };
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
    let version = |name: &str| cell(name).map(|text| text.parse().map(ModelVersion));
    Some(Entry {
        epoch: cell("epoch")?.parse().ok()?,
        phase: match cell("phase")?.as_str() {
            "intent" => Phase::Intent,
            "outcome" => Phase::Outcome,
            "abandoned" => Phase::Abandoned,
            _ => return None,
        },
        kind: match cell("kind")?.as_str() {
            "promotion" => Kind::Promotion,
            "rollback" => Kind::Rollback,
            _ => return None,
        },
        from: version("from_version").transpose().ok()?,
        to: version("to_version")?.ok()?,
        digest: cell("digest")?.clone(),
        evidence: cell("evidence")?.clone(),
        cause: cell("cause")?.clone(),
        reason: cell("reason").cloned(),
        actor: cell("actor").cloned(),
        run_url: cell("run_url").cloned(),
        at: cell("at")?.clone(),
    })
}

/// Intents whose effect is not known.
pub(super) fn unfinished(entries: &[Entry]) -> impl Iterator<Item = &Entry> {
    let is_open = |intent: &Entry| {
        !entries.iter().any(|other| other.epoch == intent.epoch && other.phase != Phase::Intent)
    };
    entries.iter().filter(move |entry| entry.phase == Phase::Intent && is_open(entry))
}

/// Where a rollback leads: a version with the evidence that once promoted it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) version: ModelVersion,
    pub(super) digest: String,
    pub(super) evidence: String,
}

/// The version that `current` replaced. A rollback to `current` counts for
/// nothing here: rolling back twice goes back twice.
///
/// # Errors
/// When the records do not tell it.
pub(super) fn before(entries: &[Entry], current: ModelVersion) -> Result<Target, Fault> {
    let promoted = |version: ModelVersion| {
        entries.iter().rev().find(|entry| {
            entry.phase == Phase::Outcome && entry.kind == Kind::Promotion && entry.to == version
        })
    };
    let Some(last) = promoted(current) else {
        let fault = Fault::usage(format!("no promotion of version {current} is recorded"));
        return Err(fault.hint("only what model-promote promoted can be rolled back"));
    };
    let Some(version) = last.from else {
        return Err(Fault::usage(format!(
            "version {current} was the first one: nothing was before it"
        )));
    };
    let Some(original) = promoted(version) else {
        let fault = Fault::usage(format!(
            "version {version} was before, but no promotion of it is recorded: nothing vouches for it"
        ));
        return Err(fault.hint("run model-gate and model-promote for it"));
    };
    Ok(Target { version, digest: original.digest.clone(), evidence: original.evidence.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(epoch: u64, phase: Phase, kind: Kind, from: Option<u64>, to: u64) -> Entry {
        Entry {
            epoch,
            phase,
            kind,
            from: from.map(ModelVersion),
            to: ModelVersion(to),
            digest: format!("digest {to}"),
            evidence: format!("evidence {to}"),
            cause: String::new(),
            reason: None,
            actor: None,
            run_url: None,
            at: String::new(),
        }
    }

    #[test]
    fn a_rollback_leads_to_what_was_before_and_twice_to_what_was_before_that() {
        use Kind::{Promotion, Rollback};
        let mut entries = vec![
            entry(1, Phase::Outcome, Promotion, None, 1),
            entry(2, Phase::Outcome, Promotion, Some(1), 2),
            entry(3, Phase::Outcome, Promotion, Some(2), 3),
            entry(4, Phase::Abandoned, Promotion, Some(3), 4),
        ];
        let found = before(&entries, ModelVersion(3)).unwrap();
        assert_eq!((found.version, found.evidence.as_str()), (ModelVersion(2), "evidence 2"));
        entries.push(entry(5, Phase::Outcome, Rollback, Some(3), 2));
        assert_eq!(before(&entries, ModelVersion(2)).unwrap().version, ModelVersion(1));
        for (version, words) in [(1, "first one"), (4, "no promotion"), (9, "no promotion")] {
            let fault = before(&entries, ModelVersion(version)).unwrap_err();
            assert!(fault.message.contains(words), "{fault}");
        }
        let unknown = [entry(1, Phase::Outcome, Promotion, Some(7), 8)];
        assert!(before(&unknown, ModelVersion(8)).unwrap_err().message.contains("vouches"));
    }

    #[test]
    fn an_intent_is_open_until_something_ends_it() {
        let open = entry(3, Phase::Intent, Kind::Promotion, None, 1);
        let entries = [
            entry(1, Phase::Intent, Kind::Promotion, None, 1),
            entry(1, Phase::Outcome, Kind::Promotion, None, 1),
            entry(2, Phase::Intent, Kind::Rollback, None, 1),
            entry(2, Phase::Abandoned, Kind::Rollback, None, 1),
            open.clone(),
        ];
        assert_eq!(unfinished(&entries).collect::<Vec<_>>(), [&open]);
    }
}
