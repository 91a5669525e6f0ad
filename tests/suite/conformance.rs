//! The official Python clients, unmodified, drive the embedded workspace.

use std::process::Command;
use std::time::Duration;

use crate::support::{Served, python, root, text, within};

#[test]
fn the_official_clients_find_what_they_expect() {
    let dir = tempfile::tempdir().unwrap();
    let served = Served::start(dir.path());
    let mut pytest = Command::new(python());
    pytest
        .args(["-m", "pytest", "-q", "--no-header", "-p", "no:cacheprovider", "."])
        .current_dir(root().join("tests/conformance"))
        .env("DATABRICKS_HOST", &served.host)
        .env("DATABRICKS_TOKEN", &served.token)
        .env("DATABRICKS_CONFIG_FILE", "/nonexistent")
        .env("MLFLOW_DISABLE_TELEMETRY", "true")
        .env("PYTHONDONTWRITEBYTECODE", "1");
    let output = within(Duration::from_secs(600), &mut pytest);
    assert!(output.status.success(), "{}", text(&output.stdout));
    let said = text(&output.stdout);
    assert!(said.contains(" passed") && !said.contains("skipped"), "{said}");
}
