//! Code on disk: a repository with its bundle, or a release.

mod files;
pub mod release;

pub use files::{files, outside, placed};

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::bundle::{self, Bundle, BundleError, Lookup, Sources, Surroundings, Sync};
use crate::databricks::Client;
use crate::databricks::jobs::Job;
use crate::host::Context;
use crate::names::{NameError, Sha256};
use crate::report::Fault;
use crate::step::Ctx;
use crate::sys::git::Git;
use crate::sys::{Env, fs};

/// Which bundle, and with what.
#[derive(Debug, Clone)]
pub struct BundleChoice {
    /// The folder of `databricks.yml`.
    pub root: PathBuf,
    pub target: Option<String>,
    pub variables: BTreeMap<String, String>,
    /// See [`Surroundings::isolation`].
    pub isolation: Option<String>,
    /// Nothing is deployed: see [`Surroundings::is_open`].
    pub only_looks: bool,
}

impl BundleChoice {
    /// A bundle that nothing is deployed of.
    pub fn to_look(root: PathBuf, target: Option<String>) -> Self {
        Self { root, target, variables: BTreeMap::new(), isolation: None, only_looks: true }
    }
}

/// Loads the bundle for the identity that the client signs in with.
pub async fn load_bundle(
    choice: &BundleChoice,
    client: &Client,
    env: &Env,
    context: &Context,
) -> Result<Bundle> {
    let at = async {
        match (context.host, context.branch.is_none()) {
            ("terminal", true) => checked_out(env, &choice.root).await,
            _ => (context.branch.clone(), context.commit.clone()),
        }
    };
    let (me, (branch, commit)) = tokio::join!(client.me(), at);
    let me = me.context("ask the workspace who is calling")?;
    let mut variables = given(env);
    variables.extend(choice.variables.clone());
    let mut around = Surroundings {
        short_name: me.short_name(),
        user: me.user_name,
        host: client.host().to_owned(),
        is_open: choice.only_looks,
        branch,
        commit,
        variables,
        isolation: choice.isolation.clone(),
    };
    let (sources, target) = (sources(&choice.root)?, choice.target.as_deref());
    let asked = bundle::lookups(&sources, target, &around).map_err(|error| usage(&error))?;
    for Lookup { variable, kind, name } in asked {
        let what = kind.as_str();
        let found = client.look_up(kind, &name).await;
        let found = found.with_context(|| format!("look up the {what} `{name}`"))?;
        let [id] = &found[..] else {
            let message = match found.len() {
                0 => format!("variables.{variable}: there is no {what} `{name}`"),
                many => format!("variables.{variable}: there are {many} of the name `{name}`"),
            };
            let hint = format!("`--var {variable}=…` or BUNDLE_VAR_{variable} gives the id");
            return Err(Fault::usage(message).hint(hint).into());
        };
        around.variables.insert(variable, id.clone());
    }
    bundle::load(&sources, target, &around).map_err(|error| usage(&error).into())
}

/// The values that the environment gives to a bundle's variables.
fn given(env: &Env) -> BTreeMap<String, String> {
    let given = env.with_prefix("BUNDLE_VAR_");
    given.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// What `lakegate.yml` may refer to in the bundle of a folder: see [`bundle::values`].
pub fn references(
    root: &Path,
    target: Option<&str>,
    env: &Env,
) -> Result<BTreeMap<String, Option<Value>>> {
    let around = Surroundings { is_open: true, variables: given(env), ..Surroundings::default() };
    bundle::values(&sources(root)?, target, &around).map_err(|error| usage(&error).into())
}

/// What git tells of a folder; nothing of one that it does not know.
async fn checked_out(env: &Env, root: &Path) -> (Option<String>, Option<String>) {
    let Ok(git) = Git::of(env, root).await else { return (None, None) };
    let (branch, commit) = tokio::join!(git.branch(), git.head());
    (branch.ok().flatten(), commit.ok())
}

/// Refuses a workspace that the bundle names and the caller did not.
pub fn confirm_host(client: &Client, bundle: &Bundle) -> Result<()> {
    if let Some(host) = &bundle.host {
        client.confirm_host("databricks.yml", host)?;
    }
    Ok(())
}

/// Resolves a target for nobody yet: who deploys it, and where, stays open.
pub fn unassigned(sources: &Sources, target: Option<&str>, context: &Context) -> Result<Bundle> {
    open(sources, target, context).map_err(|error| usage(&error).into())
}

fn open(sources: &Sources, target: Option<&str>, context: &Context) -> Result<Bundle, BundleError> {
    let around = Surroundings {
        short_name: "_deployer_".to_owned(),
        user: "_deployer_".to_owned(),
        host: "_workspace_".to_owned(),
        is_open: true,
        branch: context.branch.clone(),
        commit: context.commit.clone(),
        ..Surroundings::default()
    };
    bundle::load(sources, target, &around)
}

/// What became of a target that nobody deploys yet.
#[derive(Debug)]
pub enum Resolved {
    Whole(Box<Bundle>),
    /// A value is given at the deployment: that is no mistake.
    Waiting(Fault),
    Wrong(Fault),
}

/// Resolves every target by its name.
pub fn every_target(
    sources: &Sources,
    context: &Context,
) -> Result<Vec<(String, Resolved)>, BundleError> {
    let resolve = |target: String| {
        let resolved = match open(sources, Some(&target), context) {
            Ok(bundle) => Resolved::Whole(Box::new(bundle)),
            Err(error) if error.lacks_value => Resolved::Waiting(usage(&error)),
            Err(error) => Resolved::Wrong(usage(&error)),
        };
        (target, resolved)
    };
    Ok(bundle::targets(sources)?.into_iter().map(resolve).collect())
}

/// The job that a person means by `name`: its id, its name, its key in the
/// bundle of this folder, or its name without a development prefix.
pub async fn find_job(ctx: &Ctx, name: &str, target: Option<&str>) -> Result<Job> {
    if let Ok(id) = name.parse() {
        return ctx.client.job_get(id).await.with_context(|| format!("find job {id}"));
    }
    let all = ctx.client.job_list(None).await.context("list the jobs")?;
    let called: Vec<&Job> = all.iter().filter(|job| job.name() == name).collect();
    if let [job] = called[..] {
        return Ok(job.clone());
    }
    let state = deployed(ctx, target).await?;
    // Targets of one workspace may have jobs of one name.
    let is_ours = |job: &&Job| state.as_ref().is_some_and(|state| state.has_job(job.job_id));
    if let Some(job) = only(name, called.iter().copied().filter(is_ours))? {
        return Ok(job.clone());
    }
    if let Some(job) = only(name, called.into_iter())? {
        return Ok(job.clone());
    }
    let by_key = state.and_then(|state| state.id(&format!("jobs.{name}"))?.parse().ok());
    if let Some(job) = all.iter().find(|job| Some(job.job_id) == by_key) {
        return Ok(job.clone());
    }
    let prefixed = format!("] {name}");
    if let Some(job) = only(name, all.iter().filter(|job| job.name().ends_with(&prefixed)))? {
        return Ok(job.clone());
    }
    let fault = Fault::usage(format!("no job is called `{name}`"));
    if all.is_empty() {
        return Err(fault.hint("the workspace has no jobs: deploy the bundle first").into());
    }
    let names: Vec<&str> = all.iter().map(Job::name).collect();
    Err(fault.or_near(name, names.iter().copied()).into())
}

/// The one job among those that `name` fits; several are told by their ids.
fn only<'a>(name: &str, jobs: impl Iterator<Item = &'a Job>) -> Result<Option<&'a Job>, Fault> {
    let matching: Vec<&Job> = jobs.collect();
    if matching.len() > 1 {
        let ids: Vec<_> = matching.iter().map(|job| job.job_id.to_string()).collect();
        let fault = Fault::usage(format!("{} jobs are called `{name}`", matching.len()));
        return Err(fault.hint(format!("give the id: {}", ids.join(", "))));
    }
    Ok(matching.first().copied())
}

/// What is deployed of the bundle in this folder, if there is one.
async fn deployed(ctx: &Ctx, target: Option<&str>) -> Result<Option<bundle::State>> {
    if !Path::new("databricks.yml").is_file() {
        return Ok(None);
    }
    let choice = BundleChoice::to_look(PathBuf::from("."), target.map(str::to_owned));
    let bundle = load_bundle(&choice, &ctx.client, &ctx.env, &ctx.context).await?;
    let path = format!("{}/resources.json", bundle.state_path);
    let bytes = ctx.client.workspace_read(&path).await.context("read the deployment state")?;
    let parse = |bytes: bytes::Bytes| bundle::State::parse(&String::from_utf8_lossy(&bytes));
    Ok(bytes.map(parse).transpose().map_err(Fault::usage)?)
}

/// The digest of a manifest, as a caller gives it.
pub fn digest(text: &str) -> Result<Sha256, Fault> {
    let plain = text.strip_prefix("sha256:").unwrap_or(text);
    plain.parse().map_err(|error: NameError| Fault::usage(format!("--manifest-digest: {error}")))
}

/// A mistake in the bundle is the caller's to mend.
pub fn usage(error: &BundleError) -> Fault {
    let fault = Fault::usage(error.to_string());
    match &error.hint {
        Some(hint) => fault.hint(hint),
        None => fault,
    }
}

/// Every YAML file of the bundle's folder.
pub fn sources(root: &Path) -> Result<Sources> {
    let mut sources = Sources::new();
    for file in files(root, &Sync::default())? {
        if matches!(Path::new(&file).extension().and_then(|end| end.to_str()), Some("yml" | "yaml"))
        {
            sources.insert(file.clone(), fs::read_text(root.join(&file))?);
        }
    }
    Ok(sources)
}
