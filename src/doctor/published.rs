//! What this version publishes: its actions, its tasks and the workflows that others
//! call.

use serde_json::Value;

use super::workflows::SUITE;
use crate::names::{camel, task_name};

macro_rules! manifests {
    ($folder:literal, $end:literal: $($name:literal),*) => {
        [$(($name, include_str!(concat!("../../", $folder, $name, $end)))),*]
    };
}

macro_rules! of_steps {
    ($folder:literal, $end:literal) => {
        manifests!(
            $folder, $end:
            "merge-test", "release-build", "bundle-deploy", "job-run", "model-gate", "model-promote",
            "model-serve",
            "doctor", "drift-check"
        )
    };
}

const ACTIONS: [(&str, &str); 9] = of_steps!("actions/", "/action.yml");

const TASKS: [(&str, &str); 9] = of_steps!("tasks/", "/task.json");

const WORKFLOWS: [(&str, &str); 4] = manifests!(
    ".github/workflows/", ".yml": "merge-request", "staging", "release", "production"
);

/// What is published in one folder, by name.
type Shelf = &'static [(&'static str, &'static str)];

const SHELVES: [(&str, Shelf); 2] = [("actions/", &ACTIONS), (".github/workflows/", &WORKFLOWS)];

/// What `uses: lakegate/lakegate/FOLDER/NAME@…` names, and all that lies there.
pub(super) struct Named<'a> {
    pub(super) name: &'a str,
    shelf: Shelf,
}

impl<'a> Named<'a> {
    pub(super) fn of(uses: &'a str) -> Option<Self> {
        let path = uses.strip_prefix(SUITE)?;
        SHELVES.into_iter().find_map(|(folder, shelf)| {
            let name = path.strip_prefix(folder)?.split('@').next()?;
            Some(Self { name: name.trim_end_matches(".yml"), shelf })
        })
    }

    pub(super) fn known(&self) -> impl Iterator<Item = &'static str> + Clone {
        self.shelf.iter().map(|(known, _)| *known)
    }

    pub(super) fn manifest(&self) -> Option<Value> {
        manifest(self.shelf, self.name)
    }
}

fn manifest(shelf: &[(&str, &str)], name: &str) -> Option<Value> {
    let (_, text) = shelf.iter().find(|(known, _)| *known == name)?;
    serde_yaml::from_str(text).ok()
}

/// The workflow of ours that a job calls.
pub(super) fn called(uses: &str) -> Option<Value> {
    Named::of(uses)?.manifest().filter(|found| !found["on"]["workflow_call"].is_null())
}

/// What a step or a job may hand over.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Input {
    pub(super) name: String,
    /// The values that there are, if they are few.
    pub(super) values: Option<Vec<String>>,
    pub(super) is_needed: bool,
}

/// What a task takes.
pub(super) fn of_task(task: &str) -> Option<Vec<Input>> {
    let (command, _) = TASKS.iter().find(|(name, _)| task_name(name) == task)?;
    inputs(command)
}

/// What a command takes, in the words of its task: these tell which values there are.
fn inputs(command: &str) -> Option<Vec<Input>> {
    let task = manifest(&TASKS, command)?;
    let inputs = task["inputs"].as_array()?.iter().filter_map(|input| {
        let values = match input["type"].as_str()? {
            "boolean" => Some(["true", "false"].map(str::to_owned).to_vec()),
            "pickList" => Some(input["options"].as_object()?.keys().cloned().collect()),
            _ => None,
        };
        // What a command needs, it tells itself.
        Some(Input { name: input["name"].as_str()?.to_owned(), values, is_needed: false })
    });
    Some(inputs.collect())
}

/// What an action takes, or a workflow that is called.
pub(super) fn of_uses(named: &Named<'_>) -> Option<Vec<Input>> {
    let own = named.manifest()?;
    if let Some(inputs) = own["on"]["workflow_call"]["inputs"].as_object() {
        let input = |(name, input): (&String, &Value)| Input {
            name: name.clone(),
            values: None,
            is_needed: input["required"] == true,
        };
        return Some(inputs.iter().map(input).collect());
    }
    let of_task = inputs(named.name)?;
    let input = |name: &String| {
        let same = of_task.iter().find(|input| input.name == camel(name));
        let values = same.and_then(|input| input.values.clone());
        Input { name: name.clone(), values, is_needed: false }
    };
    Some(own["inputs"].as_object()?.keys().map(input).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::STEPS;

    #[test]
    fn every_manifest_is_read() {
        assert!(ACTIONS.iter().map(|(name, _)| *name).eq(STEPS));
        for (name, _) in ACTIONS {
            let action = of_uses(&Named { name, shelf: &ACTIONS }).unwrap();
            let mut own: Vec<_> =
                action.into_iter().map(|input| (camel(&input.name), input.values)).collect();
            // Only a task has one.
            own.push(("serviceConnection".to_owned(), None));
            let task = of_task(&task_name(name)).unwrap();
            let task: Vec<_> = task.into_iter().map(|input| (input.name, input.values)).collect();
            assert_eq!(task, own, "{name}");
        }
        for (name, _) in WORKFLOWS {
            let workflow = called(&format!("{SUITE}.github/workflows/{name}.yml@main")).unwrap();
            assert!(workflow["on"]["workflow_call"]["inputs"]["target"].is_object(), "{name}");
        }
    }

    #[test]
    fn values_are_known_where_they_are_few() {
        let values = |command: &str, name: &str| {
            let found = inputs(command).unwrap().into_iter().find(|input| input.name == name);
            found.unwrap().values.map(|values| values.join(" "))
        };
        assert_eq!(values("job-run", "cancelLeft").unwrap(), "true false");
        assert_eq!(values("drift-check", "checks").unwrap(), "all drift quality");
        assert_eq!(values("job-run", "job"), None);
    }
}
