//! What the documentation says: its links lead somewhere, its commands are read, its
//! policies and workflows are valid, its messages are told.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use lakegate::config::Config;
use regex::Regex;
use serde_json::Value;

use crate::actions::linted;
use crate::agent::expand;
use crate::init::{read_as_github_does, repository};
use crate::support::{Served, git, root};

/// Every page, by its path in the repository.
fn pages() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let folders = ["", "docs", "docs/reference", "docs/tables", "actions", "tasks"];
    for folder in folders.into_iter().chain(["templates/project"]) {
        let mut all: Vec<PathBuf> = Vec::new();
        for entry in std::fs::read_dir(root().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            all.push(if folder == "actions" { path.join("README.md") } else { path });
        }
        all.retain(|path| path.is_file() && path.extension().is_some_and(|end| end == "md"));
        all.sort();
        found.extend(all.into_iter().map(|path| {
            let text = std::fs::read_to_string(&path).unwrap();
            (path.strip_prefix(root()).unwrap().to_path_buf(), text)
        }));
    }
    assert!(found.len() > 30, "{}", found.len());
    found
}

/// The anchor of a heading, as GitHub and the book make it.
fn anchor(heading: &str) -> String {
    let kept = heading.to_lowercase();
    let kept = kept.chars().filter(|char| char.is_alphanumeric() || " -_".contains(*char));
    kept.map(|char| if char == ' ' { '-' } else { char }).collect()
}

#[test]
fn every_link_leads_somewhere() {
    let link = Regex::new(r"\]\(([^)\s]+)\)").unwrap();
    for (page, text) in pages() {
        for found in link.captures_iter(&text) {
            let target = &found[1];
            if target.contains("://") {
                continue;
            }
            let (file, place) = target.split_once('#').unwrap_or((target, ""));
            let there = match file {
                "" => root().join(&page),
                file => root().join(page.parent().unwrap()).join(file),
            };
            assert!(there.exists(), "{}: {target}", page.display());
            if !place.is_empty() {
                let text = std::fs::read_to_string(&there).unwrap();
                let headings = text.lines().filter_map(|line| line.strip_prefix('#'));
                let known: BTreeSet<String> =
                    headings.map(|line| anchor(line.trim_start_matches('#').trim())).collect();
                assert!(known.contains(place), "{}: {target}", page.display());
            }
        }
    }
}

#[test]
fn the_book_has_every_page_once() {
    let summary = std::fs::read_to_string(root().join("docs/SUMMARY.md")).unwrap();
    let link = Regex::new(r"\]\(([^)]+)\)").unwrap();
    let mut listed: Vec<String> =
        link.captures_iter(&summary).map(|found| found[1].to_owned()).collect();
    listed.sort();
    let mut there: Vec<String> = pages()
        .into_iter()
        .filter_map(|(page, _)| Some(page.strip_prefix("docs").ok()?.display().to_string()))
        .filter(|page| page != "SUMMARY.md")
        .collect();
    there.sort();
    assert_eq!(listed, there);
}

/// The blocks of a language: the page, the line, the text without its indentation.
fn blocks(language: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    for (page, text) in pages() {
        let mut open: Option<(usize, usize, String)> = None;
        for (at, line) in text.lines().enumerate() {
            let bare = line.trim_start();
            match &mut open {
                None if bare == format!("```{language}") => {
                    open = Some((at + 1, line.len() - bare.len(), String::new()));
                }
                Some(_) if bare == "```" => {
                    let (line, _, text) = open.take().unwrap();
                    found.push((format!("{}:{line}", page.display()), text));
                }
                Some((_, indent, text)) => {
                    text.push_str(line.get(*indent..).unwrap_or_default());
                    text.push('\n');
                }
                None => {}
            }
        }
    }
    found
}

#[test]
fn every_command_line_is_one() {
    let mut count = 0;
    let open = Regex::new("<[a-z-]+>").unwrap();
    for (place, text) in blocks("sh") {
        // Other programs' lines a shell reads, too.
        let script = open.replace_all(&text, "something");
        let read = std::process::Command::new("bash").args(["-n", "-c", &script]).output().unwrap();
        assert!(read.status.success(), "{place}: {}", crate::support::text(&read.stderr));
        for line in text.lines() {
            // What follows another command, and what stands behind a comment.
            let line = line.split(" #").next().unwrap();
            for command in line.split("&&") {
                let command = command.trim().trim_end_matches('&').trim();
                if !command.starts_with("lakegate ") {
                    continue;
                }
                let words = shlex::split(command).unwrap_or_else(|| panic!("{place}: {command}"));
                let words: Vec<String> =
                    words.iter().map(|word| word.replace('…', "something")).collect();
                if let Err(error) = lakegate::cli::read(&words) {
                    // Help is no error of the line.
                    let is_help = !error.contains("error:") && error.contains("Usage: lakegate");
                    assert!(is_help, "{place}: {error}");
                }
                count += 1;
            }
        }
    }
    assert!(count > 30, "{count}");
}

/// A block as part of a whole policy: some show fields of one section only.
fn policy(text: &str) -> Result<(), String> {
    let read = |text: &str| {
        Config::parse("lakegate.yml", text).map(|_| ()).map_err(|error| error.to_string())
    };
    let inside: String = text.lines().map(|line| format!("  {line}\n")).collect();
    let needed = [
        "problem: binary",
        "predictions: a.b.c",
        "key: [id]",
        "label: label",
        "candidate: one",
        "champion: other",
        "rules: [{metric: roc_auc, min: 0.5}]",
    ];
    let missing = needed.iter().filter(|field| {
        let name = field.split(':').next().unwrap();
        !text.lines().any(|line| line.starts_with(&format!("  {name}:")))
    });
    let missing: String = missing.map(|field| format!("  {field}\n")).collect();
    let attempts = [
        text.to_owned(),
        format!("drift:\n  baseline: a.b.c\n  current: a.b.d\n{inside}"),
        text.replacen("gate:\n", &format!("gate:\n{missing}"), 1),
    ];
    let said: Vec<_> = attempts.iter().map(|text| read(text)).collect();
    if said.iter().any(Result::is_ok) { Ok(()) } else { Err(format!("{said:?}")) }
}

/// Tasks of ours have the name, the version and the inputs that they are given.
fn is_known_to_azure(place: &str, text: &str) {
    let read: Value = serde_yaml::from_str(text).unwrap_or_else(|_| panic!("{place}"));
    let steps = read.get("steps").unwrap_or(&read).as_array().unwrap_or_else(|| panic!("{place}"));
    for step in steps.iter().filter(|step| step["task"].is_string()) {
        let (name, major) = step["task"].as_str().unwrap().split_once('@').unwrap();
        let tasks = std::fs::read_dir(root().join("tasks")).unwrap().filter_map(|entry| {
            let text = std::fs::read_to_string(entry.unwrap().path().join("task.json")).ok()?;
            serde_json::from_str::<Value>(&text).ok()
        });
        let task = tasks.into_iter().find(|task| task["name"] == name);
        let task = task.unwrap_or_else(|| panic!("{place}: {name}"));
        assert_eq!(task["version"]["Major"].to_string(), major, "{place}: {name}");
        let known = task["inputs"].as_array().unwrap();
        for input in step["inputs"].as_object().into_iter().flatten().map(|(input, _)| input) {
            assert!(known.iter().any(|own| own["name"] == **input), "{place}: {name} {input}");
        }
    }
}

#[test]
fn every_policy_and_every_workflow_is_valid() {
    let dir = tempfile::tempdir().unwrap();
    let home = repository(dir.path());
    let workflows = home.join(".github/workflows");
    std::fs::create_dir_all(&workflows).unwrap();
    let (mut policies, mut steps, mut composed) = (0, 0, 0);
    for (place, text) in blocks("yaml") {
        let commit = "1".repeat(40);
        let text = text.replace("@<commit>", &format!("@{commit}"));
        let begins = ["jobs:", "permissions:", "- uses:"];
        let part = begins.into_iter().find(|start| text.starts_with(start));
        if let Some(part) = part {
            steps += 1;
            let inside = |by: usize| -> String {
                text.lines().map(|line| format!("{:by$}{line}\n", "")).collect()
            };
            const JOB: &str = "jobs:\n  one:\n    runs-on: ubuntu-latest\n    timeout-minutes: 5\n";
            let jobs = match part {
                "jobs:" => text,
                "permissions:" => format!("{JOB}{}", inside(4)),
                _ => format!("{JOB}    steps:\n{}", inside(6)),
            };
            let whole = format!("name: w{steps}\non: push\npermissions: {{}}\n{jobs}");
            std::fs::write(workflows.join(format!("w{steps}.yml")), whole).unwrap();
        } else if text.contains("@lakegate\n") {
            // Templates that are not there, or are told what they do not ask for, stop it.
            composed += 1;
            let read: Value = serde_yaml::from_str(&text).unwrap_or_else(|_| panic!("{place}"));
            expand(&read, &BTreeMap::new());
        } else if text.contains("task: ") {
            is_known_to_azure(&place, &text);
        } else {
            policies += 1;
            policy(&text).unwrap_or_else(|error| panic!("{place}: {error}"));
        }
    }
    assert!(policies > 10 && steps > 7 && composed > 0, "{policies} {steps} {composed}");
    git(&home, &["add", "-A"]);
    git(&home, &["commit", "-qm", "x"]);
    linted(&home, "jactionlint", &["--shellcheck=", "--profile=correctness"]);
    assert_eq!(read_as_github_does(&workflows), steps);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_question_to_a_table_is_answered() {
    let dir = tempfile::tempdir().unwrap();
    let served = Served::start(dir.path());
    for (name, _, columns) in lakegate::record::TABLES {
        let columns: Vec<String> =
            columns.iter().map(|(column, kind, _)| format!("`{column}` {kind}")).collect();
        let made = format!("CREATE TABLE main.default.{name} ({})", columns.join(", "));
        served.sql(&made).await;
        // Two rows a day apart, of all that a question may ask for.
        let cells = |day: u32| {
            let cell = |(column, kind, _): &(&str, &str, &str)| match (*column, *kind) {
                ("at", _) => format!("'2026-05-0{day}T00:00:00Z'"),
                // What is asked of roll-outs is which were stopped.
                ("phase", _) if name == "rollouts" => "'restored'".to_owned(),
                ("kind", _) if name == "rollouts" => "'rollout'".to_owned(),
                ("phase", _) => "'outcome'".to_owned(),
                ("alias", _) => "'champion'".to_owned(),
                ("state", _) => "'drift'".to_owned(),
                ("rule_verdict", _) => "'fail'".to_owned(),
                ("verdict", _) => format!("'{}'", if day == 1 { "pass" } else { "fail" }),
                ("kind", _) => "'approval'".to_owned(),
                ("lease_until", _) => "9999999999999".to_owned(),
                (_, "STRING") => "'x'".to_owned(),
                (_, "BOOLEAN") => "true".to_owned(),
                _ => day.to_string(),
            };
            format!("({})", columns_of(name).iter().map(cell).collect::<Vec<_>>().join(", "))
        };
        let filled = format!("INSERT INTO main.default.{name} VALUES {}, {}", cells(1), cells(2));
        served.sql(&filled).await;
    }
    let questions = blocks("sql");
    assert!(questions.len() >= lakegate::record::TABLES.len());
    let mut answers = String::new();
    for (place, text) in questions {
        let asked = lakegate::databricks::sql::Statement::new(&text);
        let answer = served.client().sql("local", &asked).await;
        answers.push_str(&format!("{}\n", place.split(':').next().unwrap()));
        for row in answer.unwrap_or_else(|error| panic!("{place}: {error}")).rows {
            let cells = row.into_iter().map(|cell| cell.unwrap_or_else(|| "-".to_owned()));
            answers.push_str(&format!("  {}\n", cells.collect::<Vec<_>>().join(" | ")));
        }
    }
    insta::assert_snapshot!(answers);
}

fn columns_of(table: &str) -> &'static [lakegate::record::Column] {
    let found = lakegate::record::TABLES.into_iter().find(|(name, ..)| *name == table);
    found.unwrap().2
}

/// What the programs can say.
fn sources() -> String {
    let mut all = String::new();
    for folder in ["src", "actions", "tasks"] {
        for file in lakegate::sys::fs::files_below(root().join(folder)).unwrap() {
            let path = root().join(folder).join(file);
            let ending = path.extension().and_then(|end| end.to_str()).unwrap_or_default();
            if ["rs", "sh", "js"].contains(&ending) {
                all += &std::fs::read_to_string(Path::new(&path)).unwrap();
            }
        }
    }
    // Quotes of a message stand for the backticks of the real one.
    all.replace('`', "'")
}

#[test]
fn every_message_of_the_troubleshooting_is_told_somewhere() {
    let page = std::fs::read_to_string(root().join("docs/troubleshooting.md")).unwrap();
    let known = sources();
    let mut count = 0;
    for line in page.lines() {
        // Messages have parts that nobody knows before.
        let Some(message) = line.strip_prefix("| `").and_then(|rest| rest.split("` |").next())
        else {
            continue;
        };
        if message.contains('`') {
            continue;
        }
        for part in message.split('…').map(str::trim).filter(|part| part.len() > 5) {
            let part = part.trim_end_matches([':', '\'']).trim();
            assert!(known.contains(part), "no program says `{part}`");
            count += 1;
        }
    }
    assert!(count > 20, "{count}");
}
