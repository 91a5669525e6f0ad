//! `promotion.sign_off`: who must agree, and who may decide otherwise.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// People who must agree before an alias moves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SignOff {
    pub from: ApprovalSource,
    /// How many different people.
    #[serde(default = "one")]
    pub required: usize,
    /// Only these count; anybody where left out. Names are the host's, or the
    /// workspace's users.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approvers: Vec<String>,
    /// Members of these count, too: teams of GitHub (`team`, or `organisation/team`) or of
    /// the project on Azure DevOps, groups of the workspace by `table`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub teams: Vec<String>,
    /// Who started the run, registered the version, or (by `github` and `azure`) wrote
    /// the commit that it runs or opened its merge request, does not count.
    #[serde(default = "yes")]
    pub not_author: bool,
    /// Older approvals do not count, where their age is told.
    #[serde(default = "week")]
    pub max_age_days: f64,
    /// The key of the tag; Databricks' deployment jobs name theirs after the
    /// approval task.
    #[serde(default = "tag")]
    pub tag: String,
}

/// Where approvals are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ApprovalSource {
    /// Approvals of this run's environments.
    Github,
    /// Approvals of this run's stages.
    Azure,
    /// A tag of the model version that says `approved`. It does not tell who set
    /// it: the right to do so is the workspace's.
    Tag,
    /// `model-promote approve`: rows of `sign_offs`, each with the workspace's own
    /// word of who wrote it.
    Table,
}

/// Who may promote what the gate refused.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Override {
    pub by: Vec<String>,
    /// The evidence must not be older.
    #[serde(default = "day")]
    pub max_age_days: f64,
}

fn one() -> usize {
    1
}

fn yes() -> bool {
    true
}

fn week() -> f64 {
    7.0
}

fn day() -> f64 {
    1.0
}

fn tag() -> String {
    "lakegate_approval".into()
}

impl SignOff {
    pub(super) fn check(&self) -> Result<(), String> {
        if self.required == 0 {
            return Err("`sign_off.required` is 0: leave `sign_off` out instead".into());
        }
        let anybody = self.approvers.is_empty() && self.teams.is_empty();
        if self.from == ApprovalSource::Tag && (self.required > 1 || !anybody) {
            return Err("a tag does not tell who set it: `approvers`, `teams` and `required` above 1 need another source".into());
        }
        if let Some(blank) = self.teams.iter().find(|team| team.split('/').any(str::is_empty)) {
            return Err(format!("`{blank}` in `sign_off.teams` is no team"));
        }
        if !anybody && self.teams.is_empty() && self.approvers.len() < self.required {
            return Err(format!(
                "{} approvers cannot give {} approvals",
                self.approvers.len(),
                self.required
            ));
        }
        if !(self.max_age_days.is_finite() && self.max_age_days > 0.0) {
            return Err("`sign_off.max_age_days` must be a positive number".into());
        }
        Ok(())
    }
}

impl Override {
    pub(super) fn check(&self) -> Result<(), String> {
        if self.by.is_empty() {
            return Err("`override.by` is empty: name who may, or leave `override` out".into());
        }
        if !(self.max_age_days.is_finite() && self.max_age_days > 0.0) {
            return Err("`override.max_age_days` must be a positive number".into());
        }
        Ok(())
    }
}
