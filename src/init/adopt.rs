//! What is found in a repository: its targets, and the jobs of its loop.

use crate::bundle::{self, Bundle};

/// Which targets play which part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Targets {
    pub(super) test: String,
    pub(super) staging: Option<String>,
    pub(super) production: Option<String>,
}

/// A job of the production loop.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub(super) struct Job {
    pub(super) key: String,
    pub(super) title: &'static str,
}

/// The steps of the loop in their order, and the words that jobs for them have
/// in their keys.
const LOOP: [(&str, &[&str]); 4] = [
    ("Refresh the features", &["refresh", "feature"]),
    ("Train", &["train"]),
    ("Predict what is judged", &["evaluat", "validat"]),
    ("Check how it runs", &["check_model", "check-model"]),
];

/// The first target of these names.
fn named(targets: &[String], names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| targets.iter().find(|target| *target == name)).cloned()
}

pub(super) fn targets(
    targets: &[String],
    default: Option<String>,
    asked: [Option<&String>; 3],
) -> Result<Targets, String> {
    let [test, staging, production] = asked;
    for name in asked.into_iter().flatten() {
        if !targets.contains(name) {
            return Err(format!("the bundle has no target `{name}`: {}", targets.join(", ")));
        }
    }
    let test = test.cloned().or(default).or_else(|| named(targets, &["dev", "test", "local"]));
    Ok(Targets {
        test: test
            .ok_or("which target are merge requests tested in? name it with --test-target")?,
        staging: staging.cloned().or_else(|| named(targets, &["staging", "stage", "test"])),
        production: production.cloned().or_else(|| named(targets, &["prod", "production"])),
    })
}

/// The jobs that fine-tune a model, and that let it answer what is judged.
pub(super) fn fine_tuning(bundle: &Bundle) -> Result<Vec<Job>, String> {
    let steps = [("Fine-tune", "fine_tune"), ("Let it answer what is judged", "evaluate_answers")];
    let find = |(title, key): (&'static str, &str)| {
        let there = bundle.resources.contains_key(&format!("jobs.{key}"));
        let job = there.then(|| Job { key: key.to_owned(), title });
        job.ok_or_else(|| {
            format!(
                "--with fine-tuning: the bundle has no job `{key}`; the module is written into new projects, start one in an empty folder and take its files over"
            )
        })
    };
    steps.into_iter().map(find).collect()
}

/// The jobs of the bundle that are steps of the loop.
pub(super) fn jobs(bundle: &Bundle) -> Vec<Job> {
    let mut found = Vec::new();
    for (title, words) in LOOP {
        let own = bundle.resources.iter().find(|(key, resource)| {
            resource.kind == bundle::Kind::Jobs
                && words.iter().any(|word| key.to_lowercase().contains(word))
                && !found.iter().any(|job: &Job| **key == format!("jobs.{}", job.key))
        });
        if let Some((key, _)) = own {
            let key = key.trim_start_matches("jobs.").to_owned();
            found.push(Job { key, title });
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_known_by_their_usual_names() {
        let all = ["dev", "staging", "prod"].map(str::to_owned);
        let found = targets(&all, Some("dev".into()), [None; 3]).unwrap();
        assert_eq!(
            found,
            Targets {
                test: "dev".into(),
                staging: Some("staging".into()),
                production: Some("prod".into()),
            }
        );
        let live = "live".to_owned();
        assert!(
            targets(&all, None, [None, None, Some(&live)])
                .unwrap_err()
                .contains("no target `live`")
        );
        let other = ["a".to_owned()];
        assert!(targets(&other, None, [None; 3]).unwrap_err().contains("--test-target"));
    }
}
