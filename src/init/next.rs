//! What no file can do: what somebody must set up at the host.

use serde_json::json;

use super::compose::Answers;
use super::facts::{Facts, Secrets};
use super::remote::{GITHUB_ISSUER, Remote};
use super::render::{Ci, Form};

/// Where Azure DevOps' identities come from; each organisation has an id there.
const AZURE_ISSUER: &str = "https://vstoken.dev.azure.com/<organisation-id>";
const AZURE_AUDIENCE: &str = "api://AzureADTokenExchange";

const VARIABLES: &str = "DATABRICKS_HOST, DATABRICKS_CLIENT_ID, DATABRICKS_WAREHOUSE_ID";
/// Where secrets sign in.
const OTHER_VARIABLES: &str =
    "DATABRICKS_WAREHOUSE_ID, and DATABRICKS_HOST where the bundle names no workspace";

const PLAN_COMMENT: &str = "  once there is an identity that may only read there, merge requests can be told what they would change in staging: --plan-comment";

/// `needed` is what a `lakegate.yml` that was there lacks.
pub(super) fn steps(answers: &Answers, facts: &Facts, needed: Option<String>) -> Vec<String> {
    let mut lines = match answers.ci {
        Ci::GitHub => github(answers, facts),
        Ci::Azure => azure(answers, facts),
    };
    lines.extend(left_out(answers));
    lines.extend(answers.alone.iter().map(|told| format!("  {told}")));
    if let Some(section) = needed {
        lines.push(
            "  in lakegate.yml, as this bundle is not the only one, or not on `main`:".to_owned(),
        );
        lines.extend(section.lines().map(|line| format!("    {line}")));
    }
    if !facts.others.is_empty() {
        let others = facts.others.join(", ");
        lines.push(format!("  these do the same, and would run beside: remove {others}"));
    }
    lines
}

/// What is not written, for want of a target or of a job.
fn left_out(answers: &Answers) -> Vec<String> {
    if answers.embedded {
        return Vec::new();
    }
    let targets = &answers.targets;
    let mut lines = Vec::new();
    if !answers.unused.is_empty() {
        lines.push(format!(
            "merge requests are tested in `{}`; no workflow is for {}: another one with --test-target, --staging-target, --production-target",
            targets.test,
            quoted(answers.unused.iter().map(String::as_str))
        ));
    }
    if let Some(runner) = &answers.runner {
        lines.push(format!(
            "merge requests run on `{runner}`, too: on machines of your own that outlive a job, whoever may open one leaves there what the next job meets"
        ));
    }
    if targets.staging.is_none() {
        lines.push("no target is staging: nothing is deployed from the main branch; name it with --staging-target".to_owned());
    }
    if targets.production.is_none() {
        lines.push("no target is production: there is no workflow for releases, nor for production; name it with --production-target".to_owned());
        return lines;
    }
    let jobs = answers.jobs.steps.iter().chain(&answers.jobs.score);
    let parts: Vec<String> = jobs.map(|job| format!("{}={}", job.part, job.key)).collect();
    lines.push(match &parts[..] {
        [] => "no job is known by its key as a part of the production loop: name them with --job PART=KEY".to_owned(),
        parts => format!("the production loop: {}; others with --job PART=KEY", parts.join(", ")),
    });
    lines
}

/// An environment of the host, the target whose jobs run in it, and whether
/// somebody must agree first.
struct Place {
    name: String,
    target: String,
    is_reviewed: bool,
}

/// Every environment that the workflows name. What runs by a schedule has one of
/// its own, where nobody is asked.
fn places(answers: &Answers) -> Vec<Place> {
    let targets = &answers.targets;
    let plain = |target: &String| Place {
        name: target.clone(),
        target: target.clone(),
        is_reviewed: false,
    };
    let mut places = vec![plain(&targets.test)];
    places.extend(targets.staging.iter().filter(|target| **target != targets.test).map(plain));
    if let Some(production) = &targets.production {
        places.push(plain(production));
        places.extend(["release", "model"].map(|part| Place {
            name: format!("{production}-{part}"),
            target: production.clone(),
            is_reviewed: true,
        }));
    }
    places
}

fn quoted<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn reviewed(places: &[Place]) -> String {
    quoted(places.iter().filter(|place| place.is_reviewed).map(|place| place.name.as_str()))
}

/// The secrets that are used as they are.
fn kept(secrets: Secrets) -> String {
    let names: Vec<String> =
        ["STAGING", "PROD"].iter().flat_map(|role| secrets.of_role(role)).collect();
    names.join(", ")
}

/// The command that lets an identity of the CI host be a service principal.
fn policy(issuer: &str, audience: &str, subject: &str) -> String {
    let policy = json!({ "oidc_policy": {
        "issuer": issuer, "audiences": [audience], "subject": subject } });
    format!(
        "    databricks account service-principal-federation-policy create <service-principal-id> --json '{policy}'"
    )
}

fn github(answers: &Answers, facts: &Facts) -> Vec<String> {
    let mut lines = vec!["what is left to do at GitHub:".to_owned()];
    if answers.embedded {
        lines.push("  nothing: the checks run in the embedded workspace".to_owned());
        return lines;
    }
    let places = places(answers);
    let all = quoted(places.iter().map(|place| place.name.as_str()));
    match answers.secrets {
        Some(secrets) => lines.extend([
            format!("  the secrets that are there are used: {}", kept(secrets)),
            format!("  environments {all}, with variables {OTHER_VARIABLES}"),
            "  without secrets: run this again with --sign-in federation".to_owned(),
        ]),
        None => lines.push(format!("  environments {all}, each with the variables {VARIABLES}")),
    }
    lines.push(
        "    until they are there, what needs a workspace is red and says which is missing; production is red until a first release has deployed its jobs"
            .to_owned(),
    );
    let main = &answers.main;
    if answers.targets.production.is_some() {
        lines.push(format!(
            "    required reviewers at {}, without self-review; none at the others, where schedules run",
            reviewed(&places)
        ));
        let trusted = places.iter().filter(|place| place.target != answers.targets.test);
        lines.push(format!(
            "    deployment branches of {}: `{main}` only",
            quoted(trusted.map(|place| place.name.as_str()))
        ));
    }
    lines.push(format!(
        "  a rule for `{main}`: merge requests only, the check `{}` passed, branches up to date or a merge queue",
        check(answers)
    ));
    let plan = answers.targets.staging.as_ref().filter(|_| answers.plan_comment);
    match (plan, &answers.targets.staging) {
        (Some(staging), _) => lines.push(format!(
            "  an environment `{staging}-plan`, open to all branches, with the same variables: its identity may only read"
        )),
        (None, Some(_)) => lines.push(PLAN_COMMENT.to_owned()),
        (None, None) => {}
    }
    if answers.secrets.is_none() {
        lines.extend(trusted_by_github(answers, facts, places));
    }
    lines
}

/// What lets the jobs of GitHub be service principals.
fn trusted_by_github(answers: &Answers, facts: &Facts, places: Vec<Place>) -> Vec<String> {
    let remote = facts.remote_at(Ci::GitHub);
    let repository = remote.and_then(|remote| remote.name.as_deref());
    let repository = repository.unwrap_or("<owner>/<repository>");
    let issuer = remote.map_or(GITHUB_ISSUER.to_owned(), Remote::github_issuer);
    let plan = answers.targets.staging.iter().filter(|_| answers.plan_comment);
    let plan = plan.map(|staging| (format!("{staging}-plan"), staging.clone()));
    let all = places.into_iter().map(|place| (place.name, place.target)).chain(plan);
    let policies = all.map(|(name, target)| {
        let host = answers.hosts.get(&target);
        let host = host.map_or("https://<workspace>", |host| host.trim_end_matches('/'));
        let subject = format!("repo:{repository}:environment:{name}");
        policy(&issuer, &format!("{host}/oidc/v1/token"), &subject)
    });
    let first = "  the service principal of each environment trusts it:".to_owned();
    let last = "    (a repository made since July 2026 has ids in it: repo:<owner>@<id>/<repository>@<id>:environment:<name>)";
    std::iter::once(first).chain(policies).chain([last.to_owned()]).collect()
}

/// The check of a merge request. What a called workflow does is told behind its caller.
fn check(answers: &Answers) -> String {
    let test = match &*answers.folder {
        "" => "Test".to_owned(),
        folder => format!("Test ({folder})"),
    };
    if answers.form == Form::Call { format!("{test} / Test") } else { test }
}

/// The pipelines that sign in.
fn pipelines(answers: &Answers) -> Vec<&'static str> {
    let targets = &answers.targets;
    let mut names = vec!["merge-request"];
    names.extend(targets.staging.iter().map(|_| "staging"));
    names.extend(targets.production.iter().flat_map(|_| ["release", "production"]));
    names
}

/// What lets the pipelines of Azure be service principals.
fn trusted_by_azure(answers: &Answers, facts: &Facts) -> Vec<String> {
    let project = facts.remote_at(Ci::Azure);
    let project = project.and_then(|remote| remote.name.as_deref());
    let project = project.unwrap_or("<organisation>/<project>");
    let policies = pipelines(answers).into_iter().map(|name| {
        let subject = format!("p://{project}/{}{name}", answers.prefix());
        policy(AZURE_ISSUER, AZURE_AUDIENCE, &subject)
    });
    let first =
        "  the service principal of each group trusts the pipelines that use it:".to_owned();
    let last = "    (an exchange that fails prints the issuer, with the organisation's id, and the subject)";
    std::iter::once(first).chain(policies).chain([last.to_owned()]).collect()
}

/// The variable groups of Azure, and whom their identities trust.
fn groups(answers: &Answers, facts: &Facts, places: &[Place]) -> Vec<String> {
    let mut lines = Vec::new();
    let groups = places.iter().filter(|place| !place.is_reviewed);
    let mine = match answers.secrets {
        Some(secrets) => {
            let group = answers.group.as_deref().unwrap_or("lakegate-<target>");
            lines.push(format!(
                "  variable group `{group}`: {} are used as they are",
                kept(secrets)
            ));
            OTHER_VARIABLES
        }
        None => VARIABLES,
    };
    let names = groups.map(|place| format!("lakegate-{}", place.name)).collect::<Vec<_>>();
    lines.push(format!(
        "  variable groups {}, each with {mine}",
        quoted(names.iter().map(String::as_str))
    ));
    match (&answers.targets.staging, answers.plan_comment) {
        (Some(staging), true) => lines.push(format!(
            "  variable group `lakegate-{staging}-plan`, with the same variables: its identity may only read, and trusts `{}merge-request`",
            answers.prefix()
        )),
        (Some(_), false) => lines.push(PLAN_COMMENT.to_owned()),
        (None, _) => {}
    }
    if answers.secrets.is_none() {
        lines.extend(trusted_by_azure(answers, facts));
    }
    lines
}

fn azure(answers: &Answers, facts: &Facts) -> Vec<String> {
    let main = &answers.main;
    let mut lines = vec![
        "what is left to do at Azure DevOps:".to_owned(),
        "  the extension Lakegate in the organisation; one pipeline for each file, called as it is"
            .to_owned(),
        format!(
            "  a branch policy of `{main}`: build validation by {}merge-request.yml, which expires when `{main}` is updated (Azure Repos only)",
            answers.prefix()
        ),
        "  the build service may contribute to pull requests, and create branches and tags"
            .to_owned(),
    ];
    if answers.form == Form::Call {
        lines.push(
            "  a service connection `github`, by which the pipelines read the templates".to_owned(),
        );
    }
    if answers.embedded {
        return lines;
    }
    let places = places(answers);
    lines.extend(groups(answers, facts, &places));
    if let Some(staging) = &answers.targets.staging {
        lines.push(format!(
            "  an exclusive lock at the environment `{staging}`: one deployment after the other"
        ));
    }
    if let Some(production) = &answers.targets.production {
        lines.push(format!(
            "  approvals at the environments {}, not by whoever started the run; an exclusive lock",
            reviewed(&places)
        ));
        lines.push(format!(
            "  branch control (`{main}` only) at these environments and at the variable group `lakegate-{production}`"
        ));
    }
    lines
}
