//! The workflows that `init` writes, run by act: from a change to a drifted month.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::actions::{act_on, said, summary};
use crate::hosts::{ISSUER, SUBJECT, Shared, github_answer, serve};
use crate::init::{init, repository, started};
use crate::support::{Served, cache, git, online, python, root, text, within};

/// An action of somebody else, for a runner without a network.
fn stub(at: &Path, name: &str, script: &str) -> String {
    let folder = at.join(name);
    std::fs::create_dir_all(&folder).unwrap();
    let action = json!({ "name": "stub", "description": "stub",
        "inputs": { "name": {}, "path": {}, "subject-path": {}, "python-version": {},
            "include-hidden-files": {}, "if-no-files-found": {} },
        "runs": { "using": "composite", "steps": [{ "shell": "bash", "run": script,
            "env": { "NAME": "${{ inputs.name }}", "PLACE": "${{ inputs.path }}" } }] } });
    std::fs::write(folder.join("action.yml"), action.to_string()).unwrap();
    if !folder.join(".git").exists() {
        git(&folder, &["init", "-q", "-b", "main"]);
    }
    git(&folder, &["add", "-A"]);
    git(&folder, &["commit", "-qm", "x", "--allow-empty"]);
    folder.display().to_string()
}

/// The repository, its host and its workspace.
struct World<'a> {
    at: &'a Path,
    home: &'a Path,
    /// Whether the jobs are in workflows that are called: those run as a whole.
    calls: bool,
    variables: Vec<(&'static str, String)>,
}

impl World<'_> {
    /// Runs a workflow as an event of its own.
    fn run(&self, event: &str, workflow: &str, more: &[&str]) -> (bool, Vec<Value>) {
        let file = format!(".github/workflows/{workflow}.yml");
        let mut all = vec!["-W".to_owned(), file.clone()];
        // What act does not tell.
        all.extend([
            "--env".to_owned(),
            format!("GITHUB_WORKFLOW_REF=acme/flights/{file}@refs/heads/main"),
        ]);
        let artifacts = self.at.join("artifacts").display().to_string();
        let up = format!(
            "if [ -e \"$PLACE\" ]; then mkdir -p '{artifacts}'/\"$NAME\" && cp -r \"$PLACE\"/. '{artifacts}'/\"$NAME\"; fi"
        );
        let down = format!("mkdir -p \"$PLACE\" && cp -r '{artifacts}'/\"$NAME\"/. \"$PLACE\"");
        drop(std::fs::remove_dir_all(&artifacts));
        let own = std::fs::read_to_string(self.home.join(&file)).unwrap();
        // What it calls uses the same actions of others.
        let called = root().join(&file);
        let called = std::fs::read_to_string(called).unwrap_or_default();
        for line in own.lines().chain(called.lines()) {
            let Some((_, uses)) = line.split_once("uses: ") else { continue };
            let Some((name, _)) = uses.split_once('@') else { continue };
            let script = match name {
                "actions/upload-artifact" => &up,
                "actions/download-artifact" => &down,
                "actions/setup-python" | "actions/attest-build-provenance" => "true",
                _ => continue,
            };
            let uses = uses.split(" #").next().unwrap();
            let folder = stub(&self.at.join("stubs"), name, script);
            all.push(format!("--local-repository={uses}={folder}"));
        }
        for (name, value) in &self.variables {
            // Variables of an environment, and what the machine has.
            let is_var = name.starts_with("DATABRICKS_");
            all.push(if is_var { "--var" } else { "--env" }.to_owned());
            all.push(format!("{name}={value}"));
        }
        all.extend(more.iter().map(|word| (*word).to_owned()));
        act_on(self.home, event, &all)
    }

    /// Runs the schedule of production up to a job, where that can be.
    fn up_to(&self, job: &str) -> (bool, Vec<Value>) {
        let only: &[&str] = if self.calls { &[] } else { &["-j", job] };
        self.run("schedule", "production", only)
    }

    fn change(&self, from: &str, to: &str) {
        let file = self.home.join("src/flights/features.py");
        let own = std::fs::read_to_string(&file).unwrap();
        assert!(own.contains(from));
        std::fs::write(&file, own.replace(from, to)).unwrap();
        git(self.home, &["commit", "-qam", "fix: a change"]);
    }
}

/// How each job ended.
fn ends(lines: &[Value]) -> Vec<(String, String)> {
    let of = |line: &Value, name: &str| line[name].as_str().unwrap_or_default().to_owned();
    let ended = lines.iter().filter(|line| line["jobResult"].is_string());
    ended.map(|line| (of(line, "jobID"), of(line, "jobResult"))).collect()
}

fn machine(address: &str) -> Vec<(&'static str, String)> {
    let binaries = Path::new(env!("CARGO_BIN_EXE_lakegate")).parent().unwrap();
    let path =
        format!("{}:{}", python().parent().unwrap().display(), std::env::var("PATH").unwrap());
    vec![
        ("LAKEGATE_BINARY_PATH", binaries.display().to_string()),
        ("LAKEGATE_ENVIRONMENT", "none".to_owned()),
        ("LAKEGATE_CACHE", cache().display().to_string()),
        ("GITHUB_API_URL", address.to_owned()),
        ("ACTIONS_ID_TOKEN_REQUEST_URL", format!("{address}/oidc")),
        ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "request".to_owned()),
        ("PATH", path),
    ]
}

#[test]
fn a_new_repository_is_green_at_the_first_push_and_red_when_it_should_be() {
    let dir = tempfile::tempdir().unwrap();
    let home = repository(dir.path());
    started(&home, init(&home, &["--workspace=embedded", "--test-target=local"]), false);
    let mut variables = machine("http://127.0.0.1:9");
    variables.push(("LAKEGATE_COMMENT", "never".to_owned()));
    let world = World { at: dir.path(), home: &home, calls: false, variables };
    world.change("LATE_MINUTES = 15\n", "LATE_MINUTES = 15\n# a change\n");
    let (passed, lines) = world.run("pull_request", "merge-request", &[]);
    assert!(passed, "{}", said(&lines));
    assert!(said(&lines).contains("2 jobs ran and held"), "{}", said(&lines));
    world.change("LATE_MINUTES = 15\n", "LATE_MINUTES = 1\n");
    let (passed, lines) = world.run("pull_request", "merge-request", &[]);
    assert!(!passed);
    let error = lines.iter().find(|line| {
        line["command"] == "error" && line["kvPairs"]["file"] == "tests/test_features.py"
    });
    assert!(error.is_some(), "{}", said(&lines));
    let told = summary(&lines);
    assert!(told.contains("Test the change") && told.contains("test_late_is_fifteen"), "{told}");
}

async fn is_tested_and_released(world: &World<'_>, served: &Served, host: &Shared) {
    let (passed, lines) = world.run("pull_request", "merge-request", &[]);
    assert!(passed, "{}", said(&lines));
    {
        let host = host.lock().unwrap();
        assert_eq!(host.statuses[0]["state"], "success");
        // One of the tests, one of the plan.
        assert_eq!(host.comments.len(), 2);
        let plan =
            |comment: &Value| comment["body"].as_str().unwrap().contains("Plan flights to staging");
        assert_eq!(host.comments.iter().filter(|comment| plan(comment)).count(), 1);
        assert!(host.tokens > 0);
    }
    git(world.home, &["checkout", "-q", "main"]);
    git(world.home, &["merge", "-q", "--ff-only", "change"]);
    git(world.home, &["update-ref", "refs/remotes/origin/main", "HEAD"]);
    let (passed, lines) = world.run("push", "staging", &[]);
    assert!(passed, "{}", said(&lines));
    let (passed, lines) = world.run("workflow_dispatch", "release", &[]);
    assert!(passed, "{}", said(&lines));
    {
        let host = host.lock().unwrap();
        assert_eq!(host.refs["refs/tags/v0.1.0"], git(world.home, &["rev-parse", "HEAD"]));
        assert_eq!(host.releases[0]["draft"], false);
        assert_eq!(host.releases[0]["assets"].as_array().unwrap().len(), 6);
    }
    let deployed = "SELECT release, target FROM prod.flights.deployments";
    let rows = served.sql(deployed).await;
    assert_eq!(rows, [[Some("0.1.0".to_owned()), Some("prod".to_owned())]]);
    is_known_by_its_tag(world, served);
}

/// The release that was published is the one that runs; there is no other.
fn is_known_by_its_tag(world: &World<'_>, served: &Served) {
    let address = &world.variables.iter().find(|(name, _)| *name == "GITHUB_API_URL").unwrap().1;
    let plan = |tag: &str| {
        let mut plan = served.command();
        plan.args(["bundle-deploy", "plan", "--target=prod", "--release", tag]);
        plan.envs([("GITHUB_ACTIONS", "true"), ("GITHUB_REPOSITORY", "acme/flights")]);
        plan.env("GITHUB_API_URL", address).env("GITHUB_TOKEN", "ghs_token_value");
        let output = within(Duration::from_secs(60), plan.current_dir(world.home));
        (output.status.code(), text(&output.stdout) + &text(&output.stderr))
    };
    for tag in ["0.1.0", "v0.1.0"] {
        let (code, told) = plan(tag);
        assert!(code == Some(0) && told.contains("0 to create, 0 to update"), "{told}");
    }
    let (code, told) = plan("9.9.9");
    assert!(code == Some(2) && told.contains("no published release `v9.9.9`"), "{told}");
}

/// From a merge request to a model in production that is watched, and what comes after.
async fn carries_a_change_to_production(
    args: &[&str],
    after: impl FnOnce(&World<'_>, &Served, &Shared),
) {
    let dir = tempfile::tempdir().unwrap();
    let served = Served::for_pipelines(&dir.path().join("workspace"), ISSUER, SUBJECT).await;
    let (address, host) = serve(github_answer).await;
    let home = repository(dir.path());
    let calls = args.contains(&"--workflows=call");
    started(&home, init(&home, args), !calls);
    let mut variables = machine(&address);
    variables.extend([
        ("DATABRICKS_HOST", served.host.clone()),
        ("DATABRICKS_CLIENT_ID", "flights".to_owned()),
        ("DATABRICKS_WAREHOUSE_ID", "local".to_owned()),
    ]);
    let world = World { at: dir.path(), home: &home, calls, variables };
    world.change("LATE_MINUTES = 15\n", "LATE_MINUTES = 15\n# a change\n");
    is_tested_and_released(&world, &served, &host).await;

    let (passed, lines) = world.run("schedule", "production", &[]);
    assert!(passed, "{}", said(&lines));
    let ended = ends(&lines);
    for job in ["train", "promote", "serve", "score", "watch"] {
        assert!(ended.contains(&(job.to_owned(), "success".to_owned())), "{job}: {ended:?}");
    }
    let promoted = "SELECT alias, to_version FROM prod.flights.promotions WHERE phase = 'outcome'";
    let rows = served.sql(promoted).await;
    assert_eq!(rows, [[Some("champion".to_owned()), Some("1".to_owned())]]);
    assert_eq!(online(&served).await, "READY late_arrival-1");
    // Eve, who reviewed the environment.
    let signed = served.sql("SELECT who, source FROM prod.flights.sign_offs").await;
    assert_eq!(signed, [[Some("eve".to_owned()), Some("github".to_owned())]]);
    after(&world, &served, &host);
}

/// A version that a rule turns down is not promoted, and the run says which rule.
fn is_rejected(world: &World<'_>) {
    let policy = world.home.join("lakegate.yml");
    let own = std::fs::read_to_string(&policy).unwrap();
    assert!(own.contains("roc_auc, min: 0.6"));
    std::fs::write(&policy, own.replace("roc_auc, min: 0.6", "roc_auc, min: 0.99")).unwrap();
    git(world.home, &["commit", "-qam", "feat: ask for more"]);
    let (passed, lines) = world.up_to("promote");
    assert!(!passed);
    let ended = ends(&lines);
    assert!(ended.contains(&("train".to_owned(), "failure".to_owned())), "{ended:?}");
    assert!(!ended.contains(&("promote".to_owned(), "success".to_owned())), "{ended:?}");
    let error = lines.iter().find(|line| {
        let told = line["raw"].as_str().or(line["msg"].as_str()).unwrap_or_default();
        line["command"] == "error" && told.contains("roc_auc")
    });
    assert!(error.is_some(), "{}", said(&lines));
    let told = summary(&lines);
    assert!(told.contains("fail") && told.contains("roc_auc"), "{told}");
    git(world.home, &["revert", "-n", "HEAD"]);
    git(world.home, &["commit", "-qm", "fix: ask for less"]);
}

/// A month that drifted is red, and begins the whole loop anew, once for this window.
fn is_trained_anew_after_drift(world: &World<'_>, served: &Served, host: &Shared) {
    let mut refresh = served.command();
    refresh.args(["job-run", "refresh_features", "--target=prod", "-p", "months=7"]);
    let refreshed = within(Duration::from_secs(120), refresh.current_dir(world.home));
    assert!(refreshed.status.success(), "{}", text(&refreshed.stderr));
    let (passed, lines) = world.up_to("watch");
    assert!(!passed);
    assert!(said(&lines).contains("temp drifted"), "{}", said(&lines));
    let told = summary(&lines);
    assert!(told.contains("temp") && told.contains("drift"), "{told}");
    world.up_to("watch");
    let begun = "POST /repos/acme/flights/actions/workflows/production.yml/dispatches";
    let calls = host.lock().unwrap().calls.clone();
    assert_eq!(calls.iter().filter(|call| *call == begun).count(), 1, "{calls:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn four_workflows_carry_a_change_to_production() {
    let args = ["--test-target=local", "--plan-comment", "--serve"];
    carries_a_change_to_production(&args, |world, served, host| {
        is_rejected(world);
        is_trained_anew_after_drift(world, served, host);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn four_short_workflows_call_those_of_the_suite() {
    let args = ["--test-target=local", "--workflows=call", "--plan-comment", "--serve"];
    carries_a_change_to_production(&args, |world, served, host| {
        is_rejected(world);
        is_trained_anew_after_drift(world, served, host);
    })
    .await;
}
