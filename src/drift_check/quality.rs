//! Rules that the current data must keep by itself.

use std::io;

use arrow::datatypes::{DataType, TimeUnit};

use super::schema::{self, Change};
use crate::config::Quality;
use crate::report::number;
use crate::stats::column::{Categories, Column, Numbers};
use crate::stats::keys::Scale;

/// What the rules of one column, or of the table, came to.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Kept {
    pub(super) rules: usize,
    pub(super) broken: Vec<Change>,
}

impl Kept {
    pub(super) fn add(&mut self, other: Self) {
        self.rules += other.rules;
        self.broken.extend(other.broken);
    }

    pub(super) fn rule(&mut self, subject: &str, warn_only: bool, broken: Option<String>) {
        self.rules += 1;
        if let Some(what) = broken {
            self.broken.push(Change {
                column: subject.to_owned(),
                what,
                breaks: !warn_only,
                rule: "drift/quality",
            });
        }
    }
}

/// The rules about the number of rows.
pub(super) fn of_rows(rules: &[Quality], [before, now]: [u64; 2]) -> Kept {
    let mut kept = Kept::default();
    for rule in rules.iter().filter(|rule| rule.column.is_none()) {
        let mut check = |broken| kept.rule("number of rows", rule.warn_only, broken);
        if let Some(least) = rule.min_rows {
            check((now < least).then(|| format!("is {now}, at least {least} are needed")));
        }
        if let Some(most) = rule.max_rows {
            check((now > most).then(|| format!("is {now}, at most {most} are allowed")));
        }
        if let Some(limit) = rule.rows_change {
            let change = (now as f64 - before as f64).abs() / before as f64;
            let wrong = change.is_nan() || change > limit;
            check(wrong.then(|| {
                format!("went from {before} to {now}: more than {} % apart", number(limit * 100.0))
            }));
        }
    }
    kept
}

/// The rules about one column. `now` is in milliseconds since 1970.
pub(super) fn of_column(
    rules: &[Quality],
    name: &str,
    data_type: &DataType,
    column: &Column,
    now: i64,
) -> io::Result<Kept> {
    let mut kept = Kept::default();
    for rule in rules.iter().filter(|rule| rule.column.as_deref() == Some(name)) {
        let mut found = Vec::new();
        if let Some(limit) = rule.nulls {
            let share = missing(column) as f64 / column.rows() as f64;
            let wrong = share.is_nan() || share > limit;
            found.push(wrong.then(|| {
                format!("is null in a share of {}, at most {}", number(share), number(limit))
            }));
        }
        match column {
            Column::Numbers(numbers) => of_numbers(rule, numbers, data_type, now, &mut found)?,
            Column::Categories(categories) => of_text(rule, categories, data_type, &mut found),
            Column::Presence(_) | Column::Embedding(_) => {
                of_presence(rule, data_type, &mut found);
            }
        }
        for broken in found {
            kept.rule(name, rule.warn_only, broken);
        }
    }
    Ok(kept)
}

/// What is wrong with each condition, in order; nothing where it holds.
type Found = Vec<Option<String>>;

fn of_numbers(
    rule: &Quality,
    numbers: &Numbers,
    data_type: &DataType,
    now: i64,
    found: &mut Found,
) -> io::Result<()> {
    let facts = numbers.facts();
    let any = facts.values > 0;
    // NaN often stands for what is missing; an infinity is beyond every range.
    let beyond = match facts.infinities {
        0 if any || facts.rows() == 0 => None,
        0 => Some("has no value that could keep to its range".to_owned()),
        beyond => Some(format!("is infinite in {beyond} rows")),
    };
    if let Some(least) = rule.min {
        let wrong = (any && facts.min < least)
            .then(|| format!("goes down to {}, at least {}", number(facts.min), number(least)));
        found.push(beyond.clone().or(wrong));
    }
    if let Some(most) = rule.max {
        let wrong = (any && facts.max > most)
            .then(|| format!("goes up to {}, at most {}", number(facts.max), number(most)));
        found.push(beyond.filter(|_| rule.min.is_none()).or(wrong));
    }
    if let Some(age) = rule.max_age() {
        found.push(too_old(facts.values, facts.max, data_type, now, age));
    }
    if rule.unique {
        let told = schema::is_long_decimal(data_type).then(|| {
            "cannot be held to be unique: of decimals with more than 18 digits the last ones are not read"
                .to_owned()
        });
        found.push(match told {
            Some(told) => Some(told),
            None => repeated(repeats(numbers)?),
        });
    }
    if let Some(allowed) = &rule.values {
        found.push(foreign(numbers, allowed)?);
    }
    if rule.pattern.is_some() {
        found.push(Some(format!("is of type {data_type}: `pattern` is for text")));
    }
    Ok(())
}

fn of_text(rule: &Quality, categories: &Categories, data_type: &DataType, found: &mut Found) {
    let texts =
        || categories.counts.keys().map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    if let Some(allowed) = &rule.values {
        let foreign = texts().filter(|text| !allowed.contains(text));
        found.push(named(foreign.collect(), "that are not allowed"));
    }
    if let Some(Ok(pattern)) = rule.pattern.as_deref().map(regex::Regex::new) {
        let unfit = texts().filter(|text| !pattern.is_match(text));
        found.push(named(unfit.collect(), "that do not fit the pattern"));
    }
    if rule.unique {
        found.push(repeated(categories.counts.values().filter(|count| **count > 1).count()));
    }
    if rule.min.is_some() || rule.max.is_some() || rule.fresh_within.is_some() {
        let names = "`min`, `max` and `fresh_within` are for numbers and times";
        found.push(Some(format!("is of type {data_type}: {names}")));
    }
}

fn of_presence(rule: &Quality, data_type: &DataType, found: &mut Found) {
    let others = [
        rule.min.is_some(),
        rule.max.is_some(),
        rule.values.is_some(),
        rule.pattern.is_some(),
        rule.fresh_within.is_some(),
        rule.unique,
    ];
    if others.contains(&true) {
        found.push(Some(format!("is of type {data_type}, which knows `nulls` alone")));
    }
}

fn repeated(values: usize) -> Option<String> {
    (values > 0).then(|| format!("repeats {values} of its values"))
}

fn missing(column: &Column) -> u64 {
    match column {
        Column::Numbers(numbers) => {
            let facts = numbers.facts();
            facts.nulls + facts.nans + facts.infinities
        }
        Column::Categories(categories) => categories.nulls,
        Column::Presence(presence) => presence.nulls,
        Column::Embedding(embedding) => embedding.nulls + embedding.unfit,
    }
}

fn named(mut wrong: Vec<String>, what: &str) -> Option<String> {
    const SHOWN: usize = 3;
    if wrong.is_empty() {
        return None;
    }
    wrong.sort();
    let count = wrong.len();
    wrong.truncate(SHOWN);
    Some(format!("holds {count} values {what}, such as {}", wrong.join(", ")))
}

/// The numbers that are none of these.
fn foreign(numbers: &Numbers, allowed: &[String]) -> io::Result<Option<String>> {
    let parsed: Option<Vec<f64>> = allowed.iter().map(|text| text.trim().parse().ok()).collect();
    let Some(parsed) = parsed else {
        return Ok(Some("is of numbers, and `values` names something else".into()));
    };
    let mut wrong = Vec::new();
    for entry in numbers.rising()? {
        let value = numbers.scale.value(entry?.0);
        if !parsed.contains(&value) {
            wrong.push(value.to_string());
        }
    }
    Ok(named(wrong, "that are not allowed"))
}

/// How many values stand more than once.
fn repeats(numbers: &Numbers) -> io::Result<usize> {
    let mut found = 0;
    for entry in numbers.rising()? {
        found += usize::from(entry?.1 > 1);
    }
    Ok(found)
}

fn too_old(values: u64, newest: f64, data_type: &DataType, now: i64, age: i64) -> Option<String> {
    let per_millisecond = match data_type {
        DataType::Timestamp(TimeUnit::Second, _) => 1e-3,
        DataType::Timestamp(TimeUnit::Millisecond, _) | DataType::Date64 => 1.0,
        DataType::Timestamp(TimeUnit::Microsecond, _) => 1e3,
        DataType::Timestamp(TimeUnit::Nanosecond, _) => 1e6,
        DataType::Date32 => 1.0 / 86_400_000.0,
        other => return Some(format!("is of type {other}, `fresh_within` needs a time")),
    };
    if values == 0 {
        return Some("holds no time at all".into());
    }
    let old = now as f64 - newest / per_millisecond;
    (old > age as f64).then(|| {
        let hours = old / 3_600_000.0;
        format!(
            "is {} hours old at its newest, at most {}",
            number(hours),
            number(age as f64 / 3_600_000.0)
        )
    })
}

/// What a column is counted as when only rules ask for it.
pub(super) fn scale_of_times(data_type: &DataType) -> Option<Scale> {
    data_type.is_temporal().then_some(Scale::Signed { digits: 0 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::stats;
    use crate::stats::column::Measure;
    use arrow::array::{
        ArrayRef, Decimal128Array, Float64Array, Int64Array, StringArray, TimestampMillisecondArray,
    };
    use std::sync::Arc;

    fn rules(text: &str) -> Vec<Quality> {
        let text = format!("drift: {{baseline: a.csv, current: b.csv, quality: [{text}]}}");
        Config::parse("t", &text).unwrap().drift.unwrap().quality
    }

    fn broken(rule: &str, array: &ArrayRef) -> Vec<String> {
        let kind = array.data_type();
        let times = scale_of_times(kind).map(Measure::Numbers);
        let mut column = Column::new(stats::arrow::measure(kind).or(times).unwrap());
        stats::arrow::push(&mut column, array).unwrap();
        let now = 10 * 86_400_000;
        let kept =
            of_column(&rules(&format!("{{column: c, {rule}}}")), "c", kind, &column, now).unwrap();
        assert!(kept.rules > 0);
        kept.broken.into_iter().map(|change| change.what).collect()
    }

    #[test]
    fn each_rule_tells_what_it_saw() {
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), Some(5), Some(5), None]));
        assert_eq!(broken("min: 1, max: 5, nulls: 0.25", &numbers), [""; 0]);
        assert_eq!(broken("min: 2", &numbers), ["goes down to 1, at least 2"]);
        assert_eq!(broken("max: 4", &numbers), ["goes up to 5, at most 4"]);
        assert_eq!(broken("nulls: 0.2", &numbers), ["is null in a share of 0.25, at most 0.2"]);
        assert_eq!(broken("unique: true", &numbers), ["repeats 1 of its values"]);
        assert_eq!(broken("values: ['1', '5.0']", &numbers), [""; 0]);
        let told = ["holds 1 values that are not allowed, such as 5"];
        assert_eq!(broken("values: ['1', '2']", &numbers), told);
        assert!(broken("values: [a]", &numbers)[0].contains("something else"));
        let [nan, inf] = [f64::NAN, f64::INFINITY];
        let floats = |values: &[f64]| -> ArrayRef { Arc::new(Float64Array::from(values.to_vec())) };
        assert_eq!(broken("min: 0", &floats(&[1.0, nan])), [""; 0]);
        assert_eq!(broken("min: 0, max: 2", &floats(&[1.0, inf])), ["is infinite in 1 rows"]);
        assert!(broken("max: 2", &floats(&[nan, nan]))[0].contains("no value"));
        let long = Decimal128Array::from(vec![1i128 << 100]).with_precision_and_scale(38, 0);
        let long: ArrayRef = Arc::new(long.unwrap());
        assert!(broken("unique: true", &long)[0].contains("cannot be held to be unique"));
        let text: ArrayRef = Arc::new(StringArray::from(vec!["AA", "UA", "x1"]));
        assert_eq!(broken("unique: true, values: [AA, UA, x1]", &text), [""; 0]);
        assert_eq!(
            broken("values: [AA]", &text),
            ["holds 2 values that are not allowed, such as UA, x1"]
        );
        assert_eq!(
            broken("pattern: '^[A-Z]+$'", &text),
            ["holds 1 values that do not fit the pattern, such as x1"]
        );
        assert!(broken("min: 3", &text)[0].contains("for numbers"));
    }

    #[test]
    fn freshness_counts_from_the_newest_time() {
        let day = 86_400_000;
        let times: ArrayRef = Arc::new(TimestampMillisecondArray::from(vec![day, 8 * day]));
        assert_eq!(broken("fresh_within: 2d", &times), [""; 0]);
        assert_eq!(
            broken("fresh_within: 24h", &times),
            ["is 48 hours old at its newest, at most 24"]
        );
        let empty: ArrayRef = Arc::new(TimestampMillisecondArray::from(vec![None]));
        assert_eq!(broken("fresh_within: 2d", &empty), ["holds no time at all"]);
    }

    #[test]
    fn the_number_of_rows_has_rules_too() {
        let of = |rule: &str, rows| of_rows(&rules(rule), rows).broken.len();
        assert_eq!(of("{min_rows: 10, max_rows: 20, rows_change: 0.5}", [14, 20]), 0);
        assert_eq!(of("{min_rows: 10, max_rows: 20, rows_change: 0.5}", [14, 22]), 2);
        assert_eq!(of("{rows_change: 0.5}", [0, 0]), 1);
    }

    #[test]
    fn rules_that_say_nothing_are_refused() {
        let refused = |rule: &str| {
            let text = format!("drift: {{baseline: a.csv, current: b.csv, quality: [{rule}]}}");
            Config::parse("t", &text).unwrap_err().message
        };
        assert!(refused("{column: c}").contains("says nothing"));
        assert!(refused("{unique: true}").contains("names no `column`"));
        assert!(refused("{column: c, pattern: '('}").contains("pattern"));
        assert!(refused("{column: c, fresh_within: soon}").contains("fresh_within"));
    }
}
