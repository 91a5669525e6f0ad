//! Who is told of a deployment: the lakehouse by a row, the merge request by a comment.

use anyhow::Result;

use crate::bundle::{self, Deployed, Plan};
use crate::forge::Forge;
use crate::names::{SchemaName, Sha256};
use crate::record::DeploymentRow;
use crate::report::{Finding, Report, Severity, Verdict};
use crate::step::{self, Ctx};
use crate::sys::clock;

pub(super) fn row(
    ctx: &Ctx,
    kind: &'static str,
    plan: &Plan,
    serial: u64,
    engine: &'static str,
    release: Option<&Deployed>,
) -> DeploymentRow {
    let count = |action| plan.count(action) as u64;
    let digest = release.map(|release| release.digest.to_string());
    let at = clock::now().to_string();
    let serial_text = serial.to_string();
    let parts = [
        plan.host.as_str(),
        &plan.lineage,
        &serial_text,
        kind,
        digest.as_deref().unwrap_or_default(),
        // Without changes, the serial stays: each run is an event of its own.
        ctx.context.run_id.as_deref().unwrap_or(&at),
        ctx.context.attempt.as_deref().unwrap_or_default(),
    ];
    DeploymentRow {
        event_id: Sha256::of_parts(parts).to_string(),
        kind,
        bundle: plan.bundle.clone(),
        target: plan.target.clone(),
        workspace: plan.host.clone(),
        serial,
        release: release.map(|release| release.version.clone()),
        commit: release.map(|release| release.commit.clone()).or(ctx.context.commit.clone()),
        manifest: digest,
        created: count(bundle::Action::Create),
        updated: count(bundle::Action::Update),
        destroyed: count(bundle::Action::Delete) + count(bundle::Action::Recreate),
        files: (plan.upload.len() + plan.remove.len()) as u64,
        drifted: plan.steps.iter().filter(|step| !step.drift.is_empty()).count() as u64,
        engine,
        actor: ctx.context.actor.clone(),
        run_url: ctx.context.run_url.clone(),
        at,
    }
}

pub(super) async fn write_row(
    ctx: &Ctx,
    schema: Option<&SchemaName>,
    row: DeploymentRow,
) -> Result<()> {
    match (schema, ctx.lake_if_any()) {
        (Some(schema), Some(lake)) => lake.record(schema, &[row]).await,
        _ => Ok(()),
    }
}

/// Another identity may deploy to another folder than this one looks in.
pub(super) fn nothing_there(folder: &str) -> Finding {
    let title = format!("nothing is deployed in `{folder}` yet, so that all of it is new here");
    Finding::new(Severity::Notice, "deploy/first", title).hint(
        "where another identity deploys, give the target a `workspace.root_path` that is not its own home",
    )
}

/// One comment for each target. Without the right to write it, the missing one is named.
pub(super) async fn comment(ctx: &Ctx, target: &str, report: &mut Report) {
    let Some(number) = ctx.context.merge_request else { return };
    let told = async {
        let forge = Forge::new(&ctx.context, &ctx.env, &ctx.masker())?;
        let is_settled = report.verdict == Verdict::Pass;
        forge.comment(number, &format!("plan-{target}"), &report.comment(), is_settled).await
    };
    if let Err(error) = told.await {
        let title = format!("the merge request was not told: {error:#}");
        let mut finding = Finding::new(Severity::Warning, "deploy/untold", title);
        finding.hint = step::hint_of(&error);
        report.findings.push(finding);
    }
}
