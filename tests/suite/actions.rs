//! The commands as steps of GitHub and Azure DevOps.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::{Value, json};

use crate::agent::{Said, commands};
use crate::init::read_as_github_does;
use crate::support::{git, root, text, tool, within};

const SHA: &str = "1111111111111111111111111111111111111111";

/// The actions, tasks and workflows alone, as a repository: what a user's workflow
/// fetches.
fn copy_suite(home: &Path, change: impl Fn(String) -> String) {
    std::fs::create_dir_all(home).unwrap();
    std::fs::copy(root().join("action.yml"), home.join("action.yml")).unwrap();
    for folder in ["actions", "tasks", ".github", "pipelines"] {
        for file in lakegate::sys::fs::files_below(root().join(folder)).unwrap() {
            let (from, to) = (root().join(folder).join(&file), home.join(folder).join(&file));
            std::fs::create_dir_all(to.parent().unwrap()).unwrap();
            std::fs::copy(&from, &to).unwrap();
            if folder == ".github" {
                std::fs::write(&to, change(std::fs::read_to_string(&from).unwrap())).unwrap();
            }
        }
    }
    git(home, &["init", "-q", "-b", "main"]);
    git(home, &["add", "-A"]);
    git(home, &["commit", "-qm", "x"]);
}

/// The suite as act takes it, which does not know `$/`: this repository at this commit.
pub(crate) fn suite() -> &'static Path {
    static COPY: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let (_, path) = COPY.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let home = dir.path().join("lakegate");
        let this = regex::Regex::new(r"uses: \$/(\S+)").unwrap();
        let own = format!("uses: lakegate/lakegate/${{1}}@{SHA}");
        copy_suite(&home, |text| this.replace_all(&text, &own).into_owned());
        (dir, home)
    });
    path
}

/// What a reader of workflows says, which must be content.
pub(crate) fn linted(at: &Path, name: &str, args: &[&str]) -> String {
    let mut command = Command::new(tool(name));
    let path = format!("{}:{}", tool("").display(), std::env::var("PATH").unwrap());
    command.args(args).current_dir(at).env("PATH", path);
    let output = within(Duration::from_secs(120), &mut command);
    let said = text(&output.stdout) + &text(&output.stderr);
    assert!(output.status.success(), "{name}: {said}");
    said
}

#[test]
fn what_reads_actions_as_github_does_finds_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path().join("lakegate");
    copy_suite(&home, |text| text);
    let run = |name: &str, args: &[&str]| linted(&home, name, args);
    assert!(run("zizmor", &["--offline", "--pedantic", "."]).contains("No findings to report"));
    run("jactionlint", &["--shellcheck="]);
    let mut actions = vec!["action.yml".to_owned()];
    for entry in std::fs::read_dir(home.join("actions")).unwrap() {
        let entry = entry.unwrap();
        if entry.path().is_dir() {
            actions.push(format!("actions/{}/action.yml", entry.file_name().display()));
        }
    }
    assert_eq!(actions.len(), 10);
    for action in &actions {
        run("check-jsonschema", &["--builtin-schema", "vendor.github-actions", action]);
    }
    let workflows = read_as_github_does(&home.join(".github/workflows"));
    assert_eq!(workflows, 6);
}

/// A repository that calls an action.
fn consumer(at: &Path, inputs: &str, result: &str) -> PathBuf {
    let home = at.join("consumer");
    std::fs::create_dir_all(home.join(".github/workflows")).unwrap();
    let write = |file: &str, text: &str| std::fs::write(home.join(file), text).unwrap();
    write("databricks.yml", "bundle: {name: flights}\ntargets: {dev: {default: true}}\n");
    write(
        "lakegate.yml",
        "tests: {unit: {environment: none, command: [sh, tests.sh, '{junit}']}}\n",
    );
    write("result.xml", result);
    write(
        "tests.sh",
        "echo '::set-output name=verdict::forged'; echo '##[add-mask]pass'; cat result.xml > $1\n",
    );
    let binaries = Path::new(env!("CARGO_BIN_EXE_lakegate")).parent().unwrap().display();
    write(
        ".github/workflows/merge.yml",
        &format!(
            "name: merge\non: pull_request\npermissions: {{}}\njobs:\n  test:\n    runs-on: ubuntu-latest\n    timeout-minutes: 10\n    permissions: {{contents: read}}\n    env: {{LAKEGATE_FAIL_ON: not-pass, LAKEGATE_COMMENT: never}}\n    steps:\n      - uses: actions/checkout@{SHA} # v9.9.9\n        with: {{persist-credentials: false}}\n      - id: merge\n        uses: lakegate/lakegate/actions/merge-test@{SHA} # v0.1.0\n        with:\n          binary-path: {binaries}\n{inputs}        env:\n          INPUT_ACTION: poison\n      - if: always()\n        run: echo \"verdict=$VERDICT reason=$REASON\"\n        env:\n          VERDICT: ${{{{ steps.merge.outputs.verdict }}}}\n          REASON: ${{{{ steps.merge.outputs.reason }}}}\n"
        ),
    );
    git(&home, &["init", "-q", "-b", "main"]);
    git(&home, &["remote", "add", "origin", "https://github.com/acme/flights"]);
    git(&home, &["add", "-A"]);
    git(&home, &["commit", "-qm", "x"]);
    home
}

/// Runs the workflow of a merge request; its lines as act tells them.
pub(crate) fn act(home: &Path, more: &[String]) -> (bool, Vec<Value>) {
    act_on(home, "pull_request", more)
}

/// Runs the workflows of an event.
pub(crate) fn act_on(home: &Path, event: &str, more: &[String]) -> (bool, Vec<Value>) {
    let file = home.join("../event.json");
    let head = git(home, &["rev-parse", "HEAD"]);
    let pull = json!({ "number": 7, "base": { "ref": "main" }, "head": { "ref": "change", "sha": head, "repo": { "full_name": "acme/flights" } } });
    let told = match event {
        "pull_request" => json!({ "number": 7, "pull_request": pull }),
        _ => json!({}),
    };
    std::fs::write(&file, told.to_string()).unwrap();
    let mut command = Command::new(tool("act"));
    command
        .args([event, "--json", "--no-cache-server", "-P", "ubuntu-latest=-self-hosted"])
        .args(["-s", "GITHUB_TOKEN=ghs_token_value", "-e"])
        .arg(&file)
        .arg(format!("--local-repository=lakegate/lakegate@{SHA}={}", suite().display()))
        .args(more)
        .current_dir(home);
    let output = within(Duration::from_secs(600), &mut command);
    let lines = text(&output.stdout);
    let lines = lines.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    (output.status.success(), lines)
}

pub(crate) fn said(lines: &[Value]) -> String {
    lines.iter().filter_map(|line| line["msg"].as_str()).collect::<Vec<_>>().join("\n")
}

/// What the steps wrote for people, without what Markdown needs.
pub(crate) fn summary(lines: &[Value]) -> String {
    let of_steps = lines.iter().filter(|line| line["command"] == "summary");
    let told: Vec<&str> = of_steps.filter_map(|line| line["content"].as_str()).collect();
    told.join("\n").replace('\\', "")
}

const GREEN: &str = "<testsuite><testcase classname='a' name='b'/></testsuite>";
const RED: &str = "<testsuite><testcase classname='a' name='b'><failure message='no'>tests/t.py:3: E</failure></testcase></testsuite>";

#[test]
fn an_action_passes_its_verdict_on() {
    let dir = tempfile::tempdir().unwrap();
    let home = consumer(dir.path(), "          action: unit\n          base: main\n", GREEN);
    let (passed, lines) = act(&home, &[]);
    assert!(passed, "{}", said(&lines));
    assert!(said(&lines).contains("verdict=pass reason=static checks"), "{}", said(&lines));
    assert!(summary(&lines).contains("Test the change"), "{}", summary(&lines));
    let forged = lines.iter().any(|line| line["arg"] == "forged" || line["command"] == "add-mask");
    assert!(!forged, "a test's words were taken for a command");
}

#[test]
fn a_failing_test_fails_the_job_and_stands_at_its_line() {
    let dir = tempfile::tempdir().unwrap();
    let home = consumer(dir.path(), "          action: unit\n          base: main\n", RED);
    let annotation = || {
        let (passed, lines) = act(&home, &[]);
        assert!(!passed);
        assert!(
            said(&lines).contains("verdict=fail reason=unit tests: 1 test"),
            "{}",
            said(&lines)
        );
        let mut errors = lines.iter().filter(|line| line["command"] == "error");
        errors.find(|line| line["kvPairs"]["file"] == "tests/t.py").cloned()
    };
    // act may end a step before it has read all that the step said.
    let error = (0..3).find_map(|_| annotation()).expect("an annotation");
    // act ends the properties at the last `::`, GitHub at the first.
    assert!(error["kvPairs"]["line"].as_str().unwrap().starts_with('3'));
}

#[test]
fn a_wrong_input_is_told_with_the_right_ones() {
    let dir = tempfile::tempdir().unwrap();
    let home = consumer(dir.path(), "          action: units\n", GREEN);
    let (passed, lines) = act(&home, &[]);
    assert!(!passed);
    let error = lines.iter().find(|line| line["command"] == "error").expect("an annotation");
    let told = error["arg"].as_str().unwrap();
    assert!(told.contains("invalid value 'units'") && told.contains("'unit'"), "{told}");
}

/// A value of several lines that a shell would take for commands comes to the
/// command as it is.
#[test]
fn an_input_is_handed_over_as_it_is() {
    let value = "a 'b' \"c\" $(touch x) `touch x` ${HOME} 100% ;g]";
    let inputs = format!(
        "          action: unit\n          config: |-\n            {value}\n            h\n"
    );
    let dir = tempfile::tempdir().unwrap();
    let home = consumer(dir.path(), &inputs, GREEN);
    let (passed, lines) = act(&home, &[]);
    let said = said(&lines);
    assert!(!passed, "{said}");
    let error = lines.iter().find(|line| line["command"] == "error").expect("an annotation");
    let told = error["arg"].as_str().unwrap();
    assert!(told.contains(&format!("`{value} h` does not exist")), "{told}");
    assert!(!home.join("x").exists());
}

/// What `install.sh` says and does for a command.
fn install(at: &Path, sums: &str, variables: &[(&str, &str)]) -> Output {
    let actions = at.join("suite/actions");
    std::fs::create_dir_all(&actions).unwrap();
    std::fs::copy(root().join("actions/install.sh"), actions.join("install.sh")).unwrap();
    std::fs::write(actions.join("checksums.txt"), sums).unwrap();
    let mut command = Command::new("bash");
    command
        .args([
            "-c",
            "set -Ceuo pipefail; source suite/actions/install.sh; lakegate_program lakegate-job-run",
        ])
        .current_dir(at)
        .env("RUNNER_TEMP", at)
        .env("RUNNER_TOOL_CACHE", at.join("tools"))
        .envs(variables.iter().copied());
    within(Duration::from_secs(60), &mut command)
}

/// A released archive in the folder `mirror`: its name, its line in the checksums,
/// and the file that its program makes when it runs.
fn archive(at: &Path) -> (String, String, PathBuf) {
    let platform = format!("{}-unknown-linux-musl", std::env::consts::ARCH);
    let name = format!("lakegate-job-run-{}-{platform}.tar.gz", env!("CARGO_PKG_VERSION"));
    std::fs::create_dir_all(at.join("mirror/in")).unwrap();
    let mark = at.join("was-run");
    std::fs::write(
        at.join("mirror/in/lakegate-job-run"),
        format!("#!/bin/sh\ntouch {}\n", mark.display()),
    )
    .unwrap();
    let script = format!(
        "chmod +x in/lakegate-job-run && tar -czf {name} -C in lakegate-job-run && sha256sum {name} > ../sums"
    );
    let mut pack = Command::new("sh");
    assert!(pack.args(["-c", &script]).current_dir(at.join("mirror")).status().unwrap().success());
    (name, std::fs::read_to_string(at.join("sums")).unwrap(), mark)
}

#[test]
fn the_front_door_puts_commands_on_the_path() {
    let dir = tempfile::tempdir().unwrap();
    let binaries = Path::new(env!("CARGO_BIN_EXE_lakegate")).parent().unwrap();
    let run = |commands: &str| {
        for file in ["path", "output"] {
            std::fs::write(dir.path().join(file), "").unwrap();
        }
        let mut script = Command::new(root().join("actions/setup.sh"));
        script.env("LAKEGATE_COMMANDS", commands).env("LAKEGATE_BINARY_PATH", binaries);
        script.env("GITHUB_PATH", dir.path().join("path")).env("RUNNER_TEMP", dir.path());
        script.env("GITHUB_OUTPUT", dir.path().join("output"));
        within(Duration::from_secs(60), &mut script)
    };
    let output = run("job-run model-gate");
    assert!(output.status.success(), "{}", text(&output.stdout));
    let path = std::fs::read_to_string(dir.path().join("path")).unwrap();
    assert!(Path::new(path.trim()).join("lakegate-job-run").exists(), "{path}");
    let told = std::fs::read_to_string(dir.path().join("output")).unwrap();
    assert_eq!(told, format!("folder={path}"));
    let output = run("job-run modl-gate");
    let said = text(&output.stderr);
    assert!(!output.status.success() && said.contains("no 'modl-gate' among"), "{said}");
    assert_eq!(std::fs::read_to_string(dir.path().join("path")).unwrap(), "");
}

#[test]
fn nothing_is_run_that_is_not_the_released_binary() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let (name, sums, mark) = archive(at);
    let mirror = at.join("mirror").display().to_string();
    let refused = |sums: &str, variables: &[(&str, &str)], words: &str| {
        let output = install(at, sums, variables);
        assert_eq!(output.status.code(), Some(2), "{}", text(&output.stdout));
        let said = text(&output.stderr);
        assert!(said.contains("::error title=lakegate::") && said.contains(words), "{said}");
        assert!(!at.join("tools").exists(), "something was kept");
    };
    refused("# none yet\n", &[("LAKEGATE_MIRROR", &mirror)], "has no released lakegate-job-run");
    let wrong = format!("{}  {name}\n", "0".repeat(64));
    refused(&wrong, &[("LAKEGATE_MIRROR", &mirror)], "nothing was run");
    refused(&sums, &[("LAKEGATE_MIRROR", "/nowhere")], "holds no");
    refused(&sums, &[("LAKEGATE_MIRROR", "ftp://x.test")], "no https address");
    refused(&sums, &[("LAKEGATE_MIRROR", "http://127.0.0.1:9")], "could not be fetched");
    refused(&sums, &[("LAKEGATE_BINARY_PATH", "/nowhere")], "cannot be run");
    // Cut short on its way.
    let archive = at.join("mirror").join(&name);
    let whole = std::fs::read(&archive).unwrap();
    std::fs::write(&archive, &whole[..whole.len() / 2]).unwrap();
    refused(&sums, &[("LAKEGATE_MIRROR", &mirror)], "nothing was run");
    std::fs::write(&archive, whole).unwrap();
    let output = install(at, &sums, &[("LAKEGATE_MIRROR", &mirror)]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let found = text(&output.stdout);
    // From then on it is there, whatever becomes of the mirror; for the next job, too.
    let again = || install(at, &sums, &[("LAKEGATE_MIRROR", "/nowhere")]);
    assert_eq!(text(&again().stdout), found);
    let next_job = || std::fs::remove_dir_all(Path::new(&found).parent().unwrap()).unwrap();
    next_job();
    assert_eq!(text(&again().stdout), found);
    // Another job has written to the cache.
    next_job();
    let kept = at.join("tools/lakegate").join(env!("CARGO_PKG_VERSION")).join(&name);
    std::fs::write(&kept, "another").unwrap();
    let output = again();
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stdout));
    assert!(text(&output.stderr).contains("holds no"), "{}", text(&output.stderr));
    let output = install(at, &sums, &[("LAKEGATE_MIRROR", &mirror)]);
    assert_eq!(text(&output.stdout), found, "{}", text(&output.stderr));
    assert!(!mark.exists());
}

/// Runs a task's shim as the agent does: inputs as `INPUT_*`, commands on its
/// standard output.
fn task(at: &Path, name: &str, variables: &[(&str, &str)]) -> Vec<Said> {
    let folder = at.join("task");
    std::fs::create_dir_all(&folder).unwrap();
    for (from, to) in
        [("shim.js".to_owned(), "shim.js"), (format!("{name}/inputs.json"), "inputs.json")]
    {
        std::fs::copy(root().join("tasks").join(from), folder.join(to)).unwrap();
    }
    let mut command = Command::new("node");
    command
        .arg(folder.join("shim.js"))
        .current_dir(at)
        .env("AGENT_TEMPDIRECTORY", at)
        .env("TF_BUILD", "True")
        .envs(variables.iter().copied());
    let output = within(Duration::from_secs(60), &mut command);
    assert!(output.status.success(), "{}", text(&output.stderr));
    commands(&text(&output.stdout))
}

#[test]
fn a_task_runs_the_released_binary_and_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path();
    let (name, sums, mark) = archive(at);
    let place = |name: &str| at.join(name).display().to_string();
    for folder in ["task", "temp", "temp2", "tools"] {
        std::fs::create_dir_all(at.join(folder)).unwrap();
    }
    let run = |sums: &str, mirror: &str, temp: &str| {
        std::fs::write(at.join("task/checksums.txt"), sums).unwrap();
        let mirror = if mirror.contains("://") { mirror.to_owned() } else { place(mirror) };
        let (temp, tools) = (place(temp), place("tools"));
        let variables = [
            ("INPUT_MIRROR", mirror.as_str()),
            ("AGENT_TEMPDIRECTORY", &temp),
            ("AGENT_TOOLSDIRECTORY", &tools),
        ];
        task(at, "job-run", &variables)
    };
    let refused = |sums: &str, mirror: &str, words: &str| {
        let commands = run(sums, mirror, "temp");
        let refused = commands.iter().any(|said| said.is("task.complete result=Failed", words));
        assert!(refused, "{words}: {commands:?}");
        assert!(!mark.exists());
    };
    refused("# none yet\n", "mirror", "knows no released lakegate-job-run");
    refused(&format!("{}  {name}\n", "0".repeat(64)), "mirror", "nothing was run");
    refused(&sums, "nowhere", "holds no");
    refused(&sums, "ftp://x.test", "no https address");
    refused(&sums, "http://127.0.0.1:9", "could not be fetched");
    assert!(run(&sums, "mirror", "temp").is_empty());
    assert!(mark.exists());
    // The next job has it from the tools, which are proved again.
    std::fs::remove_file(&mark).unwrap();
    assert!(run(&sums, "nowhere", "temp2").is_empty());
    assert!(mark.exists());
    std::fs::remove_file(&mark).unwrap();
    std::fs::remove_dir_all(at.join("temp2")).unwrap();
    std::fs::create_dir_all(at.join("temp2")).unwrap();
    let kept = at.join("tools/lakegate").join(env!("CARGO_PKG_VERSION")).join(&name);
    std::fs::write(kept, "another").unwrap();
    let commands = run(&sums, "nowhere", "temp2");
    assert!(commands.iter().any(|said| said.is("", "holds no")), "{commands:?}");
    assert!(!mark.exists());
}

/// The task that runs the unit tests of a consumer, with inputs that are blank or
/// as the agent gives them.
fn unit_tests(at: &Path, home: &Path, more: &[(&str, &str)]) -> Vec<Said> {
    let binaries = Path::new(env!("CARGO_BIN_EXE_lakegate")).parent().unwrap();
    let [binaries, home] = [binaries, home].map(|path| path.to_str().unwrap());
    let own = [
        ("INPUT_BINARYPATH", binaries),
        ("INPUT_WORKINGDIRECTORY", home),
        ("INPUT_ACTION", "unit"),
        ("INPUT_BASE", "main"),
        ("INPUT_COMMENT", "never"),
        ("INPUT_TARGET", "  "),
        ("INPUT_ALL", "false"),
        ("AGENT_TEMPDIRECTORY", home),
    ];
    task(at, "merge-test", &[&own, more].concat())
}

#[test]
fn a_task_hands_inputs_over_and_results_back() {
    let dir = tempfile::tempdir().unwrap();
    let home = consumer(dir.path(), "", RED);
    let place = home.display().to_string();
    let run = |more: &[(&str, &str)]| unit_tests(dir.path(), &home, more);
    let has = |commands: &[Said], head: &str, message: &str| {
        commands.iter().any(|said| said.is(head, message))
    };
    let commands = run(&[]);
    for (head, message) in [
        ("task.setvariable variable=verdict;isOutput=true", "fail"),
        ("task.logissue type=error;code=merge/test;sourcepath=tests/t.py;linenumber=3", "failed"),
        ("task.complete result=Failed", "the verdict is a fail"),
        ("task.uploadsummary", ".md"),
    ] {
        assert!(has(&commands, head, message), "no {head} in {commands:?}");
    }
    // A verdict that fails nothing.
    let commands = run(&[("INPUT_FAILON", "never")]);
    assert!(has(&commands, "task.complete result=Succeeded", ""), "{commands:?}");
    let commands = run(&[("INPUT_ACTION", "nonsense")]);
    assert!(has(&commands, "task.complete result=Failed", "wrong inputs"), "{commands:?}");
    // The suite's binary itself.
    let commands = run(&[("INPUT_BINARYPATH", env!("CARGO_BIN_EXE_lakegate"))]);
    assert!(has(&commands, "task.complete result=Failed", "the verdict is a fail"), "{commands:?}");
    // A template's boolean, and the folder that a pipeline's variable names.
    let told = [
        ("INPUT_ALL", "True"),
        ("INPUT_WORKINGDIRECTORY", ""),
        ("LAKEGATE_WORKING_DIRECTORY", &place),
    ];
    let commands = run(&told);
    assert!(has(&commands, "task.complete result=Failed", "the verdict is a fail"), "{commands:?}");
    let commands = run(&[("INPUT_FAILOM", "never")]);
    let told = commands[1].is("task.complete result=Failed", "did you mean 'failOn'?");
    assert!(told, "{commands:?}");
    // A pipeline's own variable.
    let commands = run(&[("INPUT_PATH", "data")]);
    assert!(has(&commands, "task.complete result=Failed", "the verdict is a fail"), "{commands:?}");
    let commands = run(&[("INPUT_BINARYPATH", "/nowhere")]);
    assert!(has(&commands, "task.complete result=Failed", "is not there"), "{commands:?}");
    let ends = commands.iter().filter(|said| said.name() == "task.complete").count();
    assert_eq!(ends, 1);
}

/// What a test says is told to the last character, and nothing of it is done.
#[test]
fn a_task_repeats_no_command_that_a_test_has_said() {
    let hostile = "x]%0A##vso[task.setvariable variable=verdict;isOutput=true]pass ; 100 % 'a' \"b\" $(x) `y`";
    let escaped = hostile.replace('"', "&quot;").replace('\'', "&apos;");
    let red = format!(
        "<testsuite><testcase classname='a' name='b'><failure message='{escaped}'>tests/t;].py:3: E</failure></testcase></testsuite>"
    );
    let dir = tempfile::tempdir().unwrap();
    let home = consumer(dir.path(), "", &red);
    let commands = unit_tests(dir.path(), &home, &[]);
    let verdicts = commands.iter().filter(|said| said.is("task.setvariable variable=verdict", ""));
    let verdicts: Vec<&str> = verdicts.map(|said| &*said.message).collect();
    assert_eq!(verdicts, ["fail"], "{commands:?}");
    let issue = commands.iter().find(|said| said.is("task.logissue type=error", "a::b"));
    let issue = issue.unwrap_or_else(|| panic!("{commands:?}"));
    let shown = hostile.replace("##vso[", "**vso[");
    assert_eq!(issue.message, format!("a::b failed: {shown}"));
    assert_eq!(issue.properties["sourcepath"], "tests/t;].py");
}

/// What `tasks.schema.json` of azure-pipelines-task-lib knows, of what we use; and
/// `restrictions`, which is of the guide to tasks and of the agent.
const OF_A_TASK: [&str; 17] = [
    "$schema",
    "id",
    "name",
    "friendlyName",
    "description",
    "author",
    "helpMarkDown",
    "category",
    "visibility",
    "version",
    "minimumAgentVersion",
    "instanceNameFormat",
    "groups",
    "inputs",
    "OutputVariables",
    "restrictions",
    "execution",
];

/// The schema that Azure's own tools hold a task to, in its essentials.
#[test]
fn tasks_have_the_form_that_azure_takes() {
    let is_name = |name: &str| {
        name.starts_with(|char: char| char.is_ascii_lowercase())
            && name.chars().all(|char| char.is_ascii_alphanumeric())
    };
    for entry in std::fs::read_dir(root().join("tasks")).unwrap() {
        let path = entry.unwrap().path();
        if !path.is_dir() {
            continue;
        }
        let task: Value =
            serde_json::from_str(&std::fs::read_to_string(path.join("task.json")).unwrap())
                .unwrap();
        let name = task["name"].as_str().unwrap();
        assert!(name.chars().all(|char| char.is_ascii_alphanumeric()), "{name}");
        for key in task.as_object().unwrap().keys() {
            assert!(OF_A_TASK.contains(&key.as_str()), "{name} {key}");
        }
        assert!(task["friendlyName"].as_str().unwrap().len() <= 40, "{name}");
        let outputs = task["OutputVariables"].as_array().unwrap();
        let outputs: Vec<&Value> = outputs.iter().map(|output| &output["name"]).collect();
        for output in &outputs {
            assert!(is_name(output.as_str().unwrap()), "{name} {output}");
        }
        assert_eq!(task["restrictions"]["settableVariables"]["allowed"], json!(outputs), "{name}");
        assert!(task["instanceNameFormat"].as_str().unwrap().len() < 60);
        assert!(uuid::Uuid::parse_str(task["id"].as_str().unwrap()).is_ok());
        let groups: Vec<&str> = task["groups"]
            .as_array()
            .unwrap()
            .iter()
            .map(|group| group["name"].as_str().unwrap())
            .collect();
        for input in task["inputs"].as_array().unwrap() {
            let own = input["name"].as_str().unwrap();
            assert!(is_name(own), "{name} {own}");
            assert!(input["label"].is_string() && input["type"].is_string(), "{name} {own}");
            // The agent hands defaults over, and makes a path of what is blank.
            let default = input["defaultValue"].as_str().unwrap();
            assert!(default.is_empty() || own == "action", "{name} {own}: {default}");
            assert_ne!(input["type"], "filePath", "{name} {own}");
            if let Some(rule) = input["visibleRule"].as_str() {
                for part in rule.split(" || ") {
                    let (of, value) = part.split_once(" = ").unwrap();
                    let mut all = task["inputs"].as_array().unwrap().iter();
                    let of = all.find(|input| input["name"] == of).unwrap();
                    assert!(of["options"].get(value).is_some(), "{name} {own}: {rule}");
                }
            }
            if input["type"] == "pickList" {
                let default = input["defaultValue"].as_str().unwrap();
                assert!(
                    default.is_empty() || input["options"].get(default).is_some(),
                    "{name} {own}: {default}"
                );
            }
            if let Some(group) = input["groupName"].as_str() {
                assert!(groups.contains(&group), "{name} {own}");
            }
        }
    }
}
