//! The workflows of this repository that others call; for Azure, their jobs and steps too.

use std::collections::BTreeMap;

use anyhow::Result;
use minijinja::context;
use minijinja::value::{Serde, Value};
use serde::Serialize;

use super::adopt::{Job, Loop};
use super::compose::{UNLESS_JUDGED, production, uses};
use super::render::{Ci, Form, Templates};
use crate::names::camel;

/// A parameter of Azure's templates.
#[derive(Debug, Clone, Copy, Serialize)]
struct Parameter {
    name: &'static str,
    words: &'static str,
    kind: &'static str,
    /// As YAML; a parameter without one must be given.
    default: Option<&'static str>,
}

const fn parameter(
    name: &'static str,
    kind: &'static str,
    default: Option<&'static str>,
    words: &'static str,
) -> Parameter {
    Parameter { name, words, kind, default }
}

/// All of them, in the order in which they are declared.
const PARAMETERS: [Parameter; 20] = [
    parameter("target", "string", None, "The target; its variable group is lakegate-<target>"),
    parameter(
        "planTarget",
        "string",
        Some("''"),
        "The target that the main branch is deployed to, where merge requests are told what they would change in it; its variable group is lakegate-<target>-plan",
    ),
    parameter(
        "version",
        "string",
        Some("auto"),
        "The version; auto takes it from the commits since the last release",
    ),
    parameter("artifact", "string", None, "The pipeline artifact that was handed over"),
    parameter("digest", "string", None, "The digest of the release's manifest"),
    parameter(
        "featuresJob",
        "string",
        Some("''"),
        "The key of the job that refreshes features; none where left out",
    ),
    parameter(
        "trainJob",
        "string",
        Some("''"),
        "The key of the job that trains; none where left out",
    ),
    parameter(
        "evaluateJob",
        "string",
        Some("''"),
        "The key of the job that predicts what is judged; none where left out",
    ),
    parameter(
        "checkJob",
        "string",
        Some("''"),
        "The key of the job that checks how the model runs; none where left out",
    ),
    parameter(
        "scoreJob",
        "string",
        Some("''"),
        "The key of the job that scores with the champion; none where left out",
    ),
    parameter(
        "judge",
        "boolean",
        Some("false"),
        "Judge and promote the newest version, without features and training",
    ),
    parameter(
        "serve",
        "boolean",
        Some("false"),
        "Whether the champion is served online, by `serving` of the configuration",
    ),
    parameter(
        "watch",
        "boolean",
        Some("true"),
        "Whether the features are compared with the baseline",
    ),
    parameter("python", "string", Some("'3.12'"), "Python on the agent"),
    parameter("pool", "object", Some("{vmImage: ubuntu-latest}"), "The agents"),
    parameter("folder", "string", Some("."), "The folder of databricks.yml"),
    parameter("config", "string", Some("lakegate.yml"), "The configuration file"),
    parameter(
        "suffix",
        "string",
        Some("''"),
        "Behind the names of what it publishes, where a run has several of its kind, each in a stage of its own",
    ),
    parameter("dependsOn", "object", Some("[]"), "The jobs that come first"),
    parameter("condition", "string", Some("succeeded()"), "When the job runs"),
];

/// What each job of a file needs to be told, and so do its steps.
type Told = &'static [&'static str];

/// A workflow, what a caller tells it, and its template.
const WHOLE: [(&str, &str, Told); 4] = [
    ("merge-request", "merge.yml", &["target", "planTarget", "python"]),
    ("staging", "staging.yml", &["target", "python"]),
    ("release", "release.yml", &["target", "version", "python"]),
    (
        "production",
        "production.yml",
        &[
            "target",
            "featuresJob",
            "trainJob",
            "evaluateJob",
            "checkJob",
            "scoreJob",
            "judge",
            "serve",
            "watch",
        ],
    ),
];

/// One job of a workflow, in a file of its own.
struct Part {
    name: &'static str,
    template: &'static str,
    block: &'static str,
    about: &'static str,
    /// What its steps are told.
    told: Told,
    /// Whether somebody may have to agree before it.
    waits: bool,
    /// Variables that its job has beyond those of the sign-in: the name, and the parameter.
    handed: &'static [(&'static str, &'static str)],
}

impl Part {
    /// Behind the name of the identity that it runs as: to plan, one may only read.
    fn rights(&self) -> &'static str {
        if self.block == "plan" { "-plan" } else { "" }
    }
}

const TARGET: (&str, &str) = ("LAKEGATE_TARGET", "target");
const PARTS: [Part; 10] = [
    Part {
        name: "merge-request",
        template: "merge.yml",
        block: "test",
        about: "Tests a merge request: unit tests on the agent, then the jobs that it touches.",
        told: &["python", "folder"],
        waits: false,
        handed: &[],
    },
    Part {
        name: "plan",
        template: "merge.yml",
        block: "plan",
        about: "Tells a merge request what it would change; an identity that may only read is enough.",
        told: &["target", "python"],
        waits: false,
        handed: &[],
    },
    Part {
        name: "staging",
        template: "staging.yml",
        block: "deploy",
        about: "Plans and deploys what came to the main branch.",
        told: &["target", "python", "folder"],
        waits: true,
        handed: &[],
    },
    Part {
        name: "release",
        template: "release.yml",
        block: "build",
        about: "Packs a tested commit; `pack.manifestDigest` and `handover.artifact` are its outputs.",
        told: &["version", "python", "folder"],
        waits: false,
        handed: &[],
    },
    Part {
        name: "deploy",
        template: "release.yml",
        block: "deploy",
        about: "Proves every byte of a release, and deploys it.",
        told: &["target", "artifact", "digest", "folder"],
        waits: true,
        handed: &[("artifact", "artifact"), ("digest", "digest")],
    },
    Part {
        name: "train",
        template: "production.yml",
        block: "train",
        about: "Refreshes features, trains and judges; `handover.artifact` is the evidence.",
        told: &["featuresJob", "trainJob", "evaluateJob", "checkJob", "judge", "folder"],
        waits: false,
        handed: &[TARGET],
    },
    Part {
        name: "promote",
        template: "production.yml",
        block: "promote",
        about: "Moves the alias to the version of the evidence.",
        told: &["artifact"],
        waits: true,
        handed: &[TARGET, ("artifact", "artifact")],
    },
    Part {
        name: "serve",
        template: "production.yml",
        block: "serve",
        about: "Serves online what the alias points to.",
        told: &[],
        waits: false,
        handed: &[TARGET],
    },
    Part {
        name: "score",
        template: "production.yml",
        block: "score",
        about: "Scores with the champion.",
        told: &["scoreJob"],
        waits: false,
        handed: &[TARGET],
    },
    Part {
        name: "watch",
        template: "production.yml",
        block: "watch",
        about: "Compares the features with the baseline.",
        told: &["folder"],
        waits: false,
        handed: &[TARGET],
    },
];

/// The parameters of these names, in their own order.
fn parameters(names: &[&str], own: impl Fn(Parameter) -> Parameter) -> Value {
    let of_these = |parameter: &Parameter| names.contains(&parameter.name);
    let found: Vec<Parameter> = PARAMETERS.into_iter().filter(of_these).map(own).collect();
    Value::from(Serde(&found))
}

/// The same for one job: a part that is there to score has a job that does.
fn parameters_of(part: &Part, names: &[&str]) -> Value {
    parameters(names, |mut parameter| {
        match parameter.name {
            "scoreJob" => {
                parameter.default = None;
                parameter.words = "The key of the job that scores with the champion";
            }
            "target" if !part.rights().is_empty() => {
                parameter.words = "The target; its variable group is lakegate-<target>-plan";
            }
            // Whatever somebody says, it is for those who come after what went well.
            "condition" if part.waits => parameter.default = Some("'true'"),
            _ => {}
        }
        parameter
    })
}

/// The workflows of this repository that others call, by their path in it.
///
/// # Errors
/// When a template is broken.
pub fn shared() -> Result<Vec<(String, String)>> {
    let mut files = Vec::new();
    for ci in [Ci::GitHub, Ci::Azure] {
        let templates = Templates::new(ci, Form::Shared, None)?;
        for (name, template, told) in WHOLE {
            let told = [told, &["pool", "folder", "config"]].concat();
            let own = context! { whole => template, parameters => parameters(&told, |own| own) };
            let path = format!("{}/{name}.yml", ci.shared_folder());
            files.push((path, templates.workflow(template, &context! { ..own, ..values(ci) })?));
        }
    }
    let templates = Templates::new(Ci::Azure, Form::Shared, None)?;
    for part in &PARTS {
        files.push((format!("pipelines/jobs/{}.yml", part.name), job(&templates, part)?));
        files.push((format!("pipelines/steps/{}.yml", part.name), steps(&templates, part)?));
    }
    Ok(files)
}

fn job(templates: &Templates, part: &Part) -> Result<String> {
    let every = ["target", "pool", "folder", "config", "dependsOn", "condition"];
    // Whatever is built is the same for every target.
    let of_job = |name: &&str| *name != "target" || part.block != "build";
    let told: Vec<&str> = part.told.iter().copied().chain(every).filter(of_job).collect();
    let variable = |(name, parameter): &(&str, &str)| {
        context! { name => *name, value => input(Ci::Azure, parameter) }
    };
    let handed: Value = part.handed.iter().map(variable).collect();
    let condition = input(Ci::Azure, "condition");
    let own = context! {
        alone => true,
        plan_target => input(Ci::Azure, "target"),
        handed => handed,
        suffix => input(Ci::Azure, "suffix"),
        condition => if part.waits { format!("and(succeeded(), {condition})") } else { condition },
    };
    let values = context! { ..own, ..values(Ci::Azure) };
    let body = templates.block(part.template, part.block, &values)?;
    file(templates, part, "jobs", &told, &body)
}

fn steps(templates: &Templates, part: &Part) -> Result<String> {
    // Steps of others come before these, and leave something for them.
    let given = context! {
        fresh => false,
        plan_target => input(Ci::Azure, "target"),
        artifact => input(Ci::Azure, "artifact"),
        digest => input(Ci::Azure, "digest"),
        suffix => input(Ci::Azure, "suffix"),
    };
    let values = context! { ..given, ..values(Ci::Azure) };
    let body = templates.block(part.template, &format!("{}_steps", part.block), &values)?;
    file(templates, part, "steps", part.told, &body)
}

fn file(
    templates: &Templates,
    part: &Part,
    level: &str,
    told: &[&str],
    body: &str,
) -> Result<String> {
    let publishes = body.contains("parameters.suffix");
    let told: Vec<&str> = told.iter().copied().chain(publishes.then_some("suffix")).collect();
    templates.part(&context! {
        about => part.about,
        level => level,
        waits => part.waits,
        rights => part.rights(),
        signs_in => part.block != "build",
        parameters => parameters_of(part, &told),
        body => body,
    })
}

/// An input of a workflow that is called, as its host names it.
fn input(ci: Ci, name: &str) -> String {
    match ci {
        Ci::GitHub => format!("${{{{ inputs.{name} }}}}"),
        Ci::Azure => format!("${{{{ parameters.{} }}}}", camel(name)),
    }
}

/// What every workflow depends on.
fn values(ci: Ci) -> Value {
    context! { ..inputs(ci), ..uses() }
}

/// Expressions that the caller's inputs fill.
fn inputs(ci: Ci) -> Value {
    let target = input(ci, "target");
    let jobs = Loop::steps_of(|part, title| Job {
        part,
        key: input(ci, &format!("{part}-job")),
        title,
        given: Some(match ci {
            Ci::GitHub => format!("inputs.{part}-job != ''"),
            Ci::Azure => format!("ne('{}', '')", input(ci, &format!("{part}-job"))),
        }),
    });
    context! {
        embedded => false,
        alone => false,
        fresh => true,
        suffix => "",
        artifact => "$(artifact)",
        digest => "$(digest)",
        main => "the main branch",
        python => input(ci, "python"),
        test_target => target.clone(),
        staging_target => target.clone(),
        plan_target => input(ci, "plan-target"),
        plan_unless => true,
        plan_if => "inputs.plan-target != '' && ",
        plan_words => "the target that the main branch is deployed to",
        rights => "",
        production_target => target,
        runner => "${{ fromJSON(inputs.runner) }}",
        pool => input(ci, "pool"),
        own_runner => (),
        agents => "",
        own_agents => false,
        config => input(ci, "config"),
        folder => input(ci, "folder"),
        place => input(ci, "folder") + "/",
        prefix => "",
        events => "",
        kind => "",
        cron => "",
        of_folder => "",
        secrets => (),
        hosts => Value::from(Serde(&BTreeMap::<String, String>::new())),
        ..production_of(ci, &jobs)
    }
}

/// What production does, and when each of its jobs runs.
fn production_of(ci: Ci, jobs: &Loop) -> Value {
    let (score_if, and_watch) = match ci {
        Ci::GitHub => (
            " && inputs.score-job != '' && (inputs.features-job == '' || needs.train.outputs.features == 'success')".to_owned(),
            " && inputs.watch",
        ),
        Ci::Azure => (
            format!("and(not(canceled()), {UNLESS_JUDGED}, ne('${{{{ parameters.scoreJob }}}}', ''), or(eq('${{{{ parameters.featuresJob }}}}', ''), eq(dependencies.train.outputs['train.features.verdict'], 'pass')))"),
            "",
        ),
    };
    let serve_if = match ci {
        Ci::GitHub => "inputs.serve",
        Ci::Azure => "and(succeeded(), eq('${{ parameters.serve }}', 'true'))",
    };
    let watch_condition = format!(
        "and(succeededOrFailed(), eq('${{{{ parameters.watch }}}}', 'true'), {UNLESS_JUDGED})"
    );
    context! {
        score_if => score_if,
        and_watch => and_watch,
        watch_condition => watch_condition,
        serves => true,
        serve_if => serve_if,
        ..production(jobs)
    }
}
