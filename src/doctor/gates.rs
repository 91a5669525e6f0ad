//! Who must agree before a job of a workflow starts: what the host says of the
//! environments that the workflows name.

use std::collections::BTreeMap;

use serde_json::Value;

use super::check::Checks;
use super::workflows::SUITE;
use crate::forge::{Forge, Gate};
use crate::host::Dialect;
use crate::step::Ctx;

const AREA: &str = "CI host";

/// How `init` names the environments of which somebody must agree.
const REVIEWED: [&str; 2] = ["-release", "-model"];

/// The environments that jobs of ours run in, but those that an expression names, and
/// whether a schedule starts them.
pub(super) fn environments(workflow: &Value) -> BTreeMap<String, bool> {
    let is_scheduled = workflow.pointer("/on/schedule").is_some_and(Value::is_array)
        || workflow["schedules"].is_array();
    let jobs = workflow["jobs"].as_object().into_iter().flatten();
    let of_github = jobs.flat_map(|(_, job)| match job["uses"].as_str() {
        Some(called) => of_called(called, job),
        None => of_steps(job, &job["steps"]).into_iter().collect(),
    });
    let extends = &workflow["extends"];
    let of_azure = of_azure(workflow).into_iter().chain(of_template(extends, Level::Pipeline));
    let named = of_github.chain(of_azure);
    named.filter(|name| !name.contains("${{")).map(|name| (name, is_scheduled)).collect()
}

fn of_steps(job: &Value, steps: &Value) -> Option<String> {
    let is_ours = |step: &Value| {
        step["uses"].as_str().is_some_and(|uses| uses.starts_with(SUITE))
            || step["task"].as_str().is_some_and(|task| task.starts_with("Lakegate"))
            || step["template"].as_str().is_some_and(|name| name.ends_with("@lakegate"))
    };
    let environment = &job["environment"];
    let name = environment.as_str().or(environment["name"].as_str())?;
    list(steps).any(is_ours).then(|| name.to_owned())
}

/// Those of a workflow of the suite, which its input `target` names.
fn of_called(called: &str, job: &Value) -> Vec<String> {
    let Some(target) = job["with"]["target"].as_str().filter(|_| called.starts_with(SUITE)) else {
        return Vec::new();
    };
    let own = [target.to_owned()];
    match called.split('@').next().and_then(|path| path.rsplit('/').next()) {
        Some("production.yml") => own.into_iter().chain([format!("{target}-model")]).collect(),
        Some("release.yml") => vec![format!("{target}-release")],
        _ => own.into(),
    }
}

/// What a template stands in place of.
#[derive(Clone, Copy)]
enum Level {
    /// A whole pipeline, or its stages.
    Pipeline,
    Job,
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// Those of a pipeline of Azure: of jobs that deploy, and of templates of the suite in
/// place of stages, of jobs, or of a job's steps.
fn of_azure(pipeline: &Value) -> Vec<String> {
    let of_job = |job: &Value| match job["template"].is_string() {
        true => of_template(job, Level::Job),
        false => {
            let steps = job.pointer("/strategy/runOnce/deploy/steps").unwrap_or(&Value::Null);
            of_steps(job, steps)
        }
    };
    let of_stage = |stage: &Value| -> Vec<String> {
        let own = of_template(stage, Level::Pipeline).into_iter();
        own.chain(list(&stage["jobs"]).filter_map(of_job)).collect()
    };
    let of_jobs = list(&pipeline["jobs"]).filter_map(of_job);
    list(&pipeline["stages"]).flat_map(of_stage).chain(of_jobs).collect()
}

/// That of a template of the suite; jobs of Azure that deploy nothing have none.
fn of_template(used: &Value, level: Level) -> Option<String> {
    let target = used["parameters"]["target"].as_str()?;
    let path = used["template"].as_str()?.strip_suffix("@lakegate")?;
    let name = path.rsplit('/').next()?;
    match (level, name) {
        (Level::Pipeline, "production.yml") | (Level::Job, "promote.yml") => {
            Some(format!("{target}-model"))
        }
        (Level::Pipeline, "release.yml") | (Level::Job, "deploy.yml") => {
            Some(format!("{target}-release"))
        }
        (_, "staging.yml") => Some(target.to_owned()),
        _ => None,
    }
}

pub(super) async fn look(ctx: &Ctx, environments: &BTreeMap<String, bool>, checks: &mut Checks) {
    let token = match ctx.host.dialect() {
        Dialect::GitHub => "GITHUB_TOKEN",
        Dialect::Azure => "SYSTEM_ACCESSTOKEN",
        Dialect::Terminal => return,
    };
    if ctx.env.get(token).is_none() {
        return;
    }
    let forge = match Forge::new(&ctx.context, &ctx.env, &ctx.masker()) {
        Ok(forge) => forge,
        Err(fault) => {
            return checks.failed((AREA, "environments"), &fault.into(), "hand the token over");
        }
    };
    for (name, is_scheduled) in environments {
        let what = format!("environment {name}");
        match forge.gate(name).await {
            // A list leaves out what the token may not see.
            Ok(None) if ctx.host.dialect() == Dialect::Azure => checks.unknown(
                (AREA, &what),
                "is not there, or the build service may not read it",
                "make it, with whoever must agree and its branches, or let the build service read it",
            ),
            Ok(gate) => judge((AREA, &what), (name, *is_scheduled), gate, checks),
            Err(error) => checks.unknown(
                (AREA, &what),
                format!("{error:#}"),
                "GitHub: `permissions: {actions: read}` at the job that runs doctor; Azure DevOps: the build service reads the environment",
            ),
        }
    }
}

fn judge(
    what: (&'static str, &str),
    (name, is_scheduled): (&str, bool),
    gate: Option<Gate>,
    checks: &mut Checks,
) {
    let is_reviewed = REVIEWED.iter().any(|ending| name.ends_with(ending));
    let Some(gate) = gate else {
        return checks.bad(
            what,
            "is not there: the host makes an open one when a job names it",
            "make it, with whoever must agree and its branches; `lakegate init` tells which",
        );
    };
    match (is_reviewed, gate.reviewers) {
        (true, 0) => checks.bad(what, "nobody must agree", "add required reviewers"),
        (true, _) if !gate.prevents_self_review => checks.bad(
            what,
            "whoever starts a run may agree with himself",
            "GitHub: `Prevent self-review`; Azure DevOps: approvers may not approve their own runs",
        ),
        (false, 1..) if is_scheduled => checks.bad(
            what,
            "a run that a schedule started waits here until somebody agrees",
            format!("take the reviewers away, or to `{name}-release` and `{name}-model`"),
        ),
        _ if !gate.has_branches => checks.unknown(
            what,
            "a workflow of any branch may run in it",
            "restrict its branches, unless merge requests are tested in it",
        ),
        _ => checks.good(
            what,
            match gate.reviewers {
                0 => "open to its branches, without a review".to_owned(),
                count => format!("{count} may agree"),
            },
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Report;

    #[test]
    fn environments_of_our_jobs_are_found() {
        let found = |text: &str| {
            let found = environments(&serde_yaml::from_str(text).unwrap());
            found.into_iter().collect::<Vec<_>>()
        };
        let ours = "steps: [{run: x}, {uses: 'lakegate/lakegate/actions/job-run@0'}]";
        let text = format!(
            "on: {{schedule: [{{cron: x}}]}}\njobs: {{a: {{environment: prod, {ours}}}, b: {{environment: {{name: prod-model, url: x}}, {ours}}}, c: {{{ours}}}, d: {{environment: '${{{{ inputs.target }}}}', {ours}}}, e: {{environment: site, steps: [{{run: x}}]}}}}"
        );
        assert_eq!(found(&text), [("prod".to_owned(), true), ("prod-model".to_owned(), true)]);
        let called = |name: &str| {
            found(&format!(
                "on: push\njobs: {{a: {{uses: 'lakegate/lakegate/.github/workflows/{name}.yml@0', with: {{target: live}}}}}}"
            ))
        };
        let names =
            |of: Vec<(String, bool)>| of.into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        assert_eq!(names(called("production")), ["live", "live-model"]);
        assert_eq!(names(called("release")), ["live-release"]);
        assert_eq!(names(called("staging")), ["live"]);
        let ours = "strategy: {runOnce: {deploy: {steps: [{task: LakegateModelPromote@0}]}}}";
        let text = format!(
            "schedules: [{{cron: x}}]\nstages: [{{stage: a, jobs: [{{deployment: a, environment: prod-model, {ours}}}, {{job: b}}, {{deployment: c, environment: site}}]}}]"
        );
        assert_eq!(found(&text), [("prod-model".to_owned(), true)]);
        let jobs = |name: &str| {
            format!(
                "[{{template: pipelines/jobs/{name}.yml@lakegate, parameters: {{target: live}}}}]"
            )
        };
        let steps = "[{template: pipelines/steps/promote.yml@lakegate}]";
        for (text, environment) in [
            (format!("jobs: {}", jobs("promote")), "live-model"),
            (format!("stages: [{{stage: a, jobs: {}}}]", jobs("deploy")), "live-release"),
            (format!("stages: {}", jobs("staging").replace("jobs/", "")), "live"),
            (
                format!(
                    "jobs: [{{deployment: a, environment: own, strategy: {{runOnce: {{deploy: {{steps: {steps}}}}}}}}}]"
                ),
                "own",
            ),
        ] {
            assert_eq!(names(found(&text)), [environment], "{text}");
        }
        assert!(found(&format!("jobs: {}", jobs("train"))).is_empty());
        for (name, environment) in [
            ("release", Some("live-release")),
            ("production", Some("live-model")),
            ("merge-request", None),
        ] {
            let text = format!(
                "extends: {{template: pipelines/{name}.yml@lakegate, parameters: {{target: live}}}}"
            );
            let own = names(found(&text));
            assert_eq!(own.first().map(String::as_str), environment, "{name}");
        }
    }

    #[test]
    fn a_gate_is_where_one_belongs_and_nowhere_else() {
        let gate = |reviewers, prevents_self_review, has_branches| {
            Some(Gate { reviewers, prevents_self_review, has_branches })
        };
        for (name, gate, words) in [
            ("prod", None, "is not there"),
            ("prod-model", gate(0, false, true), "nobody must agree"),
            ("prod-model", gate(2, false, true), "agree with himself"),
            ("prod", gate(1, true, true), "started waits here"),
            ("prod", gate(0, false, false), "any branch"),
            ("prod-release", gate(2, true, false), "any branch"),
        ] {
            let mut checks = Checks::default();
            judge((AREA, name), (name, true), gate, &mut checks);
            let report = checks.conclude(Report::new("doctor", "x"));
            assert!(report.findings[0].title.contains(words), "{name}: {:?}", report.findings);
        }
        let mut checks = Checks::default();
        judge((AREA, "site"), ("site", false), gate(1, false, true), &mut checks);
        assert!(checks.conclude(Report::new("doctor", "x")).findings.is_empty());
        for (name, gate) in [("prod", gate(0, false, true)), ("prod-model", gate(2, true, true))] {
            let mut checks = Checks::default();
            judge((AREA, name), (name, true), gate, &mut checks);
            assert!(checks.conclude(Report::new("doctor", "x")).findings.is_empty(), "{name}");
        }
    }
}
