//! What `init` writes: read as GitHub reads it, run as GitHub runs it.

use std::path::{Path, PathBuf};

use crate::actions::linted;
use crate::support::{git, lakegate, root, text};

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
        (None, &["--test-target=local", "--with=fine-tuning"], 5),
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
