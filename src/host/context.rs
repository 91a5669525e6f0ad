//! What the CI host tells of the run, read in one place.

use serde::Serialize;

use super::Dialect;
use crate::sys::{Env, clock};

/// The circumstances of this step. Fields the host does not tell are empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Context {
    pub host: &'static str,
    pub repository: Option<String>,
    /// The same, told from repositories of that name in other projects.
    pub origin: Option<String>,
    pub commit: Option<String>,
    pub branch: Option<String>,
    pub run_id: Option<String>,
    pub attempt: Option<String>,
    /// What begins once whoever must agree has: a job of GitHub, a stage of Azure.
    pub stage: Option<String>,
    /// The step's own key within the run.
    pub step: Option<String>,
    /// The machine that the step runs on: jobs of one matrix have no other
    /// name that tells them apart.
    pub runner: Option<String>,
    pub merge_request: Option<u64>,
    /// The branch that the merge request goes to.
    pub base: Option<String>,
    /// The code comes from a fork, or the event runs foreign code with our
    /// rights. Unknown counts as a fork on a merge request.
    pub from_fork: bool,
    pub actor: Option<String>,
    pub run_url: Option<String>,
    /// By which the pipeline itself is started: a workflow's file on GitHub, the
    /// definition's number on Azure DevOps.
    pub pipeline: Option<String>,
}

impl Context {
    pub fn read(env: &Env, event: Option<&serde_json::Value>) -> Self {
        match Dialect::detect(env) {
            Dialect::GitHub => github(env, event),
            Dialect::Azure => azure(env),
            Dialect::Terminal => {
                Self { host: "terminal", actor: owned(env.get("USER")), ..Self::default() }
            }
        }
    }
}

impl Context {
    /// What asks for a step: another attempt of one CI run asks for the same, people ask
    /// anew.
    pub fn cause(&self) -> String {
        match (&self.repository, &self.run_id) {
            (Some(repository), Some(run)) => {
                format!("run {run} of {repository} {}", self.step.as_deref().unwrap_or_default())
            }
            _ => format!("asked for at {}", clock::now()),
        }
    }
}

fn owned(value: Option<&str>) -> Option<String> {
    value.map(str::to_owned)
}

fn github(env: &Env, event: Option<&serde_json::Value>) -> Context {
    let pull = event.and_then(|event| event.get("pull_request"));
    let at =
        |path: &str| pull.and_then(|pull| pull.pointer(path)).and_then(serde_json::Value::as_str);
    let event_name = env.get("GITHUB_EVENT_NAME").unwrap_or_default();
    let is_pull = event_name.starts_with("pull_request");
    // Code that was not merged, with the rights of what was.
    let is_above_itself = event_name == "pull_request_target";
    let own = env.get("GITHUB_REPOSITORY");
    let same_repository = at("/head/repo/full_name").is_some_and(|head| Some(head) == own);
    // A workflow that another one started is about that one's code.
    let starter = event.and_then(|event| event.pointer("/workflow_run/head_repository/full_name"));
    let is_foreign =
        event_name == "workflow_run" && starter.and_then(serde_json::Value::as_str) != own;
    // Of a merge queue, whose commits somebody with the right to merge has put there.
    let queued = event.and_then(|event| event.pointer("/merge_group/base_ref"));
    let queued = queued.and_then(serde_json::Value::as_str).map(branch_name);
    let number = pull.and_then(|pull| pull.get("number")).and_then(serde_json::Value::as_u64);
    let url = || {
        let (server, repository, run) = (
            env.get("GITHUB_SERVER_URL")?,
            env.get("GITHUB_REPOSITORY")?,
            env.get("GITHUB_RUN_ID")?,
        );
        Some(format!("{server}/{repository}/actions/runs/{run}"))
    };
    Context {
        host: "github",
        repository: owned(env.get("GITHUB_REPOSITORY")),
        origin: owned(env.get("GITHUB_REPOSITORY")),
        // On a merge request GITHUB_SHA is a merge that no branch holds.
        commit: owned(at("/head/sha").or(env.get("GITHUB_SHA"))),
        branch: owned(env.get("GITHUB_HEAD_REF").or(env.get("GITHUB_REF_NAME"))),
        run_id: owned(env.get("GITHUB_RUN_ID")),
        attempt: owned(env.get("GITHUB_RUN_ATTEMPT")),
        stage: owned(env.get("GITHUB_JOB")),
        step: step_key(&[env.get("GITHUB_JOB"), env.get("GITHUB_ACTION")]),
        runner: owned(env.get("RUNNER_NAME")),
        merge_request: number,
        base: owned(env.get("GITHUB_BASE_REF").or(queued)),
        from_fork: is_pull && !same_repository || is_above_itself || is_foreign,
        actor: owned(env.get("GITHUB_ACTOR")),
        run_url: url(),
        pipeline: env.get("GITHUB_WORKFLOW_REF").and_then(workflow_file),
    }
}

fn azure(env: &Env) -> Context {
    let number = env
        .get("SYSTEM_PULLREQUEST_PULLREQUESTNUMBER")
        .or(env.get("SYSTEM_PULLREQUEST_PULLREQUESTID"))
        .and_then(|number| number.parse().ok());
    let source = env.get("SYSTEM_PULLREQUEST_SOURCEBRANCH").or(env.get("BUILD_SOURCEBRANCH"));
    let url = || {
        let (collection, project, build) = (
            env.get("SYSTEM_COLLECTIONURI")?,
            env.get("SYSTEM_TEAMPROJECT")?,
            env.get("BUILD_BUILDID")?,
        );
        Some(format!(
            "{}/{project}/_build/results?buildId={build}",
            collection.trim_end_matches('/')
        ))
    };
    let not_fork =
        env.get("SYSTEM_PULLREQUEST_ISFORK").is_some_and(|fork| fork.eq_ignore_ascii_case("false"));
    Context {
        host: "azure",
        repository: owned(env.get("BUILD_REPOSITORY_NAME")),
        origin: origin_at_azure(env),
        commit: owned(
            env.get("SYSTEM_PULLREQUEST_SOURCECOMMITID").or(env.get("BUILD_SOURCEVERSION")),
        ),
        branch: owned(source.map(branch_name)),
        run_id: owned(env.get("BUILD_BUILDID")),
        attempt: owned(env.get("SYSTEM_JOBATTEMPT")),
        stage: owned(env.get("SYSTEM_STAGENAME")),
        step: step_key(&[
            env.get("SYSTEM_STAGENAME"),
            env.get("SYSTEM_JOBNAME"),
            env.get("SYSTEM_TASKINSTANCENAME").or(env.get("SYSTEM_TASKINSTANCEID")),
        ]),
        runner: owned(env.get("AGENT_NAME")),
        merge_request: number,
        base: owned(env.get("SYSTEM_PULLREQUEST_TARGETBRANCH").map(branch_name)),
        from_fork: number.is_some() && !not_fork,
        // Approvals name people by their mail address, too.
        actor: owned(env.get("BUILD_REQUESTEDFOREMAIL").or(env.get("BUILD_REQUESTEDFOR"))),
        run_url: url(),
        pipeline: owned(env.get("SYSTEM_DEFINITIONID")),
    }
}

fn branch_name(reference: &str) -> &str {
    reference.strip_prefix("refs/heads/").unwrap_or(reference)
}

/// `loop.yml` of `acme/flights/.github/workflows/loop.yml@refs/heads/main`.
fn workflow_file(reference: &str) -> Option<String> {
    let (path, _) = reference.split_once('@')?;
    let (_, file) = path.split_once("/.github/workflows/")?;
    Some(file.to_owned())
}

/// `acme/ml/flights` of `https://acme@dev.azure.com/acme/ml/_git/flights`: a pipeline may
/// build a repository of another project. One elsewhere has a whole name of its own.
fn origin_at_azure(env: &Env) -> Option<String> {
    let name = env.get("BUILD_REPOSITORY_NAME")?;
    let address = env.get("BUILD_REPOSITORY_URI").and_then(|uri| url::Url::parse(uri).ok());
    let path: Vec<&str> = address.iter().filter_map(url::Url::path_segments).flatten().collect();
    let Some(at) = path.iter().position(|part| *part == "_git") else {
        return Some(name.to_owned());
    };
    let repository = path.get(at + 1)?;
    let organisation = address.as_ref().and_then(organisation_of)?;
    let own = |part: &&&str| **part != organisation && **part != "DefaultCollection";
    // Without one, the project is called as its repository is.
    let project = path[..at].iter().rfind(own).unwrap_or(repository);
    Some(format!("{organisation}/{project}/{repository}"))
}

/// The organisation of Azure DevOps: of `https://dev.azure.com/acme/`, or of
/// `https://acme.visualstudio.com/`.
pub fn organisation(env: &Env) -> Option<String> {
    organisation_of(&url::Url::parse(env.get("SYSTEM_COLLECTIONURI")?).ok()?)
}

fn organisation_of(address: &url::Url) -> Option<String> {
    match address.host_str()?.strip_suffix(".visualstudio.com") {
        Some(name) => Some(name.to_owned()),
        None => Some(address.path_segments()?.next()?.to_owned()),
    }
}

fn step_key(parts: &[Option<&str>]) -> Option<String> {
    let parts: Vec<_> = parts.iter().flatten().copied().collect();
    if parts.is_empty() { None } else { Some(parts.join("/")) }
}
