//! Both hosts as servers that keep a repository's statuses, names, releases,
//! comments and tickets, and that tell their jobs who they are.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lakegate::names::Sha256;
use serde_json::{Value, json};

/// What a host keeps.
#[derive(Debug, Default)]
pub(crate) struct World {
    pub(crate) calls: Vec<String>,
    /// The same with what was sent and answered: see `tests/ci/azure_described.py`.
    pub(crate) exchanges: Vec<Value>,
    pub(crate) statuses: Vec<Value>,
    /// The commits that the merge request's pushes ended with.
    pub(crate) pushes: Vec<String>,
    pub(crate) refs: BTreeMap<String, String>,
    /// The commits of annotated tags.
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) releases: Vec<Value>,
    pub(crate) files: Vec<Vec<u8>>,
    pub(crate) comments: Vec<Value>,
    pub(crate) threads: Vec<Value>,
    pub(crate) tickets: Vec<Value>,
    /// What runs of Azure DevOps have kept, zipped, by the tags of the runs.
    pub(crate) kept: BTreeMap<String, Vec<u8>>,
    /// Writes are answered and then lost.
    pub(crate) denies: bool,
    /// Whose installation of an app the token is.
    pub(crate) app: Option<String>,
    /// Work items are those of the Scrum process.
    pub(crate) scrum: bool,
    pub(crate) address: String,
    /// Runs of Azure DevOps that somebody approved.
    pub(crate) approved: Vec<u64>,
    /// Of approvals no run is told.
    pub(crate) tells_no_run: bool,
    /// Identity tokens that were handed out.
    pub(crate) tokens: usize,
}

pub(crate) type Shared = Arc<Mutex<World>>;
pub(crate) type Answer = fn(&mut World, &Method, &Uri, &Value, &[u8]) -> Option<Response>;

pub(crate) async fn serve(answer: Answer) -> (String, Shared) {
    let world = Shared::default();
    let handle = move |State(world): State<Shared>,
                       method: Method,
                       uri: Uri,
                       headers: HeaderMap,
                       body: Bytes| async move {
        // Where files lie, no token belongs.
        let is_file = uri.path().starts_with("/files/");
        assert_eq!(headers.contains_key("authorization"), !is_file, "{uri}");
        let json = serde_json::from_slice(&body).unwrap_or_default();
        let answered = {
            let mut world = world.lock().unwrap();
            world.calls.push(format!("{method} {}", uri.path()));
            // That a right is missing, Azure Repos tells of names in an answer of its own.
            let is_told = uri.path().ends_with("/_apis/git/repositories/repo/refs");
            if world.denies && method != Method::GET && !is_told {
                let refusal = json!({ "message": "Resource not accessible by integration" });
                Some((StatusCode::FORBIDDEN, Json(refusal)).into_response())
            } else {
                answer(&mut world, &method, &uri, &json, &body)
            }
        };
        let (head, body) = answered
            .unwrap_or_else(|| {
                (StatusCode::NOT_FOUND, Json(json!({ "message": "Not Found" }))).into_response()
            })
            .into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
        world.lock().unwrap().exchanges.push(json!({
            "method": method.as_str(), "path": uri.path(), "asked": json,
            "status": head.status.as_u16(),
            "told": serde_json::from_slice::<Value>(&body).unwrap_or_default(),
        }));
        Response::from_parts(head, axum::body::Body::from(body))
    };
    let app = Router::new().fallback(handle).with_state(world.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    world.lock().unwrap().address.clone_from(&address);
    tokio::spawn(async move { axum::serve(listener, app).await });
    (address, world)
}

pub(crate) const ISSUER: &str = "https://identity.test/acme";
pub(crate) const SUBJECT: &str = "repo:acme/flights";

/// A token that says which repository asks. Nobody has signed it.
fn identity(world: &mut World) -> String {
    world.tokens += 1;
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let claims = json!({ "iss": ISSUER, "sub": SUBJECT, "aud": "api://AzureADTokenExchange" });
    format!("{}.{}.x", part(&json!({ "alg": "RS256" })), part(&claims))
}

fn without(value: &Value, field: &str) -> Value {
    let mut shown = value.clone();
    shown.as_object_mut().unwrap().remove(field);
    shown
}

fn reply(value: &Value) -> Option<Response> {
    Some(Json(value.clone()).into_response())
}

fn created(value: &Value) -> Option<Response> {
    Some((StatusCode::CREATED, Json(value.clone())).into_response())
}

fn page(items: &[Value], uri: &Uri) -> Option<Response> {
    let query = |name: &str| -> usize {
        let pairs = uri.query().unwrap_or_default().split('&');
        let found = pairs.filter_map(|pair| pair.split_once('=')).find(|(key, _)| *key == name);
        found.and_then(|(_, value)| value.parse().ok()).unwrap_or(1)
    };
    let (size, number) = (query("per_page").max(30), query("page"));
    let part: Vec<Value> = items.iter().skip((number - 1) * size).take(size).cloned().collect();
    reply(&json!(part))
}

#[expect(clippy::too_many_lines, reason = "one arm per route")]
pub(crate) fn github_answer(
    world: &mut World,
    method: &Method,
    uri: &Uri,
    body: &Value,
    bytes: &[u8],
) -> Option<Response> {
    if uri.path() == "/graphql" {
        assert_eq!(body["query"], "query { viewer { login } }");
        let login = world.app.as_ref()?;
        return reply(&json!({ "data": { "viewer": { "login": login } } }));
    }
    if uri.path() == "/oidc" {
        return reply(&json!({ "value": identity(world) }));
    }
    if let Some(id) = uri.path().strip_prefix("/files/") {
        return Some(world.files[id.parse::<usize>().ok()?].clone().into_response());
    }
    if let Some(team) = uri.path().strip_prefix("/orgs/o/teams/ml-leads") {
        let state = match team.strip_prefix("/memberships/") {
            None => return reply(&team_of_leads()),
            Some("eve") => "active",
            Some("bob") => "pending",
            Some(_) => return None,
        };
        return reply(&json!({ "url": "https://x.test/m", "role": "member", "state": state }));
    }
    // GitHub Enterprise has a path before its own.
    let path = uri.path().trim_start_matches("/api/v3");
    let mut path = path.strip_prefix("/repos/")?.splitn(3, '/');
    let repository = format!("{}/{}", path.next()?, path.next()?);
    let parts: Vec<&str> = path.next()?.split('/').collect();
    match (method.as_str(), &parts[..]) {
        ("GET", ["commits", sha, "status"]) => {
            let own = world.statuses.iter().rev().filter(|status| status["sha"] == *sha);
            let shown = own.map(|status| without(status, "sha"));
            reply(&json!({ "statuses": shown.collect::<Vec<_>>() }))
        }
        ("GET", ["commits", sha]) => reply(&json!({ "sha": sha, "author": { "login": "dev" },
            "committer": { "login": "web-flow" }, "commit": { "author": { "email": "dev@x" } } })),
        ("GET", ["commits", _, "check-runs"]) => reply(&json!({ "check_runs": [] })),
        ("GET", ["commits", "merged", "pulls"]) => reply(&json!([
            { "number": 6, "merge_commit_sha": "other", "merged_at": "2026-01-01T00:00:00Z", "head": { "sha": "wrong" } },
            { "number": 7, "merge_commit_sha": "merged", "merged_at": "2026-01-01T00:00:00Z", "head": { "sha": "head" },
              "user": { "login": "eve" } },
        ])),
        ("GET", ["commits", _, "pulls"]) => reply(&json!([])),
        ("GET", ["pulls", "7", "commits"]) => reply(&json!([
            { "author": { "login": "ann" }, "committer": { "login": "ann" }, "commit": { "author": { "email": "ann@x" } } },
            { "author": null, "committer": {}, "commit": { "author": { "email": "guest@x" } } },
        ])),
        ("POST", ["statuses", sha]) => {
            let mut status = body.clone();
            status["sha"] = json!(sha);
            world.statuses.push(status.clone());
            created(body)
        }
        ("GET", ["git", "ref", rest @ ..]) => {
            let sha = world.refs.get(&format!("refs/{}", rest.join("/")))?;
            let kind = if world.tags.contains_key(sha) { "tag" } else { "commit" };
            reply(&json!({ "object": { "sha": sha, "type": kind } }))
        }
        ("GET", ["git", "tags", sha]) => {
            let of = world.tags.get(*sha)?;
            let kind = if world.tags.contains_key(of) { "tag" } else { "commit" };
            reply(&json!({ "object": { "sha": of, "type": kind } }))
        }
        ("POST", ["git", "refs"]) => {
            let name = body["ref"].as_str()?.to_owned();
            world.refs.insert(name, body["sha"].as_str()?.to_owned());
            created(&json!({ "ref": body["ref"], "object": { "sha": body["sha"] } }))
        }
        ("GET", ["releases"]) => page(&world.releases, uri),
        ("POST", ["releases"]) => {
            let mut release = body.clone();
            release["id"] = json!(world.releases.len());
            release["html_url"] = json!("https://x.test/r");
            release["assets"] = json!([]);
            let id = &release["id"];
            release["upload_url"] = json!(format!(
                "{}/repos/{repository}/releases/{id}/assets{{?name,label}}",
                world.address
            ));
            world.releases.push(release.clone());
            created(&release)
        }
        ("GET", ["releases", "tags", tag]) => {
            let mut published = world.releases.iter().filter(|release| release["draft"] == false);
            reply(published.find(|release| release["tag_name"] == *tag)?)
        }
        ("GET", ["releases", "assets", id]) => {
            let place = format!("{}/files/{id}", world.address);
            Some((StatusCode::FOUND, [("location", place)]).into_response())
        }
        ("GET", ["releases", id]) => {
            reply(&full_release(&world.releases[id.parse::<usize>().ok()?]))
        }
        ("PATCH", ["releases", id]) => {
            let release = &mut world.releases[id.parse::<usize>().ok()?];
            release["draft"] = body["draft"].clone();
            reply(release)
        }
        ("POST", ["releases", id, "assets"]) => {
            let name = uri.query()?.split_once("name=")?.1.to_owned();
            let digest = Sha256::of(bytes);
            let id_of_asset = world.files.len();
            world.files.push(bytes.to_vec());
            let asset = json!({ "id": id_of_asset, "name": name, "size": bytes.len(), "digest": format!("sha256:{digest}"),
                "node_id": "", "url": "https://x.test/a", "browser_download_url": "https://x.test/a",
                "state": "uploaded", "content_type": "x", "download_count": 0, "label": null,
                "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z" });
            let release = &mut world.releases[id.parse::<usize>().ok()?];
            release["assets"].as_array_mut()?.push(asset.clone());
            created(&asset)
        }
        ("GET", ["issues", "7", "comments"]) => page(&world.comments, uri),
        ("POST", ["issues", "7", "comments"]) => {
            let id = world.comments.len();
            let comment = json!({ "id": id, "html_url": format!("https://x.test/c{id}"),
                "body": body["body"],
                "user": { "login": world.app.as_deref().unwrap_or("github-actions[bot]") } });
            world.comments.push(comment.clone());
            created(&comment)
        }
        ("PATCH", ["issues", "comments", id]) => {
            let comment = &mut world.comments[id.parse::<usize>().ok()?];
            comment["body"] = body["body"].clone();
            reply(comment)
        }
        _ => github_tickets(world, (method, &parts), uri, body),
    }
}

/// Issues, workflows that are started, and reviews of a run.
fn github_tickets(
    world: &mut World,
    (method, parts): (&Method, &[&str]),
    uri: &Uri,
    body: &Value,
) -> Option<Response> {
    match (method.as_str(), parts) {
        ("POST", ["actions", "workflows", _, "dispatches"]) => {
            let with = |inputs: Value| json!({ "ref": "main", "inputs": inputs });
            assert!([with(json!({})), with(json!({ "reason": "drift" }))].contains(body), "{body}");
            Some(StatusCode::NO_CONTENT.into_response())
        }
        ("GET", ["actions", "runs", _, "approvals"]) => {
            let review = |state: &str, who: &str| {
                json!({ "state": state, "comment": "ok", "user": { "login": who },
                "environments": [{ "name": "prod-model" }] })
            };
            reply(&json!([review("approved", "eve"), review("rejected", "bob")]))
        }
        ("GET", ["environments", name]) => environment(name),
        ("GET", ["issues"]) => {
            let asked = uri.query()?;
            let open = world.tickets.iter().filter(|ticket| {
                let mark = ticket["labels"][1].as_str().unwrap();
                ticket["state"] == "open" && asked.contains(&format!("lakegate%2C{mark}"))
            });
            reply(&json!(open.collect::<Vec<_>>()))
        }
        ("POST", ["issues"]) => {
            assert_eq!(body["labels"][0], "lakegate");
            let mut ticket = body.clone();
            let number = world.tickets.len() + 1;
            ticket["number"] = json!(number);
            ticket["state"] = json!("open");
            ticket["html_url"] = json!(format!("https://github.com/o/r/issues/{number}"));
            world.tickets.push(ticket.clone());
            created(&ticket)
        }
        ("POST", ["issues", _, "comments"]) => created(&json!({ "id": 1 })),
        ("PATCH", ["issues", number]) => {
            let ticket = &mut world.tickets[number.parse::<usize>().ok()? - 1];
            for (name, value) in body.as_object()? {
                ticket[name] = value.clone();
            }
            reply(ticket)
        }
        _ => None,
    }
}

/// With every field that GitHub's description asks for.
fn team_of_leads() -> Value {
    json!({ "id": 2, "node_id": "t", "url": "https://x.test/t", "html_url": "https://x.test/h",
        "name": "ML leads", "slug": "ml-leads", "permission": "pull", "type": "organization",
        "members_url": "https://x.test/t{/member}", "repositories_url": "https://x.test/r",
        "members_count": 2, "repos_count": 1, "created_at": "2026-01-01T00:00:00Z",
        "updated_at": "2026-01-01T00:00:00Z", "organization_id": 5,
        "organization": { "login": "o", "id": 5, "node_id": "o", "type": "Organization",
            "url": "https://x.test/o", "repos_url": "https://x.test/o/r",
            "events_url": "https://x.test/o/e", "hooks_url": "https://x.test/o/h",
            "issues_url": "https://x.test/o/i", "members_url": "https://x.test/o{/member}",
            "public_members_url": "https://x.test/o/p{/member}", "avatar_url": "https://x.test/a",
            "description": null, "html_url": "https://x.test/o/h", "has_organization_projects": true,
            "has_repository_projects": true, "public_repos": 0, "public_gists": 0, "followers": 0,
            "following": 0, "created_at": "2026-01-01T00:00:00Z",
            "updated_at": "2026-01-01T00:00:00Z", "archived_at": null } })
}

/// As GitHub tells one: `prod-model` has a reviewer and a branch, `prod` waits.
fn environment(name: &str) -> Option<Response> {
    let rules = match name {
        "prod-model" => json!([
            { "id": 1, "node_id": "x", "type": "required_reviewers", "prevent_self_review": true,
              "reviewers": [{ "type": "Team", "reviewer": { "id": 2 } }] },
            { "id": 3, "node_id": "y", "type": "branch_policy" },
        ]),
        "prod" => json!([{ "id": 4, "node_id": "z", "type": "wait_timer", "wait_timer": 5 }]),
        _ => return None,
    };
    let branches = json!({ "protected_branches": false, "custom_branch_policies": true });
    reply(&json!({ "id": 5, "node_id": "e", "name": name, "url": "https://x.test/e",
        "html_url": "https://x.test/e", "created_at": "2026-01-01T00:00:00Z",
        "updated_at": "2026-01-01T00:00:00Z", "protection_rules": rules,
        "deployment_branch_policy": if name == "prod" { Value::Null } else { branches } }))
}

/// With every field that the client's own type wants.
fn full_release(release: &Value) -> Value {
    let mut full = json!({ "url": "https://x.test/r", "assets_url": "https://x.test/r",
        "tarball_url": null, "zipball_url": null, "node_id": "", "prerelease": false,
        "created_at": "2026-01-01T00:00:00Z", "published_at": null });
    for (name, value) in release.as_object().unwrap() {
        full[name] = value.clone();
    }
    full
}

pub(crate) fn azure_answer(
    world: &mut World,
    method: &Method,
    uri: &Uri,
    body: &Value,
    _: &[u8],
) -> Option<Response> {
    if uri.path().ends_with("/oidctoken") {
        return reply(&json!({ "oidcToken": identity(world) }));
    }
    let asked = |name: &str| {
        let pairs = url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
        pairs.into_iter().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    };
    assert!(asked("api-version").is_some_and(|version| version.starts_with("7.1")), "{uri}");
    let Some((_, path)) = uri.path().split_once("/_apis/git/repositories/repo/") else {
        for (of, name, value) in [
            ("/pipelines/approvals", "$expand", "steps"),
            ("/checks/configurations", "$expand", "settings"),
        ] {
            assert!(!uri.path().ends_with(of) || asked(name).as_deref() == Some(value), "{uri}");
        }
        if let Some((_, path)) = uri.path().split_once("/_apis/build/builds") {
            return azure_runs(world, path, &asked);
        }
        return azure_tickets(world, uri.path(), body);
    };
    let parts: Vec<&str> = path.split('/').collect();
    match (method.as_str(), &parts[..]) {
        ("GET", ["commits", sha, "statuses"]) => {
            assert_eq!(asked("latestOnly").as_deref(), Some("true"));
            azure_statuses(world, sha)
        }
        ("GET", ["commits", sha]) => reply(&json!({ "commitId": sha,
            "author": { "name": "Dev", "email": "dev@x", "date": "2026-01-01T00:00:00Z" } })),
        ("POST", ["commits", on, "statuses"]) | ("POST", ["pullRequests", on, "statuses"]) => {
            let mut status = body.clone();
            status["on"] = json!(on);
            let count = world.statuses.len();
            let fraction = if count.is_multiple_of(2) { "" } else { ".5" };
            status["id"] = json!(count + 1);
            status["creationDate"] = json!(format!("2026-01-01T00:00:{:02}{fraction}Z", count / 2));
            world.statuses.push(status);
            reply(&without(world.statuses.last()?, "on"))
        }
        ("POST", ["pullrequestquery"]) => {
            let commit = body["queries"][0]["items"][0].as_str()?;
            let pull = json!({ "pullRequestId": 7, "status": "completed",
                "createdBy": { "uniqueName": "eve@x" } });
            let pulls = if commit == "alone" { Vec::new() } else { vec![pull] };
            reply(&json!({ "results": [{ commit: pulls }] }))
        }
        ("GET", ["pullRequests", on, "statuses"]) => azure_statuses(world, on),
        ("GET", ["pullRequests", "7", "commits"]) => {
            azure_list(["ann@x", "guest@x"].map(
                |email| json!({ "author": { "email": email }, "committer": { "email": email } }),
            ))
        }
        ("GET", ["pullRequests", "7", "iterations"]) => {
            let iteration = |(id, commit): (u64, &String)| json!({ "id": id, "sourceRefCommit": { "commitId": commit } });
            azure_list((1..).zip(&world.pushes).map(iteration))
        }
        (_, ["refs"]) => azure_names(world, &asked, body),
        _ => azure_threads(world, (method, &parts), body),
    }
}

/// Two runs for each tag, the older one of which has kept something.
fn azure_runs(
    world: &World,
    path: &str,
    asked: &dyn Fn(&str) -> Option<String>,
) -> Option<Response> {
    let parts: Vec<&str> = path.split('/').collect();
    match parts[..] {
        [""] => {
            let is_known = world.kept.contains_key(&asked("tagFilters")?);
            azure_list([8, 7].into_iter().filter(|_| is_known).map(|id| json!({ "id": id })))
        }
        ["", "7", "artifacts"] => {
            let place =
                format!("{}/the%20zip/_apis/build/builds/7/zip?api-version=7.1", world.address);
            let named = |tag: &String| format!("release-{}", tag.trim_start_matches('v'));
            let kept = |(at, tag): (usize, &String)| json!({ "id": at, "name": named(tag), "resource": { "type": "Container", "downloadUrl": place } });
            azure_list(world.kept.keys().enumerate().map(kept))
        }
        ["", "8", "artifacts"] => azure_list([]),
        ["", "7", "zip"] => Some(world.kept.values().next()?.clone().into_response()),
        _ => None,
    }
}

fn azure_statuses(world: &World, on: &str) -> Option<Response> {
    let own = world.statuses.iter().filter(|status| status["on"] == on);
    azure_list(own.map(|status| without(status, "on")))
}

fn azure_names(
    world: &mut World,
    asked: &dyn Fn(&str) -> Option<String>,
    body: &Value,
) -> Option<Response> {
    if body.is_null() {
        assert_eq!(asked("peelTags").as_deref(), Some("true"));
        let filter = format!("refs/{}", asked("filter").unwrap_or_default());
        let refs = world.refs.iter().filter(|(name, _)| name.starts_with(&filter));
        let told = |(name, id): (&String, &String)| {
            let tags = std::iter::successors(world.tags.get(id), |of| world.tags.get(*of));
            match tags.last() {
                None => json!({ "name": name, "objectId": id }),
                Some(of) => json!({ "name": name, "objectId": id, "peeledObjectId": of }),
            }
        };
        return azure_list(refs.map(told));
    }
    let name = body[0]["name"].as_str()?.to_owned();
    let status = match () {
        () if world.denies => "createBranchPermissionRequired",
        () if world.refs.contains_key(&name) => "staleOldObjectId",
        () => "succeeded",
    };
    let is_made = status == "succeeded";
    if is_made {
        world.refs.insert(name.clone(), body[0]["newObjectId"].as_str()?.to_owned());
    }
    azure_list([json!({ "name": name, "success": is_made, "updateStatus": status })])
}

fn azure_threads(
    world: &mut World,
    (method, parts): (&Method, &[&str]),
    body: &Value,
) -> Option<Response> {
    match (method.as_str(), parts) {
        ("GET", ["pullRequests", "7", "threads"]) => azure_list(world.threads.clone()),
        ("POST", ["pullRequests", "7", "threads"]) => {
            let mut thread = body.clone();
            thread["id"] = json!(world.threads.len() + 1);
            thread["comments"][0]["id"] = json!(1);
            world.threads.push(thread.clone());
            reply(&thread)
        }
        ("PATCH", ["pullRequests", "7", "threads", id]) => {
            let thread = &mut world.threads[id.parse::<usize>().ok()? - 1];
            thread["status"] = body["status"].clone();
            reply(thread)
        }
        ("PATCH", ["pullRequests", "7", "threads", id, "comments", "1"]) => {
            let comment = &mut world.threads[id.parse::<usize>().ok()? - 1]["comments"][0];
            if comment["author"]["uniqueName"] == "eve@x" {
                return Some((StatusCode::FORBIDDEN, Json(json!({}))).into_response());
            }
            comment["content"] = body["content"].clone();
            reply(comment)
        }
        _ => None,
    }
}

fn azure_list(items: impl IntoIterator<Item = Value>) -> Option<Response> {
    let value: Vec<Value> = items.into_iter().collect();
    reply(&json!({ "count": value.len(), "value": value }))
}

fn azure_approvals(world: &World) -> Option<Response> {
    let step = |status: &str, who: &str, at: &str| json!({ "status": status, "actualApprover": { "uniqueName": who }, "comment": "", "lastModifiedOn": at });
    let approval = |run: u64, who: &str, at: &str| {
        let steps = [step("approved", who, at), step("pending", "bob@x", at)];
        json!({ "status": "approved", "pipeline": { "owner": { "id": run } }, "steps": steps })
    };
    let (then, now) = ("2026-03-01T00:00:00Z", jiff::Timestamp::now().to_string());
    let mut value = vec![approval(7, "eve@x", then), approval(8, "mallory@x", then)];
    value.extend(world.approved.iter().map(|run| approval(*run, "ann@x", &now)));
    for approval in value.iter_mut().filter(|_| world.tells_no_run) {
        approval.as_object_mut()?.remove("pipeline");
    }
    azure_list(value)
}

/// Work items, pipelines that are started, and approvals of a run.
fn azure_tickets(world: &mut World, path: &str, body: &Value) -> Option<Response> {
    if path.ends_with("/runs") {
        let with = |inputs: Value| json!({ "templateParameters": inputs });
        assert!([with(json!({})), with(json!({ "reason": "drift" }))].contains(body), "{body}");
        let place = json!({ "_links": { "web": { "href": "https://dev.azure.com/o/p/run/7" } } });
        return reply(&place);
    }
    if path.ends_with("/pipelines/approvals") && !world.denies {
        return azure_approvals(world);
    }
    if path == "/_apis/projects/the%20project/teams/ml%20leads/members" {
        let person =
            |name: &str| json!({ "identity": { "uniqueName": name, "displayName": name } });
        return reply(&json!({ "count": 2, "value": [person("ann@x"), person("Eve@x")] }));
    }
    if path.ends_with("/distributedtask/environments") && !world.denies {
        let named = |(at, name): (usize, &str)| json!({ "id": at, "name": name });
        let all = ["prod", "prod-model", "prod-release-old"].into_iter().enumerate().map(named);
        return reply(&json!({ "value": all.collect::<Vec<_>>() }));
    }
    if path.ends_with("/checks/configurations") {
        // Of whichever environment: one that people agree to, among themselves.
        let approval = json!({ "type": { "name": "Approval" }, "settings": {
            "approvers": [{ "id": "a" }, { "id": "b" }], "requesterCannotBeApprover": false } });
        let branches = json!({ "type": { "name": "Task Check" }, "settings": {
            "definitionRef": { "name": "evaluatebranchProtection" },
            "inputs": { "allowedBranches": "refs/heads/main" } } });
        return reply(&json!({ "value": [approval, branches] }));
    }
    if path.ends_with("/wiql") {
        let query = body["query"].as_str()?;
        let open = |ticket: &&Value| {
            let tag = ticket["System.Tags"].as_str().unwrap().split("; ").nth(1).unwrap();
            query.contains(&format!("'{tag}'")) && ticket["System.State"] == "To Do"
        };
        let items: Vec<Value> =
            world.tickets.iter().filter(open).map(|ticket| json!({ "id": ticket["id"] })).collect();
        return reply(&json!({ "workItems": items }));
    }
    if world.scrum && path.ends_with("/$Issue") {
        let refusal = json!({ "message": "VS402323: Work item type Issue does not exist" });
        return Some((StatusCode::NOT_FOUND, Json(refusal)).into_response());
    }
    let is_new = path.ends_with("/$Issue") || path.ends_with("/$Task");
    let at = if is_new {
        let id = world.tickets.len() + 1;
        world.tickets.push(json!({ "id": id, "System.State": "To Do" }));
        id
    } else {
        path.split_once("/_apis/wit/workitems/")?.1.split('/').next()?.parse().ok()?
    };
    for patch in body.as_array()? {
        let name = patch["path"].as_str()?.trim_start_matches("/fields/");
        // The Basic process knows Done, and not Closed.
        if name == "System.State" && patch["value"] == "Closed" {
            let refusal = json!({ "message": "no such state" });
            return Some((StatusCode::BAD_REQUEST, Json(refusal)).into_response());
        }
        world.tickets[at - 1][name] = patch["value"].clone();
    }
    reply(&json!({ "id": at, "fields": without(&world.tickets[at - 1], "id") }))
}
