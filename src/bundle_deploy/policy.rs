//! Whether a plan keeps to the policy, and to what was agreed to.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::bundle::{Action, Kind, Plan, Step};
use crate::config::{DeployPolicy, Forbid};
use crate::report::{Finding, Severity, number};

/// What somebody agreed to see go.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Agreed {
    /// What holds no data of its own.
    pub harmless: bool,
    /// These, by key.
    pub named: BTreeSet<String>,
}

/// Everything in the plan that may not be done. Settings of resources that do
/// not change are looked at as well: a policy that came later holds for them.
pub(super) fn violations(plan: &Plan, policy: &DeployPolicy, agreed: &Agreed) -> Vec<Finding> {
    let mut found = destruction(plan, policy, agreed);
    found.extend(numbers(plan, policy));
    for step in &plan.steps {
        if let Some(settings) = &step.settings {
            found.extend(settings_violations(step, settings, policy));
        }
    }
    found
}

fn finding(rule: &str, title: String) -> Finding {
    Finding::new(Severity::Error, format!("deploy/{rule}"), title)
}

fn destruction(plan: &Plan, policy: &DeployPolicy, agreed: &Agreed) -> Vec<Finding> {
    let mut found = Vec::new();
    for step in plan.steps.iter().filter(|step| step.action.destroys()) {
        let is_covered = match &policy.may_delete {
            Some(kinds) => kinds.iter().any(|kind| kind == step.kind.as_str()),
            None => !step.kind.holds_data(),
        };
        let with_parent = matches!(step.kind, Kind::Permissions | Kind::Grants)
            && plan.steps.iter().any(|parent| {
                parent.action.destroys() && step.key.starts_with(&format!("{}.", parent.key))
            });
        if with_parent || agreed.named.contains(&step.key) || agreed.harmless && is_covered {
            continue;
        }
        let what = match step.action {
            Action::Recreate => {
                let fields: Vec<&str> = step.changes.iter().map(|field| &*field.path).collect();
                format!("would be deleted and made anew ({} changes)", fields.join(", "))
            }
            _ => "would be deleted".to_owned(),
        };
        let loss = if step.kind.holds_data() { ", and what is in it with it" } else { "" };
        let hint = if is_covered {
            format!("look at the plan, then pass --allow-destroy, or --destroy {}", step.key)
        } else {
            format!("if that is meant, name it: --destroy {}", step.key)
        };
        found.push(finding("destroys", format!("{} {what}{loss}", step.key)).hint(hint));
    }
    let unknown = agreed
        .named
        .iter()
        .filter(|key| !plan.steps.iter().any(|step| step.key == **key && step.action.destroys()));
    for key in unknown {
        // An approval that is left over would cover the next plan's mistake.
        found.push(
            finding("approval", format!("`{key}` is agreed to go, and the plan leaves it"))
                .hint("take --destroy away, or check the name"),
        );
    }
    found
}

fn numbers(plan: &Plan, policy: &DeployPolicy) -> Vec<Finding> {
    let changes = plan.steps.iter().filter(|step| step.action != Action::Skip).count();
    let destroys = plan.steps.iter().filter(|step| step.action.destroys()).count();
    let limits = [
        (changes, policy.max_changes, "changes", "max_changes"),
        (destroys, policy.max_destroys, "deletions", "max_destroys"),
    ];
    let over = limits.into_iter().filter_map(|(count, limit, what, field)| {
        let limit = limit.filter(|limit| count > *limit)?;
        let title = format!("the plan has {count} {what}, `deploy.policy.{field}` is {limit}");
        Some(finding("number", title))
    });
    over.collect()
}

fn settings_violations(step: &Step, settings: &Value, policy: &DeployPolicy) -> Vec<Finding> {
    let mut found = Vec::new();
    let runs = matches!(step.kind, Kind::Jobs | Kind::Pipelines);
    let key = &step.key;
    if runs || step.kind == Kind::ModelServingEndpoints {
        let has = |tag: &str| match &settings["tags"] {
            Value::Array(list) => list.iter().any(|own| own["key"] == tag),
            tags => tags.get(tag).is_some_and(|value| value.as_str().is_none_or(|v| !v.is_empty())),
        };
        for tag in policy.required_tags.iter().flatten().filter(|tag| !has(tag)) {
            found.push(finding("tags", format!("{key} has no tag `{tag}`")));
        }
    }
    if runs && policy.run_as == Some(true) && settings["run_as"].is_null() {
        found.push(
            finding("run-as", format!("{key} does not say who it runs as"))
                .hint("set `run_as: {service_principal_name: …}`"),
        );
    }
    if policy.cluster_policy == Some(true) {
        let clusters = values(settings, &["tasks", "new_cluster"])
            .into_iter()
            .chain(values(settings, &["job_clusters", "new_cluster"]))
            .chain(values(settings, &["clusters"]));
        if clusters.into_iter().any(|cluster| cluster["policy_id"].is_null()) {
            let title = format!("{key} has a cluster without a cluster policy");
            found.push(finding("cluster-policy", title).hint("give its `policy_id`"));
        }
    }
    if policy.paused == Some(true) {
        for timer in ["schedule", "trigger", "continuous"] {
            if settings[timer].is_object() && settings[timer]["pause_status"] != "PAUSED" {
                let title = format!("{key}: its `{timer}` is not paused");
                found.push(finding("paused", title).hint("set `pause_status: PAUSED`"));
            }
        }
    }
    if policy.paused == Some(true) && step.kind == Kind::Pipelines && settings["continuous"] == true
    {
        let title = format!("{key} runs without end");
        found.push(finding("paused", title).hint("set `continuous: false`"));
    }
    for rule in policy.forbid.iter().flatten() {
        found.extend(forbidden(step, settings, rule));
    }
    found
}

fn forbidden(step: &Step, settings: &Value, rule: &Forbid) -> Option<Finding> {
    let path: Vec<&str> = rule.field.split('.').collect();
    let (settings, path) = match step.kind {
        // Rights are written with what they are about: `jobs`, `permissions.level`.
        Kind::Permissions | Kind::Grants => {
            let rights = step.kind.as_str();
            let is_own = rule.kind.as_deref() == Some(rights);
            let of_parent = rule.kind.as_ref().is_none_or(|kind| {
                step.key.strip_prefix(kind.as_str()).is_some_and(|rest| rest.starts_with('.'))
            });
            match &path[..] {
                _ if is_own => (&settings["__embed__"], path),
                [first, rest @ ..] if of_parent && *first == rights => {
                    (&settings["__embed__"], rest.to_vec())
                }
                _ => return None,
            }
        }
        kind if rule.kind.as_ref().is_some_and(|own| own != kind.as_str()) => return None,
        _ => (settings, path),
    };
    let hit = values(settings, &path).into_iter().find(|value| {
        let listed = rule.values.contains(value);
        let above = rule.above.is_some_and(|limit| value.as_f64().is_none_or(|own| own > limit));
        let any = rule.values.is_empty() && rule.above.is_none();
        !value.is_null() && (listed || above || any)
    })?;
    let limit = rule.above.map(|above| format!(", above {}", number(above))).unwrap_or_default();
    let title = format!("{}: `{}` is {hit}{limit}", step.key, rule.field);
    let found = finding("forbidden", title);
    Some(match &rule.reason {
        Some(reason) => found.hint(reason),
        None => found,
    })
}

/// The values at a path; lists on the way are looked through.
fn values<'a>(value: &'a Value, path: &[&str]) -> Vec<&'a Value> {
    match (value, path) {
        (Value::Array(items), _) => items.iter().flat_map(|item| values(item, path)).collect(),
        (value, []) => vec![value],
        (value, [first, rest @ ..]) => {
            let own = value.get(*first).map(|inner| values(inner, rest)).unwrap_or_default();
            // The task of a loop is a task, too.
            let inner = value.pointer("/for_each_task/task");
            let inner = inner.map(|inner| values(inner, path)).unwrap_or_default();
            [own, inner].concat()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn step(key: &str, action: Action, settings: Value) -> Step {
        Step {
            key: key.into(),
            kind: Kind::of_key(key).unwrap(),
            action,
            id: None,
            settings: Some(settings),
            changes: Vec::new(),
            drift: Vec::new(),
            references: Vec::new(),
        }
    }

    fn plan(steps: Vec<Step>) -> Plan {
        Plan {
            version: 2,
            bundle: "b".into(),
            target: "t".into(),
            host: String::new(),
            lineage: String::new(),
            serial: 1,
            release: None,
            steps,
            forget: Vec::new(),
            files: crate::bundle::FileDigests::default(),
            upload: Vec::new(),
            remove: Vec::new(),
        }
    }

    fn told(plan: &Plan, policy: &DeployPolicy, agreed: &Agreed) -> Vec<String> {
        let found = violations(plan, policy, agreed);
        found.into_iter().map(|finding| format!("{}: {}", finding.rule, finding.title)).collect()
    }

    #[test]
    fn rights_are_forbidden_where_they_are_written() {
        let list = json!([{ "group_name": "users", "level": "CAN_MANAGE" }]);
        let rights = step("jobs.a.permissions", Action::Create, json!({ "__embed__": list }));
        let plan = plan(vec![rights]);
        let hits = |rule: Value| {
            let rule: Forbid = serde_json::from_value(rule).unwrap();
            let policy = DeployPolicy { forbid: Some(vec![rule]), ..DeployPolicy::default() };
            told(&plan, &policy, &Agreed::default()).len()
        };
        let users = json!(["users"]);
        for (rule, expected) in [
            (json!({ "kind": "jobs", "field": "permissions.group_name", "values": users }), 1),
            (json!({ "field": "permissions.group_name", "values": users }), 1),
            (json!({ "kind": "permissions", "field": "group_name", "values": users }), 1),
            (json!({ "field": "permissions" }), 1),
            (json!({ "kind": "pipelines", "field": "permissions.group_name" }), 0),
            (json!({ "field": "permissions.group_name", "values": ["admins"] }), 0),
            (json!({ "field": "grants" }), 0),
        ] {
            assert_eq!(hits(rule.clone()), expected, "{rule}");
        }
    }

    #[test]
    fn what_holds_data_goes_only_by_name() {
        let plan = plan(vec![
            step("jobs.a", Action::Delete, Value::Null),
            step("schemas.s", Action::Delete, Value::Null),
            step("registered_models.m", Action::Recreate, Value::Null),
        ]);
        let policy = DeployPolicy::default();
        let agreed = |harmless, named: &[&str]| Agreed {
            harmless,
            named: named.iter().map(|key| (*key).to_owned()).collect(),
        };
        assert_eq!(told(&plan, &policy, &agreed(false, &[])).len(), 3);
        assert_eq!(told(&plan, &policy, &agreed(true, &[])).len(), 2);
        assert!(
            told(&plan, &policy, &agreed(true, &["schemas.s", "registered_models.m"])).is_empty()
        );
        let left =
            told(&plan, &policy, &agreed(true, &["schemas.s", "registered_models.m", "jobs.b"]));
        assert_eq!(left, ["deploy/approval: `jobs.b` is agreed to go, and the plan leaves it"]);
        let none = DeployPolicy { may_delete: Some(Vec::new()), ..policy };
        assert_eq!(told(&plan, &none, &agreed(true, &[])).len(), 3);
    }

    #[test]
    fn settings_are_held_to_the_policy() {
        let job = json!({
            "tags": { "team": "" },
            "schedule": { "pause_status": "UNPAUSED" },
            "tasks": [{ "new_cluster": { "num_workers": 40 } }, { "new_cluster": { "policy_id": "p" } }],
        });
        let forbid = |value: Value| serde_json::from_value::<Forbid>(value).unwrap();
        let policy = DeployPolicy {
            required_tags: Some(vec!["team".into()]),
            run_as: Some(true),
            cluster_policy: Some(true),
            paused: Some(true),
            max_changes: Some(0),
            forbid: Some(vec![
                forbid(json!({ "field": "tasks.new_cluster.num_workers", "above": 20 })),
                forbid(json!({ "kind": "pipelines", "field": "tasks" })),
                forbid(json!({ "field": "tasks.new_cluster.policy_id", "values": ["p"] })),
            ]),
            ..DeployPolicy::default()
        };
        let plan = plan(vec![step("jobs.a", Action::Update, job)]);
        insta::assert_snapshot!(told(&plan, &policy, &Agreed::default()).join("\n"));
    }

    proptest! {
        /// The tighter policy never finds less.
        #[test]
        fn tightening_never_lets_more_through(
            limit in 0usize..4, tighter in 0usize..4, kinds in prop::collection::vec(any::<bool>(), 3),
        ) {
            let keys = ["jobs.a", "schemas.s", "pipelines.p"];
            let steps = keys.iter().zip(&kinds).map(|(key, gone)| {
                step(key, if *gone { Action::Delete } else { Action::Update }, Value::Null)
            });
            let plan = plan(steps.collect());
            let of = |limit: usize, all: bool| DeployPolicy {
                max_changes: Some(limit),
                may_delete: Some(if all { vec!["jobs".into(), "schemas".into()] } else { Vec::new() }),
                ..DeployPolicy::default()
            };
            let agreed = Agreed { harmless: true, named: BTreeSet::new() };
            let loose = violations(&plan, &of(limit, true), &agreed).len();
            let tight = violations(&plan, &of(limit.min(tighter), false), &agreed).len();
            prop_assert!(tight >= loose);
        }
    }
}
