//! `drift-check` on tables and files, through every engine.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::support::{Served, cache, lakegate, root, text, within};

/// Runs the command and gives its exit code and its result document.
pub(crate) fn check(command: &mut Command, dir: &Path) -> (i32, Value, String) {
    let output = within(Duration::from_secs(120), command.current_dir(dir));
    let told = text(&output.stdout) + &text(&output.stderr);
    let result = dir.join(".lakegate/reports/drift-check.result.json");
    let result = std::fs::read_to_string(result).unwrap_or_default();
    (output.status.code().unwrap(), serde_json::from_str(&result).unwrap_or_default(), told)
}

pub(crate) fn column<'a>(result: &'a Value, name: &str) -> &'a Value {
    let columns = result["columns"].as_array().unwrap();
    columns.iter().find(|column| column["column"] == name).unwrap()
}

/// What the warehouse counted is what the exact engine found, within the bounds
/// that stand beside it. `bins` is how far the bins' statistics may be apart.
pub(crate) fn same(exact: &Value, counted: &Value, names: &[&str], bins: f64) {
    assert_eq!(exact["rows"], counted["rows"]);
    for name in names {
        let (one, other) = (column(exact, name), column(counted, name));
        assert_eq!(one["state"], other["state"], "{name}: {one} {other}");
        for side in ["baseline", "current"] {
            for fact in ["rows", "nulls", "nans", "infinities", "zeros", "min", "max"] {
                assert_eq!(one[side][fact], other[side][fact], "{name} {side} {fact}");
            }
            for fact in ["mean", "deviation"] {
                let Some(value) = one[side][fact].as_f64() else { continue };
                let off = (value - other[side][fact].as_f64().unwrap()).abs();
                assert!(off < 1e-9 * (1.0 + value.abs()), "{name} {side} {fact}: {off}");
            }
            same_values(side, &one[side], &other[side]);
        }
        for (statistic, effect) in one["effects"].as_object().unwrap() {
            let size = |of: &Value| of["value"].as_f64().unwrap();
            let other = &other["effects"][statistic];
            let exact = ["kolmogorov_smirnov", "wasserstein", "mean_shift"];
            let slack = if exact.contains(&statistic.as_str()) { 1e-6 } else { bins };
            let off = (size(effect) - size(other)).abs();
            let bound = other["error"].as_f64().unwrap() + slack;
            assert!(off <= bound, "{name} {statistic}: {off} > {bound}");
        }
    }
}

/// Quantiles within their errors, about as many different values, and the
/// frequent ones that have a bin of their own.
fn same_values(side: &str, exact: &Value, counted: &Value) {
    for (place, value) in exact["quantiles"].as_object().into_iter().flatten() {
        let near = |of: &str| counted[of][place].as_f64();
        let off = (near("quantiles").unwrap() - value.as_f64().unwrap()).abs();
        let bound = near("quantile_errors").unwrap_or(0.0);
        assert!(off <= bound * (1.0 + 1e-9) + 1e-6, "{place}: {off} > {bound}");
    }
    let number = |of: &Value, name: &str| of[name].as_f64().unwrap_or(0.0);
    let [there, here] = [exact, counted].map(|side| number(side, "distinct"));
    let error = number(exact, "distinct_error") + number(counted, "distinct_error");
    assert!((there - here).abs() <= 4.0 * error * there, "{exact} {counted}");
    let values =
        ["nulls", "nans", "infinities"].map(|name| number(exact, name)).iter().sum::<f64>();
    let values = number(exact, "rows") - values;
    let [there, here] = [exact, counted].map(|side| side["top_values"].as_array().unwrap());
    let is_cut_off = there.len() == 10;
    assert!(is_cut_off || here.iter().all(|value| there.contains(value)), "{exact} {counted}");
    // Bins are those of the baseline.
    let is_large = |value: &&Value| side == "baseline" && number(value, "rows") >= values / 10.0;
    assert!(there.iter().filter(is_large).all(|value| here.contains(value)), "{exact} {counted}");
}

/// Where a result holds what was found in parts of the rows.
pub(crate) const LISTS: [&str; 3] = ["windows", "windows_against_the_one_before", "slices"];

/// Some 60 values in a window, or none that the window before has: other bins
/// make another number of them.
const BY_BINS: [&str; 2] = ["rare", "days(time)"];

/// The same of slices and windows: names, rows and states, and effects within
/// what the bins may be apart.
fn same_scopes(exact: &Value, counted: &Value, lists: &[&str], bins: f64) {
    for list in lists.iter().copied() {
        let [one, other] = [exact, counted].map(|result| result[list].as_array().unwrap());
        assert_eq!(one.len(), other.len(), "{list}");
        assert!(!one.is_empty(), "{list}");
        for (one, other) in one.iter().zip(other) {
            for fact in ["name", "rows"] {
                assert_eq!(one[fact], other[fact], "{list}");
            }
            let effects = |scope: &Value| -> std::collections::BTreeMap<String, f64> {
                let columns = scope["columns"].as_array().unwrap().iter();
                let effect = |column: &Value| column["effect"].as_f64();
                columns
                    .filter_map(|column| {
                        Some((column["column"].as_str()?.to_owned(), effect(column)?))
                    })
                    .collect()
            };
            let (one, other) = (effects(one), effects(other));
            assert_eq!(one.keys().collect::<Vec<_>>(), other.keys().collect::<Vec<_>>(), "{list}");
            for (column, effect) in one.iter().filter(|(name, _)| !BY_BINS.contains(&name.as_str()))
            {
                let off = (effect - other[column]).abs();
                assert!(off <= bins, "{list} {column}: {effect} {}", other[column]);
            }
        }
    }
}

const TABLE: &str = "SELECT value AS id, \
    CASE WHEN value % 11 = 0 THEN NULL WHEN value % 13 = 0 THEN CAST('NaN' AS DOUBLE) ELSE sin(value) * 10 + MOVED END AS `a``b`, \
    value % 7 + MOVED AS n, \
    CASE WHEN value % 5 = 0 THEN 'it''s' WHEN value % 3 = 0 THEN NULL ELSE 'b' END AS c, \
    value % 2 = 0 AS f, CAST(NULL AS DOUBLE) AS nothing, \
    CAST(concat('2026-01-0', CAST(value % 4 + 1 AS STRING)) AS TIMESTAMP) AS t \
    FROM generate_series(1, 6000)";

/// The same rows twice, and moved the second time.
async fn then_and_now(served: &Served, rows: &str) {
    for (name, moved) in [("then", "0"), ("now", "1")] {
        let text = rows.replace("MOVED", moved);
        served.sql(&format!("CREATE TABLE main.default.{name} AS {text}")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_warehouse_counts_what_the_exact_engine_counts() {
    let dir = tempfile::tempdir().unwrap();
    let served = Served::start(&dir.path().join("workspace"));
    then_and_now(&served, TABLE).await;
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
    same(&exact, &counted, &["a`b", "n", "c", "f", "nothing"], 1e-9);
    let grouped = "windows: {every: 1d, column: t}, slices: [c, n > 4], ";
    policy(&format!("exact, {grouped} bins: 10"));
    let (code, exact, told) = run();
    assert_eq!(code, 0, "{told}");
    policy(&format!("warehouse, {grouped} bins: 10"));
    let (code, grouped, told) = run();
    assert_eq!(code, 0, "{told}");
    same_scopes(&exact, &grouped, &LISTS, 0.03);
    policy("exact, binning: width");
    let (_, exact, _) = run();
    policy("warehouse, binning: width");
    let (code, counted, told) = run();
    assert_eq!(code, 0, "{told}");
    same(&exact, &counted, &["a`b", "n", "c", "f", "nothing"], 1e-9);
    policy("warehouse, sample: {share: 0.5, seed: 3}");
    let (code, drawn, told) = run();
    assert_eq!(code, 0, "{told}");
    let rows = column(&drawn, "n")["baseline"]["rows"].as_u64().unwrap();
    assert!((2800..3200).contains(&rows), "{rows}");
    // The same rows; their sums may differ by their last bits.
    assert_eq!(column(&run().1, "n")["test"], column(&drawn, "n")["test"]);
    policy("warehouse, windows: {rows: 100}");
    let (code, _, told) = run();
    assert!(code == 2 && told.contains("windows by a number of rows"), "{told}");
    let wide = column(&counted, "a`b");
    assert!(wide["effects"]["kolmogorov_smirnov"]["error"].as_f64().unwrap() < 0.02, "{wide}");
    let median = wide["current"]["quantile_errors"]["0.5"].as_f64().unwrap();
    assert!(median < 0.3, "{wide}");
    assert_eq!(column(&counted, "n")["current"]["top_values"].as_array().unwrap().len(), 7);
    let types = "SELECT approx_count_distinct(id), typeof(approx_count_distinct(id)) FROM main.default.then";
    let types = types.replace("typeof", "arrow_typeof");
    let told = served.sql(&types).await;
    assert_eq!(told[0][1].as_deref(), Some("Int64"), "{told:?}");
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
    let [n, c] = ["n", "c"].map(|name| &column(&result, name)["current"]);
    assert_eq!([&n["distinct"], &c["distinct"]], [90, 2]);
    let halves = ["x", "y"].map(|value| serde_json::json!({ "value": value, "rows": 500 }));
    assert_eq!(c["top_values"], Value::from(halves.to_vec()));
    // Ten values have twelve of the 1,000 rows, the others eleven.
    assert_eq!(n["top_values"].as_array().unwrap().len(), 10, "{n}");
    assert_eq!(n["top_values"][9], serde_json::json!({ "value": 9.0, "rows": 12 }));
    let (code, result, told) = run("moved.csv");
    assert_eq!((code, &result["state"]), (1, &Value::from("drift")), "{told}");
    let policy =
        "drift: {baseline: then.csv, current: moved.csv, all_tests: true, compat: evidently}\n";
    std::fs::write(dir.path().join("lakegate.yml"), policy).unwrap();
    let (code, result, told) = run("moved.csv");
    assert_eq!((code, &result["state"]), (1, &Value::from("drift")), "{told}");
    let tests = column(&result, "n")["more_tests"].as_object().unwrap();
    assert!(tests.len() == 6 && tests["mann_whitney"]["p_value"].as_f64().unwrap() < 1e-9);
    assert_eq!(column(&result, "n")["compat"]["drifted"], true);
    let policy = "drift: {baseline: then.csv, current: moved.csv, compat: nannyml}\n";
    std::fs::write(dir.path().join("lakegate.yml"), policy).unwrap();
    let (code, result, told) = run("moved.csv");
    assert_eq!((code, &result["state"]), (1, &Value::from("drift")), "{told}");
    let verdict = &column(&result, "n")["compat"];
    assert!(verdict["drifted"] == true && verdict["threshold"].as_f64().unwrap() > 0.0, "{told}");
    assert_eq!(column(&result, "c")["compat"]["drifted"], false);
    std::fs::remove_file(dir.path().join("lakegate.yml")).unwrap();
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

/// Nothing drifts from itself, whatever it is called by.
#[test]
fn a_file_is_known_by_every_path() {
    let dir = tempfile::tempdir().unwrap();
    let rows: String = (0..500).map(|row| format!("{}\n", row % 9)).collect();
    for name in ["then.csv", "other.csv"] {
        std::fs::write(dir.path().join(name), format!("n\n{rows}")).unwrap();
    }
    let run = |current: &str| {
        let mut command = lakegate();
        command.args(["drift-check", "--baseline", "then.csv", "--current", current]);
        check(&mut command, dir.path())
    };
    let whole = dir.path().display();
    for name in ["then.csv", "./then.csv", &format!("{whole}/th*.csv")] {
        let (code, _, told) = run(name);
        assert!(code == 2 && told.contains("the same rows"), "{name}: {told}");
    }
    let (code, _, told) = run(&format!("{whole}/*.csv"));
    assert!(code == 0 && told.contains("shares 1 file with the current side"), "{told}");
    let (code, _, told) = run("then.csv.gz");
    assert!(code == 2 && !told.contains("workspace"), "{told}");
}

/// Numbers, all of which are larger on the second side.
const LARGER: &str = "SELECT value % 9 + 5 * MOVED AS n FROM generate_series(1, 2000)";

/// A table that an earlier build made gets the columns of this one, and keeps its rows.
#[tokio::test(flavor = "multi_thread")]
async fn tables_of_records_grow_with_their_rows() {
    let dir = tempfile::tempdir().unwrap();
    let served = Served::start(&dir.path().join("workspace"));
    then_and_now(&served, LARGER).await;
    let schema = "main.default".parse().unwrap();
    let earlier = lakegate::record::create::<lakegate::record::DriftRow>(&schema).text;
    let columns = ["window_end STRING, ", "percent_zeros_delta DOUBLE, "];
    assert!(columns.iter().all(|column| earlier.contains(column)), "{earlier}");
    let earlier = columns.iter().fold(earlier, |text, column| text.replace(column, ""));
    served.sql(&earlier).await;
    served.sql("INSERT INTO main.default.drift_results (event_id) VALUES ('old')").await;
    std::fs::write(dir.path().join("lakegate.yml"), "record: {schema: main.default}\ndrift: {baseline: main.default.then, current: main.default.now, on_drift: nothing}\n").unwrap();
    for _ in 0..2 {
        let mut command = served.command();
        let output = command.arg("drift-check").current_dir(dir.path()).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
    }
    let counted = "SELECT count(*), count(percent_zeros_delta) FROM main.default.drift_results";
    assert_eq!(served.sql(counted).await, [[Some("2".to_owned()), Some("1".to_owned())]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_checks_at_once_start_one_retraining() {
    let dir = tempfile::tempdir().unwrap();
    let served = Served::start(&dir.path().join("workspace"));
    then_and_now(&served, LARGER).await;
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

/// A Python with Spark, installed from its list of requirements.
fn spark() -> std::path::PathBuf {
    let folder = cache().join("spark");
    let python = folder.join("bin/python");
    let list = root().join("tests/spark/requirements.txt");
    let wanted = std::fs::read_to_string(&list).unwrap();
    let done = folder.join("installed");
    if std::fs::read_to_string(&done).is_ok_and(|installed| installed == wanted) {
        return python;
    }
    let run = |command: &mut Command| {
        let output = within(Duration::from_secs(900), command);
        assert!(output.status.success(), "{}", text(&output.stderr));
    };
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder));
    run(Command::new(&python).args(["-m", "pip", "install", "-q", "-r"]).arg(&list));
    std::fs::write(done, wanted).unwrap();
    python
}

/// Spark needs Java; without it this is told, and in CI it is a failure.
#[test]
fn spark_counts_what_the_exact_engine_counts() {
    if Command::new("java").arg("-version").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "CI needs Java for the test with Spark");
        eprintln!("skipped: there is no Java, which Spark needs");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut warehouse = Command::new(spark())
        .arg(root().join("tests/spark/warehouse.py"))
        .arg(dir.path())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut first = String::new();
    let mut reader = std::io::BufReader::new(warehouse.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut reader, &mut first).unwrap();
    let grouped = "windows: {every: 7d, column: time}, slices: [words], derived: [hour(time), weekday(time), days(time)]";
    let policy = format!(
        "drift: {{baseline: main.default.then, current: main.default.now, engine: warehouse, {grouped}}}\n"
    );
    std::fs::write(dir.path().join("lakegate.yml"), policy).unwrap();
    let mut counting = lakegate();
    counting.args(["drift-check", "--fail-on=never"]).envs([
        ("DATABRICKS_HOST", first.trim()),
        ("DATABRICKS_TOKEN", "spark"),
        ("DATABRICKS_WAREHOUSE_ID", "spark"),
    ]);
    let (code, counted, told) = check(&mut counting, dir.path());
    warehouse.kill().unwrap();
    warehouse.wait().unwrap();
    assert_eq!(code, 0, "{told}");
    let policy = format!("drift: {{baseline: then.parquet, current: now.parquet, {grouped}}}\n");
    std::fs::write(dir.path().join("lakegate.yml"), policy).unwrap();
    let mut exactly = lakegate();
    exactly.args(["drift-check", "--fail-on=never"]);
    let (code, exact, told) = check(&mut exactly, dir.path());
    assert_eq!(code, 0, "{told}");
    // The warehouse's edges come from a sample: its bins are not quite the same.
    let names = [
        "heavy",
        "a`b",
        "whole",
        "constant",
        "rare",
        "words",
        "flag",
        "hour(time)",
        "weekday(time)",
        "days(time)",
    ];
    same(&exact, &counted, &names, 0.02);
    same_scopes(&exact, &counted, &LISTS, 0.05);
    let error = |name: &str, statistic: &str| {
        column(&counted, name)["effects"][statistic]["error"].as_f64().unwrap()
    };
    for name in ["heavy", "a`b", "whole"] {
        assert!(error(name, "kolmogorov_smirnov") < 0.02 && error(name, "wasserstein") < 0.1);
    }
}

/// Two CSV files and a policy, and what must come of them.
struct Trial<'a> {
    then: String,
    now: String,
    policy: &'a str,
    code: i32,
    word: &'a str,
}

#[track_caller]
fn tried(trial: &Trial<'_>) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("then.csv"), &trial.then).unwrap();
    std::fs::write(dir.path().join("now.csv"), &trial.now).unwrap();
    let policy = format!("drift: {{baseline: then.csv, current: now.csv{}}}\n", trial.policy);
    std::fs::write(dir.path().join("lakegate.yml"), policy).unwrap();
    let (code, _, told) = check(lakegate().arg("drift-check"), dir.path());
    assert_eq!(code, trial.code, "{told}");
    assert!(told.contains(trial.word), "no `{}` in: {told}", trial.word);
}

pub(crate) fn csv(header: &str, rows: impl Iterator<Item = String>) -> String {
    header.to_owned() + "\n" + &rows.map(|row| row + "\n").collect::<String>()
}

#[test]
fn nothing_passes_by_silence() {
    let plain = || csv("x,c", (0..1000).map(|row| format!("{},{}", row % 50, row % 3)));
    let trial = |policy, code, word| Trial { then: plain(), now: plain(), policy, code, word };
    let rare = |letter: &str| csv("c", (0..2700).map(|row| format!("{letter}{}", row / 9)));
    tried(&Trial {
        then: rare("a"),
        now: rare("b"),
        code: 1,
        word: "c drifted",
        ..trial("", 1, "")
    });
    let big = |more: u64| csv("x", (0..1000).map(|_| ((1u64 << 53) + more).to_string()));
    tried(&Trial { then: big(0), now: big(1), code: 3, word: "beyond 2^53", ..trial("", 3, "") });
    let by_order = ", numeric: {statistic: kolmogorov_smirnov}";
    tried(&Trial { then: big(0), now: big(1), word: "ks 0.9", ..trial(by_order, 1, "") });
    let twice = csv("x,x", (0..1000).map(|row| format!("{row},{row}")));
    tried(&Trial { now: twice, word: "two columns called `x`", ..trial("", 2, "") });
    tried(&trial(", critical: [x], exclude: [x]", 2, "judges `x` and leaves it out"));
    let open = plain() + "1,\"never closed\n2,3\n";
    tried(&Trial { now: open, word: "a quotation that does not end", ..trial("", 2, "") });
    tried(&trial(", current_where: \"c > 'soon'\"", 2, "soon"));
    tried(&trial(", current_where: \"d > 1\"", 2, "no column `d`"));
    tried(&trial(", windows: {rows: 1}", 2, "over 500 windows"));
    tried(&trial(", windows: {rows: 600}", 0, "1 newest windows"));
    tried(&trial(", nulls: 5", 2, "between 0 and 1"));
    tried(&trial(", quality: [{column: x, min: 5, max: 1}]", 2, "can never hold"));
    let mut little = lakegate();
    little.args(["drift-check", "--memory=1", "--baseline=a.csv", "--current=b.csv"]);
    let dir = tempfile::tempdir().unwrap();
    let many = csv("x,y", (0..100_000).map(|row| format!("{row},{}", row * 7)));
    for name in ["a.csv", "b.csv"] {
        std::fs::write(dir.path().join(name), &many).unwrap();
    }
    let mut same = lakegate();
    same.args(["drift-check", "--baseline=a.csv", "--current=a.csv"]);
    let (code, _, told) = check(&mut same, dir.path());
    assert!(code == 2 && told.contains("are the same rows: a.csv"), "{told}");
    let (code, _, told) = check(&mut little, dir.path());
    assert!(code == 2 && told.contains("and 0.5 MB are allowed"), "{told}");
    let gone = csv("x,c", (0..1000).map(|row| format!("{},{}", row % 50, row % 2)));
    tried(&Trial { now: gone, word: "c = 2", ..trial(", slices: [c], exclude: [c]", 0, "") });
}

#[test]
fn a_feed_that_brings_nothing_is_broken_and_leaves_no_old_report() {
    let plain = || csv("x,c", (0..1000).map(|row| format!("{},{}", row % 50, row % 3)));
    let trial = |policy, code, word| Trial { then: plain(), now: plain(), policy, code, word };
    let nothing = || csv("x,c", std::iter::empty());
    tried(&Trial { now: nothing(), word: "now.csv has no rows", ..trial("", 1, "") });
    tried(&trial(", current_where: x > 90", 1, "now.csv where x > 90 has no rows"));
    tried(&Trial {
        then: nothing(),
        word: "the baseline `then.csv` has no rows",
        ..trial("", 2, "")
    });
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("now.csv"), plain()).unwrap();
    let policy = "drift: {baseline: gone.csv, current: now.csv, quality: [{column: x, min: 0}, {min_rows: 2000, warn_only: true}]}\n";
    std::fs::write(dir.path().join("lakegate.yml"), policy).unwrap();
    let (code, result, told) =
        check(lakegate().args(["drift-check", "--checks=quality"]), dir.path());
    assert_eq!((code, &result["state"]), (0, &Value::from("watch")), "{told}");
    let (code, result, told) = check(lakegate().arg("drift-check"), dir.path());
    assert_eq!((code, result), (2, Value::Null), "{told}");
    std::fs::create_dir(dir.path().join("folder")).unwrap();
    std::fs::write(dir.path().join("folder/a.csv"), plain()).unwrap();
    std::fs::write(dir.path().join("folder/b.csv.gz"), "").unwrap();
    let (code, _, told) = check(
        lakegate().args(["drift-check", "--baseline=folder/", "--current=now.csv"]),
        dir.path(),
    );
    assert!(code == 2 && told.contains("`folder/b.csv.gz` is compressed"), "{told}");
}

#[test]
fn what_is_in_no_window_is_told() {
    let day = |row: u32| format!("2026-01-{:02}T00:00:00", row % 28 + 1);
    let then = csv("t,x", (0..14_000).map(|row| format!("{},{}", day(row), row % 50)));
    let now = (0..14_000).map(|row| {
        let time = match row % 1000 {
            0 => String::new(),
            1 => "2199-01-01T00:00:00".to_owned(),
            _ => day(row),
        };
        format!("{time},{}", row % 50)
    });
    let trial = |code, word| Trial {
        then: then.clone(),
        now: csv("t,x", now.clone()),
        policy: ", windows: {every: 14d, column: t}",
        code,
        word,
    };
    tried(&trial(0, "windows miss 14 rows, which have no time"));
    tried(&trial(0, "which is not full yet (14 rows)"));
    let holes = now.clone().enumerate().map(|(row, line)| {
        let (_, number) = line.split_once(',').unwrap();
        if row % 3 == 0 { format!(",{number}") } else { line.clone() }
    });
    let trial =
        Trial { policy: ", critical: [t], share: 1", ..trial(1, "the critical column t drifted") };
    tried(&Trial { now: csv("t,x", holes), ..trial });
}

/// Values within values, moved or not.
const NESTED: &str = "SELECT named_struct('city', CASE WHEN value % 3 < MOVED THEN 'Rome' ELSE 'Oslo' END) AS address, \
    make_array(value % 7, value % 5 + MOVED) AS tags, \
    CASE WHEN value % 2 < MOVED THEN 'two words' ELSE 'One more word' END AS body, \
    make_array(CAST(sin(value) AS DOUBLE), CAST(cos(value) AS DOUBLE) + 0.5 * MOVED) AS point, \
    CAST(concat(CAST(1969 + value % 2 AS STRING), '-12-2', CAST(value % 7 AS STRING), 'T0', CAST(value % 5 + 2 * MOVED AS STRING), ':30:00') AS TIMESTAMP) AS time \
    FROM generate_series(1, 3000)";

#[tokio::test(flavor = "multi_thread")]
async fn derived_columns_are_compared_wherever_the_data_lies() {
    let dir = tempfile::tempdir().unwrap();
    let served = Served::start(&dir.path().join("workspace"));
    then_and_now(&served, NESTED).await;
    let policy = |baseline: &str, current: &str, more: &str| {
        let derived = "derived: [address.city, 'tags[]', size(tags), length(body), tokens(body), embedding(point), hour(time), weekday(time)]";
        let text =
            format!("drift: {{baseline: {baseline}, current: {current}, {derived}{more}}}\n");
        std::fs::write(dir.path().join("lakegate.yml"), text).unwrap();
    };
    let run = || check(served.command().args(["drift-check"]), dir.path());
    policy("main.default.then", "main.default.now", ", slices: [address.city]");
    let (code, result, told) = run();
    assert_eq!(code, 1, "{told}");
    let state = |result: &Value, name: &str| column(result, name)["state"].clone();
    for (name, expected) in [
        ("address.city", "drift"),
        ("tags[]", "drift"),
        ("size(tags)", "none"),
        ("length(body)", "drift"),
        ("tokens(body)", "drift"),
        ("embedding(point)", "drift"),
        ("body", "none"),
        ("hour(time)", "drift"),
        ("weekday(time)", "none"),
    ] {
        assert_eq!(state(&result, name), expected, "{name}: {}", column(&result, name));
    }
    assert_eq!(column(&result, "tokens(body)")["effects"]["unseen"]["value"], 0.4);
    assert_eq!(column(&result, "tags[]")["current"]["rows"], 6000);
    assert_eq!(column(&result, "body")["kind"], "presence");
    assert!(told.contains("address.city = Rome"), "{told}");
    served.sql("CREATE TABLE main.default.again AS SELECT * FROM main.default.then").await;
    policy("main.default.then", "main.default.again", "");
    let (code, result, told) = run();
    assert_eq!((code, &result["state"]), (0, &Value::from("none")), "{told}");
    policy("main.default.then", "main.default.now", ", engine: warehouse");
    let (code, _, told) = run();
    assert!(code == 2 && told.contains("the warehouse cannot count `tags[]`"), "{told}");
    std::fs::write(
        dir.path().join("lakegate.yml"),
        "drift: {baseline: main.default.then, current: main.default.now, derived: [address.zip]}\n",
    )
    .unwrap();
    let (code, _, told) = run();
    assert!(code == 2 && told.contains("there is no field `zip`, but city"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_warehouse_makes_the_same_columns() {
    let dir = tempfile::tempdir().unwrap();
    let served = Served::start(&dir.path().join("workspace"));
    then_and_now(&served, NESTED).await;
    let run = || check(served.command().args(["drift-check"]), dir.path());
    let policy = |more: &str| {
        let policy = format!(
            "drift: {{baseline: main.default.then, current: main.default.now, columns: [address], derived: [address.city, hour(time), weekday(time), days(time)]{more}}}\n"
        );
        std::fs::write(dir.path().join("lakegate.yml"), policy).unwrap();
    };
    policy("");
    let (_, exact, _) = run();
    policy(", engine: warehouse");
    let (code, counted, told) = run();
    assert_eq!(code, 1, "{told}");
    assert_eq!(column(&counted, "address.city")["state"], "drift");
    same(&exact, &counted, &["hour(time)", "weekday(time)", "days(time)"], 1e-9);
    policy(", engine: warehouse, all_tests: true");
    let (code, _, told) = run();
    assert!(code == 2 && told.contains("cannot count for `all_tests`"), "{told}");
}

/// Whoever counts the rows.
#[tokio::test(flavor = "multi_thread")]
async fn rows_are_told_apart_by_what_is_derived() {
    let dir = tempfile::tempdir().unwrap();
    let served = Served::start(&dir.path().join("workspace"));
    then_and_now(&served, NESTED).await;
    let grouped = |engine: &str| {
        let text = format!(
            "drift: {{baseline: main.default.then, current: main.default.now, columns: [address, body], derived: [address.city, length(body)], slices: [address.city, '`length(body)` > 10'], engine: {engine}}}\n"
        );
        std::fs::write(dir.path().join("lakegate.yml"), text).unwrap();
        let (code, result, told) = check(served.command().args(["drift-check"]), dir.path());
        assert_eq!(code, 1, "{told}");
        result
    };
    let (exact, counted) = (grouped("exact"), grouped("warehouse"));
    assert_eq!(counted["slices"].as_array().unwrap().len(), 3, "{counted:#}");
    same_scopes(&exact, &counted, &["slices"], 0.03);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sample_is_the_same_one_each_time() {
    let dir = tempfile::tempdir().unwrap();
    let rows = csv("x", (0..20_000).map(|row| (row % 97).to_string()));
    for name in ["a.csv", "b.csv"] {
        std::fs::write(dir.path().join(name), &rows).unwrap();
    }
    let run = |seed: u32, more: &str| {
        let policy = format!(
            "drift: {{baseline: a.csv, current: b.csv, sample: {{share: 0.2, seed: {seed}}}{more}}}\n"
        );
        std::fs::write(dir.path().join("lakegate.yml"), policy).unwrap();
        check(lakegate().arg("drift-check"), dir.path())
    };
    let (code, first, told) = run(1, "");
    assert_eq!((code, &first["state"]), (0, &Value::from("none")), "{told}");
    assert!(told.contains("20 % of the rows by seed 1"), "{told}");
    assert_eq!(first["sample"]["share"], 0.2);
    let drawn = first["rows"]["current"].as_u64().unwrap();
    assert!((3700..4300).contains(&drawn), "{drawn}");
    let quantiles = |result: &Value| column(result, "x")["current"]["quantiles"].clone();
    assert_eq!(quantiles(&run(1, "").1), quantiles(&first));
    assert_ne!(column(&run(2, "").1, "x")["current"], column(&first, "x")["current"]);
    let (code, _, told) = run(1, ", quality: [{min_rows: 9}]");
    assert!(code == 2 && told.contains("rules of quality need all"), "{told}");
    let served = Served::start(&dir.path().join("workspace"));
    served
        .sql("CREATE TABLE main.default.t AS SELECT value AS x FROM generate_series(1, 900)")
        .await;
    served.sql("CREATE TABLE main.default.u AS SELECT * FROM main.default.t").await;
    let policy =
        "drift: {baseline: main.default.t, current: main.default.u, sample: {share: 0.5}}\n";
    std::fs::write(dir.path().join("lakegate.yml"), policy).unwrap();
    let of_table = || check(served.command().arg("drift-check"), dir.path());
    let (_, first, told) = of_table();
    let drawn = first["rows"]["current"].as_u64().unwrap();
    assert!((390..510).contains(&drawn), "{told}");
    // A table is sampled by the warehouse, and the same rows again.
    assert_eq!(quantiles(&of_table().1), quantiles(&first));
    let asked = lakegate::databricks::sql::Statement::new(
        "SELECT * FROM main.default.t TABLESAMPLE (10 ROWS)".to_owned(),
    );
    let refused = served.client().sql("local", &asked).await.unwrap_err().to_string();
    assert!(refused.contains("TABLESAMPLE (10 ROWS)` is not supported"), "{refused}");
}

/// Rows of a model of numbers: `broken` turns the link between the columns and
/// hides the labels of every other row.
fn model_rows(broken: bool) -> String {
    csv(
        "id,x,z,kind,predicted,late",
        (0..3000u32).map(|row| {
            let at = |step: f64| (f64::from(row + 1) * step).fract();
            let x = at(0.618_033_988_749_894_9);
            let z = if broken { 1.0 - x } else { x } + 0.1 * at(0.754_877_666_246_692_7);
            let noise = at(0.569_840_290_998_053_2) - 0.5;
            let truth = 3.0 * x + noise * if broken { 4.0 } else { 0.5 };
            let label = if broken && row % 2 == 0 { String::new() } else { truth.to_string() };
            format!("{row},{x},{z},{},{},{label}", ["a", "b"][row as usize % 2], 3.0 * x)
        }),
    )
}

#[test]
fn a_model_that_got_worse_and_columns_that_parted_are_drift() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("then.csv"), model_rows(false)).unwrap();
    std::fs::write(dir.path().join("now.csv"), model_rows(true)).unwrap();
    let run = |more: &str| {
        let policy =
            format!("drift: {{baseline: then.csv, current: now.csv, exclude: [id, late]{more}}}\n");
        std::fs::write(dir.path().join("lakegate.yml"), policy).unwrap();
        check(lakegate().arg("drift-check"), dir.path())
    };
    let (code, result, told) = run("");
    assert_eq!((code, &result["state"]), (0, &Value::from("none")), "{told}");
    let (code, result, told) = run(", between: {}");
    assert_eq!((code, &result["state"]), (0, &Value::from("watch")), "{told}");
    assert_eq!(column(&result, "correlations")["state"], "drift");
    assert_eq!(column(&result, "all columns together")["state"], "drift");
    let (code, _, told) = run(", between: {decides: true}");
    assert!(code == 1 && told.contains("what lies between columns moved"), "{told}");
    let model = "problem: regression, label: late, score: predicted, metrics: {mae: 0.2, r2: 0.2}";
    let (code, result, told) = run(&format!(", performance: {{{model}, min_coverage: 0.4}}"));
    assert!(code == 1 && told.contains("the model got worse"), "{told}");
    assert_eq!(column(&result, "mae")["state"], "drift");
    assert_eq!(column(&result, "mae (estimated)")["kind"], "performance");
    let (code, result, told) = run(&format!(", performance: {{{model}, estimate: false}}"));
    assert!(code == 3 && told.contains("1500 of 3000 mature rows have a label now"), "{told}");
    assert_eq!(column(&result, "labels")["state"], "inconclusive");
    std::fs::write(
        dir.path().join("labels.csv"),
        csv("id,late", (0..3000).map(|row| format!("{row},{}", row % 7))),
    )
    .unwrap();
    let (code, _, told) =
        run(&format!(", performance: {{{model}, labels: {{source: labels.csv, key: [id]}}}}"));
    assert_eq!(code, 0, "both sides are as bad as each other: {told}");
    let (code, _, told) =
        run(&format!(", performance: {{{model}, labels: {{source: labels.csv, key: [ids]}}}}"));
    assert!(code == 2 && told.contains("no column `ids`"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_several_columns_are_unique_or_told() {
    let dir = tempfile::tempdir().unwrap();
    let served = Served::start(&dir.path().join("workspace"));
    let rows = "SELECT value % 40 AS a, CASE WHEN value % 3 = 0 THEN NULL ELSE CAST(value % 100 AS STRING) END AS `b``s` FROM generate_series(0, 199)";
    served.sql(&format!("CREATE TABLE main.default.t AS {rows}")).await;
    let file = (0..200).map(|row| match row % 3 {
        0 => format!("{},", row % 40),
        _ => format!("{},{}", row % 40, row % 100),
    });
    std::fs::write(dir.path().join("t.csv"), csv("a,b`s", file)).unwrap();
    for side in ["main.default.t", "t.csv"] {
        let run = |key: &str, more: &str| {
            let policy = format!(
                "drift: {{baseline: {side}, current: {side}{more}, quality: [{{key: {key}}}]}}\n"
            );
            std::fs::write(dir.path().join("lakegate.yml"), policy).unwrap();
            let mut command = served.command();
            let (code, _, told) =
                check(command.args(["drift-check", "--checks=quality"]), dir.path());
            (code, told)
        };
        let (code, told) = run("[a, 'b`s']", "");
        assert_eq!(code, 1, "{told}");
        let word = "the key (a, b`s) has 27 values that more than one row has, such as";
        assert!(told.contains(word), "{told}");
        let (code, told) = run("[a, 'b`s']", ", current_where: '`b``s` IS NOT NULL AND a < 20'");
        assert_eq!(code, 0, "{told}");
        let (code, told) = run("[a, c]", "");
        assert!(code == 2 && told.contains("`quality.key`: the data has no column `c`"), "{told}");
    }
}

#[test]
fn the_truth_itself_may_drift() {
    let dir = tempfile::tempdir().unwrap();
    let rows = |late: u32| {
        csv(
            "id,x,p,late",
            (0..2000).map(|row| {
                let truth = u32::from(row % 100 < late);
                format!("{row},{},{},{truth}", row % 50, f64::from(row % 100) / 100.0)
            }),
        )
    };
    std::fs::write(dir.path().join("then.csv"), rows(20)).unwrap();
    std::fs::write(dir.path().join("now.csv"), rows(60)).unwrap();
    let run = |more: &str| {
        let model = "problem: binary, label: late, score: p, metrics: {log_loss: 9}";
        let policy = format!(
            "drift: {{baseline: then.csv, current: now.csv, columns: [x], performance: {{{model}, estimate: false}}{more}}}\n"
        );
        std::fs::write(dir.path().join("lakegate.yml"), policy).unwrap();
        check(lakegate().arg("drift-check"), dir.path())
    };
    let (code, result, told) = run("");
    assert_eq!(code, 1, "{told}");
    let target = column(&result, "late");
    assert_eq!((&target["state"], &target["kind"]), (&"drift".into(), &"categorical".into()));
    assert!(told.contains("1 of 2 columns drifted"), "{told}");
    let (code, _, told) = run(", limits: {late: {statistic: cramers_v, threshold: 0.5}}");
    assert_eq!(code, 0, "{told}");
    let (code, result, told) = run(", exclude: [late]");
    assert_eq!((code, result["columns"].as_array().unwrap().len()), (0, 2), "{told}");
}

#[test]
fn thresholds_are_learnt_from_how_much_the_baseline_moves_by_itself() {
    let dir = tempfile::tempdir().unwrap();
    // A column that swings from day to day, and one that is calm.
    let side = |days: std::ops::Range<u32>, more: f64| {
        csv(
            "t,swings,calm",
            days.flat_map(|day| {
                (0..600u32).map(move |row| {
                    let at = (f64::from(row + 1) * 0.618_033_988_749_894_9).fract();
                    let swing = f64::from(day % 3) * 0.2;
                    format!("2026-01-{:02}T00:00:00,{},{}", day + 1, at + swing + more, at + more)
                })
            }),
        )
    };
    std::fs::write(dir.path().join("then.csv"), side(0..12, 0.0)).unwrap();
    std::fs::write(dir.path().join("now.csv"), side(12..13, 0.0)).unwrap();
    std::fs::write(dir.path().join("moved.csv"), side(12..13, 0.3)).unwrap();
    let run = |current: &str, learn: &str| {
        let policy = format!(
            "drift: {{baseline: then.csv, current: {current}, windows: {{every: 1d, column: t{learn}}}}}\n"
        );
        std::fs::write(dir.path().join("lakegate.yml"), policy).unwrap();
        check(lakegate().arg("drift-check"), dir.path())
    };
    let threshold = |result: &Value, name: &str| {
        let newest = result["windows"].as_array().unwrap().last().unwrap();
        let columns = newest["columns"].as_array().unwrap();
        let column = columns.iter().find(|column| column["column"] == name).unwrap();
        column["threshold"].as_f64().unwrap()
    };
    let (code, result, told) = run("now.csv", "");
    assert_eq!((code, threshold(&result, "swings")), (1, 0.1), "{told}");
    let (code, result, told) = run("now.csv", ", learn: 0.95");
    assert_eq!(code, 0, "it swings as it always did: {told}");
    assert!(threshold(&result, "swings") > 0.15, "{told}");
    assert_eq!(threshold(&result, "calm"), 0.05);
    let (code, _, told) = run("moved.csv", ", learn: 0.95");
    assert!(code == 1 && told.contains("calm drifted"), "{told}");
    std::fs::write(dir.path().join("then.csv"), side(0..3, 0.0)).unwrap();
    let (code, _, told) = run("now.csv", ", learn: 0.95");
    assert!(code == 2 && told.contains("needs 5 windows of 500 rows"), "{told}");
}
