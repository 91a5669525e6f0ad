//! Azure DevOps tasks: the same inputs under names that Azure takes.

use anyhow::Result;
use serde_json::{Map, Value, json};

use super::{Input, Kind, Step, described};
use crate::names::{Sha256, camel, task_name};

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

fn input(input: &Input) -> Value {
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
    match kind {
        "boolean" => fields["defaultValue"] = json!("false"),
        "pickList" => {
            let options: Map<String, Value> =
                input.values.iter().map(|(name, _)| (name.clone(), json!(name))).collect();
            fields["options"] = Value::Object(options);
            fields["defaultValue"] = json!(input.default.clone().unwrap_or_default());
        }
        _ => {}
    }
    if let Some(group) = &input.group {
        fields["groupName"] = json!(group.to_lowercase());
    }
    fields
}

pub(super) fn task(step: &Step) -> Result<String> {
    let mut inputs: Vec<Value> = step.inputs.iter().map(input).collect();
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
        "name": "workingDirectory", "label": "working directory", "type": "filePath",
        "required": false, "defaultValue": "", "groupName": "delivery",
        "helpMarkDown": "The folder to run in",
    }));
    let outputs: Vec<Value> = step
        .outputs
        .iter()
        .map(|(name, help)| json!({ "name": name.replace('-', "_"), "description": help }))
        .collect();
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
        "outputVariables": outputs,
        "execution": { "Node20_1": handler, "Node24": handler },
    });
    Ok(serde_json::to_string_pretty(&task)? + "\n")
}

/// Which variable each input becomes: all that the shim knows of a command.
pub(super) fn inputs(step: &Step) -> Result<String> {
    let map: Map<String, Value> =
        step.inputs.iter().map(|input| (camel(&input.name), json!(input.env))).collect();
    let version = env!("CARGO_PKG_VERSION");
    let told = json!({ "command": step.name, "version": version, "inputs": map });
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
    fn a_task_keeps_its_id() {
        assert_eq!(guid("merge-test"), guid("merge-test"));
        assert_ne!(guid("merge-test"), guid("job-run"));
    }
}
