//! Lets the warehouse count, and finishes the statistics from what it counted.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};

use super::answered::{self, Counted, Grouped};
use super::bins::of_equal_width;
use super::decide::{Against, Scoped};
use super::pushdown::{self, Asked, Cut, From, LEARNT_FROM, TOGETHER};
use super::schema::{Change, Chosen, Common};
use super::scopes;
use crate::config::{Binning, Drift, Engine};
use crate::databricks::sql::Statement;
use crate::lake::{Grouping, Lake, Scope, Slice};
use crate::names::quoted;
use crate::report::Fault;
use crate::stats::column::{Column, Measure};
use crate::stats::derived::Derived;
use crate::step::Ctx;
use crate::sys::clock;

/// From this many rows on, the warehouse counts when the policy leaves it open.
const LARGE: u64 = 20_000_000;

/// A column with fewer values among the rows that were drawn is read again.
const LEAST: u64 = 2_000;

/// What came of it, and what was in none of the groups.
pub(super) type Compared = (Vec<Scoped>, Vec<Change>);

/// Compares two tables by SQL, or does nothing when that is not what is wanted.
pub(super) async fn compare(
    ctx: &Ctx,
    policy: &Drift,
    chosen: &Chosen,
    tables: [Option<From<'_>>; 2],
) -> Result<Option<Compared>> {
    let asked = policy.engine == Engine::Warehouse;
    let [Some(baseline), Some(current)] = tables else {
        if asked {
            let fault = Fault::usage("the warehouse cannot count files");
            return Err(fault.hint("compare two tables, or leave `engine` out").into());
        }
        return Ok(None);
    };
    if policy.engine == Engine::Exact || chosen.common.is_empty() {
        return Ok(None);
    }
    if let Some(what) = beyond(policy, chosen) {
        if asked {
            let fault = Fault::usage(format!("the warehouse cannot count {what}"));
            return Err(fault.hint("set `engine: exact`, or leave it out").into());
        }
        return Ok(None);
    }
    // Windows are of the current side alone.
    let extended = [
        with_derived(named(policy, &policy.slices), &baseline),
        with_derived(grouping(policy), &current),
    ];
    let from = [baseline, current];
    let from = [0, 1].map(|at| match &extended[at] {
        Some(table) => From { extended: Some(table), ..from[at] },
        None => from[at],
    });
    let work = Work { lake: ctx.lake()?, policy, chosen, from };
    let rows = [work.rows(0).await?, work.rows(1).await?];
    let large = rows.iter().any(|rows| *rows >= LARGE);
    if rows.contains(&0) || !(asked || large) {
        let whole = Scoped { scope: Against::All, rows, columns: Vec::new() };
        return Ok(asked.then(|| (vec![whole], Vec::new())));
    }
    ctx.host.progress(&format!("the warehouse counts {} and {} rows", rows[0], rows[1]));
    match work.compare(rows).await {
        Err(error) if error.is::<answered::Beyond>() => {
            if asked {
                let fault = Fault::usage(format!("the warehouse cannot count this: {error}"));
                return Err(fault.hint("exclude it, or set `engine: exact`").into());
            }
            ctx.host.progress(&format!("{error}: all rows are read instead"));
            Ok(None)
        }
        compared => compared.map(Some),
    }
}

/// What of a policy no SQL counts.
fn beyond(policy: &Drift, chosen: &Chosen) -> Option<String> {
    if let Some(common) = chosen.common.iter().find(|common| common.sql.is_none()) {
        return Some(format!("`{}`", common.name()));
    }
    if policy.compat.is_some() {
        return Some("for `compat`".into());
    }
    if policy.all_tests {
        return Some("for `all_tests`".into());
    }
    if policy.windows.as_ref().is_some_and(|windows| windows.learn.is_some()) {
        return Some("thresholds that are learnt".into());
    }
    let common = |derived: &&Derived| chosen.common.iter().any(|it| it.name() == derived.name());
    let known = |name: &str| chosen.known.iter().any(|known| known == name);
    let of_one_side = named(policy, &policy.slices).find(|derived| !common(derived));
    let unmade = grouping(policy).find(|derived| derived.sql().is_none() || !known(derived.name()));
    if let Some(derived) = of_one_side.or(unmade) {
        return Some(format!("rows by `{}`", derived.name()));
    }
    // Rows of a table have no order.
    let by_rows = policy.windows.as_ref().is_some_and(|windows| windows.rows.is_some());
    by_rows.then(|| "windows by a number of rows".into())
}

/// What is derived and tells rows of slices and windows apart.
fn grouping(policy: &Drift) -> impl Iterator<Item = &Derived> {
    let window = policy.windows.as_ref().and_then(|windows| windows.column.as_ref());
    named(policy, policy.slices.iter().chain(window))
}

/// What is derived and named in one of these texts.
fn named<'a>(
    policy: &'a Drift,
    texts: impl IntoIterator<Item = &'a String>,
) -> impl Iterator<Item = &'a Derived> {
    let texts: Vec<&String> = texts.into_iter().collect();
    let is_named = move |derived: &&Derived| texts.iter().any(|text| text.contains(derived.name()));
    policy.derived.iter().filter(is_named)
}

/// The table with a column for each of these, where there are any.
fn with_derived<'a>(
    grouping: impl Iterator<Item = &'a Derived>,
    from: &From<'_>,
) -> Option<String> {
    let made =
        |derived: &Derived| Some(format!(", {} AS {}", derived.sql()?, quoted(derived.name())));
    let columns: String = grouping.filter_map(made).collect();
    (!columns.is_empty()).then(|| format!("(SELECT *{columns} FROM {}) AS side", from.table()))
}

/// What a side holds, by group.
#[derive(Debug, Default)]
struct Side {
    rows: BTreeMap<Scope, u64>,
    counted: BTreeMap<Scope, Counted>,
}

struct Work<'a> {
    lake: Lake<'a>,
    policy: &'a Drift,
    chosen: &'a Chosen,
    from: [From<'a>; 2],
}

impl Work<'_> {
    async fn rows(&self, side: usize) -> Result<u64> {
        let statement = Statement::new(pushdown::count(&self.from[side]));
        let counted = self.lake.client.sql(self.lake.warehouse, &statement).await;
        let counted = counted.context("count the rows")?;
        counted.first("row_count").and_then(|rows| rows.parse().ok()).context("count the rows")
    }

    async fn compare(&self, rows: [u64; 2]) -> Result<Compared> {
        let cuts = self.cuts(rows[0]).await?;
        let sides = [self.side(0, &cuts, rows[0]).await?, self.side(1, &cuts, rows[1]).await?];
        let clock = clock::now_ms();
        let (pairs, left_out) = scopes::pairs(self.policy, &sides[0].rows, &sides[1].rows, clock);
        let nothing = Counted::new();
        let mut scopes = Vec::new();
        for pair in pairs {
            let side = |at: usize, scope: &Scope| {
                let rows = sides[at].rows.get(scope).copied().unwrap_or(0);
                (rows, sides[at].counted.get(scope).unwrap_or(&nothing))
            };
            let (before, now) = (side(pair.before.0, &pair.before.1), side(1, &pair.now));
            // A group that one side lacks has nothing to compare.
            let both = before.0 > 0 && now.0 > 0;
            let columns = self.asked(&cuts).into_iter().filter(|_| both);
            let columns =
                columns.map(|asked| answered::finish(self.policy, asked, [before.1, now.1]));
            scopes.push(Scoped {
                scope: pair.scope,
                rows: [before.0, now.0],
                columns: columns.collect::<Result<_>>()?,
            });
        }
        Ok((scopes, left_out))
    }

    /// Counts all rows of a side, its slices, and the current one's windows.
    async fn side(&self, at: usize, cuts: &BTreeMap<String, Cut>, rows: u64) -> Result<Side> {
        let mut side = Side::default();
        side.rows.insert(Scope::All, rows);
        let mut whole = self.count(&self.from[at], cuts).await?;
        side.counted.insert(Scope::All, whole.remove(&None).unwrap_or_default());
        let known: Vec<&str> = self.chosen.known.iter().map(String::as_str).collect();
        for text in &self.policy.slices {
            let (group, name): (String, Box<dyn Fn(String) -> Scope + Send>) =
                match Grouping::slice(text, &known)? {
                    Slice::Values(column) => (
                        format!("CAST({} AS STRING)", quoted(&column)),
                        Box::new(move |value| Scope::Slice(format!("{column} = {value}"))),
                    ),
                    Slice::Where(condition) => (
                        format!("CASE WHEN {} THEN 'in' END", condition.as_str()),
                        Box::new(move |_| Scope::Slice(condition.as_str().to_owned())),
                    ),
                };
            self.grouped(at, &group, cuts, &mut side, |value| value.map(&name)).await?;
            Grouping::check_slices(text, side.rows.len())?;
        }
        if at == 1
            && let Some(windows) = &self.policy.windows
            && let (Some(column), Some(every)) = (&windows.column, windows.milliseconds())
        {
            let group = pushdown::window_of(column, every);
            let scope = |value: Option<String>| match value {
                Some(start) => start.parse().ok().map(Scope::Window),
                None => Some(Scope::NoWindow),
            };
            self.grouped(at, &group, cuts, &mut side, scope).await?;
        }
        Ok(side)
    }

    /// Counts the groups of an expression.
    async fn grouped(
        &self,
        at: usize,
        group: &str,
        cuts: &BTreeMap<String, Cut>,
        side: &mut Side,
        scope: impl Fn(Option<String>) -> Option<Scope>,
    ) -> Result<()> {
        let from = From { group: Some(group), ..self.from[at] };
        let statement = Statement::new(pushdown::count(&from));
        let answer = self.lake.client.sql(self.lake.warehouse, &statement).await;
        for row in answer.context("count the rows of slices and windows")?.rows {
            let mut cells = row.into_iter();
            let Some(scope) = scope(cells.next().flatten()) else { continue };
            let rows = cells.next().flatten().and_then(|rows| rows.parse().ok());
            side.rows.insert(scope, rows.context("a group of the answer has no count")?);
        }
        for (value, counted) in self.count(&from, cuts).await? {
            if let Some(scope) = scope(value) {
                side.counted.insert(scope, counted);
            }
        }
        Ok(())
    }

    /// Where the axis of each column of numbers is cut.
    async fn cuts(&self, rows: u64) -> Result<BTreeMap<String, Cut>> {
        let numbers: Vec<&Common> = self
            .chosen
            .common
            .iter()
            .filter(|common| matches!(common.measure, Measure::Numbers(_)))
            .collect();
        let mut cuts = BTreeMap::new();
        for part in numbers.chunks(TOGETHER) {
            let mut columns = self.some_rows(part, rows, false).await?;
            let mut sparse = Vec::new();
            for (common, column) in part.iter().zip(&mut columns) {
                let few = matches!(column, Column::Numbers(read) if read.sample.len() < LEAST);
                if few && rows > LEARNT_FROM {
                    sparse.push((*common, column));
                }
            }
            self.again(sparse).await?;
            let mut given = self.equal_widths(part).await?;
            for (common, column) in part.iter().zip(&columns) {
                let own = self.policy.edges.get(common.name()).cloned();
                let given = own.or_else(|| given.remove(common.name()));
                let cut = Cut::learn(column, self.policy.bins, given.as_ref());
                cuts.insert(common.name().to_owned(), cut);
            }
        }
        Ok(cuts)
    }

    /// The edges of bins of equal width, where the policy wants them.
    async fn equal_widths(&self, part: &[&Common]) -> Result<BTreeMap<String, Vec<f64>>> {
        if self.policy.binning != Binning::Width {
            return Ok(BTreeMap::new());
        }
        let wanted: Vec<&str> = part.iter().filter_map(|common| common.sql.as_deref()).collect();
        let statement = Statement::new(pushdown::ranges(&self.from[0], &wanted));
        let answer = self.lake.client.sql(self.lake.warehouse, &statement).await;
        let answer = answer.context("ask for the ranges of the baseline's columns")?;
        let end = |which: &str, at: usize| answer.first(&format!("{which}{at}"))?.parse().ok();
        let mut edges = BTreeMap::new();
        for (at, common) in part.iter().enumerate() {
            // A column without values has no ends.
            if let (Some(least), Some(largest)) = (end("low", at), end("high", at)) {
                let found = of_equal_width(self.policy.bins, least, largest);
                edges.insert(common.name().to_owned(), found);
            }
        }
        Ok(edges)
    }

    /// Reads columns again that are null in most of the rows.
    async fn again(&self, sparse: Vec<(&Common, &mut Column)>) -> Result<()> {
        if sparse.is_empty() {
            return Ok(());
        }
        let wanted: Vec<&str> =
            sparse.iter().filter_map(|(common, _)| common.sql.as_deref()).collect();
        let statement = Statement::new(pushdown::values_of(&self.from[0], &wanted));
        let counted = self.lake.client.sql(self.lake.warehouse, &statement).await;
        let counted = counted.context("count the values of columns with many nulls")?;
        for (at, (common, column)) in sparse.into_iter().enumerate() {
            let values = counted.first(&format!("n{at}")).and_then(|count| count.parse().ok());
            let values = values.context("an answer has no count")?;
            if let Some(read) = self.some_rows(&[common], values, true).await?.pop() {
                *column = read;
            }
        }
        Ok(())
    }

    /// Some of the baseline's rows; `rows` of them have values of a sparse column.
    async fn some_rows(&self, part: &[&Common], rows: u64, is_sparse: bool) -> Result<Vec<Column>> {
        let wanted: Vec<&str> = part.iter().filter_map(|common| common.sql.as_deref()).collect();
        let sparse = wanted.first().copied().filter(|_| is_sparse);
        let mut columns: Vec<Column> =
            part.iter().map(|common| Column::new(common.measure)).collect();
        let text = pushdown::sample(&self.from[0], &wanted, rows, sparse);
        let statement = Statement::new(text);
        let read = self.lake.client.sql_arrow_each(self.lake.warehouse, &statement, |batch| {
            for (column, array) in columns.iter_mut().zip(batch.columns()) {
                crate::stats::arrow::push(column, array)?;
            }
            Ok(())
        });
        read.await.context("read some rows of the baseline")?;
        Ok(columns)
    }

    fn asked<'c>(&'c self, cuts: &'c BTreeMap<String, Cut>) -> Vec<Asked<'c>> {
        let columns = self.chosen.common.iter().enumerate();
        columns.map(|(number, common)| (number, common, cuts.get(common.name()))).collect()
    }

    async fn count(&self, from: &From<'_>, cuts: &BTreeMap<String, Cut>) -> Result<Grouped> {
        let mut grouped = Grouped::new();
        for part in self.asked(cuts).chunks(TOGETHER) {
            let text = pushdown::statement(from, part);
            if text.is_empty() {
                continue;
            }
            let answer = self.lake.client.sql(self.lake.warehouse, &Statement::new(text)).await;
            answered::take(&mut grouped, answer.context("count by bins")?.rows)?;
        }
        Ok(grouped)
    }
}
