//! `merge_tests`: what was tested before it was merged, by the tree of its
//! files, which a merge keeps when nothing came between.

use super::{Cell, Column, Row};

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
    const ABOUT: &'static str = "What was tested before it was merged, by the tree of its files, which a merge keeps when nothing came between.";
    const COLUMNS: &'static [Column] = &[
        ("event_id", "STRING", "identifies the row for ever; a repetition adds none"),
        ("repository", "STRING", "the repository at its host"),
        ("commit_id", "STRING", "the commit that was tested"),
        ("tree_id", "STRING", "the git tree that was tested"),
        ("base_id", "STRING", "where the change began"),
        ("merge_request", "BIGINT", "its number, if there is one"),
        ("verdict", "STRING", "`pass`, `fail` or `inconclusive`"),
        ("reason", "STRING", "the verdict in one line"),
        ("tests", "BIGINT", "tests that were run"),
        ("failures", "BIGINT", "tests that failed"),
        ("coverage", "DOUBLE", "of the lines that changed, the share that a test ran"),
        ("jobs", "STRING", "the jobs that ran on the workspace, joined by commas"),
        ("run_url", "STRING", "the CI run that wrote the row"),
        ("at", "STRING", "when, RFC 3339 in UTC"),
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
