//! Who must agree before a job of a workflow starts: what the host says of the
//! environments that the workflows name.

use std::collections::BTreeSet;

use serde_json::Value;

use super::check::Checks;
use crate::forge::{Forge, Gate};
use crate::host::Dialect;
use crate::step::Ctx;

const AREA: &str = "CI host";

/// How `init` names the environments of which somebody must agree.
const REVIEWED: [&str; 2] = ["-release", "-model"];

/// The environments that the jobs of a workflow run in, but those that an
/// expression names.
pub(super) fn environments(workflow: &Value) -> BTreeSet<String> {
    let jobs = workflow["jobs"].as_object().into_iter().flatten();
    let named = jobs.filter_map(|(_, job)| {
        let environment = &job["environment"];
        environment.as_str().or(environment["name"].as_str()).map(str::to_owned)
    });
    named.filter(|name| !name.contains("${{")).collect()
}

pub(super) async fn look(ctx: &Ctx, environments: &BTreeSet<String>, checks: &mut Checks) {
    if ctx.host.dialect() != Dialect::GitHub || ctx.env.get("GITHUB_TOKEN").is_none() {
        return;
    }
    let forge = match Forge::new(&ctx.context, &ctx.env, &ctx.masker()) {
        Ok(forge) => forge,
        Err(fault) => {
            return checks.failed((AREA, "environments"), &fault.into(), "hand the token over");
        }
    };
    for name in environments {
        let what = format!("environment {name}");
        match forge.gate(name).await {
            Ok(gate) => judge((AREA, &what), name, gate, checks),
            Err(error) => checks.unknown(
                (AREA, &what),
                format!("{error:#}"),
                "`permissions: {actions: read}` at the job that runs doctor",
            ),
        }
    }
}

fn judge(what: (&'static str, &str), name: &str, gate: Option<Gate>, checks: &mut Checks) {
    let is_reviewed = REVIEWED.iter().any(|ending| name.ends_with(ending));
    let Some(gate) = gate else {
        return checks.bad(
            what,
            "is not there: GitHub makes an open one when a job names it",
            "make it, with its variables, reviewers and deployment branches; `lakegate init` tells which",
        );
    };
    match (is_reviewed, gate.reviewers) {
        (true, 0) => checks.bad(what, "nobody must agree", "add required reviewers"),
        (true, _) if !gate.prevents_self_review => checks.bad(
            what,
            "whoever starts a run may agree with himself",
            "set `Prevent self-review`",
        ),
        (false, 1..) => checks.bad(
            what,
            "a run that a schedule started waits here until somebody agrees",
            format!("take the reviewers away, or to `{name}-release` and `{name}-model`"),
        ),
        _ if !gate.has_branches => checks.unknown(
            what,
            "a workflow of any branch may run in it",
            "restrict its deployment branches, unless merge requests are tested in it",
        ),
        _ => checks.good(
            what,
            match gate.reviewers {
                0 => "open to its branches, without a review".to_owned(),
                count => format!("{count} may agree, none for a run of his own"),
            },
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Report;

    #[test]
    fn environments_of_jobs_are_found() {
        let text = "jobs: {a: {environment: prod}, b: {environment: {name: prod-model, url: x}}, c: {}, d: {environment: '${{ inputs.target }}'}}";
        let found = environments(&serde_yaml::from_str(text).unwrap());
        assert_eq!(found, BTreeSet::from(["prod".to_owned(), "prod-model".to_owned()]));
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
            judge((AREA, name), name, gate, &mut checks);
            let report = checks.conclude(Report::new("doctor", "x"));
            assert!(report.findings[0].title.contains(words), "{name}: {:?}", report.findings);
        }
        for (name, gate) in [("prod", gate(0, false, true)), ("prod-model", gate(2, true, true))] {
            let mut checks = Checks::default();
            judge((AREA, name), name, gate, &mut checks);
            assert!(checks.conclude(Report::new("doctor", "x")).findings.is_empty(), "{name}");
        }
    }
}
