//! Azure DevOps: work items, pipeline runs, and what concerns the repository.

mod gates;
mod release;
mod repository;

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use reqwest::{Method, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::Ticket;
use crate::databricks::Masker;
use crate::names::Secret;
use crate::report::{Fault, FaultKind};
use crate::sys::https::{self, Refused};
use crate::sys::retry::{self, Class};
use crate::sys::{Env, clock};

/// A project and the token of the running job.
pub struct Azure {
    client: reqwest::Client,
    pub(in crate::forge) project: Url,
    /// The repository's id, where it is one of Azure Repos.
    repository: Option<String>,
    /// Where people look at the repository.
    page: Url,
    token: Secret,
}

impl std::fmt::Debug for Azure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Azure").field("project", &self.project.as_str()).finish_non_exhaustive()
    }
}

#[derive(Debug, Deserialize)]
struct Found {
    #[serde(rename = "workItems")]
    items: Vec<Reference>,
}

#[derive(Debug, Deserialize)]
struct Reference {
    id: u64,
}

/// States that processes call finished, the usual one first.
const FINISHED: [&str; 3] = ["Closed", "Done", "Completed"];

/// Types of work items; the Scrum process has no issues.
const TYPES: [&str; 2] = ["Issue", "Task"];

const RIGHT: &str = "the build service's identity needs the right to do this in the project";

impl Azure {
    pub(in crate::forge) fn new(env: &Env, masker: &Masker) -> Result<Self, Fault> {
        let needed =
            |name: &str| env.get(name).ok_or_else(|| Fault::usage(format!("{name} is not set")));
        let token = env.get("SYSTEM_ACCESSTOKEN").ok_or_else(|| {
            Fault::usage("the step has no Azure DevOps token")
                .hint("hand it over: `env: {SYSTEM_ACCESSTOKEN: $(System.AccessToken)}`")
        })?;
        let token = Secret::new(token);
        masker(&token);
        let collection = needed("SYSTEM_COLLECTIONURI")?;
        let mut project = Url::parse(collection)
            .ok()
            .filter(https::keeps_tokens)
            .ok_or_else(|| Fault::usage(format!("`{collection}` is no safe address")))?;
        project
            .path_segments_mut()
            .map_err(|()| Fault::usage(format!("`{collection}` is no address")))?
            .pop_if_empty()
            .push(needed("SYSTEM_TEAMPROJECT")?);
        let client = https::client()
            .map_err(|error| Fault::new(FaultKind::Remote, format!("set up HTTPS: {error}")))?;
        // Pipelines run on repositories of other hosts, too.
        let is_own = env.get("BUILD_REPOSITORY_PROVIDER").is_none_or(|kind| kind == "TfsGit");
        let repository = env.get("BUILD_REPOSITORY_ID").filter(|_| is_own).map(str::to_owned);
        let page = page(env, &project);
        Ok(Self { client, project, repository, page, token })
    }

    fn url(&self, path: &[&str]) -> Url {
        called(self.project.clone(), path)
    }

    /// Beside the projects: a repository's id stands for itself, whichever it is in.
    fn collection_url(&self, path: &[&str]) -> Url {
        let mut url = self.project.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop();
        }
        called(url, path)
    }

    async fn call<T: DeserializeOwned>(
        &self,
        class: Class,
        method: Method,
        url: Url,
        kind: &str,
        body: &Value,
    ) -> Result<T, Refused> {
        let request = || {
            let call =
                self.client.request(method.clone(), url.clone()).bearer_auth(self.token.expose());
            match body {
                Value::Null => call,
                body => call.header("content-type", kind).body(body.to_string()),
            }
        };
        let answer = https::send(class, retry::MAX_ATTEMPTS, request).await?;
        // Where a sign-in is asked for, the answer is a page with HTTP 203.
        serde_json::from_slice(&answer).map_err(|error| Refused {
            status: None,
            words: format!("the answer is no JSON ({error}): the token may not be valid"),
        })
    }

    async fn read(&self, url: Url, what: &str) -> Result<Value> {
        let answer = self.call(Class::Read, Method::GET, url, "application/json", &Value::Null);
        answer.await.map_err(|error| told(what, &error))
    }

    /// The open work item with this mark.
    async fn find(&self, key: &str) -> Result<Option<u64>> {
        let finished: Vec<String> = FINISHED.iter().map(|state| format!("'{state}'")).collect();
        let query = format!(
            "SELECT [System.Id] FROM WorkItems WHERE [System.TeamProject] = @project \
             AND [System.Tags] CONTAINS '{}' AND [System.State] NOT IN ({}, 'Removed', 'Resolved') \
             ORDER BY [System.Id]",
            Ticket::mark(key),
            finished.join(", ")
        );
        let url = self.url(&["wit", "wiql"]);
        let body = json!({ "query": query });
        let found: Result<Found, _> =
            self.call(Class::Read, Method::POST, url, "application/json", &body).await;
        let found = found.map_err(|error| told("look for the work item", &error))?;
        Ok(found.items.first().map(|item| item.id))
    }

    fn address(&self, id: u64) -> String {
        let mut url = self.project.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.extend(["_workitems", "edit", &id.to_string()]);
        }
        url.to_string()
    }

    async fn patch(&self, id: u64, fields: &[(&str, Value)]) -> Result<(), Refused> {
        let url = self.url(&["wit", "workitems", &id.to_string()]);
        let body = patch(fields);
        let kind = "application/json-patch+json";
        let _item: Value = self.call(Class::Idempotent, Method::PATCH, url, kind, &body).await?;
        Ok(())
    }

    pub(in crate::forge) async fn tell(&self, ticket: &Ticket) -> Result<String> {
        let text = [
            ("System.Title", json!(ticket.title)),
            ("System.Description", json!(html(&ticket.body))),
        ];
        if let Some(id) = self.find(&ticket.key).await? {
            let updated = self.patch(id, &text).await;
            updated.map_err(|error| told("update the work item", &error))?;
            return Ok(self.address(id));
        }
        let mut fields = text.to_vec();
        let tags = format!("{}; {}", Ticket::LABEL, Ticket::mark(&ticket.key));
        fields.push(("System.Tags", json!(tags)));
        let fields = patch(&fields);
        for name in TYPES {
            let url = self.url(&["wit", "workitems", &format!("${name}")]);
            let kind = "application/json-patch+json";
            let made: Result<Reference, _> =
                self.call(Class::Unkeyed, Method::POST, url, kind, &fields).await;
            match made {
                Ok(made) => return Ok(self.address(made.id)),
                Err(error) if error.status.is_some_and(|status| status.as_u16() == 404) => {}
                Err(error) => {
                    return Err(told(&format!("make a work item of type {name}"), &error));
                }
            }
        }
        let message = format!("the project has no work items of type {}", TYPES.join(" or "));
        Err(Fault::usage(message).into())
    }

    pub(in crate::forge) async fn close(&self, key: &str, word: &str) -> Result<Option<String>> {
        let Some(id) = self.find(key).await? else { return Ok(None) };
        let mut last = None;
        // The names of states are a matter of the project's process.
        for state in FINISHED {
            let fields = [("System.State", json!(state)), ("System.History", json!(word))];
            match self.patch(id, &fields).await {
                Ok(()) => return Ok(Some(self.address(id))),
                Err(error) if error.status.is_some_and(|status| status.as_u16() == 400) => {
                    last = Some(error);
                }
                Err(error) => return Err(told("close the work item", &error)),
            }
        }
        Err(last.map_or_else(
            || anyhow::anyhow!("the work item could not be closed"),
            |error| told("close the work item", &error),
        ))
    }

    pub(in crate::forge) async fn run(
        &self,
        id: u64,
        inputs: &BTreeMap<String, String>,
    ) -> Result<String> {
        let url = self.url(&["pipelines", &id.to_string(), "runs"]);
        let body = json!({ "templateParameters": inputs });
        let run: Result<Value, _> =
            self.call(Class::Unkeyed, Method::POST, url, "application/json", &body).await;
        let run = run.map_err(|error| told(&format!("start the pipeline {id}"), &error))?;
        let place = run.pointer("/_links/web/href").or(run.get("url")).and_then(Value::as_str);
        place.map(str::to_owned).with_context(|| {
            format!("the pipeline {id} was started at {}, and told no address", clock::now())
        })
    }
}

/// A pipeline may build a repository of another project.
fn page(env: &Env, project: &Url) -> Url {
    let told = env.get("BUILD_REPOSITORY_URI").and_then(|uri| Url::parse(uri).ok());
    if let Some(mut told) = told.filter(|told| told.path().contains("/_git/")) {
        // `https://acme@dev.azure.com/…` is for git.
        if told.set_username("").is_ok() {
            return told;
        }
    }
    let mut url = project.clone();
    if let (Ok(mut segments), Some(id)) = (url.path_segments_mut(), env.get("BUILD_REPOSITORY_ID"))
    {
        segments.extend(["_git", id]);
    }
    url
}

fn called(mut place: Url, path: &[&str]) -> Url {
    if let Ok(mut segments) = place.path_segments_mut() {
        segments.push("_apis").extend(path);
    }
    place.set_query(Some("api-version=7.1"));
    place
}

fn patch(fields: &[(&str, Value)]) -> Value {
    let operation = |(field, value): &(&str, Value)| json!({ "op": "add", "path": format!("/fields/{field}"), "value": value });
    fields.iter().map(operation).collect()
}

/// Markdown that is shown as it is: descriptions are HTML by default.
fn html(markdown: &str) -> String {
    let safe = markdown.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    format!("<pre>{safe}</pre>")
}

fn told(what: &str, refused: &Refused) -> anyhow::Error {
    let message = format!("{what}: {refused}");
    match refused.status.map(|status| status.as_u16()) {
        Some(401 | 403) => Fault::new(FaultKind::Usage, message).hint(RIGHT).into(),
        Some(400 | 404) => Fault::new(FaultKind::Usage, message).into(),
        _ => Fault::new(FaultKind::Remote, message).into(),
    }
}
