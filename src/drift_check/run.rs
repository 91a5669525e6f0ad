//! Reads both sides, decides, records, and starts the retraining.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use arrow::array::RecordBatch;

use super::columns::{Compared, Shape, compare};
use super::decide::{Decision, decide};
use crate::checkout;
use crate::config::{Drift, OnDrift};
use crate::databricks::jobs::RunNow;
use crate::databricks::unity::TableInfo;
use crate::lake::{self, Lake};
use crate::names::{SchemaName, Sha256};
use crate::record::DriftRow;
use crate::report::{
    Chart, Fault, Finding, Outcome, Report, Series, Severity, Table, Verdict, number,
};
use crate::step::Ctx;
use crate::sys::clock;

#[derive(Debug, Clone)]
pub struct Request {
    pub policy: Drift,
    pub window: Option<String>,
    pub retrain_parameters: BTreeMap<String, String>,
    pub record: Option<SchemaName>,
}

/// Charts in the report: the worst columns.
const CHARTS: usize = 8;

pub async fn run(ctx: Ctx, request: Request) -> Result<Outcome> {
    let lake = Lake { client: &ctx.client, warehouse: ctx.warehouse()? };
    let policy = &request.policy;
    let (baseline, current) =
        (lake.table(&policy.baseline).await?, lake.table(&policy.current).await?);
    let columns = choose(policy, &baseline, &current)?;
    let (base_version, version) =
        (lake.version(&policy.baseline).await?, lake.version(&policy.current).await?);
    ctx.host.progress(&format!(
        "compare {} columns of {} with {}",
        columns.len(),
        policy.current,
        policy.baseline
    ));
    let before = lake
        .read(&policy.baseline, base_version, &columns, policy.baseline_where.as_deref())
        .await?;
    let now =
        lake.read(&policy.current, version, &columns, policy.current_where.as_deref()).await?;
    let rows =
        [&before, &now].map(|side| side.iter().map(|batch| batch.num_rows() as u64).sum::<u64>());
    refuse_empty(policy, rows)?;
    let (compared, skipped) = compare_all(&columns, &before, &now)?;
    let decision = decide(policy, rows, compared);
    // The same data under the same policy is the same window.
    let window = request.window.clone().unwrap_or_else(|| {
        format!(
            "{} version {version} {}",
            policy.current,
            policy.current_where.as_deref().unwrap_or_default()
        )
        .trim()
        .to_owned()
    });
    let reaction = react(&ctx, &request, &decision, &window).await?;
    if let Some(schema) = &request.record {
        lake.record(schema, &drift_rows(policy, &decision, &window, base_version, reaction.name))
            .await?;
    }
    Ok(outcome(policy, rows, &decision, &window, &skipped, &reaction))
}

/// Missing data is a broken feed, never "no drift".
fn refuse_empty(policy: &Drift, rows: [u64; 2]) -> Result<(), Fault> {
    for (rows, table, filter) in [
        (rows[0], &policy.baseline, &policy.baseline_where),
        (rows[1], &policy.current, &policy.current_where),
    ] {
        if rows == 0 {
            let filter =
                filter.as_ref().map(|filter| format!(" where {filter}")).unwrap_or_default();
            return Err(Fault::usage(format!(
                "the table `{table}`{filter} has no rows to compare"
            )));
        }
    }
    Ok(())
}

/// Each column's differences, and the columns whose type has none.
fn compare_all(
    columns: &[String],
    before: &[RecordBatch],
    now: &[RecordBatch],
) -> Result<(Vec<Compared>, Vec<String>)> {
    let mut compared = Vec::new();
    let mut skipped = Vec::new();
    for name in columns {
        let (base, current) = (lake::column(before, name)?, lake::column(now, name)?);
        match (Shape::of(base.data_type()), Shape::of(current.data_type())) {
            (Some(shape), Some(other)) if shape == other => {
                compared.push(compare(name, shape, [&base, &current])?);
            }
            (None, None) => skipped.push(name.clone()),
            _ => {
                let (then, now) = (base.data_type(), current.data_type());
                let message = format!("column `{name}` is {then} in the baseline and {now} now");
                return Err(Fault::usage(message).into());
            }
        }
    }
    Ok((compared, skipped))
}

/// The columns that both tables have, without those that are left out.
fn choose(policy: &Drift, baseline: &TableInfo, current: &TableInfo) -> Result<Vec<String>, Fault> {
    for columns in [&policy.columns, &policy.critical] {
        lake::require_columns(baseline, columns)?;
        lake::require_columns(current, columns)?;
    }
    lake::require_columns(baseline, &policy.exclude)?;
    let in_current = |name: &str| current.columns.iter().any(|column| column.name == name);
    let all = baseline.columns.iter().map(|column| column.name.clone());
    let chosen: Vec<String> = if policy.columns.is_empty() {
        all.filter(|name| in_current(name) && !policy.exclude.contains(name)).collect()
    } else {
        policy.columns.clone()
    };
    if chosen.is_empty() {
        return Err(Fault::usage(format!(
            "`{}` and `{}` have no column in common",
            baseline.full_name, current.full_name
        )));
    }
    Ok(chosen)
}

#[derive(Debug)]
struct Reaction {
    name: &'static str,
    run: Option<(i64, String)>,
}

/// A retraining is keyed by its window: however often the check is repeated,
/// it starts once.
async fn react(
    ctx: &Ctx,
    request: &Request,
    decision: &Decision,
    window: &str,
) -> Result<Reaction> {
    if decision.verdict != Verdict::Fail {
        return Ok(Reaction { name: "none", run: None });
    }
    let (OnDrift::Retrain, Some(job)) = (request.policy.on_drift, &request.policy.retrain_job)
    else {
        return Ok(Reaction { name: "notify", run: None });
    };
    let job_id = checkout::find_job(ctx, job, None).await?.job_id;
    let parts = ["drift", &job_id.to_string(), &request.policy.current.to_string(), window]
        .map(str::to_owned);
    let token = Sha256::of_parts(parts.iter().map(String::as_str)).to_string();
    let now = RunNow {
        job_id,
        idempotency_token: Some(token),
        job_parameters: request.retrain_parameters.clone(),
    };
    let run_id = ctx
        .client
        .run_now(&now)
        .await
        .with_context(|| format!("start the retraining job `{job}`"))?;
    let run = ctx.client.run_get(run_id).await.context("look at the retraining run")?;
    Ok(Reaction { name: "retrain", run: Some((run_id, run.run_page_url)) })
}

fn drift_rows(
    policy: &Drift,
    decision: &Decision,
    window: &str,
    base_version: u64,
    reaction: &'static str,
) -> Vec<DriftRow> {
    let baseline = format!("{} version {base_version}", policy.baseline);
    let at = clock::now().to_string();
    let policy_digest = Sha256::of(serde_json::to_vec(policy).unwrap_or_default()).to_string();
    let row = |column: &super::decide::Judged| DriftRow {
        event_id: Sha256::of_parts([
            window,
            baseline.as_str(),
            &policy_digest,
            &column.compared.column,
        ])
        .to_string(),
        baseline: baseline.clone(),
        current: policy.current.to_string(),
        window: window.to_owned(),
        column: column.compared.column.clone(),
        kind: column.compared.shape.as_str(),
        psi: Some(column.compared.psi),
        statistic: Some(column.compared.tested.statistic),
        p_value: Some(column.p_value),
        null_share_baseline: column.compared.nulls[0],
        null_share_current: column.compared.nulls[1],
        drifted: column.drifted,
        decision: reaction,
        at: at.clone(),
    };
    decision.columns.iter().map(row).collect()
}

fn outcome(
    policy: &Drift,
    rows: [u64; 2],
    decision: &Decision,
    window: &str,
    skipped: &[String],
    reaction: &Reaction,
) -> Outcome {
    let mut report = Report::new("drift-check", format!("Drift of {}", policy.current));
    report.fact("baseline", policy.baseline.to_string());
    report.fact("rows", format!("{} then, {} now", rows[0], rows[1]));
    report.fact("window", window);
    describe(&mut report, decision);
    if !skipped.is_empty() {
        let title =
            format!("not compared, as their type has no drift of its own: {}", skipped.join(", "));
        report.findings.push(Finding::new(Severity::Notice, "drift/skipped", title));
    }
    let drifted = decision
        .columns
        .iter()
        .filter(|column| column.drifted)
        .map(|column| column.compared.column.as_str());
    let drifted = drifted.collect::<Vec<_>>().join(",");
    let mut reason = decision.reason.clone();
    let mut outputs = vec![
        ("decision".to_owned(), reaction.name.to_owned()),
        ("drifted-columns".to_owned(), drifted),
    ];
    if let Some((run_id, url)) = &reaction.run {
        reason = format!("{reason}; retraining run {run_id} for this window: {url}");
        outputs.push(("retrain-run-id".to_owned(), run_id.to_string()));
    }
    let mut outcome = Outcome::new(report.concluded(decision.verdict, reason));
    outcome.outputs = outputs;
    outcome
}

/// The columns as a table, as findings, and the worst of them as pictures.
fn describe(report: &mut Report, decision: &Decision) {
    let mut table =
        Table::new("Columns", ["column", "psi", "test", "p (adjusted)", "nulls", "reason"]);
    for column in &decision.columns {
        let verdict = if column.drifted { Verdict::Fail } else { Verdict::Pass };
        let compared = &column.compared;
        let test = match compared.shape {
            Shape::Numeric => format!("ks {}", number(compared.tested.statistic)),
            Shape::Categorical => format!("chi² {}", number(compared.tested.statistic)),
        };
        let nulls = format!("{} → {}", number(compared.nulls[0]), number(compared.nulls[1]));
        table.row(
            Some(verdict),
            [
                compared.column.clone(),
                number(compared.psi),
                test,
                p_value(column.p_value),
                nulls,
                column.reason.clone(),
            ],
        );
        if column.drifted {
            report.findings.push(Finding::new(
                Severity::Warning,
                "drift/column",
                format!("{} drifted: {}", compared.column, column.reason),
            ));
        }
    }
    report.tables.push(table);
    for column in decision.columns.iter().take(CHARTS) {
        let [base, current] = &column.compared.shares;
        report.charts.push(Chart {
            title: column.compared.column.clone(),
            labels: column.compared.labels.clone(),
            series: vec![
                Series { name: "baseline".into(), values: base.clone() },
                Series { name: "current".into(), values: current.clone() },
            ],
            limit: None,
        });
    }
}

/// A p-value that underflowed is small, not zero.
fn p_value(p: f64) -> String {
    if p == 0.0 { "< 1e-300".into() } else { number(p) }
}
