//! Statuses of commits, and the merge requests that they came from.

use anyhow::Result;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{GitHub, refused};
use crate::forge::{State, Status, Told};

#[derive(Debug, Deserialize)]
struct Combined {
    statuses: Vec<Kept>,
}

#[derive(Debug, Deserialize)]
struct Kept {
    context: String,
    state: String,
    description: Option<String>,
    target_url: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Runs {
    check_runs: Vec<CheckRun>,
}

#[derive(Debug, Deserialize)]
struct CheckRun {
    status: String,
    conclusion: Option<String>,
    html_url: Option<String>,
    #[serde(default)]
    started_at: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Pull {
    merge_commit_sha: Option<String>,
    merged_at: Option<String>,
    head: Head,
}

#[derive(Debug, Deserialize)]
struct Head {
    sha: String,
}

impl GitHub {
    /// The commit's own status or check, or that of the head of the merge
    /// request that became this commit.
    pub(in crate::forge) async fn status(
        &self,
        commit: &str,
        name: &str,
    ) -> Result<Option<Status>> {
        if let Some(found) = self.status_of(commit, name).await? {
            return Ok(Some(found));
        }
        let route = self.route(&format!("commits/{commit}/pulls"));
        let pulls: Result<Vec<Pull>, _> = self.api.get(route, None::<&()>).await;
        let pulls =
            pulls.map_err(|error| refused("list merge requests", "pull-requests: read", error))?;
        for pull in pulls {
            let became = pull.merge_commit_sha.as_deref() == Some(commit);
            if became && pull.merged_at.is_some() {
                return self.status_of(&pull.head.sha, name).await;
            }
        }
        Ok(None)
    }

    async fn status_of(&self, commit: &str, name: &str) -> Result<Option<Status>> {
        let route = self.route(&format!("commits/{commit}/status"));
        let found: Result<Combined, _> = self.api.get(route, Some(&[("per_page", "100")])).await;
        let found = found.map_err(|error| refused("read the status", "statuses: read", error))?;
        if let Some(status) = found.statuses.into_iter().find(|status| status.context == name) {
            let state = match status.state.as_str() {
                "success" => State::Success,
                "pending" => State::Pending,
                _ => State::Failure,
            };
            return Ok(Some(Status {
                state,
                words: status.description.unwrap_or_default(),
                link: status.target_url.unwrap_or_default(),
            }));
        }
        let route = self.route(&format!("commits/{commit}/check-runs"));
        let query = [("check_name", name), ("filter", "latest"), ("per_page", "100")];
        let found: Result<Runs, _> = self.api.get(route, Some(&query)).await;
        let found = found.map_err(|error| refused("read the checks", "checks: read", error))?;
        // Two workflows may have a job of this name: the worst of them counts.
        let mut worst: Option<Status> = None;
        for run in found.check_runs {
            let state = match (run.status.as_str(), run.conclusion.as_deref()) {
                ("completed", Some("success")) => State::Success,
                ("completed", _) => State::Failure,
                _ => State::Pending,
            };
            let link = run.html_url.or(run.started_at).unwrap_or_default();
            if worst.as_ref().is_none_or(|known| state > known.state) {
                worst = Some(Status { state, words: String::new(), link });
            }
        }
        Ok(worst)
    }

    pub(in crate::forge) async fn is_over(&self, run: &str) -> Result<bool> {
        let route = self.route(&format!("actions/runs/{run}"));
        let found: Result<Value, _> = self.api.get(route, None::<&()>).await;
        let found = found.map_err(|error| refused("look at the run", "actions: read", error))?;
        Ok(found["status"] == "completed")
    }

    pub(in crate::forge) async fn set_status(&self, commit: &str, told: &Told<'_>) -> Result<()> {
        let state = match told.state {
            State::Success => "success",
            State::Pending => "pending",
            State::Failure => "failure",
        };
        let body = json!({
            "state": state,
            "context": told.name,
            "description": told.words,
            "target_url": told.link,
        });
        let route = self.route(&format!("statuses/{commit}"));
        let made: Result<Value, _> = self.api.post(route, Some(&body)).await;
        made.map_err(|error| refused("set the commit's status", "statuses: write", error))?;
        Ok(())
    }
}
