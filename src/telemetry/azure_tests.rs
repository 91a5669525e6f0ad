//! Azure Monitor as a server that looks at what it is sent.

// They need a server.
#![cfg(feature = "local")]

use std::io::Read as _;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::IntoResponse as _;
use axum::routing::post;
use proptest::prelude::*;
use serde_json::json;

use super::*;

#[derive(Default)]
struct Seen {
    forms: Vec<String>,
    records: Vec<Value>,
    sizes: Vec<usize>,
    calls: usize,
}

type Shared = Arc<Mutex<Seen>>;

/// Answers the first call of each stream with 429.
async fn serve() -> (String, Shared) {
    let seen = Shared::default();
    let login = |State(seen): State<Shared>, body: String| async move {
        seen.lock().unwrap().forms.push(body);
        axum::Json(json!({ "access_token": "entra-token", "expires_in": 3600 }))
    };
    let take = |State(seen): State<Shared>, uri: Uri, headers: HeaderMap, body: Bytes| async move {
        let mut seen = seen.lock().unwrap();
        seen.calls += 1;
        if seen.calls == 1 {
            return (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "0")], "busy").into_response();
        }
        assert_eq!(headers["authorization"], "Bearer entra-token");
        assert_eq!(uri.query(), Some("api-version=2023-01-01"));
        let mut text = String::new();
        flate2::read::GzDecoder::new(&body[..]).read_to_string(&mut text).unwrap();
        seen.sizes.push(text.len());
        let Value::Array(records) = serde_json::from_str(&text).unwrap() else { panic!() };
        seen.records.extend(records);
        StatusCode::NO_CONTENT.into_response()
    };
    let app = Router::new()
        .route("/tenant/oauth2/v2.0/token", post(login))
        .route("/dataCollectionRules/dcr-1/streams/Custom-Drift", post(take))
        .with_state(seen.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    (address, seen)
}

fn config(endpoint: &str) -> AzureMonitor {
    AzureMonitor {
        endpoint: endpoint.to_owned(),
        rule: "dcr-1".into(),
        stream: "Custom-Drift".into(),
        decisions: Some("Custom-Decisions".into()),
    }
}

fn env(authority: &str) -> Env {
    Env::from([
        ("AZURE_AUTHORITY_HOST", authority),
        ("AZURE_TENANT_ID", "tenant"),
        ("AZURE_CLIENT_ID", "app"),
        ("AZURE_CLIENT_SECRET", "s3cret"),
    ])
}

#[tokio::test]
async fn records_arrive_in_parts_and_a_busy_service_is_borne() {
    let (address, seen) = serve().await;
    let masked = Arc::new(Mutex::new(Vec::new()));
    let kept = masked.clone();
    let masker: Masker =
        Arc::new(move |secret: &Secret| kept.lock().unwrap().push(secret.expose().to_owned()));
    let monitor = Monitor::new(&config(&address), &env(&address), masker).unwrap();
    let records: Vec<Value> =
        (0..30).map(|at| json!({ "event_id": at, "reason": "x".repeat(100_000) })).collect();
    monitor.send(&monitor.results, &records).await.unwrap();
    let seen = seen.lock().unwrap();
    assert_eq!(seen.records, records);
    assert!(seen.sizes.len() == 4 && seen.sizes.iter().all(|size| *size <= LARGEST));
    assert!(seen.forms[0].contains("scope=https%3A%2F%2Fmonitor.azure.com%2F.default"));
    let decisions = monitor.decisions.as_ref().unwrap();
    assert_eq!(decisions.path(), "/dataCollectionRules/dcr-1/streams/Custom-Decisions");
    assert_eq!(*masked.lock().unwrap(), ["s3cret", "entra-token"]);
}

#[tokio::test]
async fn a_refusal_names_the_role() {
    let (address, _) = serve().await;
    let app = Router::new().fallback(|| async { (StatusCode::FORBIDDEN, "no") });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let refusing = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    let monitor = Monitor::new(&config(&refusing), &env(&address), Arc::new(|_| {})).unwrap();
    let error = format!("{:#}", monitor.send(&monitor.results, &[json!({})]).await.unwrap_err());
    assert!(
        error.contains("HTTP 403") && error.contains("Monitoring Metrics Publisher"),
        "{error}"
    );
}

#[test]
fn no_token_is_minted_for_another_host() {
    let refused = |endpoint: &str, env: &Env| {
        Monitor::new(&config(endpoint), env, Arc::new(|_| {})).unwrap_err().to_string()
    };
    let whole = env("https://login.microsoftonline.com");
    for evil in [
        "https://evil.test",
        "https://x.ingest.monitor.azure.com.evil.test",
        "http://x.eastus-1.ingest.monitor.azure.com",
    ] {
        assert!(refused(evil, &whole).contains("token"), "{evil}");
    }
    let good = "https://x.eastus-1.ingest.monitor.azure.com";
    assert!(Monitor::new(&config(good), &whole, Arc::new(|_| {})).is_ok());
    assert!(refused(good, &Env::default()).contains("AZURE_TENANT_ID"));
    let mut without = whole.clone();
    without.set("AZURE_CLIENT_SECRET", "");
    assert!(refused(good, &without).contains("sign in"));
}

proptest! {
    #[test]
    fn parts_hold_every_record_once(lengths in prop::collection::vec(0usize..400_000, 0..12)) {
        let records: Vec<Value> = lengths.iter().map(|length| json!("x".repeat(*length))).collect();
        let parts = parts(&records).unwrap();
        prop_assert!(parts.iter().all(|part| part.len() <= LARGEST));
        let joined: Vec<Value> = parts
            .iter()
            .flat_map(|part| serde_json::from_str::<Vec<Value>>(part).unwrap())
            .collect();
        prop_assert_eq!(joined, records);
    }
}
