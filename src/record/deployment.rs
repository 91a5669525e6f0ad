//! `deployments`: what was deployed where, by whom, from which release.

use super::{Cell, Row};

#[derive(Debug, Clone, PartialEq)]
pub struct DeploymentRow {
    pub event_id: String,
    /// `deploy`, `rollback` or `destroy`.
    pub kind: &'static str,
    pub bundle: String,
    pub target: String,
    pub workspace: String,
    /// Of the state after it.
    pub serial: u64,
    pub release: Option<String>,
    pub commit: Option<String>,
    /// Of the release's manifest.
    pub manifest: Option<String>,
    pub created: u64,
    pub updated: u64,
    pub destroyed: u64,
    /// Files that travelled.
    pub files: u64,
    /// Resources that others had changed.
    pub drifted: u64,
    pub engine: &'static str,
    pub actor: Option<String>,
    pub run_url: Option<String>,
    pub at: String,
}

impl Row for DeploymentRow {
    const TABLE: &'static str = "deployments";
    const COLUMNS: &'static [(&'static str, &'static str)] = &[
        ("event_id", "STRING"),
        ("kind", "STRING"),
        ("bundle", "STRING"),
        ("target", "STRING"),
        ("workspace", "STRING"),
        ("serial", "BIGINT"),
        ("release", "STRING"),
        ("commit_id", "STRING"),
        ("manifest", "STRING"),
        ("created", "BIGINT"),
        ("updated", "BIGINT"),
        ("destroyed", "BIGINT"),
        ("files", "BIGINT"),
        ("drifted", "BIGINT"),
        ("engine", "STRING"),
        ("actor", "STRING"),
        ("run_url", "STRING"),
        ("at", "STRING"),
    ];

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::text(&self.event_id),
            Cell::text(self.kind),
            Cell::text(&self.bundle),
            Cell::text(&self.target),
            Cell::text(&self.workspace),
            Cell::whole(self.serial),
            Cell::Text(self.release.clone()),
            Cell::Text(self.commit.clone()),
            Cell::Text(self.manifest.clone()),
            Cell::whole(self.created),
            Cell::whole(self.updated),
            Cell::whole(self.destroyed),
            Cell::whole(self.files),
            Cell::whole(self.drifted),
            Cell::text(self.engine),
            Cell::Text(self.actor.clone()),
            Cell::Text(self.run_url.clone()),
            Cell::text(&self.at),
        ]
    }
}
