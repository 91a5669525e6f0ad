//! What lies in the repository, and what the CI host gives a step.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::check::Checks;
use super::run::Request;
use super::workflows::{self, Named, Uses};
use super::{gates, inputs, jobs, permissions};
use crate::checkout::{self, Resolved};
use crate::config::{Config, DeployEngine, Environment};
use crate::deployment::Cli;
use crate::host::Dialect;
use crate::step::Ctx;
use crate::sys::git::{self, Git};
use crate::sys::{fs, process};

const AREA: &str = "repository";

/// The bundle, git, and the workflows, whose environments are returned.
pub(super) async fn look(
    ctx: &Ctx,
    request: &Request,
    checks: &mut Checks,
) -> BTreeMap<String, bool> {
    let jobs = targets(ctx, &request.bundle, checks);
    match Git::of(&ctx.env, &request.bundle).await {
        Err(error) => {
            checks.failed((AREA, "git"), &error, "install git, and run this in a repository");
            BTreeMap::new()
        }
        Ok(git) => {
            match git.is_shallow().await {
                Ok(true) => checks.bad(
                    (AREA, "history"),
                    "the clone has only a part of it",
                    "check out with `fetch-depth: 0` (GitHub) or `fetchDepth: 0` (Azure): merge-test and release-build need it",
                ),
                Ok(false) => checks.good((AREA, "history"), "all of it is here"),
                Err(error) => checks.failed((AREA, "history"), &error, "is this a git repository?"),
            }
            let uses = read(&git, &request.config, jobs.as_ref(), checks);
            tags(ctx, &uses, checks).await;
            gates::look(ctx, &uses.environments, checks).await;
            uses.environments
        }
    }
}

/// The jobs of all targets are returned, where all can be resolved.
fn targets(ctx: &Ctx, root: &Path, checks: &mut Checks) -> Option<BTreeSet<String>> {
    let known = checkout::sources(root)
        .and_then(|sources| Ok(checkout::every_target(&sources, &ctx.context)?));
    let targets = match known {
        Ok(targets) => targets,
        Err(error) => {
            checks.failed(
                (AREA, "databricks.yml"),
                &error,
                "name its folder with --bundle, or start one with `lakegate init`",
            );
            return None;
        }
    };
    let mut jobs = Some(BTreeSet::new());
    for (target, resolved) in targets {
        let what = format!("target {target}");
        // What the CLI alone resolves may be jobs.
        if !matches!(&resolved, Resolved::Whole(bundle) if bundle.foreign.is_empty()) {
            jobs = None;
        }
        match resolved {
            Resolved::Whole(bundle) => {
                jobs.iter_mut().for_each(|jobs| jobs.extend(jobs::of_bundle(&bundle)));
                checks.good((AREA, &what), format!("{} resources", bundle.resources.len()));
            }
            Resolved::Waiting(fault) => checks.unknown(
                (AREA, &what),
                fault.message,
                "the value is given at the deployment: set BUNDLE_VAR_… to look at it here",
            ),
            Resolved::Wrong(fault) => {
                checks.failed((AREA, &what), &fault.into(), "mend databricks.yml");
            }
        }
    }
    jobs
}

/// What the workflows use, hand over and may do.
fn read(
    git: &Git<'_>,
    config: &Config,
    jobs: Option<&BTreeSet<String>>,
    checks: &mut Checks,
) -> Uses {
    let mut found = Uses::default();
    let mut told = Told::default();
    for path in workflows(git.root()) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let text = fs::read_text(&path).unwrap_or_default();
        workflows::collect_named(&text, &mut found);
        match serde_yaml::from_str::<Value>(&text) {
            Ok(workflow) => {
                workflows::collect(&name, &workflow, &mut found);
                told.note(&name, &workflow, config);
                let jobs = jobs.iter().flat_map(|jobs| jobs::unknown(&workflow, &git.folder, jobs));
                told.jobs.extend(jobs.map(|job| format!("{job} ({name})")));
                for (name, is_scheduled) in gates::environments(&workflow) {
                    // One workflow with a schedule is enough.
                    *found.environments.entry(name).or_default() |= is_scheduled;
                }
            }
            Err(error) => {
                checks.bad((AREA, &name), error.to_string(), "mend the workflow's YAML");
            }
        }
    }
    told.tell(checks);
    if !found.stale.is_empty() {
        checks.bad(
            (AREA, "tasks"),
            format!("{} are not those of this Lakegate", found.stale.join(", ")),
            "run `lakegate init` again, or name the tasks of its version",
        );
    }
    if found.count > 0 {
        pinned(&found, checks);
    }
    found
}

/// What is wrong with what workflows say to steps and jobs of ours, and where.
#[derive(Debug, Default)]
struct Told {
    /// How many workflows have jobs whose permissions were looked at.
    looked: usize,
    lacking: Vec<String>,
    boundless: Vec<String>,
    inputs: Vec<String>,
    variables: Vec<String>,
    jobs: Vec<String>,
}

impl Told {
    fn note(&mut self, name: &str, workflow: &Value, config: &Config) {
        let slips = inputs::misspelt(workflow);
        let at = |told: String| format!("{told} ({name})");
        self.inputs.extend(slips.inputs.into_iter().map(at));
        self.variables.extend(slips.variables.into_iter().map(at));
        self.looked += usize::from(workflow["jobs"].is_object());
        let lacking = permissions::lacking(workflow, config).into_iter();
        self.lacking.extend(lacking.map(|told| format!("{told}, in {name}")));
        let boundless = permissions::boundless(workflow).into_iter();
        self.boundless.extend(boundless.map(|job| format!("`{job}` ({name})")));
    }

    fn tell(self, checks: &mut Checks) {
        if self.looked > 0 {
            allowed(&self.lacking, &self.boundless, checks);
        }
        if !self.inputs.is_empty() {
            let fix = "mend them: `lakegate <command> --help` tells what there is";
            checks.bad((AREA, "inputs"), self.inputs.join("; "), fix);
        }
        if !self.variables.is_empty() {
            let words = format!("nothing reads {}", self.variables.join(", "));
            let fix = "mend the names, if they are meant for ours";
            checks.unknown((AREA, "variables"), words, fix);
        }
        if !self.jobs.is_empty() {
            let words = format!("no target of databricks.yml has {}", self.jobs.join(", "));
            let fix = "mend the key; a job that lies elsewhere is called by its name or its id";
            checks.unknown((AREA, "jobs"), words, fix);
        }
    }
}

/// Whether anybody could change what the workflows run.
fn pinned(found: &Uses, checks: &mut Checks) {
    let what = (AREA, "pinned actions");
    match &found.movable[..] {
        [] => checks.good(what, format!("all {} are commits", found.count)),
        movable => checks.bad(
            what,
            format!("{} can be moved by others", movable.join(", ")),
            "name the full commit id, with the version as a comment",
        ),
    }
    if !found.nameless.is_empty() {
        checks.unknown(
            (AREA, "versions of commits"),
            format!("no comment says which version {} is", found.nameless.join(", ")),
            "write it behind the commit, as `# v1.2.3`: what updates actions goes by it",
        );
    }
    if found.suite.len() > 1 {
        let commits: Vec<String> = found.suite.iter().cloned().collect();
        checks.bad(
            (AREA, "one Lakegate"),
            format!("the workflows use several: {}", commits.join(", ")),
            "run `lakegate init` again: steps of one loop belong to one release",
        );
    }
}

fn allowed(lacking: &[String], boundless: &[String], checks: &mut Checks) {
    let what = (AREA, "permissions");
    if !boundless.is_empty() {
        checks.unknown(
            what,
            format!("{} may write everything", boundless.join(", ")),
            "name what the job needs: a step of somebody else has the same rights",
        );
    }
    match lacking {
        [] if boundless.is_empty() => checks.good(what, "jobs may do what their steps need"),
        [] => {}
        lacking => checks.bad(
            what,
            lacking.join("; "),
            "allow it to the job, or run `lakegate init` again",
        ),
    }
}

/// The files that say what CI runs: workflows, the repository's own actions, and
/// pipelines.
fn workflows(root: &Path) -> Vec<PathBuf> {
    let is_yaml = |name: &str| name.ends_with(".yml") || name.ends_with(".yaml");
    let mut files = Vec::new();
    for folder in [".github/workflows", ".azure-pipelines"] {
        let folder = root.join(folder);
        for (name, is_folder, _) in fs::entries(&folder).ok().flatten().unwrap_or_default() {
            if !is_folder && is_yaml(&name) {
                files.push(folder.join(name));
            }
        }
    }
    files.extend(
        ["azure-pipelines.yml", "azure-pipelines.yaml"]
            .map(|name| root.join(name))
            .into_iter()
            .filter(|file| file.is_file()),
    );
    let actions = root.join(".github/actions");
    for (name, is_folder, _) in fs::entries(&actions).ok().flatten().unwrap_or_default() {
        let own = ["action.yml", "action.yaml"].map(|file| actions.join(&name).join(file));
        files.extend(own.into_iter().filter(|file| is_folder && file.is_file()));
    }
    files
}

/// Whether the commits are those that their comments say: a commit of a fork can be
/// named by the repository that it was forked from.
async fn tags(ctx: &Ctx, uses: &Uses, checks: &mut Checks) {
    let home = ctx.env.get("GITHUB_SERVER_URL").unwrap_or("https://github.com");
    let ask = |named: Named| async move {
        let address = format!("{home}/{}", named.repository);
        let found = git::commit_of_tag(&ctx.env, &address, &named.tag).await;
        (named, found)
    };
    let (mut good, mut unknown, mut why) = (0, Vec::new(), String::new());
    for (named, found) in futures::future::join_all(uses.named.iter().cloned().map(ask)).await {
        let Named { repository, tag, commit } = named;
        match found {
            Ok(known) if known == commit => good += 1,
            Ok(known) => checks.bad(
                (AREA, &repository),
                format!("{commit} is said to be {tag}, which is {known}"),
                "take the commit of the tag, from the repository itself",
            ),
            Err(error) => {
                unknown.push(format!("{repository} {tag}"));
                why = format!("{error:#}").lines().next().unwrap_or_default().to_owned();
            }
        }
    }
    let what = (AREA, "commits of tags");
    if good > 0 {
        checks.good(what, format!("{good} are what their comments say"));
    }
    if !unknown.is_empty() {
        let fix = "look from where their repositories can be reached";
        checks.unknown(what, format!("{} cannot be asked ({why})", unknown.join(", ")), fix);
    }
}

/// The programs that steps start.
pub(super) async fn tools(ctx: &Ctx, request: &Request, checks: &mut Checks) {
    const AREA: &str = "machine";
    let config = &request.config;
    if config.deploy.engine != DeployEngine::Native {
        match Cli::find(ctx).await {
            Ok(Some(cli)) => checks.good((AREA, "databricks CLI"), cli.version),
            Ok(None) if config.deploy.engine == DeployEngine::Cli => checks.bad(
                (AREA, "databricks CLI"),
                "deploy.engine is `cli`, and none is on the PATH",
                "install it, or set `deploy.engine: native`",
            ),
            Ok(None) => checks.good((AREA, "databricks CLI"), "none: the native engine deploys"),
            Err(error) => {
                checks.failed(
                    (AREA, "databricks CLI"),
                    &error,
                    "update it, or use the native engine",
                );
            }
        }
    }
    let wanted = match config.tests.unit.environment {
        Environment::Uv => "uv",
        Environment::Poetry => "poetry",
        _ => "python3",
    };
    match process::find(wanted, &ctx.env) {
        Some(path) => checks.good((AREA, wanted), path.display().to_string()),
        None => checks.bad((AREA, wanted), "not on the PATH", "unit tests and wheels need it"),
    }
}

/// What the CI host hands to a step only when it is asked to.
pub(super) fn host(ctx: &Ctx, checks: &mut Checks) {
    const AREA: &str = "CI host";
    let signs_in = |way: &str| ctx.env.get("DATABRICKS_AUTH_TYPE") == Some(way);
    match ctx.host.dialect() {
        Dialect::Terminal => {}
        Dialect::GitHub => {
            if signs_in("github-oidc") {
                match ctx.env.get("ACTIONS_ID_TOKEN_REQUEST_URL") {
                    Some(_) => checks.good((AREA, "identity token"), "may be asked for"),
                    None => checks.bad(
                        (AREA, "identity token"),
                        "the job may not ask for one",
                        "`permissions: {id-token: write}` at the job",
                    ),
                }
            }
            match ctx.env.get("GITHUB_TOKEN") {
                Some(_) => checks.good((AREA, "GITHUB_TOKEN"), "is here"),
                None => checks.unknown(
                    (AREA, "GITHUB_TOKEN"),
                    "is not handed to this step",
                    "`env: {GITHUB_TOKEN: ${{ github.token }}}` where something is told to a merge request, a commit or a ticket",
                ),
            }
        }
        Dialect::Azure => match ctx.env.get("SYSTEM_ACCESSTOKEN") {
            Some(_) => checks.good((AREA, "SYSTEM_ACCESSTOKEN"), "is here"),
            None => checks.bad(
                (AREA, "SYSTEM_ACCESSTOKEN"),
                "is not handed to this step",
                "`env: {SYSTEM_ACCESSTOKEN: $(System.AccessToken)}`; our tasks have it without",
            ),
        },
    }
}
