//! What survives kill -9, and what is refused before it does harm.

use std::process::Stdio;
use std::time::Duration;

use serde_json::json;

use crate::support::{Served, lakegate, text, within};
use lakegate::databricks::jobs::RunNow;
use lakegate::databricks::sql::Statement;
use lakegate::databricks::unity::Securable;

#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_survives_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let mut served = Served::start(dir.path());
    for round in 0..5 {
        let client = served.client();
        client
            .securable_create(
                Securable::Schema,
                &json!({ "catalog_name": "main", "name": format!("s{round}") }),
            )
            .await
            .unwrap();
        client.workspace_mkdirs("/Workspace/kept").await.unwrap();
        client
            .workspace_write(&format!("/Workspace/kept/{round}.txt"), "bytes".into(), false)
            .await
            .unwrap();
        served.sql(&format!("CREATE TABLE main.s{round}.t AS SELECT {round} AS id")).await;
        served.kill();
        served = Served::start(dir.path());
        for earlier in 0..=round {
            let name = format!("main.s{earlier}");
            assert!(
                served.client().securable_get(Securable::Schema, &name).await.unwrap().is_some()
            );
            let file = format!("/Workspace/kept/{earlier}.txt");
            assert_eq!(served.client().workspace_read(&file).await.unwrap().unwrap(), "bytes");
            let rows = served.sql(&format!("SELECT id FROM main.s{earlier}.t")).await;
            assert_eq!(rows, [[Some(earlier.to_string())]]);
        }
    }
}

/// However a creation ends, there is a table that can be read and written, or none.
#[tokio::test(flavor = "multi_thread")]
async fn a_table_is_whole_or_is_not_there() {
    let dir = tempfile::tempdir().unwrap();
    let mut served = Served::start(dir.path());
    for round in 0..12 {
        let client = served.client();
        let create = tokio::spawn(async move {
            for at in 0.. {
                let text = format!("CREATE TABLE main.default.r{round}_{at} AS SELECT 1 AS id");
                if client.sql("local", &Statement::new(text)).await.is_err() {
                    break;
                }
            }
        });
        tokio::time::sleep(Duration::from_millis(150 + 7 * round)).await;
        served.kill();
        create.await.unwrap();
        served = Served::start(dir.path());
        for table in served.sql("SHOW TABLES IN main.default").await {
            let name = table[1].clone().unwrap();
            let rows = served.sql(&format!("SELECT id FROM main.default.{name}")).await;
            assert_eq!(rows, [[Some("1".to_owned())]], "{name}");
        }
    }
    let asks = async |text: &str| served.client().sql("local", &Statement::new(text)).await;
    let refused = asks("CREATE TABLE main.default.t (id INT) PARTITIONED BY (day)").await;
    assert!(refused.is_err());
    asks("CREATE TABLE main.default.t (id INT)").await.unwrap();

    let place = dir.path().join("outside").display().to_string();
    let external = |select: &str| {
        format!("CREATE OR REPLACE TABLE main.default.e LOCATION '{place}' AS SELECT {select}")
    };
    asks(&external("1 AS id")).await.unwrap();
    asks(&external("'x' AS word, 2.5 AS size")).await.unwrap();
    let rows = served.sql("SELECT * FROM main.default.e").await;
    assert_eq!(rows, [[Some("x".to_owned()), Some("2.5".to_owned())]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_lost_its_workspace_ends_as_an_infrastructure_failure() {
    let dir = tempfile::tempdir().unwrap();
    let mut served = Served::start(dir.path());
    let client = served.client();
    let mark = dir.path().join("alive");
    let script = format!(
        "import pathlib, time\nwhile True:\n    pathlib.Path({:?}).write_text(str(time.time()))\n    time.sleep(0.05)",
        mark.display().to_string()
    );
    client.workspace_mkdirs("/Workspace/jobs").await.unwrap();
    client.workspace_write("/Workspace/jobs/main.py", script.into(), true).await.unwrap();
    let task = json!({ "task_key": "t", "spark_python_task": { "python_file": "/Workspace/jobs/main.py" } });
    let job_id = client.job_create(&json!({ "name": "endless", "tasks": [task] })).await.unwrap();
    let now = RunNow { job_id, idempotency_token: Some("once".into()), ..RunNow::default() };
    let run_id = client.run_now(&now).await.unwrap();
    while !mark.exists() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    served.kill();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let last = std::fs::read_to_string(&mark).unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(std::fs::read_to_string(&mark).unwrap(), last, "the task outlived its workspace");

    served = Served::start(dir.path());
    let client = served.client();
    let run = client.run_get(run_id).await.unwrap();
    assert!(run.is_over() && !run.succeeded() && run.is_infrastructure_failure());
    assert_eq!(client.run_now(&now).await.unwrap(), run_id, "the token still stands for the run");
}

/// A step that is killed cannot cancel: the one that always runs does.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_step_left_is_cancelled() {
    let dir = tempfile::tempdir().unwrap();
    let served = Served::start(&dir.path().join("workspace"));
    let client = served.client();
    client.workspace_mkdirs("/Workspace/jobs").await.unwrap();
    let script = "import time\ntime.sleep(300)";
    client.workspace_write("/Workspace/jobs/main.py", script.into(), true).await.unwrap();
    let task = json!({ "task_key": "t", "spark_python_task": { "python_file": "/Workspace/jobs/main.py" } });
    client.job_create(&json!({ "name": "endless", "tasks": [task] })).await.unwrap();
    let marks = dir.path().join(".lakegate/runs");
    let cancel_left = || {
        let mut command = served.command();
        command.args(["job-run", "--cancel-left"]).current_dir(dir.path());
        let output = within(Duration::from_secs(60), &mut command);
        (output.status.code().unwrap(), text(&output.stdout) + &text(&output.stderr))
    };
    let mut command = served.command();
    command.args(["job-run", "endless"]).current_dir(dir.path());
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while std::fs::read_dir(&marks).map_or(0, Iterator::count) == 0 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let mark = std::fs::read_dir(&marks).unwrap().next().unwrap().unwrap().path();
    let run_id: i64 = mark.file_stem().unwrap().to_str().unwrap().parse().unwrap();
    assert!(!client.run_get(run_id).await.unwrap().is_over());

    // What is no mark, and what belongs elsewhere, is left alone.
    std::fs::write(marks.join("0.json"), "{").unwrap();
    let (code, said) = cancel_left();
    assert!(code != 0 && said.contains("read the mark"), "{code} {said}");
    let other = json!({ "host": "https://other.example", "run_id": 7, "job": "theirs" });
    std::fs::write(marks.join("0.json"), other.to_string()).unwrap();
    let (code, said) = cancel_left();
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("was cancelled") && said.contains("belongs to another"), "{said}");
    let run = client.run_get(run_id).await.unwrap();
    assert_eq!(run.state.result_state.as_deref(), Some("CANCELED"));
    assert!(!mark.exists());

    // A run that ends leaves nothing; without anything left, no workspace is needed.
    std::fs::remove_file(marks.join("0.json")).unwrap();
    let mut alone = lakegate();
    alone.args(["job-run", "--cancel-left"]).current_dir(dir.path());
    let output = within(Duration::from_secs(60), &mut alone);
    assert!(text(&output.stdout).contains("no run was left"), "{}", text(&output.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_starts_nothing_twice() {
    let dir = tempfile::tempdir().unwrap();
    let served = Served::start(dir.path());
    let client = served.client();
    client.workspace_mkdirs("/Workspace/jobs").await.unwrap();
    client.workspace_write("/Workspace/jobs/main.py", "print(1)".into(), true).await.unwrap();
    let task = json!({ "task_key": "t", "spark_python_task": { "python_file": "/Workspace/jobs/main.py" } });
    let job_id = client.job_create(&json!({ "name": "j", "tasks": [task] })).await.unwrap();
    let http = reqwest::Client::new();
    let fault = json!({ "method": "POST", "path": "/api/2.2/jobs/run-now", "when": "after", "status": 503, "retry_after": "0", "times": 2 });
    let set = http
        .post(format!("{}/__lakegate/faults", served.host))
        .bearer_auth(&served.token)
        .json(&fault);
    assert!(set.send().await.unwrap().status().is_success());
    let now = RunNow { job_id, idempotency_token: Some("t".into()), ..RunNow::default() };
    client.run_now(&now).await.unwrap();
    let runs = http
        .get(format!("{}/api/2.2/jobs/runs/list?job_id={job_id}", served.host))
        .bearer_auth(&served.token);
    let listed: serde_json::Value = runs.send().await.unwrap().json().await.unwrap();
    assert_eq!(listed["runs"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn faults_are_what_real_ones_look_like() {
    let dir = tempfile::tempdir().unwrap();
    let served = Served::start(dir.path());
    let http = reqwest::Client::new();
    let set = |rule: serde_json::Value| {
        http.post(format!("{}/__lakegate/faults", served.host))
            .bearer_auth(&served.token)
            .json(&rule)
            .send()
    };
    let me = || {
        http.get(format!("{}/api/2.0/preview/scim/v2/Me", served.host))
            .bearer_auth(&served.token)
            .send()
    };
    set(json!({ "path": "/api/2.0/preview/**", "status": 429, "retry_after": "3", "offset": 1 }))
        .await
        .unwrap();
    assert_eq!(me().await.unwrap().status(), 200);
    let busy = me().await.unwrap();
    assert_eq!(
        (busy.status().as_u16(), busy.headers()["retry-after"].to_str().unwrap()),
        (429, "3")
    );
    assert_eq!(me().await.unwrap().status(), 200);
    set(json!({ "path": "/api/2.0/preview/**", "cut_body_at": 5 })).await.unwrap();
    let cut = async { me().await?.bytes().await };
    assert!(cut.await.is_err(), "the body was cut");
    let anonymous =
        http.get(format!("{}/api/2.0/preview/scim/v2/Me", served.host)).send().await.unwrap();
    assert_eq!(anonymous.status(), 401);
}

/// A link that has expired, or whose answer is cut, is asked for anew; one that
/// never answers ends the reading.
#[tokio::test(flavor = "multi_thread")]
async fn links_to_results_are_asked_for_again() {
    let dir = tempfile::tempdir().unwrap();
    let served = Served::start(dir.path());
    let client = served.client();
    let rows = async || {
        let statement = Statement::new("SELECT * FROM generate_series(1, 200000)");
        let batches = client.sql_arrow("local", &statement).await?;
        anyhow::Ok(batches.iter().map(|batch| batch.num_rows()).sum::<usize>())
    };
    let fault = |more: serde_json::Value| {
        let mut rule = json!({ "path": "/__lakegate/results/**" });
        rule.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        rule
    };
    for more in [json!({ "status": 403 }), json!({ "cut_body_at": 100, "offset": 1 })] {
        served.post("/__lakegate/faults", &fault(more)).await;
        assert_eq!(rows().await.unwrap(), 200_000);
        served.clear_faults().await;
    }
    served.post("/__lakegate/faults", &fault(json!({ "status": 403, "times": 0 }))).await;
    let error = rows().await.unwrap_err().to_string();
    assert!(error.contains("signed link") && error.contains("HTTP 403"), "{error}");
    assert!(!error.contains("results/"), "the link is a secret: {error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_step_whose_run_was_lost_again_and_again_still_ends() {
    let dir = tempfile::tempdir().unwrap();
    let mut served = Served::start(dir.path());
    let mark = dir.path().join("starts");
    let script = format!(
        "import pathlib, time\nmark = pathlib.Path({:?})\nstarts = len(mark.read_text()) if mark.exists() else 0\nmark.write_text('x' * (starts + 1))\nif starts < 3:\n    time.sleep(600)",
        mark.display().to_string()
    );
    let client = served.client();
    client.workspace_mkdirs("/Workspace/jobs").await.unwrap();
    client.workspace_write("/Workspace/jobs/main.py", script.into(), true).await.unwrap();
    let task = json!({ "task_key": "t", "spark_python_task": { "python_file": "/Workspace/jobs/main.py" } });
    client.job_create(&json!({ "name": "patient", "tasks": [task] })).await.unwrap();
    let step = |served: &Served| {
        let mut command = served.command();
        command.args(["job-run", "patient", "--rerun-infrastructure", "--step-key=s"]);
        command.current_dir(dir.path()).stdout(std::process::Stdio::null());
        command.stderr(std::process::Stdio::null());
        command
    };
    for lost in 1..=3 {
        let mut child = step(&served).spawn().unwrap();
        while std::fs::read_to_string(&mark).map_or(0, |starts| starts.len()) < lost {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        served.kill();
        child.kill().unwrap();
        child.wait().unwrap();
        served = Served::start(dir.path());
    }
    let status = step(&served).status().unwrap();
    assert!(status.success(), "{status:?}");
    assert_eq!(std::fs::read_to_string(&mark).unwrap(), "xxxx");
}
