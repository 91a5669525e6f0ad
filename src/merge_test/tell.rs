//! The verdict where people and machines look for it: the merge request, the
//! commit's status, the lakehouse.

use anyhow::Result;

use super::run::{Comment, Request};
use crate::forge::{self, Forge, State, Told};
use crate::names::{SchemaName, Sha256};
use crate::record::MergeTestRow;
use crate::report::{Fault, Finding, Report, Severity, Verdict};
use crate::step::Ctx;
use crate::sys::clock;

/// What was tested.
#[derive(Debug)]
pub(super) struct Subject {
    /// The head of the merge request, which people see.
    pub(super) commit: String,
    /// Whether the files are those of the commit, or of what it is merged to.
    pub(super) is_exact: bool,
    pub(super) tree: String,
    pub(super) base: Option<String>,
    pub(super) tests: u64,
    pub(super) failures: u64,
    pub(super) coverage: Option<f64>,
    pub(super) jobs: Vec<String>,
}

/// Says it everywhere. What cannot be said changes nothing of the verdict; the
/// missing right is named.
pub(super) async fn everywhere(
    ctx: &Ctx,
    request: &Request,
    subject: &Subject,
    report: &mut Report,
) {
    if ctx.context.host == "terminal" {
        return;
    }
    if let Err(error) = host(ctx, request, subject, report).await {
        let hint = Fault::of(&error).and_then(|fault| fault.hint.clone());
        let title = format!("the merge request was not told: {error:#}");
        let mut finding = Finding::new(Severity::Warning, "merge/untold", title);
        finding.hint = hint;
        report.findings.push(finding);
    }
}

async fn host(ctx: &Ctx, request: &Request, subject: &Subject, report: &Report) -> Result<()> {
    let forge = Forge::new(&ctx.context, &ctx.env, &ctx.masker())?;
    let passed = report.verdict == Verdict::Pass;
    let words = about(&report.reason, &subject.tree);
    let told = Told {
        name: &request.status,
        state: if passed { State::Success } else { State::Failure },
        words: &words,
        link: ctx.context.run_url.as_deref(),
    };
    // A success is a promise about the commit: that all of it was tested.
    let status = if passed && (ctx.context.from_fork || !subject.is_exact) {
        let why = if ctx.context.from_fork {
            "the code comes from a fork, and no integration test was run"
        } else {
            "the files are not those of the commit"
        };
        let message = format!("no status was set of {}: {why}", subject.commit);
        Err(Fault::usage(message).into())
    } else {
        forge.set_status(&subject.commit, ctx.context.merge_request, &told).await
    };
    let wanted = match request.comment {
        Comment::Never => false,
        Comment::OnFailure => !passed,
        Comment::Always => true,
    };
    if let Some(number) = ctx.context.merge_request.filter(|_| wanted) {
        // Two bundles of one repository have a status, and a comment, each.
        let kind = request.status.strip_prefix("lakegate/").unwrap_or(&request.status);
        forge.comment(number, kind, &report.comment(), passed).await?;
    }
    status
}

/// A reason and the files that it is about, in one line that hosts take: a
/// release proves by it that they are its own.
fn about(reason: &str, tree: &str) -> String {
    let end = forge::about_tree(tree);
    let room = forge::MOST_WORDS - end.chars().count();
    reason.chars().take(room).chain(end.chars()).collect()
}

/// The row that a release looks for.
pub(super) async fn record(
    ctx: &Ctx,
    schema: &SchemaName,
    subject: &Subject,
    report: &Report,
) -> Result<()> {
    let at = clock::now().to_string();
    let repository = ctx.context.repository.clone().unwrap_or_default();
    let parts = [
        repository.as_str(),
        ctx.context.run_id.as_deref().unwrap_or(&at),
        ctx.context.attempt.as_deref().unwrap_or_default(),
        ctx.context.step.as_deref().unwrap_or_default(),
        &subject.tree,
    ];
    let row = MergeTestRow {
        event_id: Sha256::of_parts(parts).to_string(),
        repository: repository.clone(),
        commit: subject.commit.clone(),
        tree: subject.tree.clone(),
        base: subject.base.clone(),
        merge_request: ctx.context.merge_request,
        verdict: report.verdict.as_str(),
        reason: report.reason.clone(),
        tests: subject.tests,
        failures: subject.failures,
        coverage: subject.coverage,
        jobs: subject.jobs.join(","),
        run_url: ctx.context.run_url.clone(),
        at,
    };
    ctx.lake()?.record(schema, &[row]).await
}
