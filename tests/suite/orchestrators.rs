//! The example for Data Factory: its requests, sent as the factory would send them.

use std::time::{Duration, Instant};

use lakegate::sys::fs::write_atomic;
use serde_json::{Value, json};

use crate::support::{Served, root, text, within};

/// What stands in a pipeline's `@{…}`.
fn filled(value: &str, known: &[(&str, String)]) -> String {
    let mut value = value.to_owned();
    for (name, with) in known {
        value = value.replace(&format!("@{{{name}}}"), with);
    }
    assert!(!value.contains("@{"), "{value}");
    value
}

async fn web(served: &Served, activity: &Value, known: &[(&str, String)]) -> Value {
    assert_eq!(activity["type"], "WebActivity");
    let of = &activity["typeProperties"];
    let url = filled(of["url"].as_str().unwrap(), known);
    let method = of["method"].as_str().unwrap().parse().unwrap();
    let mut call = reqwest::Client::new().request(method, url).bearer_auth(&served.token);
    if let Some(body) = of["body"].as_str() {
        let body: Value = serde_json::from_str(&filled(body, known)).unwrap();
        call = call.json(&body);
    }
    call.send().await.unwrap().error_for_status().unwrap().json().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_factory_starts_a_deployed_job_once_and_sees_how_it_ends() {
    let dir = tempfile::tempdir().unwrap();
    let bundle = "bundle: {name: small}\ntargets: {prod: {default: true}}\nresources: {jobs: {train: {name: train, parameters: [{name: months, default: ''}], tasks: [{task_key: t, environment_key: e, spark_python_task: {python_file: train.py, parameters: ['{{job.parameters.months}}']}}], environments: [{environment_key: e, spec: {environment_version: '3'}}]}}}\n";
    write_atomic(dir.path().join("p/databricks.yml"), bundle).unwrap();
    write_atomic(dir.path().join("p/train.py"), "import sys\nassert sys.argv[1] == '1,2'\n")
        .unwrap();
    let served = Served::start(&dir.path().join("workspace"));
    let mut deploy = served.command();
    deploy.args(["bundle-deploy", "apply"]).current_dir(dir.path().join("p"));
    let deployed = within(Duration::from_secs(60), &mut deploy);
    assert!(deployed.status.success(), "{}", text(&deployed.stderr));

    let file = root().join("examples/data-factory/pipeline.json");
    let pipeline: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
    let activities = pipeline["properties"]["activities"].as_array().unwrap();
    let [start, wait, judge] = &activities[..] else { panic!("{activities:?}") };
    let jobs = served.client().job_list(None).await.unwrap();
    for (months, result) in [("1,2", "SUCCESS"), ("3", "FAILED")] {
        let mut known = vec![
            ("pipeline().parameters.host", served.host.clone()),
            ("pipeline().parameters.job", jobs[0].job_id.to_string()),
            ("pipeline().parameters.months", months.to_owned()),
            ("pipeline().RunId", format!("run-{months}")),
        ];
        let run = web(&served, start, &known).await["run_id"].clone();
        // What is repeated starts nothing.
        assert_eq!(web(&served, start, &known).await["run_id"], run);
        known.push(("activity('Start').output.run_id", run.to_string()));
        let look = &wait["typeProperties"]["activities"][1];
        let ends = wait["typeProperties"]["expression"]["value"].as_str().unwrap();
        let begun = Instant::now();
        let state = loop {
            let told = web(&served, look, &known).await;
            let state = told["state"]["life_cycle_state"].as_str().unwrap();
            if ends.contains(&format!("'{state}'")) {
                break told["state"].clone();
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "{told:#}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        let wanted = judge["typeProperties"]["expression"]["value"].as_str().unwrap();
        let is_good = wanted.contains(&format!("'{}'", state["result_state"].as_str().unwrap()));
        assert_eq!((is_good, &state["result_state"]), (result == "SUCCESS", &json!(result)));
    }
}
