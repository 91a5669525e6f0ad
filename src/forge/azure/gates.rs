//! Approvals and checks: who agreed, and who must.

use anyhow::Result;
use serde_json::Value;

use super::Azure;
use crate::forge::{Gate, Given};
use crate::report::{Fault, FaultKind};

/// The check that lets some branches in only; its name is the same in every language.
const BRANCH_CONTROL: &str = "evaluatebranchProtection";

fn listed(value: &Value) -> impl Iterator<Item = Value> + use<> {
    value.as_array().cloned().unwrap_or_default().into_iter()
}

/// Whether a check lets some branches in only.
fn narrows(settings: &Value) -> bool {
    let allowed = settings["inputs"]["allowedBranches"].as_str().unwrap_or("*");
    let is_open = |branch: &str| matches!(branch.trim(), "" | "*" | "refs/*" | "refs/heads/*");
    let are_protected = settings["inputs"]["ensureProtectionOfBranch"].as_str() == Some("true");
    settings["definitionRef"]["name"] == BRANCH_CONTROL
        && (are_protected || !allowed.split(',').any(is_open))
}

impl Azure {
    /// What is checked before a job runs in an environment; none where it is not there.
    pub(in crate::forge) async fn gate(&self, environment: &str) -> Result<Option<Gate>> {
        let mut url = self.url(&["distributedtask", "environments"]);
        url.query_pairs_mut().append_pair("name", environment);
        let found = self.read(url, "read the environments").await?;
        // The question is for names like it.
        let is_it = |one: &Value| {
            one["name"].as_str().is_some_and(|name| name.eq_ignore_ascii_case(environment))
        };
        let Some(found) = listed(&found["value"]).find(is_it) else { return Ok(None) };
        let mut url = self.url(&["pipelines", "checks", "configurations"]);
        url.set_query(Some("api-version=7.1-preview.1"));
        url.query_pairs_mut()
            .append_pair("resourceType", "environment")
            .append_pair("resourceId", &found["id"].to_string())
            .append_pair("$expand", "settings");
        let checks = self.read(url, "read the environment's checks").await?;
        let checks: Vec<Value> =
            listed(&checks["value"]).filter(|check| check["isDisabled"] != true).collect();
        let approvals: Vec<&Value> =
            checks.iter().filter(|check| check["type"]["name"] == "Approval").collect();
        let approvers =
            |check: &&Value| check["settings"]["approvers"].as_array().map_or(0, Vec::len);
        Ok(Some(Gate {
            reviewers: approvals.iter().map(approvers).sum(),
            prevents_self_review: approvals
                .iter()
                .any(|check| check["settings"]["requesterCannotBeApprover"] == true),
            has_branches: checks.iter().any(|check| narrows(&check["settings"])),
        }))
    }

    /// `who` as approvals name people: by mail address.
    pub(in crate::forge) async fn is_member(&self, team: &str, who: &str) -> Result<bool> {
        const PAGE: usize = 500;
        let project = self.project.path_segments().and_then(Iterator::last).unwrap_or_default();
        let project = percent_encoding::percent_decode_str(project).decode_utf8_lossy();
        for page in 0.. {
            let mut url = self.collection_url(&["projects", &project, "teams", team, "members"]);
            url.query_pairs_mut()
                .append_pair("$top", &PAGE.to_string())
                .append_pair("$skip", &(page * PAGE).to_string());
            let answer = self.read(url, &format!("read who belongs to the team `{team}`")).await?;
            let people: Vec<Value> = listed(&answer["value"]).collect();
            let is_named = |person: &Value| {
                let name = person["identity"]["uniqueName"].as_str();
                name.is_some_and(|name| name.eq_ignore_ascii_case(who))
            };
            if people.iter().any(is_named) {
                return Ok(true);
            }
            if people.len() < PAGE {
                break;
            }
        }
        Ok(false)
    }

    pub(in crate::forge) async fn approvals(&self, run: &str) -> Result<Vec<Given>> {
        let mut url = self.url(&["pipelines", "approvals"]);
        url.query_pairs_mut()
            .append_pair("$expand", "steps")
            .append_pair("state", "approved")
            .append_pair("top", "1000");
        let answer = self.read(url, "read the approvals").await?;
        let run_of = |approval: &Value| match &approval["pipeline"]["owner"]["id"] {
            Value::Number(id) => Some(id.to_string()),
            Value::String(id) => Some(id.clone()),
            _ => None,
        };
        let all = listed(&answer["value"]);
        let all: Vec<_> = all.map(|approval| (run_of(&approval), approval)).collect();
        // No description of this version has the field, though answers do.
        if !all.is_empty() && all.iter().all(|(of, _)| of.is_none()) {
            let message = "read the approvals: Azure DevOps does not tell which run they are of";
            return Err(Fault::new(FaultKind::Remote, message)
                .hint("`sign_off: {from: table}` takes approvals from the lakehouse")
                .into());
        }
        let own = all.into_iter().filter(|(of, _)| of.as_deref() == Some(run));
        let steps = own.map(|(_, approval)| approval);
        let steps = steps.flat_map(|approval| listed(&approval["steps"]));
        let given = steps.filter(|step| step["status"] == "approved").filter_map(|step| {
            let text = |value: &Value| value.as_str().map(str::to_owned);
            Some(Given {
                who: text(&step["actualApprover"]["uniqueName"])
                    .or_else(|| text(&step["actualApprover"]["displayName"]))?,
                at: text(&step["lastModifiedOn"]),
                comment: text(&step["comment"]).unwrap_or_default(),
                environments: Vec::new(),
            })
        });
        Ok(given.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_that_lets_every_branch_in_is_none() {
        let check = |name: &str, branches: &str| {
            let inputs = serde_json::json!({ "allowedBranches": branches });
            serde_json::json!({ "definitionRef": { "name": name }, "inputs": inputs })
        };
        assert!(narrows(&check(BRANCH_CONTROL, "refs/heads/main")));
        assert!(narrows(&check(BRANCH_CONTROL, "refs/heads/main, refs/heads/release/*")));
        for open in ["*", "", "refs/heads/main, refs/heads/*"] {
            assert!(!narrows(&check(BRANCH_CONTROL, open)), "{open}");
        }
        let mut guarded = check(BRANCH_CONTROL, "*");
        guarded["inputs"]["ensureProtectionOfBranch"] = "true".into();
        assert!(narrows(&guarded));
        assert!(!narrows(&check("other", "refs/heads/main")));
        assert!(!narrows(&serde_json::json!({ "definitionRef": { "name": BRANCH_CONTROL } })));
    }
}
