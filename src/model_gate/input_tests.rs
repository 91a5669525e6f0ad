use arrow::array::{ArrayRef, RecordBatch};

use super::*;
use crate::stats::metrics::Answers;
use std::sync::Arc;

use arrow::array::{BooleanArray, Float64Array, Int64Array, StringArray};
use serde_json::Value;

use crate::model_gate::{fairness, measure};
use crate::report::FaultKind;
use crate::sys::fs;
use crate::verdict;

fn policy() -> Gate {
    let text = "gate: {problem: binary, predictions: a.b.c, key: [id], label: y, candidate: p, champion: q, rules: [{metric: roc_auc, min: 0.5}]}";
    crate::config::Config::parse("t", text).unwrap().gate.unwrap()
}

fn refused(columns: Vec<(&str, ArrayRef)>) -> String {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let frame = Frame::one(&[batch], &policy().key);
    frame.and_then(|frame| judge(&frame, &policy(), true)).unwrap_err().to_string()
}

fn ids(values: &[i64]) -> ArrayRef {
    Arc::new(Int64Array::from(values.to_vec()))
}

fn floats(values: &[f64]) -> ArrayRef {
    Arc::new(Float64Array::from(values.to_vec()))
}

#[test]
fn what_cannot_be_judged_is_refused_with_the_reason() {
    let fine = floats(&[0.1, 0.9]);
    let y = floats(&[0.0, 1.0]);
    let with = |id: ArrayRef, y: ArrayRef, p: ArrayRef| {
        refused(vec![("id", id), ("y", y), ("p", p), ("q", fine.clone())])
    };
    assert!(
        with(ids(&[7, 7]), y.clone(), fine.clone())
            .contains("1 rows repeat the key of another, such as id = 7")
    );
    assert!(with(ids(&[1, 2]), floats(&[1.0, 1.0]), fine.clone()).contains("single class"));
    assert!(with(ids(&[1, 2]), floats(&[0.0, 2.0]), fine.clone()).contains("holds 2"));
    assert!(
        with(ids(&[1, 2]), y.clone(), floats(&[0.1, f64::NAN])).contains("not finite in 1 of 2")
    );
    assert!(with(ids(&[1, 2]), y.clone(), floats(&[0.1, 1.5])).contains("holds 1.5"));
    let text: ArrayRef = Arc::new(StringArray::from(vec!["a", "b"]));
    assert!(with(ids(&[1, 2]), y.clone(), text).contains("Utf8"));
    let holes: ArrayRef = Arc::new(Float64Array::from(vec![Some(0.1), None]));
    assert!(with(ids(&[1, 2]), y, holes).contains("null in 1 of 2"));
    assert!(
        judge(&Frame::one(&[], &["id".to_owned()]).unwrap(), &policy(), false)
            .unwrap_err()
            .to_string()
            .contains("no rows")
    );
}

#[test]
fn booleans_are_labels() {
    let y: ArrayRef = Arc::new(BooleanArray::from(vec![false, true]));
    let batch = RecordBatch::try_from_iter(vec![
        ("id", ids(&[1, 2])),
        ("y", y),
        ("p", floats(&[0.1, 0.9])),
    ])
    .unwrap();
    let judged =
        judge(&Frame::one(&[batch], &["id".to_owned()]).unwrap(), &policy(), false).unwrap();
    let Answers::Scores(scores) = &judged.candidate.answers else { panic!() };
    assert_eq!((judged.rows, scores.labels()), (2, [0.0, 1.0].as_slice()));
}

fn texts_of(values: &[&str]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

fn parsed(gate: &str) -> Gate {
    crate::config::Config::parse("t", &format!("gate: {gate}")).unwrap().gate.unwrap()
}

#[test]
fn golden_fairness_of_fairlearn() {
    let golden: Value =
        serde_json::from_str(&fs::read_text("tests/golden/answers.json").unwrap()).unwrap();
    let golden = &golden["fairness"];
    let numbers = |name: &str| -> Vec<f64> {
        golden[name].as_array().unwrap().iter().map(|value| value.as_f64().unwrap()).collect()
    };
    let who: Vec<&str> =
        golden["who"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    let (y, p) = (numbers("truth"), numbers("score"));
    let id: Vec<i64> = (0..y.len() as i64).collect();
    let batch = RecordBatch::try_from_iter([
        ("id", ids(&id)),
        ("y", floats(&y)),
        ("p", floats(&p)),
        ("who", texts_of(&who)),
    ]);
    let frame = Frame::one(&[batch.unwrap()], &["id".to_owned()]).unwrap();
    for measure in ["demographic_parity", "equal_opportunity", "equalized_odds"] {
        for (kind, key) in [("max_difference", "difference"), ("min_ratio", "ratio")] {
            let policy = parsed(&format!(
                "{{problem: binary, predictions: a.b.c, key: [id], label: y, candidate: p, rules: [{{metric: roc_auc, min: 0.5}}], fairness: [{{by: who, measure: {measure}, {kind}: 0.5, min_rows: 1}}]}}"
            ));
            let judged = judge(&frame, &policy, false).unwrap();
            let groups = fairness::measure(&policy, &judged);
            let measured = crate::record::evidence::Measured { groups, ..Default::default() };
            let decision = verdict::decide(&policy, &measured, "2026-01-01T00:00:00Z");
            let found = decision.checks.iter().find_map(|check| check.value).unwrap();
            let expected = golden[format!("{measure}_{key}")].as_f64().unwrap();
            assert!((found - expected).abs() < 1e-12, "{measure} {key}: {found} {expected}");
        }
    }
}

#[test]
fn two_tables_meet_by_their_key() {
    let ours = |keys: &[i64]| {
        let values: Vec<f64> = keys.iter().map(|key| *key as f64).collect();
        RecordBatch::try_from_iter([("id", ids(keys)), ("p", floats(&values))]).unwrap()
    };
    let key = ["id".to_owned()];
    let frame = Frame::two(&[ours(&[3, 1, 2])], &[ours(&[1, 2]), ours(&[3])], &key).unwrap();
    assert_eq!(frame.rows, frame.champion);
    let refused =
        format!("{:#}", Frame::two(&[ours(&[1, 2, 4])], &[ours(&[1, 3])], &key).unwrap_err());
    assert!(refused.contains("2 (such as id = 2) rows of the candidate"), "{refused}");
    assert!(refused.contains("1 (such as id = 3) of the champion's"), "{refused}");
    let refused = format!("{:#}", Frame::two(&[ours(&[1])], &[ours(&[1, 1])], &key).unwrap_err());
    assert!(refused.contains("repeat the key"), "{refused}");
}

#[test]
fn every_problem_is_judged_from_its_columns() {
    let n = 60;
    let id: Vec<i64> = (0..n).collect();
    let half: Vec<f64> = id.iter().map(|i| (*i % 7) as f64 / 7.0).collect();
    let other: Vec<f64> = half.iter().map(|p| 1.0 - p).collect();
    let number: Vec<f64> = id.iter().map(|i| (*i % 5) as f64).collect();
    let class: Vec<&str> = id.iter().map(|i| if i % 3 == 0 { "x" } else { "z" }).collect();
    let group: Vec<i64> = id.iter().map(|i| i / 6).collect();
    let batch = RecordBatch::try_from_iter([
        ("id", ids(&id)),
        ("half", floats(&half)),
        ("other", floats(&other)),
        ("number", floats(&number)),
        ("class", texts_of(&class)),
        ("group", ids(&group)),
    ]);
    let frame = Frame::one(&[batch.unwrap()], &["id".to_owned()]).unwrap();
    for (gate, checks) in [
        (
            "{problem: multiclass, label: class, candidate_scores: {x: half, z: other}, champion_scores: {x: other, z: half}, rules: [{metric: log_loss, max: 9, not_worse_than: 1}, {metric: f1_micro, better_than_champion: true, method: permutation}, {metric: accuracy, better_than_champion: true, method: mcnemar}], ",
            4,
        ),
        (
            "{problem: regression, label: number, candidate: half, champion: other, rules: [{metric: mae, max: 9, not_worse_than: 50%}, {metric: r2, min: -99, on: bound}], ",
            3,
        ),
        (
            "{problem: ranking, label: number, group: group, candidate: half, champion: other, k: 3, rules: [{metric: ndcg, min: 0.1, not_worse_than: 0.9}], ",
            2,
        ),
        (
            "{problem: forecast, label: number, scale: number, candidate: half, champion: other, candidate_bounds: [half, number], champion_bounds: [half, number], rules: [{metric: wape, max: 9}, {metric: coverage, min: 0.1}], ",
            2,
        ),
        (
            "{problem: other, measures: {judge: {candidate: half, champion: other}, slow: {candidate: number * 100, aggregate: quantile, at: 0.95, better: lower}, exact: {candidate: class = 'x', aggregate: rate}}, rules: [{metric: judge, not_worse_than: 0.9}, {metric: slow, max: 500}, {metric: exact, min: 0.1}], slices: {columns: [class], min_rows: 5, rules: [{metric: judge, min: 0.1}]}, ",
            5,
        ),
    ] {
        let policy = parsed(&format!(
            "{gate} predictions: a.b.c, key: [id], min_rows: 10, resamples: 200}}"
        ));
        let judged = judge(&frame, &policy, true);
        if policy.scale.is_some() {
            assert!(judged.unwrap_err().to_string().contains("scale `number` holds 0"));
            continue;
        }
        let measured = measure::measure(&judged.unwrap(), &policy, 1);
        let decision = verdict::decide(&policy, &measured, "2026-01-01T00:00:00Z");
        assert_eq!(decision.checks.len(), checks, "{gate}");
        for check in &decision.checks {
            assert!(
                !check.reason.contains("not finite") && !check.reason.contains("not measured"),
                "{gate}: {}",
                check.reason
            );
        }
        // What is not there decides nothing.
        assert!(!measured.whole.candidate.is_empty());
    }
}

#[test]
fn how_rows_arrive_changes_nothing() {
    let policy = parsed(
        "{problem: binary, predictions: a.b.c, key: [id], label: y, candidate: p, champion: q, min_rows: 10, resamples: 200, rules: [{metric: roc_auc, not_worse_than: 0.1}]}",
    );
    let rows = |order: &[i64]| {
        let of = |f: fn(i64) -> f64| floats(&order.iter().map(|id| f(*id)).collect::<Vec<_>>());
        let columns = [
            ("id", ids(order)),
            ("y", of(|id| (id * 7 % 3 == 0).into())),
            ("p", of(|id| (id * 13 % 17) as f64 / 17.0)),
            ("q", of(|id| (id * 5 % 11) as f64 / 11.0)),
        ];
        RecordBatch::try_from_iter(columns).unwrap()
    };
    let measured = |batches: &[RecordBatch]| {
        let frame = Frame::one(batches, &policy.key).unwrap();
        measure::measure(&judge(&frame, &policy, true).unwrap(), &policy, 5)
    };
    let forwards: Vec<i64> = (0..90).collect();
    let backwards: Vec<i64> = (0..90).rev().collect();
    let split = [rows(&backwards[..40]), rows(&backwards[40..])];
    assert_eq!(measured(&[rows(&forwards)]), measured(&split));
}

fn judged_by(gate: &str, columns: Vec<(&str, ArrayRef)>) -> verdict::Decision {
    let policy = parsed(gate);
    let batch = RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, array)| (name, array, true)),
    );
    let frame = Frame::one(&[batch.unwrap()], &policy.key).unwrap();
    let judged = judge(&frame, &policy, policy.has_champion()).unwrap();
    verdict::decide(&policy, &measure::measure(&judged, &policy, 1), "2026-01-01T00:00:00Z")
}

#[test]
fn labels_that_are_all_the_same_give_no_share_of_their_spread() {
    let n = 2159;
    let id: Vec<i64> = (0..n).collect();
    let weight: Vec<f64> = id.iter().map(|i| 0.1 + (i * 7919 % 997) as f64 / 997.0).collect();
    let score: Vec<f64> = id.iter().map(|i| 11.0 + (i % 10) as f64).collect();
    let decision = judged_by(
        "{problem: regression, predictions: a.b.c, key: [id], label: y, candidate: p, weight: w, rules: [{metric: r2, min: -99}]}",
        vec![
            ("id", ids(&id)),
            ("y", floats(&[11.45; 2159])),
            ("p", floats(&score)),
            ("w", floats(&weight)),
        ],
    );
    assert_eq!(decision.reason, "r2 is not finite");
}

#[test]
fn what_only_lucky_draws_can_tell_is_not_told() {
    // Two customers, of one label each: most draws have no AUC at all.
    let n = 2000;
    let id: Vec<i64> = (0..n).collect();
    let label: Vec<f64> = id.iter().map(|i| f64::from(u8::from(*i < n / 2))).collect();
    let p: Vec<f64> = id.iter().map(|i| (i * 13 % 17) as f64 / 17.0).collect();
    let q: Vec<f64> = id.iter().map(|i| (i * 5 % 11) as f64 / 11.0).collect();
    let columns = || {
        vec![
            ("id", ids(&id)),
            ("y", floats(&label)),
            ("p", floats(&p)),
            ("q", floats(&q)),
            ("c", floats(&label)),
        ]
    };
    let gate = |more: &str| {
        format!(
            "{{problem: binary, predictions: a.b.c, key: [id], label: y, candidate: p, champion: q, cluster: c, resamples: 200, rules: [{{metric: roc_auc, not_worse_than: 0.9}}], {more}}}"
        )
    };
    let decision = judged_by(&gate("min_clusters: 2"), columns());
    assert_eq!(decision.verdict.as_str(), "inconclusive");
    assert!(decision.reason.contains("not defined in"), "{}", decision.reason);
    let rule = "{problem: binary, predictions: a.b.c, key: [id], label: y, candidate: p, cluster: c, rules: [{metric: roc_auc, min: 0.1}]}";
    assert!(judged_by(rule, columns()).reason.contains("2 clusters are too few"));
}

#[test]
fn rows_without_a_weight_are_no_witnesses() {
    let id: Vec<i64> = (0..3000).collect();
    let label: Vec<f64> = id.iter().map(|i| (i % 2) as f64).collect();
    let weight: Vec<f64> = id.iter().map(|i| f64::from(u8::from(*i < 2))).collect();
    let decision = judged_by(
        "{problem: binary, predictions: a.b.c, key: [id], label: y, candidate: y, weight: w, rules: [{metric: roc_auc, min: 0.5}]}",
        vec![("id", ids(&id)), ("y", floats(&label)), ("w", floats(&weight))],
    );
    assert_eq!(decision.reason, "2 rows are too few, at least 1000 are needed");
}

#[test]
fn missing_values_are_a_slice_of_their_own() {
    let id: Vec<i64> = (0..200).collect();
    let region: Vec<Option<&str>> = id.iter().map(|i| (i % 2 == 0).then_some("null")).collect();
    let score: Vec<f64> = id.iter().map(|i| (i % 2) as f64).collect();
    let decision = judged_by(
        "{problem: other, predictions: a.b.c, key: [id], min_rows: 10, measures: {s: {candidate: s}}, rules: [{metric: s, max: 1}], slices: {columns: [region], min_rows: 10, rules: [{metric: s, max: 0.5}]}}",
        vec![
            ("id", ids(&id)),
            ("s", floats(&score)),
            ("region", Arc::new(StringArray::from(region))),
        ],
    );
    assert_eq!(decision.checks.len(), 3);
    assert!(decision.reason.starts_with("s 1 > 0.5 in region = \u{2205}"), "{}", decision.reason);
}

#[test]
fn a_column_held_against_itself_is_no_comparison() {
    let id: Vec<i64> = (0..2000).collect();
    let score: Vec<f64> = id.iter().map(|i| (i % 7) as f64).collect();
    let decision = judged_by(
        "{problem: other, predictions: a.b.c, key: [id], measures: {s: {candidate: s, champion: s}}, rules: [{metric: s, not_worse_than: 0.1}]}",
        vec![("id", ids(&id)), ("s", floats(&score))],
    );
    assert!(decision.reason.contains("wired to one model twice"), "{}", decision.reason);
}

#[test]
fn odd_names_of_classes_have_an_order() {
    let id: Vec<i64> = (0..60).collect();
    let classes = ["9", "10", "1a", "b", "-1", "1e1"];
    let label: Vec<&str> = id.iter().map(|i| classes[*i as usize % classes.len()]).collect();
    let decision = judged_by(
        "{problem: multiclass, predictions: a.b.c, key: [id], label: y, candidate: y, min_rows: 10, rules: [{metric: accuracy, min: 1}]}",
        vec![("id", ids(&id)), ("y", texts_of(&label))],
    );
    assert_eq!(decision.verdict.as_str(), "pass");
}

#[test]
fn no_answers_are_no_answers_of_another_version() {
    let none = RecordBatch::new_empty(Arc::new(arrow::datatypes::Schema::empty()));
    let version = crate::names::ModelVersion(7);
    assert!(crate::model_gate::frame::of_version(&none, "v", version).is_ok());
    let error = Frame::two(&[], &[none], &["id".to_owned()]).unwrap_err();
    assert_eq!(Fault::of(&error).unwrap().kind, FaultKind::Data("no_data"));
}

#[test]
fn answers_of_another_version_are_refused() {
    let batch = RecordBatch::try_from_iter([("id", ids(&[1, 2])), ("v", ids(&[7, 8]))]).unwrap();
    let of = |version: u64| {
        crate::model_gate::frame::of_version(&batch, "v", crate::names::ModelVersion(version))
    };
    let refused = of(7).unwrap_err().to_string();
    assert!(refused.contains("`v` says version 8 in some rows, version 7 is judged"), "{refused}");
    let same = RecordBatch::try_from_iter([("v", ids(&[7, 7]))]).unwrap();
    assert!(
        crate::model_gate::frame::of_version(&same, "v", crate::names::ModelVersion(7)).is_ok()
    );
}

#[test]
fn thresholds_are_chosen_on_rows_that_are_not_judged() {
    let batch = |split: &[&str], y: &[f64], p: &[f64], q: &[f64]| {
        let id: Vec<i64> = (0..y.len() as i64).collect();
        let columns = [
            ("id", ids(&id)),
            ("split", texts_of(split)),
            ("y", floats(y)),
            ("p", floats(p)),
            ("q", floats(q)),
        ];
        Frame::one(&[RecordBatch::try_from_iter(columns).unwrap()], &["id".to_owned()]).unwrap()
    };
    let policy = parsed(
        "{problem: binary, predictions: a.b.c, key: [id], label: y, candidate: p, champion: q, threshold: {best: accuracy, where: \"split = 'choose'\"}, rules: [{metric: f1, min: 0.5}]}",
    );
    let split = ["choose", "choose", "choose", "judge", "judge", "judge"];
    let y = [1.0, 0.0, 1.0, 1.0, 0.0, 0.0];
    let frame =
        batch(&split, &y, &[0.3, 0.2, 0.9, 0.31, 0.29, 0.1], &[0.8, 0.7, 0.9, 0.75, 0.9, 0.1]);
    let judged = judge(&frame, &policy, true).unwrap();
    let chosen = judged.thresholds.clone().unwrap();
    assert_eq!((chosen.candidate, chosen.champion, chosen.rows), (0.3, Some(0.8), 3));
    assert_eq!(judged.rows, 3);
    let alarms = judged.models().map(|model| match &model.unwrap().answers {
        Answers::Scores(scores) => scores.alarms().to_vec(),
        _ => panic!(),
    });
    assert_eq!(alarms, [vec![true, false, false], vec![false, true, false]]);
    let measured = measure::measure(&judged, &policy, 1);
    assert_eq!(measured.whole.candidate["f1"], 1.0);
    assert_eq!(measured.thresholds, judged.thresholds);

    let refused = |split: &[&str], y: &[f64]| {
        let frame = batch(split, y, &[0.3; 6], &[0.3; 6]);
        judge(&frame, &policy, true).unwrap_err().to_string()
    };
    assert!(refused(&["judge"; 6], &y).contains("no row is one where split = 'choose'"));
    assert!(refused(&["choose"; 6], &y).contains("every row is one where"));
    assert!(refused(&split, &[1.0, 1.0, 1.0, 1.0, 0.0, 0.0]).contains("single class"));
}
