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
    /// Its part in the loop: `train`, say.
    pub(super) part: &'static str,
    pub(super) key: String,
    pub(super) title: &'static str,
    /// When it runs, where that is not always.
    pub(super) given: Option<String>,
}

impl Job {
    fn always(part: &'static str, key: String, title: &'static str) -> Self {
        Self { part, key, title, given: None }
    }
}

/// The jobs of the production loop.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Loop {
    /// Those up to the gate, in their order.
    pub(super) steps: Vec<Job>,
    /// The one that uses the champion.
    pub(super) score: Option<Job>,
}

/// The steps of the loop in their order, their parts, and the words that jobs for
/// them have in their keys.
const STEPS: [(&str, &str, &[&str]); 4] = [
    ("features", "Refresh the features", &["refresh", "feature"]),
    ("train", "Train", &["train"]),
    ("evaluate", "Predict what is judged", &["evaluat", "validat"]),
    ("check", "Check how it runs", &["check_model", "check-model"]),
];
const SCORE: (&str, &str, &[&str]) = ("score", "Score", &["score", "scoring", "inference"]);

impl Loop {
    /// A loop of the jobs that are made for each part.
    pub(super) fn steps_of(make: impl Fn(&'static str, &'static str) -> Job) -> Self {
        let steps = STEPS.map(|(part, title, _)| make(part, title)).to_vec();
        Self { steps, score: Some(make(SCORE.0, SCORE.1)) }
    }

    /// The job whose features are held to the rules of quality.
    pub(super) fn features(&self) -> Option<&Job> {
        self.steps.iter().find(|job| job.part == "features")
    }
}

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
pub(super) fn fine_tuning(bundle: &Bundle) -> Result<Loop, String> {
    let steps = [
        ("train", "Fine-tune", "fine_tune"),
        ("evaluate", "Let it answer what is judged", "evaluate_answers"),
    ];
    let find = |(part, title, key): (&'static str, &'static str, &str)| {
        let there = bundle.resources.contains_key(&format!("jobs.{key}"));
        let job = there.then(|| Job::always(part, key.to_owned(), title));
        job.ok_or_else(|| {
            format!(
                "--with fine-tuning: the bundle has no job `{key}`; the module is written into new projects, start one in an empty folder and take its files over"
            )
        })
    };
    let steps: Result<_, _> = steps.into_iter().map(find).collect();
    Ok(Loop { steps: steps?, score: None })
}

/// The jobs of the bundle that are steps of the loop.
pub(super) fn jobs(bundle: &Bundle) -> Loop {
    let mut taken: Vec<String> = Vec::new();
    let mut find = |(part, title, words): (&'static str, &'static str, &[&str])| {
        let (key, _) = bundle.resources.iter().find(|(key, resource)| {
            resource.kind == bundle::Kind::Jobs
                && words.iter().any(|word| key.to_lowercase().contains(word))
                && !taken.contains(key)
        })?;
        taken.push(key.clone());
        Some(Job::always(part, key.trim_start_matches("jobs.").to_owned(), title))
    };
    let steps = STEPS.into_iter().filter_map(&mut find).collect();
    Loop { steps, score: find(SCORE) }
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
