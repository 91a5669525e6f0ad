//! A row that one mover holds at a time. Two statements that change one row
//! conflict in every isolation level; two that insert one do not.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use uuid::Uuid;

use super::Pointer;
use crate::names::{self, SchemaName, Sha256};
use crate::record::statement::{Parameter, Statement};
use crate::record::{self, FenceRow};
use crate::report::{Fault, FaultKind};
use crate::step::Ctx;
use crate::sys::clock;

/// Work ends before the lease does by this part of it.
const MARGIN: u32 = 8;
/// A fence is waited for somewhat longer than its holder may have it.
const PATIENCE: Duration = Duration::from_secs(15);

pub(super) struct Fence<'a> {
    ctx: &'a Ctx,
    table: String,
    key: String,
    holder: String,
    epoch: u64,
    /// Who holds the fence and dies has it this long.
    lease: Duration,
    since: Instant,
}

impl<'a> Fence<'a> {
    pub(super) async fn take(
        ctx: &'a Ctx,
        schema: &SchemaName,
        pointer: Pointer<'_>,
    ) -> Result<Self> {
        let lake = ctx.lake()?;
        let (model, alias) = (pointer.model.to_string(), pointer.alias.to_string());
        let key = Sha256::of_parts(["fence", &model, &alias]).to_string();
        let row = FenceRow { event_id: key.clone(), model, alias };
        lake.record(schema, &[row]).await?;
        let table = record::table::<FenceRow>(schema).quoted();
        let holder = Uuid::new_v4().to_string();
        let (lease, since) = (pointer.lease, Instant::now());
        let mut fence = Self { ctx, table, key, holder, epoch: 0, lease, since };
        let started = Instant::now();
        loop {
            if fence.attempt().await? {
                return Ok(fence);
            }
            if started.elapsed() > lease + PATIENCE {
                let message =
                    format!("somebody else is moving `{}` of `{}`", pointer.alias, pointer.model);
                let fault = Fault::new(FaultKind::Conflict, message);
                return Err(fault.hint("look at `model-promote history`, and try again").into());
            }
            tokio::time::sleep(Duration::from_millis(400)).await;
        }
    }

    /// Grows by one with each holder.
    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    pub(super) fn left(&self) -> Duration {
        (self.lease - self.lease / MARGIN).saturating_sub(self.since.elapsed())
    }

    async fn attempt(&mut self) -> Result<bool> {
        // Before the clock is read, so that the lease is never longer than it seems.
        self.since = Instant::now();
        let Row { epoch, now, .. } = match self.read().await? {
            row if row.is_free() => row,
            _ => return Ok(false),
        };
        let lease = i64::try_from(self.lease.as_millis()).unwrap_or(i64::MAX);
        let statement = Statement {
            text: format!(
                "UPDATE {} SET epoch = epoch + 1, holder = :holder, lease_until = CAST(:until AS BIGINT) WHERE event_id = :key AND epoch = CAST(:epoch AS BIGINT)",
                self.table
            ),
            parameters: vec![
                Parameter::new("holder", Some(self.holder.clone()), "STRING"),
                Parameter::new("until", Some((now + lease).to_string()), "BIGINT"),
                Parameter::new("key", Some(self.key.clone()), "STRING"),
                Parameter::new("epoch", Some(epoch.to_string()), "BIGINT"),
            ],
        };
        let lake = self.ctx.lake()?;
        match lake.client.sql(lake.warehouse, &statement).await {
            Err(error) if error.is_concurrent_write() => return Ok(false),
            done => done.map(drop).context("take the fence of the alias")?,
        }
        // Who of several changed the row is told by the row.
        let row = self.read().await?;
        self.epoch = u64::try_from(row.epoch).unwrap_or(0);
        Ok(row.holder.as_ref() == Some(&self.holder))
    }

    async fn read(&self) -> Result<Row> {
        // The warehouse's clock: those of runners differ.
        let statement = Statement {
            text: format!(
                "SELECT epoch, holder, lease_until, CAST(current_timestamp() AS STRING) AS now FROM {} WHERE event_id = :key",
                self.table
            ),
            parameters: vec![Parameter::new("key", Some(self.key.clone()), "STRING")],
        };
        let lake = self.ctx.lake()?;
        let rows = lake.client.sql(lake.warehouse, &statement).await;
        let rows = rows.context("look at the fence of the alias")?;
        let now = rows.first("now").and_then(names::time);
        let now = now.map_or_else(clock::now_ms, jiff::Timestamp::as_millisecond);
        let number = |name: &str| rows.first(name).and_then(|text| text.parse::<i64>().ok());
        Ok(Row {
            epoch: number("epoch").unwrap_or(0),
            holder: rows.first("holder").filter(|holder| !holder.is_empty()).map(ToOwned::to_owned),
            lease_until: number("lease_until"),
            now,
        })
    }

    /// Gives the fence back, if it is still held.
    pub(super) async fn release(self) -> Result<()> {
        let statement = Statement {
            text: format!(
                "UPDATE {} SET holder = NULL WHERE event_id = :key AND holder = :holder",
                self.table
            ),
            parameters: vec![
                Parameter::new("key", Some(self.key.clone()), "STRING"),
                Parameter::new("holder", Some(self.holder.clone()), "STRING"),
            ],
        };
        let lake = self.ctx.lake()?;
        match lake.client.sql(lake.warehouse, &statement).await {
            // The lease ends by itself.
            Err(error) if error.is_concurrent_write() => Ok(()),
            done => done.map(drop).context("give back the fence of the alias"),
        }
    }
}

struct Row {
    epoch: i64,
    holder: Option<String>,
    lease_until: Option<i64>,
    /// Milliseconds since 1970, by the warehouse.
    now: i64,
}

impl Row {
    fn is_free(&self) -> bool {
        self.holder.is_none() || self.lease_until.is_none_or(|until| until < self.now)
    }
}
