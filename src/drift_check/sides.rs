//! Opens both sides, and reads of them what the comparison and the rules ask for.

use std::collections::{BTreeMap, HashSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context as _, Result};
use arrow::array::RecordBatch;
use rayon::prelude::*;

use super::compare::{Compared, under};
use super::compat::nannyml;
use super::decide::{Against, Scoped};
use super::frame::features;
use super::performance::{self, Known, Rows};
use super::pushdown::From;
use super::quality::{self, Kept};
use super::run::Request;
use super::schema::{Chosen, Common};
use super::target::target;
use super::{keys, scopes, together, warehouse};
use crate::config::{Compat, Drift, Engine, Labels, Performance, Problem};
use crate::lake::parquet::Scratch;
use crate::lake::{self, Asked, Group, Grouping, Opened, Room, Scope, Side, Wanted, Window};
use crate::names::Source;
use crate::report::Fault;
use crate::stats;
use crate::stats::column::{Column, Kind, Measure};
use crate::stats::derived::Derived;
use crate::step::Ctx;
use crate::sys::clock;

/// A side as the warehouse counts it, where it may.
fn from(opened: &Opened) -> Option<From<'_>> {
    opened.table.as_ref().map(From::new)
}

/// Opens a side. What is derived and cannot be made of it is told beside it.
pub(super) async fn open(
    ctx: &Ctx,
    source: &Source,
    filter: Option<&str>,
    policy: &Drift,
) -> Result<(Opened, Vec<Fault>)> {
    let from_storage = policy.engine == Engine::Storage;
    let asked = Asked { filter, sample: policy.sample, from_storage };
    let mut opened = lake::open(ctx, source, asked).await?;
    let (side, faults) = opened.side.with_derived(&policy.derived);
    opened.side = side;
    Ok((opened, faults))
}

/// Compares all rows, and the slices and windows that the policy names; what
/// is in none of these is told in `chosen`.
pub(super) async fn compare(
    ctx: &Ctx,
    request: &Request,
    chosen: &mut Chosen,
    baseline: &Opened,
    current: &Opened,
) -> Result<Vec<Scoped>> {
    let policy = &request.policy;
    let sides = [&baseline.side, &current.side];
    let whole = |rows, columns| Ok(vec![Scoped { scope: Against::All, rows, columns }]);
    if let Some((scopes, left_out)) =
        warehouse::compare(ctx, policy, chosen, [from(baseline), from(current)]).await?
    {
        refuse_no_baseline(policy, scopes.first().map(|whole| whole.rows).unwrap_or_default())?;
        chosen.changes.extend(left_out);
        return Ok(scopes);
    }
    if policy.compat == Some(Compat::Nannyml) {
        return as_nannyml(ctx, request, chosen, [baseline, current]).await;
    }
    let simple = baseline.grouping.is_empty() && current.grouping.is_empty();
    if simple
        && policy.slices.is_empty()
        && policy.windows.is_none()
        && sides.iter().all(|side| side.reads_columns())
    {
        let rows = sides.map(|side| side.rows().unwrap_or_default());
        refuse_no_baseline(policy, rows)?;
        let none = rows[1] == 0;
        return whole(rows, if none { Vec::new() } else { compare_all(request, chosen, sides)? });
    }
    let windows = policy.windows.as_ref();
    let learns = windows.filter(|windows| windows.learn.is_some());
    let window = learns.and_then(scopes::window);
    let mut before = groups(ctx, request, chosen, (baseline, 0), window).await?;
    if let Some(whole) = before.get_mut(&Scope::All).filter(|_| windows.is_some()) {
        // Each window is compared with it.
        whole.columns.par_iter_mut().for_each(|(_, column)| column.make_ready());
    }
    let window = windows.and_then(scopes::window);
    let now = groups(ctx, request, chosen, (current, 1), window).await?;
    if let Some(quantile) = policy.windows.as_ref().and_then(|windows| windows.learn) {
        chosen.learnt = scopes::learn(policy, chosen, &before, quantile)?;
    }
    let rows = [rows_of(before.get(&Scope::All)), rows_of(now.get(&Scope::All))];
    refuse_no_baseline(policy, rows)?;
    if rows[1] == 0 {
        return whole(rows, Vec::new());
    }
    let (scopes, left_out) = scopes::compare(policy, chosen, [&before, &now], clock::now_ms())?;
    chosen.changes.extend(left_out);
    Ok(scopes)
}

/// Compares all rows, with nannyml's verdict on the newest chunk of each column.
async fn as_nannyml(
    ctx: &Ctx,
    request: &Request,
    chosen: &Chosen,
    opened: [&Opened; 2],
) -> Result<Vec<Scoped>> {
    let counted = rows(ctx, Some(opened[0]), opened[1]).await?;
    refuse_no_baseline(&request.policy, counted)?;
    let mut found = Vec::new();
    for (at, opened) in opened.into_iter().enumerate() {
        let window = Some(Window::Rows(nannyml::chunk(counted[at])));
        found.push(groups(ctx, request, chosen, (opened, at), window).await?);
    }
    scopes::as_nannyml(&request.policy, chosen, [&found[0], &found[1]])
}

/// What a column of one side, or all of its columns, may take where so many
/// pairs are held at once.
fn room(request: &Request, pairs: u64) -> Room {
    Room { most: request.memory / (2 * pairs.max(1)), spill: request.spill.clone() }
}

fn rows_of(group: Option<&Group>) -> u64 {
    group.map_or(0, |group| group.rows)
}

async fn groups(
    ctx: &Ctx,
    request: &Request,
    chosen: &Chosen,
    (opened, at): (&Opened, usize),
    window: Option<Window>,
) -> Result<BTreeMap<Scope, Group>> {
    let schema = opened.side.schema();
    let known: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    let mut grouping = opened.grouping.clone();
    grouping.room = Some(room(request, 1));
    grouping.threads = request.threads;
    grouping.window = window;
    for slice in &request.policy.slices {
        grouping.slices.push(Grouping::slice(slice, &known)?);
    }
    if let Some(missing) = grouping.columns().iter().find(|name| !known.contains(&name.as_str())) {
        let fault = Fault::usage(format!("the data has no column `{missing}`"));
        return Err(fault.or_near(missing, known.iter().copied()).into());
    }
    let wanted: Vec<Wanted<'_>> =
        chosen.common.iter().map(|common| (&common.fields[at], common.measure)).collect();
    opened.side.groups(ctx.lake_if_any(), &wanted, &grouping).await
}

/// Reads the columns that rules are about, and checks them.
pub(super) async fn quality(
    ctx: &Ctx,
    request: &Request,
    current: &Opened,
    rows: [u64; 2],
) -> Result<Kept> {
    let policy = &request.policy;
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
        let measure = stats::arrow::measure(kind).or(times).unwrap_or(Measure::Presence);
        wanted.push((field, measure));
    }
    for rule in policy.quality.iter().filter(|rule| !rule.key.is_empty()) {
        let broken = keys::repeated(ctx, current, &rule.key).await?;
        kept.rule(&keys::subject(&rule.key), rule.warn_only, broken);
    }
    if wanted.is_empty() {
        return Ok(kept);
    }
    let grouping = Grouping {
        room: Some(room(request, 1)),
        threads: request.threads,
        ..current.grouping.clone()
    };
    let mut groups = current.side.groups(ctx.lake_if_any(), &wanted, &grouping).await?;
    let all = groups.remove(&Scope::All).context("the rows were not read")?;
    let now = clock::now_ms();
    for (field, _) in &wanted {
        let Some(column) = all.columns.get(field.name()) else { continue };
        let rules = &policy.quality;
        kept.add(quality::of_column(rules, field.name(), field.data_type(), column, now)?);
    }
    Ok(kept)
}

/// Without a baseline there is no question.
fn refuse_no_baseline(policy: &Drift, rows: [u64; 2]) -> Result<(), Fault> {
    if rows[0] > 0 {
        return Ok(());
    }
    let filter = policy.baseline_where.as_ref();
    let filter = filter.map(|filter| format!(" where {filter}")).unwrap_or_default();
    let drawn = if policy.sample.is_some() { ", or `sample` draws none of them" } else { "" };
    Err(Fault::usage(format!("the baseline `{}`{filter} has no rows{drawn}", policy.baseline)))
}

/// The numbers of rows, where nothing else is asked for.
pub(super) async fn rows(
    ctx: &Ctx,
    baseline: Option<&Opened>,
    current: &Opened,
) -> Result<[u64; 2]> {
    let mut counted = [0; 2];
    for (count, opened) in counted.iter_mut().zip([baseline, Some(current)]) {
        let Some(opened) = opened else { continue };
        let groups = opened.side.groups(ctx.lake_if_any(), &[], &opened.grouping).await?;
        *count = rows_of(groups.get(&Scope::All));
    }
    Ok(counted)
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
    let room = room(request, workers as u64);
    let work = || {
        let mut buffers = [Buffers::default(), Buffers::default()];
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(common) = chosen.common.get(at) else { return };
            let compared =
                one(request, common, sides, &mut buffers, (workers < request.threads, &room));
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
    (at_once, room): (bool, &Room),
) -> Result<Compared> {
    let read = |at: usize, buffers: &mut Buffers| {
        let wanted = (&common.fields[at], common.measure);
        sides[at].column(wanted, buffers.spare.take(), &mut buffers.scratch, Some(room))
    };
    let [first, second] = &mut *buffers;
    let (a, b) = if at_once {
        rayon::join(|| read(0, first), || read(1, second))
    } else {
        (read(0, first), read(1, second))
    };
    let columns = [a?, b?];
    let compared = under(&request.policy, common, [&columns[0], &columns[1]])?;
    for (buffers, column) in buffers.iter_mut().zip(columns) {
        buffers.spare = Some(column);
    }
    Ok(compared)
}

/// Rows that a model's performance is measured on, of each side.
const JUDGED: usize = 500_000;

/// What is asked of all columns at once, on some rows.
pub(super) async fn more(
    ctx: &Ctx,
    policy: &Drift,
    chosen: &Chosen,
    opened: [&Opened; 2],
) -> Result<Vec<Compared>> {
    let mut found = Vec::new();
    let columns = row_by_row(policy, chosen);
    if let Some(between) = policy.between {
        let names: Vec<&str> = columns.iter().map(|(name, _)| *name).collect();
        let drawn = [
            draw(ctx, opened[0], &names, between.rows).await?,
            draw(ctx, opened[1], &names, between.rows).await?,
        ];
        let [before, now] = features(&columns, drawn.each_ref())?;
        let numeric = (0..columns.len()).filter(|at| columns[*at].1 == Kind::Numbers);
        let numeric: Vec<usize> = numeric.collect();
        found.extend(together::between(between, &names, &numeric, [&before, &now]));
    }
    if let Some(performance) = &policy.performance {
        found.extend(of_the_model(ctx, policy, performance, &columns, opened).await?);
    }
    Ok(found)
}

/// The columns that have one value in each row.
fn row_by_row<'c>(policy: &Drift, chosen: &'c Chosen) -> Vec<(&'c str, Kind)> {
    let one = |name: &str| {
        let derived = policy.derived.iter().find(|derived| derived.name() == name);
        derived.is_none_or(Derived::is_per_row)
    };
    let columns = chosen.common.iter().map(|common| (common.name(), common.measure.kind()));
    let known = [Kind::Numbers, Kind::Categories];
    columns.filter(|(name, kind)| known.contains(kind) && one(name)).collect()
}

async fn draw(ctx: &Ctx, opened: &Opened, names: &[&str], limit: usize) -> Result<RecordBatch> {
    let drawn = opened.side.draw(ctx.lake_if_any(), names, &opened.grouping, limit).await?;
    Ok(drawn.batch)
}

async fn of_the_model(
    ctx: &Ctx,
    policy: &Drift,
    wanted: &Performance,
    columns: &[(&str, Kind)],
    opened: [&Opened; 2],
) -> Result<Vec<Compared>> {
    // A second model learns where the first one is off; others need no features.
    let of_numbers = matches!(wanted.problem, Problem::Regression | Problem::Forecast);
    let learns = wanted.estimate && of_numbers;
    let own = [Some(wanted.label.as_str()), wanted.score.as_deref()];
    let features: Vec<(&str, Kind)> =
        columns.iter().filter(|(name, _)| learns && !own.contains(&Some(name))).copied().collect();
    let mut names = wanted.columns();
    names.extend(features.iter().map(|(name, _)| *name));
    match &wanted.labels {
        Some(labels) => names.extend(labels.key.iter().map(String::as_str)),
        None => names.push(&wanted.label),
    }
    names.sort_unstable();
    names.dedup();
    for (side, opened) in [(&policy.baseline, opened[0]), (&policy.current, opened[1])] {
        let schema = opened.side.schema();
        let known: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
        if let Some(missing) = names.iter().find(|name| !known.contains(name)) {
            let fault = Fault::usage(format!("`performance`: `{side}` has no column `{missing}`"));
            return Err(fault.or_near(missing, known.iter().copied()).into());
        }
    }
    let drawn =
        [draw(ctx, opened[0], &names, JUDGED).await?, draw(ctx, opened[1], &names, JUDGED).await?];
    let known = match &wanted.labels {
        None => None,
        Some(place) => Some(labels_of(ctx, policy, wanted, place, &drawn).await?),
    };
    let mut rows = Vec::new();
    for batch in drawn {
        let labels = performance::labels(wanted, &batch, known.as_ref())?;
        rows.push(Rows { batch, labels });
    }
    let (clock, sides) = (clock::now_ms(), [&rows[0], &rows[1]]);
    let mut found = performance::performance(wanted, &features, sides, (clock, policy.min_rows))?;
    found.extend(target(policy, wanted, sides, clock)?);
    Ok(found)
}

/// The labels that lie in a place of their own, of the rows that were drawn.
async fn labels_of(
    ctx: &Ctx,
    policy: &Drift,
    wanted: &Performance,
    place: &Labels,
    drawn: &[RecordBatch],
) -> Result<Known> {
    let mut keys = HashSet::new();
    for batch in drawn {
        keys.extend(performance::keys(batch, &place.key)?.into_iter().flatten());
    }
    let (labels, _) = open(ctx, &place.source, None, &policy.without_rows()).await?;
    let mut names: Vec<&str> = place.key.iter().map(String::as_str).collect();
    names.push(&wanted.label);
    let mut known = Known::new();
    let take =
        |batch: &RecordBatch| performance::learn(&mut known, wanted, batch, (&place.key, &keys));
    labels.side.visit(ctx.lake_if_any(), &names, &labels.grouping, take).await?;
    Ok(known)
}
