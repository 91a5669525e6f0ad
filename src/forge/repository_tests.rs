//! Both hosts as servers that keep a repository's statuses, names, releases and
//! comments.

// They need a server.
#![cfg(feature = "local")]

use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::State as Kept;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use axum::{Json, Router};
use serde_json::{Value, json};

use super::*;
use crate::sys::fs;

#[derive(Debug, Default)]
struct World {
    calls: Vec<String>,
    statuses: Vec<Value>,
    refs: BTreeMap<String, String>,
    releases: Vec<Value>,
    comments: Vec<Value>,
    threads: Vec<Value>,
    /// Writes are answered and then lost.
    denies: bool,
    address: String,
}

type Shared = Arc<Mutex<World>>;
type Answer = fn(&mut World, &Method, &Uri, &Value, &[u8]) -> Option<Response>;

async fn serve(answer: Answer) -> (String, Shared) {
    let world = Shared::default();
    let handle = move |Kept(world): Kept<Shared>,
                       method: Method,
                       uri: Uri,
                       headers: HeaderMap,
                       body: Bytes| async move {
        assert!(headers.contains_key("authorization"), "{uri}");
        let json = serde_json::from_slice(&body).unwrap_or_default();
        let mut world = world.lock().unwrap();
        world.calls.push(format!("{method} {}", uri.path()));
        if world.denies && method != Method::GET {
            let refusal = json!({ "message": "Resource not accessible by integration" });
            return (StatusCode::FORBIDDEN, Json(refusal)).into_response();
        }
        answer(&mut world, &method, &uri, &json, &body).unwrap_or_else(|| {
            (StatusCode::NOT_FOUND, Json(json!({ "message": "Not Found" }))).into_response()
        })
    };
    let app = Router::new().fallback(handle).with_state(world.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    world.lock().unwrap().address.clone_from(&address);
    tokio::spawn(async move { axum::serve(listener, app).await });
    (address, world)
}

fn reply(value: &Value) -> Option<Response> {
    Some(Json(value.clone()).into_response())
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
fn github_answer(
    world: &mut World,
    method: &Method,
    uri: &Uri,
    body: &Value,
    bytes: &[u8],
) -> Option<Response> {
    let path = uri.path().strip_prefix("/repos/o/r/").unwrap_or(uri.path()).to_owned();
    let parts: Vec<&str> = path.split('/').collect();
    match (method.as_str(), &parts[..]) {
        ("GET", ["commits", sha, "status"]) => {
            let own = world.statuses.iter().rev().filter(|status| status["sha"] == *sha);
            reply(&json!({ "statuses": own.collect::<Vec<_>>() }))
        }
        ("GET", ["commits", _, "check-runs"]) => reply(&json!({ "check_runs": [] })),
        ("GET", ["commits", "merged", "pulls"]) => reply(&json!([
            { "merge_commit_sha": "other", "merged_at": "2026-01-01", "head": { "sha": "wrong" } },
            { "merge_commit_sha": "merged", "merged_at": "2026-01-01", "head": { "sha": "head" } },
        ])),
        ("GET", ["commits", _, "pulls"]) => reply(&json!([])),
        ("POST", ["statuses", sha]) => {
            let mut status = body.clone();
            status["sha"] = json!(sha);
            world.statuses.push(status.clone());
            reply(&status)
        }
        ("GET", ["git", "ref", rest @ ..]) => {
            let sha = world.refs.get(&format!("refs/{}", rest.join("/")))?;
            reply(&json!({ "object": { "sha": sha } }))
        }
        ("POST", ["git", "refs"]) => {
            let name = body["ref"].as_str()?.to_owned();
            world.refs.insert(name, body["sha"].as_str()?.to_owned());
            reply(body)
        }
        ("GET", ["releases"]) => page(&world.releases, uri),
        ("POST", ["releases"]) => {
            let mut release = body.clone();
            release["id"] = json!(world.releases.len());
            release["html_url"] = json!("https://x.test/r");
            release["assets"] = json!([]);
            let id = &release["id"];
            release["upload_url"] =
                json!(format!("{}/repos/o/r/releases/{id}/assets{{?name,label}}", world.address));
            world.releases.push(release.clone());
            reply(&release)
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
            let digest = crate::names::Sha256::of(bytes);
            let asset = json!({ "id": 1, "name": name, "size": bytes.len(), "digest": format!("sha256:{digest}"),
                "node_id": "", "url": "https://x.test/a", "browser_download_url": "https://x.test/a",
                "state": "uploaded", "content_type": "x", "download_count": 0, "label": null,
                "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z" });
            let release = &mut world.releases[id.parse::<usize>().ok()?];
            release["assets"].as_array_mut()?.push(asset.clone());
            reply(&asset)
        }
        ("GET", ["issues", "7", "comments"]) => page(&world.comments, uri),
        ("POST", ["issues", "7", "comments"]) => {
            let id = world.comments.len();
            let comment = json!({ "id": id, "html_url": format!("https://x.test/c{id}"),
                "body": body["body"], "user": { "login": "github-actions[bot]" } });
            world.comments.push(comment.clone());
            reply(&comment)
        }
        ("PATCH", ["issues", "comments", id]) => {
            let comment = &mut world.comments[id.parse::<usize>().ok()?];
            comment["body"] = body["body"].clone();
            reply(comment)
        }
        _ => None,
    }
}

/// With every field that the client's own type wants.
fn full_release(release: &Value) -> Value {
    let mut full = json!({ "url": "https://x.test/r", "assets_url": "https://x.test/r",
        "tarball_url": null, "zipball_url": null, "node_id": "", "prerelease": false,
        "created_at": null, "published_at": null, "author": null });
    for (name, value) in release.as_object().unwrap() {
        full[name] = value.clone();
    }
    full
}

fn azure_answer(
    world: &mut World,
    method: &Method,
    uri: &Uri,
    body: &Value,
    _: &[u8],
) -> Option<Response> {
    let path = uri.path().strip_prefix("/p/_apis/git/repositories/repo/")?.to_owned();
    let parts: Vec<&str> = path.split('/').collect();
    match (method.as_str(), &parts[..]) {
        ("GET", ["commits", sha, "statuses"]) => {
            let own = world.statuses.iter().filter(|status| status["on"] == *sha);
            reply(&json!({ "value": own.collect::<Vec<_>>() }))
        }
        ("POST", ["commits", on, "statuses"]) | ("POST", ["pullRequests", on, "statuses"]) => {
            let mut status = body.clone();
            status["on"] = json!(on);
            status["id"] = json!(world.statuses.len());
            status["creationDate"] = json!("2026-01-01");
            world.statuses.push(status.clone());
            reply(&status)
        }
        ("POST", ["pullrequestquery"]) => {
            let commit = body["queries"][0]["items"][0].as_str()?;
            let pulls = if commit == "merged" {
                json!([{ "pullRequestId": 7, "status": "completed" }])
            } else {
                json!([])
            };
            reply(&json!({ "results": [{ commit: pulls }] }))
        }
        ("GET", ["pullRequests", on, "statuses"]) => {
            let own = world.statuses.iter().filter(|status| status["on"] == *on);
            reply(&json!({ "value": own.collect::<Vec<_>>() }))
        }
        ("GET", ["refs"]) => {
            let refs = world.refs.iter().map(|(name, id)| json!({ "name": name, "objectId": id }));
            reply(&json!({ "value": refs.collect::<Vec<_>>() }))
        }
        ("POST", ["refs"]) => {
            let name = body[0]["name"].as_str()?.to_owned();
            world.refs.insert(name, body[0]["newObjectId"].as_str()?.to_owned());
            reply(&json!({ "value": [{ "success": true }] }))
        }
        ("GET", ["pullRequests", "7", "threads"]) => reply(&json!({ "value": world.threads })),
        ("POST", ["pullRequests", "7", "threads"]) => {
            let mut thread = body.clone();
            thread["id"] = json!(world.threads.len());
            thread["comments"][0]["id"] = json!(1);
            world.threads.push(thread.clone());
            reply(&thread)
        }
        ("PATCH", ["pullRequests", "7", "threads", id]) => {
            let thread = &mut world.threads[id.parse::<usize>().ok()?];
            thread["status"] = body["status"].clone();
            reply(thread)
        }
        ("PATCH", ["pullRequests", "7", "threads", id, "comments", "1"]) => {
            let thread = &mut world.threads[id.parse::<usize>().ok()?];
            thread["comments"][0]["content"] = body["content"].clone();
            reply(thread)
        }
        _ => None,
    }
}

fn forge(kind: &'static str, address: &str) -> Forge {
    let env = Env::from([
        ("GITHUB_TOKEN", "t"),
        ("GITHUB_API_URL", address),
        ("SYSTEM_ACCESSTOKEN", "t"),
        ("SYSTEM_COLLECTIONURI", address),
        ("SYSTEM_TEAMPROJECT", "p"),
        ("BUILD_REPOSITORY_ID", "repo"),
    ]);
    let context = Context { host: kind, repository: Some("o/r".into()), ..Context::default() };
    Forge::new(&context, &env, &(Arc::new(|_: &crate::names::Secret| {}) as Masker)).unwrap()
}

async fn both() -> [(Forge, Shared); 2] {
    let (github, first) = serve(github_answer).await;
    let (azure, second) = serve(azure_answer).await;
    [(forge("github", &github), first), (forge("azure", &azure), second)]
}

const NAME: &str = "lakegate/merge-test";

fn told(state: State) -> Told<'static> {
    Told { name: NAME, state, words: "7 tests", link: Some("https://x.test/run") }
}

#[tokio::test]
async fn the_newest_status_counts_and_a_merge_has_that_of_its_request() {
    for (forge, _) in both().await {
        assert_eq!(forge.status("one", NAME).await.unwrap(), None);
        forge.set_status("one", None, &told(State::Success)).await.unwrap();
        forge.set_status("one", None, &told(State::Failure)).await.unwrap();
        let (state, link) = forge.status("one", NAME).await.unwrap().unwrap();
        assert_eq!((state, link.as_str()), (State::Failure, "https://x.test/run"));
        assert_eq!(forge.status("one", "other/check").await.unwrap(), None);
        forge.set_status("head", Some(7), &told(State::Success)).await.unwrap();
        let (state, _) = forge.status("merged", NAME).await.unwrap().unwrap();
        assert_eq!(state, State::Success);
    }
}

#[tokio::test]
async fn a_name_is_given_once() {
    for (forge, world) in both().await {
        forge.name("refs/tags/v1", "a").await.unwrap();
        forge.name("refs/tags/v1", "a").await.unwrap();
        let posts = |world: &Shared| {
            let world = world.lock().unwrap();
            world.calls.iter().filter(|call| call.starts_with("POST")).count()
        };
        assert_eq!(posts(&world), 1);
        let error = forge.name("refs/tags/v1", "b").await.unwrap_err();
        assert!(error.to_string().contains("is commit a already, not b"), "{error}");
        forge.name("refs/tags/v10", "b").await.unwrap();
        world.lock().unwrap().denies = true;
        let error = forge.name("refs/heads/release/2", "b").await.unwrap_err();
        assert!(Fault::of(&error).unwrap().hint.is_some(), "{error:#}");
    }
}

#[tokio::test]
async fn there_is_one_comment_whatever_others_write() {
    for (forge, world) in both().await {
        {
            let mut world = world.lock().unwrap();
            // More than a page of others' words, one of them with our mark.
            for id in 0..120 {
                let body = if id == 3 { "<!-- lakegate:merge-test -->\nevil" } else { "hello" };
                world.comments.push(json!({ "id": id, "html_url": "x", "body": body,
                    "user": { "login": "eve" } }));
            }
        }
        let count = |world: &Shared| {
            let world = world.lock().unwrap();
            (world.comments.len().max(120) - 120) + world.threads.len()
        };
        let first = forge.comment(7, "merge-test", "red", false).await.unwrap();
        let again = forge.comment(7, "merge-test", "green", true).await.unwrap();
        assert_eq!(first, again);
        assert_eq!(count(&world), 1);
        forge.comment(7, "plan", "other kind", true).await.unwrap();
        assert_eq!(count(&world), 2);
        let world = world.lock().unwrap();
        assert!(world.comments[3]["body"].as_str().unwrap().ends_with("evil"));
        if let Some(thread) = world.threads.first() {
            assert_eq!(thread["status"], "closed");
            assert!(thread["comments"][0]["content"].as_str().unwrap().ends_with("green"));
        }
    }
}

#[tokio::test]
async fn a_release_is_whole_before_it_is_seen_and_never_changed() {
    let dir = tempfile::tempdir().unwrap();
    let files = ["a.tar.gz", "manifest.json"].map(|name| dir.path().join(name)).to_vec();
    for file in &files {
        fs::write_atomic(file, file.display().to_string()).unwrap();
    }
    let (address, world) = serve(github_answer).await;
    let forge = forge("github", &address);
    let release = || Announced {
        tag: "v1.0.0".into(),
        commit: "a",
        title: "flights 1.0.0".into(),
        notes: "notes".into(),
        files: &files,
    };
    let link = forge.announce(&release()).await.unwrap();
    assert_eq!(link.as_deref(), Some("https://x.test/r"));
    let calls = world.lock().unwrap().calls.clone();
    let at = |words: &str| calls.iter().rposition(|call| call.contains(words)).unwrap();
    assert!(at("/assets") < at("PATCH"), "{calls:?}");
    // Again: nothing is written.
    forge.announce(&release()).await.unwrap();
    let writes = world.lock().unwrap().calls[calls.len()..].to_vec();
    assert!(writes.iter().all(|call| call.starts_with("GET")), "{writes:?}");
    fs::write_atomic(&files[0], "other bytes").unwrap();
    let error = forge.announce(&release()).await.unwrap_err();
    assert!(error.to_string().contains("is published, with another `a.tar.gz`"), "{error}");
    // A draft with a broken upload is mended: its first file goes up again.
    world.lock().unwrap().releases[0]["draft"] = json!(true);
    let error = forge.announce(&release()).await.unwrap_err();
    assert!(format!("{error:#}").contains("take back a file"), "{error:#}");
}
