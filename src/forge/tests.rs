//! Both hosts as servers that keep tickets in a list.

// They need a server.
#![cfg(feature = "local")]

use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use axum::{Json, Router};
use serde_json::{Value, json};

use super::*;
use crate::names::Secret;

#[derive(Debug, Default)]
struct Seen {
    calls: Vec<String>,
    tickets: Vec<Value>,
    denies: bool,
}

type Shared = Arc<Mutex<Seen>>;

async fn serve(
    answer: fn(&mut Seen, &Method, &Uri, &Value) -> Response,
    kind: &'static str,
) -> (String, Shared) {
    let seen = Shared::default();
    let handle = move |State(seen): State<Shared>,
                       method: Method,
                       uri: Uri,
                       headers: HeaderMap,
                       body: Bytes| async move {
        assert_eq!(headers["authorization"], format!("Bearer {kind}-token"));
        let body = serde_json::from_slice(&body).unwrap_or_default();
        let mut seen = seen.lock().unwrap();
        seen.calls.push(format!("{method} {}", uri.path()));
        if seen.denies {
            let refusal = json!({ "message": "Resource not accessible by integration" });
            return (StatusCode::FORBIDDEN, Json(refusal)).into_response();
        }
        answer(&mut seen, &method, &uri, &body)
    };
    let app = Router::new().fallback(handle).with_state(seen.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    (address, seen)
}

fn number(path: &str) -> usize {
    path.split('/').filter_map(|part| part.parse::<usize>().ok()).next_back().unwrap()
}

fn github_answer(seen: &mut Seen, method: &Method, uri: &Uri, body: &Value) -> Response {
    let path = uri.path();
    if path.ends_with("/dispatches") {
        assert_eq!(*body, json!({ "ref": "main", "inputs": { "reason": "drift" } }));
        return StatusCode::NO_CONTENT.into_response();
    }
    if path.ends_with("/comments") {
        return (StatusCode::CREATED, Json(json!({ "id": 1 }))).into_response();
    }
    if path.ends_with("/actions/runs/7/approvals") {
        let review = |state: &str, who: &str| json!({ "state": state, "comment": "ok", "user": { "login": who } });
        return Json(json!([review("approved", "eve"), review("rejected", "bob")])).into_response();
    }
    if *method == Method::GET {
        let asked = uri.query().unwrap();
        let open = seen.tickets.iter().filter(|ticket| {
            let mark = ticket["labels"][1].as_str().unwrap();
            ticket["state"] == "open" && asked.contains(&format!("lakegate%2C{mark}"))
        });
        return Json(open.cloned().collect::<Vec<_>>()).into_response();
    }
    if *method == Method::POST {
        let mut ticket = body.clone();
        assert_eq!(ticket["labels"][0], "lakegate");
        let number = seen.tickets.len() + 1;
        ticket["number"] = json!(number);
        ticket["state"] = json!("open");
        ticket["html_url"] = json!(format!("https://github.com/o/r/issues/{number}"));
        seen.tickets.push(ticket.clone());
        return (StatusCode::CREATED, Json(ticket)).into_response();
    }
    let ticket = &mut seen.tickets[number(path) - 1];
    for (name, value) in body.as_object().unwrap() {
        ticket[name] = value.clone();
    }
    Json(ticket.clone()).into_response()
}

fn azure_answer(seen: &mut Seen, _: &Method, uri: &Uri, body: &Value) -> Response {
    let path = uri.path();
    if path.ends_with("/runs") {
        assert_eq!(*body, json!({ "templateParameters": { "reason": "drift" } }));
        let place = json!({ "_links": { "web": { "href": "https://dev.azure.com/o/p/run/7" } } });
        return Json(place).into_response();
    }
    if path.ends_with("/pipelines/approvals") {
        let step = |status: &str, who: &str| json!({ "status": status, "actualApprover": { "uniqueName": who }, "comment": "", "lastModifiedOn": "2026-03-01T00:00:00Z" });
        let approval = |run: u64, who: &str| {
            let steps = [step("approved", who), step("pending", "bob@x")];
            json!({ "status": "approved", "pipeline": { "owner": { "id": run } }, "steps": steps })
        };
        let value = [approval(7, "eve@x"), approval(8, "mallory@x")];
        return Json(json!({ "count": 2, "value": value })).into_response();
    }
    if path.ends_with("/wiql") {
        let query = body["query"].as_str().unwrap();
        let open = |ticket: &&Value| {
            let tag = ticket["System.Tags"].as_str().unwrap().split("; ").nth(1).unwrap();
            query.contains(&format!("'{tag}'")) && ticket["System.State"] == "To Do"
        };
        let items: Vec<Value> =
            seen.tickets.iter().filter(open).map(|ticket| json!({ "id": ticket["id"] })).collect();
        return Json(json!({ "workItems": items })).into_response();
    }
    let fields: Vec<(String, Value)> = body
        .as_array()
        .unwrap()
        .iter()
        .map(|patch| {
            let field = patch["path"].as_str().unwrap().trim_start_matches("/fields/");
            (field.to_owned(), patch["value"].clone())
        })
        .collect();
    if path.ends_with("/$Issue") {
        let id = seen.tickets.len() + 1;
        seen.tickets.push(json!({ "id": id, "System.State": "To Do" }));
    }
    let at = if path.ends_with("/$Issue") { seen.tickets.len() } else { number(path) };
    for (name, value) in fields {
        // The Basic process knows Done, and not Closed.
        if name == "System.State" && value == "Closed" {
            return (StatusCode::BAD_REQUEST, Json(json!({ "message": "no such state" })))
                .into_response();
        }
        seen.tickets[at - 1][name] = value;
    }
    Json(seen.tickets[at - 1].clone()).into_response()
}

fn masker() -> Masker {
    Arc::new(|_: &Secret| {})
}

fn github(address: &str) -> Forge {
    let env = Env::from([("GITHUB_TOKEN", "github-token"), ("GITHUB_API_URL", address)]);
    let context = Context { host: "github", repository: Some("o/r".into()), ..Context::default() };
    Forge::new(&context, &env, &masker()).unwrap()
}

fn azure(address: &str) -> Forge {
    let env = Env::from([
        ("SYSTEM_ACCESSTOKEN", "azure-token"),
        ("SYSTEM_COLLECTIONURI", address),
        ("SYSTEM_TEAMPROJECT", "the project"),
    ]);
    let context = Context { host: "azure", ..Context::default() };
    Forge::new(&context, &env, &masker()).unwrap()
}

fn ticket(key: &str, title: &str) -> Ticket {
    Ticket { key: key.into(), title: title.into(), body: "temp <drifted>".into() }
}

/// Told twice, closed twice, told again: two tickets, one of them open.
async fn lives(forge: &Forge, seen: &Shared) {
    let first = forge.tell(&ticket("a", "one")).await.unwrap();
    assert_eq!(forge.tell(&ticket("a", "two")).await.unwrap(), first);
    assert_ne!(forge.tell(&ticket("b", "other")).await.unwrap(), first);
    assert_eq!(forge.close("a", "over").await.unwrap(), Some(first.clone()));
    assert_eq!(forge.close("a", "over").await.unwrap(), None);
    assert_ne!(forge.tell(&ticket("a", "three")).await.unwrap(), first);
    assert_eq!(seen.lock().unwrap().tickets.len(), 3);
    let inputs = BTreeMap::from([("reason".to_owned(), "drift".to_owned())]);
    let pipeline = match forge {
        Forge::GitHub(_) => {
            Pipeline::Workflow { file: "retrain.yml".into(), branch: "main".into() }
        }
        Forge::Azure(_) => Pipeline::Azure { id: 42 },
    };
    assert!(forge.start(&pipeline, &inputs).await.unwrap().starts_with("https://"));
    seen.lock().unwrap().denies = true;
    let refused = forge.tell(&ticket("a", "four")).await.unwrap_err();
    let fault = refused.downcast_ref::<Fault>().unwrap();
    assert!(fault.hint.as_ref().unwrap().contains("needs"), "{fault:?}");
}

#[tokio::test]
async fn an_issue_is_opened_updated_closed_and_opened_again() {
    let (address, seen) = serve(github_answer, "github").await;
    lives(&github(&address), &seen).await;
    let told = seen.lock().unwrap();
    assert_eq!(told.tickets[0]["title"], "two");
    assert_eq!(told.tickets[0]["state"], "closed");
    let dispatch = "POST /repos/o/r/actions/workflows/retrain.yml/dispatches";
    assert!(told.calls.iter().any(|call| call == dispatch), "{:?}", told.calls);
}

#[tokio::test]
async fn a_path_before_the_api_is_kept() {
    let (address, seen) = serve(github_answer, "github").await;
    github(&format!("{address}/api/v3")).close("a", "over").await.unwrap();
    assert_eq!(seen.lock().unwrap().calls, ["GET /api/v3/repos/o/r/issues"]);
}

#[tokio::test]
async fn a_work_item_is_made_updated_closed_and_made_again() {
    let (address, seen) = serve(azure_answer, "azure").await;
    lives(&azure(&address), &seen).await;
    let told = seen.lock().unwrap();
    assert_eq!(told.tickets[0]["System.State"], "Done");
    assert_eq!(told.tickets[0]["System.Title"], "two");
    assert_eq!(told.tickets[0]["System.Description"], "<pre>temp &lt;drifted&gt;</pre>");
    let run = "POST /the%20project/_apis/pipelines/42/runs";
    assert!(told.calls.iter().any(|call| call == run), "{:?}", told.calls);
}

#[tokio::test]
async fn approvals_are_those_of_the_run() {
    let (address, _) = serve(github_answer, "github").await;
    let given = github(&address).approvals("7").await.unwrap();
    assert_eq!(given, [Given { who: "eve".into(), at: None, comment: "ok".into() }]);
    let (address, seen) = serve(azure_answer, "azure").await;
    let given = azure(&address).approvals("7").await.unwrap();
    assert_eq!(given.len(), 1);
    assert_eq!(
        (given[0].who.as_str(), given[0].at.as_deref()),
        ("eve@x", Some("2026-03-01T00:00:00Z"))
    );
    seen.lock().unwrap().denies = true;
    assert!(azure(&address).approvals("7").await.is_err());
}

#[test]
fn without_a_token_or_a_safe_address_nothing_is_sent() {
    let context = Context { host: "github", repository: Some("o/r".into()), ..Context::default() };
    let refused = |env: &Env| Forge::new(&context, env, &masker()).unwrap_err().message;
    assert!(refused(&Env::default()).contains("no GitHub token"));
    let open = [("GITHUB_TOKEN", "t"), ("GITHUB_API_URL", "http://api.example.com")];
    assert!(refused(&Env::from(open)).contains("no token was sent"));
    let local = Forge::new(&Context::default(), &Env::default(), &masker()).unwrap_err();
    assert!(local.message.contains("CI host"));
}
