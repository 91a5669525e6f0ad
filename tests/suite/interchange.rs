//! One deployment, two engines: what the official CLI deploys, Lakegate plans
//! as unchanged, and the other way round.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use lakegate::names::Sha256;
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
        let bench = Self { served, cli: cli.to_path_buf(), dir };
        // A monitor is about a table that is there before.
        bench.sql("CREATE SCHEMA main.watched");
        for target in ["plain", "dev", "prod"] {
            let columns = "(at TIMESTAMP, route STRING, score DOUBLE)";
            bench.sql(&format!("CREATE TABLE main.watched.predictions_{target} {columns}"));
        }
        bench
    }

    fn sql(&self, statement: &str) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(self.served.sql(statement));
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

    fn refused(&self, at: &Path, args: &[&str], code: i32, words: &str) {
        let mut command = self.served.command();
        command.arg("bundle-deploy").args(args).current_dir(at).env("PATH", self.path());
        let output = command.output().unwrap();
        let said = text(&output.stdout) + &text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.contains(words), "{said}");
    }

    /// Takes all rights of the folder that a bundle is deployed to, and tells who had any,
    /// but for who deployed it.
    fn take_rights(&self, at: &Path, folder: &str) -> Vec<Value> {
        let read = |args: &[&str]| -> Value {
            serde_json::from_str(&self.official(at, &[args, &["-o", "json"]].concat())).unwrap()
        };
        let id = read(&["workspace", "get-status", folder])["object_id"].to_string();
        let rights = read(&["permissions", "get", "directories", &id]);
        let none = r#"{"access_control_list": []}"#;
        read(&["permissions", "set", "directories", &id, "--json", none]);
        let listed = rights["access_control_list"].as_array().unwrap();
        listed.iter().filter(|right| right["user_name"].is_null()).cloned().collect()
    }

    /// What the workspace has of one of the bundle's files.
    fn deployed(&self, at: &Path, path: &str) -> String {
        let place = format!("/Workspace/Users/you@lakegate.test/.bundle/rules/plain/files/{path}");
        self.official(at, &["workspace", "export", &place])
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

    /// The official CLI runs a job of what is deployed, and takes everything away again.
    fn run_and_destroyed(&self, fixture: &str, targets: &[&str]) {
        let (_, job) = RUN.iter().find(|(name, _)| *name == fixture).unwrap();
        for (at, target) in targets.iter().enumerate() {
            let home = self.bundle(fixture);
            let target = format!("--target={target}");
            if at == 0 {
                self.official(&home, &["bundle", "run", job, &target]);
            }
            self.official(&home, &["bundle", "destroy", "--auto-approve", &target]);
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let left = runtime.block_on(self.served.client().job_list(None)).unwrap();
        assert!(left.is_empty(), "{fixture}: {left:?}");
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

/// A job of each that the embedded workspace can run.
const RUN: [(&str, &str); 2] = [("every_kind", "after"), ("rules", "nightly")];

const FIXTURES: [(&str, &[&str]); 2] =
    [("every_kind", &["plain", "dev", "prod"]), ("rules", &["plain", "big", "dev", "preset"])];

/// Bundles that are resolved and not deployed.
const RESOLVED: [(&str, &[&str]); 1] = [("paths", &["plain", "dev"])];

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
        bench.run_and_destroyed(fixture, targets);
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
        bench.run_and_destroyed(fixture, targets);
    }
}

/// Both read the same bundle, and say what it means field by field.
#[test]
fn both_resolve_a_bundle_alike() {
    let Some(cli) = cli() else { return };
    let mut differences = Vec::new();
    for (fixture, targets) in FIXTURES.into_iter().chain(RESOLVED) {
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
    let folder = "/Workspace/Users/you@lakegate.test/.bundle/rules/plain";
    let rights = bench.take_rights(&at, folder);
    assert_eq!(rights.len(), 1, "{rights:?}");
    // The same plan again is stale, and a schema does not go unless it is named.
    let apply = ["apply", "--engine=cli", "--target=plain", &plan];
    bench.refused(&at, &apply, 4, "another deployment came between");
    // Bytes are bound to a plan as settings are, and travel with it.
    std::fs::write(at.join("ops/fit.py"), "print('second')\n").unwrap();
    let told = bench.ours(&at, &["plan", "--engine=cli", "--target=plain"]);
    assert_eq!(told["outputs"]["changes"], "true", "{told:#}");
    std::fs::copy(at.join(told["outputs"]["plan"].as_str().unwrap()), &kept).unwrap();
    std::fs::write(at.join("ops/fit.py"), "print('third')\n").unwrap();
    bench.refused(&at, &apply, 4, "`/Workspace/Users/you@lakegate.test/.bundle/rules/plain/files/ops/fit.py` is not as it was planned");
    std::fs::write(at.join("ops/fit.py"), "print('second')\n").unwrap();
    bench.ours(&at, &apply);
    assert_eq!(bench.deployed(&at, "ops/fit.py"), "print('second')\n");
    let told = bench.ours(&at, &["plan", "--engine=native", "--target=plain"]);
    assert_eq!(told["outputs"]["changes"], "false", "{told:#}");
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
    bench.refused(&at, &apply[..3], 1, "schemas.rules would be deleted");
    // Taken over by ours, and removed by it.
    let at = bench.bundle("rules");
    bench.take_rights(&at, folder);
    bench.ours(&at, &["apply", "--engine=native", "--target=plain"]);
    assert_eq!(bench.take_rights(&at, folder), rights);
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

/// What one engine has built and sent, the other neither sends again nor removes.
#[test]
fn wheels_are_known_whoever_sent_them() {
    let Some(cli) = cli() else { return };
    let bench = Bench::new(&cli);
    let at = bench.bundle("rules");
    let config = at.join("databricks.yml");
    let text = std::fs::read_to_string(&config).unwrap();
    let build = "mkdir -p dist && printf a-wheel > dist/lib-1.0-py3-none-any.whl";
    let artifacts = format!("artifacts: {{lib: {{type: whl, build: '{build}'}}}}\n");
    std::fs::write(&config, text + &artifacts).unwrap();
    std::fs::write(at.join(".gitignore"), "dist/\n.databricks/\n.lakegate/\n").unwrap();
    let resources = at.join("resources/train.yml");
    let text = std::fs::read_to_string(&resources).unwrap();
    let job = "  jobs:\n    packed:\n      name: packed\n      environments: [{environment_key: e, spec: {environment_version: '3', dependencies: [../dist/*.whl]}}]\n      tasks: [{task_key: t, environment_key: e, python_wheel_task: {package_name: lib, entry_point: main}}]\n";
    std::fs::write(&resources, text.replace("  jobs:\n", job)).unwrap();
    let wheels = || {
        let folder = "/Workspace/Users/you@lakegate.test/.bundle/rules/plain/artifacts/.internal";
        let listed = bench.official(&at, &["workspace", "list", folder, "-o", "json"]);
        serde_json::from_str::<Value>(&listed).unwrap().as_array().unwrap().len()
    };
    bench.ours(&at, &["apply", "--engine=cli", "--target=plain"]);
    assert_eq!(wheels(), 1);
    let told = bench.ours(&at, &["plan", "--engine=native", "--target=plain"]);
    assert_eq!(told["outputs"]["changes"], "false", "{told:#}");
    std::fs::write(at.join("ops/fit.py"), "print('second')\n").unwrap();
    bench.ours(&at, &["apply", "--engine=native", "--target=plain"]);
    assert_eq!(wheels(), 1);
    let told = bench.ours(&at, &["plan", "--engine=cli", "--target=plain"]);
    assert_eq!(told["outputs"]["changes"], "false", "{told:#}");
}

/// The CLI as its releases pack it: the platform and the archive.
fn pack(cli: &Path, into: &Path) -> (String, PathBuf) {
    let folder = into.join("unpacked");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::copy(cli, folder.join("databricks")).unwrap();
    std::fs::write(folder.join("LICENSE"), "of the CLI").unwrap();
    let machine = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    let system = if cfg!(target_os = "macos") { "darwin" } else { "linux" };
    let platform = format!("{system}_{machine}");
    let archive = into.join(format!("databricks_cli_{VERSION}_{platform}.tar.gz"));
    let mut tar = Command::new("tar");
    tar.args([
        "-czf".as_ref(),
        archive.as_os_str(),
        "-C".as_ref(),
        folder.as_os_str(),
        ".".as_ref(),
    ]);
    assert!(tar.status().unwrap().success());
    (platform, archive)
}

/// A policy that names the CLI by its checksum needs none on the runner, and takes
/// no other bytes.
#[test]
fn a_pinned_cli_is_fetched_proved_and_used() {
    let Some(cli) = cli() else { return };
    let bench = Bench::new(&cli);
    let mirror = bench.dir.path().join("mirror");
    let (platform, archive) = pack(&cli, &mirror);
    let digest = Sha256::of(std::fs::read(&archive).unwrap());
    let at = bench.bundle("rules");
    let cache = bench.dir.path().join("tools");
    let policy = |version: &str, sum: &str| {
        let from = mirror.display();
        let text = format!(
            "deploy:\n  engine: cli\n  cli: {{version: {version}, sha256: {{{platform}: {sum}}}, from: {from}}}\n"
        );
        std::fs::write(at.join("lakegate.yml"), text).unwrap();
    };
    let plan = || {
        let mut command = bench.served.command();
        command
            .args(["bundle-deploy", "plan", "--target=plain", "--json"])
            .current_dir(&at)
            .env("PATH", "/usr/bin:/bin")
            .env("RUNNER_TOOL_CACHE", &cache);
        command.output().unwrap()
    };
    let refused = |code: i32, words: &str| {
        let output = plan();
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.contains(words), "{said}");
    };
    policy(VERSION, &Sha256::of("another").to_string());
    refused(7, "nothing was run");
    assert!(!cache.exists(), "what is not proved is not kept");
    policy("1.9.9", &digest.to_string());
    refused(2, "`deploy.cli.from`: there is no `databricks_cli_");
    policy(VERSION, &digest.to_string());
    let told = plan();
    assert!(told.status.success(), "{}", text(&told.stderr));
    let told: Value = serde_json::from_slice(&told.stdout).unwrap();
    assert_eq!(
        told["facts"]["engine"],
        format!("databricks CLI {VERSION} (as deploy.cli names it)")
    );
    // From the cache now, unless somebody has touched it.
    std::fs::remove_file(&archive).unwrap();
    assert!(plan().status.success());
    let kept = std::fs::read_dir(cache.join("lakegate/databricks-cli")).unwrap().next().unwrap();
    std::fs::write(kept.unwrap().path(), "touched").unwrap();
    refused(2, "`deploy.cli.from`: there is no `databricks_cli_");
}
