//! What was chosen, and what the repository shows.

use std::collections::BTreeMap;

use anyhow::Result;

use super::adopt;
use super::args::{Choices, Module, On, SignIn, Where, Workflows};
use super::compose::Answers;
use super::facts::Facts;
use super::render::{Ci, Form};
use crate::bundle::{self, Bundle, Sources};
use crate::checkout::{self, Resolved};
use crate::config::is_git_name;
use crate::host::Context;
use crate::report::Fault;

/// The bundle's targets, and the one that is meant where none is named.
pub(super) fn known_targets(
    facts: &Facts,
    sources: &Sources,
) -> Result<(Vec<String>, Option<String>)> {
    let names = bundle::targets(sources).map_err(|error| checkout::usage(&error))?;
    let context = Context::default();
    let default = checkout::unassigned(sources, None, &context).ok().map(|bundle| bundle.target);
    // Projects of mlops-stacks have a target for nothing but tests.
    let default = match facts.secrets {
        Some(_) => names.iter().find(|name| *name == "test").cloned().or(default),
        None => default,
    };
    Ok((names, default))
}

/// Everything that the workflows depend on, but the commit of the release.
///
/// # Errors
/// When a choice does not fit the bundle, or another choice.
pub(super) fn of(choices: &Choices, facts: &Facts, sources: &Sources) -> Result<Answers> {
    let (names, default) = known_targets(facts, sources)?;
    let context = Context::default();
    let targets = adopt::targets(&names, default, choices.roles()).map_err(Fault::usage)?;
    let used = [Some(&targets.test), targets.staging.as_ref(), targets.production.as_ref()];
    let unused = names.into_iter().filter(|name| !used.contains(&Some(name))).collect();
    // A path in it is no flow of YAML: less is forbidden.
    let path = format!("{}/x", facts.folder);
    let read: Result<serde_json::Value, _> = serde_yaml::from_str(&path);
    if !read.is_ok_and(|read| read == path.as_str()) || path.contains(['"', '\'', '\\']) {
        let message = format!("the folder `{}` cannot be named in a workflow", facts.folder);
        return Err(Fault::usage(message).hint("rename it").into());
    }
    let main = targets.production.as_ref().unwrap_or(&targets.test);
    let bundle = checkout::unassigned(sources, Some(main), &context)?;
    let secrets = match choices.sign_in {
        Some(SignIn::Federation) => None,
        None => facts.secrets,
        Some(SignIn::StacksSecrets) => Some(facts.secrets.ok_or_else(|| {
            Fault::usage("--sign-in stacks-secrets: the repository has no .stacks_metadata.yml")
        })?),
    };
    let ci = host(choices, facts)?;
    let embedded = choices.workspace == Some(On::Embedded);
    let plan_comment = choices.plan_comment == Some(true);
    if plan_comment && (embedded || targets.staging.is_none()) {
        let message = "--plan-comment: nothing is deployed from the main branch";
        return Err(Fault::usage(message).hint("name a target with --staging-target").into());
    }
    let jobs = adopt::jobs(&bundle, &choices.jobs).map_err(Fault::usage)?;
    let serves = choices.serve == Some(true);
    if serves && (embedded || targets.production.is_none() || jobs.steps.is_empty()) {
        let message = "--serve: no workflow promotes what could be served";
        let hint = "name a target with --production-target, and jobs with --job PART=KEY";
        return Err(Fault::usage(message).hint(hint).into());
    }
    Ok(Answers {
        ci,
        form: form(choices, secrets.is_some())?,
        commit: None,
        embedded,
        plan_comment,
        serves,
        main: main_branch(choices, facts)?,
        python: python(choices)?,
        runner: runner(choices, ci)?,
        folder: facts.folder.clone(),
        secrets,
        group: facts.group.clone(),
        hosts: hosts(sources, &context)?,
        targets,
        unused,
        alone: adopt::alone(&bundle, &jobs),
        jobs,
        fine_tuning: match choices.with {
            Some(Module::FineTuning) => adopt::fine_tuning(&bundle).map_err(Fault::usage)?,
            None => adopt::Loop::default(),
        },
    })
}

fn main_branch(choices: &Choices, facts: &Facts) -> Result<String> {
    let main = choices.main.clone().or_else(|| facts.main.clone());
    let main = main.unwrap_or_else(|| "main".to_owned());
    if !is_git_name(&main) {
        let message = format!("--main `{}` cannot be named in a workflow", main.escape_debug());
        return Err(Fault::usage(message).hint("name the branch that merge requests go to").into());
    }
    Ok(main)
}

fn python(choices: &Choices) -> Result<String> {
    let python = choices.python.clone().unwrap_or_else(|| "3.12".to_owned());
    let is_part = |char: char| char.is_ascii_alphanumeric() || ".-".contains(char);
    if !python.starts_with(|char: char| char.is_ascii_digit()) || !python.chars().all(is_part) {
        let message = format!("--python `{}` is no version", python.escape_debug());
        return Err(Fault::usage(message).hint("such as 3.12").into());
    }
    Ok(python)
}

fn runner(choices: &Choices, ci: Ci) -> Result<Option<String>> {
    let Some(runner) = choices.runner.as_deref().map(str::trim) else { return Ok(None) };
    if runner.trim_matches([',', ' ']).is_empty() || runner.contains("${{") {
        let message = format!("--runner `{runner}` names nobody");
        return Err(Fault::usage(message).hint("labels, an image, or a pool").into());
    }
    if ci == Ci::Azure && runner.contains(',') {
        let message = format!("--runner `{runner}`: Azure's agents are an image or one pool");
        return Err(Fault::usage(message).into());
    }
    Ok(Some(runner.to_owned()))
}

/// Where the code is, there its checks run.
fn host(choices: &Choices, facts: &Facts) -> Result<Ci, Fault> {
    match (choices.host, &facts.remote) {
        (Some(Where::Azure), _) => Ok(Ci::Azure),
        (Some(Where::Github), _) | (None, None) => Ok(Ci::GitHub),
        (None, Some(remote)) => remote.ci.ok_or_else(|| {
            let message = format!(
                "the repository is at {}: workflows are written for GitHub and Azure DevOps",
                remote.host
            );
            Fault::usage(message).hint(
                "--host says which of the two runs its checks; elsewhere, call the commands yourself (docs/orchestrators.md)",
            )
        }),
    }
}

fn form(choices: &Choices, has_secrets: bool) -> Result<Form> {
    if choices.workflows != Some(Workflows::Call) {
        return Ok(Form::Whole);
    }
    let message = match (choices.workspace, has_secrets) {
        (Some(On::Embedded), _) => "--workflows call: these run on Databricks only",
        (_, true) => "--workflows call: these sign in by federation only, never by secrets",
        _ => return Ok(Form::Call),
    };
    Err(Fault::usage(message).hint("leave it out for whole workflows").into())
}

/// The workspaces that the bundle itself names.
fn hosts(sources: &Sources, context: &Context) -> Result<BTreeMap<String, String>> {
    let bundles = resolved(sources, context)?.into_iter();
    Ok(bundles.filter_map(|bundle| Some((bundle.target, bundle.host?))).collect())
}

/// Every target that resolves for nobody yet.
pub(super) fn resolved(sources: &Sources, context: &Context) -> Result<Vec<Bundle>> {
    let all = checkout::every_target(sources, context).map_err(|error| checkout::usage(&error))?;
    let whole = all.into_iter().filter_map(|(_, resolved)| match resolved {
        Resolved::Whole(bundle) => Some(*bundle),
        Resolved::Waiting(_) | Resolved::Wrong(_) => None,
    });
    Ok(whole.collect())
}
