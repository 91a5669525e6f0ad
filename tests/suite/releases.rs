//! Releases: the same bytes from the same commit, and no others believed.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use lakegate::names::Sha256;
use serde_json::{Value, json};

use crate::hosts::{github_answer, serve};
use crate::support::{git, lakegate, text};

/// A small bundle with a script, a link and a wheel that is built without tools.
fn repository(at: &Path) -> PathBuf {
    let home = at.join("home");
    std::fs::create_dir_all(home.join("ops")).unwrap();
    let write = |file: &str, text: &str| std::fs::write(home.join(file), text).unwrap();
    write(
        "databricks.yml",
        "bundle: {name: flights}\n\
         targets: {staging: {default: true}, prod: {mode: production}}\n\
         artifacts: {lib: {type: whl, build: 'sh ops/build.sh'}}\n\
         resources: {jobs: {train: {name: train, tasks: [{task_key: t, environment_key: e, spark_python_task: {python_file: ops/train.py}, libraries: [{whl: dist/*.whl}]}], environments: [{environment_key: e, spec: {environment_version: '3'}}]}}}\n",
    );
    write("lakegate.yml", "release: {tested_by: none}\n");
    write("requirements.txt", "numpy==2.1.0\n");
    write(".gitignore", "dist/\n.lakegate/\n");
    write("ops/train.py", "print('hi')\n");
    write(
        "ops/build.sh",
        "mkdir -p dist && printf \"wheel $SOURCE_DATE_EPOCH\" > dist/lib-1.0-py3-none-any.whl\n",
    );
    std::os::unix::fs::symlink("train.py", home.join("ops/link.py")).unwrap();
    git(&home, &["init", "-q", "-b", "main"]);
    git(&home, &["remote", "add", "origin", "https://token:secret@git.test/acme/flights"]);
    git(&home, &["add", "-A"]);
    git(&home, &["update-index", "--chmod=+x", "ops/build.sh"]);
    git(&home, &["commit", "-qm", "feat: the first"]);
    // The mode that was committed is the one on the disk, too.
    git(&home, &["checkout", "-q", "--", "."]);
    git(&home, &["reset", "-q", "--hard"]);
    home
}

fn release(at: &Path, args: &[&str]) -> Command {
    let mut command = lakegate();
    command.arg("release-build").args(args).current_dir(at);
    command
}

fn build(at: &Path, args: &[&str]) -> Value {
    let output = release(at, &[&["build", "--json"], args].concat()).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The manifest names what built the wheels, where that tells its version.
#[test]
fn a_manifest_names_what_built_it() {
    let dir = tempfile::tempdir().unwrap();
    let home = repository(dir.path());
    let tools = dir.path().join("tools");
    std::fs::create_dir(&tools).unwrap();
    let maker = tools.join("maker");
    let script = "#!/bin/sh\ncase $1 in --version) echo maker 1.2;; *) sh ops/build.sh;; esac\n";
    std::fs::write(&maker, script).unwrap();
    std::fs::set_permissions(&maker, PermissionsExt::from_mode(0o755)).unwrap();
    let bundle = std::fs::read_to_string(home.join("databricks.yml")).unwrap();
    let bundle = bundle.replace("sh ops/build.sh", "maker wheel");
    std::fs::write(home.join("databricks.yml"), bundle).unwrap();
    git(&home, &["commit", "-qam", "feat: a maker"]);
    git(&home, &["update-ref", "refs/remotes/origin/main", "HEAD"]);
    let path = format!("{}:{}", tools.display(), std::env::var("PATH").unwrap());
    let output = release(&home, &["build"]).env("PATH", path).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let found = std::fs::read(home.join(".lakegate/releases/flights-0.1.0/manifest.json"));
    let manifest: Value = serde_json::from_slice(&found.unwrap()).unwrap();
    let wanted = json!({"lakegate": env!("CARGO_PKG_VERSION"), "maker": "maker 1.2"});
    assert_eq!(manifest["tools"], wanted);
}

/// The exit code and what was said.
fn refused(command: &mut Command) -> (i32, String) {
    let output = command.output().unwrap();
    (output.status.code().unwrap(), text(&output.stderr) + &text(&output.stdout))
}

fn sums(at: &Path, version: &str) -> String {
    let folder = at.join(format!(".lakegate/releases/flights-{version}"));
    std::fs::read_to_string(folder.join("SHA256SUMS")).unwrap()
}

#[test]
fn the_same_commit_gives_the_same_bytes_wherever_it_is_packed() {
    let dir = tempfile::tempdir().unwrap();
    let home = repository(dir.path());
    let told = build(&home, &[]);
    assert_eq!(told["outputs"]["version"], "0.1.0");
    let first = sums(&home, "0.1.0");
    assert!(
        !text(&std::fs::read(home.join(".lakegate/releases/flights-0.1.0/manifest.json")).unwrap())
            .contains("secret")
    );
    // Done again: the same, and nothing new is named.
    build(&home, &[]);
    assert_eq!(sums(&home, "0.1.0"), first);
    assert_eq!(git(&home, &["tag"]), "v0.1.0");
    assert_eq!(git(&home, &["rev-parse", "release/0.1.0"]), git(&home, &["rev-parse", "main"]));

    let other = dir.path().join("another place/deep/below");
    git(dir.path(), &["clone", "-q", "home", other.to_str().unwrap()]);
    git(&other, &["remote", "set-url", "origin", "https://git.test/acme/flights"]);
    // Other times on every file, another zone, another umask.
    for file in ["databricks.yml", "ops/train.py", "ops/build.sh"] {
        let file = std::fs::File::open(other.join(file)).unwrap();
        file.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(1)).unwrap();
    }
    let script = format!("umask 077; exec {} release-build build", env!("CARGO_BIN_EXE_lakegate"));
    let mut shell = Command::new("sh");
    shell
        .args(["-c", &script])
        .current_dir(&other)
        .env("TZ", "Pacific/Kiritimati")
        .env("LANG", "tr_TR.UTF-8");
    let output = shell.output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stdout));
    assert_eq!(sums(&other, "0.1.0"), first);

    // What the usual tools make of it.
    let folder = other.join(".lakegate/releases/flights-0.1.0");
    let checked = Command::new("sha256sum")
        .args(["--check", "--quiet", "SHA256SUMS"])
        .current_dir(&folder)
        .output()
        .unwrap();
    assert!(checked.status.success(), "{}", text(&checked.stdout));
    let listed = Command::new("tar")
        .args(["-tvzf", "flights-0.1.0.tar.gz"])
        .current_dir(&folder)
        .env("TZ", "UTC")
        .output()
        .unwrap();
    insta::assert_snapshot!(text(&listed.stdout));
}

#[test]
fn a_release_that_was_touched_is_not_believed() {
    let dir = tempfile::tempdir().unwrap();
    let home = repository(dir.path());
    build(&home, &[]);
    let folder = home.join(".lakegate/releases/flights-0.1.0");
    let whole: Vec<(String, Vec<u8>)> = [
        "SHA256SUMS",
        "flights-0.1.0.tar.gz",
        "manifest.json",
        "notes.md",
        "provenance.intoto.json",
        "sbom.cdx.json",
    ]
    .map(|name| (name.to_owned(), std::fs::read(folder.join(name)).unwrap()))
    .to_vec();
    let verify = || release(&home, &["verify", folder.to_str().unwrap()]);
    let restore = || {
        std::fs::remove_dir_all(&folder).unwrap();
        std::fs::create_dir_all(&folder).unwrap();
        for (name, bytes) in &whole {
            std::fs::write(folder.join(name), bytes).unwrap();
        }
    };
    let passed = verify().output().unwrap();
    assert!(passed.status.success(), "{}", text(&passed.stderr));
    for (name, bytes) in &whole {
        let mut other = bytes.clone();
        let middle = other.len() / 2;
        other[middle] ^= 1;
        std::fs::write(folder.join(name), &other).unwrap();
        assert_eq!(refused(&mut verify()).0, 7, "{name} changed");
        std::fs::remove_file(folder.join(name)).unwrap();
        let (code, _) = refused(&mut verify());
        assert!(matches!(code, 2 | 7), "{name} missing: {code}");
        restore();
    }
    std::fs::write(folder.join("extra.txt"), "x").unwrap();
    let (code, told) = refused(&mut verify());
    assert!(code == 7 && told.contains("`extra.txt` is not part"), "{told}");
    restore();
    // A list that fits the forged file, and a statement that does not.
    std::fs::write(folder.join("notes.md"), "forged").unwrap();
    let forged = Command::new("sh").args(["-c", "sha256sum flights-*.gz manifest.json notes.md provenance.intoto.json sbom.cdx.json > SHA256SUMS"]).current_dir(&folder).status();
    assert!(forged.unwrap().success());
    let (code, told) = refused(&mut verify());
    assert!(code == 7 && told.contains("about other files"), "{told}");
}

#[test]
fn only_a_clean_commit_of_the_main_branch_is_released() {
    let dir = tempfile::tempdir().unwrap();
    let home = repository(dir.path());
    std::fs::write(home.join("ops/new.py"), "x").unwrap();
    let (code, told) = refused(&mut release(&home, &[]));
    assert!(code == 2 && told.contains("ops/new.py"), "{told}");
    git(&home, &["checkout", "-q", "-b", "feature"]);
    git(&home, &["add", "-A"]);
    git(&home, &["commit", "-qm", "fix: more"]);
    let (code, told) = refused(&mut release(&home, &[]));
    assert!(code == 2 && told.contains("not on `main`"), "{told}");

    git(&home, &["checkout", "-q", "main"]);
    build(&home, &[]);
    git(&home, &["merge", "-q", "--ff-only", "feature"]);
    assert_eq!(build(&home, &[])["outputs"]["version"], "0.1.1");
    std::fs::write(home.join("ops/new.py"), "y").unwrap();
    git(&home, &["commit", "-qam", "docs: words"]);
    assert_eq!(build(&home, &[])["outputs"]["released"], "false");
    let (code, told) = refused(&mut release(&home, &["--release-version=0.0.9"]));
    assert!(code == 2 && told.contains("does not come after"), "{told}");
    let (code, told) = refused(&mut release(&home, &["--release-version=1.x"]));
    assert!(code == 2 && told.contains("`1.x` is not a version"), "{told}");
    // A tag of another commit.
    git(&home, &["tag", "v0.2.0", "feature~1"]);
    let (code, told) = refused(&mut release(&home, &["--release-version=0.2.0"]));
    assert!(code == 4 && told.contains("refs/tags/v0.2.0"), "{told}");

    git(&home, &["tag", "-d", "v0.2.0"]);
    // What cannot wait goes out from an earlier release's branch.
    git(&home, &["checkout", "-q", "release/0.1.0"]);
    std::fs::write(home.join("ops/train.py"), "print('mended')\n").unwrap();
    git(&home, &["commit", "-qam", "fix: mend"]);
    let told = build(&home, &["--release-version=0.1.2"]);
    assert_eq!(told["outputs"]["tag"], "v0.1.2");
}

#[test]
fn a_commit_without_a_verdict_is_no_release() {
    let dir = tempfile::tempdir().unwrap();
    let home = repository(dir.path());
    std::fs::write(home.join("lakegate.yml"), "release: {tested_by: table}\n").unwrap();
    git(&home, &["commit", "-qam", "ci: ask"]);
    let (code, told) = refused(
        release(&home, &[])
            .env("DATABRICKS_HOST", "http://127.0.0.1:9")
            .env("DATABRICKS_TOKEN", "t"),
    );
    assert!(code == 2 && told.contains("record.schema"), "{told}");
    std::fs::write(home.join("lakegate.yml"), "release: {tested_by: checks}\n").unwrap();
    git(&home, &["commit", "-qam", "ci: ask the host"]);
    let (code, told) = refused(&mut release(&home, &[]));
    assert!(code == 2 && told.contains("CI host"), "{told}");
}

/// Names that only git's own objects can hold.
#[test]
fn hostile_trees_are_refused_with_their_reason() {
    let dir = tempfile::tempdir().unwrap();
    let home = repository(dir.path());
    let blob = git(&home, &["rev-parse", "HEAD:ops/train.py"]);
    let up = {
        std::fs::write(dir.path().join("up"), "../../outside").unwrap();
        git(&home, &["hash-object", "-w", dir.path().join("up").to_str().unwrap()])
    };
    let large = {
        let pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n";
        std::fs::write(dir.path().join("large"), pointer).unwrap();
        git(&home, &["hash-object", "-w", dir.path().join("large").to_str().unwrap()])
    };
    let commit = git(&home, &["rev-parse", "HEAD"]);
    for (line, words) in [
        (format!("100644 {blob} 0\tops/a\\nb.py"), "control"),
        (format!("100644 {blob} 0\tops/a\\\\b.py"), "backslash"),
        (format!("100644 {blob} 0\tops/TRAIN.py"), "case"),
        (format!("100644 {blob} 0\tops/aux.py"), "Windows"),
        (format!("100644 {blob} 0\tops/\\377.py"), "UTF-8"),
        (format!("120000 {up} 0\tops/out"), "a link to"),
        (format!("160000 {commit} 0\tother"), "submodule"),
        (format!("100644 {large} 0\tmodel.bin"), "Git LFS"),
    ] {
        git(&home, &["reset", "-q", "--hard", &commit]);
        std::fs::write(dir.path().join("index"), raw(&line)).unwrap();
        let status = Command::new("sh")
            .args(["-c", "git update-index -z --index-info < ../index"])
            .current_dir(&home)
            .status();
        assert!(status.unwrap().success());
        git(&home, &["commit", "-qm", "fix: hostile"]);
        git(&home, &["update-index", "-q", "--refresh"]);
        let clean = dir.path().join("clean");
        drop(std::fs::remove_dir_all(&clean));
        // Checked out without those files: they need not even fit the disk.
        git(dir.path(), &["clone", "-q", "--no-checkout", "home", "clean"]);
        git(&clean, &["read-tree", "HEAD"]);
        let all = Command::new("sh")
            .args(["-c", "git ls-files -z | xargs -0 git update-index --skip-worktree"])
            .current_dir(&clean)
            .status();
        assert!(all.unwrap().success());
        std::fs::write(clean.join("lakegate.yml"), "release: {tested_by: none}\n").unwrap();
        let (code, told) = refused(&mut release(&clean, &[]));
        assert!(code == 2 && told.contains(words), "{line}: {told}");
    }
}

/// A line of `update-index -z`, with `\n`, `\\` and `\377` for bytes.
fn raw(line: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut bytes = line.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'\\' {
            out.push(byte);
            continue;
        }
        match bytes.next().unwrap() {
            b'n' => out.push(b'\n'),
            b'3' => {
                bytes.nth(1);
                out.push(0xff);
            }
            other => out.push(other),
        }
    }
    out.push(0);
    out
}

/// A merge request was tested, and its branch was not that of main any more.
#[tokio::test(flavor = "multi_thread")]
async fn a_status_about_other_files_is_no_test() {
    let dir = tempfile::tempdir().unwrap();
    let home = repository(dir.path());
    std::fs::write(home.join("lakegate.yml"), "release: {}\n").unwrap();
    git(&home, &["commit", "-qam", "fix: checks decide"]);
    let (address, host) = serve(github_answer).await;
    let (commit, tree) =
        (git(&home, &["rev-parse", "HEAD"]), git(&home, &["rev-parse", "HEAD^{tree}"]));
    let build = |description: &str| {
        let status = serde_json::json!({ "sha": commit, "context": "lakegate/merge-test",
            "state": "success", "description": description, "target_url": "https://x.test/1" });
        host.lock().unwrap().statuses = vec![status];
        let mut command = release(&home, &["build"]);
        command.envs([
            ("GITHUB_ACTIONS", "true"),
            ("GITHUB_REPOSITORY", "acme/flights"),
            ("GITHUB_TOKEN", "t"),
            ("GITHUB_API_URL", &address),
        ]);
        refused(&mut command)
    };
    let (code, said) = build(&format!("7 tests · tree {}", "0".repeat(16)));
    assert_eq!(code, 7, "{said}");
    assert!(said.contains("about other files (tree 0000") && said.contains(&tree), "{said}");
    // What somebody else's check says of the commit is taken as it is.
    for fine in [format!("7 tests · tree {}", &tree[..16]), "all is well".to_owned()] {
        let (code, said) = build(&fine);
        assert_eq!(code, 0, "{said}");
    }
}

/// The workflow may be started again, also by another run that says other things of
/// itself: what is published is the release.
#[tokio::test(flavor = "multi_thread")]
async fn another_run_finds_the_release_that_is_published() {
    let dir = tempfile::tempdir().unwrap();
    let home = repository(dir.path());
    let (address, world) = serve(github_answer).await;
    let publishing = |number: &str| {
        let mut command = release(&home, &["build", "--publish=host", "--json"]);
        command.env("GITHUB_ACTIONS", "true").env("GITHUB_REPOSITORY", "acme/flights");
        command.env("GITHUB_TOKEN", "t").env("GITHUB_API_URL", &address);
        command.env("GITHUB_SERVER_URL", "https://github.test").env("GITHUB_RUN_ID", number);
        command
    };
    let run = |number: &str| {
        let output = publishing(number).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        serde_json::from_slice::<Value>(&output.stdout).unwrap()
    };
    let first = run("7");
    let writes = || {
        let world = world.lock().unwrap();
        world.calls.iter().filter(|call| !call.starts_with("GET")).count()
    };
    let made = writes();
    assert!(made > 0);
    let again = run("8");
    assert_eq!(writes(), made, "something was written twice");
    for name in ["version", "tag", "commit", "manifest-digest", "released", "release"] {
        assert_eq!(first["outputs"][name], again["outputs"][name], "{name}");
    }
    let folder = first["outputs"]["release"].as_str().unwrap();
    let (code, said) = refused(&mut release(&home, &["verify", folder]));
    assert_eq!(code, 0, "{said}");
    // Somebody put another build in its place, whole in itself.
    let other = repository(&dir.path().join("other"));
    std::fs::write(other.join("ops/train.py"), "print('evil')\n").unwrap();
    git(&other, &["commit", "-qam", "fix: evil"]);
    let version = first["outputs"]["version"].as_str().unwrap();
    let forged = build(&other, &["--release-version", version]);
    let forged = other.join(forged["outputs"]["release"].as_str().unwrap());
    {
        let world = &mut *world.lock().unwrap();
        for asset in world.releases[0]["assets"].as_array_mut().unwrap() {
            let id = usize::try_from(asset["id"].as_u64().unwrap()).unwrap();
            world.files[id] = std::fs::read(forged.join(asset["name"].as_str().unwrap())).unwrap();
            asset["digest"] = json!(format!("sha256:{}", Sha256::of(&world.files[id])));
            asset["size"] = json!(world.files[id].len());
        }
    }
    let (code, said) = refused(&mut publishing("9"));
    assert!(code == 4 && said.contains("is published, and differs in `repository`"), "{said}");
}
