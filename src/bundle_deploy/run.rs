//! Plans, applies, destroys.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use serde_json::json;

use super::deployment::Deployment;
use super::{apply, artifacts};
use crate::bundle::{self, Action, Bundle, FileDigests, Lock, Plan, State};
use crate::checkout::{self, BundleChoice};
use crate::names::Sha256;
use crate::report::{Document, Fault, FaultKind, Outcome, Report, Table, Verdict};
use crate::step::{self, Ctx};
use crate::sys::fs;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mode {
    Plan,
    Apply { plan: Option<PathBuf> },
    Destroy,
}

#[derive(Debug, Clone)]
pub struct Request {
    pub mode: Mode,
    pub choice: BundleChoice,
    pub allow_destroy: bool,
    pub step_key: Option<String>,
}

impl step::Request for Request {}

pub async fn run(ctx: Ctx, request: Request) -> Result<Outcome> {
    let mut bundle =
        checkout::load_bundle(&request.choice, &ctx.client, &ctx.env, &ctx.context).await?;
    if let Some(host) = &bundle.host {
        ctx.client.confirm_host("databricks.yml", host)?;
    }
    match &request.mode {
        Mode::Destroy => destroy(&ctx, &bundle, &request).await,
        Mode::Plan => {
            let (plan, _, _) = make_plan(&ctx, &mut bundle, &request).await?;
            Ok(planned(&plan))
        }
        Mode::Apply { plan } => {
            let approved = plan.as_deref().map(read_plan).transpose()?;
            apply_plan(&ctx, &mut bundle, &request, approved).await
        }
    }
}

/// The local file behind each path of the workspace.
type Locals = BTreeMap<String, PathBuf>;

async fn make_plan(
    ctx: &Ctx,
    bundle: &mut Bundle,
    request: &Request,
) -> Result<(Plan, State, Locals)> {
    let root = &request.choice.root;
    let mut locals = Locals::new();
    let wheels = artifacts::build(ctx, bundle, root).await?;
    let mut names = Vec::new();
    for wheel in &wheels {
        let name =
            wheel.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        locals.insert(format!("{}/.internal/{name}", bundle.artifact_path), wheel.clone());
        names.push(name);
    }
    bundle.name_wheels(&names).map_err(|error| checkout::usage(&error))?;
    for file in checkout::files(root, &bundle.sync_include, &bundle.sync_exclude)? {
        locals.insert(format!("{}/{file}", bundle.file_path), root.join(&file));
    }
    let mut digests = FileDigests::default();
    for (path, local) in &locals {
        digests.0.insert(path.clone(), Sha256::of(fs::read(local)?));
    }
    check_programs(bundle, &locals)?;
    let deployment = Deployment::new(&ctx.client, bundle);
    let state = deployment.state().await?;
    let uploaded = deployment.uploaded().await?;
    let gone = apply::gone(&ctx.client, &state).await?;
    let plan = bundle::plan(bundle, ctx.client.host(), &state, &gone, digests, &uploaded);
    Ok((plan, state, locals))
}

/// A job whose program is not in the bundle would only fail when it runs.
fn check_programs(bundle: &Bundle, locals: &Locals) -> Result<(), Fault> {
    for (key, resource) in &bundle.resources {
        for task in resource.settings["tasks"].as_array().into_iter().flatten() {
            for (pointer, ending) in
                [("/spark_python_task/python_file", ""), ("/notebook_task/notebook_path", ".py")]
            {
                let Some(path) = task.pointer(pointer).and_then(|path| path.as_str()) else {
                    continue;
                };
                let ours = path.starts_with(&bundle.file_path);
                if ours && !locals.contains_key(&format!("{path}{ending}")) {
                    let local = path
                        .strip_prefix(&bundle.file_path)
                        .unwrap_or(path)
                        .trim_start_matches('/');
                    let known: Vec<&str> = locals
                        .keys()
                        .filter_map(|known| known.strip_prefix(&format!("{}/", bundle.file_path)))
                        .collect();
                    let message = format!(
                        "resources.{key}: `{local}{ending}` is not among the bundle's files"
                    );
                    return Err(Fault::usage(message)
                        .or_near(&format!("{local}{ending}"), known.iter().copied()));
                }
            }
        }
    }
    Ok(())
}

fn plan_table(plan: &Plan) -> Table {
    let mut table = Table::new("Changes", ["action", "resource", "fields"]);
    for step in plan.steps.iter().filter(|step| step.action != Action::Skip) {
        table.row(
            None,
            [step.action.as_str().to_owned(), step.key.clone(), step.changes.join(", ")],
        );
    }
    table
}

/// The plan in one line; `say` puts a verb into the tense of the moment.
fn summary(plan: &Plan, say: fn(&str) -> String) -> String {
    let actions = [Action::Create, Action::Update, Action::Recreate, Action::Delete];
    let counts = actions.map(|action| format!("{} {}", plan.count(action), say(action.as_str())));
    format!(
        "{}, {} unchanged; {} files {}, {} {}",
        counts.join(", "),
        plan.count(Action::Skip),
        plan.upload.len(),
        say("upload"),
        plan.remove.len(),
        say("remove")
    )
}

fn to_do(verb: &str) -> String {
    format!("to {verb}")
}

fn done(verb: &str) -> String {
    format!("{}ed", verb.trim_end_matches('e'))
}

fn report_on(plan: &Plan, verb: &str) -> Report {
    let mut report =
        Report::new("bundle-deploy", format!("{verb} {} to {}", plan.bundle, plan.target));
    report.fact("workspace", plan.host.clone());
    report.fact("serial", plan.serial.to_string());
    report.tables.push(plan_table(plan));
    report
}

fn planned(plan: &Plan) -> Outcome {
    let outcome =
        Outcome::new(report_on(plan, "Plan").concluded(Verdict::Pass, summary(plan, to_do)));
    let outcome = outcome
        .output("changes", (!plan.is_empty()).to_string())
        .output("destroys", plan.steps.iter().any(|step| step.action.destroys()).to_string());
    Outcome { document: Some(Document { name: "plan", content: json!(plan) }), ..outcome }
}

fn read_plan(path: &std::path::Path) -> Result<Plan> {
    let text = fs::read_text(path)?;
    serde_json::from_str(&text).map_err(|error| {
        Fault::usage(format!("`{}` is not a plan: {error}", path.display())).into()
    })
}

/// Only what was planned is applied: any difference makes the plan stale.
fn check_fresh(approved: &Plan, current: &Plan) -> Result<(), Fault> {
    // A first deployment has no lineage to compare yet.
    let first = approved.serial == 0 && current.serial == 0;
    let what = if approved.host != current.host
        || approved.target != current.target
        || approved.bundle != current.bundle
    {
        "it was made for another bundle, target or workspace"
    } else if !first && (approved.lineage != current.lineage || approved.serial != current.serial) {
        "another deployment came between"
    } else if approved.files != current.files {
        "the files are not those that were planned"
    } else if approved.steps != current.steps {
        "the changes are not those that were planned"
    } else {
        return Ok(());
    };
    let fault = Fault::new(FaultKind::Conflict, format!("the plan is stale: {what}"));
    Err(fault.hint("make a new plan and have it approved"))
}

async fn apply_plan(
    ctx: &Ctx,
    bundle: &mut Bundle,
    request: &Request,
    approved: Option<Plan>,
) -> Result<Outcome> {
    let me = ctx.client.me().await?;
    let deployment = Deployment::new(&ctx.client, bundle);
    let lock = deployment.lock(&ctx.context, request.step_key.as_deref(), &me.user_name).await?;
    // Under the lock, so that what was compared is what is changed.
    let result = apply_locked(ctx, bundle, request, approved.as_ref(), &deployment, &lock).await;
    let unlocked = deployment.unlock(&lock).await;
    let plan = result?;
    unlocked?;
    let reason =
        if plan.is_empty() { "nothing to change".to_owned() } else { summary(&plan, done) };
    Ok(Outcome::new(report_on(&plan, "Deploy").concluded(Verdict::Pass, reason))
        .output("changes", (!plan.is_empty()).to_string()))
}

async fn apply_locked(
    ctx: &Ctx,
    bundle: &mut Bundle,
    request: &Request,
    approved: Option<&Plan>,
    deployment: &Deployment<'_>,
    lock: &Lock,
) -> Result<Plan> {
    let (plan, mut state, locals) = make_plan(ctx, bundle, request).await?;
    if let Some(approved) = approved {
        check_fresh(approved, &plan)?;
    }
    let destroyed: Vec<&str> = plan
        .steps
        .iter()
        .filter(|step| step.action.destroys())
        .map(|step| step.key.as_str())
        .collect();
    if !destroyed.is_empty() && !request.allow_destroy {
        let message = format!("the plan deletes what exists: {}", destroyed.join(", "));
        return Err(Fault::usage(message)
            .hint("look at the plan, then pass --allow-destroy")
            .into());
    }
    if plan.is_empty() {
        return Ok(plan);
    }
    let read = |path: &str| -> Result<Vec<u8>> {
        let bytes = fs::read(locals.get(path).with_context(|| format!("find `{path}`"))?)?;
        if plan.files.0.get(path) != Some(&Sha256::of(&bytes)) {
            return Err(Fault::new(
                FaultKind::Integrity,
                format!("`{path}` changed while it was deployed"),
            )
            .into());
        }
        Ok(bytes)
    };
    apply::files(ctx, &plan, &read).await?;
    deployment.save_uploaded(&plan.files).await?;
    deployment.confirm(lock).await?;
    let metadata = format!("{}/metadata.json", bundle.state_path);
    apply::resources(ctx, &plan, &mut state, deployment, &metadata).await?;
    deployment.save_metadata(bundle, &state, &plan.files, &ctx.context).await?;
    Ok(plan)
}

async fn destroy(ctx: &Ctx, bundle: &Bundle, request: &Request) -> Result<Outcome> {
    let deployment = Deployment::new(&ctx.client, bundle);
    let state = deployment.state().await?;
    let empty = Bundle { resources: BTreeMap::new(), ..bundle.clone() };
    let gone = apply::gone(&ctx.client, &state).await?;
    let uploaded = deployment.uploaded().await?;
    let plan =
        bundle::plan(&empty, ctx.client.host(), &state, &gone, FileDigests::default(), &uploaded);
    if plan.count(Action::Delete) > 0 && !request.allow_destroy {
        let message = format!("destroy would delete {} resources", plan.count(Action::Delete));
        return Err(Fault::usage(message).hint("pass --allow-destroy").into());
    }
    let me = ctx.client.me().await?;
    deployment.lock(&ctx.context, request.step_key.as_deref(), &me.user_name).await?;
    let metadata = format!("{}/metadata.json", bundle.state_path);
    let mut state = state;
    apply::resources(ctx, &plan, &mut state, &deployment, &metadata).await?;
    ctx.client
        .workspace_delete(&bundle.root_path, true)
        .await
        .context("remove the bundle's folder")?;
    let reason =
        format!("{} resources and the bundle's folder were removed", plan.count(Action::Delete));
    Ok(Outcome::new(report_on(&plan, "Destroy").concluded(Verdict::Pass, reason)))
}
