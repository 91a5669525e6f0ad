//! Plans, applies, destroys.

use std::path::PathBuf;

use anyhow::Result;
use serde_json::json;

use crate::bundle::{Action, Bundle, Lock, Plan};
use crate::checkout::{self, BundleChoice};
use crate::deployment::{self, Store};
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
            let prepared = deployment::prepare(&ctx, &mut bundle, &request.choice.root).await?;
            Ok(planned(&prepared.plan))
        }
        Mode::Apply { plan } => {
            let approved = plan.as_deref().map(read_plan).transpose()?;
            apply_plan(&ctx, &mut bundle, &request, approved).await
        }
    }
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
    let store = Store::new(&ctx.client, bundle);
    let lock = store.lock(&ctx.context, request.step_key.as_deref(), &me.user_name).await?;
    // Under the lock, so that what was compared is what is changed.
    let result = apply_locked(ctx, bundle, request, approved.as_ref(), &store, &lock).await;
    let unlocked = store.unlock(&lock).await;
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
    store: &Store<'_>,
    lock: &Lock,
) -> Result<Plan> {
    let mut prepared = deployment::prepare(ctx, bundle, &request.choice.root).await?;
    let plan = &prepared.plan;
    if let Some(approved) = approved {
        check_fresh(approved, plan)?;
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
    if !plan.is_empty() {
        deployment::carry_out(ctx, bundle, &mut prepared, store, lock).await?;
    }
    Ok(prepared.plan)
}

async fn destroy(ctx: &Ctx, bundle: &Bundle, request: &Request) -> Result<Outcome> {
    let mut removal = deployment::removal(ctx, bundle).await?;
    let deleted = removal.plan.count(Action::Delete);
    if deleted > 0 && !request.allow_destroy {
        let message = format!("destroy would delete {deleted} resources");
        return Err(Fault::usage(message).hint("pass --allow-destroy").into());
    }
    deployment::remove(ctx, bundle, &mut removal, request.step_key.as_deref()).await?;
    let reason = format!("{deleted} resources and the bundle's folder were removed");
    Ok(Outcome::new(report_on(&removal.plan, "Destroy").concluded(Verdict::Pass, reason)))
}
