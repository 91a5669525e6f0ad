//! Azure DevOps' own services, as far as the steps call them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

#[derive(Debug, Default)]
pub(crate) struct Host {
    pub(crate) refs: BTreeMap<String, String>,
    pub(crate) statuses: Vec<Value>,
    pub(crate) threads: Vec<Value>,
    pub(crate) tokens: usize,
}

pub(crate) type Shared = Arc<Mutex<Host>>;

pub(crate) const ISSUER: &str = "https://vstoken.dev.azure.test/acme";
pub(crate) const SUBJECT: &str = "p://acme/ml/flights";

async fn answer(
    State(host): State<Shared>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if headers.get("authorization").is_none_or(|value| value != "Bearer job-token") {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let mut host = host.lock().unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let path = uri.path().rsplit("/_apis/").next().unwrap_or_default().to_owned();
    let parts: Vec<&str> = path.split('/').collect();
    let found = match (method.as_str(), &parts[..]) {
        ("POST", [.., "oidctoken"]) => {
            host.tokens += 1;
            let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
            let claims =
                json!({ "iss": ISSUER, "sub": SUBJECT, "aud": "api://AzureADTokenExchange" });
            json!({ "oidcToken": format!("{}.{}.x", part(&json!({ "alg": "RS256" })), part(&claims)) })
        }
        ("GET", ["git", "repositories", "repo", "refs"]) => {
            let refs = host.refs.iter().map(|(name, id)| json!({ "name": name, "objectId": id }));
            json!({ "value": refs.collect::<Vec<_>>() })
        }
        ("POST", ["git", "repositories", "repo", "refs"]) => {
            let text = |name: &str| body[0][name].as_str().unwrap().to_owned();
            host.refs.insert(text("name"), text("newObjectId"));
            json!({ "value": [{ "success": true }] })
        }
        ("POST", [.., "statuses"]) => {
            let mut status = body;
            status["id"] = json!(host.statuses.len());
            host.statuses.push(status.clone());
            status
        }
        ("GET", ["git", "repositories", "repo", "pullRequests", "7", "statuses"]) => {
            json!({ "value": host.statuses })
        }
        ("GET", [.., "commits", _, "statuses"]) => json!({ "value": [] }),
        ("POST", [.., "pullrequestquery"]) => {
            let commit = body["queries"][0]["items"][0].as_str().unwrap();
            json!({ "results": [{ commit: [{ "pullRequestId": 7, "status": "completed" }] }] })
        }
        ("GET", [.., "threads"]) => json!({ "value": host.threads }),
        ("POST", [.., "threads"]) => {
            let mut thread = body;
            thread["id"] = json!(host.threads.len());
            thread["comments"][0]["id"] = json!(1);
            host.threads.push(thread.clone());
            thread
        }
        ("PATCH", [.., "threads", "0"]) => {
            host.threads[0]["status"] = body["status"].clone();
            host.threads[0].clone()
        }
        ("PATCH", [.., "threads", "0", "comments", "1"]) => {
            host.threads[0]["comments"][0]["content"] = body["content"].clone();
            host.threads[0].clone()
        }
        _ => return (StatusCode::NOT_FOUND, Json(json!({ "message": path }))).into_response(),
    };
    Json(found).into_response()
}

pub(crate) async fn host() -> (String, Shared) {
    let host = Shared::default();
    let app = Router::new().fallback(answer).with_state(host.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    (address, host)
}
