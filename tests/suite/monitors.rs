//! Data profiling in both generations of its API. The embedded workspace has
//! none: a server in front of it answers for the monitor, with metric tables
//! that lie in the workspace.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::support::{Served, text, within};

#[derive(Debug, Clone)]
struct Front {
    behind: String,
    /// Whether the current API is there.
    current: bool,
    calls: Arc<Mutex<Vec<String>>>,
    /// What the monitor was made from; it is missing until then.
    made: Arc<Mutex<Option<Value>>>,
}

async fn answer(
    State(front): State<Front>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let path = uri.path().to_owned();
    let is_current = path.starts_with("/api/data-quality/");
    if !is_current && !path.contains("/monitor") {
        return forward(&front.behind, method, &uri, headers, body).await;
    }
    front.calls.lock().unwrap().push(format!("{method} {path}"));
    if is_current && !front.current {
        let unknown = json!({ "error_code": "ENDPOINT_NOT_FOUND", "message": "no such API" });
        return (StatusCode::NOT_FOUND, Json(unknown)).into_response();
    }
    if method == Method::POST && !path.ends_with("/refreshes") {
        *front.made.lock().unwrap() = Some(serde_json::from_slice(&body).unwrap());
    } else if front.made.lock().unwrap().is_none() {
        let missing = json!({ "error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no monitor" });
        return (StatusCode::NOT_FOUND, Json(missing)).into_response();
    } else if method == Method::POST {
        return Json(json!({ "refresh_id": 17, "state": "PENDING" })).into_response();
    }
    if path.ends_with("/17") {
        let polls = front.calls.lock().unwrap().iter().filter(|call| call.ends_with("/17")).count();
        let state = if polls < 3 { "RUNNING" } else { "SUCCESS" };
        let state =
            if front.current { format!("MONITOR_REFRESH_STATE_{state}") } else { state.into() };
        return Json(json!({ "refresh_id": 17, "state": state })).into_response();
    }
    let config = json!({
        "status": "MONITOR_STATUS_ACTIVE",
        "baseline_table_name": "main.default.then",
        "profile_metrics_table_name": "main.default.now_profile_metrics",
        "drift_metrics_table_name": "main.default.now_drift_metrics",
    });
    let config = if front.current { json!({ "data_profiling_config": config }) } else { config };
    Json(config).into_response()
}

async fn forward(
    behind: &str,
    method: Method,
    uri: &Uri,
    mut headers: HeaderMap,
    body: Bytes,
) -> Response {
    headers.remove("host");
    let asked = reqwest::Client::new()
        .request(method, format!("{behind}{uri}"))
        .headers(headers)
        .body(body)
        .send()
        .await
        .unwrap();
    let status = asked.status();
    let body = asked.bytes().await.unwrap();
    let (name, id) = match uri.path() {
        "/api/2.1/unity-catalog/tables/main.default.now" => ("table_id", "0a1b"),
        "/api/2.1/unity-catalog/schemas/main.default" => ("schema_id", "5c2d"),
        _ => return (status, [("content-type", "application/json")], body).into_response(),
    };
    let mut object: Value = serde_json::from_slice(&body).unwrap();
    object[name] = json!(id);
    Json(object).into_response()
}

/// Ten days, today the last of them, each with this distance in the column `x`.
async fn metrics(served: &Served, size: &str) {
    const DAY: i64 = 86_400_000;
    let today = lakegate::sys::clock::now_ms() / DAY * DAY;
    let time = |ms: i64| format!("CAST('{}' AS TIMESTAMP)", lakegate::names::instant(ms));
    let window = |back: i64| {
        let start = today - back * DAY;
        format!("named_struct('start', {}, 'end', {})", time(start), time(start + DAY))
    };
    let whole = "'1 day' AS granularity, CAST(NULL AS STRING) AS slice_key, CAST(NULL AS STRING) AS slice_value";
    let drift = (0..10).map(|back| {
        let window = window(back);
        format!(
            "SELECT {window} AS `window`, {whole}, 'x' AS column_name, 'BASELINE' AS drift_type, {size} AS js_distance, \
             named_struct('statistic', {size}, 'pvalue', 1e-9) AS ks_test"
        )
    });
    let profile = (0..10).flat_map(|back| {
        let window = window(back);
        [("INPUT", ":table"), ("INPUT", "x"), ("BASELINE", ":table"), ("BASELINE", "x")].map(
            move |(kind, column)| {
                format!(
                    "SELECT {window} AS `window`, {whole}, '{kind}' AS log_type, '{column}' AS column_name, 5000 AS `count`, 10 AS num_nulls"
                )
            },
        )
    });
    for (name, rows) in
        [("drift", drift.collect::<Vec<_>>()), ("profile", profile.collect::<Vec<_>>())]
    {
        let table = format!("main.default.now_{name}_metrics");
        served.sql(&format!("DROP TABLE IF EXISTS {table}")).await;
        served.sql(&format!("CREATE TABLE {table} AS {}", rows.join(" UNION ALL "))).await;
    }
}

async fn front(served: &Served, current: bool, made: Option<Value>) -> (String, Front) {
    let behind = served.host.clone();
    let made = Arc::new(Mutex::new(made));
    let front = Front { behind, current, calls: Arc::default(), made };
    let app = Router::new().fallback(answer).with_state(front.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    (address, front)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_monitor_is_made_by_whichever_generation_there_is() {
    let dir = tempfile::tempdir().unwrap();
    let served = Served::start(&dir.path().join("workspace"));
    for name in ["then", "now"] {
        served.sql(&format!("CREATE TABLE main.default.{name} AS SELECT 1 AS x")).await;
    }
    metrics(&served, "0.01").await;
    let create = "{output_schema_name: main.default, time_series: {timestamp_col: at, granularities: [1 day]}}";
    let policy = format!(
        "drift: {{baseline: main.default.then, current: main.default.now, monitor: {{create: {create}}}}}\n"
    );
    std::fs::write(dir.path().join("lakegate.yml"), policy).unwrap();
    for current in [true, false] {
        let (address, front) = front(&served, current, None).await;
        let mut command = served.command();
        command.arg("drift-check").current_dir(dir.path()).env("DATABRICKS_HOST", &address);
        let output = within(Duration::from_secs(60), &mut command);
        let told = text(&output.stdout) + &text(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{told}");
        let made = front.made.lock().unwrap().clone().unwrap();
        if current {
            let config = &made["data_profiling_config"];
            assert_eq!(
                (&made["object_id"], &config["output_schema_id"]),
                (&json!("0a1b"), &json!("5c2d"))
            );
            let windows = &config["time_series"]["granularities"];
            assert_eq!(*windows, json!(["AGGREGATION_GRANULARITY_1_DAY"]));
        } else {
            assert_eq!(made["output_schema_name"], "main.default");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_monitor_is_refreshed_read_and_judged_in_both_generations() {
    let dir = tempfile::tempdir().unwrap();
    let served = Served::start(&dir.path().join("workspace"));
    for name in ["then", "now"] {
        served.sql(&format!("CREATE TABLE main.default.{name} AS SELECT 1 AS x")).await;
    }
    let policy = "drift: {baseline: main.default.then, current: main.default.now, monitor: {}}\n";
    std::fs::write(dir.path().join("lakegate.yml"), policy).unwrap();
    for current in [true, false] {
        let (address, front) = front(&served, current, Some(json!({}))).await;
        let calls = front.calls.clone();
        let run = || {
            let mut command = served.command();
            command.arg("drift-check").current_dir(dir.path()).env("DATABRICKS_HOST", &address);
            let output = within(Duration::from_secs(60), &mut command);
            (output.status.code(), text(&output.stdout) + &text(&output.stderr))
        };
        metrics(&served, "0.4").await;
        let (code, told) = run();
        assert_eq!(code, Some(1), "{told}");
        assert!(told.contains("ks 0.4 ≥ 0.1"), "{told}");
        assert!(told.contains("leave out 1 that are not over yet"), "{told}");
        metrics(&served, "0.01").await;
        let (code, told) = run();
        assert_eq!(code, Some(0), "{told}");
        served.sql("DELETE FROM main.default.now_drift_metrics WHERE column_name = 'x'").await;
        let (code, told) = run();
        assert!(code == Some(1) && told.contains("has no window that is over"), "{told}");
        let told = calls.lock().unwrap();
        let refreshes = if current {
            "POST /api/data-quality/v1/monitors/table/0a1b/refreshes"
        } else {
            "POST /api/2.1/unity-catalog/tables/main.default.now/monitor/refreshes"
        };
        assert_eq!(told.iter().filter(|call| *call == refreshes).count(), 3, "{told:?}");
    }
    let (code, told) = {
        let mut command = served.command();
        command.arg("drift-check").current_dir(dir.path());
        let output = within(Duration::from_secs(60), &mut command);
        (output.status.code(), text(&output.stdout) + &text(&output.stderr))
    };
    assert!(code != Some(0) && told.contains("monitor"), "{told}");
}
