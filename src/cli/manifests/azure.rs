//! Azure DevOps tasks: the same inputs under names that Azure takes.

use anyhow::Result;
use serde_json::{Map, Value, json};

use super::{Input, Kind, Step, described};
use crate::names::{Sha256, camel, task_name};

/// Inputs that only some actions look at: the editor shows them for these.
const OF_ACTIONS: [(&str, &str, &[&str]); 24] = [
    ("merge-test", "base", &["run", "unit", "affected", "integration"]),
    ("merge-test", "isolation", &["run", "integration", "clean"]),
    ("merge-test", "keep", &["run", "integration"]),
    ("merge-test", "environment", &["run", "unit"]),
    ("merge-test", "older-than", &["sweep"]),
    ("release-build", "release", &["verify"]),
    ("release-build", "manifest-digest", &["verify"]),
    ("release-build", "release-version", &["build"]),
    ("release-build", "publish", &["build"]),
    ("bundle-deploy", "plan", &["apply"]),
    ("bundle-deploy", "comment", &["plan"]),
    ("bundle-deploy", "from", &["rollback"]),
    ("bundle-deploy", "lock-id", &["unlock"]),
    ("model-gate", "candidate", &["judge"]),
    ("model-gate", "champion", &["judge"]),
    ("model-gate", "evidence", &["verify"]),
    ("model-gate", "recompute", &["verify"]),
    ("model-promote", "model", &["rollback", "history"]),
    ("model-promote", "override", &["promote"]),
    ("model-promote", "reason", &["approve", "rollback"]),
    ("model-serve", "at-once", &["rollout"]),
    ("model-serve", "again", &["rollout"]),
    ("model-serve", "from", &["rollback"]),
    ("model-serve", "reason", &["rollback"]),
];

/// The same for a task in every version: a UUID of version 8.
fn guid(step: &str) -> String {
    let hex = Sha256::of_parts(["lakegate azure task", step]).to_string();
    format!("{}-{}-8{}-8{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..32])
}

fn version() -> Value {
    let part = |text: &str| text.parse::<u64>().unwrap_or(0);
    json!({
        "Major": part(env!("CARGO_PKG_VERSION_MAJOR")),
        "Minor": part(env!("CARGO_PKG_VERSION_MINOR")),
        "Patch": part(env!("CARGO_PKG_VERSION_PATCH")),
    })
}

fn input(step: &str, input: &Input) -> Value {
    let mut fields = json!({
        "name": camel(&input.name),
        "label": input.name.replace('-', " "),
        "helpMarkDown": described(input),
        "required": input.required,
        "defaultValue": "",
    });
    let kind = match (input.kind, input.values.is_empty()) {
        (Kind::Flag, _) => "boolean",
        (Kind::Lines, _) => "multiLine",
        (Kind::Text, false) => "pickList",
        (Kind::Text, true) => "string",
    };
    fields["type"] = json!(kind);
    if kind == "pickList" {
        let options: Map<String, Value> =
            input.values.iter().map(|(name, _)| (name.clone(), json!(name))).collect();
        fields["options"] = Value::Object(options);
    }
    // The agent hands over every default, which would overrule a variable.
    if let (true, Some(default)) = (input.name == "action", &input.default) {
        fields["defaultValue"] = json!(default);
    }
    let of_this = OF_ACTIONS.iter().find(|(of, name, _)| *of == step && *name == input.name);
    if let Some((.., actions)) = of_this {
        let rules: Vec<String> = actions.iter().map(|name| format!("action = {name}")).collect();
        fields["visibleRule"] = json!(rules.join(" || "));
    }
    if let Some(group) = &input.group {
        fields["groupName"] = json!(group.to_lowercase());
    }
    fields
}

pub(super) fn task(step: &Step) -> Result<String> {
    let mut inputs: Vec<Value> = step.inputs.iter().map(|of| input(step.name, of)).collect();
    inputs.push(json!({
        "name": "binaryPath", "label": "binary path", "type": "string", "required": false,
        "defaultValue": "", "groupName": "delivery",
        "helpMarkDown": "A binary that is there already, instead of the released one",
    }));
    inputs.push(json!({
        "name": "mirror", "label": "mirror", "type": "string", "required": false,
        "defaultValue": "", "groupName": "delivery",
        "helpMarkDown": "Where the released archives are: an https address, or a folder. The checksum stays the one in this task",
    }));
    inputs.push(json!({
        // No file path: a blank one would become the folder of the sources.
        "name": "workingDirectory", "label": "working directory", "type": "string",
        "required": false, "defaultValue": "", "groupName": "delivery",
        "helpMarkDown": "The folder to run in. Default: the variable LAKEGATE_WORKING_DIRECTORY, then the sources",
    }));
    inputs.push(json!({
        "name": "serviceConnection", "label": "service connection",
        "type": "connectedService:AzureRM", "required": false, "defaultValue": "",
        "groupName": "workspace",
        "helpMarkDown": "Sign in as this connection (workload identity federation) where DATABRICKS_AUTH_TYPE is azure-devops-oidc. Default: as the pipeline",
    }));
    let outputs: Vec<Value> = step
        .outputs
        .iter()
        .map(|(name, help)| json!({ "name": camel(name), "description": help }))
        .collect();
    let settable: Vec<String> = step.outputs.iter().map(|(name, _)| camel(name)).collect();
    let handler = json!({ "target": "shim.js", "argumentFormat": "" });
    let task = json!({
        "$schema": "https://raw.githubusercontent.com/Microsoft/azure-pipelines-task-lib/master/tasks.schema.json",
        "id": guid(step.name),
        "name": task_name(step.name),
        "friendlyName": format!("Lakegate {}", step.name),
        "description": step.about,
        "author": "Lakegate",
        "helpMarkDown": format!("See docs/{}.md in the repository", step.name),
        "category": "Deploy",
        "visibility": ["Build", "Release"],
        "version": version(),
        "minimumAgentVersion": "4.248.0",
        "instanceNameFormat": format!("lakegate {}", step.name),
        "groups": [
            { "name": "workspace", "displayName": "Workspace", "isExpanded": false },
            { "name": "output", "displayName": "Output", "isExpanded": false },
            { "name": "delivery", "displayName": "Delivery", "isExpanded": false },
        ],
        "inputs": inputs,
        "OutputVariables": outputs,
        // Whatever a line of ours, or of a test, would have the agent set.
        "restrictions": { "settableVariables": { "allowed": settable } },
        "execution": { "Node20_1": handler, "Node24": handler },
    });
    Ok(serde_json::to_string_pretty(&task)? + "\n")
}

/// Which variable each input becomes: all that the shim knows of a command.
pub(super) fn inputs(step: &Step) -> Result<String> {
    let map: Map<String, Value> =
        step.inputs.iter().map(|input| (camel(&input.name), json!(input.env))).collect();
    let flags = step.inputs.iter().filter(|input| input.kind == Kind::Flag);
    let flags: Vec<String> = flags.map(|input| camel(&input.name)).collect();
    let version = env!("CARGO_PKG_VERSION");
    let told = json!({
        "command": step.name, "version": version, "inputs": map, "flags": flags });
    Ok(serde_json::to_string_pretty(&told)? + "\n")
}

pub(super) fn extension(steps: &[Step]) -> Result<String> {
    let tasks: Vec<Value> = steps
        .iter()
        .map(|step| {
            json!({
                "id": step.name,
                "type": "ms.vss-distributed-task.task",
                "targets": ["ms.vss-distributed-task.tasks"],
                "properties": { "name": step.name },
            })
        })
        .collect();
    let files: Vec<Value> = steps.iter().map(|step| json!({ "path": step.name })).collect();
    let extension = json!({
        "manifestVersion": 1,
        "id": "lakegate",
        "publisher": "lakegate",
        "name": "Lakegate",
        "version": env!("CARGO_PKG_VERSION"),
        "description": "From merge request to monitored model on Databricks: one task per step",
        "categories": ["Azure Pipelines"],
        "tags": ["databricks", "mlops", "drift", "model"],
        "targets": [{ "id": "Microsoft.VisualStudio.Services" }],
        "icons": { "default": "icon.png" },
        "content": { "details": { "path": "README.md" } },
        "files": files,
        "contributions": tasks,
    });
    Ok(serde_json::to_string_pretty(&extension)? + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_action_looks_at_is_there() {
        let steps = super::super::steps();
        for (of, name, actions) in OF_ACTIONS {
            let step = steps.iter().find(|step| step.name == of).unwrap();
            assert!(step.inputs.iter().any(|input| input.name == name), "{of} {name}");
            let action = step.inputs.iter().find(|input| input.name == "action").unwrap();
            for wanted in actions {
                assert!(action.values.iter().any(|(known, _)| known == wanted), "{of} {wanted}");
            }
        }
    }

    #[test]
    fn a_task_keeps_its_id() {
        assert_eq!(guid("merge-test"), guid("merge-test"));
        assert_ne!(guid("merge-test"), guid("job-run"));
    }
}
