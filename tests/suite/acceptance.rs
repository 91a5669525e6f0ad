//! The tour: to its end, and through a kill in every step.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::support::{Served, lakegate, python, text, within};

const STEPS: usize = 39;

/// What must be the same however the tour went.
#[derive(Debug, PartialEq)]
struct Final {
    champion_months: String,
    online: String,
    rows: BTreeMap<&'static str, String>,
    successes: BTreeMap<String, usize>,
}

async fn state_of(dir: &Path) -> Final {
    let served = Served::start(&dir.join("workspace"));
    let http = reqwest::Client::new();
    let get = |path: String| {
        let request = http.get(format!("{}{path}", served.host)).bearer_auth(&served.token);
        async move { request.send().await.unwrap().json::<Value>().await.unwrap() }
    };
    let champion = get("/api/2.0/mlflow/unity-catalog/registered-models/alias?name=main.flights.late_arrival&alias=champion".into()).await;
    let tags = champion["model_version"]["tags"].as_array().unwrap().clone();
    let months = tags.iter().find(|tag| tag["key"] == "months").unwrap()["value"]
        .as_str()
        .unwrap()
        .to_owned();
    let online = get("/api/2.0/serving-endpoints/flights-late-local".into()).await;
    let online = online["config"]["served_entities"].as_array().unwrap();
    let online = online.iter().map(|served| served["name"].as_str().unwrap()).collect();
    let mut rows = BTreeMap::new();
    for table in [
        "features",
        "evaluation",
        "predictions",
        "gate_results",
        "promotions",
        "sign_offs",
        "drift_results",
    ] {
        let count = served.sql(&format!("SELECT count(*) FROM main.flights.{table}")).await;
        rows.insert(table, count[0][0].clone().unwrap());
    }
    let runs = get("/api/2.2/jobs/runs/list?limit=100".into()).await;
    let mut successes = BTreeMap::new();
    for run in runs["runs"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|run| run["state"]["result_state"] == "SUCCESS")
        // A merge request that was killed is tested again.
        .filter(|run| !run["run_name"].as_str().unwrap().starts_with('['))
    {
        *successes.entry(run["run_name"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    Final { champion_months: months, online, rows, successes }
}

fn done_steps(dir: &Path) -> usize {
    let text = std::fs::read_to_string(dir.join("tour.json")).unwrap_or_default();
    let travel: Value = serde_json::from_str(&text).unwrap_or_default();
    travel["done"].as_array().map_or(0, Vec::len)
}

/// Walks the tour, killing it once while each step is at work.
fn walk_with_kills(dir: &Path) {
    for step in 0..STEPS {
        let mut tour = lakegate();
        tour.arg("tour").arg("--dir").arg(dir).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = tour.spawn().unwrap();
        let wait_while = |at_work: &dyn Fn() -> bool, limit: Duration| {
            let begun = std::time::Instant::now();
            while at_work() && begun.elapsed() < limit {
                std::thread::sleep(Duration::from_millis(10));
            }
        };
        wait_while(&|| done_steps(dir) < step, Duration::from_secs(120));
        // Somewhere inside the step: early, in the middle or near its end. The last step
        // is not to end: a tour that is over would start anew.
        let limit = if step + 1 == STEPS { 0 } else { [30, 400, 1200][step % 3] };
        wait_while(&|| done_steps(dir) == step, Duration::from_millis(limit));
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

/// The steps that came otherwise than they should, with the end of their logs.
fn came_otherwise(dir: &Path, output: &Output) -> String {
    let told = std::fs::read_to_string(dir.join("tour.json")).unwrap_or_default();
    let travel: Value = serde_json::from_str(&told).unwrap_or_default();
    let steps = travel["done"].as_array().into_iter().flatten();
    let mut found = text(&output.stderr);
    for step in steps.filter(|step| step["as_expected"] != true) {
        let log = dir.join("logs").join(format!("{}.log", step["id"].as_str().unwrap()));
        let log = std::fs::read_to_string(log).unwrap_or_default();
        let from = log.lines().count().saturating_sub(20);
        let last: Vec<_> = log.lines().skip(from).collect();
        found += &format!("{}: {}\n{}\n", step["id"], step["reason"], last.join("\n"));
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn the_loop_runs_and_a_kill_in_any_step_changes_nothing() {
    python();
    let dir = tempfile::tempdir().unwrap();
    let (whole, killed) = (dir.path().join("whole"), dir.path().join("killed"));
    // Both at once: each mostly waits for a Python of its own.
    let walking = std::thread::spawn({
        let killed = killed.clone();
        move || walk_with_kills(&killed)
    });
    let mut tour = lakegate();
    tour.args(["tour", "--json", "--dir"]).arg(&whole);
    let output = within(Duration::from_secs(600), &mut tour);
    assert!(output.status.success(), "{}", came_otherwise(&whole, &output));
    let result: Value = serde_json::from_slice(&output.stdout).unwrap();
    let steps = result["steps"].as_array().unwrap();
    assert_eq!(steps.len(), STEPS);
    for (id, verdict) in [("gate-worse", "fail"), ("promote-unsigned", "inconclusive")] {
        let step = steps.iter().find(|step| step["id"] == id).unwrap();
        assert_eq!((&step["verdict"], &step["as_expected"]), (&verdict.into(), &true.into()));
    }
    let golden = state_of(&whole).await;
    assert_eq!(golden.champion_months, "1,2,3");
    assert_eq!(golden.online, "late_arrival-1");

    walking.join().unwrap();
    let mut tour = lakegate();
    tour.arg("tour").arg("--dir").arg(&killed);
    let output = within(Duration::from_secs(600), &mut tour);
    assert!(output.status.success(), "{}", came_otherwise(&killed, &output));
    assert_eq!(state_of(&killed).await, golden);
}
