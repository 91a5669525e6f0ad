//! What follows from drift: once per window, not too often, and told to people.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{Method, StatusCode, Uri};
use axum::response::IntoResponse as _;
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::support::{Served, text, within};

/// Calls and the one issue that a repository has.
#[derive(Debug, Default)]
struct Seen {
    calls: Vec<(String, Value)>,
    issue: Option<Value>,
}

type Shared = Arc<Mutex<Seen>>;

/// GitHub and Slack in one.
async fn outside() -> (String, Shared) {
    let seen = Shared::default();
    let handle = async |State(seen): State<Shared>, method: Method, uri: Uri, body: Bytes| {
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        let mut seen = seen.lock().unwrap();
        seen.calls.push((format!("{method} {}", uri.path()), body.clone()));
        if uri.path().ends_with("/dispatches") || uri.path() == "/slack" {
            return StatusCode::NO_CONTENT.into_response();
        }
        if uri.path().ends_with("/comments") {
            return Json(json!({})).into_response();
        }
        if method == Method::GET {
            let open = seen.issue.iter().filter(|issue| issue["state"] == "open");
            return Json(open.cloned().collect::<Vec<_>>()).into_response();
        }
        let mut issue = seen.issue.take().unwrap_or_else(
            || json!({ "number": 1, "state": "open", "html_url": "https://github.com/o/r/issues/1" }),
        );
        for (name, value) in body.as_object().unwrap() {
            issue[name] = value.clone();
        }
        seen.issue = Some(issue.clone());
        Json(issue).into_response()
    };
    let app = Router::new().fallback(handle).with_state(seen.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    (address, seen)
}

impl Seen {
    fn dispatches(&self) -> usize {
        self.calls.iter().filter(|(call, _)| call.ends_with("/dispatches")).count()
    }
}

async fn tables(served: &Served) {
    for (name, moved) in [("then", 0), ("now", 5)] {
        let text = format!("SELECT value % 9 + {moved} AS n FROM generate_series(1, 2000)");
        served.sql(&format!("CREATE TABLE main.default.{name} AS {text}")).await;
    }
}

fn policy(dir: &Path, current: &str, more: &str) {
    let text = format!(
        "record: {{schema: main.default}}\ndrift: {{baseline: main.default.then, current: main.default.{current}{more}}}\n"
    );
    std::fs::write(dir.join("lakegate.yml"), text).unwrap();
}

fn on_github(served: &Served, dir: &Path, address: &str) -> Command {
    let mut command = served.command();
    command.arg("drift-check").current_dir(dir).envs([
        ("GITHUB_ACTIONS", "true"),
        ("GITHUB_REPOSITORY", "o/r"),
        ("GITHUB_TOKEN", "ghs_0123456789"),
        ("GITHUB_API_URL", address),
    ]);
    command.env("SLACK_HOOK", format!("{address}/slack"));
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workflow_is_dispatched_once_and_the_issue_closes_when_it_is_over() {
    let dir = tempfile::tempdir().unwrap();
    let served = Served::start(&dir.path().join("workspace"));
    tables(&served).await;
    let (address, seen) = outside().await;
    let reactions = ", on_drift: retrain, retrain: {workflow: {file: retrain.yml}}, notify: {ticket: true, slack: SLACK_HOOK}";
    policy(dir.path(), "now", reactions);
    let spawn = || {
        let mut command = on_github(&served, dir.path(), &address);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    for child in [spawn(), spawn()] {
        let output = child.wait_with_output().unwrap();
        let told = text(&output.stdout);
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(!told.contains("what follows failed"), "{told}");
    }
    // Later, the same window again.
    let again = within(Duration::from_secs(60), &mut on_github(&served, dir.path(), &address));
    assert!(text(&again.stdout).contains("by an earlier check"), "{}", text(&again.stdout));
    {
        let told = seen.lock().unwrap();
        assert_eq!(told.dispatches(), 1, "{:#?}", told.calls);
        let issue = told.issue.as_ref().unwrap();
        assert_eq!((&issue["state"], &issue["labels"][0]), (&json!("open"), &json!("lakegate")));
        assert!(issue["body"].as_str().unwrap().contains("1 of 1 columns drifted"), "{issue}");
        let slack = told.calls.iter().find(|(call, _)| call == "POST /slack").unwrap();
        assert!(slack.1["text"].as_str().unwrap().starts_with("*drift in main.default.now*"));
    }
    let rows = served
        .sql("SELECT phase, reaction, count(*) FROM main.default.drift_decisions GROUP BY phase, reaction ORDER BY phase")
        .await;
    let row = |phase: &str| [phase, "retrain", "1"].map(|cell| Some(cell.to_owned())).to_vec();
    assert_eq!(rows, [row("claim"), row("outcome")]);
    // A check that was killed before it could say so may have started it, or not.
    served.sql("DELETE FROM main.default.drift_decisions WHERE phase = 'outcome'").await;
    served.sql("UPDATE main.default.drift_decisions SET `at` = '2026-01-01T00:00:00Z'").await;
    for _ in 0..2 {
        let lost = within(Duration::from_secs(60), &mut on_github(&served, dir.path(), &address));
        let lost = text(&lost.stdout);
        assert!(lost.contains("never said that it did"), "{lost}");
    }
    assert_eq!(seen.lock().unwrap().dispatches(), 1);
    // The data is as it was: the matter is over.
    served.sql("DELETE FROM main.default.now WHERE n >= 0").await;
    served.sql("INSERT INTO main.default.now SELECT n FROM main.default.then").await;
    let over = within(Duration::from_secs(60), &mut on_github(&served, dir.path(), &address));
    assert_eq!(over.status.code(), Some(0), "{}", text(&over.stdout));
    assert_eq!(seen.lock().unwrap().issue.as_ref().unwrap()["state"], "closed");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_after_a_verdict_hides_nothing_of_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    let served = Served::start(&dir.path().join("workspace"));
    tables(&served).await;
    let (address, seen) = outside().await;
    let run = |window: &str, more: &str| {
        policy(dir.path(), "now", more);
        let mut command = on_github(&served, dir.path(), &address);
        let output = within(Duration::from_secs(60), command.args(["--window", window, "--json"]));
        assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    let found = run(
        "a",
        ", on_drift: retrain, retrain_job: missing, notify: {teams: NOWHERE, slack: SLACK_HOOK}",
    );
    assert_eq!(found["outputs"]["decision"], "failed");
    let told =
        seen.lock().unwrap().calls.iter().map(|(_, body)| body.to_string()).collect::<String>();
    assert!(told.contains("what follows failed"), "{told}");
    assert_eq!(found.to_string().matches("drift/reaction").count(), 2, "{found}");

    let client = served.client();
    client.workspace_mkdirs("/Workspace/jobs").await.unwrap();
    client.workspace_write("/Workspace/jobs/main.py", "print(1)".into(), true).await.unwrap();
    let task = json!({ "task_key": "t", "spark_python_task": { "python_file": "/Workspace/jobs/main.py" } });
    client.job_create(&json!({ "name": "retrain", "tasks": [task] })).await.unwrap();
    let found = run("b", ", on_drift: retrain, retrain_job: retrain, notify: {slack: NOWHERE}");
    assert_eq!(found["outputs"]["decision"], "retrain");
    assert!(found["outputs"]["retrain-run-id"].is_string(), "{found}");
    assert!(found["reason"].as_str().unwrap().contains("not everybody was told"), "{found}");
}

/// The pipeline that watches is the one that trains: it is started again, once.
#[tokio::test(flavor = "multi_thread")]
async fn the_whole_loop_begins_anew() {
    let dir = tempfile::tempdir().unwrap();
    let served = Served::start(&dir.path().join("workspace"));
    tables(&served).await;
    let (address, seen) = outside().await;
    policy(dir.path(), "now", ", on_drift: retrain, retrain_job: missing");
    let here = |name: &str, value: &str| {
        let mut command = on_github(&served, dir.path(), &address);
        command.arg("--retrain-here").env("GITHUB_REF_NAME", "main").env(name, value);
        let output = within(Duration::from_secs(60), &mut command);
        text(&output.stdout)
    };
    let told = here("NOTHING", "");
    assert!(told.contains("it is not known which pipeline this is"), "{told}");
    for _ in 0..2 {
        here("GITHUB_WORKFLOW_REF", "o/r/.github/workflows/loop.yml@refs/heads/main");
    }
    let calls = seen.lock().unwrap().calls.clone();
    let begun: Vec<_> = calls.iter().filter(|(call, _)| call.ends_with("/dispatches")).collect();
    let path = "POST /repos/o/r/actions/workflows/loop.yml/dispatches";
    assert_eq!(begun, [&(path.to_owned(), json!({ "ref": "main", "inputs": {} }))]);
}

#[tokio::test(flavor = "multi_thread")]
async fn retraining_waits_for_its_cool_down_and_stays_within_its_budget() {
    let dir = tempfile::tempdir().unwrap();
    let served = Served::start(&dir.path().join("workspace"));
    tables(&served).await;
    let client = served.client();
    client.workspace_mkdirs("/Workspace/jobs").await.unwrap();
    client.workspace_write("/Workspace/jobs/main.py", "print(1)".into(), true).await.unwrap();
    let task = json!({ "task_key": "t", "spark_python_task": { "python_file": "/Workspace/jobs/main.py" } });
    client.job_create(&json!({ "name": "retrain", "tasks": [task] })).await.unwrap();
    let run = |window: &str| {
        let mut command = served.command();
        command.args(["drift-check", "--window", window]).current_dir(dir.path());
        let output = within(Duration::from_secs(60), &mut command);
        assert_eq!(output.status.code(), Some(1), "{}", text(&output.stdout));
        text(&output.stdout)
    };
    let with = |limit: &str| {
        let more = format!(", on_drift: retrain, retrain_job: retrain, retrain: {{{limit}}}");
        policy(dir.path(), "now", &more);
    };
    with("cool_down: 1d");
    assert!(run("monday").contains("retraining run"));
    assert!(run("monday").contains("retraining run"), "the same window has its run");
    let held = run("tuesday");
    assert!(held.contains(" ago, the cool-down is 24 h 00 min"), "{held}");
    with("budget: {runs: 2, per: 30d}");
    assert!(run("wednesday").contains("retraining run"));
    let held = run("thursday");
    assert!(held.contains("no retraining: 2 of 2 in 30 d 00 h are spent"), "{held}");
    let rows = served
        .sql("SELECT count(*) FROM main.default.drift_decisions WHERE reaction = 'held-back'")
        .await;
    assert_eq!(rows[0], [Some("2".to_owned())]);
    let runs = served
        .sql("SELECT count(DISTINCT run_url) FROM main.default.drift_decisions WHERE reaction = 'retrain' AND phase = 'outcome'")
        .await;
    assert_eq!(runs[0], [Some("2".to_owned())]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_sees_what_it_may_and_its_failure_counts() {
    let dir = tempfile::tempdir().unwrap();
    let served = Served::start(&dir.path().join("workspace"));
    tables(&served).await;
    let run = |script: &str| {
        let command =
            format!(", on_drift: command, command: {{run: [sh, -c, \"{script}\"], env: [PAGER]}}");
        policy(dir.path(), "now", &command);
        let mut command = served.command();
        command.args(["drift-check", "--window=w1"]).current_dir(dir.path());
        command.envs([("PAGER", "cat"), ("OTHER", "hidden")]);
        let output = within(Duration::from_secs(60), &mut command);
        (output.status.code(), text(&output.stdout) + &text(&output.stderr))
    };
    let script = "echo $LAKEGATE_STATE-$LAKEGATE_WINDOW-$PAGER-$OTHER-$DATABRICKS_TOKEN-end";
    let (code, told) = run(script);
    assert!(code == Some(1) && told.contains("drift-w1-cat---end"), "{told}");
    let (code, told) = run("exit 3");
    assert!(code == Some(1) && told.contains("`sh` ended with exit status: 3"), "{told}");
    let failed = served
        .sql("SELECT count(*) FROM main.default.drift_decisions WHERE reaction = 'failed'")
        .await;
    assert_eq!(failed[0], [Some("1".to_owned())], "the verdict is kept");
    let mut missing = served.command();
    missing.args(["drift-check", "--on-drift=nothing"]).current_dir(dir.path());
    let output = within(Duration::from_secs(60), &mut missing);
    assert_eq!(output.status.code(), Some(1));
}

/// An answer's rows, as text.
async fn lines(served: &Served, statement: &str) -> Vec<String> {
    let cell = |cell: &Option<String>| cell.clone().unwrap_or_else(|| "-".to_owned());
    let rows = served.sql(statement).await;
    rows.iter().map(|row| row.iter().map(cell).collect::<Vec<_>>().join(" ")).collect()
}

/// Two tables with times and slices, and a policy that looks at both.
async fn tables_by_day(served: &Served, dir: &Path) {
    let days = |name: &str, moved: u32, days: u32| {
        format!(
            "INSERT INTO main.default.{name} SELECT value % 7 + {moved}, CASE WHEN value % 2 = 0 THEN 'AA' ELSE 'UA' END, CAST(concat('2026-01-0', CAST(value % {days} + 1 AS STRING)) AS TIMESTAMP) FROM generate_series(1, 6000)"
        )
    };
    for name in ["then", "now"] {
        served
            .sql(&format!("CREATE TABLE main.default.{name} (n BIGINT, c STRING, t TIMESTAMP)"))
            .await;
    }
    served.sql(&days("then", 0, 4)).await;
    served.sql(&days("now", 3, 2)).await;
    let grouped =
        "exclude: [c, t], slices: [c], windows: {every: 1d, column: t}, on_drift: nothing";
    let grouped = format!(
        "drift: {{baseline: main.default.then, current: main.default.now, {grouped}}}\nrecord: {{schema: main.default}}\n"
    );
    std::fs::write(dir.join("lakegate.yml"), grouped).unwrap();
}

fn check(served: &Served, dir: &Path) {
    let mut command = served.command();
    let output = within(Duration::from_secs(60), command.arg("drift-check").current_dir(dir));
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stdout));
}

#[tokio::test(flavor = "multi_thread")]
async fn slices_and_windows_are_recorded_once() {
    let dir = tempfile::tempdir().unwrap();
    let served = Served::start(&dir.path().join("workspace"));
    tables_by_day(&served, dir.path()).await;
    check(&served, dir.path());
    check(&served, dir.path());
    let kinds = "SELECT drift_type, window_start, slice_key, slice_value, count(*) FROM main.default.drift_results GROUP BY 1, 2, 3, 4 ORDER BY 1, 2 NULLS FIRST, 4 NULLS FIRST";
    assert_eq!(
        lines(&served, kinds).await,
        [
            "BASELINE - - - 1",
            "BASELINE - c AA 1",
            "BASELINE - c UA 1",
            "BASELINE 2026-01-01 - - 1",
            "BASELINE 2026-01-02 - - 1",
            "CONSECUTIVE 2026-01-02 - - 1",
        ]
    );
    // A day that came since has rows of its own; the days before keep theirs.
    let third = "INSERT INTO main.default.now SELECT value % 7 + 3, 'AA', TIMESTAMP '2026-01-03' FROM generate_series(1, 3000)";
    served.sql(third).await;
    check(&served, dir.path());
    let windows = "SELECT window_start, drift_type, count(*) FROM main.default.drift_results WHERE window_start IS NOT NULL GROUP BY 1, 2 ORDER BY 1, 2";
    assert_eq!(
        lines(&served, windows).await,
        [
            "2026-01-01 BASELINE 1",
            "2026-01-02 BASELINE 1",
            "2026-01-02 CONSECUTIVE 1",
            "2026-01-03 BASELINE 1",
            "2026-01-03 CONSECUTIVE 1",
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_dashboard_and_the_view_for_power_bi_read_what_is_recorded() {
    let dir = tempfile::tempdir().unwrap();
    let served = Served::start(&dir.path().join("workspace"));
    tables_by_day(&served, dir.path()).await;
    check(&served, dir.path());
    let read = |name: &str| {
        let path = crate::support::root().join("templates/project/monitoring").join(name);
        std::fs::read_to_string(path).unwrap().replace("main.flights.", "main.default.")
    };
    let dashboard: Value = serde_json::from_str(&read("drift.lvdash.json")).unwrap();
    let mut known = std::collections::BTreeMap::new();
    for dataset in dashboard["datasets"].as_array().unwrap() {
        let lines = dataset["queryLines"].as_array().unwrap();
        let query: String = lines.iter().map(|line| line.as_str().unwrap()).collect();
        let statement = lakegate::databricks::sql::Statement::new(query);
        let answer = served.client().sql("local", &statement).await.unwrap();
        assert!(!answer.rows.is_empty(), "{dataset}");
        known.insert(dataset["name"].as_str().unwrap(), answer.columns);
    }
    for place in dashboard["pages"][0]["layout"].as_array().unwrap() {
        let query = &place["widget"]["queries"][0]["query"];
        let columns = &known[query["datasetName"].as_str().unwrap()];
        for field in query["fields"].as_array().unwrap() {
            let name = field["name"].as_str().unwrap();
            assert!(columns.iter().any(|column| column == name), "{name}: {columns:?}");
        }
    }
    let view = read("drift_for_power_bi.sql");
    let (_, select) = view.split_once(" AS\nSELECT").unwrap();
    let rows = served.sql(&format!("SELECT{select}")).await;
    assert!(rows.len() > 5 && rows[0].contains(&Some("drift".to_owned())), "{rows:?}");
    let view = read("drift_metrics.sql");
    let (_, select) = view.split_once(" AS\nSELECT").unwrap();
    let of = |what: &str, which: &str| format!("SELECT {what} FROM (SELECT{select}) WHERE {which}");
    let asked = async |what: &str, which: &str| served.sql(&of(what, which)).await;
    let named = "count(*), count(ks_test.statistic), count(ks_test.pvalue), count(percent_zeros_delta), min(drift_type)";
    let found = &asked(named, "window IS NULL AND data_type = 'numeric'").await[0];
    assert!(found[0] == found[1] && found[0] != Some("0".into()), "{found:?}");
    assert!(found[0] == found[3] && found[4] == Some("BASELINE".into()), "{found:?}");
    // A window of a day begins where the one before ends.
    let days = asked(
        "count(*), count(window_cmp.start), min(window.`end` - window.start) = max(window_cmp.`end` - window_cmp.start)",
        "drift_type = 'CONSECUTIVE' AND window.start = window_cmp.`end`",
    )
    .await;
    assert!(days[0][0] == days[0][1] && days[0][0] != Some("0".into()), "{days:?}");
    assert_eq!(days[0][2], Some("true".into()), "{days:?}");
}
