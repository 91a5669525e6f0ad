//! One deployment, two engines: what the official CLI deploys, Lakegate plans
//! as unchanged, and the other way round.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::support::{Served, cache, root, text, within};

const VERSION: &str = "1.10.0";

/// The official CLI, built as a Go module at the pinned version; nothing where
/// there is no Go.
fn cli() -> Option<PathBuf> {
    if Command::new("go").arg("version").output().is_err() {
        assert!(std::env::var_os("CI").is_none(), "CI tests the official CLI: install Go");
        #[expect(clippy::print_stderr, reason = "a skipped test says so")]
        {
            eprintln!("skipped: the official CLI is built with Go, which is not installed");
        }
        return None;
    }
    let folder = cache().join(format!("databricks-cli-{VERSION}"));
    let program = folder.join("bin/databricks");
    // Tests run side by side, and one of them builds.
    static ONE: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if program.is_file() {
        return Some(program);
    }
    std::fs::create_dir_all(folder.join("bin")).unwrap();
    for file in ["go.mod", "go.sum", "tools.go"] {
        std::fs::copy(root().join("tests/cli").join(file), folder.join(file)).unwrap();
    }
    let version = format!("-X github.com/databricks/cli/internal/build.buildVersion={VERSION}");
    let mut build = Command::new("go");
    build
        .args(["build", "-mod=mod", "-ldflags", &version, "-o", "bin/built"])
        .arg("github.com/databricks/cli")
        .current_dir(&folder);
    let output = within(Duration::from_secs(1800), &mut build);
    assert!(output.status.success(), "{}", text(&output.stderr));
    std::fs::rename(folder.join("bin/built"), &program).unwrap();
    Some(program)
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// A fixture, and both tools at work on it.
struct Bench {
    served: Served,
    cli: PathBuf,
    dir: tempfile::TempDir,
}

impl Bench {
    fn new(cli: &Path) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let served = Served::start(&dir.path().join("workspace"));
        Self { served, cli: cli.to_path_buf(), dir }
    }

    /// A fresh copy, without what either tool has noted on this machine.
    fn bundle(&self, fixture: &str) -> PathBuf {
        let to = self.dir.path().join("bundle");
        drop(std::fs::remove_dir_all(&to));
        copy(&root().join("tests/bundles").join(fixture), &to);
        to
    }

    fn path(&self) -> String {
        let bin = self.cli.parent().unwrap().display();
        format!("{bin}:{}", std::env::var("PATH").unwrap())
    }

    fn official(&self, at: &Path, args: &[&str]) -> String {
        let mut command = Command::new(&self.cli);
        command
            .args(args)
            .current_dir(at)
            .env("DATABRICKS_HOST", &self.served.host)
            .env("DATABRICKS_TOKEN", &self.served.token)
            .env("DATABRICKS_CONFIG_FILE", "/nonexistent")
            .env("DATABRICKS_BUNDLE_ENGINE", "direct");
        let output = within(Duration::from_secs(120), &mut command);
        assert!(
            output.status.success(),
            "{args:?}: {}{}",
            text(&output.stdout),
            text(&output.stderr)
        );
        text(&output.stdout)
    }

    fn ours(&self, at: &Path, args: &[&str]) -> Value {
        let mut command = self.served.command();
        command
            .arg("bundle-deploy")
            .args(args)
            .arg("--json")
            .current_dir(at)
            .env("PATH", self.path());
        let output = command.output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", text(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }
}

const FIXTURES: [(&str, &[&str]); 2] =
    [("every_kind", &["plain", "dev", "prod"]), ("rules", &["plain", "big", "dev"])];

#[test]
fn what_one_engine_deploys_the_other_plans_as_unchanged() {
    let Some(cli) = cli() else { return };
    for (fixture, targets) in FIXTURES {
        let bench = Bench::new(&cli);
        for target in targets {
            let at = bench.bundle(fixture);
            let target = format!("--target={target}");
            bench.ours(&at, &["apply", "--engine=native", &target]);
            let planned: Value = serde_json::from_str(
                &bench.official(&at, &["bundle", "plan", "-o", "json", &target]),
            )
            .unwrap();
            for (key, step) in planned["plan"].as_object().unwrap() {
                assert_eq!(step["action"], "skip", "{fixture} {target} {key}: {step:#}");
            }
        }
        let bench = Bench::new(&cli);
        for target in targets {
            let at = bench.bundle(fixture);
            let target = format!("--target={target}");
            bench.official(&at, &["bundle", "deploy", &target]);
            let told = bench.ours(&at, &["plan", "--engine=native", &target]);
            assert_eq!(told["outputs"]["changes"], "false", "{fixture} {target}: {told:#}");
            // Whoever deployed last goes on, unless asked otherwise.
            let told = bench.ours(&at, &["plan", &target]);
            assert!(
                told["facts"]["engine"].as_str().unwrap().contains("it deployed last"),
                "{told:#}"
            );
            assert_eq!(told["outputs"]["changes"], "false", "{fixture} {target}: {told:#}");
        }
    }
}

/// Both read the same bundle, and say what it means field by field.
#[test]
fn both_resolve_a_bundle_alike() {
    let Some(cli) = cli() else { return };
    let mut differences = Vec::new();
    for (fixture, targets) in FIXTURES {
        let bench = Bench::new(&cli);
        for target in targets {
            let at = bench.bundle(fixture);
            let theirs = bench.official(&at, &["bundle", "validate", "-o", "json", "-t", target]);
            let theirs: Value = serde_json::from_str(&theirs).unwrap();
            let plan = format!("--target={target}");
            let told = bench.ours(&at, &["plan", "--engine=native", &plan]);
            let plan = std::fs::read_to_string(at.join(told["outputs"]["plan"].as_str().unwrap()));
            let plan: Value = serde_json::from_str(&plan.unwrap()).unwrap();
            for step in plan["steps"].as_array().unwrap() {
                let key = step["key"].as_str().unwrap();
                let (kind, name) = key.split_once('.').unwrap();
                let (name, child) = name.split_once('.').unwrap_or((name, ""));
                let mut theirs = theirs["resources"][kind][name].clone();
                if child.is_empty() {
                    theirs
                        .as_object_mut()
                        .unwrap()
                        .retain(|field, _| field != "permissions" && field != "grants");
                } else {
                    theirs = theirs[child].clone();
                }
                let ours = if child.is_empty() {
                    &step["settings"]
                } else {
                    &step["settings"]["__embed__"]
                };
                for field in lakegate::bundle::differences(&theirs, ours) {
                    // A reference that one has followed and the other has not yet.
                    if !field.old.to_string().contains("${resources.") {
                        differences.push(format!(
                            "{fixture} {target} {key} {}: {} | {}",
                            field.path, field.old, field.new
                        ));
                    }
                }
            }
        }
    }
    insta::assert_snapshot!(differences.join("\n"));
}

#[test]
fn the_official_engine_is_held_to_the_plan_and_the_policy() {
    let Some(cli) = cli() else { return };
    let bench = Bench::new(&cli);
    let at = bench.bundle("rules");
    let told = bench.ours(&at, &["plan", "--engine=cli", "--target=plain"]);
    assert!(told["facts"]["engine"].as_str().unwrap().contains(VERSION), "{told:#}");
    let plan = at.join(told["outputs"]["plan"].as_str().unwrap());
    let kept = bench.dir.path().join("plan.json");
    std::fs::copy(&plan, &kept).unwrap();
    let plan = format!("--plan={}", kept.display());
    bench.ours(&at, &["apply", "--engine=cli", "--target=plain", &plan]);
    // The same plan again is stale, and a schema does not go unless it is named.
    let refused = |args: &[&str], code: i32, words: &str| {
        let mut command = bench.served.command();
        command.arg("bundle-deploy").args(args).current_dir(&at).env("PATH", bench.path());
        let output = command.output().unwrap();
        let said = text(&output.stdout) + &text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.contains(words), "{said}");
    };
    refused(
        &["apply", "--engine=cli", "--target=plain", &plan],
        4,
        "another deployment came between",
    );
    let resources = at.join("resources/train.yml");
    let text = std::fs::read_to_string(&resources).unwrap();
    std::fs::write(
        &resources,
        text.replace("    rules: {catalog_name", "    other: {catalog_name"),
    )
    .unwrap();
    let config = at.join("databricks.yml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("schema: {default: rules}", "schema: {default: others}"))
        .unwrap();
    refused(&["apply", "--engine=cli", "--target=plain"], 1, "schemas.rules would be deleted");
    // Taken over by ours, and removed by it.
    let at = bench.bundle("rules");
    bench.ours(&at, &["apply", "--engine=native", "--target=plain"]);
    bench.ours(
        &at,
        &[
            "destroy",
            "--target=plain",
            "--allow-destroy",
            "--destroy=schemas.rules",
            "--destroy=registered_models.model",
            "--destroy=experiments.training",
        ],
    );
    assert!(
        bench
            .official(&at, &["jobs", "list", "-o", "json"])
            .trim_matches(['[', ']', '\n', ' '])
            .is_empty()
    );
}
