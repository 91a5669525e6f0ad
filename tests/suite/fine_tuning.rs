//! A model that is fine-tuned takes the same road as one that is trained.

use std::path::Path;
use std::process::Output;
use std::time::Duration;

use serde_json::Value;

use crate::init::{init, repository};
use crate::support::{Served, git, text, within};

fn step(served: &Served, home: &Path, args: &[&str]) -> (i32, Value, String) {
    let mut command = served.command();
    command.args(args).arg("--json").current_dir(home);
    let Output { status, stdout, stderr } = within(Duration::from_secs(300), &mut command);
    (status.code().unwrap(), serde_json::from_slice(&stdout).unwrap_or_default(), text(&stderr))
}

#[test]
fn a_model_that_answers_is_judged_promoted_and_defended() {
    let dir = tempfile::tempdir().unwrap();
    let served = Served::start(&dir.path().join("workspace"));
    let home = repository(dir.path());
    let (code, told) = init(&home, &["--with=fine-tuning", "--test-target=local"]);
    assert_eq!(code, 0, "{told}");
    assert!(home.join(".github/workflows/fine-tuning.yml").is_file());
    git(&home, &["add", "-A"]);
    git(&home, &["commit", "-qm", "feat: start"]);
    git(&home, &["update-ref", "refs/remotes/origin/main", "HEAD"]);

    // A change of what the model is touches its jobs, and not those of the other model.
    git(&home, &["checkout", "-q", "-b", "change"]);
    let code = home.join("src/flights/answers.py");
    let own = std::fs::read_to_string(&code).unwrap();
    std::fs::write(&code, own.replace("SLOTS = 4096", "SLOTS = 8192")).unwrap();
    git(&home, &["commit", "-qam", "fix: more slots"]);
    let trial = ["merge-test", "integration", "--isolation=mine"];
    let (code, told, said) = step(&served, &home, &trial);
    assert_eq!(code, 0, "{told:#} {said}");
    assert_eq!(told["outputs"]["jobs"], "refresh_features,fine_tune", "{told:#}");
    assert!(told["reason"].as_str().unwrap().contains("2 jobs ran and held"), "{told:#}");

    let good = |args: &[&str]| {
        let (code, told, said) = step(&served, &home, args);
        assert_eq!(code, 0, "{args:?}: {told:#} {said}");
        told
    };
    let policies = "--config=lakegate.answers.yml";
    good(&["bundle-deploy", "apply"]);
    good(&["job-run", "refresh_features", "-p", "months=1-2"]);
    good(&["job-run", "fine_tune", "-p", "months=1", "-p", "limit=4000"]);
    // The gate lets both answer by itself.
    let answers = home.join("lakegate.answers.yml");
    let own = std::fs::read_to_string(&answers).unwrap();
    let job = "gate:\n  jobs:\n    - {job: evaluate_answers, parameters: {months: \"2\", candidate: \"{candidate}\"}}\n";
    // Nobody else is here who could agree.
    let alone = own.replace("{from: github}", "{from: table, not_author: false}");
    assert_ne!(alone, own);
    std::fs::write(&answers, alone.replace("gate:\n", job)).unwrap();
    let judged = good(&["model-gate", policies]);
    let evidence = home.join(".lakegate/reports/model-gate.evidence.json");
    let evidence = std::fs::read_to_string(evidence).unwrap();
    assert!(evidence.contains("\"runs\""), "{evidence}");
    assert!(judged["title"].as_str().unwrap().contains("answers version 1"), "{judged:#}");
    good(&["model-promote", "approve", policies]);
    good(&["model-promote", policies]);

    // A base model that has learnt nothing does not take the champion's place.
    good(&["job-run", "fine_tune", "-p", "months=1", "-p", "epochs=0"]);
    let (code, told, said) = step(&served, &home, &["model-gate", policies]);
    assert_eq!(code, 1, "{told:#} {said}");
    assert!(told["reason"].as_str().unwrap().contains("exact 0."), "{told:#}");
    let (code, told, said) = step(&served, &home, &["model-promote", policies]);
    assert_ne!(code, 0, "{told:#} {said}");

    // Where nobody answers, nothing is judged.
    let own = std::fs::read_to_string(&answers).unwrap();
    std::fs::write(&answers, own.replace("months: \"2\"", "months: \"none\"")).unwrap();
    let (code, told, said) = step(&served, &home, &["model-gate", policies]);
    assert_eq!(code, 6, "{told:#} {said}");
    assert!(said.contains("which comes before the gate"), "{said}");
}
