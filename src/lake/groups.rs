//! Rows told apart while they go by: all of them, slices, windows of time or of
//! a number of rows.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use arrow::array::{Array, ArrayRef, AsArray as _, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow::compute::{cast, filter, filter_record_batch};
use arrow::datatypes::{DataType, Field, FieldRef, Schema, TimeUnit, TimestampMillisecondType};

use super::Room;
use crate::config::Sample;
use crate::report::Fault;
use crate::sql::Predicate;
use crate::stats;
use crate::stats::column::{Column, Measure};
use crate::stats::derived::Derived;

/// A column and what it is counted as.
pub type Wanted<'a> = (&'a Field, Measure);

/// Rows that belong together.
#[derive(Debug, Clone)]
pub enum Slice {
    /// One slice per value of a column.
    Values(String),
    /// The rows that fulfil a condition.
    Where(Box<Predicate>),
}

/// A stretch of rows.
#[derive(Debug, Clone)]
pub enum Window {
    /// This many rows, in the order of the data.
    Rows(u64),
    /// A time column, cut every so many milliseconds since 1970 (UTC).
    Time { column: String, every: i64 },
}

#[derive(Debug, Clone, Default)]
pub struct Grouping {
    /// Of all rows, these are drawn first.
    pub sample: Option<Sample>,
    /// Rows that do not fulfil it are not there.
    pub filter: Option<Predicate>,
    pub slices: Vec<Slice>,
    pub window: Option<Window>,
    /// What the values may take in memory; anything when left out.
    pub room: Option<Room>,
    /// How many columns are counted at a time, where they can be; 0 is one.
    pub threads: usize,
}

/// Which rows a group has. Windows are in the order of time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    All,
    /// `column = value`, or the condition's text.
    Slice(String),
    /// The window's start in milliseconds, or the number of its first row.
    Window(i64),
    /// Rows that are in no window, as they have no time.
    NoWindow,
}

/// The columns of some rows.
#[derive(Debug)]
pub struct Group {
    pub rows: u64,
    pub columns: BTreeMap<String, Column>,
}

/// Batches between two looks at the memory.
const LOOK_EVERY: u32 = 16;
/// A column with more values than this is no slice.
const VALUES: usize = 1000;
/// More windows than this are no windows: each is compared with the baseline.
const WINDOWS: usize = 500;

impl Grouping {
    pub fn is_empty(&self) -> bool {
        self.sample.is_none()
            && self.filter.is_none()
            && self.slices.is_empty()
            && self.window.is_none()
    }

    /// The columns that must be read beside those that are compared.
    pub fn columns(&self) -> Vec<String> {
        let mut names: Vec<String> = self.filter.iter().flat_map(Predicate::columns).collect();
        for slice in &self.slices {
            match slice {
                Slice::Values(column) => names.push(column.clone()),
                Slice::Where(condition) => names.extend(condition.columns()),
            }
        }
        if let Some(Window::Time { column, .. }) = &self.window {
            names.push(column.clone());
        }
        names
    }

    /// Refuses a column that makes too many slices.
    pub fn check_slices(column: &str, slices: usize) -> Result<(), Fault> {
        if slices <= VALUES {
            return Ok(());
        }
        let fault = Fault::usage(format!(
            "the column `{column}` has over {VALUES} values: it makes no slices"
        ));
        Err(fault.hint("name conditions instead, such as `distance > 1000`"))
    }

    /// A plain name that is a column is one; everything else is a condition.
    pub fn slice(text: &str, known: &[&str]) -> Result<Slice, Fault> {
        if known.contains(&text) {
            return Ok(Slice::Values(text.to_owned()));
        }
        let condition: Predicate = text.parse()?;
        match condition.columns().iter().find(|column| !known.contains(&column.as_str())) {
            None => Ok(Slice::Where(Box::new(condition))),
            Some(missing) => {
                Err(Fault::usage(format!("the slice `{text}`: there is no column `{missing}`"))
                    .or_near(missing, known.iter().copied()))
            }
        }
    }
}

/// Batches into the columns of their groups.
#[derive(Debug)]
pub(super) struct Groups<'a> {
    wanted: &'a [Wanted<'a>],
    grouping: &'a Grouping,
    derived: &'a [Derived],
    groups: BTreeMap<Scope, Group>,
    /// Rows that went by, before and after what is left out.
    numbered: u64,
    seen: u64,
    batches: u32,
}

impl<'a> Groups<'a> {
    pub(super) fn new(
        wanted: &'a [Wanted<'a>],
        grouping: &'a Grouping,
        derived: &'a [Derived],
    ) -> Self {
        let mut groups = Self {
            wanted,
            grouping,
            derived,
            groups: BTreeMap::new(),
            numbered: 0,
            seen: 0,
            batches: 0,
        };
        groups.groups.insert(Scope::All, groups.group());
        groups
    }

    fn group(&self) -> Group {
        let column = |(field, measure): &Wanted<'_>| (field.name().clone(), Column::new(*measure));
        Group { rows: 0, columns: self.wanted.iter().map(column).collect() }
    }

    /// The batch with the derived columns that have a value per row.
    fn extended(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let mut fields: Vec<FieldRef> = batch.schema().fields().iter().cloned().collect();
        let mut columns = batch.columns().to_vec();
        for derived in self.derived.iter().filter(|derived| derived.is_per_row()) {
            let Some(root) = batch.column_by_name(derived.root()) else { continue };
            let values = derived.values(root).with_context(|| format!("make `{derived}`"))?;
            let kind = values.data_type().clone();
            fields.push(Arc::new(Field::new(derived.name(), kind, true)));
            columns.push(values);
        }
        let rows = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let schema = Arc::new(Schema::new(fields));
        Ok(RecordBatch::try_new_with_options(schema, columns, &rows)?)
    }

    /// The rows that are drawn and fulfil the condition, with the columns that
    /// are derived row by row.
    pub(super) fn kept(&mut self, batch: &RecordBatch) -> Result<RecordBatch> {
        let mut kept = if self.derived.is_empty() { batch.clone() } else { self.extended(batch)? };
        if let Some(sample) = self.grouping.sample {
            let rows = self.numbered..self.numbered + batch.num_rows() as u64;
            let rows: BooleanArray = rows.map(|row| Some(draws(sample, row))).collect();
            kept = filter_record_batch(&kept, &rows)?;
        }
        self.numbered += batch.num_rows() as u64;
        if let Some(condition) = &self.grouping.filter {
            kept = filter_record_batch(&kept, &condition.select(&kept)?)?;
        }
        Ok(kept)
    }

    pub(super) fn push(&mut self, batch: &RecordBatch) -> Result<()> {
        let kept = &self.kept(batch)?;
        self.add(&Scope::All, kept, None)?;
        for slice in &self.grouping.slices {
            match slice {
                Slice::Where(condition) => {
                    let rows = condition.select(kept)?;
                    self.add(&Scope::Slice(condition.as_str().to_owned()), kept, Some(&rows))?;
                }
                Slice::Values(column) => self.values(column, kept)?,
            }
        }
        if let Some(window) = &self.grouping.window {
            self.windows(window, kept)?;
        }
        self.seen += kept.num_rows() as u64;
        self.batches += 1;
        if self.batches.is_multiple_of(LOOK_EVERY) {
            self.make_room()?;
        }
        Ok(())
    }

    fn make_room(&mut self) -> Result<()> {
        let Some(room) = &self.grouping.room else { return Ok(()) };
        let groups = self.groups.values_mut();
        let mut columns: Vec<&mut Column> =
            groups.flat_map(|group| group.columns.values_mut()).collect();
        room.make(&mut columns).with_context(|| format!("after {} rows", self.seen))
    }

    fn values(&mut self, name: &str, batch: &RecordBatch) -> Result<()> {
        let array = cast(column(batch, name)?, &DataType::LargeUtf8)
            .with_context(|| format!("read the slices of `{name}` as text"))?;
        let text = array.as_string::<i64>();
        let mut rows = BTreeMap::<&str, Vec<bool>>::new();
        for row in (0..text.len()).filter(|row| text.is_valid(*row)) {
            let none = || vec![false; text.len()];
            rows.entry(text.value(row)).or_insert_with(none)[row] = true;
        }
        for (value, rows) in rows {
            self.add(&Scope::Slice(format!("{name} = {value}")), batch, Some(&rows.into()))?;
        }
        let known = self.groups.keys().filter(|scope| matches!(scope, Scope::Slice(_))).count();
        Ok(Grouping::check_slices(name, known)?)
    }

    fn windows(&mut self, window: &Window, batch: &RecordBatch) -> Result<()> {
        let starts: Vec<Option<i64>> = match window {
            Window::Rows(size) => {
                let start = |row: u64| i64::try_from((self.seen + row) / size * size).ok();
                (0..batch.num_rows() as u64).map(start).collect()
            }
            Window::Time { column: name, every } => {
                let times = milliseconds(name, column(batch, name)?)?;
                let times = times.as_primitive::<TimestampMillisecondType>();
                times.iter().map(|time| time.map(|time| time.div_euclid(*every) * every)).collect()
            }
        };
        let mut distinct: Vec<i64> = starts.iter().flatten().copied().collect();
        distinct.sort_unstable();
        distinct.dedup();
        for start in distinct {
            let rows: BooleanArray =
                starts.iter().map(|other| Some(*other == Some(start))).collect();
            self.add(&Scope::Window(start), batch, Some(&rows))?;
        }
        if starts.contains(&None) {
            let rows: BooleanArray = starts.iter().map(|start| Some(start.is_none())).collect();
            self.add(&Scope::NoWindow, batch, Some(&rows))?;
        }
        let known = self.groups.keys().filter(|scope| matches!(scope, Scope::Window(_))).count();
        if known > WINDOWS {
            let fault = Fault::usage(format!("the rows make over {WINDOWS} windows"));
            return Err(fault.hint("make them longer, or look at fewer rows").into());
        }
        Ok(())
    }

    fn add(
        &mut self,
        scope: &Scope,
        batch: &RecordBatch,
        rows: Option<&BooleanArray>,
    ) -> Result<()> {
        if !self.groups.contains_key(scope) {
            let fresh = self.group();
            self.groups.insert(scope.clone(), fresh);
        }
        let Some(group) = self.groups.get_mut(scope) else { return Ok(()) };
        group.rows += rows.map_or(batch.num_rows(), BooleanArray::true_count) as u64;
        for (field, _) in self.wanted {
            let name = field.name().as_str();
            let several = self.derived.iter().find(|made| made.name() == name);
            let several = several.filter(|made| !made.is_per_row());
            let array = column(batch, several.map_or(name, Derived::root))?;
            let Some(target) = group.columns.get_mut(name) else { continue };
            let mut array = match rows {
                Some(rows) => filter(array, rows)?,
                None => array.clone(),
            };
            if let Some(derived) = several {
                array = derived.values(&array).with_context(|| format!("make `{derived}`"))?;
            }
            stats::arrow::push(target, &array).with_context(|| format!("read column `{name}`"))?;
        }
        Ok(())
    }

    pub(super) fn done(self) -> BTreeMap<Scope, Group> {
        self.groups
    }
}

/// Whether a row is drawn: a matter of its number, not of how rows arrive.
fn draws(sample: Sample, row: u64) -> bool {
    ((stats::lot(sample.seed, row) >> 11) as f64 / (1u64 << 53) as f64) < sample.share
}

fn column<'b>(batch: &'b RecordBatch, name: &str) -> Result<&'b ArrayRef> {
    batch.column_by_name(name).with_context(|| format!("column `{name}` is missing in the answer"))
}

/// A time column; whole numbers and text are not guessed at.
fn milliseconds(name: &str, array: &ArrayRef) -> Result<ArrayRef> {
    let kind = array.data_type();
    if !matches!(kind, DataType::Timestamp(..) | DataType::Date32 | DataType::Date64) {
        let fault = Fault::usage(format!(
            "the windows' column `{name}` is of type {kind}, a time is needed"
        ));
        return Err(fault.into());
    }
    let whole = cast(array, &DataType::Timestamp(TimeUnit::Millisecond, None))
        .with_context(|| format!("read `{name}` as times"))?;
    Ok(whole)
}
