//! `drift.on_drift` and what belongs to it: what follows from a verdict.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::windows;

/// What a drift verdict does beside failing the step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnDrift {
    /// The report and the records, and nothing else.
    Nothing,
    /// Tells people, as `notify` says.
    #[default]
    Notify,
    /// Starts the retraining, once per window, and tells people.
    Retrain,
    /// Moves `promotion.alias` of `promotion.model` back to the version before,
    /// once per window, and tells people. Needs `record.schema`.
    Rollback,
    /// Runs `command`, and tells people.
    Command,
}

/// A workflow of this repository on GitHub.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Workflow {
    /// Its file below `.github/workflows`; it has a `workflow_dispatch` trigger.
    pub file: String,
    #[serde(default = "main_branch")]
    pub branch: String,
}

fn main_branch() -> String {
    "main".into()
}

/// How often may be retrained.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    pub runs: usize,
    /// `30d`, `12h`.
    pub per: String,
}

/// Who is told of a verdict that is not calm, and that it is over.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Notify {
    /// A GitHub issue, or a work item of Azure DevOps: one per table, updated in
    /// place, and closed when it is over.
    pub ticket: bool,
    /// The variable that holds the address of a Slack webhook.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slack: Option<String>,
    /// The variable that holds the address of a Teams webhook.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub teams: Option<String>,
}

/// What retrains beside a job, and how often at most.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Retrain {
    /// The GitHub workflow that retrains.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workflow: Option<Workflow>,
    /// The number of the Azure pipeline that retrains.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pipeline: Option<u64>,
    /// No retraining for this long after one: `1d`. Needs `record.schema`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cool_down: Option<String>,
    /// At most so many retrainings in a period. Needs `record.schema`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget: Option<Budget>,
}

/// A program to run on drift. It is given `LAKEGATE_STATE`, `LAKEGATE_REASON`
/// and `LAKEGATE_WINDOW`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// The program and its arguments.
    pub run: Vec<String>,
    /// Variables that it may see beside `PATH` and the like.
    #[serde(default)]
    pub env: Vec<String>,
}

impl Retrain {
    pub(super) fn check(&self) -> Result<(), String> {
        if self.workflow.is_some() && self.pipeline.is_some() {
            return Err("`retrain`: name one of `workflow` and `pipeline`".into());
        }
        if self.cool_down.is_some() && self.cool_down_ms().is_none() {
            return Err("`retrain.cool_down`: give a number of m, h, d or w, such as 1d".into());
        }
        if self.budget.is_some() && self.budget_ms().is_none() {
            return Err("`retrain.budget` needs `runs` of 1 and more, and `per` such as 30d".into());
        }
        Ok(())
    }

    /// In milliseconds.
    pub fn cool_down_ms(&self) -> Option<i64> {
        windows::milliseconds(self.cool_down.as_deref()?)
    }

    /// Runs, and the period in milliseconds.
    pub fn budget_ms(&self) -> Option<(usize, i64)> {
        let budget = self.budget.as_ref().filter(|budget| budget.runs > 0)?;
        Some((budget.runs, windows::milliseconds(&budget.per)?))
    }

    /// Whether the host's pipeline is started, which knows no key.
    pub fn dispatches(&self) -> bool {
        self.workflow.is_some() || self.pipeline.is_some()
    }

    /// Whether a retraining must be looked up in the records before it starts.
    pub fn needs_record(&self) -> bool {
        self.dispatches() || self.cool_down.is_some() || self.budget.is_some()
    }
}
