//! Azure DevOps: the extension as it is packed, and the pipelines that `init`
//! writes, read as the editor reads them and run by a stand-in for the agent.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::{Value, json};

use crate::agent::{Agent, Ran, commands, expand};
use crate::hosts::{ISSUER, SUBJECT, Shared, azure_answer, serve};
use crate::init::{every_choice, started};
use crate::repositories::zipped;
use crate::support::{
    Served, cache, git, has_node, lakegate, modules, online, python, root, text, tool, within,
};

/// The extension, packed by Microsoft's own tool and unpacked as agents do it.
fn extension() -> &'static Path {
    static UNPACKED: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let (_, path) = UNPACKED.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let path = std::env::var("PATH").unwrap();
        let mut pack = Command::new(root().join("tasks/pack.sh"));
        pack.arg(dir.path());
        pack.env("PATH", format!("{}:{path}", modules().join("node_modules/.bin").display()));
        let output = within(Duration::from_secs(120), &mut pack);
        assert!(output.status.success(), "{}", text(&output.stdout) + &text(&output.stderr));
        let files = lakegate::sys::fs::files_below(dir.path()).unwrap();
        let [package] = &files[..] else { panic!("{files:?}") };
        let package = dir.path().join(package);
        assert!(std::fs::metadata(&package).unwrap().len() < 5 << 20);
        let unpacked = dir.path().join("unpacked");
        // It keeps no modes.
        let mut unzip = Command::new("python3");
        unzip.args(["-m", "zipfile", "-e"]).args([&package, &unpacked]);
        assert!(unzip.status().unwrap().success());
        (dir, unpacked)
    });
    path
}

#[test]
fn the_package_holds_all_that_a_task_needs() {
    if !has_node("the packing of the extension") {
        return;
    }
    let tasks = root().join("tasks");
    let mut manifests = Vec::new();
    for entry in std::fs::read_dir(&tasks).unwrap() {
        let folder = entry.unwrap().path();
        if !folder.is_dir() {
            continue;
        }
        let packed = extension().join(folder.file_name().unwrap());
        for file in ["task.json", "inputs.json", "shim.js", "checksums.txt", "icon.png"] {
            assert!(packed.join(file).is_file(), "{} {file}", packed.display());
        }
        manifests.push(packed.join("task.json"));
    }
    assert_eq!(manifests.len(), 9);
    let issues = |files: &[PathBuf]| {
        let mut node = Command::new("node");
        node.arg(root().join("tests/node/task_json.mjs")).arg(modules()).args(files);
        let output = within(Duration::from_secs(60), &mut node);
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    assert_eq!(issues(&manifests), "");
    let dir = tempfile::tempdir().unwrap();
    let wrong = dir.path().join("task.json");
    let own = std::fs::read_to_string(&manifests[0]).unwrap();
    std::fs::write(&wrong, own.replace("\"friendlyName\"", "\"name of a friend\"")).unwrap();
    let found = issues(&[wrong]);
    assert!(found.contains("friendlyName is a required string"), "{found}");
    assert!(found.contains("references file that does not exist"), "{found}");
    assert!(extension().join("extension.vsomanifest").is_file());
}

fn init(at: &Path, args: &[&str]) -> (i32, String) {
    let mut command = lakegate();
    command.args(["init", "--host=azure"]).args(args).current_dir(at);
    let output = command.output().unwrap();
    (output.status.code().unwrap(), text(&output.stdout) + &text(&output.stderr))
}

fn repository(at: &Path) -> PathBuf {
    let home = at.join("home");
    std::fs::create_dir_all(&home).unwrap();
    git(&home, &["init", "-q", "-b", "main"]);
    git(&home, &["remote", "add", "origin", "https://dev.azure.com/acme/ml/_git/flights"]);
    home
}

/// What the editor says of pipelines.
fn findings(files: &[PathBuf]) -> String {
    let mut schemas = Command::new(tool("python3"));
    schemas.args([
        "-c",
        "import check_jsonschema,os;print(os.path.dirname(check_jsonschema.__file__))",
    ]);
    let place = text(&schemas.output().unwrap().stdout);
    let schema = Path::new(place.trim()).join("builtin_schemas/vendor/azure-pipelines.json");
    let mut node = Command::new("node");
    node.arg(root().join("tests/node/pipelines.mjs")).arg(modules()).arg(schema);
    let output = within(Duration::from_secs(60), node.arg(root().join("tasks")).args(files));
    let said = text(&output.stdout) + &text(&output.stderr);
    let own = |line: &&str| line.contains(".yml:") || line.contains("Error");
    let found = said.lines().filter(own).collect::<Vec<_>>().join("\n");
    assert_eq!(output.status.success(), found.is_empty(), "{said}");
    found
}

/// Three tables, of which the last has moved.
fn drifted(at: &Path) {
    for (name, moved) in [("then.csv", 0), ("again.csv", 0), ("now.csv", 5)] {
        let rows = (0..2000).map(|row| format!("{row},{}\n", row % 10 + moved));
        std::fs::write(at.join(name), format!("id,x\n{}", rows.collect::<String>())).unwrap();
    }
}

/// Runs a task as Microsoft's own runner of tasks does: whether it succeeded, and
/// what it said.
fn under_microsofts_runner(at: &Path, folder: &str, inputs: &[(&str, &str)]) -> (bool, String) {
    let binaries = Path::new(env!("CARGO_BIN_EXE_lakegate")).parent().unwrap();
    let own = [("binaryPath", binaries.to_str().unwrap())];
    let inputs: BTreeMap<&str, &str> = own.into_iter().chain(inputs.iter().copied()).collect();
    let mut runner = Command::new("node");
    runner.arg(root().join("tests/node/task.mjs")).arg(modules());
    runner.arg(extension().join(folder)).arg(serde_json::to_string(&inputs).unwrap());
    runner.current_dir(at).env("TF_BUILD", "True");
    let output = within(Duration::from_secs(60), &mut runner);
    let said = text(&output.stdout);
    let last = said.lines().last().unwrap_or_default();
    let found: serde_json::Value = serde_json::from_str(last).unwrap_or_else(|_| panic!("{said}"));
    let told = ["stdout", "stderr"].map(|name| found[name].as_str().unwrap().to_owned());
    (found["succeeded"] == true, told.concat())
}

/// Our stand-in for the agent is of our own making; this is Microsoft's.
#[test]
fn a_task_does_under_microsofts_own_runner_what_it_does_under_ours() {
    if !has_node("the runner of tasks") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    drifted(dir.path());
    let task = |current: &str, more: &[(&str, &str)]| {
        let own = [("baseline", "then.csv"), ("current", current)];
        under_microsofts_runner(dir.path(), "drift-check", &[&own, more].concat())
    };
    let (succeeded, said) = task("again.csv", &[]);
    assert!(succeeded, "{said}");
    let (succeeded, said) = task("now.csv", &[]);
    assert!(!succeeded, "{said}");
    assert!(said.contains("##vso[task.logissue type=warning;code=drift/column]"), "{said}");
    assert!(said.contains("##vso[task.setvariable variable=decision;isOutput=true]"), "{said}");
    let (succeeded, said) = task("now.csv", &[("failOn", "never")]);
    assert!(succeeded && said.contains("x drifted"), "{said}");
    let (succeeded, said) = task("now.csv", &[("failOn", "nevr")]);
    assert!(!succeeded && said.contains("nevr"), "{said}");
}

/// Every task starts its own command there, hands its inputs over as they are, and
/// tells what the command made of them.
#[test]
fn every_task_runs_its_command_under_microsofts_own_runner() {
    if !has_node("the runner of tasks") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let hostile = "a 'b' \"c\" $(d) `e` 100% f;g]\nh";
    let mut folders = 0;
    for entry in std::fs::read_dir(extension()).unwrap() {
        let path = entry.unwrap().path();
        let Ok(task) = std::fs::read_to_string(path.join("task.json")) else { continue };
        let task: Value = serde_json::from_str(&task).unwrap();
        let folder = path.file_name().unwrap().to_str().unwrap();
        folders += 1;
        let run = |inputs: &[(&str, &str)]| under_microsofts_runner(dir.path(), folder, inputs);
        let (succeeded, said) = run(&[("workspace", "https://127.0.0.1:9"), ("failOm", "never")]);
        let near = said.contains("did you mean 'failOn'?");
        assert!(!succeeded && near == has_input(&task, "failOn"), "{folder}: {said}");
        let action = task["inputs"].as_array().unwrap().iter().find(|it| it["name"] == "action");
        let actions = action.and_then(|action| action["options"].as_object()?.keys().next());
        let action = actions.map(|first| ("action", first.as_str()));
        let inputs: Vec<_> = [("config", hostile)].into_iter().chain(action).collect();
        let (succeeded, said) = run(&inputs);
        let ended = commands(&said).into_iter().find(|told| told.name() == "task.complete");
        let ended = ended.unwrap_or_else(|| panic!("{folder}: {said}"));
        assert!(!succeeded && ended.properties["result"] == "Failed", "{folder}: {said}");
        if has_input(&task, "config") {
            // A message is one line.
            let shown = hostile.replace('\n', " ");
            let told = commands(&said).iter().any(|told| told.is("task.logissue", &shown));
            assert!(told, "{folder}: {said}");
        }
    }
    assert_eq!(folders, 9);
}

fn has_input(task: &Value, name: &str) -> bool {
    task["inputs"].as_array().unwrap().iter().any(|input| input["name"] == name)
}

#[test]
fn a_restricted_step_keeps_its_result_and_the_outputs_that_it_may_set() {
    if !has_node("the tasks") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("repository");
    let place = dir.path().join("agent");
    std::fs::create_dir_all(&place).unwrap();
    std::fs::create_dir(&home).unwrap();
    drifted(&home);
    let steps = "steps:
  - task: LakegateDriftCheck@0
    name: drift
    target: {commands: restricted, settableVariables: [verdict]}
    inputs: {baseline: then.csv, current: now.csv}
";
    std::fs::write(home.join("watch.yml"), format!("jobs:\n- job: watch\n  {steps}")).unwrap();
    git(&home, &["init", "-q"]);
    git(&home, &["add", "."]);
    git(&home, &["commit", "-qm", "tables"]);
    let agent = Agent {
        extension: extension(),
        home: &home,
        place: &place,
        groups: BTreeMap::new(),
        machine: machine("http://127.0.0.1:9"),
        parameters: BTreeMap::new(),
        skip: &[],
        builds: 0.into(),
        approve: Box::new(|_, _| {}),
    };
    let ran = agent.run("watch.yml");
    assert_eq!(ran.results(), ["Failed"], "{}", ran.log);
    assert!(ran.told("task.logissue type=warning;code=drift/column", "x drifted"), "{}", ran.log);
    assert_eq!(ran.outputs, strings([("only.watch.drift.verdict", "fail".to_owned())]));
    for refused in ["task.uploadsummary", "task.setvariable variable=decision;isOutput=true"] {
        assert!(ran.refused.iter().any(|head| head == refused), "{:?}", ran.refused);
    }
}

#[test]
fn every_choice_gives_pipelines_without_a_finding() {
    if !has_node("the reader of pipelines") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (choices, files) = every_choice(repository, init, ".azure-pipelines", dir.path());
    assert_eq!(findings(&files), "");
    insta::assert_snapshot!(format!("{choices}\n{} pipelines", files.len()));
    let shared = lakegate::sys::fs::files_below(root().join("pipelines")).unwrap();
    let shared: Vec<_> = shared.iter().map(|file| root().join("pipelines").join(file)).collect();
    assert_eq!(shared.len(), 4 + 10 + 10);
    assert_eq!(findings(&shared), "");
    // The reader does find what is wrong with an input of ours.
    let is_whole = |path: &&PathBuf| {
        let own = std::fs::read_to_string(path).unwrap();
        own.contains("action: plan") && own.contains("plan: .lake")
    };
    let staging = files.iter().find(is_whole).unwrap();
    let own = std::fs::read_to_string(staging).unwrap();
    let wrong = own.replace("action: plan", "action: plann").replace("plan: .lake", "plam: .lake");
    std::fs::write(staging, wrong).unwrap();
    let found = findings(std::slice::from_ref(staging));
    assert!(found.contains("Valid values: \"plan\"") && found.contains("plam"), "{found}");
}

/// A pipeline of whoever composes, with one template at a level of it.
fn composed(level: &str, template: &str, parameters: &Value) -> Value {
    let item = json!({"template": format!("{template}@lakegate"), "parameters": parameters});
    expand(&json!({level: [item]}), &BTreeMap::new())[level].clone()
}

/// Variables, and groups of them, by their names.
fn variables(list: &Value) -> BTreeMap<String, String> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let named = |own: &Value| (text(&own["name"]) + &text(&own["group"]), text(&own["value"]));
    list.as_array().unwrap().iter().map(named).collect()
}

#[test]
fn jobs_and_steps_are_those_of_the_whole_pipelines() {
    let jobs = json!({"trainJob": "train", "evaluateJob": "evaluate"});
    let handed = json!({"artifact": "$(artifact)"});
    let release = json!({"artifact": "$(artifact)", "digest": "$(digest)"});
    let none = json!({});
    let score = json!({"scoreJob": "score"});
    let watch = json!({"watch": true});
    for (whole, stage, part, of_whole, own) in [
        ("merge-request", "test", "merge-request", &none, &none),
        ("merge-request", "plan", "plan", &json!({"planTarget": "prod"}), &none),
        ("staging", "staging", "staging", &none, &none),
        ("release", "release", "release", &none, &none),
        ("release", "production", "deploy", &none, &release),
        ("production", "train", "train", &jobs, &jobs),
        ("production", "promote", "promote", &none, &handed),
        ("production", "score", "score", &score, &score),
        ("production", "watch", "watch", &watch, &none),
    ] {
        let with = |given: &Value, names: &[&str]| {
            let mut given = given.clone();
            for (name, value) in [("target", "prod"), ("folder", "ml"), ("config", "ours.yml")] {
                if names.contains(&name) {
                    given[name] = json!(value);
                }
            }
            given
        };
        let every = ["target", "folder", "config"];
        let stages = composed("stages", &format!("pipelines/{whole}.yml"), &with(of_whole, &every));
        let stage = stages.as_array().unwrap().iter().find(|own| own["stage"] == stage).unwrap();
        let of_stage = &stage["jobs"][0];

        let names: &[&str] = if part == "release" { &every[1..] } else { &every };
        let jobs = composed("jobs", &format!("pipelines/jobs/{part}.yml"), &with(own, names));
        let mut job = jobs[0].clone();
        let fields = job.as_object_mut().unwrap();
        assert_eq!(fields.remove("dependsOn"), Some(json!([])));
        let waits = ["staging", "deploy", "promote"].contains(&part);
        let condition = if waits { "and(succeeded(), true)" } else { "succeeded()" };
        assert_eq!(fields.remove("condition"), Some(json!(condition)));
        assert_eq!(fields.remove("pool").as_ref(), Some(&stage["pool"]));
        let mut of_the_stage = variables(&stage["variables"]);
        for (name, value) in &mut of_the_stage {
            // Between stages they are read where they were set.
            if value.starts_with("$[ stageDependencies.") {
                *value = format!("$({name})");
            }
        }
        assert_eq!(variables(&fields.remove("variables").unwrap()), of_the_stage, "{part}");
        assert_eq!(&job, of_stage, "{part}");

        let taken: &[&str] = match part {
            "staging" | "deploy" => &["target", "folder"],
            "plan" => &["target"],
            "promote" | "score" => &[],
            _ => &["folder"],
        };
        let steps = composed("steps", &format!("pipelines/steps/{part}.yml"), &with(own, taken));
        let of_job = of_stage.get("steps");
        let of_job = of_job.or_else(|| of_stage.pointer("/strategy/runOnce/deploy/steps"));
        let mut of_job = of_job.unwrap().clone();
        // What comes before them is not taken away.
        assert_eq!(of_job[0].as_object_mut().unwrap().remove("clean"), Some(json!(true)));
        assert_eq!(steps, of_job, "{part}");
    }
}

fn strings<const N: usize>(pairs: [(&str, String); N]) -> BTreeMap<String, String> {
    pairs.map(|(name, value)| (name.to_owned(), value)).into()
}

/// What the agent tells a step, and what this machine has.
fn machine(address: &str) -> BTreeMap<String, String> {
    let binaries = Path::new(env!("CARGO_BIN_EXE_lakegate")).parent().unwrap();
    let path =
        format!("{}:{}", python().parent().unwrap().display(), std::env::var("PATH").unwrap());
    strings([
        ("binaries", binaries.display().to_string()),
        ("PATH", path),
        ("LAKEGATE_ENVIRONMENT", "none".to_owned()),
        ("LAKEGATE_CACHE", cache().display().to_string()),
        ("DATABRICKS_CONFIG_FILE", "/nonexistent".to_owned()),
        ("SYSTEM_COLLECTIONURI", address.to_owned()),
        ("SYSTEM_TEAMFOUNDATIONCOLLECTIONURI", address.to_owned()),
        ("SYSTEM_TEAMPROJECT", "ml".to_owned()),
        ("SYSTEM_TEAMPROJECTID", "1".to_owned()),
        ("SYSTEM_HOSTTYPE", "build".to_owned()),
        ("SYSTEM_PLANID", "2".to_owned()),
        ("SYSTEM_JOBID", "3".to_owned()),
        ("SYSTEM_DEFINITIONID", "9".to_owned()),
        ("BUILD_REPOSITORY_ID", "repo".to_owned()),
        ("BUILD_REPOSITORY_NAME", "flights".to_owned()),
        ("BUILD_SOURCEBRANCH", "refs/heads/main".to_owned()),
    ])
}

/// Of a merge request, the agent tells more.
fn of_request(mut machine: BTreeMap<String, String>, head: String) -> BTreeMap<String, String> {
    machine.extend(strings([
        ("BUILD_REASON", "PullRequest".to_owned()),
        ("SYSTEM_PULLREQUEST_PULLREQUESTID", "7".to_owned()),
        ("SYSTEM_PULLREQUEST_ISFORK", "False".to_owned()),
        ("SYSTEM_PULLREQUEST_SOURCEBRANCH", "refs/heads/change".to_owned()),
        ("SYSTEM_PULLREQUEST_TARGETBRANCH", "refs/heads/main".to_owned()),
        ("SYSTEM_PULLREQUEST_SOURCECOMMITID", head),
    ]));
    machine
}

/// The repository as `init` left it, on a change, and what is around it.
struct World<'a> {
    agent: Agent<'a>,
    served: &'a Served,
    address: String,
    host: Shared,
}

impl World<'_> {
    /// Each run has its own artifacts.
    fn run(&self, pipeline: &str) -> Ran {
        drop(std::fs::remove_dir_all(self.agent.place.join("artifacts")));
        self.agent.run(&format!(".azure-pipelines/{pipeline}.yml"))
    }

    /// Commits a change of the code, and runs its merge request.
    fn request(&mut self, from: &str, to: &str) -> Ran {
        let home = self.agent.home;
        let file = home.join("src/flights/features.py");
        let own = std::fs::read_to_string(&file).unwrap();
        assert!(own.contains(from));
        std::fs::write(&file, own.replace(from, to)).unwrap();
        git(home, &["commit", "-qam", "fix: a change"]);
        let head = git(home, &["rev-parse", "HEAD"]);
        self.host.lock().unwrap().pushes.push(head.clone());
        self.agent.machine = of_request(machine(&self.address), head);
        self.run("merge-request")
    }
}

fn is_red_then_green(world: &mut World<'_>) {
    let red = world.request("LATE_MINUTES = 15", "LATE_MINUTES = 1");
    assert_eq!(red.results(), ["Failed", "Succeeded"], "{}", red.log);
    let at_line = "task.logissue type=error;code=merge/test;sourcepath=tests/test_features.py";
    assert!(red.told(at_line, "failed"), "{:?}", red.commands);
    let summary = red.summary();
    assert!(
        summary.contains("Test the change") && summary.contains("test_late_is_fifteen"),
        "{summary}"
    );
    let green = world.request("LATE_MINUTES = 1\n", "LATE_MINUTES = 15\n# minutes\n");
    assert_eq!(green.results(), ["Succeeded", "Succeeded"], "{}", green.log);
    let host = world.host.lock().unwrap();
    let states = host.statuses.iter().map(|status| status["state"].as_str().unwrap());
    assert_eq!(states.collect::<Vec<_>>(), ["failed", "succeeded"]);
    // One of the tests, one of the plan.
    assert_eq!(host.threads.len(), 2);
    for thread in &host.threads {
        assert_eq!(thread["status"], "closed");
    }
    let plan = host.threads[1]["comments"][0]["content"].as_str().unwrap();
    assert!(plan.contains("Plan flights to staging"), "{plan}");
    assert!(host.tokens >= 2);
}

async fn is_released(world: &mut World<'_>) {
    let home = world.agent.home;
    git(home, &["checkout", "-q", "main"]);
    git(home, &["merge", "-q", "--ff-only", "change"]);
    git(home, &["update-ref", "refs/remotes/origin/main", "HEAD"]);
    world.agent.machine = machine(&world.address);
    let staging = world.run("staging");
    assert_eq!(staging.results(), ["Succeeded"], "{}", staging.log);
    let release = world.run("release");
    assert_eq!(release.results(), ["Succeeded", "Succeeded"], "{}", release.log);
    {
        let host = world.host.lock().unwrap();
        let commit = git(home, &["rev-parse", "HEAD"]);
        assert_eq!(host.refs["refs/tags/v0.1.0"], commit);
        assert_eq!(host.refs["refs/heads/release/0.1.0"], commit);
    }
    let deployed = "SELECT release, target FROM prod.flights.deployments";
    let rows = world.served.sql(deployed).await;
    assert_eq!(rows, [[Some("0.1.0".to_owned()), Some("prod".to_owned())]]);
    is_taken_by_its_tag(world, &release);
    let again = world.run("release");
    assert_eq!(again.results(), ["Succeeded", "Succeeded"], "{}", again.log);
    assert!(again.told("task.setvariable variable=reason", "nothing to change"));
}

/// What the run has kept is the release that its tag stands for.
fn is_taken_by_its_tag(world: &mut World<'_>, release: &Ran) {
    assert!(release.told("build.addbuildtag", "v0.1.0"), "{:?}", release.commands);
    let folder = world.agent.place.join("artifacts/release-0.1.0");
    let names = lakegate::sys::fs::files_below(&folder).unwrap();
    let files = names.into_iter().map(|name| {
        let bytes = std::fs::read(folder.join(&name)).unwrap();
        (format!("release-0.1.0/{}", name.display()), bytes)
    });
    let files: Vec<_> = files.collect();
    world.host.lock().unwrap().kept.insert("v0.1.0".into(), zipped(&files));
    let mut plan = world.served.command();
    plan.args(["bundle-deploy", "plan", "--release=0.1.0", "--target=prod"]);
    plan.envs(&world.agent.machine).envs([("TF_BUILD", "True"), ("SYSTEM_ACCESSTOKEN", "t")]);
    let output = within(Duration::from_secs(60), plan.current_dir(world.agent.home));
    let said = text(&output.stdout) + &text(&output.stderr);
    assert!(output.status.success() && said.contains("fetch the release v0.1.0"), "{said}");
    assert!(said.contains("release 0.1.0") && said.contains("0 to create, 0 to update"), "{said}");
}

async fn is_promoted_if_good(world: &mut World<'_>) {
    let policy = world.agent.home.join("lakegate.yml");
    let own = std::fs::read_to_string(&policy).unwrap();
    assert!(own.contains("roc_auc, min: 0.6"));
    std::fs::write(&policy, own.replace("roc_auc, min: 0.6", "roc_auc, min: 0.99")).unwrap();
    world.agent.skip = &["score", "watch"];
    let rejected = world.run("production");
    assert_eq!(rejected.results(), ["Failed", "Skipped", "Skipped"], "{}", rejected.log);
    assert!(rejected.told("task.setvariable variable=reason", "roc_auc"), "{}", rejected.log);
    let summary = rejected.summary();
    assert!(summary.contains("fail") && summary.contains("roc_auc"), "{summary}");
    std::fs::write(&policy, own).unwrap();

    is_promoted(world, "2").await;
}

async fn is_promoted(world: &mut World<'_>, version: &str) {
    world.agent.skip = &[];
    let production = world.run("production");
    assert_eq!(production.results(), ["Succeeded"; 5], "{}", production.log);
    let promoted = "SELECT alias, to_version FROM prod.flights.promotions WHERE phase = 'outcome'";
    let rows = world.served.sql(promoted).await;
    assert_eq!(rows, [[Some("champion".to_owned()), Some(version.to_owned())]]);
    // What somebody else has registered is judged as it is.
    let given = world.agent.parameters.clone();
    world.agent.parameters.insert("judge".into(), "True".into());
    let judged = world.run("production");
    world.agent.parameters = given;
    assert_eq!(judged.results()[3..], ["Skipped"; 2], "{}", judged.log);
    // It is served already.
    assert_eq!(judged.results()[..3], ["Succeeded"; 3], "{}", judged.log);
    let serves = format!("READY late_arrival-{version}");
    assert_eq!(online(world.served).await, serves);
    let (jobs, gates) = ("== LakegateJobRun@0", "== gate");
    let told = [jobs, gates].map(|own| judged.log.matches(own).count());
    // Predictions, a check of how it runs, and whoever tidies up.
    assert_eq!(told, [3, 1], "{}", judged.log);
}

fn is_trained_anew_after_drift(world: &mut World<'_>) {
    let mut refresh = world.served.command();
    refresh.args(["job-run", "refresh_features", "--target=prod", "-p", "months=7"]);
    let refreshed = within(Duration::from_secs(120), refresh.current_dir(world.agent.home));
    assert!(refreshed.status.success(), "{}", text(&refreshed.stderr));
    world.agent.skip = &["train", "promote", "serve", "score"];
    let drifted = world.run("production");
    assert_eq!(drifted.results(), ["Failed"], "{}", drifted.log);
    assert!(drifted.told("task.setvariable variable=decision", "retrain"), "{}", drifted.log);
    assert!(drifted.told("task.logissue type=warning;code=drift/column", "temp drifted"));
    assert!(drifted.summary().contains("temp"), "{}", drifted.summary());
    // The whole loop begins anew.
    let calls = world.host.lock().unwrap().calls.clone();
    let begun = |call: &&String| call.starts_with("POST ") && call.ends_with("/pipelines/9/runs");
    assert_eq!(calls.iter().filter(begun).count(), 1, "{calls:?}");
}

/// Does something with a repository as `init` left it, on a change.
async fn with_pipelines(args: &[&str], act: impl AsyncFnOnce(&mut World<'_>)) {
    let dir = tempfile::tempdir().unwrap();
    let served = Served::for_pipelines(&dir.path().join("workspace"), ISSUER, SUBJECT).await;
    let (address, host) = serve(azure_answer).await;

    let home = repository(dir.path());
    started(&home, init(&home, args), false);
    let group = strings([
        ("DATABRICKS_HOST", served.host.clone()),
        ("DATABRICKS_CLIENT_ID", "flights".to_owned()),
        ("DATABRICKS_WAREHOUSE_ID", "local".to_owned()),
    ]);
    let place = dir.path().join("agent");
    std::fs::create_dir_all(&place).unwrap();
    let approve = |environment: &str, run: u32| match environment {
        "prod-model" => host.lock().unwrap().approved.push(run.into()),
        "prod-release" | "staging" => {}
        other => panic!("nobody watches {other}"),
    };
    let agent = Agent {
        extension: extension(),
        home: &home,
        place: &place,
        groups: ["local", "staging", "staging-plan", "prod"]
            .map(|target| (format!("lakegate-{target}"), group.clone()))
            .into(),
        machine: machine(&address),
        parameters: strings([("version", "auto".to_owned())]),
        skip: &[],
        builds: 6.into(),
        approve: Box::new(approve),
    };
    act(&mut World { agent, served: &served, address, host: host.clone() }).await;
}

/// From a merge request to a model in production that is watched, by nothing but
/// what `init` wrote.
#[tokio::test(flavor = "multi_thread")]
async fn four_pipelines_carry_a_change_to_production() {
    if !has_node("the tasks") {
        return;
    }
    with_pipelines(&["--test-target=local", "--plan-comment", "--serve"], async |world| {
        is_red_then_green(world);
        is_released(world).await;
        is_promoted_if_good(world).await;
        is_trained_anew_after_drift(world);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn four_short_pipelines_extend_those_of_the_suite() {
    if !has_node("the tasks") {
        return;
    }
    let args = ["--test-target=local", "--workflows=call", "--plan-comment", "--serve"];
    with_pipelines(&args, async |world| {
        let green = world.request("LATE_MINUTES = 15\n", "LATE_MINUTES = 15\n# minutes\n");
        assert_eq!(green.results(), ["Succeeded", "Succeeded"], "{}", green.log);
        is_released(world).await;
        is_promoted(world, "1").await;
    })
    .await;
}
