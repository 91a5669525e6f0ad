//! Reads both sides, decides, records, and starts the retraining.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context as _, Result};

use super::compare::{Compared, under};
use super::decide::{Against, Decision, Scoped, State, decide};
use super::pushdown::From;
use super::quality::{self, Kept};
use super::schema::{Chosen, Common, choose};
use super::{describe, rows, scopes, warehouse};
use crate::checkout;
use crate::config::{self, Drift, OnDrift};
use crate::databricks::jobs::RunNow;
use crate::lake::parquet::Scratch;
use crate::lake::{Group, Grouping, Lake, Scope, Side, Wanted};
use crate::names::{SchemaName, Secret, Sha256, Source};
use crate::report::{Document, Fault, Outcome, Report};
use crate::stats;
use crate::stats::column::{Column, Measure};
use crate::step::{self, Ctx};
use crate::sys::clock;
use crate::telemetry::Telemetry;

#[derive(Debug, Clone)]
pub struct Request {
    pub policy: Drift,
    pub window: Option<String>,
    pub retrain_parameters: BTreeMap<String, String>,
    pub record: Option<SchemaName>,
    pub telemetry: config::Telemetry,
    /// Whether both sides are compared, or the current one is looked at alone.
    pub drift: bool,
    /// How many columns are read at a time.
    pub threads: usize,
}

impl step::Request for Request {
    /// Files can be compared without a workspace, as long as nothing follows.
    fn needs_workspace(&self) -> bool {
        let policy = &self.policy;
        let tables = [&policy.baseline, &policy.current]
            .into_iter()
            .any(|source| matches!(source, Source::Table(_)));
        tables || self.record.is_some() || policy.on_drift == OnDrift::Retrain
    }
}

/// A side with its name for the record, the version included.
struct Opened {
    side: Side,
    identity: String,
    grouping: Grouping,
    /// The table as it stands in a FROM clause, and the condition on it.
    table: Option<(String, Option<String>)>,
}

impl Opened {
    fn from(&self) -> Option<From<'_>> {
        let (table, filter) = self.table.as_ref()?;
        Some(From { table, filter: filter.as_deref() })
    }
}

pub async fn run(ctx: Ctx, request: Request) -> Result<Outcome> {
    let policy = &request.policy;
    let host = ctx.host.clone();
    let masker = std::sync::Arc::new(move |secret: &Secret| host.mask(secret));
    let telemetry = Telemetry::new(&request.telemetry, &ctx.env, masker)?;
    let baseline = open(&ctx, &policy.baseline, policy.baseline_where.as_deref()).await?;
    let current = open(&ctx, &policy.current, policy.current_where.as_deref()).await?;
    let mut chosen = if request.drift {
        choose(policy, baseline.side.schema(), current.side.schema())?
    } else {
        Chosen::default()
    };
    ctx.host.progress(&if request.drift {
        let columns = chosen.common.len();
        format!("compare {columns} columns of {} with {}", policy.current, policy.baseline)
    } else {
        format!("check the rules of quality on {}", policy.current)
    });
    let scopes = compare_sides(&ctx, &request, &chosen, &baseline, &current).await?;
    let rows = scopes.first().map(|scope| scope.rows).unwrap_or_default();
    let kept = quality_of(&ctx, policy, &current, rows).await?;
    let rules = kept.rules;
    chosen.changes.extend(kept.broken);
    let mut decision = decide(policy, &chosen.changes, scopes);
    if !request.drift {
        decision.judge_quality_alone(&chosen.changes, rules);
    }
    // The same data under the same policy is the same window.
    let window = request.window.clone().unwrap_or_else(|| current.identity.clone());
    let reaction = react(&ctx, &request, &decision, &window).await?;
    let at = clock::now().to_string();
    let rows = rows::of(policy, &decision, [&window, &baseline.identity], reaction.name, &at);
    if let Some(schema) = &request.record {
        let lake = Lake { client: &ctx.client, warehouse: ctx.warehouse()? };
        lake.record(schema, &rows).await?;
    }
    telemetry.send(&rows).await?;
    Ok(outcome(policy, &decision, &window, &chosen, &reaction))
}

async fn open(ctx: &Ctx, source: &Source, filter: Option<&str>) -> Result<Opened> {
    let condition = filter.map(|filter| format!(" where {filter}")).unwrap_or_default();
    match source {
        Source::Files(path) => Ok(Opened {
            side: Side::files(path)?,
            identity: format!("{path}{condition}"),
            grouping: Grouping {
                filter: filter.map(str::parse).transpose()?,
                ..Grouping::default()
            },
            table: None,
        }),
        Source::Table(table) => {
            let lake = Lake { client: &ctx.client, warehouse: ctx.warehouse()? };
            let info = lake.table(table).await?;
            let version = lake.version(table).await?;
            Ok(Opened {
                side: Side::table(&info, table, version, filter),
                identity: format!("{table} version {version}{condition}"),
                grouping: Grouping::default(),
                table: Some((
                    format!("{} VERSION AS OF {version}", table.quoted()),
                    filter.map(str::to_owned),
                )),
            })
        }
    }
}

/// Compares all rows, and the slices and windows that the policy names.
async fn compare_sides(
    ctx: &Ctx,
    request: &Request,
    chosen: &Chosen,
    baseline: &Opened,
    current: &Opened,
) -> Result<Vec<Scoped>> {
    let policy = &request.policy;
    let sides = [&baseline.side, &current.side];
    if let Some(scopes) =
        warehouse::compare(ctx, policy, chosen, [baseline.from(), current.from()]).await?
    {
        refuse_empty(policy, scopes.rows)?;
        return Ok(vec![scopes]);
    }
    let simple = baseline.grouping.is_empty() && current.grouping.is_empty();
    if simple
        && policy.slices.is_empty()
        && policy.windows.is_none()
        && sides.iter().all(|side| side.reads_columns())
    {
        let rows = sides.map(|side| side.rows().unwrap_or_default());
        refuse_empty(policy, rows)?;
        let columns = compare_all(request, chosen, sides)?;
        return Ok(vec![Scoped { scope: Against::All, rows, columns }]);
    }
    let before = groups(ctx, policy, chosen, baseline, 0).await?;
    let now = groups(ctx, policy, chosen, current, 1).await?;
    refuse_empty(policy, [rows_of(before.get(&Scope::All)), rows_of(now.get(&Scope::All))])?;
    Ok(scopes::compare(policy, chosen, &before, &now))
}

fn rows_of(group: Option<&Group>) -> u64 {
    group.map_or(0, |group| group.rows)
}

async fn groups(
    ctx: &Ctx,
    policy: &Drift,
    chosen: &Chosen,
    opened: &Opened,
    at: usize,
) -> Result<BTreeMap<Scope, Group>> {
    let schema = opened.side.schema();
    let known: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    let mut grouping = opened.grouping.clone();
    for slice in &policy.slices {
        grouping.slices.push(Grouping::slice(slice, &known)?);
    }
    if at == 1 {
        grouping.window = policy.windows.as_ref().and_then(scopes::window);
    }
    if let Some(missing) = grouping.columns().iter().find(|name| !known.contains(&name.as_str())) {
        let fault = Fault::usage(format!("the data has no column `{missing}`"));
        return Err(fault.or_near(missing, known.iter().copied()).into());
    }
    let wanted: Vec<Wanted<'_>> =
        chosen.common.iter().map(|common| (&common.fields[at], common.measure)).collect();
    let lake = ctx.warehouse.as_deref().map(|warehouse| Lake { client: &ctx.client, warehouse });
    opened.side.groups(lake, &wanted, &grouping).await
}

/// Reads the columns that rules are about, and checks them.
async fn quality_of(ctx: &Ctx, policy: &Drift, current: &Opened, rows: [u64; 2]) -> Result<Kept> {
    let mut kept = quality::of_rows(&policy.quality, rows);
    let schema = current.side.schema();
    let mut names: Vec<&str> =
        policy.quality.iter().filter_map(|rule| rule.column.as_deref()).collect();
    names.sort_unstable();
    names.dedup();
    let mut wanted: Vec<Wanted<'_>> = Vec::new();
    for name in names {
        let Ok(field) = schema.field_with_name(name) else {
            let known = schema.fields().iter().map(|field| field.name().as_str());
            let fault = Fault::usage(format!("`quality`: the data has no column `{name}`"));
            return Err(fault.or_near(name, known).into());
        };
        let kind = field.data_type();
        let times = quality::scale_of_times(kind).map(Measure::Numbers);
        let Some(measure) = stats::arrow::measure(kind).or(times) else {
            let message = format!("`quality`: `{name}` is of type {kind}, which has no rules");
            return Err(Fault::usage(message).into());
        };
        wanted.push((field, measure));
    }
    if wanted.is_empty() {
        return Ok(kept);
    }
    let lake = ctx.warehouse.as_deref().map(|warehouse| Lake { client: &ctx.client, warehouse });
    let grouping = Grouping { filter: current.grouping.filter.clone(), ..Grouping::default() };
    let mut groups = current.side.groups(lake, &wanted, &grouping).await?;
    let all = groups.remove(&Scope::All).context("the rows were not read")?;
    let now = clock::now_ms();
    for (field, _) in &wanted {
        let Some(column) = all.columns.get(field.name()) else { continue };
        let rules = &policy.quality;
        kept.add(quality::of_column(rules, field.name(), field.data_type(), column, now));
    }
    Ok(kept)
}

/// Missing data is a broken feed, never "no drift".
fn refuse_empty(policy: &Drift, rows: [u64; 2]) -> Result<(), Fault> {
    for (rows, source, filter) in [
        (rows[0], &policy.baseline, &policy.baseline_where),
        (rows[1], &policy.current, &policy.current_where),
    ] {
        if rows == 0 {
            let filter =
                filter.as_ref().map(|filter| format!(" where {filter}")).unwrap_or_default();
            return Err(Fault::usage(format!("`{source}`{filter} has no rows to compare")));
        }
    }
    Ok(())
}

/// What the values of all columns that are at work may take.
const MEMORY: u64 = 256 << 20;

/// How many columns are at work at a time: as many as there are threads, and
/// fewer when the columns are so long that they would fill the memory.
fn workers(threads: usize, columns: usize, rows: [u64; 2]) -> usize {
    let column = (rows[0] + rows[1]).saturating_mul(8).max(1);
    let fit = usize::try_from(MEMORY / column).unwrap_or(usize::MAX);
    threads.min(fit).min(columns).max(1)
}

/// Compares the columns, several at a time. Each worker keeps its buffers from
/// column to column, so that memory does not grow with their number.
fn compare_all(request: &Request, chosen: &Chosen, sides: [&Side; 2]) -> Result<Vec<Compared>> {
    let next = AtomicUsize::new(0);
    let found = Mutex::new(Vec::new());
    let rows = sides.map(|side| side.rows().unwrap_or_default());
    let workers = workers(request.threads, chosen.common.len(), rows);
    let work = || {
        let mut buffers = [Buffers::default(), Buffers::default()];
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(common) = chosen.common.get(at) else { return };
            let compared = one(request, common, sides, &mut buffers, workers < request.threads);
            found.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((at, compared));
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(work);
        }
    });
    let mut found = found.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    found.sort_by_key(|(at, _)| *at);
    if found.len() != chosen.common.len() {
        anyhow::bail!("the comparison of a column ended early");
    }
    found.into_iter().map(|(_, compared)| compared).collect()
}

/// What a worker keeps for one side from column to column.
#[derive(Default)]
struct Buffers {
    spare: Option<Column>,
    scratch: Scratch,
}

fn one(
    request: &Request,
    common: &Common,
    sides: [&Side; 2],
    buffers: &mut [Buffers; 2],
    at_once: bool,
) -> Result<Compared> {
    let read = |at: usize, buffers: &mut Buffers| {
        let wanted = (&common.fields[at], common.measure);
        sides[at].column(wanted, buffers.spare.take(), &mut buffers.scratch)
    };
    let [first, second] = &mut *buffers;
    let (a, b) = if at_once {
        rayon::join(|| read(0, first), || read(1, second))
    } else {
        (read(0, first), read(1, second))
    };
    let columns = [a?, b?];
    let compared = under(&request.policy, common, [&columns[0], &columns[1]]);
    for (buffers, column) in buffers.iter_mut().zip(columns) {
        buffers.spare = Some(column);
    }
    Ok(compared)
}

/// What was done about a verdict.
struct Reaction {
    name: &'static str,
    run: Option<(i64, String)>,
}

async fn react(
    ctx: &Ctx,
    request: &Request,
    decision: &Decision,
    window: &str,
) -> Result<Reaction> {
    let name = match decision.state {
        State::None | State::Watch => "nothing",
        // Retraining on a broken feed would make the model worse.
        State::Inconclusive | State::Broken => "notify",
        State::Drift => "drift",
    };
    let (OnDrift::Retrain, Some(job)) = (request.policy.on_drift, &request.policy.retrain_job)
    else {
        return Ok(Reaction { name: if name == "drift" { "notify" } else { name }, run: None });
    };
    if name != "drift" {
        return Ok(Reaction { name, run: None });
    }
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

fn outcome(
    policy: &Drift,
    decision: &Decision,
    window: &str,
    chosen: &Chosen,
    reaction: &Reaction,
) -> Outcome {
    let what = if chosen.common.is_empty() { "Quality" } else { "Drift" };
    let mut report = Report::new("drift-check", format!("{what} of {}", policy.current));
    report.fact("state", decision.state.as_str());
    report.fact("baseline", policy.baseline.to_string());
    let rows = decision.whole.rows;
    report.fact("rows", format!("{} then, {} now", rows[0], rows[1]));
    report.fact("window", window);
    describe::describe(&mut report, decision, chosen);
    let drifted = decision
        .columns()
        .iter()
        .filter(|column| column.state == State::Drift)
        .map(|column| column.compared.column.as_str());
    let drifted = drifted.collect::<Vec<_>>().join(",");
    let mut reason = decision.reason.clone();
    let mut outputs = vec![
        ("state".to_owned(), decision.state.as_str().to_owned()),
        ("decision".to_owned(), reaction.name.to_owned()),
        ("drifted-columns".to_owned(), drifted),
    ];
    if let Some((run_id, url)) = &reaction.run {
        reason = format!("{reason}; retraining run {run_id} for this window: {url}");
        outputs.push(("retrain-run-id".to_owned(), run_id.to_string()));
    }
    let mut outcome = Outcome::new(report.concluded(decision.state.verdict(), reason));
    outcome.outputs = outputs;
    let content = describe::document(decision, chosen);
    outcome.document = Some(Document { name: "result", content });
    outcome
}
