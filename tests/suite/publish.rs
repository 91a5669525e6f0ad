//! The suite's own releases: what is packed is what an action runs.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use crate::support::{git, root, text, within};

const TARGETS: [&str; 5] = [
    "x86_64-unknown-linux-musl",
    "aarch64-unknown-linux-musl",
    "x86_64-apple-darwin",
    "aarch64-apple-darwin",
    "x86_64-pc-windows-msvc",
];

/// A checkout of what a release touches, and the remote that it pushes to.
fn checkout(at: &Path) -> PathBuf {
    let home = at.join("home");
    for file in ["Cargo.toml", "README.md", "LICENSE-MIT", "LICENSE-APACHE"] {
        std::fs::create_dir_all(&home).unwrap();
        std::fs::copy(root().join(file), home.join(file)).unwrap();
    }
    for folder in [".ci", "actions"] {
        std::fs::create_dir_all(home.join(folder)).unwrap();
        for entry in std::fs::read_dir(root().join(folder)).unwrap().map(Result::unwrap) {
            if entry.path().is_file() {
                std::fs::copy(entry.path(), home.join(folder).join(entry.file_name())).unwrap();
            }
        }
    }
    let version = env!("CARGO_PKG_VERSION");
    let changes = format!(
        "# Changelog\n\n## {version} (2026-12-01)\n\n- The first.\n\n## 0.0.1 (2026-01-01)\n\n- Old.\n"
    );
    std::fs::write(home.join("CHANGELOG.md"), changes).unwrap();
    git(at, &["init", "-q", "--bare", "remote.git"]);
    git(&home, &["init", "-q", "-b", "main"]);
    git(&home, &["remote", "add", "origin", "../remote.git"]);
    git(&home, &["add", "-A"]);
    git(&home, &["commit", "-qm", "one"]);
    git(&home, &["push", "-q", "origin", "main"]);
    home
}

/// Programs that tell their name, as cargo would have built them for a platform.
fn programs(at: &Path, ending: &str) -> PathBuf {
    let folder = at.join(format!("built{ending}"));
    std::fs::create_dir_all(&folder).unwrap();
    let manifest: toml::Table =
        std::fs::read_to_string(root().join("Cargo.toml")).unwrap().parse().unwrap();
    for program in manifest["bin"].as_array().unwrap() {
        let name = program["name"].as_str().unwrap();
        std::fs::write(folder.join(format!("{name}{ending}")), format!("#!/bin/sh\necho {name}\n"))
            .unwrap();
    }
    folder
}

fn run(home: &Path, program: &str, args: &[&str], path: &str) -> Output {
    let mut command = Command::new(program);
    command.args(args).current_dir(home).env("PATH", path).env_remove("GH_TOKEN");
    within(Duration::from_secs(60), &mut command)
}

fn pack(home: &Path, built: &Path, target: &str, out: &str) -> Output {
    let args = [".ci/pack.py", built.to_str().unwrap(), target, out];
    run(home, "python3", &args, &std::env::var("PATH").unwrap())
}

#[test]
fn a_release_is_packed_tagged_fetched_and_run() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let home = checkout(at);
    let path = std::env::var("PATH").unwrap();
    let version = env!("CARGO_PKG_VERSION");
    for target in TARGETS {
        let ending = if target.contains("windows") { ".exe" } else { "" };
        let output = pack(&home, &programs(at, ending), target, "out");
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
    // Built elsewhere, at another time, it is the same archive.
    let again = pack(&home, &programs(&at.join("elsewhere"), ""), TARGETS[0], "again");
    assert!(again.status.success());
    let name = format!("lakegate-job-run-{version}-{}.tar.gz", TARGETS[0]);
    let bytes = |folder: &str| std::fs::read(home.join(folder).join(&name)).unwrap();
    assert!(bytes("out") == bytes("again"));
    let bare = at.join("bare");
    std::fs::create_dir_all(&bare).unwrap();
    let lacking = pack(&home, &bare, TARGETS[0], "again");
    assert!(!lacking.status.success() && text(&lacking.stderr).contains("lakegate-job-run"));

    // An action would fetch what is not there.
    let held =
        home.join("out").join(format!("lakegate-model-gate-{version}-{}.tar.gz", TARGETS[3]));
    std::fs::rename(&held, at.join("held")).unwrap();
    let refused = run(&home, ".ci/tag", &["out"], &path);
    assert_eq!(refused.status.code(), Some(2));
    assert!(text(&refused.stderr).contains(TARGETS[3]), "{}", text(&refused.stderr));
    std::fs::rename(at.join("held"), &held).unwrap();

    let before = git(&home, &["rev-parse", "HEAD"]);
    let tagged = run(&home, ".ci/tag", &["out"], &path);
    assert!(tagged.status.success(), "{}", text(&tagged.stderr));
    let remote = at.join("remote.git");
    let tag = format!("v{version}");
    assert_eq!(git(&remote, &["tag"]), "", "nothing is pushed before all is ready");
    it_is_published(at, &home);
    assert_eq!(git(&remote, &["rev-parse", "main"]), before, "the branch was moved");
    assert_eq!(git(&remote, &["rev-parse", &format!("{tag}~1")]), before);
    // Run again it goes on from there; another archive is another release.
    let commit = git(&home, &["rev-parse", "HEAD"]);
    git(&home, &["checkout", "-q", "--detach", &before]);
    let twice = run(&home, ".ci/tag", &["out"], &path);
    assert!(twice.status.success(), "{}", text(&twice.stderr));
    assert_eq!(git(&home, &["rev-parse", "HEAD"]), commit);
    git(&home, &["checkout", "-q", "--detach", &before]);
    let whole = std::fs::read(&held).unwrap();
    std::fs::write(&held, "another").unwrap();
    let other = run(&home, ".ci/tag", &["out"], &path);
    assert_eq!(other.status.code(), Some(4), "{}", text(&other.stderr));
    std::fs::write(&held, whole).unwrap();
    git(&home, &["checkout", "-q", "--force", &tag]);

    a_workflow_gets_it(at, &home, &tag);
}

/// What a workflow gets that names this commit.
fn a_workflow_gets_it(at: &Path, home: &Path, tag: &str) {
    git(at, &["clone", "-q", "--branch", tag, "remote.git", "user"]);
    let script = "set -Ceuo pipefail; source actions/install.sh; found=\"$(lakegate_program lakegate-job-run)\"; exec \"$found\"";
    let run = |temporary: &str, stub: Option<(&str, &str)>| {
        let folder = at.join(format!("stub-{temporary}"));
        std::fs::create_dir_all(at.join(temporary)).unwrap();
        if let Some((program, script)) = stub {
            lakegate::sys::fs::write_new(folder.join(program), script.as_bytes(), true).unwrap();
        }
        let mut action = Command::new("bash");
        action
            .args(["-c", script])
            .current_dir(at.join("user"))
            .env("PATH", format!("{}:{}", folder.display(), std::env::var("PATH").unwrap()))
            .env("RUNNER_TEMP", at.join(temporary))
            .env("RUNNER_TOOL_CACHE", at.join("tools"))
            .env("LAKEGATE_MIRROR", home.join("out"));
        within(Duration::from_secs(60), &mut action)
    };
    let output = run("first", None);
    assert_eq!(text(&output.stdout), "lakegate-job-run\n", "{}", text(&output.stderr));
    // The disk is full at the last file; another machine than all that are known.
    let halved = "#!/bin/sh\nPATH=/usr/bin:/bin\ntar \"$@\"\nexit 2\n";
    let other = "#!/bin/sh\necho SunOS\n";
    for (name, stub, words) in [
        ("halved", ("tar", halved), "could not be unpacked"),
        ("other", ("uname", other), "there is no binary for SunOS"),
    ] {
        let output = run(name, Some(stub));
        let told = text(&output.stderr);
        assert_eq!((output.status.code(), text(&output.stdout)), (Some(2), String::new()));
        assert!(told.contains(words) && told.matches("::error").count() == 1, "{told}");
    }
}

/// Published when every file is there, with the words of this version alone.
fn it_is_published(at: &Path, home: &Path) {
    let path = std::env::var("PATH").unwrap();
    let name = format!("lakegate-job-run-{}-{}.tar.gz", env!("CARGO_PKG_VERSION"), TARGETS[0]);
    let tools = at.join("bin");
    std::fs::create_dir_all(&tools).unwrap();
    let told = at.join("told");
    let stub = format!(
        "#!/bin/sh\n[ \"$2\" = view ] && exit 1\necho \"$2 $*\" >>'{0}'\nfor word; do case \"$last\" in --notes-file) cat \"$word\" >>'{0}';; esac; last=\"$word\"; done\n",
        told.display()
    );
    lakegate::sys::fs::write_new(tools.join("gh"), stub.as_bytes(), true).unwrap();
    std::fs::write(home.join("out/SHA256SUMS"), "of all\n").unwrap();
    let published = run(home, ".ci/release", &["out"], &format!("{}:{path}", tools.display()));
    assert!(published.status.success(), "{}", text(&published.stderr));
    let told = std::fs::read_to_string(told).unwrap();
    let order: Vec<&str> = told
        .lines()
        .filter_map(|line| line.split(' ').next().filter(|word| !word.is_empty()))
        .filter(|word| ["create", "upload", "edit"].contains(word))
        .collect();
    assert_eq!(order, ["create", "upload", "edit"], "{told}");
    assert!(told.contains("--draft --verify-tag") && told.contains("--draft=false"), "{told}");
    assert!(told.contains("- The first.") && !told.contains("Old"), "{told}");
    for file in [name.as_str(), "SHA256SUMS"] {
        assert!(told.contains(file), "{file} was not uploaded: {told}");
    }
}
