//! What concerns the repository: statuses, names of commits, threads.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};

use super::{Azure, RIGHT, told};
use crate::forge::{State, Status, Told, too_many};
use crate::report::{Fault, FaultKind};
use crate::sys::git;
use crate::sys::retry::Class;

const JSON: &str = "application/json";

/// The object that stands for "nothing was here".
const NOTHING: &str = "0000000000000000000000000000000000000000";

/// Of a merge request, as the service tells them at once.
const MOST_COMMITS: usize = 1000;

impl Azure {
    fn git(&self, rest: &[&str]) -> Result<reqwest::Url, Fault> {
        let repository = self.repository.as_deref().ok_or_else(|| {
            Fault::usage("the repository of this run is not known to Azure Repos").hint(
                "this needs a run on a repository of Azure Repos, which sets BUILD_REPOSITORY_ID",
            )
        })?;
        Ok(self.collection_url(&[&["git", "repositories", repository], rest].concat()))
    }

    pub(in crate::forge) async fn status(
        &self,
        commit: &str,
        name: &str,
    ) -> Result<Option<Status>> {
        let mut url = self.git(&["commits", commit, "statuses"])?;
        url.query_pairs_mut().append_pair("latestOnly", "true");
        let found = self.read(url, "read the commit's statuses").await?;
        if let Some(found) = newest(&found["value"], name) {
            return Ok(Some(found));
        }
        for pull in self.became(commit).await? {
            let Some(id) = pull["pullRequestId"].as_u64() else { continue };
            let url = self.git(&["pullRequests", &id.to_string(), "statuses"])?;
            let found = self.read(url, "read the merge request's statuses").await?;
            return Ok(newest(&found["value"], name));
        }
        Ok(None)
    }

    /// The merge requests that became a commit.
    async fn became(&self, commit: &str) -> Result<Vec<Value>> {
        let query = json!({ "queries": [{ "type": "lastMergeCommit", "items": [commit] }] });
        let url = self.git(&["pullrequestquery"])?;
        let found: Result<Value, _> = self.call(Class::Read, Method::POST, url, JSON, &query).await;
        let found = found.map_err(|error| told("look for the merge request", &error))?;
        let pulls = found["results"].as_array().into_iter().flatten();
        let pulls = pulls.filter_map(|result| result[commit].as_array()).flatten();
        Ok(pulls.filter(|pull| pull["status"] == "completed").cloned().collect())
    }

    /// By the names of those who opened the merge request and the addresses in the
    /// commits of it, or those in the commit where it came with none. Nothing where the
    /// repository is kept elsewhere.
    pub(in crate::forge) async fn authors(&self, commit: &str) -> Result<Option<Vec<String>>> {
        if self.repository.is_none() {
            return Ok(None);
        }
        let written = |commit: &Value| {
            ["author", "committer"].map(|role| commit[role]["email"].as_str().map(str::to_owned))
        };
        let pulls = self.became(commit).await?;
        if pulls.is_empty() {
            let found = self.read(self.git(&["commits", commit])?, "read the commit").await?;
            return Ok(Some(written(&found).into_iter().flatten().collect()));
        }
        let mut names = BTreeSet::new();
        for pull in pulls {
            names.extend(pull["createdBy"]["uniqueName"].as_str().map(str::to_owned));
            let Some(id) = pull["pullRequestId"].as_u64() else { continue };
            let mut url = self.git(&["pullRequests", &id.to_string(), "commits"])?;
            url.query_pairs_mut().append_pair("$top", &MOST_COMMITS.to_string());
            let found = self.read(url, "read the merge request's commits").await?;
            let commits = found["value"].as_array().map(Vec::as_slice).unwrap_or_default();
            if commits.len() >= MOST_COMMITS {
                return Err(too_many(id).into());
            }
            let commits = commits.iter();
            names.extend(commits.flat_map(written).flatten());
        }
        Ok(Some(names.into_iter().collect()))
    }

    pub(in crate::forge) async fn is_over(&self, run: &str) -> Result<bool> {
        let found = self.read(self.url(&["build", "builds", run]), "look at the run").await?;
        Ok(found["status"] == "completed")
    }

    /// On the merge request where there is one: branch policies look there.
    pub(in crate::forge) async fn set_status(
        &self,
        commit: &str,
        request: Option<u64>,
        say: &Told<'_>,
    ) -> Result<()> {
        let state = match say.state {
            State::Success => "succeeded",
            State::Pending => "pending",
            State::Failure => "failed",
        };
        let (genre, name) = say.name.rsplit_once('/').unwrap_or(("lakegate", say.name));
        let mut body = json!({
            "state": state,
            "description": say.words,
            "context": { "genre": genre, "name": name },
            "targetUrl": say.link,
        });
        let url = match request.map(|number| number.to_string()) {
            Some(number) => {
                // A policy can reset what is said of these changes when others come.
                if let Some(iteration) = self.iteration(&number, commit, say.state).await? {
                    body["iterationId"] = iteration.into();
                }
                self.git(&["pullRequests", &number, "statuses"])?
            }
            None => self.git(&["commits", commit, "statuses"])?,
        };
        let made: Result<Value, _> =
            self.call(Class::Idempotent, Method::POST, url, JSON, &body).await;
        made.map_err(|error| told("set the status", &error))?;
        Ok(())
    }

    /// Which of the merge request's pushes a commit came with. Of a success it must be
    /// known: without, it would hold for every push to come.
    async fn iteration(&self, number: &str, commit: &str, state: State) -> Result<Option<u64>> {
        let url = self.git(&["pullRequests", number, "iterations"])?;
        let found = self.read(url, "read the merge request's iterations").await?;
        let iterations = found["value"].as_array().into_iter().flatten();
        let of_commit = iterations.filter(|one| one["sourceRefCommit"]["commitId"] == commit);
        let found = of_commit.filter_map(|one| one["id"].as_u64()).max();
        if found.is_none() && state == State::Success {
            let message = format!(
                "no status was set: commit {commit} came with no push of the merge request"
            );
            return Err(Fault::new(FaultKind::Conflict, message).into());
        }
        Ok(found)
    }

    /// Gives a commit a name below `refs/`.
    pub(in crate::forge) async fn name(&self, reference: &str, commit: &str) -> Result<()> {
        if self.named(reference, commit).await? {
            return Ok(());
        }
        let body = json!([{ "name": reference, "oldObjectId": NOTHING, "newObjectId": commit }]);
        let url = self.git(&["refs"])?;
        let made: Result<Value, _> =
            self.call(Class::Idempotent, Method::POST, url, JSON, &body).await;
        let made = made.map_err(|error| told(&format!("make `{reference}`"), &error))?;
        if made["value"][0]["success"] == true || self.named(reference, commit).await? {
            return Ok(());
        }
        Err(refused(reference, &made["value"][0]).into())
    }

    async fn named(&self, reference: &str, commit: &str) -> Result<bool> {
        let mut url = self.git(&["refs"])?;
        let short = reference.strip_prefix("refs/").unwrap_or(reference);
        url.query_pairs_mut().append_pair("filter", short).append_pair("peelTags", "true");
        let found = self.read(url, &format!("look for `{reference}`")).await?;
        // The filter takes every name that begins so.
        let refs = found["value"].as_array().into_iter().flatten();
        let known = refs.filter(|known| known["name"] == reference);
        // An annotated tag is an object of its own.
        let commit_of = |known: &Value| {
            known["peeledObjectId"].as_str().or(known["objectId"].as_str()).map(str::to_owned)
        };
        match known.filter_map(commit_of).next() {
            Some(known) if known == commit => Ok(true),
            Some(known) => Err(git::taken(reference, &known, commit).into()),
            None => Ok(false),
        }
    }

    /// The thread with this mark: its comment is brought up to date, and the
    /// thread is open as long as something is to be done.
    pub(in crate::forge) async fn comment(
        &self,
        request: u64,
        mark: &str,
        body: &str,
        settled: bool,
    ) -> Result<String> {
        let number = request.to_string();
        let what = "comment on the merge request";
        let status = if settled { "closed" } else { "active" };
        let content = format!("{mark}\n{body}");
        let found = self.read(self.git(&["pullRequests", &number, "threads"])?, what).await?;
        let threads = found["value"].as_array().into_iter().flatten();
        let own = threads.filter(|thread| thread["isDeleted"] != true).filter(|thread| {
            let first = &thread["comments"][0];
            first["content"].as_str().is_some_and(|text| text.starts_with(mark))
        });
        let place = || {
            let mut url = self.page.clone();
            if let Ok(mut segments) = url.path_segments_mut() {
                segments.extend(["pullrequest", &number]);
            }
            url.to_string()
        };
        for thread in own {
            let Some(id) = thread["id"].as_u64() else { continue };
            let (id, first) = (id.to_string(), thread["comments"][0]["id"].as_u64().unwrap_or(1));
            let path = ["pullRequests", &number, "threads", &id];
            let text = json!({ "content": content });
            let url = self.git(&[&path[..], &["comments", &first.to_string()]].concat())?;
            let changed: Result<Value, _> =
                self.call(Class::Idempotent, Method::PATCH, url, JSON, &text).await;
            // Somebody else's comment with our mark cannot be changed: ours is beside it.
            if changed.is_ok() {
                let state = json!({ "status": status });
                let set: Result<Value, _> = self
                    .call(Class::Idempotent, Method::PATCH, self.git(&path)?, JSON, &state)
                    .await;
                set.map_err(|error| told(what, &error))?;
                return Ok(place());
            }
        }
        let thread = json!({
            "comments": [{ "parentCommentId": 0, "content": content, "commentType": "text" }],
            "status": status,
        });
        let url = self.git(&["pullRequests", &number, "threads"])?;
        let made: Result<Value, _> =
            self.call(Class::Unkeyed, Method::POST, url, JSON, &thread).await;
        let made = made.map_err(|error| told(what, &error))?;
        made["id"].as_u64().context("the new thread has no number")?;
        Ok(place())
    }
}

/// Why a name was not given: the answer is HTTP 200 also where a right is missing.
fn refused(reference: &str, answer: &Value) -> Fault {
    let why = answer["updateStatus"].as_str().unwrap_or("it was not told why");
    let more = ["customMessage", "rejectedBy"].map(|field| answer[field].as_str());
    let more: Vec<&str> = more.into_iter().flatten().filter(|text| !text.is_empty()).collect();
    let message = format!("make `{reference}`: {}", [&[why], &more[..]].concat().join(", "));
    if why.ends_with("PermissionRequired") {
        return Fault::usage(message).hint(RIGHT);
    }
    Fault::new(FaultKind::Conflict, message)
}

/// The newest status of a name: the list has one per update.
fn newest(list: &Value, name: &str) -> Option<Status> {
    let (genre, short) = name.rsplit_once('/').unwrap_or(("lakegate", name));
    let items = list.as_array().into_iter().flatten();
    let own = items.filter(|status| {
        status["context"]["name"] == short && status["context"]["genre"].as_str() == Some(genre)
    });
    let status = own.max_by_key(|status| {
        // Their seconds have fractions of any length, or none.
        let made = status["creationDate"].as_str().and_then(|at| at.parse::<Timestamp>().ok());
        (made, status["id"].as_u64())
    })?;
    let state = match status["state"].as_str()? {
        "succeeded" => State::Success,
        "pending" | "notSet" => State::Pending,
        _ => State::Failure,
    };
    let text = |name: &str| status[name].as_str().unwrap_or_default().to_owned();
    Some(Status { state, words: text("description"), link: text("targetUrl") })
}
