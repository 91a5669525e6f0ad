//! What the jobs of a workflow may do, held against what their steps of ours need.

use std::collections::BTreeSet;

use serde_json::Value;

use super::published;
use super::workflows::SUITE;
use crate::config::{ApprovalSource, Config, OnDrift};

/// A permission of a job's token, the level that is needed, and what for.
type Need = (&'static str, Level, &'static str);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    None,
    Read,
    Write,
}

impl Level {
    fn of(text: Option<&str>) -> Self {
        match text {
            Some("write") => Self::Write,
            Some("read") => Self::Read,
            _ => Self::None,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Read => "read",
            Self::Write => "write",
        }
    }
}

/// What is missing, by job. Jobs whose permissions are the repository's default are left
/// out: nothing here tells what that is.
pub(super) fn lacking(workflow: &Value, config: &Config) -> Vec<String> {
    let mut found = Vec::new();
    for (name, job) in jobs(workflow) {
        let Some(given) = given(workflow, job) else { continue };
        for (permission, level) in of_called(job) {
            if granted(given, permission) < level {
                let level = level.as_str();
                found.push(format!(
                    "job `{name}` lacks `{permission}: {level}`, which the workflow that it calls asks for"
                ));
            }
        }
        let steps = job["steps"].as_array().into_iter().flatten();
        let places = [&workflow["env"], &job["env"]];
        let needed: BTreeSet<Need> = steps.flat_map(|step| needs(step, places, config)).collect();
        for (permission, level, why) in needed {
            if granted(given, permission) < level {
                let level = level.as_str();
                found.push(format!("job `{name}` lacks `{permission}: {level}` ({why})"));
            }
        }
    }
    found
}

/// Jobs with steps of ours that may write everything.
pub(super) fn boundless(workflow: &Value) -> Vec<&str> {
    let is_ours = |used: &Value| used["uses"].as_str().is_some_and(|uses| uses.starts_with(SUITE));
    let jobs = jobs(workflow).filter(|(_, job)| {
        let mut steps = job["steps"].as_array().into_iter().flatten();
        let is_all = given(workflow, job).is_some_and(|given| given == "write-all");
        is_all && (is_ours(job) || steps.any(is_ours))
    });
    jobs.map(|(name, _)| name.as_str()).collect()
}

fn jobs(workflow: &Value) -> impl Iterator<Item = (&String, &Value)> {
    workflow["jobs"].as_object().into_iter().flatten()
}

/// The permissions of a job: its own, or the workflow's.
fn given<'a>(workflow: &'a Value, job: &'a Value) -> Option<&'a Value> {
    [&job["permissions"], &workflow["permissions"]].into_iter().find(|given| !given.is_null())
}

/// What the jobs of a workflow of ours ask of the job that calls it; without all of it
/// the host starts none of them.
fn of_called(job: &Value) -> BTreeSet<(&'static str, Level)> {
    const NAMES: [&str; 7] =
        ["actions", "attestations", "contents", "id-token", "issues", "pull-requests", "statuses"];
    let workflow = job["uses"].as_str().and_then(published::called).unwrap_or_default();
    let jobs = workflow["jobs"].as_object().into_iter().flatten();
    let asked =
        jobs.flat_map(|(_, inner)| NAMES.map(|name| (name, granted(&inner["permissions"], name))));
    asked.filter(|(_, level)| *level > Level::None).collect()
}

fn granted(given: &Value, permission: &str) -> Level {
    match given.as_str() {
        Some("write-all") => Level::Write,
        Some("read-all") => Level::Read,
        _ => Level::of(given[permission].as_str()),
    }
}

fn needs(step: &Value, [of_workflow, of_job]: [&Value; 2], config: &Config) -> Vec<Need> {
    let command = step["uses"].as_str().and_then(|uses| {
        let path = uses.strip_prefix(SUITE)?.strip_prefix("actions/")?;
        path.split('@').next()
    });
    let Some(command) = command else { return Vec::new() };
    let variable = |name: &str| {
        let places = [&step["env"], of_job, of_workflow];
        places.into_iter().find_map(|place| place[name].as_str())
    };
    let mut needs = Vec::new();
    if variable("DATABRICKS_AUTH_TYPE") == Some("github-oidc") {
        needs.push(("id-token", Level::Write, "to sign in to Databricks without a secret"));
    }
    if variable("GITHUB_TOKEN").or_else(|| variable("GH_TOKEN")).is_some() {
        needs.extend(of_host(command, &step["with"], config));
    }
    needs
}

/// What a command asks of the host, by the token that it is handed.
fn of_host(command: &str, with: &Value, config: &Config) -> Vec<Need> {
    let verb = with["action"].as_str();
    let is_set = |name: &str| with[name] == true || with[name] == "true";
    let comment = ("pull-requests", Level::Write, "the comment");
    match (command, verb) {
        ("merge-test", None | Some("run")) => {
            let mut needs = vec![("statuses", Level::Write, "the status of the commit")];
            needs.extend((with["comment"] != "never").then_some(comment));
            needs
        }
        ("bundle-deploy", Some("plan")) if is_set("comment") => vec![comment],
        ("release-build", None | Some("build")) if with["publish"] == "host" => {
            vec![("contents", Level::Write, "the branch, the tag and the release")]
        }
        ("model-promote", None | Some("promote")) => match &config.promotion.sign_off {
            Some(policy) if policy.from == ApprovalSource::Github => {
                let mut needs = vec![("actions", Level::Read, "who approved")];
                let authors = ("pull-requests", Level::Read, "who wrote the change");
                needs.extend(policy.not_author.then_some(authors));
                needs
            }
            _ => Vec::new(),
        },
        ("drift-check", _) => {
            let Some(drift) = &config.drift else { return Vec::new() };
            let mut needs = Vec::new();
            if drift.notify.ticket && drift.on_drift != OnDrift::Nothing {
                needs.push(("issues", Level::Write, "the ticket"));
            }
            let starts = is_set("retrain-here") || drift.retrain.workflow.is_some();
            if starts && drift.on_drift == OnDrift::Retrain {
                needs.push(("actions", Level::Write, "to start the retraining"));
            }
            needs
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(workflow: &str, policy: &str) -> Vec<String> {
        let config = Config::parse("t", policy).unwrap();
        let workflow = workflow.replace("OURS/", "lakegate/lakegate/actions/");
        lacking(&serde_yaml::from_str(&workflow).unwrap(), &config)
    }

    #[test]
    fn a_job_must_be_allowed_what_its_steps_do() {
        let promote = |permissions: &str| {
            format!(
                "permissions: {{}}\njobs: {{p: {{{permissions}env: {{GITHUB_TOKEN: x}}, steps: [{{uses: OURS/model-promote@a}}]}}}}"
            )
        };
        let policy = "promotion: {sign_off: {from: github}}";
        let told = found(&promote(""), policy);
        assert_eq!(
            told,
            [
                "job `p` lacks `actions: read` (who approved)",
                "job `p` lacks `pull-requests: read` (who wrote the change)"
            ]
        );
        let fine = "permissions: {actions: read, pull-requests: write}, ";
        assert_eq!(found(&promote(fine), policy), [""; 0]);
        assert_eq!(found(&promote("permissions: read-all, "), policy), [""; 0]);
        assert_eq!(found(&promote(""), "promotion: {sign_off: {from: table}}"), [""; 0]);
    }

    #[test]
    fn what_is_needed_follows_from_what_a_step_is_told() {
        let job = |steps: &str| {
            format!("jobs: {{j: {{permissions: {{contents: read}}, steps: [{steps}]}}}}")
        };
        let count = |steps: &str, policy: &str| found(&job(steps), policy).len();
        let token = "env: {GITHUB_TOKEN: x}";
        assert_eq!(count(&format!("{{uses: OURS/merge-test@a, {token}}}"), ""), 2);
        let clean = format!("{{uses: OURS/merge-test@a, with: {{action: clean}}, {token}}}");
        assert_eq!(count(&clean, ""), 0);
        assert_eq!(count("{uses: OURS/merge-test@a}", ""), 0);
        assert_eq!(count("{uses: acme/merge-test@a, env: {GITHUB_TOKEN: x}}", ""), 0);
        let plan = format!(
            "{{uses: OURS/bundle-deploy@a, with: {{action: plan, comment: true}}, {token}}}"
        );
        assert_eq!(count(&plan, ""), 1);
        let release = format!("{{uses: OURS/release-build@a, with: {{publish: host}}, {token}}}");
        assert_eq!(count(&release, ""), 1);
        let drift = "drift: {baseline: a.b.c, current: a.b.d, on_drift: retrain, retrain_job: j, notify: {ticket: true}}";
        let watch = format!("{{uses: OURS/drift-check@a, with: {{retrain-here: true}}, {token}}}");
        assert_eq!(count(&watch, drift), 2);
        let oidc = "{uses: OURS/job-run@a, env: {DATABRICKS_AUTH_TYPE: github-oidc}}";
        assert_eq!(
            found(&job(oidc), "")[0],
            "job `j` lacks `id-token: write` (to sign in to Databricks without a secret)"
        );
        let calls = |given: &str| {
            format!(
                "jobs: {{j: {{permissions: {{{given}}}, uses: lakegate/lakegate/.github/workflows/staging.yml@a}}}}"
            )
        };
        assert_eq!(
            found(&calls("contents: read, actions: none"), ""),
            [
                "job `j` lacks `actions: read`, which the workflow that it calls asks for",
                "job `j` lacks `id-token: write`, which the workflow that it calls asks for"
            ]
        );
        let all = "contents: write, actions: read, id-token: write";
        assert_eq!(found(&calls(all), ""), [""; 0]);
        let all = serde_yaml::from_str(&calls("x: y").replace("{x: y}", "write-all")).unwrap();
        assert_eq!((boundless(&all), lacking(&all, &Config::default())), (vec!["j"], vec![]));
        // What the repository's default is, nobody here knows.
        let open = "jobs: {j: {steps: [{uses: OURS/merge-test@a, env: {GITHUB_TOKEN: x}}]}}";
        assert_eq!(found(open, ""), [""; 0]);
    }
}
