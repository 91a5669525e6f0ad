//! `drift-check` on tables and files, through every engine.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::support::{Served, lakegate, text, within};

/// Runs the command and gives its exit code and its result document.
fn check(command: &mut std::process::Command, dir: &Path) -> (i32, Value, String) {
    let output = within(Duration::from_secs(120), command.current_dir(dir));
    let told = text(&output.stdout) + &text(&output.stderr);
    let result = dir.join(".lakegate/reports/drift-check.result.json");
    let result = std::fs::read_to_string(result).unwrap_or_default();
    (output.status.code().unwrap(), serde_json::from_str(&result).unwrap_or_default(), told)
}

fn column<'a>(result: &'a Value, name: &str) -> &'a Value {
    let columns = result["columns"].as_array().unwrap();
    columns.iter().find(|column| column["column"] == name).unwrap()
}

const TABLE: &str = "SELECT value AS id, \
    CASE WHEN value % 11 = 0 THEN NULL WHEN value % 13 = 0 THEN CAST('NaN' AS DOUBLE) ELSE sin(value) * 10 + MOVED END AS `a``b`, \
    value % 7 + MOVED AS n, \
    CASE WHEN value % 5 = 0 THEN 'it''s' WHEN value % 3 = 0 THEN NULL ELSE 'b' END AS c, \
    value % 2 = 0 AS f, CAST(NULL AS DOUBLE) AS nothing \
    FROM generate_series(1, 6000)";

#[tokio::test(flavor = "multi_thread")]
async fn the_warehouse_counts_what_the_exact_engine_counts() {
    let dir = tempfile::tempdir().unwrap();
    let served = Served::start(&dir.path().join("workspace"));
    for (name, moved) in [("then", "0"), ("now", "1")] {
        let text = TABLE.replace("MOVED", moved);
        served.sql(&format!("CREATE TABLE main.default.{name} AS {text}")).await;
    }
    let policy = |engine: &str| {
        let text = format!(
            "drift: {{baseline: main.default.then, current: main.default.now, current_where: id > 50, exclude: [id], engine: {engine}}}\n"
        );
        std::fs::write(dir.path().join("lakegate.yml"), text).unwrap();
    };
    let run = || check(served.command().args(["drift-check", "--fail-on=never"]), dir.path());
    policy("exact");
    let (code, exact, told) = run();
    assert_eq!(code, 0, "{told}");
    policy("warehouse");
    let (code, counted, told) = run();
    assert_eq!(code, 0, "{told}");
    assert!(told.contains("the warehouse counts 6000 and 5950 rows"), "{told}");
    assert_eq!(exact["rows"], counted["rows"]);
    for name in ["a`b", "n", "c", "f", "nothing"] {
        let (one, other) = (column(&exact, name), column(&counted, name));
        assert_eq!(one["state"], other["state"], "{name}: {one} {other}");
        for side in ["baseline", "current"] {
            for fact in ["rows", "nulls", "nans", "min", "max", "distinct"] {
                assert_eq!(one[side][fact], other[side][fact], "{name} {side} {fact}");
            }
            if let Some(mean) = one[side]["mean"].as_f64() {
                assert!((mean - other[side]["mean"].as_f64().unwrap()).abs() < 1e-9, "{name}");
                let deviation = |of: &Value| of[side]["deviation"].as_f64().unwrap();
                assert!((deviation(one) - deviation(other)).abs() < 1e-9, "{name}");
            }
        }
        for (statistic, effect) in one["effects"].as_object().unwrap() {
            let size = |of: &Value| of["value"].as_f64().unwrap();
            let other = &other["effects"][statistic];
            let off = (size(effect) - size(other)).abs();
            // Edges were learnt from all rows: the bins are the same.
            let bound = other["error"].as_f64().unwrap() + 1e-9;
            assert!(off <= bound, "{name} {statistic}: {off} > {bound}");
        }
    }
    let ks = &column(&counted, "a`b")["effects"]["kolmogorov_smirnov"];
    assert!(ks["error"].as_f64().unwrap() < 0.02, "{ks}");
}

#[test]
fn files_need_no_workspace_and_a_missing_column_is_no_pass() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, header: &str, moved: u32| {
        let rows =
            (0..1000).map(|row| format!("{},{}\n", row % 90 + moved, ["x", "y"][row as usize % 2]));
        std::fs::write(dir.path().join(name), header.to_owned() + &rows.collect::<String>())
            .unwrap();
    };
    write("then.csv", "n,c\n", 0);
    write("same.csv", "n,c\n", 0);
    write("moved.csv", "n,c\n", 60);
    write("other.csv", "m,c\n", 0);
    let run = |current: &str| {
        let mut command = lakegate();
        command.args(["drift-check", "--baseline", "then.csv", "--current", current]);
        check(&mut command, dir.path())
    };
    let (code, result, told) = run("same.csv");
    assert_eq!((code, &result["state"]), (0, &Value::from("none")), "{told}");
    let (code, result, told) = run("moved.csv");
    assert_eq!((code, &result["state"]), (1, &Value::from("drift")), "{told}");
    let (code, result, told) = run("other.csv");
    assert_eq!((code, &result["state"]), (1, &Value::from("broken")), "{told}");
    assert!(told.contains("n is missing now"), "{told}");
    let (code, _, told) = run("nowhere.csv");
    assert_eq!(code, 2, "{told}");
    assert!(told.contains("`nowhere.csv` does not exist"), "{told}");
    let mut where_clause = lakegate();
    where_clause.args(["drift-check", "--baseline", "then.csv", "--current", "moved.csv"]);
    where_clause.args(["--current-where", "n < 90"]);
    let (code, result, told) = check(&mut where_clause, dir.path());
    assert_eq!((code, result["rows"]["current"].as_u64()), (3, Some(340)), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_checks_at_once_start_one_retraining() {
    let dir = tempfile::tempdir().unwrap();
    let served = Served::start(&dir.path().join("workspace"));
    for (name, moved) in [("then", 0), ("now", 5)] {
        let text = format!("SELECT value % 9 + {moved} AS n FROM generate_series(1, 2000)");
        served.sql(&format!("CREATE TABLE main.default.{name} AS {text}")).await;
    }
    let client = served.client();
    client.workspace_mkdirs("/Workspace/jobs").await.unwrap();
    client.workspace_write("/Workspace/jobs/main.py", "print(1)".into(), true).await.unwrap();
    let task = serde_json::json!({ "task_key": "t", "spark_python_task": { "python_file": "/Workspace/jobs/main.py" } });
    client.job_create(&serde_json::json!({ "name": "retrain", "tasks": [task] })).await.unwrap();
    std::fs::write(dir.path().join("lakegate.yml"), "record: {schema: main.default}\ndrift: {baseline: main.default.then, current: main.default.now, on_drift: retrain, retrain_job: retrain}\n").unwrap();
    let spawn = || {
        let mut command = served.command();
        command.args(["drift-check", "--json"]).current_dir(dir.path());
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::null());
        command.spawn().unwrap()
    };
    let children = [spawn(), spawn(), spawn()];
    let runs: Vec<Value> = children
        .into_iter()
        .map(|child| {
            let output = child.wait_with_output().unwrap();
            let told: Value = serde_json::from_slice(&output.stdout).unwrap();
            assert_eq!(told["verdict"], "fail", "{told}");
            told["outputs"]["retrain-run-id"].clone()
        })
        .collect();
    assert!(runs.iter().all(|run| run.is_string() && *run == runs[0]), "{runs:?}");
    let rows = served
        .sql("SELECT count(*), count(DISTINCT event_id) FROM main.default.drift_results")
        .await;
    assert_eq!(rows[0], [Some("1".to_owned()), Some("1".to_owned())]);
}
