//! The jobs that workflows name, held against those of the bundle.

use std::collections::BTreeSet;

use serde_json::Value;

use super::workflows::SUITE;
use crate::bundle::{Bundle, Kind};
use crate::names::near;

/// The keys and the names of a bundle's jobs.
pub(super) fn of_bundle(bundle: &Bundle) -> impl Iterator<Item = String> + '_ {
    let jobs = bundle.resources.iter().filter(|(_, resource)| resource.kind == Kind::Jobs);
    jobs.flat_map(|(key, resource)| {
        let name = resource.settings["name"].as_str();
        key.strip_prefix("jobs.").into_iter().chain(name).map(str::to_owned)
    })
}

/// What a workflow names and no target has. One for another bundle than that of `folder`
/// names other jobs.
pub(super) fn unknown(workflow: &Value, folder: &str, known: &BTreeSet<String>) -> Vec<String> {
    let mut named = Named::default();
    collect(workflow, &mut named);
    if !named.folders.iter().map(String::as_str).eq((!folder.is_empty()).then_some(folder)) {
        return Vec::new();
    }
    // What is like none of them may lie elsewhere.
    let told = |job: &String| {
        let near = near(job, known.iter().map(String::as_str));
        Some(format!("`{job}`, did you mean `{}`?", near.first()?))
    };
    named.jobs.iter().filter(|job| !known.contains(*job)).filter_map(told).collect()
}

#[derive(Default)]
struct Named {
    jobs: BTreeSet<String>,
    folders: BTreeSet<String>,
}

/// Everything that is handed to ours, in all the ways that the hosts have.
fn collect(value: &Value, found: &mut Named) {
    match value {
        Value::Object(fields) => {
            let begins = |name: &str, start: &str| {
                value[name].as_str().is_some_and(|named| named.starts_with(start))
            };
            if begins("uses", SUITE) {
                note(&value["with"], found);
            }
            if begins("task", "Lakegate") {
                note(&value["inputs"], found);
            }
            if value["template"].as_str().is_some_and(|name| name.ends_with("@lakegate")) {
                note(&value["parameters"], found);
            }
            if value["name"] == WORKING_DIRECTORY {
                found.folders.extend(folder_of(&value["value"]));
            }
            found.folders.extend(folder_of(&value[WORKING_DIRECTORY]));
            fields.values().for_each(|inner| collect(inner, found));
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        _ => {}
    }
}

const WORKING_DIRECTORY: &str = "LAKEGATE_WORKING_DIRECTORY";

fn note(handed: &Value, found: &mut Named) {
    for (name, value) in handed.as_object().into_iter().flatten() {
        match name.to_ascii_lowercase().replace('-', "").as_str() {
            "folder" | "workingdirectory" => found.folders.extend(folder_of(value)),
            name if name == "job" || name.ends_with("job") => {
                let job = value.as_str().map(str::trim).unwrap_or_default();
                if !job.is_empty() && !is_filled_in(job) {
                    found.jobs.insert(job.to_owned());
                }
            }
            _ => {}
        }
    }
}

/// A folder without steps that lead nowhere. One that the host fills in stays as it is:
/// it is like no folder, and nothing is known of the jobs in it.
fn folder_of(value: &Value) -> Option<String> {
    let text = value.as_str()?.trim();
    let parts = text.split('/').filter(|part| !matches!(*part, "" | "."));
    let folder =
        if is_filled_in(text) { text.to_owned() } else { parts.collect::<Vec<_>>().join("/") };
    (!folder.is_empty()).then_some(folder)
}

pub(super) fn is_filled_in(text: &str) -> bool {
    ["${{", "$(", "$["].iter().any(|mark| text.contains(mark))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_that_no_target_has_is_told_with_the_near_one() {
        let known = ["train", "refresh_features", "Score flights"].map(str::to_owned).into();
        let told = |text: &str, folder: &str| {
            unknown(&serde_yaml::from_str(text).unwrap(), folder, &known)
        };
        let steps = "
jobs:
  a:
    steps:
      - uses: lakegate/lakegate/actions/job-run@abc
        with: {job: trian}
      - uses: lakegate/lakegate/actions/job-run@abc
        with: {job: Score flights}
      - uses: lakegate/lakegate/actions/job-run@abc
        with: {job: '${{ inputs.job }}'}
      - uses: lakegate/lakegate/actions/drift-check@abc
        with: {retrain-job: 17, retrain-param: x=y}
      - task: LakegateJobRun@0
        inputs: {job: refresh_feature}
      - uses: acme/runs/job-run@abc
        with: {job: other}
  b:
    uses: lakegate/lakegate/.github/workflows/production.yml@abc
    with: {target: prod, train-job: train, check-job: deploy}
extends: {template: pipelines/production.yml@lakegate, parameters: {scoreJob: scoer}}
";
        let all = [
            "`refresh_feature`, did you mean `refresh_features`?",
            "`trian`, did you mean `train`?",
        ];
        assert_eq!(told(steps, ""), all);
        // Another bundle has other jobs.
        assert_eq!(told(steps, "flights"), [""; 0]);
        let own =
            |folder: &str| format!("env: {{LAKEGATE_WORKING_DIRECTORY: '{folder}'}}\n{steps}");
        assert_eq!(told(&own("./flights/"), "flights"), all);
        assert_eq!(told(&own("flights"), ""), [""; 0]);
        assert_eq!(told(&own("./"), ""), all);
        assert_eq!(told(&own("${{ matrix.folder }}"), ""), [""; 0]);
    }
}
