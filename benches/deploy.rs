//! `bundle-deploy` beside the official CLI: a plan, and a deployment that
//! changes nothing, of the same bundle in the same embedded workspace; and
//! `release-build` beside `tar | gzip` with `sha256sum`. Whole processes.
//!
//! `cargo test --test suite -- interchange` builds the CLI; then
//! `cargo bench --no-default-features --bench deploy`
//!
//! | variable | meaning | default |
//! |---|---|---|
//! | `LAKEGATE_BENCH_JOBS` | sizes of the bundle, with commas | `10,100,500` |
//! | `LAKEGATE_BENCH_FILES` | files beside them | 1000 |
//! | `LAKEGATE_BENCH_MIB` | size of the tree that is packed | 256 |
//! | `LAKEGATE_BENCH_RUNS` | counted runs of each, after one that is not | 3 |
//! | `LAKEGATE_BENCH_SERVER` | the binary that serves the workspace to both | `target/release/lakegate` |
//!
//! `cargo build --release --bin lakegate` makes the server. An unoptimised one is what
//! both wait for.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    reason = "a benchmark fails by panicking, and prints its table"
)]

#[expect(dead_code, reason = "the data of the other benchmarks")]
mod harness;

use std::fmt::Write as _;
use std::io::BufRead as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use harness::{Used, measure, root, run, setting};

struct Workspace {
    child: Child,
    host: String,
    token: String,
}

impl Workspace {
    fn serve(dir: &Path) -> Self {
        let mut serve = Command::new(root().join(setting("SERVER", "target/release/lakegate")));
        serve.args(["workspace", "serve", "--dir"]).arg(dir).stdout(Stdio::piped());
        let mut child = serve.spawn().unwrap();
        let mut line = String::new();
        std::io::BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let host = line.trim().rsplit(' ').next().unwrap().to_owned();
        let token = std::fs::read_to_string(dir.join("token")).unwrap();
        Self { child, host, token }
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn bundle(at: &Path, jobs: usize, files: usize) {
    std::fs::create_dir_all(at.join("data")).unwrap();
    let mut text = String::from(
        "bundle: {name: bench}\ntargets: {dev: {default: true}}\nresources:\n  jobs:\n",
    );
    for number in 0..jobs {
        _ = writeln!(
            text,
            "    job_{number}: {{name: job {number}, tasks: [{{task_key: t, environment_key: e, spark_python_task: {{python_file: main.py, parameters: [\"{number}\"]}}}}], environments: [{{environment_key: e, spec: {{environment_version: \"3\"}}}}]}}"
        );
    }
    std::fs::write(at.join("databricks.yml"), text).unwrap();
    std::fs::write(at.join("main.py"), "print(1)\n").unwrap();
    std::fs::write(at.join(".gitignore"), ".lakegate/\n.databricks/\n").unwrap();
    for number in 0..files {
        std::fs::write(at.join(format!("data/{number}.txt")), format!("{number}\n").repeat(200))
            .unwrap();
    }
}

/// The median run by wall time.
fn median(name: &str, runs: usize, command: &[String]) -> Used {
    measure(name, command);
    let mut used: Vec<Used> = (0..runs).map(|_| measure(name, command)).collect();
    used.sort_by(|one, other| one.wall.total_cmp(&other.wall));
    used[used.len() / 2]
}

fn shell(at: &Path, variables: &[(&str, &str)], line: &str) -> Vec<String> {
    let set: String = variables.iter().map(|(name, value)| format!("{name}='{value}' ")).collect();
    vec![
        "sh".to_owned(),
        "-c".to_owned(),
        format!("cd '{}' && {set}{line} >/dev/null 2>&1", at.display()),
    ]
}

fn deployments(runs: usize) {
    let cli = root().join("target/test-cache/databricks-cli-1.10.0/bin/databricks");
    assert!(cli.is_file(), "the official CLI is not there: cargo test --test suite -- interchange");
    let ours = root().join("target/release/lakegate-bundle-deploy").display().to_string();
    let cli = cli.display().to_string();
    let files: usize = setting("FILES", "1000").parse().unwrap();
    println!("| bundle | step | lakegate | databricks CLI | ratio |\n|---|---|---|---|---|");
    for jobs in setting("JOBS", "10,100,500").split(',') {
        let dir = tempfile::tempdir().unwrap();
        let workspace = Workspace::serve(&dir.path().join("workspace"));
        let variables = [
            ("DATABRICKS_HOST", workspace.host.as_str()),
            ("DATABRICKS_TOKEN", workspace.token.as_str()),
            ("DATABRICKS_CONFIG_FILE", "/nonexistent"),
            ("DATABRICKS_BUNDLE_ENGINE", "direct"),
        ];
        for (name, at) in [("ours", dir.path().join("ours")), ("theirs", dir.path().join("theirs"))]
        {
            bundle(&at, jobs.parse().unwrap(), files);
            let text = std::fs::read_to_string(at.join("databricks.yml")).unwrap();
            std::fs::write(
                at.join("databricks.yml"),
                text.replace("name: bench", &format!("name: bench_{name}")),
            )
            .unwrap();
        }
        let (own, other) = (dir.path().join("ours"), dir.path().join("theirs"));
        measure("deploy", &shell(&own, &variables, &format!("{ours} apply")));
        measure("deploy", &shell(&other, &variables, &format!("{cli} bundle deploy")));
        for (step, mine, theirs) in [
            ("plan", format!("{ours} plan"), format!("{cli} bundle plan")),
            ("apply, no change", format!("{ours} apply"), format!("{cli} bundle deploy")),
        ] {
            let mine = median(step, runs, &shell(&own, &variables, &mine));
            let theirs = median(step, runs, &shell(&other, &variables, &theirs));
            println!(
                "| {jobs} jobs, {files} files | {step} | {:.2} s, {:.0} MB | {:.2} s, {:.0} MB | {:.1} |",
                mine.wall,
                mine.megabytes,
                theirs.wall,
                theirs.megabytes,
                theirs.wall / mine.wall
            );
        }
    }
}

/// A repository of pseudo-random text, half of which repeats.
fn repository(at: &Path, mib: usize) {
    std::fs::create_dir_all(at.join("data")).unwrap();
    let mut state = 1u64;
    for file in 0..mib {
        let mut bytes = Vec::with_capacity(1 << 20);
        while bytes.len() < 1 << 20 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            bytes.extend_from_slice(format!("{:016x},{},", state, state % 97).as_bytes());
        }
        std::fs::write(at.join(format!("data/{file:04}.csv")), bytes).unwrap();
    }
    std::fs::write(
        at.join("databricks.yml"),
        "bundle: {name: bench}\ntargets: {dev: {default: true}}\n",
    )
    .unwrap();
    std::fs::write(at.join("lakegate.yml"), "release: {tested_by: none}\n").unwrap();
    std::fs::write(at.join(".gitignore"), ".lakegate/\n").unwrap();
    let git = |args: &[&str]| {
        let mut command = Command::new("git");
        command.current_dir(at).args(["-c", "user.name=b", "-c", "user.email=b@test"]).args(args);
        run(&mut command);
    };
    git(&["init", "-q", "-b", "main"]);
    git(&["add", "-A"]);
    git(&["-c", "core.compression=1", "commit", "-qm", "feat: bench"]);
}

fn packing(runs: usize) {
    let mib: usize = setting("MIB", "256").parse().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let at: PathBuf = dir.path().join("repository");
    repository(&at, mib);
    let ours = root().join("target/release/lakegate-release-build").display().to_string();
    let mine = median("release-build", runs, &shell(&at, &[], &ours));
    let line = "git archive HEAD | tar -xf - -C ../out && (cd ../out && find . -type f -print0 | sort -z | xargs -0 sha256sum > ../SUMS && tar -cf - . | gzip -6 > ../x.tgz && sha256sum ../x.tgz)";
    std::fs::create_dir_all(dir.path().join("out")).unwrap();
    let theirs = median("tar", runs, &shell(&at, &[], line));
    println!("\n| {mib} MiB | wall | CPU | memory |\n|---|---|---|---|");
    for (name, used) in [("release-build", mine), ("git archive, sha256sum, tar, gzip", theirs)] {
        println!("| {name} | {:.2} s | {:.2} s | {:.0} MB |", used.wall, used.cpu, used.megabytes);
    }
}

/// What a plan hashes, beside tools that do nothing else; and the same bytes only read.
fn hashing(runs: usize) {
    let mib: usize = setting("MIB", "256").parse().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let workspace = Workspace::serve(&dir.path().join("workspace"));
    let at: PathBuf = dir.path().join("repository");
    repository(&at, mib);
    let variables = [
        ("DATABRICKS_HOST", workspace.host.as_str()),
        ("DATABRICKS_TOKEN", workspace.token.as_str()),
        ("DATABRICKS_CONFIG_FILE", "/nonexistent"),
    ];
    let ours = root().join("target/release/lakegate-bundle-deploy").display().to_string();
    println!("\n| {mib} MiB | wall | CPU |\n|---|---|---|");
    let each = |tool: &str| format!("find data -type f -print0 | xargs -0 {tool}");
    for (name, line) in [
        ("bundle-deploy plan", format!("{ours} plan")),
        ("openssl dgst -sha256", each("openssl dgst -sha256")),
        ("sha256sum", each("sha256sum")),
        ("cat", each("cat")),
    ] {
        let used = median(name, runs, &shell(&at, &variables, &line));
        println!("| {name} | {:.2} s | {:.2} s |", used.wall, used.cpu);
    }
}

fn main() {
    let runs: usize = setting("RUNS", "3").parse().unwrap();
    eprintln!("whole processes, medians of {runs}");
    deployments(runs);
    packing(runs);
    hashing(runs);
}
