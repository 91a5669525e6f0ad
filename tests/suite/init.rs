//! What `init` writes, read as GitHub reads it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::actions::linted;
use crate::support::{git, has_node, lakegate, modules, root, text, within};

pub(crate) const SHA: &str = "1111111111111111111111111111111111111111";

pub(crate) fn init(at: &Path, args: &[&str]) -> (i32, String) {
    let mut command = lakegate();
    command.args(["init", "--suite-ref", SHA]).args(args).current_dir(at);
    let output = command.output().unwrap();
    (output.status.code().unwrap(), text(&output.stdout) + &text(&output.stderr))
}

pub(crate) fn repository(at: &Path) -> PathBuf {
    let home = at.join("home");
    std::fs::create_dir_all(&home).unwrap();
    git(&home, &["init", "-q", "-b", "main"]);
    git(&home, &["remote", "add", "origin", "https://github.com/acme/flights"]);
    home
}

/// Commits what `init` wrote, on main and on a branch. One test runs models in
/// an environment of their own; the others need not build it again.
pub(crate) fn started(home: &Path, (code, told): (i32, String), own_environment: bool) {
    assert_eq!(code, 0, "{told}");
    if !own_environment {
        let jobs = home.join("resources/jobs.yml");
        let text = std::fs::read_to_string(&jobs).unwrap();
        let of_job =
            text.replace("{name: environment, default: own}", "{name: environment, default: job}");
        assert_ne!(text, of_job);
        std::fs::write(&jobs, of_job).unwrap();
    }
    git(home, &["add", "-A"]);
    git(home, &["commit", "-qm", "feat: start"]);
    git(home, &["update-ref", "refs/remotes/origin/main", "HEAD"]);
    git(home, &["checkout", "-q", "-b", "change"]);
}

/// Every reader of workflows, on everything that was written.
fn lint(home: &Path) -> usize {
    git(home, &["add", "-A"]);
    git(home, &["commit", "-qm", "feat: start", "--allow-empty"]);
    let run = |name: &str, args: &[&str]| linted(home, name, args);
    assert!(run("zizmor", &["--offline", "--pedantic", "."]).contains("No findings to report"));
    run("jactionlint", &["--shellcheck="]);
    read_as_github_does(&home.join(".github/workflows"))
}

/// The schema of workflows, and GitHub's own grammar of them; how many there are.
pub(crate) fn read_as_github_does(folder: &Path) -> usize {
    let all = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files: Vec<PathBuf> = all.collect();
    let mut args = vec!["--builtin-schema", "vendor.github-workflows"];
    args.extend(files.iter().map(|path| path.to_str().unwrap()));
    linted(folder, "check-jsonschema", &args);
    if has_node("GitHub's own grammar of workflows") {
        assert_eq!(grammar(&files), (true, String::new()));
    }
    files.len()
}

fn grammar(files: &[PathBuf]) -> (bool, String) {
    let mut node = Command::new("node");
    node.arg(root().join("tests/node/workflows.mjs")).arg(modules()).args(files);
    let output = within(Duration::from_secs(60), &mut node);
    (output.status.success(), text(&output.stdout) + &text(&output.stderr))
}

#[test]
fn the_grammar_finds_what_is_wrong() {
    if !has_node("GitHub's own grammar of workflows") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("wrong.yml");
    std::fs::write(&file, "on: push\njobs:\n  a:\n    run-on: x\n    steps: []\n").unwrap();
    let (passed, said) = grammar(&[file]);
    assert!(!passed && said.contains("Unexpected value 'run-on'"), "{said}");
}

/// Every combination of what can be chosen, for a project in each state in which
/// `init` may find it; those that it refuses are left out.
pub(crate) fn combinations() -> Vec<(Option<&'static str>, Vec<&'static str>)> {
    let mut all = Vec::new();
    for project in
        [None, Some("every_kind"), Some("rules"), Some("stacks azure"), Some("stacks aws")]
    {
        let is_stacks = project.is_some_and(|name| name.starts_with("stacks"));
        for mask in 0..256_u32 {
            let chosen = |bit: u32, no: &'static str, yes: &'static str| {
                if mask & (1 << bit) == 0 { no } else { yes }
            };
            let secrets = mask & 1 != 0;
            let call = mask & 2 != 0;
            let embedded = mask & 4 != 0;
            let module = mask & 8 != 0;
            let plan = mask & 64 != 0;
            let serve = mask & 128 != 0;
            let refused = secrets && !is_stacks
                || call && (embedded || secrets)
                || plan && (embedded || project == Some("rules"))
                // What production does and what merge requests are told meet nowhere.
                || serve && (embedded || plan || matches!(project, Some("rules" | "every_kind")))
                || module && project.is_some();
            // The choices below are about new projects, and places of bundles.
            if refused || project.is_some() && mask & 16 != 0 || is_stacks && mask & 32 != 0 {
                continue;
            }
            let folder =
                if is_stacks { "--dir=taxi" } else { chosen(5, "--dir=.", "--dir=ml/flights") };
            let mut args = vec![
                chosen(0, "--sign-in=federation", "--sign-in=stacks-secrets"),
                chosen(1, "--workflows=whole", "--workflows=call"),
                chosen(2, "--workspace=databricks", "--workspace=embedded"),
                folder,
                "--yes",
            ];
            if module {
                args.push("--with=fine-tuning");
            }
            if plan {
                args.push("--plan-comment");
            }
            if serve {
                args.push("--serve");
            }
            match project {
                None => args.push(chosen(4, "--test-target=local", "--test-target=staging")),
                Some("every_kind") => args.push("--staging-target=dev"),
                _ => {}
            }
            all.push((project, args));
        }
    }
    all.push((None, vec!["--main=trunk", "--python=3.11", "--test-target=staging"]));
    let own = ["--runner=self-hosted", "--test-target=local"];
    all.push((None, own.to_vec()));
    all.push((None, own.iter().copied().chain(["--workflows=call"]).collect()));
    all
}

/// What `init` writes for each of them, each text once, as files of a folder; and how
/// many files each choice gives.
pub(crate) fn every_choice(
    repository: fn(&Path) -> PathBuf,
    init: fn(&Path, &[&str]) -> (i32, String),
    below: &str,
    into: &Path,
) -> (String, Vec<PathBuf>) {
    let mut texts = std::collections::BTreeMap::new();
    let mut told_of = Vec::new();
    for (project, args) in combinations() {
        let dir = tempfile::tempdir().unwrap();
        let home = repository(dir.path());
        match project.map(|name| name.split_once(' ').unwrap_or((name, ""))) {
            Some(("stacks", cloud)) => stacks(&home, cloud),
            Some((fixture, _)) => {
                let folder = args.iter().find_map(|arg| arg.strip_prefix("--dir=")).unwrap();
                let from = root().join("tests/bundles").join(fixture);
                crate::agent::copy(&from, &home.join(folder));
            }
            None => {}
        }
        let (code, told) = init(&home, &args);
        assert_eq!(code, 0, "{project:?} {args:?}: {told}");
        let written = std::fs::read_dir(home.join(below)).unwrap();
        let written = written.map(|entry| entry.unwrap().path());
        let is_yaml = |path: &PathBuf| path.extension().is_some_and(|end| end == "yml");
        let written: Vec<PathBuf> = written.filter(is_yaml).collect();
        told_of.push(format!("{} {} {}", written.len(), project.unwrap_or("-"), args.join(" ")));
        for path in written {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            texts.insert(std::fs::read_to_string(&path).unwrap(), name);
        }
    }
    std::fs::create_dir_all(into).unwrap();
    let files = texts.into_iter().enumerate().map(|(at, (text, name))| {
        let path = into.join(format!("{at:03}-{name}"));
        std::fs::write(&path, text).unwrap();
        path
    });
    (told_of.join("\n"), files.collect())
}

#[test]
fn every_choice_gives_workflows_without_a_finding() {
    let dir = tempfile::tempdir().unwrap();
    let home = repository(dir.path());
    let folder = home.join(".github/workflows");
    let (choices, files) = every_choice(repository, init, ".github/workflows", &folder);
    assert_eq!(lint(&home), files.len());
    insta::assert_snapshot!(format!("{choices}\n{} workflows", files.len()));
}

#[test]
fn what_somebody_changed_and_what_is_new_come_together() {
    let dir = tempfile::tempdir().unwrap();
    let home = repository(dir.path());
    let args = ["--test-target=local"];
    assert_eq!(init(&home, &args).0, 0);
    let (code, told) = init(&home, &[]);
    assert!(code == 0 && !told.contains("  write") && !told.contains("update"), "{told}");
    // As a checkout on Windows has it.
    let staging = home.join(".github/workflows/staging.yml");
    let own = std::fs::read_to_string(&staging).unwrap();
    std::fs::write(&staging, own.replace('\n', "\r\n")).unwrap();
    let (code, told) = init(&home, &[]);
    assert!(code == 0 && told.contains("unchanged  .github/workflows/staging.yml"), "{told}");
    // Another choice brings what nobody touched up to date, and is known from then on.
    let (code, told) = init(&home, &["--python=3.13"]);
    assert!(code == 0 && told.contains("update  .github/workflows/release.yml"), "{told}");
    assert!(told.contains("+          python-version: \"3.13\""), "{told}");
    let path = home.join(".github/workflows/release.yml");
    let read = || std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, read().replace("Pack the commit", "Our words")).unwrap();
    let (code, told) = init(&home, &["--python=3.14"]);
    assert!(code == 0 && told.contains("merge  .github/workflows/release.yml"), "{told}");
    assert!(read().contains("Our words") && read().contains("3.14"));
    // The same line on both sides.
    let ours = read().replace("3.14", "our own");
    std::fs::write(&path, &ours).unwrap();
    let (code, told) = init(&home, &["--python=3.15"]);
    assert!(code == 4 && told.contains("new ones belong: .github/workflows/release.yml"), "{told}");
    assert!(
        told.contains("our own") && told.contains("3.15") && told.contains("<<<<<<<"),
        "{told}"
    );
    let others = std::fs::read_to_string(home.join(".github/workflows/staging.yml")).unwrap();
    assert!(read() == ours && others.contains("3.14"), "something was written");
    let (code, _) = init(&home, &["--python=3.15", "--force"]);
    assert!(code == 0 && !read().contains("our own"));
    // What somebody removed stays away, but for --force.
    std::fs::remove_file(&path).unwrap();
    let (code, told) = init(&home, &[]);
    assert!(code == 0 && told.contains("left out  .github/workflows/release.yml"), "{told}");
    assert!(!path.exists());
    assert_eq!(init(&home, &["--force"]).0, 0);
    assert!(path.exists());
    // What is not wanted any more goes, if nobody has touched it.
    let staging = home.join(".github/workflows/staging.yml");
    std::fs::write(&staging, others + "# ours\n").unwrap();
    let (code, told) = init(&home, &["--workspace=embedded"]);
    assert!(code == 0 && told.contains("remove  .github/workflows/release.yml"), "{told}");
    assert!(told.contains("kept  .github/workflows/staging.yml"), "{told}");
    assert!(!path.exists() && staging.exists());
}

/// As if the starter project of an earlier version had been another.
fn aged(home: &Path, file: &str, [now, then, own]: [&str; 3]) {
    let record = home.join(".github/lakegate-init.json");
    let text = std::fs::read_to_string(&record).unwrap();
    let mut told: Value = serde_json::from_str(&text).unwrap();
    let lines = told["project"][file].as_array_mut().unwrap();
    let line = lines.iter_mut().find(|line| line.as_str().unwrap().contains(now)).unwrap();
    *line = line.as_str().unwrap().replace(now, then).into();
    std::fs::write(&record, told.to_string()).unwrap();
    let path = home.join(file);
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(path, text.replacen(now, own, 1)).unwrap();
}

#[test]
fn the_starter_project_is_brought_up_to_date_around_what_is_ours() {
    let dir = tempfile::tempdir().unwrap();
    let home = repository(dir.path());
    assert_eq!(init(&home, &["--test-target=local"]).0, 0);
    let read = |path: &str| std::fs::read_to_string(home.join(path)).unwrap();
    assert!(read("lakegate.yml").contains("sign_off: {from: github}"));
    let (fresh_train, fresh_score) = (read("ops/train.py"), read("ops/score.py"));
    let first = |text: &str| text.lines().next().unwrap().to_owned();
    let (train, score) = (first(&fresh_train), first(&fresh_score));
    aged(&home, "ops/train.py", [&train, "# Old.", "# Old."]);
    aged(&home, "ops/score.py", [&score, "# Old.", "# Old."]);
    std::fs::write(home.join("ops/score.py"), read("ops/score.py") + "# ours\n").unwrap();
    aged(
        &home,
        "lakegate.yml",
        ["min: 0.6, not_worse", "min: 0.5, not_worse", "min: 0.7, not_worse"],
    );
    std::fs::remove_file(home.join("ops/evaluate.py")).unwrap();
    for _ in 0..2 {
        let (code, told) = init(&home, &[]);
        assert!(code == 0 && told.contains("left out  ops/evaluate.py"), "{told}");
        // It is offered until somebody has taken it, or said otherwise.
        assert!(told.contains("conflict  lakegate.yml") && told.contains("<<<<<<<"), "{told}");
        assert_eq!(read("ops/train.py"), fresh_train);
        assert_eq!(read("ops/score.py"), fresh_score.clone() + "# ours\n");
        assert!(read("lakegate.yml").contains("min: 0.7, not_worse"));
    }
    // Another host asks for approvals of its own.
    let policies = read("lakegate.yml").replace("min: 0.7", "min: 0.5");
    std::fs::write(home.join("lakegate.yml"), policies).unwrap();
    let (code, told) = init(&home, &["--host=azure", "--test-target=local"]);
    assert!(code == 0 && told.contains("update  lakegate.yml"), "{told}");
    assert!(read("lakegate.yml").contains("sign_off: {from: azure}"));
    let (code, told) = init(&home, &["--host=github"]);
    assert!(code == 0 && told.contains("say `github`, or `table`"), "{told}");
    // What is no text is somebody's.
    std::fs::write(home.join("README.md"), [0xff, 0xfe]).unwrap();
    let (code, told) = init(&home, &["--host=azure", "--force"]);
    assert!(code == 0 && told.contains("not ours  README.md"), "{told}");
}

#[test]
fn a_job_is_named_for_its_part_and_stays_named() {
    let dir = tempfile::tempdir().unwrap();
    let home = repository(dir.path());
    assert_eq!(init(&home, &["--test-target=local", "--job=score="]).0, 0);
    let read = || std::fs::read_to_string(home.join(".github/workflows/production.yml")).unwrap();
    assert!(!read().contains("job: score") && read().contains("job: check_model"));
    let (code, told) = init(&home, &["--job=check="]);
    assert!(code == 0 && told.contains("evaluate=evaluate; others with"), "{told}");
    assert!(!read().contains("job: score") && !read().contains("job: check_model"));
    let (code, told) = init(&home, &["--job=trian=train"]);
    assert!(code == 2 && told.contains("the parts are features, train"), "{told}");
    let (code, told) = init(&home, &["--job=train=other"]);
    assert!(code == 2 && told.contains("has no job `other`"), "{told}");
}

#[test]
fn bundles_of_one_repository_do_not_meet() {
    let dir = tempfile::tempdir().unwrap();
    let home = repository(dir.path());
    let read = |path: &str| std::fs::read_to_string(home.join(path)).unwrap();
    // A folder that is still to be made is told as it will be.
    let (code, told) = init(&home, &["--dir=ml/flights", "--dry-run", "--test-target=local"]);
    assert!(code == 0 && told.contains("ml-flights-merge-request.yml"), "{told}");
    let args = ["--dir=ml/flights", "--test-target=local", "--main=trunk"];
    assert_eq!(init(&home, &args).0, 0);
    let policies = read("ml/flights/lakegate.yml");
    let section = "release:\n  branch: trunk\n  tag: \"ml-flights-v{version}\"\n  check: lakegate/merge-test-ml-flights\n";
    assert!(policies.ends_with(section), "{policies}");
    assert_eq!(init(&home, &["--dir=other", "--test-target=local"]).0, 0);
    assert!(read("other/lakegate.yml").contains("check: lakegate/merge-test-other"));
    let (code, told) = init(&home, &["--dir=ml-flights", "--test-target=local"]);
    assert!(code == 4 && told.contains("is about the bundle in `ml/flights`"), "{told}");
    // Where policies are there, they are somebody's: what they lack is told.
    std::fs::write(home.join("other/lakegate.yml"), "record: {schema: a.b}\n").unwrap();
    let (code, told) = init(&home, &["--dir=other"]);
    assert!(code == 0 && told.contains("tag: \"other-v{version}\""), "{told}");
}

#[test]
fn a_dry_run_writes_nothing_and_shows_everything() {
    let dir = tempfile::tempdir().unwrap();
    let home = repository(dir.path());
    let (code, told) = init(&home, &["--test-target=local", "--dry-run"]);
    assert!(code == 0 && told.contains("write  .github/workflows/release.yml"), "{told}");
    assert!(!home.join("databricks.yml").exists() && !home.join(".github").exists());
    let own = home.join(".github/workflows/release.yml");
    std::fs::create_dir_all(own.parent().unwrap()).unwrap();
    std::fs::write(&own, "name: ours\n").unwrap();
    let (code, told) = init(&home, &["--test-target=local"]);
    assert!(code == 4 && told.contains("not ours  .github/workflows/release.yml"), "{told}");
    assert_eq!(std::fs::read_to_string(&own).unwrap(), "name: ours\n");
    std::fs::write(home.join(".github/lakegate-init.json"), "{\"lakegate\": 1}").unwrap();
    let (code, told) = init(&home, &[]);
    assert!(
        code == 2 && told.contains("lakegate-init.json") && told.contains("from git"),
        "{told}"
    );
}

/// A project as the template mlops-stacks leaves it: a bundle in a folder, secrets,
/// jobs with keys of its own.
pub(crate) fn stacks(home: &Path, cloud: &str) {
    let write = |path: &str, text: &str| {
        let path = home.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write(".stacks_metadata.yml", &format!("input_cloud: \"{cloud}\"\n"));
    write(".github/workflows/taxi-bundle-cd-prod.yml", OLD_WORKFLOW);
    write(
        ".azure/devops-pipelines/taxi-tests-ci.yml",
        "trigger: none\nvariables:\n  - group: ml variable group\n",
    );
    let target = |name: &str, at: u32| {
        format!("  {name}: {{workspace: {{host: \"https://adb-{at}.azuredatabricks.net\"}}}}\n")
    };
    let targets = [("dev", 1), ("staging", 2), ("test", 2), ("prod", 3)].map(|(a, b)| target(a, b));
    write(
        "taxi/databricks.yml",
        &format!(
            "bundle: {{name: taxi}}\nvariables:\n  model_name: {{default: fares}}\ninclude: [resources/*.yml]\ntargets:\n{}",
            targets.concat()
        ),
    );
    write(
        "taxi/resources/all.yml",
        "resources:\n  registered_models:\n    model: {name: \"${var.model_name}\", catalog_name: \"${bundle.target}\", schema_name: fares_of_taxis}\n  jobs:\n    model_training_job: {name: a, schedule: {quartz_cron_expression: '0 0 9 * * ?', timezone_id: UTC}, tasks: [{task_key: Train, existing_cluster_id: c, notebook_task: {notebook_path: /Shared/train}}, {task_key: ModelDeployment, existing_cluster_id: c, notebook_task: {notebook_path: /Shared/deploy}}]}\n    write_feature_table_job: {name: b}\n    batch_inference_job: {name: c}\n",
    );
}

const OLD_WORKFLOW: &str = "name: old\non: push\npermissions: {}\nconcurrency: {group: old, cancel-in-progress: true}\njobs:\n  one:\n    name: One\n    runs-on: ubuntu-latest\n    timeout-minutes: 5\n    steps:\n      - run: echo old\n";

#[test]
fn a_project_of_mlops_stacks_keeps_its_secrets_and_its_jobs() {
    for (cloud, secret) in [
        ("azure", "ARM_CLIENT_SECRET: ${{ secrets.PROD_AZURE_SP_CLIENT_SECRET }}"),
        ("aws", "DATABRICKS_TOKEN: ${{ secrets.PROD_WORKSPACE_TOKEN }}"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let home = repository(dir.path());
        stacks(&home, cloud);
        // The bundle is found where the template put it.
        let (code, told) = init(&home, &[]);
        assert_eq!(code, 0, "{told}");
        assert!(told.contains("remove .azure/devops-pipelines/taxi-tests-ci.yml"), "{told}");
        for words in [
            "the task `ModelDeployment` of `model_training_job` deploys the model before any gate",
            "`model_training_job` has a `schedule` of its own",
        ] {
            assert!(told.contains(words), "{told}");
        }
        // The old one is beside them.
        assert_eq!(lint(&home), 5, "{told}");
        let read = |name: &str| std::fs::read_to_string(home.join(name)).unwrap();
        let production = read(".github/workflows/taxi-production.yml");
        for words in [
            secret,
            "DATABRICKS_HOST: https://adb-3.azuredatabricks.net",
            "LAKEGATE_WORKING_DIRECTORY: taxi",
            "job: write_feature_table_job",
            "job: model_training_job",
            "job: batch_inference_job",
            "path: taxi/.lakegate/reports",
        ] {
            assert!(production.contains(words), "{words}: {production}");
        }
        assert!(!production.contains("github-oidc") && !production.contains("id-token"));
        assert!(read(".github/workflows/taxi-merge-request.yml").contains("environment: test"));
        let policies = read("taxi/lakegate.yml");
        let model = "model: ${bundle.target}.fares_of_taxis.${var.model_name}";
        assert!(policies.contains(model), "{policies}");
        assert!(policies.contains("sign_off: {from: github}"), "{policies}");
        // What was written is read, and what it refers to is found.
        let mut gate = lakegate();
        gate.args(["model-promote", "history", "--local", "--target=prod"]);
        let output = gate.current_dir(home.join("taxi")).output().unwrap();
        let said = text(&output.stderr);
        assert!(said.contains("schema `prod.fares_of_taxis`"), "{said}");
        let (code, told) = init(&home, &["--dir=taxi", "--sign-in=federation"]);
        assert_eq!(code, 0, "{told}");
        assert!(read(".github/workflows/taxi-production.yml").contains("github-oidc"));
    }
}

#[test]
fn what_cannot_be_started_says_why() {
    let dir = tempfile::tempdir().unwrap();
    let home = repository(dir.path());
    let (code, told) = init(&home, &["--suite-ref=v1"]);
    assert!(code == 2 && told.contains("cannot be used multiple times"), "{told}");
    let refused = |args: &[&str]| {
        let output = lakegate().arg("init").args(args).current_dir(&home).output().unwrap();
        (output.status.code().unwrap(), text(&output.stderr))
    };
    let (code, told) = refused(&["--suite-ref=v1.0.0"]);
    assert!(code == 2 && told.contains("no full commit id"), "{told}");
    let (code, told) = refused(&[]);
    assert!(code == 2 && told.contains("--suite-ref"), "{told}");
    let (code, told) = init(&home, &["--production-target=live"]);
    assert!(code == 2 && told.contains("no target `live`"), "{told}");
    std::fs::write(home.join("databricks.yaml"), "bundle: {name: b}").unwrap();
    let (code, told) = init(&home, &[]);
    assert!(code == 2 && told.contains("rename `databricks.yaml` to databricks.yml"), "{told}");
    std::fs::remove_file(home.join("databricks.yaml")).unwrap();
    std::fs::write(home.join("main.c"), "int main;").unwrap();
    let (code, told) = init(&home, &[]);
    assert!(code == 2 && told.contains("holds `main.c`"), "{told}");
}

#[tokio::test]
async fn a_tag_is_known_by_the_commit_that_it_is_about() {
    let dir = tempfile::tempdir().unwrap();
    let home = repository(dir.path());
    git(&home, &["commit", "-qm", "one", "--allow-empty"]);
    git(&home, &["tag", "v1.0.0"]);
    git(&home, &["commit", "-qm", "two", "--allow-empty"]);
    git(&home, &["tag", "-a", "-m", "words", "v2.0.0"]);
    let env = lakegate::sys::Env::capture();
    let address = home.display().to_string();
    for (tag, revision) in [("v1.0.0", "HEAD~1"), ("v2.0.0", "HEAD")] {
        let found = lakegate::sys::git::commit_of_tag(&env, &address, tag).await.unwrap();
        assert_eq!(found, git(&home, &["rev-parse", revision]));
    }
    let missing = lakegate::sys::git::commit_of_tag(&env, &address, "v3.0.0").await;
    assert!(format!("{:#}", missing.unwrap_err()).contains("no tag `v3.0.0`"));
}
