//! The commands with input that is wrong: exit code 2, and a message that names
//! the place and the way out.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::json;

use crate::support::{Served, lakegate, text, within};

/// A project folder with a bundle and policies.
fn project(dir: &Path) {
    let write =
        |name: &str, text: &str| lakegate::sys::fs::write_atomic(dir.join(name), text).unwrap();
    write(
        "databricks.yml",
        "bundle: {name: small}\nresources:\n  jobs:\n    hello:\n      name: hello\n      tasks:\n        - {task_key: say, environment_key: e, spark_python_task: {python_file: hello.py, parameters: ['{{job.parameters.who}}']}}\n      parameters: [{name: who, default: world}]\n      environments: [{environment_key: e, spec: {environment_version: '3'}}]\ntargets: {local: {default: true}}\n",
    );
    write(
        "hello.py",
        "import sys\nif sys.argv[1] == 'nobody':\n    raise ValueError('::error::nobody to greet ##vso[task.complete]')\nprint('hello', sys.argv[1])\n",
    );
    write(
        "lakegate.yml",
        "gate: {problem: binary, predictions: main.default.p, key: [id], label: y, candidate: a, champion: b, min_rows: 4, min_positives: 1, resamples: 100, rules: [{metric: roc_auc, min: 0.6}]}\ndrift: {baseline: main.default.p, current: main.default.p, exclude: [id], min_rows: 4}\n",
    );
}

struct World {
    served: Served,
    dir: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        project(&dir.path().join("project"));
        Self { served: Served::start(&dir.path().join("workspace")), dir }
    }

    fn project(&self) -> std::path::PathBuf {
        self.dir.path().join("project")
    }

    fn run(&self, arguments: &[&str]) -> (i32, String) {
        let mut command = self.served.command();
        command.args(arguments).current_dir(self.project());
        told(&mut command)
    }

    fn edit(&self, file: &str, from: &str, to: &str) {
        let path = self.project().join(file);
        let before = std::fs::read_to_string(&path).unwrap();
        assert!(before.contains(from), "{file} does not hold {from}");
        std::fs::write(path, before.replace(from, to)).unwrap();
    }
}

fn told(command: &mut Command) -> (i32, String) {
    let output = within(Duration::from_secs(60), command);
    (output.status.code().unwrap(), text(&output.stdout) + &text(&output.stderr))
}

#[track_caller]
fn refused((code, said): (i32, String), words: &[&str]) {
    assert_eq!(code, 2, "{said}");
    for word in words {
        assert!(said.contains(word), "no `{word}` in: {said}");
    }
}

#[test]
fn mistakes_in_files_and_names_are_told_with_the_way_out() {
    let world = World::new();
    refused(
        world.run(&["job-run", "helo"]),
        &["no job is called `helo`", "help: the workspace has no jobs"],
    );
    assert_eq!(world.run(&["bundle-deploy", "apply"]).0, 0);
    refused(world.run(&["job-run", "helo"]), &["help: did you mean `hello`?"]);
    refused(world.run(&["job-run", "77"]), &["Job 77 does not exist"]);
    refused(world.run(&["job-run", "hello", "-p", "who"]), &["NAME=VALUE"]);
    refused(
        world.run(&["bundle-deploy", "plan", "-t", "prod"]),
        &["there is no target `prod`", "known: local"],
    );
    refused(
        world.run(&["model-gate", "--model", "main.default.m"]),
        &["the model `main.default.m` does not exist"],
    );
    refused(world.run(&["model-gate", "--model", "just.two"]), &["catalog.schema.model"]);
    refused(world.run(&["model-promote"]), &["run model-gate first"]);
    refused(world.run(&["drift-check"]), &["the table `main.default.p` does not exist"]);
    world.edit("databricks.yml", "tasks:", "taks:");
    refused(world.run(&["bundle-deploy", "plan"]), &["resources.jobs.hello.taks", "did you mean"]);
    world.edit("lakegate.yml", "min_positives: 1, resamples", "min_row: 4, resamples");
    refused(world.run(&["drift-check"]), &["`lakegate.yml` line 1", "gate.min_row"]);
    world.edit("lakegate.yml", "min_row: 4, resamples", "min_positives: 1, resamples");
    refused(
        told(lakegate().args(["job-run", "x"]).current_dir(world.project())),
        &["DATABRICKS_HOST", "--local"],
    );
}

#[test]
fn a_taken_port_and_a_folder_in_use_are_told() {
    let world = World::new();
    let port = world.served.host.rsplit(':').next().unwrap();
    let other = world.dir.path().join("other");
    let mut command = lakegate();
    command.args(["workspace", "serve", "--port", port, "--dir"]).arg(&other);
    refused(told(&mut command), &["listen on 127.0.0.1", "--port"]);
    let mut command = lakegate();
    command.args(["workspace", "serve", "--dir"]).arg(&world.served.dir);
    let (code, said) = told(&mut command);
    assert_ne!(code, 0);
    assert!(said.contains("another process"), "{said}");
}

#[test]
fn each_command_is_a_binary_of_its_own() {
    for (binary, program) in [
        ("lakegate-bundle-deploy", env!("CARGO_BIN_EXE_lakegate-bundle-deploy")),
        ("lakegate-drift-check", env!("CARGO_BIN_EXE_lakegate-drift-check")),
        ("lakegate-job-run", env!("CARGO_BIN_EXE_lakegate-job-run")),
        ("lakegate-model-gate", env!("CARGO_BIN_EXE_lakegate-model-gate")),
        ("lakegate-model-promote", env!("CARGO_BIN_EXE_lakegate-model-promote")),
        ("lakegate-model-serve", env!("CARGO_BIN_EXE_lakegate-model-serve")),
    ] {
        let (code, said) = told(Command::new(program).arg("--version"));
        assert_eq!(
            (code, said.trim()),
            (0, format!("{binary} {}", env!("CARGO_PKG_VERSION")).as_str())
        );
        let (code, said) = told(Command::new(program).arg("--no-such-flag"));
        assert_eq!(code, 2, "{said}");
    }
    let (code, said) = told(lakegate().args(["job-run", "--version"]));
    assert_eq!(code, 0, "{said}");
}

#[test]
fn a_missing_python_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = lakegate();
    command.args(["tour", "--until", "environment", "--dir"]).arg(dir.path());
    command.env("LAKEGATE_PYTHON", "/nowhere/python3");
    refused(told(&mut command), &["`/nowhere/python3`", "help: install Python 3.11 or newer"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn predictions_that_cannot_be_judged_are_refused() {
    let world = World::new();
    world.served.sql("CREATE TABLE main.default.p (id BIGINT, y BIGINT, a DOUBLE, b DOUBLE)").await;
    let client = world.served.client();
    for name in ["model"] {
        let fields = json!({ "catalog_name": "main", "schema_name": "default", "name": name });
        client
            .securable_create(lakegate::databricks::unity::Securable::Model, &fields)
            .await
            .unwrap();
    }
    register(&world.served, 1).await;
    let gate = || world.run(&["model-gate", "--model", "main.default.model"]);
    // A no that stays: it has its evidence, which can be looked at again.
    let judged = |words: &[&str]| {
        let (code, said) = gate();
        assert_eq!(code, 1, "{said}");
        for word in words {
            assert!(said.contains(word), "no `{word}` in: {said}");
        }
        for again in [&["model-gate", "verify"][..], &["model-gate", "verify", "--recompute"]] {
            let (code, said) = world.run(again);
            assert!(code == 0 && said.contains("the gate said fail"), "{said}");
        }
    };
    judged(&["no_data", "no rows to judge"]);
    world.served.sql("INSERT INTO main.default.p VALUES (1, 1, 0.9, 0.1), (2, 1, 0.8, 0.1)").await;
    judged(&["degenerate", "single class"]);
    world.served.sql("INSERT INTO main.default.p VALUES (3, 0, 0.1, 0.1), (3, 0, 0.2, 0.1)").await;
    judged(&["ambiguous", "repeat the key", "id = 3"]);
    world.served.sql("DELETE FROM main.default.p WHERE a = 0.2").await;
    world.served.sql("INSERT INTO main.default.p VALUES (4, 0, 7.5, 0.1)").await;
    judged(&["out_of_range", "`a` holds 7.5"]);
    world.served.sql("UPDATE main.default.p SET a = 0.3 WHERE id = 4").await;
    assert_eq!(gate().0, 0);
    refused(
        world.run(&["model-gate", "--model", "main.default.model", "--candidate", "9"]),
        &["version 9"],
    );
    refused(
        world.run(&["model-gate", "--model", "main.default.model", "--candidate", "nobody"]),
        &["`nobody`"],
    );
    world.edit("lakegate.yml", "candidate: a", "candidate: aa");
    refused(gate(), &["has no column `aa`", "did you mean"]);
}

/// Answers of long ago are no answers, and those of today pass.
#[tokio::test(flavor = "multi_thread")]
async fn the_age_of_the_rows_is_looked_at() {
    let world = predicted().await;
    let rules = "rules: [{metric: roc_auc, min: 0.5}], time: at, max_age_days: 2";
    let data = world.project().join("predictions.csv");
    let rows = std::fs::read_to_string(&data).unwrap();
    let dated = |time: &str| {
        let with = rows
            .lines()
            .enumerate()
            .map(|(at, line)| format!("{line},{}\n", if at == 0 { "at" } else { time }));
        std::fs::write(&data, with.collect::<String>()).unwrap();
    };
    dated("2020-01-01T00:00:00Z");
    let (code, said) = world.gate(rules);
    assert!(code == 1 && said.contains("2 are allowed"), "{said}");
    dated(&jiff::Timestamp::now().to_string());
    let (code, said) = world.gate(rules);
    assert_eq!(code, 0, "{said}");
    dated("yesterday");
    let (code, said) = world.gate(rules);
    assert!(code == 1 && said.contains("cannot be told"), "{said}");
}

/// A version with the least that MLflow calls a model.
async fn register(served: &Served, version: u64) {
    let http = reqwest::Client::new();
    let at =
        |path: &str| format!("{}/api/2.0/mlflow/unity-catalog/model-versions/{path}", served.host);
    let post = |path: &str, body: serde_json::Value| {
        let at = format!("{}/api/2.0/mlflow/{path}", served.host);
        let request = http.post(at).bearer_auth(&served.token).json(&body);
        async move { request.send().await.unwrap().json::<serde_json::Value>().await.unwrap() }
    };
    let name = format!("/Shared/training-{version}");
    let experiment = post("experiments/create", json!({ "name": name })).await;
    let run = post("runs/create", json!({ "experiment_id": experiment["experiment_id"] })).await;
    let run = &run["run"]["info"]["run_id"];
    let body = json!({ "name": "main.default.model", "source": "somewhere", "run_id": run });
    let made = http.post(at("create")).bearer_auth(&served.token).json(&body).send().await.unwrap();
    assert!(made.status().is_success());
    served
        .client()
        .file_write(
            &format!("/Models/main/default/model/{version}/MLmodel"),
            format!("flavors: {{v{version}: 1}}").into(),
        )
        .await
        .unwrap();
    let body = json!({ "name": "main.default.model", "version": version.to_string() });
    let made =
        http.post(at("finalize")).bearer_auth(&served.token).json(&body).send().await.unwrap();
    assert!(made.status().is_success());
}

#[tokio::test(flavor = "multi_thread")]
async fn evidence_is_bound_to_the_bytes() {
    let world = World::new();
    world.served.sql("CREATE TABLE main.default.p AS SELECT value AS id, CAST(value % 2 AS BIGINT) AS y, CAST(value % 2 AS DOUBLE) / 2 + 0.2 AS a FROM generate_series(1, 20)").await;
    let fields = json!({ "catalog_name": "main", "schema_name": "default", "name": "model" });
    world
        .served
        .client()
        .securable_create(lakegate::databricks::unity::Securable::Model, &fields)
        .await
        .unwrap();
    register(&world.served, 1).await;
    assert_eq!(world.run(&["model-gate", "--model", "main.default.model"]).0, 0);
    world
        .served
        .client()
        .file_write("/Models/main/default/model/1/MLmodel", "flavors: {evil: 1}".into())
        .await
        .unwrap();
    let (code, said) = world.run(&["model-promote"]);
    assert_eq!(code, 7, "{said}");
    assert!(said.contains("is not what the gate judged"), "{said}");
    world
        .served
        .client()
        .file_write("/Models/main/default/model/1/MLmodel", "flavors: {v1: 1}".into())
        .await
        .unwrap();
    world.edit(
        ".lakegate/reports/model-gate.evidence.json",
        "\"verdict\": \"pass\"",
        "\"verdict\": \"PASS\"",
    );
    assert_eq!(world.run(&["model-promote"]).0, 7);
}

/// Two versions, and a file of their predictions.
async fn predicted() -> World {
    let world = World::new();
    let fields = json!({ "catalog_name": "main", "schema_name": "default", "name": "model" });
    let client = world.served.client();
    let kind = lakegate::databricks::unity::Securable::Model;
    client.securable_create(kind, &fields).await.unwrap();
    register(&world.served, 1).await;
    register(&world.served, 2).await;
    let (model, alias) = ("main.default.model".parse().unwrap(), "champion".parse().unwrap());
    client.alias_set(&model, &alias, lakegate::names::ModelVersion(1)).await.unwrap();
    // 30 customers with 40 rows each; the candidate is better for most of them.
    let mut rows = "id,y,a,b,customer,weight\n".to_owned();
    for row in 0..1200u32 {
        let (label, customer) = (row % 2, row / 40);
        let noise = f64::from(row * 7919 % 997) / 997.0;
        let better = if customer % 3 == 0 { 0.0 } else { 0.2 };
        let score = |more: f64| (f64::from(label) * (0.3 + more) + noise * 0.5).min(1.0);
        rows +=
            &format!("{row},{label},{},{},c{customer},{}\n", score(better), score(0.0), row % 4);
    }
    std::fs::write(world.project().join("predictions.csv"), rows).unwrap();
    world
}

impl World {
    fn gate(&self, more: &str) -> (i32, String) {
        let policy = format!(
            "gate: {{problem: binary, predictions: predictions.csv, key: [id], label: y, candidate: a, champion: b, min_rows: 100, resamples: 400, {more}}}\n"
        );
        std::fs::write(self.project().join("lakegate.yml"), policy).unwrap();
        self.run(&["model-gate", "--model", "main.default.model"])
    }

    fn decision(&self) -> serde_json::Value {
        let path = self.project().join(".lakegate/reports/model-gate.evidence.json");
        let evidence: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        evidence["predicate"]["decision"].clone()
    }
}

/// Files are judged like tables; rows of a customer are no witnesses of their own.
#[tokio::test(flavor = "multi_thread")]
async fn files_of_predictions_are_judged_by_clusters_and_weights() {
    let world = predicted().await;
    let better = "rules: [{metric: roc_auc, better_than_champion: true}]";
    let width = |said: &str| {
        let inside = said.split(['[', ']']).nth(1).unwrap();
        let ends: Vec<f64> = inside.split(", ").map(|end| end.parse().unwrap()).collect();
        ends[1] - ends[0]
    };
    let report = || {
        let decision = world.decision();
        (decision["checks"][0]["reason"].as_str().unwrap().to_owned(), decision)
    };
    let (code, said) = world.gate(better);
    assert_eq!(code, 0, "{said}");
    let (by_row, evidence) = report();
    assert_eq!(evidence["data"]["digest"].as_str().unwrap().len(), 64);
    let (code, said) = world.gate(&format!("cluster: customer, weight: weight, {better}"));
    assert_eq!(code, 0, "{said}");
    let (by_customer, _) = report();
    assert!(width(&by_customer) > 1.1 * width(&by_row), "{by_row} {by_customer}");
    let (code, said) =
        world.gate("rules: [{metric: log_loss, not_worse_than: 1%}, {metric: mcc, min: 0.99}]");
    assert!(code == 1 && said.contains("mcc"), "{said}");
    let (code, said) = world
        .gate("rules: [{metric: f1, better_than_champion: true}], cluster: id, min_rows: 5000");
    assert_eq!(code, 2, "{said}");
    let (code, said) = world.gate("cluster: nobody, rules: [{metric: f1, min: 0.1}]");
    assert!(code == 2 && said.contains("no column `nobody`"), "{said}");
    let (code, said) = world.gate("rules: [{metric: bias, better_than_champion: true}]");
    assert!(code == 2 && said.contains("`bias` is not a metric of binary problems"), "{said}");
    let (code, said) = world.gate("rules: [{metric: f1, not_worse_than: much}]");
    assert!(code == 2 && said.contains("neither a number nor a share"), "{said}");
}

/// Anybody can take the decision again: from the document, and from the data.
#[tokio::test(flavor = "multi_thread")]
async fn a_decision_can_be_taken_again() {
    let world = predicted().await;
    let rules =
        "rules: [{metric: roc_auc, min: 0.5, not_worse_than: 0.1}, {metric: f1, max: 0.01}]";
    let (code, said) = world.gate(&format!(
        "{rules}, slices: {{columns: [customer], top: 2, min_rows: 10, rules: [{{metric: accuracy, min: 0.1}}]}}"
    ));
    assert_eq!(code, 1, "{said}");
    for arguments in [&["model-gate", "verify"][..], &["model-gate", "verify", "--recompute"]] {
        let (code, said) = world.run(arguments);
        assert!(code == 0 && said.contains("the gate said fail"), "{said}");
    }
    let data = world.project().join("predictions.csv");
    let rows = std::fs::read_to_string(&data).unwrap();
    let again = || world.run(&["model-gate", "verify", "--recompute"]);
    std::fs::write(&data, rows.replacen("c0", "c9", 1)).unwrap();
    let (code, said) = again();
    assert!(code == 7 && said.contains("the file of predictions"), "{said}");
    // The champion's answers may lie apart.
    std::fs::write(&data, &rows).unwrap();
    let theirs = world.project().join("champion.csv");
    std::fs::write(&theirs, &rows).unwrap();
    let (code, said) = world.gate(&format!("champion_predictions: champion.csv, {rules}"));
    assert_eq!(code, 1, "{said}");
    assert_eq!(again().0, 0);
    std::fs::write(&theirs, rows.replacen("c0", "c9", 1)).unwrap();
    let (code, said) = again();
    assert!(code == 7 && said.contains("the champion's predictions"), "{said}");
    let path = world.project().join(".lakegate/reports/model-gate.evidence.json");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains("\"verdict\": \"fail\""), "{text}");
    std::fs::write(&path, text.replace("\"verdict\": \"fail\"", "\"verdict\": \"pass\"")).unwrap();
    let (code, said) = world.run(&["model-gate", "verify"]);
    assert!(code == 7 && said.contains("own digest"), "{said}");
}

/// What is asked about a version beside its numbers.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_known_about_a_version_keeps_it_back() {
    let world = predicted().await;
    let rules = "rules: [{metric: roc_auc, min: 0.5}]";
    std::fs::write(world.project().join("bad.txt"), "numpy<1.22 CVE-2021-41496\n").unwrap();
    let (code, said) = world.gate(&format!(
        "{rules}, compliance: {{description: 5, tags: {{licence: [MIT]}}, owner: [], advisories: bad.txt, max_age_days: 1}}"
    ));
    assert_eq!(code, 1, "{said}");
    for words in [
        "description: 0 letters",
        "tag licence: the tag `licence` is not set",
        "advisories: the version does not list its packages",
    ] {
        assert!(said.contains(words), "{said}");
    }
    let client = world.served.client();
    let (model, version) =
        ("main.default.model".parse().unwrap(), lakegate::names::ModelVersion(2));
    client.model_version_tag(&model, version, "licence", "MIT").await.unwrap();
    let path = "/Models/main/default/model/2/requirements.txt";
    client.file_write(path, "numpy==1.26.0\n".into()).await.unwrap();
    let (code, said) = world.gate(&format!(
        "{rules}, compliance: {{tags: {{licence: [MIT]}}, owner: [], advisories: bad.txt, max_age_days: 1}}"
    ));
    assert_eq!(code, 0, "{said}");
    assert_eq!(world.decision()["measured"]["facts"]["tags"]["licence"], "MIT");
}

#[tokio::test(flavor = "multi_thread")]
async fn inputs_with_a_tag_and_packages_with_a_licence_that_is_not_allowed_are_found() {
    let world = predicted().await;
    let client = world.served.client();
    let described =
        "signature: {inputs: '[{\"name\": \"hour\"}, {\"name\": \"sex\"}]', outputs: '[{}]'}\n";
    client.file_write("/Models/main/default/model/2/MLmodel", described.into()).await.unwrap();
    world.served.sql("CREATE TABLE main.default.features (Hour BIGINT, sex STRING)").await;
    let packages = |licence: &str| {
        let rows = format!(
            "model,version,package,licence\nmain.default.model,2,numpy,{licence}\nmain.default.model,1,other,GPL-3.0-only\n"
        );
        std::fs::write(world.project().join("packages.csv"), rows).unwrap();
    };
    let asked = "rules: [{metric: roc_auc, min: 0.5}], compliance: {forbidden_tags: [pii], features: [main.default.features], licences: {packages: packages.csv, allowed: [BSD-3-Clause]}}";
    packages("BSD-3-Clause");
    let (code, said) = world.gate(asked);
    assert_eq!(code, 0, "{said}");
    let facts = world.decision()["measured"]["facts"].clone();
    assert_eq!(facts["licences"], json!({ "numpy": "BSD-3-Clause" }));
    assert_eq!(facts["input_tags"], json!({ "hour": [], "sex": [] }));

    let route = format!("{}/api/2.1/unity-catalog/entity-tag-assignments", world.served.host);
    let tag = json!({ "entity_type": "columns", "entity_name": "main.default.features.sex", "tag_key": "pii", "tag_value": "gender" });
    let http = reqwest::Client::new();
    let made = http.post(route).bearer_auth(&world.served.token).json(&tag).send().await.unwrap();
    assert!(made.status().is_success());
    packages("GPL-3.0-only");
    let (code, said) = world.gate(asked);
    assert_eq!(code, 1, "{said}");
    for words in ["`sex` is tagged pii=gender", "numpy has GPL-3.0-only"] {
        assert!(said.contains(words), "{said}");
    }
}

#[test]
fn a_plan_is_applied_exactly_or_not_at_all() {
    let world = World::new();
    let plan = ".lakegate/reports/bundle-deploy.plan.json";
    let apply = || world.run(&["bundle-deploy", "apply", "--plan", plan]);
    assert_eq!(world.run(&["bundle-deploy", "plan"]).0, 0);
    assert_eq!(apply().0, 0);
    let (code, said) = apply();
    assert_eq!(code, 4, "{said}");
    assert!(said.contains("another deployment came between"), "{said}");
    assert!(world.run(&["bundle-deploy", "apply"]).1.contains("nothing to change"));
    assert_eq!(world.run(&["bundle-deploy", "plan"]).0, 0);
    world.edit("hello.py", "hello", "goodbye");
    let (code, said) = apply();
    assert_eq!(code, 4, "{said}");
    assert!(said.contains("is not as it was planned"), "{said}");
    world.edit("databricks.yml", "hello:\n", "greet:\n");
    let (code, said) = world.run(&["bundle-deploy", "apply"]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("jobs.hello would be deleted"), "{said}");
    assert_eq!(world.run(&["bundle-deploy", "apply", "--allow-destroy"]).0, 0);
    assert_eq!(world.run(&["bundle-deploy", "destroy", "--allow-destroy"]).0, 0);
    refused(world.run(&["job-run", "hello"]), &["no job is called"]);
}

#[test]
fn a_failing_job_is_explained_and_its_output_is_harmless() {
    let world = World::new();
    assert_eq!(world.run(&["bundle-deploy", "apply"]).0, 0);
    let output = world.project().join("output");
    let mut command = world.served.command();
    command
        .args(["job-run", "hello", "-p", "who=nobody"])
        .current_dir(world.project())
        .env("GITHUB_ACTIONS", "true")
        .env("GITHUB_OUTPUT", &output);
    let (code, said) = told(&mut command);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("task `say` failed: ValueError"), "{said}");
    assert!(!said.contains("##vso["), "{said}");
    let foreign = said
        .lines()
        .filter(|line| line.trim_start().starts_with("::") && line.contains("nobody to greet"));
    assert!(
        foreign.clone().all(|line| line.starts_with("::error title=job")),
        "{:?}",
        foreign.collect::<Vec<_>>()
    );
    let outputs = std::fs::read_to_string(output).unwrap();
    for name in ["verdict<<", "run-id<<", "run-url<<", "result<<"] {
        assert!(outputs.contains(name), "{outputs}");
    }
}

#[test]
fn a_retried_step_finds_its_own_run() {
    let world = World::new();
    assert_eq!(world.run(&["bundle-deploy", "apply"]).0, 0);
    let run_id = |attempt: &str| {
        let mut command = world.served.command();
        command.args(["job-run", "hello", "--json"]).current_dir(world.project()).envs([
            ("GITHUB_ACTIONS", "true"),
            ("GITHUB_RUN_ID", "7"),
            ("GITHUB_RUN_ATTEMPT", attempt),
        ]);
        let output = within(Duration::from_secs(60), &mut command);
        let result: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        // Steps of a CI job work in folders of their own.
        let report = Path::new(result["outputs"]["report"].as_str().unwrap());
        assert!(report.is_absolute() && report.ends_with(".lakegate/reports/job-run.hello.html"));
        assert!(report.is_file());
        result["outputs"]["run-id"].as_str().unwrap().to_owned()
    };
    assert_eq!(run_id("1"), run_id("1"));
    assert_ne!(run_id("1"), run_id("2"));
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_signal_cancels_the_remote_run_in_time() {
    let world = World::new();
    world.edit("hello.py", "print(", "import time; time.sleep(60); print(");
    assert_eq!(world.run(&["bundle-deploy", "apply"]).0, 0);
    let mut command = world.served.command();
    let mut child = command
        .args(["job-run", "hello"])
        .current_dir(world.project())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let client = world.served.client();
    let run_id = loop {
        let listed = reqwest::Client::new()
            .get(format!("{}/api/2.2/jobs/runs/list?active_only=true", world.served.host))
            .bearer_auth(&world.served.token);
        let listed: serde_json::Value = listed.send().await.unwrap().json().await.unwrap();
        if let Some(run) = listed["runs"].as_array().and_then(|runs| runs.first()) {
            break run["run_id"].as_i64().unwrap();
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let started = std::time::Instant::now();
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    let status = child.wait().unwrap();
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    assert_eq!(status.code(), Some(130));
    tokio::time::sleep(Duration::from_millis(500)).await;
    let run = client.run_get(run_id).await.unwrap();
    assert_eq!(run.state.result_state.as_deref(), Some("CANCELED"));
}

/// Live traffic and what training logged are conditions like any other.
#[tokio::test(flavor = "multi_thread")]
async fn live_traffic_and_logged_metrics_are_judged() {
    let world = predicted().await;
    let mut outcomes = "customer,model,bought,before\n".to_owned();
    for customer in 0..4000u32 {
        let model = if customer % 2 == 0 { "B" } else { "A" };
        let before = f64::from(customer * 7919 % 1000) / 1000.0;
        let bought = u32::from(before + 0.1 * f64::from(u8::from(model == "B")) > 0.6);
        outcomes += &format!("{customer},{model},{bought},{before}\n");
    }
    std::fs::write(world.project().join("outcomes.csv"), &outcomes).unwrap();
    let experiment = |more: &str| {
        format!(
            "rules: [{{metric: roc_auc, min: 0.5}}], experiment: {{outcomes: outcomes.csv, unit: customer, group: model, candidate: B, champion: A, {more}}}"
        )
    };
    let better = "rules: [{outcome: bought, covariate: before, better_than_champion: true}]";
    let (code, said) = world.gate(&experiment(better));
    assert!(code == 0 && said.contains("bought better than champion holds"), "{said}");
    let (code, said) = world.gate(&experiment(&format!("share: 0.1, {better}")));
    assert!(code == 1 && said.contains("sample ratio: 2000 units"), "{said}");
    let (code, said) = world.gate(&experiment(&format!("min_units: 5000, {better}")));
    assert!(code == 3 && said.contains("2000 units are too few"), "{said}");
    let moved = outcomes.replacen("0,B", "1,B", 1);
    std::fs::write(world.project().join("outcomes.csv"), moved).unwrap();
    let (code, said) = world.gate(&experiment(better));
    assert!(code == 2 && said.contains("was served by both models"), "{said}");

    let policy = "gate: {problem: other, logged: {val_auc: higher}, rules: [{metric: val_auc, min: 0.7, not_worse_than: 0.01}]}\n";
    std::fs::write(world.project().join("lakegate.yml"), policy).unwrap();
    let gate = || world.run(&["model-gate", "--model", "main.default.model"]);
    let (code, said) = gate();
    assert!(code == 1 && said.contains("val_auc was not logged"), "{said}");
    assert!(said.contains("have no interval"), "{said}");
    for (version, value) in [(1, 0.8), (2, 0.795)] {
        log_metric(&world.served, version, "val_auc", value.into()).await;
    }
    let (code, said) = gate();
    assert!(code == 0 && said.contains("val_auc not worse than 0.01 holds"), "{said}");
    log_metric(&world.served, 2, "val_auc", "NaN".into()).await;
    let (code, said) = gate();
    assert!(code == 1 && said.contains("val_auc is NaN, which is not finite"), "{said}");
}

/// Logs a metric to the run of a version.
async fn log_metric(
    served: &crate::support::Served,
    version: u64,
    key: &str,
    value: serde_json::Value,
) {
    let http = reqwest::Client::new();
    let post = |path: &str, body: serde_json::Value| {
        let request = http.post(format!("{}{path}", served.host)).bearer_auth(&served.token);
        let request = request.json(&body);
        async move { request.send().await.unwrap().json::<serde_json::Value>().await.unwrap() }
    };
    let (model, version) = ("main.default.model", version.to_string());
    let at = format!(
        "{}/api/2.0/mlflow/unity-catalog/model-versions/get?name={model}&version={version}",
        served.host
    );
    let found: serde_json::Value =
        http.get(at).bearer_auth(&served.token).send().await.unwrap().json().await.unwrap();
    let run = found["model_version"]["run_id"].as_str().unwrap_or_default();
    assert!(!run.is_empty(), "{found}");
    let now = jiff::Timestamp::now().as_millisecond();
    let body = json!({ "run_id": run, "key": key, "value": value, "timestamp": now, "step": 0 });
    post("/api/2.0/mlflow/runs/log-metric", body).await;
}

/// Every command that acts with rights, at every event that runs code nobody merged.
#[test]
fn code_that_nobody_merged_reaches_no_workspace() {
    let dir = tempfile::tempdir().unwrap();
    project(dir.path());
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    let built =
        "artifacts: {lib: {type: whl, build: 'touch built', files: [{source: dist/*.whl}]}}\n";
    let bundle = std::fs::read_to_string(dir.path().join("databricks.yml")).unwrap();
    write("databricks.yml", &(bundle + built));
    let policy = std::fs::read_to_string(dir.path().join("lakegate.yml")).unwrap();
    let tests = "promotion: {model: main.default.m}\ntests: {integration: {target: local, variables: {a: '{isolation}'}, jobs: [{job: hello}]}}\n";
    write("lakegate.yml", &(policy + tests));
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let host = format!("http://{}", listener.local_addr().unwrap());
    write(
        "files.yml",
        "drift: {baseline: a.csv, current: b.csv, on_drift: command, command: {run: [touch, ran]}}\n",
    );
    write("a.csv", "x\n1\n2\n");
    write("b.csv", "x\n8\n9\n");
    let commands: [&[&str]; 13] = [
        &["drift-check", "--config=files.yml"],
        &["job-run", "hello"],
        &["model-gate", "--model=main.default.m"],
        &["model-gate", "verify", "--recompute"],
        &["model-promote"],
        &["model-promote", "rollback", "--reason=x"],
        &["drift-check"],
        &["release-build"],
        &["bundle-deploy", "apply"],
        &["bundle-deploy", "destroy"],
        &["merge-test", "integration"],
        &["merge-test", "sweep"],
        &["merge-test", "clean"],
    ];
    let events = [
        ("pull_request", "eve/flights"),
        ("pull_request_target", "eve/flights"),
        ("pull_request_target", "acme/flights"),
        ("workflow_run", "eve/flights"),
    ];
    let run = |event: &str, whose: &str, args: &[&str]| {
        let from = json!({ "full_name": whose });
        let told = json!({ "pull_request": { "number": 7, "head": { "sha": "abc", "repo": from } },
            "workflow_run": { "head_repository": from } });
        write("event.json", &told.to_string());
        let mut command = lakegate();
        command.args(args).current_dir(dir.path());
        command.env("GITHUB_ACTIONS", "true").env("GITHUB_EVENT_NAME", event);
        command.env("GITHUB_EVENT_PATH", "event.json").env("GITHUB_REPOSITORY", "acme/flights");
        command.env("DATABRICKS_HOST", &host).env("DATABRICKS_TOKEN", "dapi_x");
        let output = command.output().unwrap();
        (output.status.code().unwrap(), text(&output.stdout) + &text(&output.stderr))
    };
    for (event, whose) in events {
        for args in commands {
            let (code, said) = run(event, whose, args);
            assert_eq!(code, 2, "{event} {args:?}: {said}");
            assert!(said.contains("comes from a fork"), "{event} {args:?}: {said}");
        }
    }
    assert!(listener.accept().is_err(), "somebody asked the workspace");
    assert!(!dir.path().join("ran").exists());
    // Whoever reads alone may.
    write(
        "files.yml",
        "drift: {baseline: a.csv, current: b.csv, min_rows: 1, on_drift: nothing}\n",
    );
    let (_, said) = run("pull_request", "eve/flights", &["drift-check", "--config=files.yml"]);
    assert!(said.contains("2 then, 2 now"), "{said}");
}

#[test]
fn a_plan_of_foreign_code_is_refused() {
    let world = World::new();
    let built = "artifacts: {lib: {type: whl, build: 'touch built', files: [{source: '*.whl'}]}}\n";
    world.edit("databricks.yml", "bundle:", &format!("{built}bundle:"));
    let mut command = world.served.command();
    command.args(["bundle-deploy", "plan"]).current_dir(world.project());
    command.env("GITHUB_ACTIONS", "true").env("GITHUB_EVENT_NAME", "pull_request_target");
    refused(told(&mut command), &["comes from a fork", "bundle-deploy does nothing for it"]);
    assert!(!world.project().join("built").exists());
}
