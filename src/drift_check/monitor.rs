//! Refreshes the monitor of a table, waits, and reads its metric tables.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use super::decide::Scoped;
use super::metrics::{Answer, Rows, windows};
use super::schema::{Change, Chosen};
use crate::config::{self, Drift, MonitorAgainst};
use crate::databricks::Client;
use crate::databricks::monitors::{Monitor, RefreshState};
use crate::databricks::unity::TableInfo;
use crate::lake;
use crate::names::{Place, TableName};
use crate::report::{Fault, FaultKind};
use crate::step::Ctx;
use crate::sys::clock;

/// What the monitor found.
pub(super) struct Read {
    pub(super) chosen: Chosen,
    pub(super) scopes: Vec<Scoped>,
    pub(super) table: TableName,
    /// The newest window.
    pub(super) identity: String,
}

pub(super) async fn read(ctx: &Ctx, policy: &Drift, wanted: &config::Monitor) -> Result<Read> {
    let Place::Table(table) = &policy.current.place else {
        return Err(Fault::usage("`drift.monitor` reads the monitor of a table").into());
    };
    let lake = ctx.lake()?;
    let info = lake::table(&ctx.client, table).await?;
    let monitor = find(ctx, wanted, &info, table).await?;
    if wanted.refresh {
        refresh(ctx, wanted, &monitor, table).await?;
    }
    let named = |own: Option<&TableName>, told: Option<&String>, what: &str| {
        let name = own.cloned().map(Ok).or_else(|| told.map(|name| name.parse()));
        name.transpose()?.with_context(|| format!("the monitor names no table of {what}"))
    };
    let drift = named(wanted.drift_table.as_ref(), monitor.drift_table.as_ref(), "drift")?;
    let profile = named(wanted.profile_table.as_ref(), monitor.profile_table.as_ref(), "profiles")?;
    let drift_columns = columns(&ctx.client, &drift).await?;
    let profile_columns = columns(&ctx.client, &profile).await?;
    let rows =
        |known| Rows { monitor: wanted, model_column: monitor.model_column.as_deref(), known };
    let ask = rows(&drift_columns).drift(&drift.quoted());
    let drift_rows = lake.client.sql(lake.warehouse, &ask).await;
    let drift_rows = drift_rows.with_context(|| format!("read `{drift}`"))?;
    let ask = rows(&profile_columns).profile(&profile.quoted());
    let profile_rows = lake.client.sql(lake.warehouse, &ask).await;
    let profile_rows = profile_rows.with_context(|| format!("read `{profile}`"))?;
    let answers = [&drift_rows, &profile_rows]
        .map(|rows| Answer { columns: &rows.columns, rows: &rows.rows });
    let (scopes, open) = windows(policy, &answers[0], &answers[1], clock::now_ms())?;
    let mut chosen = Chosen::default();
    chosen.changes.extend((open > 0).then(|| Change {
        column: "windows".into(),
        what: format!("leave out {open} that are not over yet"),
        breaks: false,
        rule: "drift/windows",
    }));
    chosen.changes.extend(scopes.is_empty().then(|| silent(wanted, &monitor, &drift)));
    let newest = scopes.last().map(|scoped| format!(" window {}", scoped.scope.name()));
    let identity = format!("{table} monitored{}", newest.unwrap_or_default());
    Ok(Read { chosen, scopes, table: table.clone(), identity })
}

/// The monitor of the table, which is made if the policy says how.
async fn find(
    ctx: &Ctx,
    wanted: &config::Monitor,
    info: &TableInfo,
    table: &TableName,
) -> Result<Monitor> {
    let found = ctx.client.monitor_get(info).await;
    let found = found.with_context(|| format!("look for the monitor of `{table}`"))?;
    let monitor = match (found, &wanted.create) {
        (Some(monitor), _) => monitor,
        (None, Some(fields)) => {
            ctx.host.progress(&format!("make a monitor for {table}"));
            let made = match ctx.client.monitor_create(info, fields).await {
                // By another check, or by the call whose answer was lost.
                Err(error) if error.is_already_there() => {
                    let found = ctx.client.monitor_get(info).await;
                    found.and_then(|found| found.ok_or(error))
                }
                made => made,
            };
            made.with_context(|| format!("make a monitor for `{table}`"))?
        }
        (None, None) => {
            let fault = Fault::usage(format!("`{table}` has no monitor"));
            return Err(fault.hint("make it in the bundle, or by `drift.monitor.create`").into());
        }
    };
    match monitor.fault() {
        Some(fault) => Err(Fault::new(FaultKind::Remote, fault).into()),
        None => Ok(monitor),
    }
}

/// A monitor that has nothing to say is no calm.
fn silent(wanted: &config::Monitor, monitor: &Monitor, drift: &TableName) -> Change {
    let against_nothing = wanted.against == MonitorAgainst::Baseline && !monitor.has_baseline;
    let what = if against_nothing {
        "has no rows against a baseline: the monitor has no baseline table"
    } else {
        "has no window that is over"
    };
    Change { column: drift.to_string(), what: what.into(), breaks: true, rule: "drift/monitor" }
}

async fn columns(client: &Client, table: &TableName) -> Result<Vec<String>> {
    let info = lake::table(client, table).await?;
    Ok(info.columns.into_iter().map(|column| column.name).collect())
}

async fn refresh(
    ctx: &Ctx,
    wanted: &config::Monitor,
    monitor: &Monitor,
    table: &TableName,
) -> Result<()> {
    const POLL: Duration = Duration::from_secs(10);
    let started = Instant::now();
    let limit = Duration::from_millis(wanted.timeout_ms().unwrap_or_default().unsigned_abs());
    let id = ctx.client.monitor_refresh(monitor).await;
    let id = id.with_context(|| format!("refresh the monitor of `{table}`"))?;
    ctx.host.progress(&format!("the monitor of {table} refreshes ({id})"));
    let mut pause = Duration::from_millis(200);
    loop {
        match ctx.client.monitor_refresh_state(monitor, &id).await.context("look at the refresh")? {
            RefreshState::Succeeded => return Ok(()),
            RefreshState::Failed(words) => {
                let message = format!("the refresh {id} of the monitor ended as {words}");
                return Err(Fault::new(FaultKind::Remote, message).into());
            }
            RefreshState::Open if started.elapsed() > limit => {
                let took = clock::human(started.elapsed());
                let message = format!("the monitor's refresh {id} is not done after {took}");
                let fault = Fault::new(FaultKind::Timeout, message);
                return Err(fault.hint("raise `drift.monitor.timeout`").into());
            }
            RefreshState::Open => {}
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = ctx.cancel.asked() => {
                return Err(crate::step::Cancel::fault("wait for the monitor").into());
            }
        }
        pause = (pause * 2).min(POLL);
    }
}
