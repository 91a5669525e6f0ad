//! What steps and jobs hand to ours, held against what these take.

use serde_json::Value;

use super::workflows::SUITE;
use crate::names::{camel, meant_variable, near, task_name};

macro_rules! manifests {
    ($folder:literal, $end:literal: $($name:literal),*) => {
        [$(($name, include_str!(concat!("../../", $folder, $name, $end)))),*]
    };
}

/// The actions of this version, as they are published.
const ACTIONS: [(&str, &str); 8] = manifests!(
    "actions/", "/action.yml":
    "merge-test", "release-build", "bundle-deploy", "job-run", "model-gate", "model-promote",
    "doctor", "drift-check"
);

/// The workflows that others call.
const WORKFLOWS: [(&str, &str); 4] = manifests!(
    ".github/workflows/", ".yml": "merge-request", "staging", "release", "production"
);

/// Inputs of a task that no action has.
const OF_TASKS: [&str; 1] = ["serviceConnection"];

/// What is published in one folder of ours, by name.
type Shelf = &'static [(&'static str, &'static str)];

const SHELVES: [(&str, Shelf); 2] = [("actions/", &ACTIONS), (".github/workflows/", &WORKFLOWS)];

/// Where `uses: lakegate/lakegate/FOLDER/NAME@…` looks, and for what.
fn place(uses: &str) -> Option<(Shelf, &str)> {
    let path = uses.strip_prefix(SUITE)?;
    SHELVES.into_iter().find_map(|(folder, shelf)| {
        let name = path.strip_prefix(folder)?.split('@').next()?;
        Some((shelf, name.trim_end_matches(".yml")))
    })
}

fn manifest(shelf: Shelf, name: &str) -> Option<Value> {
    let (_, text) = shelf.iter().find(|(known, _)| *known == name)?;
    serde_yaml::from_str(text).ok()
}

/// The workflow of ours that a job calls.
pub(super) fn called(uses: &str) -> Option<Value> {
    let (shelf, name) = place(uses)?;
    manifest(shelf, name).filter(|found| !found["on"]["workflow_call"].is_null())
}

fn meant<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let near = near(given, known);
    near.first().map(|near| format!(", did you mean `{near}`?")).unwrap_or_default()
}

fn names(inputs: &Value) -> Vec<String> {
    inputs.as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect()
}

/// What is handed to ours by a name that nothing takes: a host drops it with a word
/// in the log, or without one.
#[derive(Debug, Default)]
pub(super) struct Slips {
    pub(super) inputs: Vec<String>,
    /// Variables that are nearly ours; they may be somebody's own.
    pub(super) variables: Vec<String>,
}

pub(super) fn misspelt(workflow: &Value) -> Slips {
    let mut found = Slips::default();
    collect(workflow, &mut found);
    found
}

fn collect(value: &Value, found: &mut Slips) {
    match value {
        Value::Object(fields) => {
            if let Some(handed) = handed(value) {
                found.inputs.extend(handed.slips());
            }
            found.inputs.extend(value["uses"].as_str().and_then(unknown));
            for name in variables(&value["env"]).chain(variables(&value["variables"])) {
                if let Some(meant) = meant_variable(&name) {
                    found.variables.push(format!("`{name}`, for `{meant}`"));
                }
            }
            fields.values().for_each(|inner| collect(inner, found));
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        _ => {}
    }
}

/// An action or a workflow of ours that there is not.
fn unknown(uses: &str) -> Option<String> {
    let (shelf, name) = place(uses)?;
    let known = || shelf.iter().map(|(known, _)| *known);
    let is_known = known().any(|known| known == name);
    (!is_known).then(|| format!("there is no `{name}`{}", meant(name, known())))
}

/// The names of what is given, also of what a template of Azure's puts in.
fn given_names(given: &Value) -> Vec<String> {
    let fields = given.as_object().into_iter().flatten();
    fields
        .flat_map(|(name, value)| match name.starts_with("${{") {
            true => given_names(value),
            false => vec![name.clone()],
        })
        .collect()
}

/// The names of variables, of a map or of a list as Azure has it.
fn variables(value: &Value) -> impl Iterator<Item = String> + '_ {
    let listed = value.as_array().into_iter().flatten();
    let listed = listed.filter_map(|item| Some(item["name"].as_str()?.to_owned()));
    names(value).into_iter().chain(listed)
}

/// Whom a step or a job hands something to, what that takes, and what is given.
struct Handed<'a> {
    of: String,
    taken: Vec<String>,
    needed: Vec<String>,
    given: &'a Value,
}

impl Handed<'_> {
    fn slips(self) -> Vec<String> {
        let Self { of, taken, needed, given } = self;
        let is_taken = |name: &String| taken.iter().any(|own| own.eq_ignore_ascii_case(name));
        let unknown = given_names(given).into_iter().filter(|name| !is_taken(name)).map(|name| {
            let meant = meant(&name, taken.iter().map(String::as_str));
            format!("{of} has no input `{name}`{meant}")
        });
        let lacking = needed.iter().filter(|name| given[name.as_str()].is_null());
        unknown.chain(lacking.map(|name| format!("{of} needs the input `{name}`"))).collect()
    }
}

fn handed(step: &Value) -> Option<Handed<'_>> {
    if let Some(uses) = step["uses"].as_str() {
        let (shelf, name) = place(uses)?;
        let own = manifest(shelf, name)?;
        // What an action needs, it tells itself.
        let of_workflow = &own["on"]["workflow_call"]["inputs"];
        let required = of_workflow.as_object().into_iter().flatten();
        let required = required.filter(|(_, input)| input["required"] == true);
        return Some(Handed {
            of: name.to_owned(),
            taken: names(if of_workflow.is_null() { &own["inputs"] } else { of_workflow }),
            needed: required.map(|(name, _)| name.clone()).collect(),
            given: &step["with"],
        });
    }
    let (task, _) = step["task"].as_str()?.split_once('@')?;
    let (name, _) = ACTIONS.iter().find(|(name, _)| task_name(name) == task)?;
    let of_action = names(&manifest(&ACTIONS, name)?["inputs"]);
    let taken = of_action.iter().map(|name| camel(name));
    Some(Handed {
        of: task.to_owned(),
        taken: taken.chain(OF_TASKS.map(str::to_owned)).collect(),
        needed: Vec::new(),
        given: &step["inputs"],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::STEPS;

    fn told(text: &str) -> [Vec<String>; 2] {
        let Slips { inputs, variables } = misspelt(&serde_yaml::from_str(text).unwrap());
        [inputs, variables]
    }

    #[test]
    fn every_manifest_is_read() {
        assert!(ACTIONS.iter().map(|(name, _)| *name).eq(STEPS));
        for (name, text) in ACTIONS {
            let action: Value = serde_yaml::from_str(text).unwrap();
            assert!(names(&action["inputs"]).contains(&"config".to_owned()), "{name}");
        }
        for (name, _) in WORKFLOWS {
            let workflow = called(&format!("{SUITE}.github/workflows/{name}.yml@main")).unwrap();
            assert!(workflow["on"]["workflow_call"]["inputs"]["target"].is_object(), "{name}");
        }
    }

    #[test]
    fn an_input_that_nothing_takes_is_told_with_the_near_one() {
        let [inputs, variables] = told(
            "env: {LAKEGATE_TRAGET: prod, LAKEGATE_TEAM: ours}
variables: [{name: LAKEGATE_ON_DRFT, value: x}, {group: g}]
jobs:
  a:
    steps:
      - uses: lakegate/lakegate/actions/bundle-deploy@abc
        with: {traget: prod, Action: plan}
      - uses: lakegate/lakegate/actions/doctr@abc
        with: {x: y}
      - uses: acme/lakegate/actions/doctor@abc
        with: {traget: prod}
      - task: LakegateModelGate@0
        inputs: {serviceConnection: s, evidense: x, '${{ if eq(1, 2) }}': {failOn: never, failsOn: x}}
      - task: Other@1
        inputs: {any: thing}
  b:
    uses: lakegate/lakegate/.github/workflows/merge-request.yml@abc
    with: {target: dev, pyton: '3.12'}
  c:
    uses: lakegate/lakegate/.github/workflows/staging.yml@abc
",
        );
        assert_eq!(
            variables,
            [
                "`LAKEGATE_TRAGET`, for `LAKEGATE_TARGET`",
                "`LAKEGATE_ON_DRFT`, for `LAKEGATE_ON_DRIFT`"
            ]
        );
        assert_eq!(
            inputs,
            [
                "bundle-deploy has no input `traget`, did you mean `target`?",
                "there is no `doctr`, did you mean `doctor`?",
                "LakegateModelGate has no input `evidense`, did you mean `evidence`?",
                "LakegateModelGate has no input `failsOn`, did you mean `failOn`?",
                "merge-request has no input `pyton`, did you mean `python`?",
                "staging needs the input `target`",
            ]
        );
    }
}
