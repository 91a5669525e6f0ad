//! Whether the commit was tested, and what says so.

use anyhow::{Context as _, Result};

use crate::config::{Release, TestedBy};
use crate::forge::{Forge, State};
use crate::names::SchemaName;
use crate::record::statement::{Parameter, Statement};
use crate::record::{self, MergeTestRow};
use crate::release::manifest::Tested;
use crate::report::{Fault, FaultKind};
use crate::step::Ctx;

/// # Errors
/// When the verdict is red, missing, or cannot be asked for: an untested commit
/// is no release.
pub(super) async fn confirm(
    ctx: &Ctx,
    by: TestedBy,
    policy: &Release,
    record: Option<&SchemaName>,
    commit: &str,
    tree: &str,
) -> Result<Option<Tested>> {
    match by {
        TestedBy::None => Ok(None),
        TestedBy::Table => table(ctx, record, tree).await.map(Some),
        TestedBy::Checks => checks(ctx, policy, commit, tree).await.map(Some),
    }
}

fn untested(message: String) -> Fault {
    Fault::new(FaultKind::Integrity, message).hint(
        "run merge-test on this commit first, by hand where its merge request was behind; `release.tested_by` in lakegate.yml says where its verdict is looked for",
    )
}

async fn table(ctx: &Ctx, record: Option<&SchemaName>, tree: &str) -> Result<Tested> {
    let schema = record.ok_or_else(|| {
        Fault::usage("where are the verdicts of merge-test?")
            .hint("set `record.schema`, or `release.tested_by`, in lakegate.yml")
    })?;
    let lake = ctx.lake()?;
    lake.ensure::<MergeTestRow>(schema).await?;
    let table = record::table::<MergeTestRow>(schema);
    let statement = Statement::new(format!(
        "SELECT event_id, verdict, reason FROM {} WHERE tree_id = :tree ORDER BY `at` DESC LIMIT 1",
        table.quoted()
    ))
    .with(Parameter::string("tree", tree));
    let rows = lake.client.sql(lake.warehouse, &statement).await;
    let rows = rows.with_context(|| format!("read `{table}`"))?.rows;
    let Some(row) = rows.first() else {
        let message =
            format!("no row of `{table}` is about the files of this commit (tree {tree})");
        return Err(untested(message).into());
    };
    let cell = |at: usize| row.get(at).cloned().flatten().unwrap_or_default();
    if cell(1) != "pass" {
        let message = format!("merge-test said `{}` of these files: {}", cell(1), cell(2));
        return Err(untested(message).into());
    }
    Ok(Tested { by: "table".to_owned(), evidence: format!("{table}#{}", cell(0)) })
}

async fn checks(ctx: &Ctx, policy: &Release, commit: &str, tree: &str) -> Result<Tested> {
    let forge = Forge::new(&ctx.context, &ctx.env, &ctx.masker())?;
    let name = &policy.check;
    let Some(status) = forge.status(commit, name).await? else {
        let message =
            format!("{commit} has no status `{name}`, nor has a merge request it came from");
        return Err(untested(message).into());
    };
    if status.state != State::Success {
        let message = format!("the status `{name}` of {commit} is {:?}: ", status.state);
        return Err(untested(message.to_lowercase() + &status.link).into());
    }
    // A check of somebody else does not say which files it saw.
    if let Some(tested) = status.tree().filter(|tested| !tree.starts_with(tested)) {
        let message = format!(
            "the status `{name}` is about other files (tree {tested}, this commit has {tree}): something came to the branch in between"
        );
        return Err(untested(message).into());
    }
    Ok(Tested { by: "checks".to_owned(), evidence: status.link })
}
