//! Names in the policy that would switch a rule off where they are misspelt.

use crate::bundle::{Bundle, Kind};
use crate::config::{Deploy, Forbid};
use crate::names::{is_slip, near};
use crate::report::Fault;

/// # Errors
/// When the policy is for a target that is nearly one of the bundle's, or forbids
/// something in a field that no kind has.
pub(super) fn check(deploy: &Deploy, bundle: &Bundle) -> Result<(), Fault> {
    // Several bundles may share the file: a name of another one's target is fine.
    let bare = || {
        let targets = bundle.targets.iter().filter(|name| !deploy.targets.contains_key(*name));
        targets.map(String::as_str)
    };
    for own in deploy.targets.keys().filter(|name| !bundle.targets.contains(name)) {
        let begins = |target: &str| target.len() >= 4 && own.starts_with(target);
        if !near(own, bare()).is_empty() || bare().any(begins) {
            let message = format!("`deploy.targets`: the bundle has no target `{own}`");
            return Err(Fault::usage(message).or_near(own, bare().collect::<Vec<_>>()));
        }
    }
    let policies = std::iter::once(&deploy.policy).chain(deploy.targets.values());
    policies.flat_map(|policy| policy.forbid.iter().flatten()).try_for_each(check_field)
}

/// What a right says.
const OF_PERMISSIONS: [&str; 4] = ["level", "user_name", "group_name", "service_principal_name"];
const OF_GRANTS: [&str; 2] = ["principal", "privileges"];

/// Names within the settings that slips are likely in; others may be right, too.
const WITHIN: [&str; 24] = [
    "new_cluster",
    "num_workers",
    "autoscale",
    "min_workers",
    "max_workers",
    "spark_version",
    "node_type_id",
    "driver_node_type_id",
    "instance_pool_id",
    "policy_id",
    "spark_conf",
    "data_security_mode",
    "existing_cluster_id",
    "job_cluster_key",
    "environment_key",
    "notebook_task",
    "spark_python_task",
    "python_wheel_task",
    "pipeline_task",
    "run_job_task",
    "max_retries",
    "timeout_seconds",
    "pause_status",
    "service_principal_name",
];

fn check_field(rule: &Forbid) -> Result<(), Fault> {
    let parts: Vec<&str> = rule.field.split('.').collect();
    let (first, rest) = parts.split_first().map_or(("", &[][..]), |(first, rest)| (*first, rest));
    let refuse = |what: String, known: Vec<&str>, given: &str| {
        Err(Fault::usage(format!("`forbid`: {what}")).or_near(given, known))
    };
    let (rights, told) = match (rule.kind.as_deref(), first) {
        (Some("permissions"), told) => (Some(&OF_PERMISSIONS[..]), Some(told)),
        (Some("grants"), told) => (Some(&OF_GRANTS[..]), Some(told)),
        (_, "permissions") => (Some(&OF_PERMISSIONS[..]), rest.first().copied()),
        (_, "grants") => (Some(&OF_GRANTS[..]), rest.first().copied()),
        _ => (None, None),
    };
    if let (Some(known), Some(told)) = (rights, told)
        && !known.contains(&told)
    {
        return refuse(format!("rights have no field `{told}`"), known.to_vec(), told);
    }
    let is_right = matches!(rule.kind.as_deref(), Some("permissions" | "grants"));
    let of_kind = |kind: &Kind| rule.kind.as_ref().is_none_or(|own| own == kind.as_str());
    let kinds: Vec<Kind> = Kind::DECLARED.into_iter().filter(of_kind).collect();
    if !is_right && !kinds.iter().any(|kind| kind.allows(first)) {
        let mut known: Vec<&str> = kinds.iter().flat_map(|kind| kind.fields()).copied().collect();
        known.sort_unstable();
        known.dedup();
        let what = match &rule.kind {
            Some(kind) => format!("{kind} have no field `{first}`"),
            None => format!("no resource has a field `{first}`"),
        };
        return refuse(what, known, first);
    }
    let slip = rest.iter().find_map(|part| {
        let meant = WITHIN.iter().find(|known| is_slip(part, known))?;
        (!WITHIN.contains(part)).then_some((part, *meant))
    });
    match slip {
        Some((part, meant)) => {
            refuse(format!("`{}`: `{part}` is a slip", rule.field), vec![meant], part)
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_misspelt_name_switches_no_policy_off() {
        let text = "bundle: {name: b}\ntargets: {dev: {default: true}, prod: {}}\n";
        let sources = [("databricks.yml".to_owned(), text.to_owned())].into();
        let around = crate::bundle::Surroundings::default();
        let bundle = crate::bundle::load(&sources, None, &around).unwrap();
        let told = |deploy: Value| {
            let deploy: Deploy = serde_json::from_value(deploy).unwrap();
            let fault = check(&deploy, &bundle).err()?;
            Some(format!("{} | {}", fault.message, fault.hint.unwrap_or_default()))
        };
        let rule = |rule: Value| json!({ "targets": { "prod": { "forbid": [rule] } } });
        for fits in [
            json!({ "targets": { "prod": {}, "dev": {} } }),
            json!({ "targets": { "dev": {}, "dev2": {}, "live": {} } }),
            rule(json!({ "field": "tasks.new_cluster.num_workers" })),
            rule(json!({ "field": "tasks.something_new.beyond" })),
            rule(json!({ "field": "lifecycle.prevent_destroy", "kind": "schemas" })),
            rule(json!({ "field": "principal", "kind": "grants" })),
            rule(json!({ "field": "permissions.level", "kind": "jobs" })),
        ] {
            assert_eq!(told(fits.clone()), None, "{fits}");
        }
        let refused = [
            json!({ "targets": { "prd": {} } }),
            json!({ "targets": { "production": {} } }),
            rule(json!({ "field": "task.new_cluster" })),
            rule(json!({ "field": "tasks.new_clustr.num_workers" })),
            rule(json!({ "field": "tasks", "kind": "schemas" })),
            rule(json!({ "field": "grants.principal", "kind": "jobs" })),
            rule(json!({ "field": "permissions.group", "kind": "jobs" })),
            rule(json!({ "field": "access_control_list", "kind": "permissions" })),
        ];
        let refused: Vec<String> = refused.into_iter().filter_map(told).collect();
        insta::assert_snapshot!(refused.join("\n"));
    }
}
