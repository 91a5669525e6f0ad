//! Labels that are there, late, elsewhere or missing.

use super::*;
use crate::config::Config;
use arrow::array::{ArrayRef, Float64Array, StringArray, TimestampMillisecondArray};
use std::sync::Arc;

const DAY: i64 = 86_400_000;

fn policy(more: &str) -> Performance {
    let text = format!(
        "drift: {{baseline: a.csv, current: b.csv, performance: {{problem: binary, label: y, score: s, metrics: {{roc_auc: 0.05, accuracy: 0.05}}{more}}}}}"
    );
    Config::parse("t", &text).unwrap().drift.unwrap().performance.unwrap()
}

/// Scores that tell the label with this much noise, one row per minute.
fn rows(count: usize, noise: f64, known: impl Fn(usize) -> bool) -> RecordBatch {
    let at = |row: usize, step: f64| ((row as f64 + 1.0) * step).fract();
    let score = |row: usize| at(row, 0.618_033_988_749_894_9);
    let label = |row: usize| {
        let shaken = score(row) + noise * (at(row, 0.754_877_666_246_692_7) - 0.5);
        known(row).then(|| u8::from(shaken > 0.5).to_string())
    };
    let columns: [(&str, ArrayRef); 4] = [
        ("k", Arc::new((0..count).map(|row| Some(row.to_string())).collect::<StringArray>())),
        ("s", Arc::new((0..count).map(|row| Some(score(row))).collect::<Float64Array>())),
        ("y", Arc::new((0..count).map(label).collect::<StringArray>())),
        (
            "t",
            Arc::new(TimestampMillisecondArray::from_iter_values(
                (0..count).map(|row| row as i64 * 60_000),
            )),
        ),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

fn asked(policy: &Performance, batches: [RecordBatch; 2], clock: i64) -> Vec<(String, String)> {
    let rows = batches.map(|batch| Rows { labels: labels(policy, &batch, None).unwrap(), batch });
    let found = performance(policy, &[], [&rows[0], &rows[1]], (clock, 20)).unwrap();
    let words = |compared: &Compared| compared.own.as_ref().unwrap().told.clone();
    found.iter().map(|compared| (compared.column.clone(), words(compared))).collect()
}

#[test]
fn a_model_that_got_worse_is_seen_with_labels_and_estimated_without() {
    let policy = policy("");
    let both = [rows(3000, 0.2, |_| true), rows(2000, 1.6, |_| true)];
    let made =
        both.clone().map(|batch| Rows { labels: labels(&policy, &batch, None).unwrap(), batch });
    let found = performance(&policy, &[], [&made[0], &made[1]], (DAY, 20)).unwrap();
    let names: Vec<&str> = found.iter().map(|compared| compared.column.as_str()).collect();
    assert_eq!(names, ["roc_auc", "accuracy", "roc_auc (estimated)", "accuracy (estimated)"]);
    let worse = found[0].effects[0];
    assert!(worse.corrected > 0.05 && found[0].tested.p_value < 1e-6, "{worse:?}");
    // The scores are as they were: without labels there is nothing to see.
    assert!(found[2].effects[0].corrected < 0.02, "{:?}", found[2]);
    let blind = [both[0].clone(), rows(2000, 1.6, |_| false)];
    let names: Vec<String> = asked(&policy, blind, DAY).into_iter().map(|told| told.0).collect();
    assert_eq!(names, ["roc_auc (estimated)", "accuracy (estimated)"]);
}

#[test]
fn labels_that_are_missing_are_no_answer_unless_they_are_too_young() {
    let policy_of = |more: &str| policy(&format!(", estimate: false{more}"));
    let both = || [rows(2000, 0.2, |_| true), rows(2000, 0.2, |row| row < 1000)];
    let told = asked(&policy_of(""), both(), DAY);
    assert_eq!(told[0].0, "labels");
    assert!(told[0].1.starts_with("1000 of 2000 mature rows have a label now"), "{told:?}");
    // After 1,090 minutes with a lag of 90, rows up to 1,000 are mature.
    let lag = ", time: t, matured_after: 90m";
    let told = asked(&policy_of(lag), both(), 1090 * 60_000);
    assert_eq!(told.len(), 2, "{told:?}");
    // Two rows are no answer, whatever their share.
    let few = asked(&policy_of(lag), both(), 91 * 60_000);
    assert_eq!(few[0].0, "labels", "{few:?}");
    // Nothing estimates this one: without labels it has no answer.
    let text = "drift: {baseline: a.csv, current: b.csv, performance: {problem: regression, label: y, score: s, metrics: {r2: 0.1, mae: 0.1}}}";
    let regression = Config::parse("t", text).unwrap().drift.unwrap().performance.unwrap();
    let blind = [rows(2000, 0.2, |_| true), rows(2000, 0.2, |_| false)];
    let names: Vec<String> =
        asked(&regression, blind, DAY).into_iter().map(|told| told.0).collect();
    assert_eq!(names, ["mae (estimated)", "labels"]);
    let none = [rows(2000, 0.2, |_| false), rows(2000, 0.2, |_| true)];
    let told = asked(&policy(""), none, DAY);
    assert!(told[0].1.contains("on the baseline"), "{told:?}");
}

/// All labels that are there, or those of some rows.
fn known(policy: &Performance, batch: &RecordBatch, of: &RecordBatch) -> Result<Known> {
    let key = ["k".to_owned()];
    let wanted = keys(of, &key)?.into_iter().flatten().collect();
    let mut found = Known::new();
    learn(&mut found, policy, batch, (&key, &wanted))?;
    Ok(found)
}

#[test]
fn labels_are_found_by_their_key_and_two_of_them_are_refused() {
    let policy = policy(", labels: {source: l.csv, key: [k]}");
    let own = rows(50, 0.2, |_| true);
    let found = known(&policy, &own, &own).unwrap();
    assert_eq!(labels(&policy, &own, Some(&found)).unwrap(), texts(&own, "y").unwrap());
    let fewer = known(&policy, &own.slice(0, 10), &own).unwrap();
    // Of a table of labels only those are kept that are asked for.
    assert_eq!(known(&policy, &own, &own.slice(0, 10)).unwrap(), fewer);
    let joined = labels(&policy, &own, Some(&fewer)).unwrap();
    assert_eq!(joined.iter().flatten().count(), 10);
    let other = RecordBatch::try_from_iter([
        ("k", Arc::new(StringArray::from(vec!["1", "1"])) as ArrayRef),
        ("y", Arc::new(StringArray::from(vec!["0", "1"])) as ArrayRef),
    ]);
    let other = other.unwrap();
    let refused = known(&policy, &other, &other).unwrap_err().to_string();
    assert!(refused.contains("the key `1` has two labels"), "{refused}");
}

#[test]
fn what_is_no_score_is_refused() {
    let plain = policy("");
    let wrong = RecordBatch::try_from_iter([
        ("s", Arc::new(Float64Array::from(vec![0.5, 1.5])) as ArrayRef),
        ("y", Arc::new(StringArray::from(vec!["0", "1"])) as ArrayRef),
    ])
    .unwrap();
    let pair = Rows { labels: labels(&plain, &wrong, None).unwrap(), batch: wrong };
    let refused = performance(&plain, &[], [&pair, &pair], (DAY, 1)).unwrap_err().to_string();
    assert!(refused.contains("holds 1.5"), "{refused}");
    let text = "drift: {baseline: a.csv, current: b.csv, performance: {problem: regression, label: y, score: s, metrics: {mae: 1}}}";
    let regression = Config::parse("t", text).unwrap().drift.unwrap().performance.unwrap();
    let words = vec![Some("1.5".to_owned()), Some("late".to_owned())];
    let pair = Rows { labels: words, ..pair };
    let refused = performance(&regression, &[], [&pair, &pair], (DAY, 1)).unwrap_err().to_string();
    assert!(refused.contains("the label `late` of `y` is no number"), "{refused}");
    let policy = policy(", positive: late");
    let both = [rows(50, 0.2, |_| true), rows(50, 0.2, |_| true)]
        .map(|batch| Rows { labels: labels(&policy, &batch, None).unwrap(), batch });
    let refused = performance(&policy, &[], [&both[0], &both[1]], (DAY, 1)).unwrap_err();
    assert!(refused.to_string().contains("no label in `y` is `late`"), "{refused}");
    assert!(is_class("1", "1.0") && is_class("1", "true") && !is_class("a", "b"));
    let text = "drift: {baseline: a.csv, current: b.csv, performance: {problem: binary, label: y, score: s, metrics: {rmse: 1}}}";
    let refused = Config::parse("t", text).unwrap_err().message;
    assert!(refused.contains("`rmse` is not a metric of binary problems"), "{refused}");
}

/// What each metric of a problem came to: its words, and whether it is worse.
fn told(policy: &str, then: RecordBatch, now: RecordBatch) -> Vec<(String, bool)> {
    let text = format!(
        "drift: {{baseline: a.csv, current: b.csv, performance: {{label: y, estimate: false, {policy}}}}}"
    );
    let policy = Config::parse("t", &text).unwrap().drift.unwrap().performance.unwrap();
    let rows =
        [then, now].map(|batch| Rows { labels: labels(&policy, &batch, None).unwrap(), batch });
    let found = performance(&policy, &[], [&rows[0], &rows[1]], (DAY, 20)).unwrap();
    let is_worse = |compared: &Compared| {
        let own = compared.own.as_ref().unwrap();
        let effect = compared.effects[0];
        (
            own.told.clone(),
            effect.corrected > own.limit.threshold() && compared.tested.p_value < 0.01,
        )
    };
    found.iter().map(is_worse).collect()
}

fn columns(columns: &[(&str, Vec<f64>)]) -> RecordBatch {
    let column = |values: &Vec<f64>| -> ArrayRef { Arc::new(Float64Array::from(values.clone())) };
    let columns = columns.iter().map(|(name, values)| (*name, column(values)));
    RecordBatch::try_from_iter(columns).unwrap()
}

fn each(rows: u32, of: impl Fn(u32) -> f64) -> Vec<f64> {
    (0..rows).map(of).collect()
}

#[test]
fn every_kind_of_problem_is_watched_where_labels_are_known() {
    // The second class is taken for the first in every third of its rows.
    let classes = |broken: bool| {
        let said = move |row: u32| if broken && row % 9 == 1 { 0 } else { row % 3 };
        let score =
            move |class: u32| each(900, move |row| if said(row) == class { 0.8 } else { 0.1 });
        columns(&[
            ("y", each(900, |row| f64::from(row % 3))),
            ("a", score(0)),
            ("b", score(1)),
            ("c", score(2)),
        ])
    };
    let policy = "problem: multiclass, scores: {0: a, 1: b, 2: c}, k: 1, metrics: {f1_weighted: 0.05, cohen_kappa: 0.05, top_k: 0.05, log_loss: 0.05}";
    assert_eq!(
        told(policy, classes(false), classes(true)),
        [
            ("log_loss 0.2231 → 0.4542".to_owned(), true),
            ("f1_weighted 1 → 0.8857".to_owned(), true),
            ("top_k 1 → 0.8889".to_owned(), true),
            ("cohen_kappa 1 → 0.8333".to_owned(), true),
        ]
    );
    // Four rows of a group, the best of them first, or last.
    let ranked = |sign: f64| {
        columns(&[
            ("q", each(800, |row| f64::from(row / 4))),
            ("y", each(800, |row| f64::from(u8::from(row % 4 == row / 4 % 2)))),
            ("s", each(800, |row| sign * f64::from(row % 4))),
        ])
    };
    let policy = "problem: ranking, score: s, group: q, metrics: {ndcg: 0.05, mrr: 0.05}";
    let found = told(policy, ranked(-1.0), ranked(1.0));
    assert_eq!(found[0], ("ndcg 0.8155 → 0.4653".to_owned(), true));
    assert_eq!(found[1], ("mrr 0.75 → 0.2917".to_owned(), true));
}

#[test]
fn what_has_no_better_side_may_move_to_neither() {
    let forecast = |off: f64| {
        columns(&[
            ("y", each(400, |row| f64::from(row % 7))),
            ("s", each(400, |row| f64::from(row % 7) + off + f64::from(row % 2))),
            ("low", each(400, |row| f64::from(row % 7) - 1.0 + off)),
            ("high", each(400, |row| f64::from(row % 7) + 1.0 + off)),
            ("naive", each(400, |_| 2.0)),
        ])
    };
    let policy = "problem: forecast, score: s, bounds: [low, high], scale: naive, metrics: {bias: 0.1, coverage: 0.1, mase: 0.5}";
    let found = told(policy, forecast(0.0), forecast(-2.0));
    assert_eq!(
        found,
        [
            ("bias 0.5 → -1.5".to_owned(), true),
            ("mase 0.25 → 0.75".to_owned(), false),
            ("coverage 1 → 0".to_owned(), true),
        ]
    );
    let refused = |policy: &str| {
        let text = format!(
            "drift: {{baseline: a.csv, current: b.csv, performance: {{label: y, {policy}}}}}"
        );
        Config::parse("t", &text).unwrap_err().message
    };
    let wrong = refused("problem: forecast, score: s, metrics: {width: 1}");
    assert!(wrong.contains("`metrics.width` needs `bounds`"), "{wrong}");
    let wrong = refused("problem: ranking, score: s, metrics: {ndcg: 1}");
    assert!(wrong.contains("`group` names the column"), "{wrong}");
}
