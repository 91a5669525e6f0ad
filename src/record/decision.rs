//! `drift_decisions`: what each check decided, and who starts a retraining. A
//! claim is made before a retraining starts: of two checks at once, one wins.

use super::{Cell, Row};

#[derive(Debug, Clone, PartialEq)]
pub struct DecisionRow {
    pub event_id: String,
    /// `claim` or `outcome`.
    pub phase: &'static str,
    pub baseline: String,
    pub current: String,
    pub window: String,
    pub state: &'static str,
    pub reason: String,
    /// What was done: `nothing`, `notify`, `retrain`, `held-back`, `rollback`,
    /// `command`.
    pub reaction: &'static str,
    /// What retrains: `job:1`, `workflow:retrain.yml@main`, `pipeline:2`.
    pub target: Option<String>,
    /// One check, told from all others.
    pub claimant: Option<String>,
    pub run_url: Option<String>,
    pub at: String,
}

impl Row for DecisionRow {
    const TABLE: &'static str = "drift_decisions";
    const COLUMNS: &'static [(&'static str, &'static str)] = &[
        ("event_id", "STRING"),
        ("phase", "STRING"),
        ("baseline", "STRING"),
        ("current", "STRING"),
        ("window_id", "STRING"),
        ("state", "STRING"),
        ("reason", "STRING"),
        ("reaction", "STRING"),
        ("target", "STRING"),
        ("claimant", "STRING"),
        ("run_url", "STRING"),
        ("at", "STRING"),
    ];

    fn cells(&self) -> Vec<Cell> {
        vec![
            Cell::text(&self.event_id),
            Cell::text(self.phase),
            Cell::text(&self.baseline),
            Cell::text(&self.current),
            Cell::text(&self.window),
            Cell::text(self.state),
            Cell::text(&self.reason),
            Cell::text(self.reaction),
            Cell::Text(self.target.clone()),
            Cell::Text(self.claimant.clone()),
            Cell::Text(self.run_url.clone()),
            Cell::text(&self.at),
        ]
    }
}
