//! A row that one mover holds at a time. Two statements that change one row
//! conflict in every isolation level; two that insert one do not.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use uuid::Uuid;

use crate::names::{self, SchemaName, Sha256};
use crate::record::statement::{Parameter, Statement};
use crate::record::{self, FenceRow};
use crate::report::{Fault, FaultKind};
use crate::step::Ctx;
use crate::sys::clock;

/// Work ends before the lease does by this part of it.
const MARGIN: u32 = 8;
/// A fence is waited for somewhat longer than its holder may have it.
pub const PATIENCE: Duration = Duration::from_secs(15);
/// A lease is renewed when this part of it is over.
const RENEWED_AFTER: u32 = 4;

/// What one mover holds at a time.
#[derive(Debug, Clone)]
pub struct Subject {
    /// The columns of the row.
    pub model: String,
    pub alias: String,
    /// What it is called in messages.
    pub shown: String,
    /// How to learn who holds it.
    pub hint: &'static str,
}

/// A row that is held, until it is released or its lease ends.
#[derive(Debug)]
pub struct Fence<'a> {
    ctx: &'a Ctx,
    table: String,
    key: String,
    holder: String,
    epoch: u64,
    /// Who holds the fence and dies has it this long.
    lease: Duration,
    since: Instant,
    shown: String,
}

impl<'a> Fence<'a> {
    /// Waits for the fence, with some patience.
    ///
    /// # Errors
    /// A conflict when somebody else holds it for too long.
    pub async fn take(
        ctx: &'a Ctx,
        schema: &SchemaName,
        subject: Subject,
        [lease, patience]: [Duration; 2],
    ) -> Result<Self> {
        let lake = ctx.lake()?;
        let Subject { model, alias, shown, hint } = subject;
        let key = Sha256::of_parts(["fence", &model, &alias]).to_string();
        let row = FenceRow { event_id: key.clone(), model, alias };
        lake.record(schema, &[row]).await?;
        let table = record::table::<FenceRow>(schema).quoted();
        let holder = Uuid::new_v4().to_string();
        let since = Instant::now();
        let mut fence = Self { ctx, table, key, holder, epoch: 0, lease, since, shown };
        let started = Instant::now();
        loop {
            if fence.attempt().await? {
                return Ok(fence);
            }
            if started.elapsed() > patience {
                let message = format!("somebody else is moving {}", fence.shown);
                return Err(Fault::new(FaultKind::Conflict, message).hint(hint).into());
            }
            tokio::time::sleep(Duration::from_millis(400)).await;
        }
    }

    /// Grows by one with each holder.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// How long nothing can be anybody else's.
    pub fn left(&self) -> Duration {
        (self.lease - self.lease / MARGIN).saturating_sub(self.since.elapsed())
    }

    /// When the lease is to be renewed.
    pub fn due_in(&self) -> Duration {
        (self.lease / RENEWED_AFTER).saturating_sub(self.since.elapsed())
    }

    /// Begins the lease anew, for work that takes longer than one.
    ///
    /// # Errors
    /// A conflict when somebody else has taken the fence, which is to be theirs alone then.
    pub async fn renew(&mut self) -> Result<()> {
        let since = Instant::now();
        let row = self.read().await?;
        if u64::try_from(row.epoch) == Ok(self.epoch) {
            // Somebody may take the fence right now, as its lease was over: the next look tells.
            let set = "lease_until = CAST(:until AS BIGINT)";
            let own = [Parameter::string("holder", &self.holder)];
            self.update(set, "AND holder = :holder", &row, own).await?;
            if self.read().await?.holder.as_ref() == Some(&self.holder) {
                self.since = since;
                return Ok(());
            }
        }
        let message = format!("the lease of {} ran out, and somebody else moves it", self.shown);
        Err(Fault::new(FaultKind::Conflict, message).into())
    }

    /// Changes the row as it was read, with a lease that begins with the look. Returns
    /// whether the row could be changed at all.
    async fn update(
        &self,
        set: &str,
        only: &str,
        Row { epoch, now, .. }: &Row,
        more: impl IntoIterator<Item = Parameter>,
    ) -> Result<bool> {
        let lease = i64::try_from(self.lease.as_millis()).unwrap_or(i64::MAX);
        let mut parameters = vec![
            Parameter::new("until", Some((now + lease).to_string()), "BIGINT"),
            Parameter::string("key", &self.key),
            Parameter::new("epoch", Some(epoch.to_string()), "BIGINT"),
        ];
        parameters.extend(more);
        let statement = Statement {
            text: format!(
                "UPDATE {} SET {set} WHERE event_id = :key AND epoch = CAST(:epoch AS BIGINT) {only}",
                self.table
            ),
            parameters,
        };
        let lake = self.ctx.lake()?;
        match lake.client.sql(lake.warehouse, &statement).await {
            Err(error) if error.is_concurrent_write() => Ok(false),
            done => done.map(|_| true).with_context(|| format!("take the fence of {}", self.shown)),
        }
    }

    async fn attempt(&mut self) -> Result<bool> {
        // Before the clock is read, so that the lease is never longer than it seems.
        self.since = Instant::now();
        let row = match self.read().await? {
            row if row.is_free() => row,
            _ => return Ok(false),
        };
        let set = "epoch = epoch + 1, holder = :holder, lease_until = CAST(:until AS BIGINT)";
        let own = [Parameter::string("holder", &self.holder)];
        if !self.update(set, "", &row, own).await? {
            return Ok(false);
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
        let rows = rows.with_context(|| format!("look at the fence of {}", self.shown))?;
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
    pub async fn release(self) -> Result<()> {
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
            done => {
                done.map(drop).with_context(|| format!("give back the fence of {}", self.shown))
            }
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
