//! The command line, told to the CI hosts: `action.yml`, `task.json` and the
//! tables of the docs all come from the definitions that clap parses with.

mod azure;
mod github;
mod readme;
mod tables;

use std::path::Path;

use anyhow::Result;
use clap::{Arg, ArgAction, CommandFactory as _};

use super::command::Alone;
use crate::sys::fs;
use crate::{
    bundle_deploy, doctor, drift_check, job_run, merge_test, model_gate, model_promote,
    model_serve, release_build,
};

/// An argument, as an input of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Input {
    /// `fail-on`
    pub(super) name: String,
    /// Given by its name, not by its place.
    pub(super) is_flag: bool,
    /// `LAKEGATE_FAIL_ON`
    pub(super) env: String,
    pub(super) help: String,
    pub(super) default: Option<String>,
    /// The values it may have, where they are few, and what each means.
    pub(super) values: Vec<(String, String)>,
    pub(super) kind: Kind,
    pub(super) required: bool,
    /// `Workspace`, `Output`; none for the command's own.
    pub(super) group: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Flag,
    /// One value per line.
    Lines,
}

/// A command as a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Step {
    /// `merge-test`
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) inputs: Vec<Input>,
    pub(super) outputs: Vec<(&'static str, &'static str)>,
}

/// What every step sets.
const SHARED: [(&str, &str); 4] = [
    ("verdict", "pass, fail or inconclusive"),
    ("reason", "The verdict in one line"),
    ("report", "The path of the HTML report"),
    ("junit", "The path of the JUnit file"),
];

/// Inputs that make no sense in a pipeline.
const LEFT_OUT: [&str; 1] = ["json"];

type Outputs = &'static [(&'static str, &'static str)];

/// Every command that is a step of its own.
pub(super) fn steps() -> Vec<Step> {
    vec![
        step::<merge_test::Args>("merge-test", merge_test::ABOUT, merge_test::OUTPUTS),
        step::<release_build::Args>("release-build", release_build::ABOUT, release_build::OUTPUTS),
        step::<bundle_deploy::Args>("bundle-deploy", bundle_deploy::ABOUT, bundle_deploy::OUTPUTS),
        step::<job_run::Args>("job-run", job_run::ABOUT, job_run::OUTPUTS),
        step::<model_gate::Args>("model-gate", model_gate::ABOUT, model_gate::OUTPUTS),
        step::<model_promote::Args>("model-promote", model_promote::ABOUT, model_promote::OUTPUTS),
        step::<model_serve::Args>("model-serve", model_serve::ABOUT, model_serve::OUTPUTS),
        step::<doctor::Args>("doctor", doctor::ABOUT, doctor::OUTPUTS),
        step::<drift_check::Args>("drift-check", drift_check::ABOUT, drift_check::OUTPUTS),
    ]
}

fn step<A: clap::Args>(name: &'static str, about: &'static str, own: Outputs) -> Step {
    let command = Alone::<A>::command();
    let inputs = command.get_arguments().filter_map(input);
    let inputs = inputs.filter(|input| !LEFT_OUT.contains(&input.name.as_str())).collect();
    Step { name, about, inputs, outputs: SHARED.iter().chain(own).copied().collect() }
}

fn input(arg: &Arg) -> Option<Input> {
    if matches!(arg.get_action(), ArgAction::Help | ArgAction::Version) {
        return None;
    }
    let name = arg.get_long().unwrap_or(arg.get_id().as_str());
    let kind = match arg.get_action() {
        ArgAction::SetTrue => Kind::Flag,
        ArgAction::Append => Kind::Lines,
        _ => Kind::Text,
    };
    let values = if kind == Kind::Flag { Vec::new() } else { arg.get_possible_values() };
    let default = arg.get_default_values().first();
    Some(Input {
        name: name.replace('_', "-"),
        is_flag: arg.get_long().is_some(),
        env: arg.get_env()?.to_string_lossy().into_owned(),
        help: arg
            .get_help()
            .map_or_else(|| "What to do".to_owned(), |help| sentence(&help.to_string())),
        default: default.map(|value| value.to_string_lossy().into_owned()),
        values: values
            .iter()
            .map(|value| {
                let help = value.get_help().map(|help| sentence(&help.to_string()));
                (value.get_name().to_owned(), help.unwrap_or_default())
            })
            .collect(),
        kind,
        required: arg.is_required_set(),
        group: arg.get_help_heading().map(str::to_owned),
    })
}

/// Help as one sentence: what stands in code stays as it is.
fn sentence(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Whether a command may set this output.
pub(super) fn declares(command: &str, output: &str) -> bool {
    steps()
        .iter()
        .find(|step| step.name == command)
        .is_none_or(|step| step.outputs.iter().any(|(name, _)| *name == output))
}

/// Every generated file, by its path in the repository.
pub(super) fn files() -> Result<Vec<(String, String)>> {
    let steps = steps();
    let mut files = vec![("action.yml".to_owned(), github::front_door(&steps))];
    for step in &steps {
        let name = step.name;
        files.push((format!("actions/{name}/action.yml"), github::action(step)));
        files.push((format!("actions/{name}/README.md"), readme::action(step)));
        files.push((format!("docs/reference/{name}.md"), readme::reference(step)));
        files.push((format!("tasks/{name}/task.json"), azure::task(step)?));
        files.push((format!("tasks/{name}/inputs.json"), azure::inputs(step)?));
    }
    files.push(("tasks/vss-extension.json".to_owned(), azure::extension(&steps)?));
    files.extend(tables::pages());
    #[cfg(feature = "local")]
    {
        files.extend(crate::init::shared()?);
        let suite = super::command::Cli::command();
        for name in ["init", "tour", "workspace"] {
            let command = suite.find_subcommand(name);
            let command = command.ok_or_else(|| anyhow::anyhow!("there is no `{name}`"))?;
            files.push((format!("docs/reference/{name}.md"), readme::flags(command)));
        }
    }
    Ok(files)
}

/// Writes them below a checkout.
pub(super) fn write(checkout: &Path) -> Result<usize> {
    let files = files()?;
    for (path, text) in &files {
        fs::write_atomic(checkout.join(path), text)?;
    }
    Ok(files.len())
}

/// The input's description: what it is, what it may be, what it is if left out.
fn described(input: &Input) -> String {
    let mut out = input.help.clone();
    if input.kind == Kind::Flag {
        out.push_str(". true or false");
    } else if !input.values.is_empty() {
        let words: Vec<String> =
            input
                .values
                .iter()
                .map(|(name, help)| {
                    if help.is_empty() { name.clone() } else { format!("{name} ({})", lower(help)) }
                })
                .collect();
        out.push_str(&format!(". One of: {}", words.join("; ")));
    } else if input.kind == Kind::Lines {
        out.push_str(". One per line");
    }
    if let Some(default) = given(input) {
        out.push_str(&format!(". Default: `{default}`"));
    }
    out
}

/// The default that is worth a word.
fn given(input: &Input) -> Option<&String> {
    let given = input.kind != Kind::Flag && !input.required;
    input.default.as_ref().filter(|default| given && !default.is_empty())
}

fn lower(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_argument_can_be_set_by_the_environment() {
        let steps = steps();
        assert!(steps.iter().map(|step| step.name).eq(crate::names::STEPS));
        for step in steps {
            let names: Vec<&str> = step.inputs.iter().map(|input| input.name.as_str()).collect();
            let unique: std::collections::BTreeSet<&&str> = names.iter().collect();
            assert_eq!(unique.len(), names.len(), "{}", step.name);
            for input in &step.inputs {
                let is_known = crate::names::VARIABLES.contains(&input.env.as_str());
                assert!(is_known || !input.env.starts_with("LAKEGATE_"), "{}", input.env);
                assert!(
                    !input.help.is_empty() || input.name == "action",
                    "{} {}",
                    step.name,
                    input.name
                );
            }
        }
    }

    #[test]
    fn every_output_that_is_declared_is_set_somewhere() {
        let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
        for step in steps() {
            let folder = src.join(step.name.replace('-', "_"));
            let files = fs::entries(&folder).unwrap().unwrap();
            // Where they are declared, they are not set.
            let others = files.iter().filter(|(name, ..)| name != "args.rs");
            let code: String =
                others.filter_map(|(name, ..)| fs::read_text(folder.join(name)).ok()).collect();
            for (output, _) in step.outputs.iter().filter(|own| !SHARED.contains(own)) {
                let set = format!("\"{output}\",");
                assert!(code.contains(&set), "{} never sets {output}", step.name);
            }
        }
    }

    #[test]
    fn the_committed_files_are_those_of_the_definitions() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        for (path, text) in files().unwrap() {
            let committed = fs::read_text(root.join(&path)).unwrap_or_default();
            assert_eq!(committed, text, "{path} is stale: run `cargo run -- manifests`");
        }
    }
}
