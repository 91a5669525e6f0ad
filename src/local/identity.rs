//! Who is calling: SCIM, discovery, and the OAuth endpoints.
//!
//! Client credentials are `lakegate` and the workspace's token. Identity
//! tokens are traded when their claims match a policy that the control
//! endpoint set; signatures are not checked, as no issuer can be reached.

use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::http::header::{AUTHORIZATION, HOST};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::error::{Answer, ApiFault};
use super::{Shared, USER, Workspace};
use crate::sys::clock;

const LIFETIME_SECONDS: i64 = 3600;
const CLIENT_ID: &str = "lakegate";

#[derive(Debug, Serialize, Deserialize)]
struct Minted {
    expires_at: i64,
}

/// Which identity tokens are traded, as a federation policy says it.
#[derive(Debug, Serialize, Deserialize)]
struct Policy {
    issuer: String,
    subject: String,
}

pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route("/api/2.0/preview/scim/v2/Me", get(me))
        .route("/api/2.0/preview/scim/v2/Users", get(users))
        .route("/__lakegate/federation", post(set_policy))
}

/// Routes that a caller without a token needs in order to get one.
pub(crate) fn open_routes() -> Router<Shared> {
    Router::new()
        .route("/.well-known/databricks-config", get(config))
        .route("/oidc/.well-known/oauth-authorization-server", get(discovery))
        .route("/oidc/v1/token", post(token))
        .route("/__lakegate/health", get(|| async { Json(json!({ "status": "ok" })) }))
}

pub(crate) fn is_minted(workspace: &Workspace, token: &str) -> bool {
    let known = workspace.store.get::<Minted>("token", token).ok().flatten();
    known.is_some_and(|minted| minted.expires_at > clock::now_ms())
}

#[derive(Debug, Default, Deserialize)]
struct Asked {
    filter: Option<String>,
}

/// There is one user; filters are `userName eq "…"`.
async fn users(Query(asked): Query<Asked>) -> Answer<Json<Value>> {
    let is_meant = match asked.filter.as_deref() {
        None => true,
        Some(filter) => {
            let named = filter.strip_prefix("userName eq \"").and_then(|it| it.strip_suffix('"'));
            let named = named.ok_or_else(|| {
                ApiFault::unsupported(format!("the filter `{filter}` (`userName eq` is known)"))
            })?;
            named.eq_ignore_ascii_case(USER)
        }
    };
    let found: Vec<Value> = is_meant.then(user).into_iter().collect();
    Ok(Json(json!({
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:ListResponse"],
        "totalResults": found.len(),
        "startIndex": 1,
        "itemsPerPage": found.len(),
        "Resources": found,
    })))
}

async fn me() -> Json<Value> {
    Json(user())
}

fn user() -> Value {
    json!({
        "id": "1",
        "userName": USER,
        "displayName": "You",
        "active": true,
        "emails": [{ "value": USER, "primary": true, "type": "work" }],
        "groups": [{ "display": "admins", "value": "1" }],
    })
}

fn own_address(headers: &HeaderMap) -> String {
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("127.0.0.1");
    format!("http://{host}")
}

async fn config(headers: HeaderMap) -> Json<Value> {
    Json(json!({
        "oidc_endpoint": format!("{}/oidc", own_address(&headers)),
        "workspace_id": "1",
        "host_type": "WORKSPACE",
    }))
}

async fn discovery(headers: HeaderMap) -> Json<Value> {
    let host = own_address(&headers);
    Json(json!({
        "issuer": format!("{host}/oidc"),
        "token_endpoint": format!("{host}/oidc/v1/token"),
        "authorization_endpoint": format!("{host}/oidc/v1/authorize"),
    }))
}

async fn set_policy(
    State(workspace): State<Shared>,
    Json(policy): Json<Policy>,
) -> Answer<Json<Value>> {
    let id = format!("{} {}", policy.issuer, policy.subject);
    workspace.store.put("federation", &id, &policy)?;
    Ok(Json(json!({})))
}

async fn token(
    State(workspace): State<Shared>,
    headers: HeaderMap,
    body: Bytes,
) -> Answer<Json<Value>> {
    let form: std::collections::HashMap<_, _> =
        url::form_urlencoded::parse(&body).into_owned().collect();
    let field = |name: &str| form.get(name).map(String::as_str).unwrap_or_default();
    match field("grant_type") {
        "client_credentials" => {
            check_client(&workspace, &headers, field("client_id"), field("client_secret"))?
        }
        "urn:ietf:params:oauth:grant-type:token-exchange" => {
            check_identity(&workspace, field("subject_token"))?
        }
        other => return Err(ApiFault::unsupported(format!("the grant type `{other}`"))),
    }
    let token = format!("local-{}", uuid::Uuid::new_v4().simple());
    let expires_at = clock::now_ms() + LIFETIME_SECONDS * 1000;
    workspace.store.put("token", &token, &Minted { expires_at })?;
    Ok(Json(
        json!({ "access_token": token, "token_type": "Bearer", "expires_in": LIFETIME_SECONDS, "scope": "all-apis" }),
    ))
}

fn check_client(workspace: &Workspace, headers: &HeaderMap, id: &str, secret: &str) -> Answer<()> {
    let basic =
        headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Basic "));
    let decoded = basic.and_then(|text| String::from_utf8(STANDARD.decode(text).ok()?).ok());
    let (id, secret) = match decoded.as_deref().and_then(|pair| pair.split_once(':')) {
        Some((id, secret)) => (id.to_owned(), secret.to_owned()),
        None => (id.to_owned(), secret.to_owned()),
    };
    if id == CLIENT_ID && secret == workspace.token.expose() {
        return Ok(());
    }
    Err(ApiFault::unauthenticated("the client id or secret is wrong"))
}

fn check_identity(workspace: &Workspace, token: &str) -> Answer<()> {
    let refused = |message: String| Err(ApiFault::unauthenticated(message));
    let payload = token.split('.').nth(1).and_then(|part| URL_SAFE_NO_PAD.decode(part).ok());
    let Some(claims) = payload.and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok())
    else {
        return refused("the subject token is not a JWT".into());
    };
    let claim = |name: &str| claims[name].as_str().unwrap_or_default().to_owned();
    let (issuer, subject) = (claim("iss"), claim("sub"));
    if claims["exp"].as_i64().is_some_and(|end| end * 1000 < clock::now_ms()) {
        return refused("the subject token has expired".into());
    }
    match workspace.store.get::<Policy>("federation", &format!("{issuer} {subject}"))? {
        Some(_) => Ok(()),
        None => {
            refused(format!("no federation policy allows subject `{subject}` of issuer `{issuer}`"))
        }
    }
}
