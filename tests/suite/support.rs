//! A universe for a test: scrubbed environment, a served workspace, Python.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Python environments are kept between test runs.
pub(crate) fn cache() -> PathBuf {
    root().join("target/test-cache")
}

/// The real binary, with nothing of the machine's environment that could
/// change its behaviour.
pub(crate) fn lakegate() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lakegate"));
    const FOREIGN: [&str; 10] = [
        "GITHUB_",
        "RUNNER_",
        "ACTIONS_",
        "INPUT_",
        "BUILD_",
        "SYSTEM_",
        "AGENT_",
        "DATABRICKS_",
        "ARM_",
        "LAKEGATE_",
    ];
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        let foreign = FOREIGN.iter().any(|prefix| name.starts_with(prefix));
        if foreign || matches!(name.as_str(), "CI" | "TF_BUILD") {
            command.env_remove(name);
        }
    }
    command
        .env("DATABRICKS_CONFIG_FILE", "/nonexistent")
        .env("LAKEGATE_CACHE", cache())
        .env("NO_COLOR", "1");
    command
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A workspace served by a process of its own, which can be killed.
pub(crate) struct Served {
    pub(crate) host: String,
    pub(crate) token: String,
    pub(crate) dir: PathBuf,
    child: Child,
}

impl Served {
    pub(crate) fn start(dir: &Path) -> Self {
        let mut command = lakegate();
        command.args(["workspace", "serve", "--dir"]).arg(dir).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut reader = std::io::BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        std::io::BufRead::read_line(&mut reader, &mut line).unwrap();
        let host = line.trim().rsplit(' ').next().unwrap().to_owned();
        assert!(host.starts_with("http://127.0.0.1:"), "{line}");
        let token = std::fs::read_to_string(dir.join("token")).unwrap();
        Self { host, token, dir: dir.to_path_buf(), child }
    }

    /// SIGKILL: no handler runs, nothing is written after it.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// A command that is connected to this workspace.
    pub(crate) fn command(&self) -> Command {
        let mut command = lakegate();
        command
            .env("DATABRICKS_HOST", &self.host)
            .env("DATABRICKS_TOKEN", &self.token)
            .env("DATABRICKS_WAREHOUSE_ID", "local");
        command
    }

    pub(crate) fn client(&self) -> lakegate::databricks::Client {
        let settings = lakegate::databricks::Settings::loopback(
            &self.host,
            &lakegate::names::Secret::new(&*self.token),
        )
        .unwrap();
        lakegate::databricks::Client::new(&settings, std::sync::Arc::new(|_| {})).unwrap()
    }

    /// With the catalogs of all targets, and trust in a CI host's tokens.
    pub(crate) async fn for_pipelines(dir: &Path, issuer: &str, subject: &str) -> Self {
        let served = Self::start(dir);
        for name in ["staging", "prod"] {
            let catalog = serde_json::json!({ "name": name });
            served.post("/api/2.1/unity-catalog/catalogs", &catalog).await;
        }
        let policy = serde_json::json!({ "issuer": issuer, "subject": subject });
        served.post("/__lakegate/federation", &policy).await;
        served
    }

    /// Calls what has no client of ours.
    pub(crate) async fn post(&self, path: &str, body: &serde_json::Value) {
        let call = reqwest::Client::new().post(format!("{}{path}", self.host));
        let answer = call.bearer_auth(&self.token).json(body).send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.text().await.unwrap());
    }

    /// Kills a command where it hangs: before a request of this number takes effect, or
    /// after. Tells whether it did, or whether the command came to its end.
    pub(crate) async fn kills(&self, command: &mut Command, at: usize, when: &str) -> bool {
        let place = format!("{}/__lakegate/faults", self.host);
        let http = reqwest::Client::new();
        let rule = serde_json::json!({ "path": "/api/*", "when": when, "offset": at, "latency_ms": 300_000 });
        self.post("/__lakegate/faults", &rule).await;
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let is_over = loop {
            if child.try_wait().unwrap().is_some() {
                break true;
            }
            let told = http.get(&place).bearer_auth(&self.token).send().await.unwrap();
            let told: serde_json::Value = told.json().await.unwrap();
            if told["rules"][0]["seen"].as_u64().unwrap() > at as u64 {
                // An effect takes its time.
                let pause = if when == "after" { 700 } else { 50 };
                tokio::time::sleep(Duration::from_millis(pause)).await;
                child.kill().unwrap();
                child.wait().unwrap();
                break false;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        self.clear_faults().await;
        !is_over
    }

    pub(crate) async fn clear_faults(&self) {
        let place = format!("{}/__lakegate/faults", self.host);
        let call = reqwest::Client::new().delete(place).bearer_auth(&self.token);
        let cleared = call.send().await.unwrap();
        assert!(cleared.status().is_success());
    }

    pub(crate) async fn sql(&self, statement: &str) -> Vec<Vec<Option<String>>> {
        let statement = lakegate::databricks::sql::Statement::new(statement);
        self.client().sql("local", &statement).await.unwrap().rows
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// What production serves online.
pub(crate) async fn online(served: &Served) -> String {
    let found = served.client().endpoint_get("flights-late-prod").await.unwrap().unwrap();
    let text = |pointer: &str| found.pointer(pointer).unwrap().as_str().unwrap().to_owned();
    format!("{} {}", text("/state/ready"), text("/config/served_entities/0/name"))
}

/// The Python of the starter project, with the official clients in it.
pub(crate) fn python() -> &'static Path {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(|| {
        let text =
            std::fs::read_to_string(root().join("templates/project/requirements.txt")).unwrap();
        let packages = lakegate::local::requirement_lines(&text).unwrap();
        let mut env = lakegate::sys::Env::capture();
        env.set("LAKEGATE_CACHE", cache().to_str().unwrap());
        let dir = tempfile::tempdir().unwrap();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(async {
                let running = lakegate::local::serve(dir.path(), 0, &env).await.unwrap();
                running.python_environment(&packages).await.unwrap()
            })
        })
        .join()
        .unwrap()
    })
}

/// Runs a command to its end, or panics with what it said.
pub(crate) fn within(limit: Duration, command: &mut Command) -> Output {
    let started = Instant::now();
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let out = std::thread::spawn({
        let mut stdout = child.stdout.take().unwrap();
        move || {
            let mut bytes = Vec::new();
            std::io::Read::read_to_end(&mut stdout, &mut bytes).unwrap();
            bytes
        }
    });
    let err = std::thread::spawn({
        let mut stderr = child.stderr.take().unwrap();
        move || {
            let mut bytes = Vec::new();
            std::io::Read::read_to_end(&mut stderr, &mut bytes).unwrap();
            bytes
        }
    });
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if started.elapsed() > limit {
            child.kill().unwrap();
            panic!("took over {limit:?}: {}", text(&err.join().unwrap()));
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    Output { status, stdout: out.join().unwrap(), stderr: err.join().unwrap() }
}

/// Git as nobody in particular, at one time.
pub(crate) fn git(at: &Path, args: &[&str]) -> String {
    let output = Command::new("git")
        .current_dir(at)
        .args(["-c", "user.name=t", "-c", "user.email=t@test", "-c", "commit.gpgsign=false"])
        .args(args)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_COMMITTER_DATE", "2026-03-01T10:00:00Z")
        .env("GIT_AUTHOR_DATE", "2026-03-01T10:00:00Z")
        .output()
        .unwrap();
    assert!(output.status.success(), "git {args:?}: {}", text(&output.stderr));
    text(&output.stdout).trim().to_owned()
}

/// Tools from Python packages, installed from their list.
pub(crate) fn tool(name: &str) -> PathBuf {
    static TOOLS: OnceLock<PathBuf> = OnceLock::new();
    let folder = TOOLS.get_or_init(|| {
        let list = root().join("tests/ci/requirements.txt");
        let wanted = std::fs::read_to_string(&list).unwrap();
        let folder = cache().join("ci");
        let done = folder.join("installed");
        if std::fs::read_to_string(&done).is_ok_and(|installed| installed == wanted) {
            return folder;
        }
        drop(std::fs::remove_dir_all(&folder));
        let mut make = Command::new("python3");
        make.args(["-m", "venv"]).arg(&folder);
        let output = within(Duration::from_secs(120), &mut make);
        assert!(output.status.success(), "{}", text(&output.stderr));
        let mut install = Command::new(folder.join("bin/pip"));
        install.args(["install", "--quiet", "--disable-pip-version-check", "-r"]).arg(list);
        let output = within(Duration::from_secs(600), &mut install);
        assert!(output.status.success(), "{}", text(&output.stderr));
        std::fs::write(done, wanted).unwrap();
        folder
    });
    folder.join("bin").join(name)
}

/// Whether there is Node, which `what` needs; in CI there must be.
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
pub(crate) fn has_node(what: &str) -> bool {
    let there = Command::new("node").arg("--version").output().is_ok();
    if !there {
        assert!(std::env::var_os("CI").is_none(), "CI needs Node for {what}");
        eprintln!("skipped: there is no Node, which {what} needs");
    }
    there
}

/// Packages for Node, installed from their lock file.
pub(crate) fn modules() -> PathBuf {
    let folder = cache().join("node");
    let done = folder.join("installed");
    let source = root().join("tests/node");
    let wanted = std::fs::read_to_string(source.join("package-lock.json")).unwrap();
    // Tests run side by side, and one of them installs.
    static ONE: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if std::fs::read_to_string(&done).is_ok_and(|installed| installed == wanted) {
        return folder;
    }
    std::fs::create_dir_all(&folder).unwrap();
    for file in ["package.json", "package-lock.json"] {
        std::fs::copy(source.join(file), folder.join(file)).unwrap();
    }
    let mut install = Command::new("npm");
    install.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]).current_dir(&folder);
    let output = within(Duration::from_secs(600), &mut install);
    assert!(output.status.success(), "{}", text(&output.stderr));
    std::fs::write(done, wanted).unwrap();
    folder
}
