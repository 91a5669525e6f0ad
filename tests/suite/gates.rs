//! `model-gate`, against the embedded workspace.

use std::fmt::Write as _;
use std::time::Duration;

use lakegate::databricks::jobs::RunNow;
use lakegate::databricks::unity::Securable;
use lakegate::names::{ModelVersion, Sha256};
use serde_json::json;

use crate::support::{Served, root, text, within};

/// Registers a version, as MLflow does in a job, unless it is told to leave that out.
const TRAIN: &str = r#"
import json, os, sys, urllib.request

def call(method, path, body):
    headers = {"Authorization": "Bearer " + os.environ["DATABRICKS_TOKEN"]}
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    url = os.environ["DATABRICKS_HOST"] + path
    request = urllib.request.Request(url, body, headers, method=method)
    with urllib.request.urlopen(request) as answer:
        return json.loads(answer.read() or b"{}")

if sys.argv[1:] == ["nothing"]:
    sys.exit()
tags = [{"key": k, "value": v} for k, v in json.loads(os.environ["MLFLOW_RUN_CONTEXT"]).items()]
mlflow = "/api/2.0/mlflow/"
experiment = call("POST", mlflow + "experiments/create", {"name": "/Shared/" + sys.argv[1]})
run = call("POST", mlflow + "runs/create", {**experiment, "tags": tags})["run"]["info"]["run_id"]
model = {"name": "main.default.m", "source": "somewhere", "run_id": run}
versions = mlflow + "unity-catalog/model-versions/"
version = call("POST", versions + "create", model)["model_version"]["version"]
call("PUT", f"/api/2.0/fs/files/Models/main/default/m/{version}/MLmodel", b"flavors: {}")
call("POST", versions + "finalize", {"name": "main.default.m", "version": version})
"#;

const POLICY: &str = "\
promotion: {model: main.default.m}
gate:
  problem: binary
  predictions: p.csv
  key: [id]
  label: y
  candidate: p
  min_rows: 10
  min_positives: 5
  rules: [{metric: roc_auc, min: 0.6, on: value}]
";

#[tokio::test(flavor = "multi_thread")]
async fn a_candidate_is_what_the_run_of_a_job_registered() {
    let dir = tempfile::tempdir().unwrap();
    let served = Served::start(&dir.path().join("workspace"));
    let client = served.client();
    let fields = json!({ "catalog_name": "main", "schema_name": "default", "name": "m" });
    client.securable_create(Securable::Model, &fields).await.unwrap();
    client.workspace_mkdirs("/Workspace/jobs").await.unwrap();
    client.workspace_write("/Workspace/jobs/main.py", TRAIN.into(), true).await.unwrap();
    let script = json!({ "python_file": "/Workspace/jobs/main.py", "parameters": ["{{job.parameters.what}}"] });
    let job = json!({ "name": "train", "parameters": [{ "name": "what", "default": "a" }],
        "tasks": [{ "task_key": "t", "spark_python_task": script }] });
    let job_id = client.job_create(&job).await.unwrap();
    let mut rows = "id,y,p\n".to_owned();
    for row in 0..200 {
        writeln!(rows, "{row},{},{}", row % 2, f64::from(row % 2 * 50 + row % 60) / 120.0).unwrap();
    }
    std::fs::write(dir.path().join("p.csv"), rows).unwrap();
    std::fs::write(dir.path().join("lakegate.yml"), POLICY).unwrap();
    let ended = async |what: &str| {
        let parameters = [("what".to_owned(), what.to_owned())].into();
        let now = RunNow { job_id, job_parameters: parameters, ..RunNow::default() };
        let run_id = client.run_now(&now).await.unwrap();
        while !client.run_get(run_id).await.unwrap().is_over() {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        run_id
    };
    let judge = |run: i64| {
        let mut command = served.command();
        command.args(["model-gate", "--json", &format!("--candidate=run:{run}")]);
        command.current_dir(dir.path()).output().unwrap()
    };

    let (first, second) = (ended("first").await, ended("second").await);
    for (run, version) in [(first, "1"), (second, "2")] {
        let output = judge(run);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(told["outputs"]["candidate-version"], version);
    }
    let output = judge(ended("nothing").await);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("registered no version of `main.default.m`"), "{said}");
    // The same experiment cannot be made twice.
    let output = judge(ended("first").await);
    let said = text(&output.stderr);
    assert!(output.status.code() == Some(2) && said.contains("is FAILED"), "{said}");
}

/// The job of `examples/deployment-job` judges, waits for somebody, and promotes.
#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_job_judges_waits_and_promotes() {
    let dir = tempfile::tempdir().unwrap();
    let served = Served::start(&dir.path().join("workspace"));
    let client = served.client();
    served
        .sql("CREATE TABLE main.default.predictions AS SELECT value AS id, CAST(value % 2 AS INT) AS label, (value % 2 * 50 + value % 60) / 120.0 AS candidate, 0.5 AS champion FROM generate_series(1, 2000)")
        .await;
    let fields = json!({ "catalog_name": "main", "schema_name": "default", "name": "m" });
    client.securable_create(Securable::Model, &fields).await.unwrap();
    let http = reqwest::Client::new();
    let registry = format!("{}/api/2.0/mlflow/unity-catalog/model-versions", served.host);
    for (call, body) in [
        ("create", json!({ "name": "main.default.m", "source": "somewhere" })),
        ("finalize", json!({ "name": "main.default.m", "version": "1" })),
    ] {
        let made = http.post(format!("{registry}/{call}")).bearer_auth(&served.token).json(&body);
        assert!(made.send().await.unwrap().status().is_success());
        client.file_write("/Models/main/default/m/1/MLmodel", "flavors: {}".into()).await.unwrap();
    }
    let bundle = dir.path().join("bundle");
    std::fs::create_dir(&bundle).unwrap();
    for file in ["databricks.yml", "lakegate.yml", "lakegate_task.py"] {
        let from = root().join("examples/deployment-job").join(file);
        std::fs::copy(from, bundle.join(file)).unwrap();
    }
    let binary = env!("CARGO_BIN_EXE_lakegate");
    let digest = Sha256::of(std::fs::read(binary).unwrap()).to_string();
    let deploy = |digest: &str| {
        let mut command = served.command();
        command.args(["bundle-deploy", "apply"]).current_dir(&bundle);
        command.env("BUNDLE_VAR_binary", binary).env("BUNDLE_VAR_sha256", digest);
        command.env("BUNDLE_VAR_evidence", dir.path().join("evidence"));
        command.env("BUNDLE_VAR_warehouse", "local");
        let output = within(Duration::from_secs(60), &mut command);
        assert!(output.status.success(), "{}", text(&output.stderr));
    };
    let started = |key: &str| {
        let mut command = served.command();
        command.args(["job-run", "deployment-job", "-p", "model_name=main.default.m"]);
        command.args(["-p", "model_version=1", "--step-key", key]).current_dir(dir.path());
        let output = within(Duration::from_secs(120), &mut command);
        (output.status.code().unwrap(), text(&output.stdout) + &text(&output.stderr))
    };
    let champion = async || {
        let (model, alias) = ("main.default.m".parse().unwrap(), "champion".parse().unwrap());
        client.alias_get(&model, &alias).await.unwrap().map(|version| version.0)
    };

    // Another binary than the one that was deployed with the job is not run.
    deploy(&"0".repeat(64));
    let (code, said) = started("wrong");
    assert!(code == 1 && said.contains("it was not run"), "{said}");
    deploy(&digest);
    let (code, said) = started("one");
    assert!(code == 1 && said.contains("1 approval is missing"), "{said}");
    assert_eq!(champion().await, None);
    let (model, version) = ("main.default.m".parse().unwrap(), ModelVersion(1));
    client.model_version_tag(&model, version, "Approval_Promotion", "Approved").await.unwrap();
    let (code, said) = started("two");
    assert_eq!(code, 0, "{said}");
    assert_eq!(champion().await, Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_cannot_be_judged_is_named_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let served = Served::start(&dir.path().join("workspace"));
    let client = served.client();
    std::fs::write(dir.path().join("p.csv"), "id,y,p\n1,0,0.2\n").unwrap();
    std::fs::write(dir.path().join("lakegate.yml"), POLICY).unwrap();
    let refused_with = |wanted: i32, args: &[&str]| {
        let mut command = served.command();
        let output = command.arg("model-gate").args(args).current_dir(dir.path()).output().unwrap();
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(wanted), "{args:?}: {said}");
        said
    };
    let refused = |args: &[&str]| refused_with(2, args);
    assert!(refused(&[]).contains("the model `main.default.m` does not exist"));
    let fields = json!({ "catalog_name": "main", "schema_name": "default", "name": "m" });
    client.securable_create(Securable::Model, &fields).await.unwrap();
    assert!(refused(&[]).contains("the model `main.default.m` has no versions"));
    let http = reqwest::Client::new();
    let registry = format!("{}/api/2.0/mlflow/unity-catalog/model-versions", served.host);
    let call = async |method: &str, verb: &str, body: serde_json::Value| {
        let call = http.request(method.parse().unwrap(), format!("{registry}/{verb}"));
        let made = call.bearer_auth(&served.token).json(&body).send().await.unwrap();
        assert!(made.status().is_success(), "{}", made.text().await.unwrap());
    };
    let named = json!({ "name": "main.default.m", "version": "1" });
    call("POST", "create", json!({ "name": "main.default.m", "source": "somewhere" })).await;
    let said = refused_with(7, &[]);
    assert!(said.contains("is PENDING_REGISTRATION, not READY"), "{said}");
    client.file_write("/Models/main/default/m/1/MLmodel", "flavors: {}".into()).await.unwrap();
    call("POST", "finalize", named.clone()).await;
    let said = refused(&["--candidate=challenger"]);
    assert!(said.contains("the alias `challenger` of `main.default.m` is not set"), "{said}");
    let said = refused(&["--champion=7"]);
    assert!(said.contains("version 7 of the model `main.default.m` does not exist"), "{said}");
    let said = refused(&["--candidate=run:99"]);
    assert!(said.contains("look up run 99"), "{said}");
    call("DELETE", "delete", named).await;
    let said = refused(&["--candidate=1"]);
    assert!(said.contains("version 1 of the model `main.default.m` does not exist"), "{said}");
}
