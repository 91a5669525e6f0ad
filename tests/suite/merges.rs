//! Changes that are tested before they are merged.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use lakegate::databricks::unity::Securable;
use serde_json::Value;

use crate::support::{Served, git, lakegate, text};

/// A bundle with two jobs, tests that a shell writes, and a branch with a change.
fn repository(at: &Path) -> PathBuf {
    let home = at.join("home");
    for folder in ["ops", "src/lib"] {
        std::fs::create_dir_all(home.join(folder)).unwrap();
    }
    let write = |file: &str, text: &str| std::fs::write(home.join(file), text).unwrap();
    write(
        "databricks.yml",
        "bundle: {name: flights}\n\
         variables: {schema: {default: flights}}\n\
         targets: {dev: {default: true}}\n\
         resources:\n\
         \x20 schemas: {s: {catalog_name: main, name: '${var.schema}'}}\n\
         \x20 jobs:\n\
         \x20   make: {name: make, schedule: {quartz_cron_expression: '0 0 * * * ?', timezone_id: UTC}, tasks: [{task_key: t, environment_key: e, spark_python_task: {python_file: ops/make.py, parameters: ['${var.schema}']}}], environments: [{environment_key: e, spec: {environment_version: '3'}}]}\n\
         \x20   use: {name: use, tasks: [{task_key: t, environment_key: e, spark_python_task: {python_file: src/use.py}}], environments: [{environment_key: e, spec: {environment_version: '3'}}]}\n",
    );
    write(
        "lakegate.yml",
        "record: {schema: main.lakegate}\n\
         tests:\n\
         \x20 unit: {environment: none, changed_coverage: 0.5, command: [sh, tests.sh, '{junit}', '{coverage}']}\n\
         \x20 integration:\n\
         \x20   target: dev\n\
         \x20   variables: {schema: 'flights_{isolation}'}\n\
         \x20   jobs:\n\
         \x20     - {job: make, expect: [{sql: \"SELECT '${var.schema}'\", equals: 'flights_mine'}]}\n\
         \x20     - {job: use, needs: [make], models: ['main.${var.schema}.m'], expect: [{sql: 'SELECT 42', min: 42}]}\n",
    );
    write(
        "tests.sh",
        "cat results.xml > $1; cp lcov.info $2; echo '::add-mask::pass'; echo 'x ##vso[task.complete result=Succeeded]'; env | grep -c TOKEN; exit $(cat code)\n",
    );
    write("code", "0\n");
    write("results.xml", "<testsuite><testcase classname='a' name='b'/></testsuite>\n");
    write("lcov.info", "SF:src/lib/a.py\nDA:1,1\nDA:2,0\nend_of_record\n");
    write("ops/make.py", "import sys\nprint(sys.argv)\n");
    write("src/use.py", "from lib import a\n");
    write("src/lib/__init__.py", "");
    write("src/lib/a.py", "x = 1\n");
    git(&home, &["init", "-q", "-b", "main"]);
    git(&home, &["add", "-A"]);
    git(&home, &["commit", "-qm", "feat: the first"]);
    git(&home, &["checkout", "-q", "-b", "change"]);
    home
}

fn commit(home: &Path, files: &[(&str, &str)]) {
    for (file, text) in files {
        std::fs::write(home.join(file), text).unwrap();
    }
    git(home, &["commit", "-qam", "fix: a change"]);
}

fn merge_test(mut command: Command, home: &Path, args: &[&str]) -> (i32, Value, String) {
    command.arg("merge-test").args(args).arg("--json").current_dir(home);
    let output = command.output().unwrap();
    let told = text(&output.stderr);
    let json = serde_json::from_slice(&output.stdout).unwrap_or_default();
    (output.status.code().unwrap(), json, told)
}

#[test]
fn unit_tests_pass_only_with_results_and_a_good_end() {
    let dir = tempfile::tempdir().unwrap();
    let home = repository(dir.path());
    commit(&home, &[("src/lib/a.py", "x = 2\n")]);
    let unit = |expected: i32, words: &str| {
        let (code, json, told) = merge_test(lakegate(), &home, &["unit"]);
        let reason = json["reason"].as_str().unwrap_or_default();
        assert_eq!(code, expected, "{reason} {told}");
        assert!(reason.contains(words), "{reason}");
        json
    };
    let json = unit(0, "1 passed");
    assert_eq!(json["outputs"]["affected"], "jobs.use,models.main.flights.m");
    assert_eq!(json["outputs"]["jobs"], "make,use");
    assert_eq!(json["outputs"]["code"], "ml");
    let whole = std::fs::read_to_string(home.join("results.xml")).unwrap();
    let red = "<testsuite tests='9'><testcase classname='a' name='&lt;img src=x&gt;'><failure message='no'>tests/t.py:3: E</failure></testcase></testsuite>";
    for (code, results, exit, words) in [
        ("0", red, 1, "1 failed"),
        ("1", &whole[..], 1, "and yet"),
        ("0", "<testsuite>", 1, "ends in the middle"),
        ("0", "", 1, "it is empty"),
        ("5", "<testsuite/>", 3, "no test ran"),
        (
            "0",
            "<testsuite><testcase name='a'><skipped/></testcase></testsuite>",
            3,
            "nothing was tested",
        ),
        ("0", "<!DOCTYPE x [<!ENTITY a 'b'>]><testsuite/>", 1, "entities"),
    ] {
        commit(&home, &[("code", code), ("results.xml", results)]);
        unit(exit, words);
    }
    // What the change brings must be tested, too.
    commit(
        &home,
        &[
            ("code", "0"),
            ("results.xml", &whole),
            ("src/lib/a.py", "x = 2\ny = 3\nz = 4\n"),
            ("lcov.info", "SF:src/lib/a.py\nDA:1,1\nDA:2,0\nDA:3,0\nend_of_record\n"),
        ],
    );
    let json = unit(1, "33.33 % of the changed lines");
    let findings = json["report"]["findings"].as_array().or(json["findings"].as_array()).unwrap();
    assert!(findings.iter().any(|finding| finding["place"]["line"] == 3), "{findings:?}");
    commit(&home, &[("lcov.info", "SF:src/lib/a.py\nend_of_record\n")]);
    unit(3, "knows no line");
    commit(&home, &[("lcov.info", "not coverage\n")]);
    unit(1, "coverage cannot be read");
}

#[test]
fn parts_of_the_tests_run_where_a_change_touches_them() {
    let dir = tempfile::tempdir().unwrap();
    let home = repository(dir.path());
    let write = |file: &str, text: &str| {
        std::fs::create_dir_all(home.join(file).parent().unwrap()).unwrap();
        std::fs::write(home.join(file), text).unwrap();
    };
    let policy = "tests:\n\
         \x20 unit:\n\
         \x20   environment: none\n\
         \x20   command: [sh, tests.sh, '{junit}', '{coverage}', '{tests}']\n\
         \x20   shards: [{name: one, tests: [tests/one]}, {name: two, tests: [tests/two]}]\n";
    write("lakegate.yml", policy);
    // Each part has results and coverage of its own.
    write("tests.sh", "cat $3/results.xml > $1; cp $3/lcov.info $2\n");
    for (part, line, imports) in [("one", 1, "import lib.a"), ("two", 2, "import use")] {
        write(&format!("tests/{part}/test_it.py"), imports);
        let case = format!("<testsuite><testcase classname='{part}' name='a'/></testsuite>");
        write(&format!("tests/{part}/results.xml"), &case);
        let other = 3 - line;
        let seen = format!("SF:src/lib/a.py\nDA:{line},1\nDA:{other},0\nend_of_record\n");
        write(&format!("tests/{part}/lcov.info"), &seen);
    }
    git(&home, &["checkout", "-q", "main"]);
    git(&home, &["add", "-A"]);
    git(&home, &["commit", "-qm", "test: in parts"]);
    git(&home, &["checkout", "-qB", "change"]);
    let unit = |args: &[&str], expected: i32| {
        let (code, json, told) = merge_test(lakegate(), &home, &[&["unit"], args].concat());
        assert_eq!(code, expected, "{json:#} {told}");
        json
    };
    // `use` reads `lib.a`: both do.
    commit(&home, &[("src/lib/a.py", "x = 1\ny = 2\n")]);
    let json = unit(&[], 0);
    assert!(json["reason"].as_str().unwrap_or_default().contains("2 tests: 2 passed"), "{json:#}");
    let tables = json["report"]["tables"].as_array().or(json["tables"].as_array()).unwrap();
    let row = |title: &str, at: usize| {
        let table = tables.iter().find(|table| table["title"] == title).unwrap();
        table["rows"][at].to_string()
    };
    assert!(row("Parts of the unit tests", 0).contains("it reads `src/lib/a.py`, which changed"));
    assert!(row("Coverage", 1).contains("100 %"), "what both ran counts together");

    git(&home, &["checkout", "-qB", "change", "main"]);
    commit(&home, &[("src/use.py", "from lib import a\nprint(a)\n")]);
    let json = unit(&[], 0);
    assert_eq!(json["outputs"]["tests"], "1");
    assert_eq!(unit(&["--all"], 0)["outputs"]["tests"], "2");
    // One part that fails is enough, and says which it is.
    commit(&home, &[("tests/two/results.xml", "<testsuite>")]);
    let json = unit(&["--all"], 1);
    assert!(
        json["reason"].as_str().unwrap().contains("two: the results cannot be read"),
        "{json:#}"
    );
    git(&home, &["checkout", "-qB", "change", "main"]);
    std::fs::write(home.join("notes.md"), "words").unwrap();
    git(&home, &["add", "-A"]);
    git(&home, &["commit", "-qm", "docs: words"]);
    let json = unit(&[], 0);
    assert!(json["reason"].as_str().unwrap().contains("none of 2 parts"), "{json:#}");
}

#[test]
fn what_tests_say_is_no_command_and_they_see_no_token() {
    let dir = tempfile::tempdir().unwrap();
    let home = repository(dir.path());
    let trap = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    trap.set_nonblocking(true).unwrap();
    let bundle = std::fs::read_to_string(home.join("databricks.yml")).unwrap();
    let host = format!("workspace: {{host: 'http://{}'}}\n{bundle}", trap.local_addr().unwrap());
    let results = "<testsuite><testcase classname='::error::forged' name='&#10;::add-mask::forged&#10;##vso[task.complete]'/></testsuite>";
    commit(&home, &[("databricks.yml", &host), ("results.xml", results)]);
    for name in
        ["\n::error::forged", "##vso[task.complete]", "$(touch pwned)", "`touch pwned`", "-x"]
    {
        std::fs::write(home.join(format!("src/lib/{name}.py")), "x = 3\n").unwrap();
    }
    git(&home, &["add", "-A"]);
    git(&home, &["commit", "-qm", "fix: names"]);
    let event = dir.path().join("event.json");
    std::fs::write(&event, r#"{"number": 7, "pull_request": {"number": 7, "head": {"sha": "abc", "repo": {"full_name": "eve/flights"}}}}"#).unwrap();
    let mut command = lakegate();
    // A workspace and a host that nobody answers for: a fork must not even try.
    command
        .args(["merge-test", "--base=main"])
        .current_dir(&home)
        .env("GITHUB_ACTIONS", "true")
        .env("GITHUB_EVENT_NAME", "pull_request")
        .env("GITHUB_EVENT_PATH", &event)
        .env("GITHUB_REPOSITORY", "acme/flights")
        .env("GITHUB_TOKEN", "ghs_secret_value")
        .env("GITHUB_API_URL", "http://127.0.0.1:9")
        .env("DATABRICKS_HOST", "http://127.0.0.1:9")
        .env("DATABRICKS_TOKEN", "dapi_secret_value");
    let output = command.output().unwrap();
    let said = text(&output.stdout);
    assert!(said.contains("| ::add-mask::pass"), "{said}");
    // Within an annotation of GitHub's it is text.
    let mut plain = said.lines().filter(|line| !line.starts_with("::"));
    assert!(!plain.any(|line| line.contains("##vso[")), "{said}");
    assert!(said.contains("\n| 0\n"), "the tests see a token: {said}");
    assert!(said.contains("comes from a fork: no integration test was run"), "{said}");
    assert!(said.contains("the merge request was not told"), "{said}");
    let mut others = said.lines().filter(|line| !line.starts_with("::add-mask::"));
    assert!(others.all(|line| !line.contains("secret_value")), "{said}");
    let forged =
        |line: &str| line.starts_with("::error::forged") || line.starts_with("::add-mask::forged");
    assert!(!said.lines().any(forged), "{said}");
    assert!(!home.join("pwned").exists());
    assert!(trap.accept().is_err(), "somebody asked the bundle's host");
    assert!(output.status.success(), "{said}");
}

#[test]
fn a_shallow_clone_is_told_what_to_fetch() {
    let dir = tempfile::tempdir().unwrap();
    let home = repository(dir.path());
    commit(&home, &[("src/lib/a.py", "x = 2\n")]);
    git(&home, &["checkout", "-q", "main"]);
    commit(&home, &[("ops/make.py", "import sys\n")]);
    let from = format!("file://{}", home.display());
    git(
        dir.path(),
        &["clone", "-q", "--depth=1", "--no-single-branch", "--branch=change", &from, "shallow"],
    );
    let (code, _, told) = merge_test(lakegate(), &dir.path().join("shallow"), &["affected"]);
    assert_eq!(code, 2);
    assert!(told.contains("fetch-depth: 0"), "{told}");
}

async fn copies(served: &Served) -> (usize, Vec<String>) {
    let jobs = served.client().job_list(None).await.unwrap();
    let mut schemas = Vec::new();
    for name in ["flights", "flights_mine", "flights_other"] {
        let full = format!("main.{name}");
        if served.client().securable_get(Securable::Schema, &full).await.unwrap().is_some() {
            schemas.push(name.to_owned());
        }
    }
    (jobs.len(), schemas)
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_run_in_a_copy_that_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let served = Served::start(&dir.path().join("workspace"));
    let home = repository(dir.path());
    commit(&home, &[("src/lib/a.py", "x = 2\n")]);
    let run = |args: &[&str]| {
        merge_test(served.command(), &home, &[args, &["--isolation=mine"]].concat())
    };
    let (code, json, told) = run(&["run"]);
    assert_eq!(code, 0, "{json:#} {told}");
    assert!(json["reason"].as_str().unwrap().contains("2 jobs ran and held"), "{json}");
    assert_eq!(json["outputs"]["jobs"], "make,use");
    assert_eq!(copies(&served).await, (0, vec![]));
    let rows = served.sql("SELECT verdict, tree_id, jobs FROM main.lakegate.merge_tests").await;
    let tree = git(&home, &["rev-parse", "HEAD^{tree}"]);
    assert_eq!(rows, [[Some("pass".into()), Some(tree), Some("make,use".into())]]);

    // A job that fails stops what reads it, and the copy goes all the same.
    commit(&home, &[("ops/make.py", "raise ValueError('no data')\n")]);
    let (code, json, _) = run(&["run"]);
    assert_eq!(code, 1);
    assert!(
        json["reason"].as_str().unwrap().contains("job `make` did not hold; not run: use"),
        "{json}"
    );
    assert_eq!(copies(&served).await, (0, vec![]));
    // What is expected decides, too.
    let policy = std::fs::read_to_string(home.join("lakegate.yml")).unwrap();
    commit(
        &home,
        &[("ops/make.py", "print(1)\n"), ("lakegate.yml", &policy.replace("min: 42", "min: 43"))],
    );
    let (code, json, _) = run(&["run"]);
    assert_eq!(code, 1, "{json}");
    assert!(json.to_string().contains("SELECT 42 is 42, wanted at least 43"), "{json}");

    // Nothing that matters changed: nothing runs.
    git(&home, &["checkout", "-q", "main"]);
    git(&home, &["checkout", "-q", "-b", "words"]);
    std::fs::write(home.join("README.md"), "words").unwrap();
    git(&home, &["add", "-A"]);
    git(&home, &["commit", "-qm", "docs: words"]);
    let (code, json, _) = run(&["integration"]);
    assert_eq!((code, json["outputs"]["affected"].as_str()), (0, Some("")));
    let (_, json, _) = run(&["affected", "--all"]);
    assert_eq!(json["outputs"]["jobs"], "make,use");
}

/// What jobs leave in the workspace is read like what the runner's own tests write.
#[tokio::test(flavor = "multi_thread")]
async fn results_that_jobs_leave_in_the_workspace_are_read() {
    const LEAVES: &str = "
import base64, json, os, sys, urllib.request

def leave(name, text):
    content = base64.b64encode(text.encode()).decode()
    body = {'path': '/Workspace/Shared/' + name, 'content': content, 'format': 'AUTO', 'overwrite': True}
    url = os.environ['DATABRICKS_HOST'] + '/api/2.0/workspace/import'
    headers = {'Authorization': 'Bearer ' + os.environ['DATABRICKS_TOKEN']}
    urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode(), headers)).read()

tests = \"<testsuite><testcase classname='a' name='b'/>%s</testsuite>\"
leave('junit.xml', tests % ('' if FINE else \"<testcase name='c'><failure message='no'/></testcase>\"))
leave('lcov.info', 'SF:/Workspace/x/files/ops/make.py\\nDA:1,1\\nDA:2,1\\nDA:3,0\\nend_of_record\\n')
";
    let dir = tempfile::tempdir().unwrap();
    let served = Served::start(&dir.path().join("workspace"));
    served.client().workspace_mkdirs("/Workspace/Shared").await.unwrap();
    let home = repository(dir.path());
    let policy = std::fs::read_to_string(home.join("lakegate.yml")).unwrap();
    let places =
        "    junit: [/Workspace/Shared/junit.xml]\n    coverage: [/Workspace/Shared/lcov.info]\n";
    commit(&home, &[("lakegate.yml", &format!("{policy}{places}"))]);
    let trial = |fine: &str| {
        commit(&home, &[("ops/make.py", &format!("FINE = {fine}\n{LEAVES}"))]);
        let args = ["integration", "--isolation=mine", "--base=main"];
        merge_test(served.command(), &home, &args)
    };
    let (code, json, told) = trial("True");
    assert_eq!(code, 0, "{json:#} {told}");
    let tables = json["tables"].as_array().unwrap();
    let table = tables.iter().find(|table| table["title"] == "Coverage of the jobs");
    let cells = |row: usize| table.unwrap()["rows"][row]["cells"].clone();
    assert_eq!(cells(0), serde_json::json!(["all code", "3", "66.67 %"]));
    assert_eq!(cells(1), serde_json::json!(["changed lines", "3", "66.67 %"]));
    let (code, json, _) = trial("False");
    assert!(code == 1 && json["reason"].as_str().unwrap().contains("1 test in"), "{json:#}");
    let lost = policy.clone() + "    coverage: [/Workspace/Shared/none.info]\n";
    commit(&home, &[("lakegate.yml", &lost)]);
    let (code, json, _) = trial("True");
    assert_eq!(code, 1, "{json:#}");
    assert!(json["reason"].as_str().unwrap().contains("none.info` cannot be read"), "{json:#}");
}

/// A stand-in for conda makes an environment whose Python is one, too.
#[test]
fn an_environment_of_conda_is_made_once_and_anew_where_it_changed() {
    let dir = tempfile::tempdir().unwrap();
    let home = repository(dir.path());
    let tools = dir.path().join("tools");
    std::fs::create_dir(&tools).unwrap();
    let script = |name: &str, text: &str| {
        let path = tools.join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    };
    // Of the Python: pip has nothing to do, pytest writes what it is told.
    script(
        "python",
        "#!/bin/sh\nfor word; do case $word in --junit-xml=*) cat results.xml > ${word#*=};; esac; done\n",
    );
    script(
        "micromamba",
        "#!/bin/sh\necho \"$CONDA_ALWAYS_YES $*\" >> $0.log\ntest -e fails && exit 1\nmkdir -p $7/bin && cp $(dirname $0)/python $7/bin/python\n",
    );
    let policy = "tests: {unit: {environment: auto}}\n";
    std::fs::write(home.join("environment.yml"), "dependencies: [python=3.11]\n").unwrap();
    git(&home, &["add", "-A"]);
    commit(&home, &[("lakegate.yml", policy)]);
    let unit = || {
        let mut command = lakegate();
        let path = format!("{}:{}", tools.display(), std::env::var("PATH").unwrap());
        command.env("PATH", path).env("LAKEGATE_CACHE", dir.path().join("cache"));
        merge_test(command, &home, &["unit"])
    };
    std::fs::write(home.join("fails"), "").unwrap();
    let (code, _, told) = unit();
    assert!(code == 2 && told.contains("making the environment failed"), "{code} {told}");
    std::fs::remove_file(home.join("fails")).unwrap();
    for _ in 0..2 {
        let (code, json, told) = unit();
        assert_eq!(code, 0, "{told}");
        assert!(json["reason"].as_str().unwrap().contains("1 passed"), "{json:#}");
    }
    let log = || std::fs::read_to_string(tools.join("micromamba.log")).unwrap();
    assert_eq!(log().lines().count(), 2, "{}", log());
    assert!(log().starts_with("true env create --quiet --file environment.yml --prefix /"));
    commit(&home, &[("environment.yml", "dependencies: [python=3.12]\n")]);
    assert_eq!(unit().0, 0);
    assert_eq!(log().lines().count(), 3, "{}", log());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_failed_on_main_is_tested_until_it_passes() {
    let dir = tempfile::tempdir().unwrap();
    let served = Served::start(&dir.path().join("workspace"));
    let home = repository(dir.path());
    git(&home, &["checkout", "-q", "main"]);
    let run = || {
        let (code, json, told) = merge_test(served.command(), &home, &["run", "--isolation=mine"]);
        assert!(json.is_object(), "{told}");
        (code, json["outputs"]["jobs"].as_str().unwrap().to_owned())
    };
    assert_eq!(run(), (0, "make,use".to_owned()), "nothing has passed yet");
    assert_eq!(run(), (0, String::new()), "these files have");
    commit(&home, &[("src/use.py", "raise ValueError('broken')\n")]);
    assert_eq!(run(), (1, "make,use".to_owned()));
    commit(&home, &[("code", "0\n\n")]);
    assert_eq!(run(), (1, "make,use".to_owned()), "a change that touches nothing heals nothing");
    commit(&home, &[("src/use.py", "print(1)\n")]);
    assert_eq!(run().0, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_run_leaves_is_cleaned_and_swept() {
    let dir = tempfile::tempdir().unwrap();
    let served = Served::start(&dir.path().join("workspace"));
    let home = repository(dir.path());
    commit(&home, &[("ops/make.py", "import time\ntime.sleep(600)\n")]);
    let start = |word: &str| {
        let mut command = served.command();
        command.args(["merge-test", "integration", &format!("--isolation={word}")]);
        command.current_dir(&home).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().unwrap()
    };
    let running = async || loop {
        let runs = served.client().job_list(None).await.unwrap();
        if runs.len() == 2 && served.client().run_get(1001).await.is_ok_and(|run| !run.is_queued())
        {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    let mut child = start("mine");
    running().await;
    let asked = Instant::now();
    rustix::process::kill_process(
        rustix::process::Pid::from_child(&child),
        rustix::process::Signal::INT,
    )
    .unwrap();
    let code = child.wait().unwrap().code();
    assert_eq!(code, Some(130));
    assert!(asked.elapsed() < Duration::from_secs(3), "{:?}", asked.elapsed());
    assert!(served.client().run_get(1001).await.unwrap().is_over());
    assert_eq!(copies(&served).await, (2, vec!["flights_mine".into()]));
    let (code, json, told) = merge_test(served.command(), &home, &["clean", "--isolation=mine"]);
    assert_eq!(code, 0, "{json} {told}");
    assert_eq!(copies(&served).await, (0, vec![]));

    // A run that was killed outright, with its lock: others' young copies stay.
    let mut child = start("other");
    while copies(&served).await.0 < 2 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let policy = std::fs::read_to_string(home.join("lakegate.yml")).unwrap();
    let impatient = policy.replace("   target: dev", "   target: dev\n    queue_minutes: 0.01");
    std::fs::write(home.join("lakegate.yml"), impatient).unwrap();
    let mut ci = served.command();
    ci.envs([("GITHUB_ACTIONS", "true"), ("GITHUB_RUN_ID", "2"), ("GITHUB_REPOSITORY", "a/b")]);
    let (code, _, told) = merge_test(ci, &home, &["integration", "--isolation=other"]);
    assert_eq!(code, 4, "{told}");
    assert!(told.contains("another run has the copy `other`"), "{told}");
    assert!(told.contains("merge-test clean"), "{told}");
    let (_, json, _) = merge_test(served.command(), &home, &["sweep"]);
    assert_eq!(json["outputs"]["removed"], "0");
    let (_, json, told) = merge_test(served.command(), &home, &["sweep", "--older-than=0"]);
    assert_eq!(json["outputs"]["removed"], "1", "{json} {told}");
    assert_eq!(copies(&served).await, (0, vec![]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_would_share_a_schema_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let served = Served::start(&dir.path().join("workspace"));
    let home = repository(dir.path());
    let policy = std::fs::read_to_string(home.join("lakegate.yml")).unwrap();
    commit(&home, &[("lakegate.yml", &policy.replace("flights_{isolation}", "flights"))]);
    let (code, _, told) = merge_test(served.command(), &home, &["integration", "--all"]);
    assert_eq!(code, 2, "{told}");
    assert!(told.contains("would be shared"), "{told}");
    assert_eq!(copies(&served).await, (0, vec![]));
}
