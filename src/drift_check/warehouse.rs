//! Lets the warehouse count, and finishes the statistics from what it counted.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};

use super::decide::{Against, Scoped};
use super::pushdown::{self, Asked, Counted, Cut, From, TOGETHER};
use super::schema::{Chosen, Common};
use crate::config::{Drift, Engine};
use crate::databricks::sql::Statement;
use crate::report::Fault;
use crate::stats::column::{Column, Measure};
use crate::step::Ctx;

/// From this many rows on, the warehouse counts when the policy leaves it open.
const LARGE: u64 = 20_000_000;

/// Compares two tables by SQL, or does nothing when that is not what is wanted.
pub(super) async fn compare(
    ctx: &Ctx,
    policy: &Drift,
    chosen: &Chosen,
    tables: [Option<From<'_>>; 2],
) -> Result<Option<Scoped>> {
    let grouped = !policy.slices.is_empty() || policy.windows.is_some() || policy.compat.is_some();
    let asked = policy.engine == Engine::Warehouse;
    let [Some(baseline), Some(current)] = tables else {
        if asked {
            let fault = Fault::usage("the warehouse cannot count files");
            return Err(fault.hint("compare two tables, or leave `engine` out").into());
        }
        return Ok(None);
    };
    if grouped && asked {
        let fault =
            Fault::usage("the warehouse counts no slices and windows, and not for `compat`");
        return Err(fault.hint("set `engine: exact`, or leave them out").into());
    }
    if let Some(common) = chosen.common.iter().find(|common| common.sql.is_none()) {
        if asked {
            let name = common.name();
            let fault = Fault::usage(format!("the warehouse cannot count `{name}`"));
            return Err(fault.hint("set `engine: exact`, or leave it out").into());
        }
        return Ok(None);
    }
    if policy.engine == Engine::Exact || grouped || chosen.common.is_empty() {
        return Ok(None);
    }
    let work = Work { ctx, chosen, from: [baseline, current] };
    let rows = [work.rows(0).await?, work.rows(1).await?];
    let large = rows.iter().any(|rows| *rows >= LARGE);
    if rows.contains(&0) || !(asked || large) {
        return Ok(asked.then(|| Scoped { scope: Against::All, rows, columns: Vec::new() }));
    }
    ctx.host.progress(&format!("the warehouse counts {} and {} rows", rows[0], rows[1]));
    let cuts = work.cuts(rows[0], policy.bins).await?;
    let counted = [work.count(0, &cuts).await?, work.count(1, &cuts).await?];
    let columns = work
        .asked(&cuts)
        .into_iter()
        .map(|asked| pushdown::finish(asked, counted.each_ref()))
        .collect::<Result<_>>()?;
    Ok(Some(Scoped { scope: Against::All, rows, columns }))
}

struct Work<'a> {
    ctx: &'a Ctx,
    chosen: &'a Chosen,
    from: [From<'a>; 2],
}

impl Work<'_> {
    async fn rows(&self, side: usize) -> Result<u64> {
        let statement = Statement::new(pushdown::count(&self.from[side]));
        let counted = self.ctx.client.sql(self.ctx.warehouse()?, &statement).await;
        let counted = counted.context("count the rows")?;
        counted.first("row_count").and_then(|rows| rows.parse().ok()).context("count the rows")
    }

    /// Where the axis of each column of numbers is cut.
    async fn cuts(&self, rows: u64, bins: u32) -> Result<BTreeMap<String, Cut>> {
        let numbers: Vec<&Common> = self
            .chosen
            .common
            .iter()
            .filter(|common| matches!(common.measure, Measure::Numbers(_)))
            .collect();
        let mut cuts = BTreeMap::new();
        for part in numbers.chunks(TOGETHER) {
            let wanted: Vec<&str> =
                part.iter().filter_map(|common| common.sql.as_deref()).collect();
            let mut columns: Vec<Column> =
                part.iter().map(|common| Column::new(common.measure)).collect();
            let statement = Statement::new(pushdown::sample(&self.from[0], &wanted, rows));
            let read = self.ctx.client.sql_arrow_each(self.ctx.warehouse()?, &statement, |batch| {
                for (column, array) in columns.iter_mut().zip(batch.columns()) {
                    crate::stats::arrow::push(column, array)?;
                }
                Ok(())
            });
            read.await.context("read some rows of the baseline")?;
            for (common, column) in part.iter().zip(&columns) {
                cuts.insert(common.name().to_owned(), Cut::learn(column, bins));
            }
        }
        Ok(cuts)
    }

    fn asked<'c>(&'c self, cuts: &'c BTreeMap<String, Cut>) -> Vec<Asked<'c>> {
        let columns = self.chosen.common.iter().enumerate();
        columns.map(|(number, common)| (number, common, cuts.get(common.name()))).collect()
    }

    async fn count(&self, side: usize, cuts: &BTreeMap<String, Cut>) -> Result<Counted> {
        let mut counted = Counted::new();
        for part in self.asked(cuts).chunks(TOGETHER) {
            let text = pushdown::statement(&self.from[side], part);
            if text.is_empty() {
                continue;
            }
            let answer = self.ctx.client.sql(self.ctx.warehouse()?, &Statement::new(text)).await;
            pushdown::take(&mut counted, answer.context("count by bins")?.rows)?;
        }
        Ok(counted)
    }
}
