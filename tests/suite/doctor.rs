//! `doctor`: what is wrong is found, with the way out.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::hosts::{ISSUER, SUBJECT, azure_answer, github_answer, serve};
use crate::init::{init, repository};
use crate::support::{Served, git, lakegate, text};

fn doctor(mut command: Command, home: &Path) -> (i32, Value) {
    let output = command.args(["doctor", "--json"]).current_dir(home).output().unwrap();
    let told = serde_json::from_slice(&output.stdout);
    (output.status.code().unwrap(), told.unwrap_or_else(|_| panic!("{}", text(&output.stderr))))
}

/// What was said of a thing, and its way out.
fn finding<'a>(told: &'a Value, what: &str) -> (&'a str, &'a str) {
    let all = told["findings"].as_array().unwrap();
    let found = all.iter().find(|finding| finding["title"].as_str().unwrap().starts_with(what));
    let found = found.unwrap_or_else(|| panic!("{what}: {told:#}"));
    (found["title"].as_str().unwrap(), found["hint"].as_str().unwrap())
}

/// The starter project, as `init` writes it.
fn started(dir: &Path) -> PathBuf {
    let home = repository(dir);
    assert_eq!(init(&home, &["--test-target=local"]).0, 0);
    git(&home, &["add", "-A"]);
    git(&home, &["commit", "-qm", "feat: start"]);
    home
}

/// A home whose git finds GitHub in a folder; with one tag of one action.
fn github_at(home: &Path) -> String {
    let checkout = home.join("github/actions/checkout");
    std::fs::create_dir_all(&checkout).unwrap();
    git(&checkout, &["init", "-q", "-b", "main"]);
    git(&checkout, &["commit", "-qm", "x", "--allow-empty"]);
    git(&checkout, &["tag", "v5.0.0"]);
    let place = home.join("github").display().to_string();
    let config = format!("[url \"{place}/\"]\n\tinsteadOf = https://github.com/\n");
    std::fs::write(home.join(".gitconfig"), config).unwrap();
    git(&checkout, &["rev-parse", "HEAD"])
}

#[tokio::test(flavor = "multi_thread")]
async fn environments_are_looked_at_as_a_step_on_github() {
    let dir = tempfile::tempdir().unwrap();
    let home = started(dir.path());
    github_at(dir.path());
    let (address, _) = serve(github_answer).await;
    let served = Served::for_pipelines(&dir.path().join("workspace"), ISSUER, SUBJECT).await;
    let mut command = lakegate();
    command.env("HOME", dir.path()).env("GITHUB_API_URL", &address);
    command.envs([("DATABRICKS_AUTH_TYPE", "github-oidc"), ("DATABRICKS_HOST", &*served.host)]);
    command.env("ACTIONS_ID_TOKEN_REQUEST_URL", format!("{address}/oidc"));
    command.env("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "x");
    command.envs([("GITHUB_ACTIONS", "true"), ("GITHUB_REPOSITORY", "acme/flights")]);
    command.env("GITHUB_TOKEN", "ghs_token_value");
    let (_, told) = doctor(command, &home);
    assert!(finding(&told, "environment prod-release").1.contains("`lakegate init` tells which"));
    assert!(finding(&told, "environment prod:").0.contains("any branch"));
    // The workspace lets this subject in, so that nothing is wrong with it.
    let all = told.to_string();
    assert!(all.contains("`repo:acme/flights`, audience"), "{told:#}");
    assert!(all.contains("1 may agree") && !all.contains("prod-model:"), "{told:#}");
}

#[tokio::test(flavor = "multi_thread")]
async fn environments_are_looked_at_as_a_step_on_azure() {
    let dir = tempfile::tempdir().unwrap();
    let home = repository(dir.path());
    assert_eq!(init(&home, &["--host=azure", "--test-target=local"]).0, 0);
    git(&home, &["add", "-A"]);
    git(&home, &["commit", "-qm", "feat: start"]);
    let (address, _) = serve(azure_answer).await;
    let mut command = lakegate();
    command.env("HOME", dir.path()).env("SYSTEM_COLLECTIONURI", &address);
    command.envs([("TF_BUILD", "True"), ("SYSTEM_TEAMPROJECT", "ml")]);
    command.env("SYSTEM_ACCESSTOKEN", "job-token");
    let (_, told) = doctor(command, &home);
    let (said, hint) = finding(&told, "environment prod-release: is not there");
    assert!(said.contains("may not read it") && hint.contains("must agree"), "{said}");
    let (said, hint) = finding(&told, "environment prod-model");
    assert!(said.contains("agree with himself") && hint.contains("their own runs"), "{said}");
    assert!(finding(&told, "environment staging").0.contains("is not there"));
}

#[test]
fn a_commit_that_is_not_the_tag_it_claims_to_be_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let home = repository(dir.path());
    let commit = github_at(dir.path());
    assert_eq!(init(&home, &["--test-target=local"]).0, 0);
    git(&home, &["add", "-A"]);
    git(&home, &["commit", "-qm", "feat: start"]);
    let look = || {
        let mut command = lakegate();
        command.env("HOME", dir.path());
        doctor(command, &home).1
    };
    // Ours is the real one, which the folder does not hold.
    let told = look();
    let (said, hint) = finding(&told, "actions/checkout");
    assert!(said.contains(&commit) && hint.contains("the commit of the tag"), "{told:#}");
    assert!(finding(&told, "commits of tags").0.contains("actions/setup-python"), "{told:#}");
    let known = regex::Regex::new("actions/checkout@[0-9a-f]{40}").unwrap();
    for entry in std::fs::read_dir(home.join(".github/workflows")).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let text = known.replace_all(&text, format!("actions/checkout@{commit}")).into_owned();
        std::fs::write(&path, text).unwrap();
    }
    let told = look();
    assert!(!told.to_string().contains("is said to be"), "{told}");
    let may = |told: &Value| {
        let rows = told["tables"][0]["rows"].as_array().unwrap();
        let row = rows.iter().find(|row| row["cells"][1] == "permissions").unwrap();
        (row["verdict"].clone(), row["cells"][2].as_str().unwrap().to_owned())
    };
    assert_eq!(may(&told).0, "pass", "{told:#}");
    // Who approved cannot be asked without it.
    let path = home.join(".github/workflows/production.yml");
    let text = std::fs::read_to_string(&path).unwrap();
    let without = text.replace("      actions: read # who approved\n", "");
    assert_ne!(text, without);
    std::fs::write(&path, without).unwrap();
    let (verdict, words) = may(&look());
    assert_eq!(verdict, "fail");
    assert_eq!(words, "job `promote` lacks `actions: read` (who approved), in production.yml");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_found_with_its_way_out() {
    let dir = tempfile::tempdir().unwrap();
    let home = started(dir.path());

    github_at(dir.path());
    std::fs::remove_dir_all(dir.path().join("github/actions")).unwrap();
    let at_home = |mut command: Command| {
        command.env("HOME", dir.path());
        command
    };

    let mut elsewhere = lakegate();
    elsewhere.env("LAKEGATE_BUNDLE", "nowhere");
    let (code, told) = doctor(elsewhere, &home);
    assert_eq!(code, 1);
    assert!(finding(&told, "git").0.contains("no folder `nowhere`"));

    let (code, told) = doctor(at_home(lakegate()), &home);
    assert_eq!(code, 1);
    assert!(finding(&told, "identity").0.contains("no workspace is configured"));

    // A new workspace lacks what the loop will make: nothing is wrong with that.
    let served = Served::start(&dir.path().join("workspace"));
    let (code, told) = doctor(at_home(served.command()), &home);
    assert_eq!(code, 0, "{told:#}");
    assert!(finding(&told, "record.schema").1.contains("CREATE SCHEMA `main`.`flights`"));
    assert!(finding(&told, "drift.retrain_job").1.contains("deployment"));

    served.sql("CREATE SCHEMA main.flights").await;
    served.sql("CREATE TABLE main.flights.features AS SELECT 1 AS month").await;
    let mut deploy = served.command();
    deploy.args(["bundle-deploy", "apply"]).current_dir(&home);
    let deployed = deploy.output().unwrap();
    assert!(deployed.status.success(), "{}", text(&deployed.stderr));
    let (code, told) = doctor(at_home(served.command()), &home);
    assert_eq!(code, 0, "{told:#}");
    let all = told.to_string();
    for words in ["may be written to", "1 columns", "was deployed 1 times", "flights-train"] {
        assert!(all.contains(words), "{words}: {told:#}");
    }

    let merge = home.join(".github/workflows/merge-request.yml");
    let own = std::fs::read_to_string(&merge).unwrap();
    let (first, rest) = own.split_once("actions/checkout@").unwrap();
    let moved = format!("{first}actions/checkout@v5 #{}", rest.split_once('#').unwrap().1);
    std::fs::write(&merge, moved.replace("action: clean", "acton: clean")).unwrap();
    let bundle = std::fs::read_to_string(home.join("databricks.yml")).unwrap();
    let broken = bundle.replace("variables: {catalog: prod}", "variables: {catalogue: prod}");
    std::fs::write(home.join("databricks.yml"), broken).unwrap();
    let mut here = served.command();
    here.env("DATABRICKS_WAREHOUSE_ID", "none").envs([("TF_BUILD", "True")]);
    let (code, told) = doctor(at_home(here), &home);
    assert_eq!(code, 1);
    assert!(finding(&told, "pinned actions").0.contains("actions/checkout@v5 (merge-request.yml)"));
    assert!(finding(&told, "inputs").0.contains("no input `acton`, did you mean `action`?"));
    assert!(finding(&told, "target prod").1.contains("catalog"));
    assert!(finding(&told, "SQL warehouse").0.contains("none"));
    assert!(finding(&told, "SYSTEM_ACCESSTOKEN").1.contains("$(System.AccessToken)"));
}

#[test]
fn nothing_is_wrong_with_what_init_writes() {
    for host in ["--host=github", "--host=azure"] {
        for form in ["--workflows=whole", "--workflows=call"] {
            let dir = tempfile::tempdir().unwrap();
            github_at(dir.path());
            let home = repository(dir.path());
            let args = [host, form, "--test-target=local", "--plan-comment", "--serve"];
            let (code, told) = init(&home, &args);
            assert_eq!(code, 0, "{told}");
            git(&home, &["add", "-A"]);
            git(&home, &["commit", "-qm", "feat: start"]);
            let mut command = lakegate();
            command.env("HOME", dir.path()).args(["doctor", "--json", "--local"]);
            let output = command.current_dir(&home).output().unwrap();
            let told: Value = serde_json::from_slice(&output.stdout).unwrap();
            let titles = told["findings"].as_array().unwrap().iter();
            let of = ["inputs", "variables", "permissions", "tasks", "pinned", "one Lakegate"];
            let wrong = titles
                .map(|finding| finding["title"].as_str().unwrap())
                .find(|title| of.iter().any(|what| title.starts_with(what)));
            assert_eq!(wrong, None, "{args:?}");
        }
    }
}
