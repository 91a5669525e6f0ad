//! Looks at one thing after the other; what fails keeps nothing else from it.

use std::path::PathBuf;

use anyhow::Result;

use super::check::Checks;
use super::{data, federation, repository};
use crate::config::Config;
use crate::databricks::Settings;
use crate::report::{Outcome, Report};
use crate::step::{self, Ctx};

#[derive(Debug, Clone)]
pub struct Request {
    pub bundle: PathBuf,
    pub config: Config,
}

impl step::Request for Request {
    fn needs_workspace(&self) -> bool {
        // That there is none is a finding of its own.
        false
    }
}

pub async fn run(ctx: Ctx, request: Request) -> Result<Outcome> {
    let mut checks = Checks::default();
    let environments = repository::look(&ctx, &request, &mut checks).await;
    repository::tools(&ctx, &request, &mut checks).await;
    repository::host(&ctx, &mut checks);
    let is_in = identity(&ctx, &mut checks).await;
    federation::look(&ctx, &environments, is_in, &mut checks).await;
    if is_in {
        let answers = data::warehouse(&ctx, &mut checks).await;
        if !checks.has_bad("repository") {
            data::deployment(&ctx, &request, &mut checks).await;
        }
        data::look(&ctx, &request, answers, &mut checks).await;
    }
    let mut report = Report::new("doctor", "What the commands need");
    if !ctx.client.is_nowhere() {
        report.fact("workspace", ctx.client.host());
    }
    Ok(Outcome::new(checks.conclude(report)))
}

/// Who is calling; without an answer, nothing of the workspace is known.
async fn identity(ctx: &Ctx, checks: &mut Checks) -> bool {
    let what = ("workspace", "identity");
    if ctx.client.is_nowhere() {
        match Settings::resolve(&ctx.env, None) {
            Err(error) => checks.failed(what, &error.into(), "set DATABRICKS_HOST"),
            Ok(_) => checks.bad(what, "no workspace is known", "set DATABRICKS_HOST"),
        }
        return false;
    }
    match ctx.client.me().await {
        Ok(me) => {
            checks.good(what, format!("{} at {}", me.user_name, ctx.client.host()));
            true
        }
        Err(error) => {
            let fix = "is the address right and reached from here, and does a federation policy trust the subject?";
            checks.failed(what, &error.into(), fix);
            false
        }
    }
}
