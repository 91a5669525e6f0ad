//! Templates to files. Their marks, `«…»` and `‹% … %›`, leave `${{ }}` and `$( )` alone, and
//! what is not defined is an error.

use anyhow::{Context as _, Result};
use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Serde, Value};
use minijinja::{Environment, UndefinedBehavior, context};

use super::adopt::{Job, Targets};
use crate::names::task_name;
use crate::starter::FINE_TUNING_POLICIES;

/// Where the workflows run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ci {
    GitHub {
        /// The commit of Lakegate's release.
        reference: String,
    },
    Azure,
}

impl Ci {
    /// The folder of the workflows, and of what is known about them.
    pub(super) fn folders(&self) -> (&'static str, &'static str) {
        match self {
            Self::GitHub { .. } => (".github/workflows", ".github"),
            Self::Azure => (".azure-pipelines", ".azure-pipelines"),
        }
    }

    fn templates(&self) -> [&'static str; 4] {
        match self {
            Self::GitHub { .. } => GITHUB,
            Self::Azure => AZURE,
        }
    }
}

/// Everything that the workflows depend on.
#[derive(Debug, Clone)]
pub(super) struct Answers {
    pub(super) ci: Ci,
    pub(super) embedded: bool,
    pub(super) main: String,
    pub(super) python: String,
    pub(super) targets: Targets,
    pub(super) jobs: Vec<Job>,
    /// Those of a second loop, of a model that is fine-tuned; often none.
    pub(super) fine_tuning: Vec<Job>,
}

/// Actions of others, pinned by their commit.
const CHECKOUT: &str = "actions/checkout@08c6903cd8c0fde910a37f88322edcfb5dd907a8 # v5.0.0";
const PYTHON: &str = "actions/setup-python@e797f83bcb11b83ae66e0230d6156d7c80228e7c # v6.0.0";
const UPLOAD: &str = "actions/upload-artifact@330a01c490aca151604b8cf639adc76d48f6c5d4 # v5.0.0";
const DOWNLOAD: &str =
    "actions/download-artifact@018cc2cf5baa6db3ef3c5f8a56943fffe632ef53 # v6.0.0";
const ATTEST: &str =
    "actions/attest-build-provenance@977bb373ede98d70efdf65b84cb5f73e068dcc2a # v3.0.0";

/// For merge requests, staging, releases and production.
const GITHUB: [&str; 4] = [
    include_str!("../../templates/github/merge.yml"),
    include_str!("../../templates/github/staging.yml"),
    include_str!("../../templates/github/release.yml"),
    include_str!("../../templates/github/production.yml"),
];
const AZURE: [&str; 4] = [
    include_str!("../../templates/azure/merge.yml"),
    include_str!("../../templates/azure/staging.yml"),
    include_str!("../../templates/azure/release.yml"),
    include_str!("../../templates/azure/production.yml"),
];

/// The workflows by their path in the repository.
pub(super) fn workflows(answers: &Answers) -> Result<Vec<(String, String)>> {
    let mut environment = Environment::new();
    let syntax = SyntaxConfig::builder()
        .block_delimiters("‹%", "%›")
        .variable_delimiters("«", "»")
        .comment_delimiters("‹#", "#›")
        .build()?;
    environment.set_syntax(syntax);
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    match &answers.ci {
        Ci::GitHub { reference } => {
            let reference = reference.clone();
            environment.add_function("action", move |name: &str| {
                let version = env!("CARGO_PKG_VERSION");
                format!("lakegate/lakegate/actions/{name}@{reference} # v{version}")
            });
        }
        Ci::Azure => environment.add_function("task", |name: &str| {
            format!("{}@{}", task_name(name), env!("CARGO_PKG_VERSION_MAJOR"))
        }),
    }
    // An embedded workspace ends with its job: nothing can be deployed to it.
    let deploys = !answers.embedded;
    let Targets { staging, production, .. } = &answers.targets;
    let produces = deploys && production.is_some();
    let [merge, on_main, release, loops] = answers.ci.templates();
    let wanted = [
        ("merge-request.yml", merge, None, true),
        ("staging.yml", on_main, None, deploys && staging.is_some()),
        ("release.yml", release, None, produces),
        ("production.yml", loops, Some(main_loop(answers)), produces && !answers.jobs.is_empty()),
        (
            "fine-tuning.yml",
            loops,
            Some(fine_tuning(answers)),
            produces && !answers.fine_tuning.is_empty(),
        ),
    ];
    let (folder, _) = answers.ci.folders();
    let mut files = Vec::new();
    for (name, template, own, is_wanted) in wanted {
        if is_wanted {
            let values = context! { ..own.unwrap_or_default(), ..shared(answers) };
            let text = environment.render_str(template, &values);
            let mut text = text.with_context(|| format!("render {name}"))?;
            text.truncate(text.trim_end().len());
            text.push('\n');
            files.push((format!("{folder}/{name}"), text));
        }
    }
    Ok(files)
}

/// What every workflow depends on.
fn shared(answers: &Answers) -> Value {
    let Targets { test, staging, production } = &answers.targets;
    context! {
        embedded => answers.embedded,
        main => answers.main.clone(),
        python => answers.python.clone(),
        test_target => test,
        staging_target => staging,
        production_target => production,
        checkout => CHECKOUT,
        setup_python => PYTHON,
        upload_artifact => UPLOAD,
        download_artifact => DOWNLOAD,
        attest => ATTEST,
    }
}

fn main_loop(answers: &Answers) -> Value {
    let features = answers.jobs.first().map(|job| job.key.clone()).unwrap_or_default();
    context! {
        title => "Production",
        about => "refreshes features, trains, judges, promotes and watches",
        group => "production",
        cron => "17 4 * * *",
        config => (),
        watches => true,
        jobs => Value::from(Serde(&answers.jobs)),
        features_key => features,
    }
}

/// The same road for the model that is fine-tuned, when the features are there.
fn fine_tuning(answers: &Answers) -> Value {
    context! {
        title => "Fine-tuning",
        about => "fine-tunes, judges and promotes",
        group => "fine-tuning",
        cron => "17 6 * * 1",
        config => FINE_TUNING_POLICIES,
        watches => false,
        jobs => Value::from(Serde(&answers.fine_tuning)),
        features_key => (),
    }
}
