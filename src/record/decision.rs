//! `drift_decisions`: what each check decided, and who starts a retraining. A
//! claim is made before a retraining starts: of two checks at once, one wins.

use super::{Cell, Column, Row};

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
    const ABOUT: &'static str = "What each drift check decided, and who starts a retraining. A claim is written before a retraining starts: of two checks at once, one wins.";
    const COLUMNS: &'static [Column] = &[
        ("event_id", "STRING", "identifies the row for ever; a repetition adds none"),
        ("phase", "STRING", "`claim` before a retraining starts, `outcome` after the check"),
        ("baseline", "STRING", "what was compared with, at its version"),
        ("current", "STRING", "what was looked at, at its version"),
        ("window_id", "STRING", "the stretch of data: the same for every check of it"),
        ("state", "STRING", "`none`, `watch`, `drift`, `broken` or `inconclusive`"),
        ("reason", "STRING", "the decision in one line"),
        (
            "reaction",
            "STRING",
            "what was done: `nothing`, `notify`, `retrain`, `held-back`, `rollback`, `command`",
        ),
        ("target", "STRING", "what retrains: `job:1`, `workflow:retrain.yml@main`, `pipeline:2`"),
        ("claimant", "STRING", "one check, told from all others"),
        ("run_url", "STRING", "the CI run that wrote the row"),
        ("at", "STRING", "when, RFC 3339 in UTC"),
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
