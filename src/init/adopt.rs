//! What is found in a repository: its targets, and the jobs of its loop.

use super::render::is_plain;
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
    /// The condition under which it runs, where that is not always.
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
    ("evaluate", "Predict what is judged", &["evaluat", "validate_model", "model_validat"]),
    ("check", "Check how it runs", &["check_model"]),
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

/// Targets of these names are production, whatever else is told of them.
const PRODUCTION: [&str; 2] = ["prod", "production"];

/// The first target of these names.
fn named(targets: &[String], names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| targets.iter().find(|target| *target == name)).cloned()
}

/// What a target is for: to test merge requests, to deploy the main branch, to
/// deploy releases.
pub(super) type Roles = [Option<String>; 3];

/// Instead of a target: nothing is deployed there. A target of this name is one.
pub(super) const NONE: &str = "none";

/// The targets that were named, else those that the bundle shows.
pub(super) fn roles(targets: &[String], default: Option<String>, asked: Roles) -> Roles {
    let [test, staging, production] = asked;
    let or = |asked: Option<String>, shown: &[&str]| match asked {
        Some(name) => Some(name).filter(|name| name != NONE || targets.contains(name)),
        None => named(targets, shown),
    };
    let production = or(production, &PRODUCTION);
    // Whatever is said of production, nothing is tested in a target of its name.
    let is_production =
        |name: &String| PRODUCTION.contains(&name.as_str()) || Some(name) == production.as_ref();
    let default = default.filter(|target| !is_production(target));
    let test = test.or(default).or_else(|| named(targets, &["dev", "test", "local"]));
    [test, or(staging, &["staging", "stage", "test"]), production]
}

pub(super) fn targets(
    targets: &[String],
    default: Option<String>,
    asked: Roles,
) -> Result<Targets, String> {
    let [test, others @ ..] = &asked;
    for name in test.iter().chain(others.iter().flatten().filter(|name| *name != NONE)) {
        if !targets.contains(name) {
            return Err(format!("the bundle has no target `{name}`: {}", targets.join(", ")));
        }
    }
    let [test, staging, production] = roles(targets, default, asked);
    let test =
        test.ok_or("which target are merge requests tested in? name it with --test-target")?;
    if Some(&test) == production.as_ref() || PRODUCTION.contains(&test.as_str()) {
        return Err(format!(
            "merge requests would be tested in production, `{test}`: name another target with --test-target"
        ));
    }
    for name in [Some(&test), staging.as_ref(), production.as_ref()].into_iter().flatten() {
        if !is_plain(name) {
            return Err(format!("the target `{name}` cannot be named in a workflow: rename it"));
        }
    }
    Ok(Targets { test, staging, production })
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

/// What somebody says of the jobs: the part of the loop, and the key of its job, or
/// nothing where there is none.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(super) struct Chosen {
    part: String,
    key: Option<String>,
}

impl Chosen {
    /// What was said before, but for the parts of which something else is said now.
    pub(super) fn together(before: Vec<Self>, now: Vec<Self>) -> Vec<Self> {
        let is_said = |one: &Self| now.iter().any(|other| other.part == one.part);
        let mut all: Vec<Self> = before.into_iter().filter(|one| !is_said(one)).collect();
        all.extend(now);
        all
    }
}

impl TryFrom<String> for Chosen {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let parts: Vec<&str> = STEPS.iter().chain([&SCORE]).map(|(part, ..)| *part).collect();
        let (part, key) = text.split_once('=').unwrap_or((&text, ""));
        if !parts.contains(&part) || !text.contains('=') {
            return Err(format!("`{text}` is not PART=KEY; the parts are {}", parts.join(", ")));
        }
        let key = Some(key.to_owned()).filter(|key| !key.is_empty());
        Ok(Self { part: part.to_owned(), key })
    }
}

impl From<Chosen> for String {
    fn from(chosen: Chosen) -> Self {
        format!("{}={}", chosen.part, chosen.key.unwrap_or_default())
    }
}

impl std::str::FromStr for Chosen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.to_owned().try_into()
    }
}

/// What jobs of the loop do by themselves, beside the loop: whoever adopts them must
/// take it out.
pub(super) fn alone(bundle: &Bundle, jobs: &Loop) -> Vec<String> {
    let mut told = Vec::new();
    for job in jobs.steps.iter().chain(&jobs.score) {
        let Some(own) = bundle.resources.get(&format!("jobs.{}", job.key)) else { continue };
        let tasks = own.settings["tasks"].as_array().into_iter().flatten();
        let names = tasks.filter_map(|task| task["task_key"].as_str());
        // As mlops-stacks calls the task that sets the alias.
        if let Some(task) = names.into_iter().find(|name| *name == "ModelDeployment") {
            told.push(format!(
                "the task `{task}` of `{}` deploys the model before any gate has judged it: take it out",
                job.key
            ));
        }
        let begins = ["schedule", "trigger", "continuous"].into_iter().find(|begin| {
            own.settings[*begin].is_object() && own.settings[*begin]["pause_status"] != "PAUSED"
        });
        if let Some(begins) = begins {
            told.push(format!(
                "`{}` has a `{begins}` of its own, beside that of the loop: pause it",
                job.key
            ));
        }
    }
    told
}

/// The jobs of the bundle that are steps of the loop: those that were named, else
/// those whose key has the word of a part before that of any other.
///
/// # Errors
/// When a job that was named is not there.
pub(super) fn jobs(bundle: &Bundle, chosen: &[Chosen]) -> Result<Loop, String> {
    let jobs = bundle.resources.iter().filter(|(_, one)| one.kind == bundle::Kind::Jobs);
    let keys: Vec<&str> = jobs.map(|(key, _)| key.trim_start_matches("jobs.")).collect();
    for key in chosen.iter().filter_map(|chosen| chosen.key.as_deref()) {
        if !keys.contains(&key) {
            return Err(format!("the bundle has no job `{key}`: {}", keys.join(", ")));
        }
    }
    for (at, one) in chosen.iter().enumerate() {
        let twice = |other: &&Chosen| other.key.is_some() && other.key == one.key;
        if let Some(other) = chosen[..at].iter().find(twice).filter(|other| other.part != one.part)
        {
            return Err(format!(
                "`{}` is named for two parts: a job runs once, so name it for `{}` and leave `{}=` empty",
                one.key.as_deref().unwrap_or_default(),
                other.part,
                one.part
            ));
        }
    }
    let parts: Vec<(&str, Option<(usize, &str)>)> =
        keys.iter().map(|key| (*key, part_of(key))).collect();
    let find = |(part, title, _): (&'static str, &'static str, &[&str])| {
        let found = match chosen.iter().rfind(|chosen| chosen.part == part) {
            Some(chosen) => chosen.key.clone(),
            None => {
                let of_part = parts.iter().filter_map(|(key, found)| {
                    let (at, own) = (*found)?;
                    let is_named = chosen.iter().any(|other| other.key.as_deref() == Some(*key));
                    (own == part && !is_named).then_some((at, *key))
                });
                of_part.min_by_key(|(at, _)| *at).map(|(_, key)| key.to_owned())
            }
        };
        found.map(|key| Job::always(part, key, title))
    };
    let found = Loop { steps: STEPS.into_iter().filter_map(find).collect(), score: find(SCORE) };
    match found.steps.iter().chain(&found.score).find(|job| !is_plain(&job.key)) {
        Some(job) => Err(format!("the job `{}` cannot be named in a workflow: rename it", job.key)),
        None => Ok(found),
    }
}

/// The part whose word comes first in a key, and where.
fn part_of(key: &str) -> Option<(usize, &'static str)> {
    let mut words = String::new();
    let mut last = '_';
    for char in key.chars() {
        if char.is_uppercase() && !last.is_uppercase() && last != '_' && last != '-' {
            words.push('_');
        }
        words.extend(char.to_lowercase());
        last = char;
    }
    let key = words.replace('-', "_");
    let begins = |word: &str| {
        let found = key.match_indices(word).map(|(at, _)| at);
        // `retrain` is not `train`.
        found.into_iter().find(|at| *at == 0 || key.as_bytes()[at - 1] == b'_')
    };
    let all = STEPS.iter().chain([&SCORE]);
    all.flat_map(|(part, _, words)| words.iter().filter_map(|word| Some((begins(word)?, *part))))
        .min_by_key(|(at, _)| *at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_known_by_their_usual_names() {
        let all = ["dev", "staging", "prod"].map(str::to_owned);
        const OPEN: Roles = [None, None, None];
        let found = targets(&all, Some("dev".into()), OPEN).unwrap();
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
            targets(&all, None, [None, None, Some(live)]).unwrap_err().contains("no target `live`")
        );
        let other = ["a".to_owned()];
        assert!(targets(&other, None, OPEN).unwrap_err().contains("--test-target"));
        // Never in production, though it is the default.
        let found = targets(&all, Some("prod".into()), OPEN).unwrap();
        assert_eq!(found.test, "dev");
        let prod = "prod".to_owned();
        let refused = targets(&all, None, [Some(prod), None, None]).unwrap_err();
        assert!(refused.contains("tested in production"), "{refused}");
        let none = || Some(NONE.to_owned());
        let found = targets(&all, Some("dev".into()), [None, none(), none()]).unwrap();
        assert_eq!((found.staging, found.production), (None, None));
        let found = targets(&all, Some("prod".into()), [None, None, none()]).unwrap();
        assert_eq!((found.test.as_str(), found.production), ("dev", None));
        assert!(
            targets(&all, None, [none(), None, None]).unwrap_err().contains("no target `none`")
        );
        let number = ["1.10".to_owned()];
        assert!(targets(&number, Some("1.10".into()), OPEN).unwrap_err().contains("rename"));
    }

    #[test]
    fn a_job_plays_the_part_that_its_key_names_first() {
        for (key, part) in [
            ("train", Some("train")),
            ("model_training_job", Some("train")),
            ("write_feature_table_job", Some("features")),
            ("score_quality_features", Some("score")),
            ("batch_inference_job", Some("score")),
            ("retrain_trigger", None),
            ("check-model", Some("check")),
            ("check_data", None),
            ("validate_data", None),
            ("model_validation", Some("evaluate")),
            ("modelTraining", Some("train")),
            ("dailyScoring", Some("score")),
            ("pretrain_check", None),
            ("Refresh_Features", Some("features")),
        ] {
            assert_eq!(part_of(key).map(|(_, part)| part), part, "{key}");
        }
        let text = "bundle: {name: x}\ntargets: {dev: {default: true}}\nresources: {jobs: {a_train: {name: a}, train: {name: b}, again: {name: c}}}\n";
        let sources = bundle::Sources::from([("databricks.yml".to_owned(), text.to_owned())]);
        let bundle = bundle::load(&sources, None, &bundle::Surroundings::default()).unwrap();
        let keys = |chosen: &[&str]| {
            let chosen: Vec<Chosen> = chosen.iter().map(|text| text.parse().unwrap()).collect();
            let found = jobs(&bundle, &chosen)?;
            Ok::<_, String>(found.steps.into_iter().map(|job| job.key).collect::<Vec<_>>())
        };
        assert_eq!(keys(&[]).unwrap(), ["train"]);
        assert_eq!(keys(&["train=again"]).unwrap(), ["again"]);
        assert_eq!(keys(&["evaluate=train"]).unwrap(), ["a_train", "train"]);
        assert!(keys(&["train="]).unwrap().is_empty());
        assert!(keys(&["train=again", "score=again"]).unwrap_err().contains("two parts"));
        let said = |text: &str| text.parse::<Chosen>().unwrap();
        let both = Chosen::together(vec![said("score="), said("train=a")], vec![said("train=b")]);
        assert_eq!(both, [said("score="), said("train=b")]);
        assert!(keys(&["train=other"]).unwrap_err().contains("a_train, again, train"));
        let odd = text.replace("a_train:", "\"train #1\":");
        let sources = bundle::Sources::from([("databricks.yml".to_owned(), odd)]);
        let bundle = bundle::load(&sources, None, &bundle::Surroundings::default()).unwrap();
        let refused = jobs(&bundle, &[said("train=train #1")]).unwrap_err();
        assert!(refused.contains("rename it"), "{refused}");
        assert!("trian=x".parse::<Chosen>().unwrap_err().contains("features, train, evaluate"));
    }
}
