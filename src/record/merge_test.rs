//! `merge_tests`: what was tested before it was merged, by the tree of its
//! files, which a merge keeps when nothing came between.

use super::{Cell, Row};

#[derive(Debug, Clone, PartialEq)]
pub struct MergeTestRow {
    pub event_id: String,
    pub repository: String,
    pub commit: String,
    /// The git tree that was tested.
    pub tree: String,
    /// Where the change began.
    pub base: Option<String>,
    pub merge_request: Option<u64>,
    /// `pass`, `fail` or `inconclusive`.
    pub verdict: &'static str,
    pub reason: String,
    pub tests: u64,
    pub failures: u64,
    /// Of the lines that changed, the share that a test ran.
    pub coverage: Option<f64>,
    /// The jobs that ran on the workspace, joined by commas.
    pub jobs: String,
    pub run_url: Option<String>,
    pub at: String,
}

impl Row for MergeTestRow {
    const TABLE: &'static str = "merge_tests";
    const COLUMNS: &'static [(&'static str, &'static str)] = &[
        ("event_id", "STRING"),
        ("repository", "STRING"),
        ("commit_id", "STRING"),
        ("tree_id", "STRING"),
        ("base_id", "STRING"),
        ("merge_request", "BIGINT"),
        ("verdict", "STRING"),
        ("reason", "STRING"),
        ("tests", "BIGINT"),
        ("failures", "BIGINT"),
        ("coverage", "DOUBLE"),
        ("jobs", "STRING"),
        ("run_url", "STRING"),
        ("at", "STRING"),
    ];

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::text(&self.event_id),
            Cell::text(&self.repository),
            Cell::text(&self.commit),
            Cell::text(&self.tree),
            Cell::Text(self.base.clone()),
            Cell::whole(self.merge_request),
            Cell::text(self.verdict),
            Cell::text(&self.reason),
            Cell::whole(self.tests),
            Cell::whole(self.failures),
            Cell::Number(self.coverage),
            Cell::text(&self.jobs),
            Cell::Text(self.run_url.clone()),
            Cell::text(&self.at),
        ]
    }
}
