//! GitHub: issues, workflows, and what concerns commits.

mod authors;
mod comment;
mod release;
mod status;
mod teams;

use std::collections::BTreeMap;

use anyhow::Result;
use octocrab::Octocrab;
use serde::Deserialize;
use serde_json::json;

use super::{Gate, Given, Ticket};
use crate::databricks::Masker;
use crate::host::Context;
use crate::names::Secret;
use crate::report::{Fault, FaultKind};
use crate::sys::{Env, https};

/// A repository and the token that may change it.
#[derive(Debug)]
pub struct GitHub {
    api: Octocrab,
    pub(in crate::forge) repository: String,
    server: String,
    /// Where the API is, and the token: for files, which it answers by redirects.
    base: String,
    token: Secret,
}

/// What is needed of an issue.
#[derive(Debug, Deserialize)]
struct Issue {
    number: u64,
    html_url: String,
    /// Pull requests are issues, too.
    #[serde(default)]
    pull_request: Option<serde_json::Value>,
}

impl GitHub {
    pub(in crate::forge) fn new(
        context: &Context,
        env: &Env,
        masker: &Masker,
    ) -> Result<Self, Fault> {
        let token = env.get("GITHUB_TOKEN").or(env.get("GH_TOKEN")).ok_or_else(|| {
            Fault::usage("the step has no GitHub token")
                .hint("hand it over: `env: {GITHUB_TOKEN: ${{ github.token }}}`")
        })?;
        let token = Secret::new(token);
        masker(&token);
        let repository = context
            .repository
            .clone()
            .ok_or_else(|| Fault::usage("GITHUB_REPOSITORY is not set"))?;
        let address = env.get("GITHUB_API_URL").unwrap_or("https://api.github.com");
        let safe = reqwest::Url::parse(address).is_ok_and(|url| https::keeps_tokens(&url));
        if !safe {
            let fault = Fault::usage(format!("GITHUB_API_URL is `{address}`: no token was sent"));
            return Err(fault.hint("it must be an https address"));
        }
        let base = address.trim_end_matches('/');
        let api = Octocrab::builder()
            .personal_token(token.expose().to_owned())
            .base_uri(base)
            .and_then(|builder| builder.upload_uri(uploads(base)))
            .and_then(|builder| builder.build())
            .map_err(|error| Fault::usage(format!("set up GitHub's client: {error}")))?;
        let server = env.get("GITHUB_SERVER_URL").unwrap_or("https://github.com").to_owned();
        Ok(Self { api, repository, server, base: base.to_owned(), token })
    }

    fn route(&self, rest: &str) -> String {
        format!("/repos/{}/{rest}", self.repository)
    }

    /// The open issue with both labels: these, only people with rights to the
    /// repository can set.
    async fn find(&self, key: &str) -> Result<Option<Issue>> {
        let labels = format!("{},{}", Ticket::LABEL, Ticket::mark(key));
        let query = [("state", "open"), ("labels", labels.as_str()), ("per_page", "100")];
        let found: Result<Vec<Issue>, _> = self.api.get(self.route("issues"), Some(&query)).await;
        let found = found.map_err(|error| refused("list issues", "issues: write", error))?;
        let issues = found.into_iter().filter(|issue| issue.pull_request.is_none());
        // Two runs at once may have made two: the older one stays.
        Ok(issues.min_by_key(|issue| issue.number))
    }

    pub(in crate::forge) async fn tell(&self, ticket: &Ticket) -> Result<String> {
        let text = json!({ "title": ticket.title, "body": ticket.body });
        let needed = "issues: write";
        if let Some(open) = self.find(&ticket.key).await? {
            let route = self.route(&format!("issues/{}", open.number));
            let updated: Result<Issue, _> = self.api.patch(route, Some(&text)).await;
            return Ok(updated
                .map_err(|error| refused("update the issue", needed, error))?
                .html_url);
        }
        let mut text = text;
        text["labels"] = json!([Ticket::LABEL, Ticket::mark(&ticket.key)]);
        let made: Result<Issue, _> = self.api.post(self.route("issues"), Some(&text)).await;
        Ok(made.map_err(|error| refused("open an issue", needed, error))?.html_url)
    }

    pub(in crate::forge) async fn close(&self, key: &str, word: &str) -> Result<Option<String>> {
        let Some(open) = self.find(key).await? else { return Ok(None) };
        let needed = "issues: write";
        let route = self.route(&format!("issues/{}/comments", open.number));
        let told: Result<serde_json::Value, _> =
            self.api.post(route, Some(&json!({ "body": word }))).await;
        told.map_err(|error| refused("comment on the issue", needed, error))?;
        let route = self.route(&format!("issues/{}", open.number));
        let text = json!({ "state": "closed", "state_reason": "completed" });
        let closed: Result<Issue, _> = self.api.patch(route, Some(&text)).await;
        closed.map_err(|error| refused("close the issue", needed, error))?;
        Ok(Some(open.html_url))
    }

    pub(in crate::forge) async fn approvals(&self, run: &str) -> Result<Vec<Given>> {
        #[derive(Deserialize)]
        struct Review {
            state: String,
            #[serde(default)]
            comment: String,
            user: Option<User>,
            #[serde(default)]
            environments: Vec<Reviewed>,
        }
        #[derive(Deserialize)]
        struct Reviewed {
            name: String,
        }
        #[derive(Deserialize)]
        struct User {
            login: String,
        }
        let route = self.route(&format!("actions/runs/{run}/approvals"));
        let found: Result<Vec<Review>, _> = self.api.get(route, None::<&()>).await;
        let found = found.map_err(|error| refused("read the approvals", "actions: read", error))?;
        let approved = found.into_iter().filter(|review| review.state == "approved");
        let given = approved.filter_map(|review| {
            let environments = review.environments.into_iter().map(|one| one.name).collect();
            let who = review.user?.login;
            Some(Given { who, at: None, comment: review.comment, environments })
        });
        Ok(given.collect())
    }

    pub(in crate::forge) async fn gate(&self, environment: &str) -> Result<Option<Gate>> {
        #[derive(Deserialize)]
        struct Environment {
            #[serde(default)]
            protection_rules: Vec<Rule>,
            deployment_branch_policy: Option<serde_json::Value>,
        }
        #[derive(Deserialize)]
        struct Rule {
            #[serde(default)]
            reviewers: Vec<serde_json::Value>,
            #[serde(default)]
            prevent_self_review: bool,
        }
        let name = https::segment(environment);
        let route = self.route(&format!("environments/{name}"));
        let found: Environment = match self.api.get(route, None::<&()>).await {
            Ok(found) => found,
            Err(octocrab::Error::GitHub { source, .. }) if source.status_code.as_u16() == 404 => {
                return Ok(None);
            }
            Err(error) => return Err(refused("read the environment", "actions: read", error)),
        };
        let rules = &found.protection_rules;
        Ok(Some(Gate {
            reviewers: rules.iter().map(|rule| rule.reviewers.len()).sum(),
            prevents_self_review: rules.iter().any(|rule| rule.prevent_self_review),
            has_branches: found.deployment_branch_policy.is_some(),
        }))
    }

    pub(in crate::forge) async fn dispatch(
        &self,
        file: &str,
        branch: &str,
        inputs: &BTreeMap<String, String>,
    ) -> Result<String> {
        let route = self.route(&format!("actions/workflows/{file}/dispatches"));
        let body = json!({ "ref": branch, "inputs": inputs });
        // The answer has no body: typed calls would fail on it.
        let answer = self.api._post(route, Some(&body)).await;
        let what = format!("start the workflow `{file}`");
        let answer = answer.map_err(|error| refused(&what, "actions: write", error))?;
        octocrab::map_github_error(answer)
            .await
            .map_err(|error| refused(&what, "actions: write", error))?;
        Ok(format!("{}/{}/actions/workflows/{file}", self.server, self.repository))
    }
}

/// Where files go: the one other address that may see the token.
fn uploads(base: &str) -> String {
    match base {
        "https://api.github.com" => "https://uploads.github.com".to_owned(),
        other => other
            .strip_suffix("/api/v3")
            .map_or(other.to_owned(), |server| format!("{server}/api/uploads")),
    }
}

/// What failed, with the permission that a refusal is about.
fn refused(what: &str, permission: &str, error: octocrab::Error) -> anyhow::Error {
    if let octocrab::Error::GitHub { source, .. } = &error {
        let status = source.status_code.as_u16();
        let message = format!("{what}: HTTP {status}: {}", source.message);
        let fault = match status {
            401 | 403 | 404 => Fault::new(FaultKind::Usage, message)
                .hint(format!("the token needs `permissions: {permission}`")),
            _ => Fault::new(FaultKind::Remote, message),
        };
        return fault.into();
    }
    anyhow::Error::new(error).context(format!("{what} on GitHub"))
}
