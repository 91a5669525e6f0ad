//! What `init` writes: read as GitHub reads it, run as GitHub runs it.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::actions::{act, linted, said, suite};
use crate::support::{cache, git, lakegate, python, root, text};

const SHA: &str = "1111111111111111111111111111111111111111";

fn init(at: &Path, args: &[&str]) -> (i32, String) {
    let mut command = lakegate();
    command.args(["init", "--suite-ref", SHA]).args(args).current_dir(at);
    let output = command.output().unwrap();
    (output.status.code().unwrap(), text(&output.stdout) + &text(&output.stderr))
}

fn repository(at: &Path) -> PathBuf {
    let home = at.join("home");
    std::fs::create_dir_all(&home).unwrap();
    git(&home, &["init", "-q", "-b", "main"]);
    git(&home, &["remote", "add", "origin", "https://github.com/acme/flights"]);
    home
}

/// Every reader of workflows, on everything that was written.
fn lint(home: &Path) -> usize {
    git(home, &["add", "-A"]);
    git(home, &["commit", "-qm", "feat: start", "--allow-empty"]);
    let run = |name: &str, args: &[&str]| linted(home, name, args);
    assert!(run("zizmor", &["--offline", "--pedantic", "."]).contains("No findings to report"));
    run("jactionlint", &["--shellcheck="]);
    let mut count = 0;
    for entry in std::fs::read_dir(home.join(".github/workflows")).unwrap() {
        let path = entry.unwrap().path();
        run(
            "check-jsonschema",
            &["--builtin-schema", "vendor.github-workflows", path.to_str().unwrap()],
        );
        count += 1;
    }
    count
}

#[test]
fn every_choice_gives_workflows_without_a_finding() {
    for (fixture, args, expected) in [
        (None, &["--test-target=local"][..], 4),
        (None, &["--workspace=embedded", "--test-target=local"], 1),
        (None, &["--main=trunk", "--python=3.11", "--test-target=staging"], 4),
        (Some("every_kind"), &["--staging-target=dev"], 3),
        (Some("rules"), &[], 1),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let home = repository(dir.path());
        if let Some(fixture) = fixture {
            let from = root().join("tests/bundles").join(fixture);
            for file in lakegate::sys::fs::files_below(&from).unwrap() {
                let to = home.join(&file);
                std::fs::create_dir_all(to.parent().unwrap()).unwrap();
                std::fs::copy(from.join(&file), to).unwrap();
            }
        }
        let (code, told) = init(&home, args);
        assert_eq!(code, 0, "{told}");
        assert_eq!(lint(&home), expected, "{fixture:?} {args:?}: {told}");
    }
}

#[test]
fn what_somebody_changed_is_not_written_over() {
    let dir = tempfile::tempdir().unwrap();
    let home = repository(dir.path());
    let args = ["--test-target=local"];
    assert_eq!(init(&home, &args).0, 0);
    let (code, told) = init(&home, &args);
    assert!(code == 0 && !told.contains("  write") && !told.contains("update"), "{told}");
    // Another choice brings what nobody touched up to date.
    let (code, told) = init(&home, &["--test-target=local", "--python=3.13"]);
    assert!(code == 0 && told.contains("update  .github/workflows/release.yml"), "{told}");
    let path = home.join(".github/workflows/release.yml");
    let own = std::fs::read_to_string(&path).unwrap().replace("Pack the commit", "Our words");
    std::fs::write(&path, &own).unwrap();
    let (code, told) = init(&home, &args);
    assert!(
        code == 4 && told.contains("changed by somebody: .github/workflows/release.yml"),
        "{told}"
    );
    assert_eq!(std::fs::read_to_string(&path).unwrap(), own);
    assert!(
        std::fs::read_to_string(home.join(".github/workflows/staging.yml"))
            .unwrap()
            .contains("3.13")
    );
    let (code, _) = init(&home, &["--test-target=local", "--force"]);
    assert!(code == 0 && !std::fs::read_to_string(&path).unwrap().contains("Our words"));
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
    std::fs::write(home.join("main.c"), "int main;").unwrap();
    let (code, told) = init(&home, &[]);
    assert!(code == 2 && told.contains("holds `main.c`"), "{told}");
}

/// An action of somebody else, for a runner without a network.
fn stub(at: &Path, name: &str) -> String {
    let folder = at.join(name);
    std::fs::create_dir_all(&folder).unwrap();
    let action = "name: stub\ndescription: stub\nruns:\n  using: composite\n  steps:\n    - run: \"true\"\n      shell: bash\n";
    std::fs::write(folder.join("action.yml"), action).unwrap();
    git(&folder, &["init", "-q", "-b", "main"]);
    git(&folder, &["add", "-A"]);
    git(&folder, &["commit", "-qm", "x"]);
    folder.display().to_string()
}

/// The merge request's workflow as `init` wrote it, in the embedded workspace.
fn merge_request(home: &Path, stubs: &Path) -> (bool, Vec<Value>) {
    let mut more = Vec::new();
    let text = std::fs::read_to_string(home.join(".github/workflows/merge-request.yml")).unwrap();
    for line in text.lines() {
        let Some((_, uses)) = line.split_once("uses: ") else { continue };
        let uses = uses.split(" #").next().unwrap();
        if let Some((name, sha)) = uses.split_once('@')
            && matches!(name, "actions/setup-python" | "actions/upload-artifact")
        {
            more.push(format!("--local-repository={name}@{sha}={}", stub(stubs, name)));
        }
    }
    let binaries = Path::new(env!("CARGO_BIN_EXE_lakegate")).parent().unwrap();
    let path =
        format!("{}:{}", python().parent().unwrap().display(), std::env::var("PATH").unwrap());
    for (name, value) in [
        ("LAKEGATE_BINARY_PATH", binaries.display().to_string()),
        ("LAKEGATE_ENVIRONMENT", "none".to_owned()),
        ("LAKEGATE_COMMENT", "never".to_owned()),
        ("LAKEGATE_CACHE", cache().display().to_string()),
        ("GITHUB_API_URL", "http://127.0.0.1:9".to_owned()),
        ("PATH", path),
    ] {
        more.push("--env".to_owned());
        more.push(format!("{name}={value}"));
    }
    assert!(suite().exists());
    act(home, &more)
}

#[test]
fn a_new_repository_is_green_at_the_first_push_and_red_when_it_should_be() {
    let dir = tempfile::tempdir().unwrap();
    let home = repository(dir.path());
    assert_eq!(init(&home, &["--workspace=embedded", "--test-target=local"]).0, 0);
    git(&home, &["add", "-A"]);
    git(&home, &["commit", "-qm", "feat: start"]);
    git(&home, &["update-ref", "refs/remotes/origin/main", "HEAD"]);
    git(&home, &["checkout", "-q", "-b", "change"]);
    let features = home.join("src/flights/features.py");
    let text = std::fs::read_to_string(&features).unwrap();
    std::fs::write(&features, format!("{text}\n# a change\n")).unwrap();
    git(&home, &["commit", "-qam", "fix: a change"]);
    let (passed, lines) = merge_request(&home, &dir.path().join("stubs"));
    assert!(passed, "{}", said(&lines));
    assert!(said(&lines).contains("2 jobs ran and held"), "{}", said(&lines));

    std::fs::write(&features, text.replace("LATE_MINUTES = 15", "LATE_MINUTES = 1")).unwrap();
    git(&home, &["commit", "-qam", "fix: a worse one"]);
    let (passed, lines) = merge_request(&home, &dir.path().join("stubs2"));
    assert!(!passed);
    let error = lines.iter().find(|line| {
        line["command"] == "error" && line["kvPairs"]["file"] == "tests/test_features.py"
    });
    assert!(error.is_some(), "{}", said(&lines));
}
