//! `rollouts`: an intent before an endpoint changes, with all that it served, a step for
//! each share of the traffic, and an outcome. An intent without an end means: a roll-out
//! that goes on, or was killed; what is to be restored is in its row.

use super::{Cell, Column, Row};

#[derive(Debug, Clone, PartialEq)]
pub struct RolloutRow {
    pub event_id: String,
    /// `intent`, `step`, `stop`, `outcome`, `restored` or `abandoned`.
    pub phase: &'static str,
    /// `rollout` or `rollback`.
    pub kind: &'static str,
    pub workspace: String,
    pub endpoint: String,
    pub model: String,
    /// Which holder of the endpoint's fence did it.
    pub epoch: u64,
    pub from_version: Option<String>,
    pub to_version: String,
    /// What `to_version` had of the traffic, in percent.
    pub traffic: Option<u64>,
    /// What the endpoint served before the intent, as JSON.
    pub before: Option<String>,
    /// What a rollback leads to, as JSON.
    pub target: Option<String>,
    pub requests: Option<u64>,
    pub failed: Option<u64>,
    pub p95_ms: Option<f64>,
    pub live_requests: Option<u64>,
    pub live_failed: Option<u64>,
    /// What asked for it: a repetition has the same one.
    pub cause: String,
    pub reason: Option<String>,
    pub actor: Option<String>,
    pub run_url: Option<String>,
    pub at: String,
}

impl Row for RolloutRow {
    const TABLE: &'static str = "rollouts";
    const ABOUT: &'static str = "An intent before an endpoint changes, a step for each share of the traffic that a version stood up to, an outcome or what was restored. An intent without either: it goes on, or was killed.";
    const COLUMNS: &'static [Column] = &[
        ("event_id", "STRING", "identifies the row for ever; a repetition adds none"),
        (
            "phase",
            "STRING",
            "`intent`, `step`, `stop` when somebody asks for its end, `outcome`, `restored`, or `abandoned` for one without effect",
        ),
        ("kind", "STRING", "`rollout` or `rollback`"),
        ("workspace", "STRING", "the workspace's address"),
        ("endpoint", "STRING", "the endpoint's name"),
        ("model", "STRING", "the full name"),
        ("epoch", "BIGINT", "which holder of the endpoint's fence did it"),
        ("from_version", "STRING", "what was served before, with shares where it were several"),
        ("to_version", "STRING", "what is to be served"),
        ("traffic", "BIGINT", "what `to_version` had of the traffic, in percent"),
        ("before", "STRING", "what the endpoint served before the intent, as JSON"),
        ("target", "STRING", "what a rollback leads to, as JSON"),
        ("requests", "BIGINT", "how many requests of the probe it had"),
        ("failed", "BIGINT", "how many of them failed"),
        ("p95_ms", "DOUBLE", "what 95 % of the answers took at most, in milliseconds"),
        ("live_requests", "BIGINT", "how many other requests it had, where the endpoint tells"),
        ("live_failed", "BIGINT", "how many of them ended with an error"),
        ("cause", "STRING", "what asked for it: a repetition has the same one"),
        ("reason", "STRING", "why, in one line"),
        ("actor", "STRING", "who did it, as the CI host names them"),
        ("run_url", "STRING", "the CI run that wrote the row"),
        ("at", "STRING", "when, RFC 3339 in UTC"),
    ];

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::text(&self.event_id),
            Cell::text(self.phase),
            Cell::text(self.kind),
            Cell::text(&self.workspace),
            Cell::text(&self.endpoint),
            Cell::text(&self.model),
            Cell::whole(self.epoch),
            Cell::Text(self.from_version.clone()),
            Cell::text(&self.to_version),
            Cell::whole(self.traffic),
            Cell::Text(self.before.clone()),
            Cell::Text(self.target.clone()),
            Cell::whole(self.requests),
            Cell::whole(self.failed),
            Cell::Number(self.p95_ms),
            Cell::whole(self.live_requests),
            Cell::whole(self.live_failed),
            Cell::text(&self.cause),
            Cell::Text(self.reason.clone()),
            Cell::Text(self.actor.clone()),
            Cell::Text(self.run_url.clone()),
            Cell::text(&self.at),
        ]
    }
}
