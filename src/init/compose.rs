//! Which workflows there are, and what each depends on.

use std::collections::BTreeMap;

use anyhow::Result;
use minijinja::context;
use minijinja::value::{Serde, Value};

use super::adopt::{Loop, Targets};
use super::facts::Secrets;
use super::render::{Ci, Form, Templates, scalar};
use crate::starter::FINE_TUNING_POLICIES;

/// Everything that the workflows depend on.
#[derive(Debug, Clone)]
pub(super) struct Answers {
    pub(super) ci: Ci,
    pub(super) form: Form,
    /// The commit of Lakegate's release, for GitHub.
    pub(super) commit: Option<String>,
    pub(super) embedded: bool,
    /// Whether merge requests are told what they would change in staging.
    pub(super) plan_comment: bool,
    /// Whether production serves the champion online.
    pub(super) serves: bool,
    pub(super) main: String,
    pub(super) python: String,
    /// Whoever runs the jobs, where that is not the host's own Linux.
    pub(super) runner: Option<String>,
    /// From the repository's root to the bundle; empty at the root.
    pub(super) folder: String,
    /// Those that the repository has already, instead of a federation.
    pub(super) secrets: Option<Secrets>,
    /// The variable group that holds them, for Azure.
    pub(super) group: Option<String>,
    /// The workspaces that the bundle itself names, by target.
    pub(super) hosts: BTreeMap<String, String>,
    pub(super) targets: Targets,
    /// Targets of the bundle that no workflow is for.
    pub(super) unused: Vec<String>,
    pub(super) jobs: Loop,
    /// Jobs of the loop that move the alias themselves, or begin by themselves.
    pub(super) alone: Vec<String>,
    /// Those of a second loop, of a model that is fine-tuned; often none.
    pub(super) fine_tuning: Loop,
}

impl Answers {
    /// What tells the files of this bundle from those of others in the repository.
    pub(super) fn prefix(&self) -> String {
        prefix(&self.folder)
    }

    /// In front of a path that is meant from the bundle's folder.
    pub(super) fn place(&self) -> String {
        match &*self.folder {
            "" => String::new(),
            folder => format!("{folder}/"),
        }
    }
}

pub(super) fn prefix(folder: &str) -> String {
    match folder {
        "" => String::new(),
        folder => folder.replace(['/', ' '], "-") + "-",
    }
}

/// Actions of others, pinned by their commit.
const CHECKOUT: &str = "actions/checkout@08c6903cd8c0fde910a37f88322edcfb5dd907a8 # v5.0.0";
const PYTHON: &str = "actions/setup-python@e797f83bcb11b83ae66e0230d6156d7c80228e7c # v6.0.0";
const UPLOAD: &str = "actions/upload-artifact@b7c566a772e6b6bfb58ed0dc250532a479d7789f # v6.0.0";
const DOWNLOAD: &str =
    "actions/download-artifact@37930b1c2abaa49bbe596cd826c3c89aef350131 # v7.0.0";
const ATTEST: &str =
    "actions/attest-build-provenance@977bb373ede98d70efdf65b84cb5f73e068dcc2a # v3.0.0";

/// The workflows by their path in the repository.
pub(super) fn workflows(templates: &Templates, answers: &Answers) -> Result<Vec<(String, String)>> {
    // An embedded workspace ends with its job: nothing can be deployed to it.
    let deploys = !answers.embedded;
    let Targets { staging, production, .. } = &answers.targets;
    let produces = deploys && production.is_some();
    let has_loop = |jobs: &Loop| produces && !jobs.steps.is_empty();
    let wanted = [
        ("merge-request", "merge.yml", None, true),
        ("staging", "staging.yml", None, deploys && staging.is_some()),
        ("release", "release.yml", None, produces),
        ("production", "production.yml", Some(main_loop(answers)), has_loop(&answers.jobs)),
        (
            "fine-tuning",
            "production.yml",
            Some(fine_tuning(answers)),
            has_loop(&answers.fine_tuning),
        ),
    ];
    let (folder, _) = answers.ci.folders();
    let mut files = Vec::new();
    for (name, template, own, is_wanted) in wanted {
        if is_wanted {
            let values = context! { ..own.unwrap_or_default(), ..values(answers) };
            let path = format!("{folder}/{}{name}.yml", answers.prefix());
            files.push((path, templates.workflow(template, &values)?));
        }
    }
    Ok(files)
}

const HOSTED: &str = "ubuntu-latest";

fn each(runner: &str) -> Vec<&str> {
    runner.split(',').map(str::trim).filter(|label| !label.is_empty()).collect()
}

/// A runner of GitHub: one label, or all that it must have.
fn labels(runner: &str) -> String {
    match &each(runner)[..] {
        [one] => scalar(one),
        all => {
            format!("[{}]", all.iter().map(|label| scalar(label)).collect::<Vec<_>>().join(", "))
        }
    }
}

/// The same for a workflow that is called, within single quotes of YAML.
fn labels_as_json(runner: &str) -> String {
    let json = match &each(runner)[..] {
        [one] => serde_json::json!(one),
        all => serde_json::json!(all),
    };
    json.to_string().replace('\'', "''")
}

/// Agents of Azure: an image that it has, or a pool.
fn agents(runner: &str) -> String {
    let is_version = |version: &str| {
        version == "latest" || version.chars().all(|char| char.is_ascii_digit() || char == '.')
    };
    let is_image = runner.split_once('-').is_some_and(|(system, version)| {
        ["ubuntu", "windows", "macos", "macOS"].contains(&system) && is_version(version)
    });
    let key = if is_image { "vmImage" } else { "name" };
    format!("{key}: {}", scalar(runner))
}

/// What every workflow depends on.
fn values(answers: &Answers) -> Value {
    let Targets { test, staging, production } = &answers.targets;
    context! {
        embedded => answers.embedded,
        main => answers.main.clone(),
        python => answers.python.clone(),
        test_target => test,
        staging_target => staging,
        plan_target => staging.as_ref().filter(|_| answers.plan_comment),
        plan_if => "",
        plan_unless => false,
        plan_words => staging,
        rights => "",
        production_target => production,
        runner => answers.runner.as_deref().map_or_else(|| HOSTED.to_owned(), labels),
        own_runner => answers.runner.as_deref().map(labels_as_json),
        agents => agents(answers.runner.as_deref().unwrap_or(HOSTED)),
        own_agents => answers.runner.is_some(),
        pool => (),
        alone => false,
        fresh => true,
        suffix => "",
        artifact => "$(artifact)",
        digest => "$(digest)",
        config => (),
        folder => answers.folder.clone(),
        place => answers.place(),
        prefix => answers.prefix(),
        events => answers.prefix(),
        of_folder => if answers.folder.is_empty() { String::new() } else { format!(" ({})", answers.folder) },
        secrets => answers.secrets.map(Secrets::name),
        group => answers.group.clone(),
        hosts => Value::from(Serde(&answers.hosts)),
        suite_tag => concat!("refs/tags/v", env!("CARGO_PKG_VERSION")),
        ..uses()
    }
}

pub(super) fn uses() -> Value {
    context! {
        checkout => CHECKOUT,
        setup_python => PYTHON,
        upload_artifact => UPLOAD,
        download_artifact => DOWNLOAD,
        attest => ATTEST,
    }
}

fn main_loop(answers: &Answers) -> Value {
    let has_features = answers.jobs.features().is_some();
    let score_if = match (answers.ci, has_features) {
        (Ci::GitHub, true) => " && needs.train.outputs.features == 'success'".to_owned(),
        (Ci::GitHub, false) => String::new(),
        (Ci::Azure, true) => {
            "and(not(canceled()), eq(dependencies.train.outputs['train.features.verdict'], 'pass'))"
                .to_owned()
        }
        (Ci::Azure, false) => format!("and(not(canceled()), {UNLESS_JUDGED})"),
    };
    context! {
        kind => "production",
        cron => "17 4 * * *",
        score_if => score_if,
        and_watch => "",
        watch_condition => format!("and(succeededOrFailed(), {UNLESS_JUDGED})"),
        about => about(answers.serves),
        serves => answers.serves,
        serve_if => "",
        ..production(&answers.jobs)
    }
}

fn about(serves: bool) -> String {
    let serves = if serves { " serves," } else { "" };
    format!("refreshes features, trains, judges, promotes,{serves} scores and watches")
}

/// What the loop is, in a repository of its own and where others call it.
pub(super) fn production(jobs: &Loop) -> Value {
    context! {
        title => "Production",
        about => about(true),
        watches => true,
        ..of_loop(jobs)
    }
}

/// The same road for the model that is fine-tuned, when the features are there.
fn fine_tuning(answers: &Answers) -> Value {
    context! {
        title => "Fine-tuning",
        about => "fine-tunes, judges and promotes",
        kind => "fine-tuning",
        events => format!("{}fine-tuning-", answers.prefix()),
        cron => "17 6 * * 1",
        config => FINE_TUNING_POLICIES,
        watches => false,
        serves => false,
        ..of_loop(&answers.fine_tuning)
    }
}

/// In a condition of Azure's: that the run is about more than a version that is there.
pub(super) const UNLESS_JUDGED: &str = "ne('${{ parameters.judge }}', 'true')";

fn of_loop(jobs: &Loop) -> Value {
    context! {
        unless_judged => UNLESS_JUDGED,
        jobs => Value::from(Serde(&jobs.steps)),
        score => jobs.score.as_ref().map(|job| Value::from(Serde(job))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runners_are_named_as_each_host_does() {
        assert_eq!(labels("ubuntu-24.04"), "ubuntu-24.04");
        assert_eq!(labels("self-hosted, linux"), "[self-hosted, linux]");
        assert_eq!(labels("a: b"), "\"a: b\"");
        assert_eq!(labels_as_json("big"), "\"big\"");
        assert_eq!(labels_as_json("it's,linux"), r#"["it''s","linux"]"#);
        assert_eq!(agents("ubuntu-24.04"), "vmImage: ubuntu-24.04");
        assert_eq!(agents("windows-2022"), "vmImage: windows-2022");
        assert_eq!(agents("our pool"), "name: our pool");
        assert_eq!(agents("ubuntu-agents"), "name: ubuntu-agents");
    }
}
