//! `deployments`: what was deployed where, by whom, from which release.

use super::{Cell, Column, Row};

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
    const ABOUT: &'static str = "What was deployed where, by whom, from which release.";
    const COLUMNS: &'static [Column] = &[
        ("event_id", "STRING", "identifies the row for ever; a repetition adds none"),
        ("kind", "STRING", "`deploy`, `rollback` or `destroy`"),
        ("bundle", "STRING", "the bundle's name"),
        ("target", "STRING", "its target"),
        ("workspace", "STRING", "the workspace's address"),
        ("serial", "BIGINT", "of the state after it"),
        ("release", "STRING", "the version, where it came from a release"),
        ("commit_id", "STRING", "the commit, where git knows it"),
        ("manifest", "STRING", "sha256 of the release's manifest"),
        ("created", "BIGINT", "resources that were made"),
        ("updated", "BIGINT", "resources that were changed"),
        ("destroyed", "BIGINT", "resources that were removed"),
        ("files", "BIGINT", "files that travelled"),
        ("drifted", "BIGINT", "resources that others had changed"),
        ("engine", "STRING", "`native` or `cli`"),
        ("actor", "STRING", "who deployed: whoever started the CI run, or the user of a terminal"),
        ("run_url", "STRING", "the CI run that wrote the row"),
        ("at", "STRING", "when, RFC 3339 in UTC"),
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
