//! From a release to a workspace, and back.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use lakegate::databricks::unity::Securable;
use serde_json::{Value, json};

use crate::hosts::{github_answer, serve};
use crate::support::{Served, git, lakegate, text};

/// A repository whose releases need no verdict.
fn repository(at: &Path) -> PathBuf {
    let home = at.join("home");
    std::fs::create_dir_all(home.join("ops")).unwrap();
    let write = |file: &str, text: &str| std::fs::write(home.join(file), text).unwrap();
    write(
        "databricks.yml",
        "bundle: {name: flights}\n\
         targets: {dev: {default: true}}\n\
         resources:\n\
         \x20 schemas: {s: {catalog_name: main, name: flights, comment: first, grants: [{principal: users, privileges: [SELECT]}]}}\n\
         \x20 jobs:\n\
         \x20   train: {name: train, description: first, tags: {team: ml}, tasks: [{task_key: t, environment_key: e, spark_python_task: {python_file: ops/train.py}}], environments: [{environment_key: e, spec: {environment_version: '3'}}], permissions: [{group_name: users, level: CAN_VIEW}]}\n\
         \x20   score: {name: score, tasks: [{task_key: t, run_job_task: {job_id: '${resources.jobs.train.id}'}}]}\n",
    );
    write("lakegate.yml", "release: {tested_by: none}\nrecord: {schema: main.records}\n");
    write("ops/train.py", "print(1)\n");
    write(".gitignore", ".lakegate/\n");
    git(&home, &["init", "-q", "-b", "main"]);
    git(&home, &["add", "-A"]);
    git(&home, &["commit", "-qm", "feat: the first"]);
    home
}

fn edit(home: &Path, from: &str, to: &str) {
    let path = home.join("databricks.yml");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{from}");
    std::fs::write(path, text.replace(from, to)).unwrap();
}

fn release(home: &Path, message: &str) -> String {
    git(home, &["commit", "-qam", message, "--allow-empty"]);
    let output = lakegate().args(["release-build", "--json"]).current_dir(home).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    home.join(told["outputs"]["release"].as_str().unwrap()).display().to_string()
}

struct World {
    served: Served,
    home: PathBuf,
    dir: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let served = Served::start(&dir.path().join("workspace"));
        let home = repository(dir.path());
        Self { served, home, dir }
    }

    /// The exit code, the answer, and what was said.
    fn deploy(&self, args: &[&str]) -> (i32, Value, String) {
        let mut command = self.served.command();
        command.arg("bundle-deploy").args(args).arg("--json").current_dir(&self.home);
        let output = command.output().unwrap();
        let json = serde_json::from_slice(&output.stdout).unwrap_or_default();
        (output.status.code().unwrap(), json, text(&output.stderr))
    }

    fn applied(&self, args: &[&str]) -> Value {
        let (code, json, told) = self.deploy(args);
        assert_eq!(code, 0, "{args:?}: {told}");
        json
    }

    async fn description(&self) -> String {
        let jobs = self.served.client().job_list(Some("train")).await.unwrap();
        let [job] = &jobs[..] else { panic!("{} jobs", jobs.len()) };
        job.settings["description"].as_str().unwrap_or_default().to_owned()
    }
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::too_many_lines, reason = "one story")]
async fn a_release_is_deployed_watched_and_rolled_back() {
    let world = World::new();
    let first = release(&world.home, "feat: one");
    edit(&world.home, "description: first", "description: second");
    let second = release(&world.home, "feat: two");
    // The folder has gone on: it is the release's bytes that count.
    edit(&world.home, "description: second", "description: unfinished");
    world.applied(&["apply", "--release", &first]);
    assert_eq!(world.description().await, "first");
    world.applied(&["apply", "--release", &second]);
    assert_eq!(world.description().await, "second");
    let (code, told, _) = world.deploy(&["status", "--release", &second]);
    assert_eq!(code, 0, "{told}");
    assert_eq!(told["facts"]["release"], "0.2.0");
    assert!(told["reason"].as_str().unwrap().contains("runs here as it was deployed"), "{told}");

    // Somebody changes a job and takes a right away, by hand.
    let client = world.served.client();
    let job = client.job_list(Some("train")).await.unwrap().remove(0);
    let job = client.job_get(job.job_id).await.unwrap();
    let mut settings = job.settings.clone();
    settings["description"] = json!("by hand");
    settings["tags"]["extra"] = json!("x");
    client.job_reset(job.job_id, &settings).await.unwrap();
    client
        .grants_change(
            "schema/main.flights",
            &[json!({ "principal": "users", "remove": ["SELECT"] })],
        )
        .await
        .unwrap();
    let changed = || {
        let (code, told, _) = world.deploy(&["status"]);
        assert_eq!(code, 1, "{told}");
        let tables = told["tables"].as_array().unwrap();
        let drift = tables.iter().find(|table| table["title"] == "Changed by others").unwrap();
        (drift["rows"].to_string(), told["facts"].clone())
    };
    let (told, facts) = changed();
    for word in ["description", "by hand", "tags.extra", "schemas.s.grants"] {
        assert!(told.contains(word), "{word}: {told}");
    }
    let why = facts["who changed it is not known"].as_str().unwrap();
    assert!(why.contains("system"), "{why}");
    // Where the workspace keeps an audit log, it tells who.
    client.securable_create(Securable::Catalog, &json!({ "name": "system" })).await.unwrap();
    let fields = json!({ "catalog_name": "system", "name": "access" });
    client.securable_create(Securable::Schema, &fields).await.unwrap();
    let event = |who: &str, did: &str, at: jiff::Timestamp, parameter: &str, id: &str| {
        format!(
            "SELECT CAST('{at}' AS TIMESTAMP) AS event_time, CAST('{}' AS DATE) AS event_date, '{did}' AS action_name, named_struct('email', '{who}') AS user_identity, map(make_array('{parameter}'), make_array('{id}')) AS request_params",
            at.strftime("%F")
        )
    };
    let (id, now) = (job.job_id.to_string(), jiff::Timestamp::now());
    let before = now - jiff::SignedDuration::from_hours(30);
    let events = [
        event("eve@x", "reset", now, "job_id", &id),
        event("ann@x", "updateSchema", now, "full_name_arg", "main.flights"),
        // Before the deployment, of another job, and no change.
        event("old@x", "reset", before, "job_id", &id),
        event("far@x", "reset", now, "job_id", "1"),
        event("idle@x", "getRun", now, "job_id", &id),
    ];
    world
        .served
        .sql(&format!("CREATE TABLE system.access.audit AS {}", events.join(" UNION ALL ")))
        .await;
    let (told, facts) = changed();
    assert!(told.contains("eve@x (reset at 20") && told.contains("ann@x (updateSchema"), "{told}");
    for nobody in ["old@x", "far@x", "idle@x"] {
        assert!(!told.contains(nobody), "{told}");
    }
    assert!(facts["who changed it is not known"].is_null(), "{facts}");
    let (_, told, _) = world.deploy(&["plan", "--release", &second]);
    assert_eq!(told["outputs"]["drift"], "true", "{told:#}");
    world.applied(&["apply", "--release", &second]);
    assert_eq!(world.description().await, "second");
    assert_eq!(world.deploy(&["status"]).0, 0);

    world.applied(&["rollback"]);
    assert_eq!(world.description().await, "first");
    assert_eq!(world.deploy(&["status"]).1["facts"]["release"], "0.1.0");
    let again = world.applied(&["rollback", "--from=0.2.0"]);
    assert_eq!(again["outputs"]["changes"], "false");
    let (code, _, told) = world.deploy(&["rollback"]);
    assert!(code == 2 && told.contains("no release was deployed here before"), "{told}");
    let rows = world.served.sql("SELECT kind, release, created, updated, drifted FROM main.records.deployments ORDER BY `at`").await;
    let rows: Vec<String> = rows
        .into_iter()
        .map(|row| row.into_iter().flatten().collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(
        rows,
        [
            "deploy 0.1.0 5 0 0",
            "deploy 0.2.0 0 1 0",
            "deploy 0.2.0 0 2 2",
            "rollback 0.1.0 0 1 0",
            "rollback 0.1.0 0 0 0"
        ]
    );
    let known =
        "SELECT count(DISTINCT manifest), count(DISTINCT commit_id) FROM main.records.deployments";
    assert_eq!(world.served.sql(known).await, [[Some("2".into()), Some("2".into())]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_but_the_bytes_of_this_repositorys_release_is_deployed() {
    let world = World::new();
    let first = release(&world.home, "feat: one");
    let ci = |repository: &str| {
        let mut command = world.served.command();
        command
            .args(["bundle-deploy", "plan", "--release", &first])
            .current_dir(&world.home)
            .env("GITHUB_ACTIONS", "true")
            .env("GITHUB_REPOSITORY", repository);
        let output = command.output().unwrap();
        (output.status.code().unwrap(), text(&output.stdout))
    };
    // It was built without a host: its repository has no name.
    let (code, said) = ci("acme/flights");
    assert!(code == 7 && said.contains("this runs in `acme/flights`"), "{said}");
    let archive = std::fs::read_dir(&first).unwrap().map(|entry| entry.unwrap().path());
    let archive =
        archive.into_iter().find(|path| path.extension().is_some_and(|end| end == "gz")).unwrap();
    let mut bytes = std::fs::read(&archive).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&archive, bytes).unwrap();
    let (code, _, told) = world.deploy(&["apply", "--release", &first]);
    assert_eq!(code, 7, "{told}");
    assert!(world.served.client().job_list(None).await.unwrap().is_empty());
    let (code, _, told) =
        world.deploy(&["apply", "--release", "http://releases.example.test/manifest.json"]);
    assert!(code == 2 && told.contains("must be https"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_belongs_to_one_repository() {
    let world = World::new();
    let ci = |repository: &str, action: &str| {
        let mut command = world.served.command();
        command
            .args(["bundle-deploy", action, "--allow-destroy"])
            .current_dir(&world.home)
            .env("GITHUB_ACTIONS", "true")
            .env("GITHUB_REPOSITORY", repository);
        let output = command.output().unwrap();
        (output.status.code().unwrap(), text(&output.stdout) + &text(&output.stderr))
    };
    assert_eq!(ci("acme/north", "apply").0, 0);
    // From a laptop, and by the same repository in other letters.
    edit(&world.home, "description: first", "description: second");
    world.applied(&["apply"]);
    assert_eq!(ci("Acme/North", "plan").0, 0);
    for action in ["plan", "apply", "destroy"] {
        let (code, said) = ci("acme/south", action);
        assert!(code == 4 && said.contains("by the repository `acme/north`"), "{action}: {said}");
    }
    assert_eq!(world.description().await, "second");
    let policy = world.home.join("lakegate.yml");
    let own = std::fs::read_to_string(&policy).unwrap_or_default();
    let renamed = format!("{own}\ndeploy: {{renamed_from: [acme/north]}}\n");
    std::fs::write(&policy, renamed).unwrap();
    assert_eq!(ci("acme/south", "apply").0, 0);
    std::fs::write(&policy, own).unwrap();
    assert_eq!(ci("acme/north", "plan").0, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_comes_first_has_the_deployment() {
    let http = reqwest::Client::new();
    let fault = async |world: &World, rule: Value| {
        let set = http.post(format!("{}/__lakegate/faults", world.served.host));
        let set = set.bearer_auth(&world.served.token).json(&rule).send().await.unwrap();
        assert!(set.status().is_success());
    };
    let apply = |world: &World, repository: &str| {
        let mut command = world.served.command();
        command.args(["bundle-deploy", "apply"]).current_dir(&world.home);
        command.env("GITHUB_ACTIONS", "true").env("GITHUB_REPOSITORY", repository);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let ended = |child: std::process::Child| {
        let output = child.wait_with_output().unwrap();
        (output.status.code().unwrap(), text(&output.stdout) + &text(&output.stderr))
    };
    // A deployment that failed midway is nobody else's.
    let world = World::new();
    fault(&world, json!({ "path": "/api/2.2/jobs/create", "status": 400 })).await;
    assert_ne!(ended(apply(&world, "acme/north")).0, 0);
    let (code, said) = ended(apply(&world, "acme/south"));
    assert!(code == 4 && said.contains("`acme/north`"), "{said}");
    assert_eq!(ended(apply(&world, "acme/north")).0, 0);

    // South has looked, and waits for who it is; North comes in between.
    let world = World::new();
    let me = json!({ "path": "/api/2.0/preview/scim/v2/Me", "offset": 1, "latency_ms": 15_000 });
    fault(&world, me).await;
    let south = apply(&world, "acme/south");
    tokio::time::sleep(std::time::Duration::from_millis(2500)).await;
    assert_eq!(ended(apply(&world, "acme/north")).0, 0);
    let (code, said) = ended(south);
    assert!(code == 4 && said.contains("`acme/north`"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_policy_decides_what_goes() {
    let world = World::new();
    world.applied(&["apply"]);
    edit(&world.home, "name: flights, comment", "name: others, comment");
    let (code, told, _) = world.deploy(&["plan", "--allow-destroy"]);
    assert_eq!(code, 1, "{told}");
    assert!(told.to_string().contains("schemas.s would be deleted and made anew"), "{told}");
    let (code, told, _) = world.deploy(&["apply", "--allow-destroy", "--destroy=jobs.train"]);
    assert_eq!(code, 1);
    assert!(
        told.to_string().contains("`jobs.train` is agreed to go, and the plan leaves it"),
        "{told}"
    );
    assert!(
        world
            .served
            .client()
            .securable_get(Securable::Schema, "main.flights")
            .await
            .unwrap()
            .is_some()
    );
    std::fs::write(
        world.home.join("lakegate.yml"),
        "deploy: {policy: {required_tags: [owner]}, targets: {dev: {required_tags: [team]}}}\n",
    )
    .unwrap();
    let (code, told, _) = world.deploy(&["apply", "--destroy=schemas.s"]);
    assert_eq!(code, 1, "{told}");
    assert!(told.to_string().contains("jobs.score has no tag `team`"), "{told}");
    edit(&world.home, "score: {name: score,", "score: {name: score, tags: {team: ml},");
    world.applied(&["apply", "--destroy=schemas.s"]);
    assert!(
        world
            .served
            .client()
            .securable_get(Securable::Schema, "main.others")
            .await
            .unwrap()
            .is_some()
    );
    let (code, _, told) = world.deploy(&["destroy", "--allow-destroy"]);
    assert_eq!(code, 1, "{told}");
    world.applied(&["destroy", "--allow-destroy", "--destroy=schemas.s"]);
    assert!(world.served.client().job_list(None).await.unwrap().is_empty());
}

/// What stands in for the official CLI where it is at fault.
const STAND_IN: &str = r#"#!/bin/sh
case "$1 $2 $(cat "$(dirname "$0")/mode")" in
  "--version "*" old") echo "Databricks CLI v0.240.1" ;;
  "--version "*" silent") exit 1 ;;
  "--version "*" noise") printf '\377\376 v' ;;
  "--version "*) echo "Databricks CLI v1.10.0" ;;
  "bundle plan crash") kill -9 $$ ;;
  "bundle plan fails") echo "Error: ::error::no such thing" >&2; exit 1 ;;
  "bundle plan half") printf '{"plan_version": 2, "plan": {"resources.jobs.tr' ;;
  "bundle plan terraform") echo '{"plan": {}}' ;;
  "bundle plan news") echo '{"plan_version": 2, "plan": {"resources.jobs.train": {"action": "vanish"}}}' ;;
  "bundle plan "*) echo '{"plan_version": 2, "plan": {"resources.jobs.train": {"action": "create"}}}' ;;
  "bundle deploy dies") kill -9 $$ ;;
  *) exit 0 ;;
esac
"#;

/// The official CLI may be at fault in every way: nothing is called deployed that is not.
#[tokio::test(flavor = "multi_thread")]
#[cfg(unix)]
async fn a_cli_at_fault_is_told_and_believed_in_nothing() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = World::new();
    let tools = world.dir.path().join("tools");
    std::fs::create_dir(&tools).unwrap();
    std::fs::write(tools.join("databricks"), STAND_IN).unwrap();
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(tools.join("databricks"), mode).unwrap();
    for (mode, code, expected) in [
        ("old", 2, "version 1.3 or newer is needed"),
        ("silent", 2, "version 1.3 or newer is needed"),
        ("noise", 2, "version 1.3 or newer is needed"),
        ("crash", 2, "`databricks bundle plan` failed (signal: 9"),
        ("fails", 2, "`databricks bundle plan` failed (exit status: 1)"),
        ("half", 6, "what `databricks bundle plan` printed is no plan"),
        ("terraform", 2, "planned with its Terraform engine"),
        ("news", 7, "plans `vanish` for jobs.train"),
        ("dies", 6, "`databricks bundle deploy` failed (signal: 9"),
        ("lies", 7, "the CLI deployed, and would create jobs.train again"),
    ] {
        std::fs::write(tools.join("mode"), mode).unwrap();
        let mut command = world.served.command();
        #[expect(clippy::disallowed_methods, reason = "the search path of what is started")]
        let path = format!("{}:{}", tools.display(), std::env::var("PATH").unwrap());
        command.env("PATH", path).args(["bundle-deploy", "apply", "--engine=cli"]);
        let output = command.current_dir(&world.home).output().unwrap();
        let said = text(&output.stdout) + &text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{mode}: {said}");
        assert!(said.contains(expected), "{mode}: {said}");
        assert!(!said.lines().any(|line| line.starts_with("::")), "{mode}: {said}");
    }
    // Nothing of it stands in the way of who deploys next.
    world.applied(&["apply", "--engine=native"]);
    assert_eq!(world.description().await, "first");
}

/// A merge request may write any host into its bundle: nothing is sent there.
#[test]
fn no_token_goes_to_the_host_that_a_bundle_names() {
    let world = World::new();
    world.applied(&["apply"]);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let other = format!("http://{}", listener.local_addr().unwrap());
    let named = format!(
        "bundle: {{name: flights}}\nworkspace: {{host: '{other}'}}\nvariables: {{schema: {{default: flights}}}}"
    );
    edit(&world.home, "bundle: {name: flights}", &named);
    edit(&world.home, "name: flights, comment", "name: '${var.schema}', comment");
    let tests = "tests: {integration: {target: dev, variables: {schema: 'f_{isolation}'}, jobs: [{job: train}]}}\n";
    std::fs::write(world.home.join("lakegate.yml"), tests).unwrap();
    let commands: [&[&str]; 8] = [
        &["bundle-deploy", "plan"],
        &["bundle-deploy", "plan", "--engine=cli"],
        &["bundle-deploy", "apply"],
        &["bundle-deploy", "status"],
        &["bundle-deploy", "destroy", "--allow-destroy"],
        &["bundle-deploy", "unlock", "--lock-id=x"],
        &["merge-test", "integration", "--all"],
        &["merge-test", "clean"],
    ];
    for args in commands {
        let mut command = world.served.command();
        let output = command.args(args).current_dir(&world.home).output().unwrap();
        let said = text(&output.stdout) + &text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {said}");
        assert!(said.contains(&other) && said.contains("no token was sent"), "{args:?}: {said}");
    }
    assert!(listener.accept().is_err(), "somebody asked the bundle's host");
}

/// A plan file with another byte is no plan: nothing of it is done.
#[tokio::test(flavor = "multi_thread")]
async fn an_edited_plan_is_not_applied() {
    const TRIES: usize = 80;
    let world = World::new();
    let (code, _, told) = world.deploy(&["plan"]);
    assert_eq!(code, 0, "{told}");
    let file = world.home.join(".lakegate/reports/bundle-deploy.plan.json");
    let plan = std::fs::read(&file).unwrap();
    let stride = (plan.len() / TRIES).max(1);
    for at in (0..plan.len()).step_by(stride) {
        let mut edited = plan.clone();
        edited[at] ^= 1;
        std::fs::write(&file, &edited).unwrap();
        let (code, _, told) = world.deploy(&["apply", "--plan", file.to_str().unwrap()]);
        assert!([2, 4, 7].contains(&code), "byte {at}: {code} {told}");
        assert!(told.contains("error: ") && !told.contains("panicked"), "byte {at}: {told}");
    }
    assert!(world.served.client().job_list(None).await.unwrap().is_empty());
    std::fs::write(&file, &plan).unwrap();
    world.applied(&["apply", "--plan", file.to_str().unwrap()]);
    assert_eq!(world.description().await, "first");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_is_broken_by_name_only() {
    let world = World::new();
    world.applied(&["apply"]);
    let client = world.served.client();
    let path = "/Workspace/Users/you@lakegate.test/.bundle/flights/dev/state/deploy.lock";
    let lock = json!({ "ID": "abc", "AcquisitionTime": "2026-01-01T00:00:00Z", "IsForced": false, "User": "eve" });
    client.workspace_write(path, lock.to_string().into(), true).await.unwrap();
    let (code, _, told) = world.deploy(&["apply"]);
    assert!(
        code == 4 && told.contains("`eve` holds it") && told.contains("--lock-id abc"),
        "{told}"
    );
    let (code, _, told) = world.deploy(&["unlock", "--lock-id=other"]);
    assert!(code == 4 && told.contains("another holds the lock"), "{told}");
    world.applied(&["unlock", "--lock-id=abc"]);
    world.applied(&["apply"]);
    let (code, _, told) = world.deploy(&["unlock", "--lock-id=abc"]);
    assert!(code == 2 && told.contains("nobody holds"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lock_of_an_earlier_attempt_is_taken_over() {
    let world = World::new();
    world.applied(&["apply"]);
    let client = world.served.client();
    let path = "/Workspace/Users/you@lakegate.test/.bundle/flights/dev/state/deploy.lock";
    for (attempt, code) in [("2", 4), ("3", 0)] {
        let run = json!({ "Host": "github", "Repository": "acme/flights", "Id": "7", "Attempt": 2, "Stage": "deploy" });
        let lock = json!({ "ID": "abc", "AcquisitionTime": "2026-01-01T00:00:00Z", "User": "eve", "Run": run });
        client.workspace_write(path, lock.to_string().into(), true).await.unwrap();
        let mut command = world.served.command();
        command.args(["bundle-deploy", "apply"]).current_dir(&world.home);
        command.env("GITHUB_ACTIONS", "true").env("GITHUB_REPOSITORY", "acme/flights");
        command.env("GITHUB_RUN_ID", "7").env("GITHUB_RUN_ATTEMPT", attempt);
        command.env("GITHUB_JOB", "deploy").env("GITHUB_ACTION", "apply");
        let output = command.output().unwrap();
        let said = text(&output.stdout);
        assert_eq!(output.status.code(), Some(code), "{attempt}: {said}");
        assert_eq!(said.contains("`eve` is broken"), code == 0, "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_bundle_no_longer_says_goes() {
    let world = World::new();
    edit(
        &world.home,
        "resources:\n",
        "resources:\n  experiments: {e: {name: /Users/you@lakegate.test/e, tags: [{key: a, value: one}]}}\n",
    );
    world.applied(&["apply"]);
    let client = world.served.client();
    let comment = async || {
        let found = client.securable_get(Securable::Schema, "main.flights").await.unwrap();
        found.unwrap()["comment"].as_str().unwrap_or_default().to_owned()
    };
    assert_eq!(comment().await, "first");
    edit(&world.home, ", comment: first", "");
    edit(&world.home, "value: one", "value: two");
    world.applied(&["apply"]);
    assert_eq!(comment().await, "");
    let path = "/api/2.0/mlflow/experiments/get-by-name";
    let ask = reqwest::Client::new().get(format!("{}{path}", world.served.host));
    let ask = ask.query(&[("experiment_name", "/Users/you@lakegate.test/e")]);
    let found = ask.bearer_auth(&world.served.token).send().await.unwrap();
    let found: Value = found.json().await.unwrap();
    let tags = found["experiment"]["tags"].as_array().unwrap();
    assert!(tags.contains(&json!({ "key": "a", "value": "two" })), "{found}");
    assert_eq!(world.applied(&["plan"])["outputs"]["changes"], "false");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_merge_request_is_told_of_the_plan_in_one_comment() {
    let world = World::new();
    let (address, host) = serve(github_answer).await;
    let event = world.home.join("../event.json");
    let from = json!({ "full_name": "acme/flights" });
    let pull = json!({ "number": 7, "head": { "sha": "abc", "repo": from } });
    std::fs::write(&event, json!({ "pull_request": pull }).to_string()).unwrap();
    let plan = || {
        let mut command = world.served.command();
        command.args(["bundle-deploy", "plan", "--comment"]).current_dir(&world.home);
        command.env("GITHUB_ACTIONS", "true").env("GITHUB_REPOSITORY", "acme/flights");
        command.env("GITHUB_EVENT_NAME", "pull_request").env("GITHUB_EVENT_PATH", &event);
        command.env("GITHUB_TOKEN", "t").env("GITHUB_API_URL", &address);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stdout));
        text(&output.stdout)
    };
    plan();
    edit(&world.home, "name: train, ", "name: trained, ");
    plan();
    {
        let host = host.lock().unwrap();
        assert_eq!(host.comments.len(), 1);
        let body = host.comments[0]["body"].as_str().unwrap();
        assert!(body.starts_with("<!-- lakegate:plan-dev -->"), "{body}");
        assert!(body.contains("jobs.train") && body.contains("create"), "{body}");
    }
    host.lock().unwrap().denies = true;
    let more = "resources:\n  experiments: {e: {name: /Users/you@lakegate.test/e}}\n";
    edit(&world.home, "resources:\n", more);
    assert!(plan().contains("the merge request was not told"));
}

/// Killed before and after each request of a first deployment, it comes to the
/// same end when it is run again.
#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_that_is_killed_anywhere_converges() {
    let golden = World::new();
    golden.applied(&["apply", "--step-key=once"]);
    let shape = async |world: &World| -> (Vec<String>, Value) {
        let client = world.served.client();
        let mut jobs: Vec<String> =
            client.job_list(None).await.unwrap().iter().map(|job| job.name().to_owned()).collect();
        jobs.sort();
        let path = "/Workspace/Users/you@lakegate.test/.bundle/flights/dev/state/resources.json";
        let state = client.workspace_read(path).await.unwrap().unwrap();
        let state: Value = serde_json::from_slice(&state).unwrap();
        let keys = state["state"].as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        (jobs, json!(keys))
    };
    let expected = shape(&golden).await;
    let stride: usize =
        std::env::var("LAKEGATE_KILL_STRIDE").ok().and_then(|text| text.parse().ok()).unwrap_or(9);
    let mut at = 0;
    let mut kills = 0;
    loop {
        let mut any = false;
        for when in ["before", "after"] {
            let world = World::new();
            let mut command = world.served.command();
            command.args(["bundle-deploy", "apply", "--step-key=once"]).current_dir(&world.home);
            let was_killed = world.served.kills(&mut command, at, when).await;
            kills += i32::from(was_killed);
            any |= was_killed;
            world.applied(&["apply", "--step-key=once"]);
            assert_eq!(shape(&world).await, expected, "killed {when} request {at}");
            assert_eq!(world.deploy(&["plan"]).1["outputs"]["changes"], "false", "{when} {at}");
            let lock = "/Workspace/Users/you@lakegate.test/.bundle/flights/dev/state/deploy.lock";
            assert!(world.served.client().workspace_read(lock).await.unwrap().is_none());
        }
        if !any {
            break;
        }
        at += stride;
    }
    assert!(kills > 4, "{kills}");
}

/// Each process serves the workspace at a port of its own.
#[test]
fn a_plan_of_an_embedded_workspace_is_applied_by_another_process() {
    let dir = tempfile::tempdir().unwrap();
    let bundle = "bundle: {name: b}\ntargets: {dev: {default: true}}\nresources: {schemas: {s: {catalog_name: main, name: s}}}\n";
    std::fs::write(dir.path().join("databricks.yml"), bundle).unwrap();
    std::fs::write(dir.path().join(".gitignore"), ".lakegate/\n").unwrap();
    let told = |args: &[&str]| {
        let mut command = lakegate();
        command.args(["bundle-deploy"]).args(args).arg("--local").current_dir(dir.path());
        let output = command.output().unwrap();
        let said = text(&output.stdout) + &text(&output.stderr);
        assert!(output.status.success(), "{args:?}: {said}");
        said
    };
    told(&["plan"]);
    let plan = "--plan=.lakegate/reports/bundle-deploy.plan.json";
    assert!(told(&["apply", plan]).contains("1 created"));
}
