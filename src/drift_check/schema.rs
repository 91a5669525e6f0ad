//! The columns of both sides: which can be compared, and what changed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, TimeUnit};

use crate::config::Drift;
use crate::names::{Source, quoted};
use crate::report::Fault;
use crate::stats::arrow::measure;
use crate::stats::column::{Kind, Measure};
use crate::stats::derived::Derived;

/// A column that both sides have.
#[derive(Debug, Clone)]
pub(super) struct Common {
    pub(super) fields: [Field; 2],
    pub(super) measure: Measure,
    /// What a warehouse counts, where it can.
    pub(super) sql: Option<String>,
}

impl Common {
    pub(super) fn name(&self) -> &str {
        self.fields[0].name()
    }

    /// Whether a side has decimals of more digits than are read of them.
    pub(super) fn is_long_decimal(&self) -> bool {
        self.fields.iter().any(|field| is_long_decimal(field.data_type()))
    }
}

/// A change of the schema itself, or a rule of quality that is broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) column: String,
    pub(super) what: String,
    /// Whether what reads the data cannot go on: a fault of the feed, no drift.
    pub(super) breaks: bool,
    /// The rule that it is reported under.
    pub(super) rule: &'static str,
}

impl Change {
    /// The rule of windows that brought nothing, more of them than decide.
    pub(super) const SILENT: &str = "drift/silent";

    /// The feed brought nothing.
    pub(super) fn empty(side: &str) -> Self {
        let what = "has no rows".to_owned();
        Self { column: side.to_owned(), what, breaks: true, rule: "drift/empty" }
    }
}

#[derive(Debug, Clone, Default)]
pub(super) struct Chosen {
    pub(super) common: Vec<Common>,
    pub(super) changes: Vec<Change>,
    /// Thresholds that the baseline's own windows taught, by column.
    pub(super) learnt: BTreeMap<String, f64>,
    /// All columns of the current side.
    pub(super) known: Vec<String>,
    /// Columns whose type has no drift of its own, but for that of their nulls.
    pub(super) skipped: Vec<String>,
}

/// # Errors
/// When the policy names a column that the baseline lacks.
pub(super) fn choose(policy: &Drift, baseline: &Schema, current: &Schema) -> Result<Chosen, Fault> {
    let [then, now] = [baseline, current].map(places);
    let judged = || {
        let limits = policy.critical.iter().chain(policy.limits.keys());
        limits.chain(policy.weights.keys()).chain(policy.edges.keys())
    };
    let is_label = |name: &String| policy.performance.as_ref().is_some_and(|it| it.label == *name);
    let is_target = |name: &String| policy.target() == Some(name);
    // What is known elsewhere can be left out, too.
    let excluded = policy.exclude.iter().filter(|name| !is_label(name));
    for column in policy.columns.iter().chain(excluded).chain(judged()) {
        if !then.contains_key(column.as_str()) && !is_target(column) {
            let baseline = &policy.baseline;
            let fault = Fault::usage(format!("the baseline `{baseline}` has no column `{column}`"));
            return Err(fault.or_near(column, then.keys().copied()));
        }
    }
    refuse_twins(&policy.baseline, baseline)?;
    refuse_twins(&policy.current, current)?;
    let known_now = current.fields().iter().map(|field| field.name().clone());
    let mut chosen = Chosen { known: known_now.collect(), ..Chosen::default() };
    let wanted = |name: &String| {
        let derived = policy.derived.iter().any(|derived| derived.name() == name);
        // Labels come late: their nulls are a matter of `performance`.
        if is_label(name) && !policy.columns.contains(name) {
            return false;
        }
        !policy.exclude.contains(name)
            && (policy.columns.is_empty() || derived || policy.columns.contains(name))
    };
    for field in baseline.fields().iter().filter(|field| wanted(field.name())) {
        match now.get(field.name().as_str()) {
            Some(at) => chosen.pair(policy, field, current.field(*at))?,
            None => chosen.change(field.name(), "is missing now".into(), true),
        }
    }
    for field in current.fields() {
        if policy.columns.is_empty() && !then.contains_key(field.name().as_str()) {
            chosen.change(field.name(), "is new".into(), false);
        }
    }
    for column in judged() {
        if !wanted(column) && !is_target(column) {
            return Err(Fault::usage(format!("the policy judges `{column}` and leaves it out"))
                .hint("take it out of `exclude`, or add it to `columns`"));
        }
        if chosen.skipped.contains(column) && policy.limits.contains_key(column) {
            return Err(Fault::usage(format!(
                "`{column}` has no effect to limit: its type has no drift of its own"
            ))
            .hint("hold times to rules of `quality`, such as `fresh_within`"));
        }
    }
    let fields = baseline.fields().iter().map(|field| field.name());
    let kept =
        fields.filter(|name| wanted(name)).filter_map(|name| now.get(name.as_str()).copied());
    chosen.tell_order(&kept.collect::<Vec<_>>(), current);
    if chosen.common.is_empty() && chosen.changes.is_empty() && chosen.skipped.is_empty() {
        let (a, b) = (&policy.baseline, &policy.current);
        return Err(Fault::usage(format!("`{a}` and `{b}` have no column that can be compared")));
    }
    Ok(chosen)
}

/// Where each column stands: asking the schema for each of many names takes long.
fn places(schema: &Schema) -> BTreeMap<&str, usize> {
    let fields = schema.fields().iter().enumerate();
    fields.map(|(at, field)| (field.name().as_str(), at)).collect()
}

/// Refuses a name that two columns have.
fn refuse_twins(side: &Source, schema: &Schema) -> Result<(), Fault> {
    let mut seen = BTreeSet::new();
    let mut names = schema.fields().iter().map(|field| field.name().as_str());
    names.find(|name| !seen.insert(*name)).map_or(Ok(()), |name| {
        Err(Fault::usage(format!("`{side}` has two columns called `{name}`")))
    })
}

impl Chosen {
    fn change(&mut self, column: &str, what: String, breaks: bool) {
        let column = column.to_owned();
        self.changes.push(Change { column, what, breaks, rule: "drift/schema" });
    }

    /// Whoever reads by position is misled by another order of the columns.
    fn tell_order(&mut self, places: &[usize], current: &Schema) {
        if let Some(at) = places.windows(2).position(|pair| pair[0] > pair[1]) {
            let first = current.field(places[at + 1]).name();
            self.change(first, "comes earlier than it did".into(), false);
        }
    }

    fn pair(&mut self, policy: &Drift, then: &Field, now: &Field) -> Result<(), Fault> {
        let (old, new) = (then.data_type(), now.data_type());
        if now.is_nullable() && !then.is_nullable() {
            self.change(then.name(), "may be null now, which it could not".into(), false);
        }
        let derived = policy.derived.iter().find(|derived| derived.name() == then.name());
        let is_points = derived.is_some_and(Derived::is_embedding);
        // A text that is compared by its words is not compared as a whole, too.
        let is_replaced = !policy.columns.contains(then.name())
            && policy
                .derived
                .iter()
                .any(|other| other.replaces_root() && other.root() == then.name());
        let measured = |kind: &DataType| match (is_points, is_replaced) {
            (true, _) => Some(Measure::Embedding),
            (_, true) => None,
            _ => measure(kind),
        };
        let measures = (measured(old), measured(new));
        let sql = derived.map_or_else(|| Some(quoted(then.name())), Derived::sql);
        let common = measures.0.zip(measures.1).and_then(|(a, b)| a.common(b));
        // A side that is null throughout may have lost its type.
        let common = common
            .or_else(|| measures.1.filter(|_| *old == DataType::Null))
            .or_else(|| measures.0.filter(|_| *new == DataType::Null));
        if let Some(measure) = common {
            let kind = measure.kind();
            let statistic = policy.limit(then.name(), kind).statistic;
            if !statistic.fits(kind) {
                return Err(Fault::usage(format!(
                    "`limits.{}`: `{}` is not defined for {}",
                    then.name(),
                    statistic.as_str(),
                    kind.plural()
                )));
            }
            if policy.edges.contains_key(then.name()) && kind != Kind::Numbers {
                let (name, kinds) = (then.name(), kind.plural());
                return Err(Fault::usage(format!("`edges.{name}`: {kinds} have no bins")));
            }
            if plain(old) != plain(new) {
                // Points of other dimensions cannot be compared at all.
                let breaks = lengths(old).zip(lengths(new)).is_some_and(|(a, b)| a != b);
                self.change(then.name(), format!("was {old} and is {new}"), breaks);
            }
            self.common.push(Common { fields: [then.clone(), now.clone()], measure, sql });
        } else if measures == (None, None) {
            if plain(old) != plain(new) {
                // A time of another zone or a day is a point in time, told and no fault
                // of the feed; a duration is none.
                let is_point = |kind: &DataType| {
                    matches!(kind, DataType::Timestamp(..) | DataType::Date32 | DataType::Date64)
                };
                let breaks = !(is_point(old) && is_point(new));
                self.change(then.name(), format!("was {old} and is {new}"), breaks);
            }
            self.skipped.push(then.name().clone());
            let fields = [then.clone(), now.clone()];
            self.common.push(Common { fields, measure: Measure::Presence, sql });
        } else {
            self.change(then.name(), format!("was {old} and is {new}"), true);
        }
        Ok(())
    }
}

/// How many elements every list has.
fn lengths(data_type: &DataType) -> Option<i32> {
    match data_type {
        DataType::FixedSizeList(_, length) => Some(*length),
        _ => None,
    }
}

/// A type without what only tells how its values are stored: the width of offsets,
/// the unit of times, the names of lists' elements.
fn plain(data_type: &DataType) -> DataType {
    let inner =
        |field: &Field, name: &str| Arc::new(Field::new(name, plain(field.data_type()), true));
    match data_type {
        DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
        DataType::LargeBinary | DataType::BinaryView => DataType::Binary,
        DataType::Dictionary(_, values) => plain(values),
        DataType::Timestamp(_, zone) => DataType::Timestamp(TimeUnit::Second, zone.clone()),
        DataType::Date64 => DataType::Date32,
        DataType::Time32(_) | DataType::Time64(_) => DataType::Time64(TimeUnit::Nanosecond),
        DataType::Duration(_) => DataType::Duration(TimeUnit::Second),
        DataType::List(of)
        | DataType::LargeList(of)
        | DataType::ListView(of)
        | DataType::LargeListView(of) => DataType::List(inner(of, "item")),
        DataType::FixedSizeList(of, length) => DataType::FixedSizeList(inner(of, "item"), *length),
        DataType::Struct(fields) => {
            DataType::Struct(fields.iter().map(|field| inner(field, field.name())).collect())
        }
        other => other.clone(),
    }
}

/// Whether values of this type may have more digits than are read of them.
pub(super) fn is_long_decimal(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Decimal128(precision, _) | DataType::Decimal256(precision, _) if *precision > 18
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::keys::Scale;

    fn chosen(
        policy: &str,
        base: &[(&str, DataType)],
        now: &[(&str, DataType)],
    ) -> Result<Chosen, Fault> {
        let schema = |fields: &[(&str, DataType)]| {
            let field = |(name, kind): &(&str, DataType)| Field::new(*name, kind.clone(), true);
            Schema::new(fields.iter().map(field).collect::<Vec<_>>())
        };
        let text = format!("drift: {{baseline: a.csv, current: b.csv{policy}}}");
        let policy = crate::config::Config::parse("t", &text).unwrap().drift.unwrap();
        choose(&policy, &schema(base), &schema(now))
    }

    #[test]
    fn a_column_that_went_missing_breaks_and_a_new_one_does_not() {
        let both = [("a", DataType::Int64), ("b", DataType::Utf8)];
        let found = chosen("", &both, &[("a", DataType::Int64), ("c", DataType::Utf8)]).unwrap();
        let told: Vec<_> =
            found.changes.iter().map(|change| (change.column.as_str(), change.breaks)).collect();
        assert_eq!(told, [("b", true), ("c", false)]);
        assert_eq!(found.common.len(), 1);
        assert!(chosen(", exclude: [b]", &both, &both[..1]).unwrap().changes.is_empty());
    }

    #[test]
    fn numbers_stay_comparable_and_text_is_no_number() {
        let of = |kind: DataType| [("a", kind)];
        let found = chosen("", &of(DataType::Int32), &of(DataType::Float64)).unwrap();
        assert_eq!(found.common[0].measure, Measure::Numbers(Scale::Float));
        assert!(!found.changes[0].breaks);
        let found = chosen("", &of(DataType::Int32), &of(DataType::Utf8)).unwrap();
        assert!(found.changes[0].breaks && found.common.is_empty());
        let found = chosen("", &of(DataType::Utf8), &of(DataType::LargeUtf8)).unwrap();
        assert!(found.changes.is_empty());
        let found = chosen("", &of(DataType::Date32), &of(DataType::Date32)).unwrap();
        assert_eq!((found.skipped, found.common[0].measure), (vec!["a".into()], Measure::Presence));
    }

    #[test]
    fn how_values_are_stored_is_no_change_and_a_zone_breaks_nothing() {
        let of = |kind: DataType| [("a", kind)];
        let time = |unit, zone: Option<&str>| DataType::Timestamp(unit, zone.map(Into::into));
        let list = |name: &str| {
            DataType::List(Arc::new(Field::new(name, DataType::Float32, name == "item")))
        };
        for (then, now) in [
            (time(TimeUnit::Millisecond, None), time(TimeUnit::Microsecond, None)),
            (list("item"), list("element")),
            (list("item"), DataType::new_large_list(DataType::Float32, true)),
        ] {
            let found = chosen("", &of(then), &of(now)).unwrap();
            assert!(found.changes.is_empty(), "{:?}", found.changes);
        }
        let naive = of(time(TimeUnit::Second, None));
        let found = chosen("", &naive, &of(time(TimeUnit::Second, Some("UTC")))).unwrap();
        assert!(!found.changes[0].breaks, "{:?}", found.changes);
        let found = chosen("", &naive, &of(list("item"))).unwrap();
        assert!(found.changes[0].breaks);
    }

    #[test]
    fn nulls_that_may_come_and_another_order_are_told() {
        let policy = crate::config::Config::parse("t", "drift: {baseline: a.csv, current: b.csv}");
        let policy = policy.unwrap().drift.unwrap();
        let field = |name: &str, nullable| Field::new(name, DataType::Int64, nullable);
        let then = Schema::new(vec![field("a", false), field("b", true), field("c", true)]);
        let now = Schema::new(vec![field("c", true), field("a", true), field("b", false)]);
        let found = choose(&policy, &then, &now).unwrap();
        let told: Vec<_> = found
            .changes
            .iter()
            .map(|change| (change.column.as_str(), change.what.as_str(), change.breaks))
            .collect();
        assert_eq!(
            told,
            [
                ("a", "may be null now, which it could not", false),
                ("c", "comes earlier than it did", false),
            ]
        );
        assert!(choose(&policy, &then, &then).unwrap().changes.is_empty());
    }

    #[test]
    fn a_name_that_is_wrong_is_told_with_the_near_one() {
        let fields = [("temperature", DataType::Float64)];
        let refused = chosen(", critical: [temprature]", &fields, &fields).unwrap_err();
        assert!(refused.hint.unwrap().contains("`temperature`"));
        let refused = chosen(", limits: {temperature: {statistic: cramers_v}}", &fields, &fields);
        assert!(refused.unwrap_err().message.contains("not defined for numbers"));
        let elsewhere = "performance: {problem: binary, label: late, score: temperature, metrics: {roc_auc: 0.1}}";
        let named = |more: &str| chosen(&format!(", {more}, {elsewhere}"), &fields, &fields);
        assert!(named("limits: {late: {statistic: cramers_v}}").is_ok());
        assert!(named("exclude: [late]").is_ok());
        let refused = named("columns: [temperature, late]").unwrap_err();
        assert!(refused.message.contains("has no column `late`"), "{}", refused.message);
        let refused = named("exclude: [late], weights: {late: 2}").unwrap_err();
        assert!(refused.message.contains("has no column `late`"), "{}", refused.message);
        let text = [("carrier", DataType::Utf8)];
        let refused = chosen(", edges: {carrier: [1, 2]}", &text, &text).unwrap_err();
        assert_eq!(refused.message, "`edges.carrier`: categories have no bins");
    }
}
