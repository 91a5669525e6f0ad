//! Runs the jobs that write what is judged.

use std::time::Duration;

use anyhow::Result;

use crate::checkout;
use crate::config::GateJob;
use crate::names::ModelName;
use crate::record::evidence::Subject;
use crate::report::Fault;
use crate::runs::{self, Order};
use crate::step::Ctx;

/// Every job in its order, and where its run can be seen.
///
/// # Errors
/// When one of them does not succeed: nothing can be judged then.
pub(super) async fn run(
    ctx: &Ctx,
    jobs: &[GateJob],
    target: Option<&str>,
    (candidate, champion, models): (&Subject, Option<&Subject>, [&ModelName; 2]),
) -> Result<Vec<String>> {
    let champion = champion.map_or("none".to_owned(), |champion| champion.version.to_string());
    let mut seen = Vec::new();
    for wanted in jobs {
        let job = checkout::find_job(ctx, &wanted.job, target).await?;
        let candidate = candidate.version.to_string();
        let [model, champion_model] = models.map(ToString::to_string);
        let parameters = wanted.parameters([&candidate, &champion, &model, &champion_model]);
        let timeout = Duration::from_secs_f64(wanted.timeout_minutes * 60.0);
        let order = Order::of(parameters.map_err(Fault::usage)?, timeout);
        let run = runs::to_success(ctx, &job, &order, "which comes before the gate").await?;
        seen.push(run.run_page_url);
    }
    Ok(seen)
}
