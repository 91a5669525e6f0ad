//! What the benchmarks share: data, environments of peers, and whole processes
//! measured in turn.

use std::path::PathBuf;
use std::process::Command;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Used {
    pub(crate) wall: f64,
    pub(crate) cpu: f64,
    pub(crate) megabytes: f64,
}

pub(crate) fn setting(name: &str, default: &str) -> String {
    std::env::var(format!("LAKEGATE_BENCH_{name}")).unwrap_or_else(|_| default.to_owned())
}

pub(crate) fn measure(name: &str, command: &[String]) -> Used {
    let mut measured = Command::new("python3");
    measured.arg(root().join("benches/measure.py")).args(command);
    let output = measured.env("NO_COLOR", "1").output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    let told: serde_json::Value = serde_json::from_str(told.trim()).unwrap_or_default();
    assert!(told["code"] == 0, "{name} failed: {told} {}", String::from_utf8_lossy(&output.stderr));
    let number = |key: &str| told[key].as_f64().unwrap();
    Used { wall: number("wall"), cpu: number("cpu"), megabytes: number("megabytes") }
}

pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The Python of an environment with pinned packages, made when it is missing.
pub(crate) fn environment(name: &str) -> String {
    let folder = root().join("target/bench").join(name);
    let python = folder.join("bin/python");
    let done = folder.join("complete");
    if !done.exists() {
        eprintln!("installing {name} …");
        run(Command::new("python3").args(["-m", "venv"]).arg(&folder));
        let list = root().join(format!("benches/peers/{name}.txt"));
        run(Command::new(&python).args(["-m", "pip", "install", "-q", "-r"]).arg(list));
        std::fs::write(done, "").unwrap();
    }
    python.display().to_string()
}

/// A pair of tables: so many rows of the usual columns, or a shape by its name.
pub(crate) fn data(name: &str) -> PathBuf {
    let folder = root().join("target/bench/data").join(name);
    if !folder.join("complete").exists() {
        eprintln!("making {name} …");
        std::fs::create_dir_all(&folder).unwrap();
        let is_rows = name.parse::<u64>().is_ok();
        let script = if is_rows { "generate.py" } else { "shapes.py" };
        let script = root().join("benches").join(script);
        run(Command::new(environment("arrays")).arg(script).arg(name).arg(&folder));
        std::fs::write(folder.join("complete"), "").unwrap();
    }
    folder
}

pub(crate) fn run(command: &mut Command) {
    let status = command.status().unwrap();
    assert!(status.success(), "{command:?}: {status}");
}
