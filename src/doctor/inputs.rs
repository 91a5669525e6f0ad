//! What steps and jobs hand to ours, held against what these take.

use serde_json::Value;

use super::jobs::is_filled_in;
use super::published::{self, Input, Named};
use crate::names::{meant_variable, near};

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
    let named = Named::of(uses)?;
    let is_known = named.known().any(|known| known == named.name);
    (!is_known).then(|| format!("there is no `{}`{}", named.name, meant(named.name, named.known())))
}

/// What is given, also by a template of Azure's.
fn given(handed: &Value) -> Vec<(&str, &Value)> {
    let fields = handed.as_object().into_iter().flatten();
    fields
        .flat_map(|(name, value)| match name.starts_with("${{") {
            true => given(value),
            false => vec![(name.as_str(), value)],
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
    of: &'a str,
    is_task: bool,
    taken: Vec<Input>,
    given: &'a Value,
}

impl Handed<'_> {
    fn slips(self) -> Vec<String> {
        let Self { of, is_task, taken, given: all } = self;
        let mut found = Vec::new();
        for (name, value) in given(all) {
            let Some(input) = taken.iter().find(|own| own.name.eq_ignore_ascii_case(name)) else {
                let meant = meant(name, taken.iter().map(|own| own.name.as_str()));
                found.push(format!("{of} has no input `{name}`{meant}"));
                continue;
            };
            found.extend(wrong(input, value, is_task).map(|told| format!("{of}: `{name}` {told}")));
        }
        let lacking = taken.iter().filter(|own| own.is_needed && all[own.name.as_str()].is_null());
        found.extend(lacking.map(|own| format!("{of} needs the input `{}`", own.name)));
        found
    }
}

/// Why an input cannot have a value. What a host fills in is not known here.
fn wrong(input: &Input, value: &Value, is_task: bool) -> Option<String> {
    let known = input.values.as_ref()?;
    let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    // Templates of Azure write `True`, which its tasks understand.
    let is_known = known.iter().any(|known| match &**known {
        "true" | "false" if is_task => known.eq_ignore_ascii_case(&value),
        known => known == value,
    });
    if value.trim().is_empty() || value == "null" || is_filled_in(&value) || is_known {
        return None;
    }
    Some(format!("is `{}`, not one of {}", value.escape_debug(), known.join(", ")))
}

fn handed(step: &Value) -> Option<Handed<'_>> {
    if let Some(uses) = step["uses"].as_str() {
        let named = Named::of(uses)?;
        let taken = published::of_uses(&named)?;
        return Some(Handed { of: named.name, is_task: false, taken, given: &step["with"] });
    }
    let (task, _) = step["task"].as_str()?.split_once('@')?;
    let taken = published::of_task(task)?;
    Some(Handed { of: task, is_task: true, taken, given: &step["inputs"] })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> [Vec<String>; 2] {
        let Slips { inputs, variables } = misspelt(&serde_yaml::from_str(text).unwrap());
        [inputs, variables]
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
        with: {traget: prod, Action: plam, fail-on: 'no', comment: true, local: 'True', allow-destroy: '${{ inputs.x }}'}
      - uses: lakegate/lakegate/actions/doctr@abc
        with: {x: y}
      - uses: acme/lakegate/actions/doctor@abc
        with: {traget: prod}
      - task: LakegateModelGate@0
        inputs: {serviceConnection: s, evidense: x, local: True, recompute: 'yes', '${{ if eq(1, 2) }}': {failOn: never, failsOn: x}}
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
                "bundle-deploy: `Action` is `plam`, not one of plan, apply, destroy, status, rollback, unlock",
                "bundle-deploy: `fail-on` is `no`, not one of not-pass, fail, never",
                "bundle-deploy: `local` is `True`, not one of true, false",
                "there is no `doctr`, did you mean `doctor`?",
                "LakegateModelGate has no input `evidense`, did you mean `evidence`?",
                "LakegateModelGate: `recompute` is `yes`, not one of true, false",
                "LakegateModelGate has no input `failsOn`, did you mean `failOn`?",
                "merge-request has no input `pyton`, did you mean `python`?",
                "staging needs the input `target`",
            ]
        );
    }
}
