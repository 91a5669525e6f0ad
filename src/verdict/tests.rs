use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::config::Config;
use crate::record::evidence::{Answer, Asked, Facts, Group, Probe, Scope};

const AT: &str = "2026-03-02T00:00:00Z";

fn policy(rules: &str) -> Gate {
    let text = format!(
        "gate: {{problem: binary, predictions: a.b.c, key: [id], label: y, candidate: p, champion: q, rules: [{rules}]}}"
    );
    Config::parse("t", &text).unwrap().gate.unwrap()
}

fn measured(auc: f64, difference: Option<(f64, f64, f64)>) -> Measured {
    let finite = |value: f64| Some(value).filter(|value| value.is_finite());
    let named = |value: f64| -> BTreeMap<String, f64> {
        ["roc_auc", "log_loss"]
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), finite(value)?)))
            .collect()
    };
    let mut whole = Scope { rows: 5000, candidate: named(auc), ..Scope::default() };
    if let Some((low, value, high)) = difference {
        whole.champion = Some(named(auc - value));
        whole.answers = [Asked::NotWorseThan, Asked::BetterThanChampion]
            .into_iter()
            .flat_map(|of| (0..2).map(move |rule| (rule, of)))
            .map(|(rule, of)| Answer {
                rule,
                of,
                value: finite(value),
                low: finite(low),
                high: finite(high),
                ..Answer::default()
            })
            .collect();
    }
    Measured { whole, ..Measured::default() }
}

fn verdict(rules: &str, measured: &Measured) -> Verdict {
    decide(&policy(rules), measured, AT).verdict
}

#[test]
fn the_table_of_bad_inputs_never_passes() {
    let min = "{metric: roc_auc, min: 0.7}";
    assert_eq!(verdict(min, &measured(0.8, None)), Verdict::Pass);
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.69] {
        assert_eq!(verdict(min, &measured(bad, None)), Verdict::Fail, "{bad}");
    }
    let empty = Measured { whole: Scope { rows: 5000, ..Scope::default() }, ..Measured::default() };
    assert_eq!(verdict(min, &empty), Verdict::Fail);
    let mut few = measured(0.8, None);
    few.whole.rows = 10;
    assert_eq!(verdict(min, &few), Verdict::Inconclusive);
    let twice = Measured { identical: true, ..measured(0.8, Some((0.0, 0.0, 0.0))) };
    assert_eq!(verdict(min, &twice), Verdict::Fail);
}

#[test]
fn the_bound_decides_and_a_wide_interval_is_no_pass() {
    let not_worse = "{metric: roc_auc, not_worse_than: 0.01}";
    let better = "{metric: roc_auc, better_than_champion: true}";
    for (low, value, high, against_margin, against_zero) in [
        (0.01, 0.02, 0.03, Verdict::Pass, Verdict::Pass),
        (-0.005, 0.0, 0.005, Verdict::Pass, Verdict::Inconclusive),
        (-0.02, 0.0, 0.02, Verdict::Inconclusive, Verdict::Inconclusive),
        (-0.04, -0.03, -0.02, Verdict::Fail, Verdict::Fail),
    ] {
        let measured = measured(0.8, Some((low, value, high)));
        assert_eq!(verdict(not_worse, &measured), against_margin, "{low}");
        assert_eq!(verdict(better, &measured), against_zero, "{low}");
    }
    // A loss that falls is a gain.
    let falling = measured(0.3, Some((-0.04, -0.03, -0.02)));
    assert_eq!(verdict("{metric: log_loss, better_than_champion: true}", &falling), Verdict::Pass);
    let broken = measured(0.8, Some((f64::NAN, 0.1, 0.2)));
    assert_eq!(verdict(not_worse, &broken), Verdict::Fail);
}

#[test]
fn the_first_model_is_judged_by_absolute_limits_and_it_says_so() {
    let decision = decide(
        &policy("{metric: roc_auc, min: 0.7, not_worse_than: 0.01}"),
        &measured(0.8, None),
        AT,
    );
    assert_eq!(decision.verdict, Verdict::Pass);
    assert!(decision.notes[0].1.contains("there is no champion"));
    assert!(decision.reason.ends_with("the first model, compared with nothing"));
    assert_eq!(
        verdict("{metric: roc_auc, not_worse_than: 0.01}", &measured(0.8, None)),
        Verdict::Fail
    );
}

#[test]
fn old_rows_and_rows_that_cannot_be_judged_do_not_pass() {
    let mut policy = policy("{metric: roc_auc, min: 0.7}");
    policy.max_age_days = Some(2.0);
    let day = 86_400_000;
    let now = AT.parse::<Timestamp>().unwrap().as_millisecond();
    let of = |newest: Option<i64>| Measured { newest, ..measured(0.8, None) };
    for (newest, expected) in [
        (Some(now - day), Verdict::Pass),
        (Some(now + 60_000), Verdict::Pass),
        (Some(now - 3 * day), Verdict::Fail),
        (Some(now + day), Verdict::Fail),
        (None, Verdict::Fail),
    ] {
        assert_eq!(decide(&policy, &of(newest), AT).verdict, expected, "{newest:?}");
    }
    let unjudged = Some(Unjudged { code: "not_finite".into(), why: "NaN".into() });
    let decision = decide(&policy, &Measured { unjudged, ..of(Some(now)) }, AT);
    assert_eq!((decision.verdict, &*decision.reason), (Verdict::Fail, "not_finite: NaN"));
}

#[test]
fn the_champion_itself_is_held_against_nothing() {
    let mut policy = policy("{metric: roc_auc, min: 0.7, not_worse_than: 0.01}");
    let itself = Measured { is_champion: true, ..measured(0.8, None) };
    let decision = decide(&policy, &itself, AT);
    assert_eq!(decision.verdict, Verdict::Fail);
    assert!(decision.reason.contains("the champion itself"), "{}", decision.reason);
    policy.allow_identical = true;
    let decision = decide(&policy, &itself, AT);
    assert_eq!(decision.verdict, Verdict::Pass);
    assert!(decision.reason.contains("compared with nothing"), "{}", decision.reason);
}

/// A loop that runs every day meets the champion where nothing was trained since.
#[test]
fn where_no_version_is_newer_the_champion_is_held_to_the_limits_alone() {
    let itself = |value| Measured { is_champion: true, is_newest: true, ..measured(value, None) };
    let limited = policy("{metric: roc_auc, min: 0.7, not_worse_than: 0.01}");
    assert_eq!(decide(&limited, &itself(0.8), AT).verdict, Verdict::Pass);
    assert_eq!(decide(&limited, &itself(0.6), AT).verdict, Verdict::Fail);
    let compared = policy("{metric: roc_auc, not_worse_than: 0.01}");
    let decision = decide(&compared, &itself(0.8), AT);
    assert_eq!(decision.verdict, Verdict::Pass);
    assert!(decision.reason.contains("no version is newer"), "{}", decision.reason);
}

#[test]
fn what_is_fresh_is_not_good_for_that() {
    let mut policy = policy("{metric: roc_auc, not_worse_than: 0.01}");
    policy.max_age_days = Some(7.0);
    let at: Timestamp = AT.parse().unwrap();
    let newest = Some(at.as_millisecond() - 1000);
    let decision = decide(&policy, &Measured { newest, ..measured(0.8, None) }, AT);
    assert_eq!(decision.verdict, Verdict::Fail);
    assert!(decision.reason.contains("no rule could be applied"), "{}", decision.reason);
}

#[test]
fn a_comparison_of_values_asks_for_no_interval() {
    let found = measured(0.8, Some((-0.02, 0.01, 0.04)));
    let better = "{metric: roc_auc, better_than_champion: true";
    assert_eq!(verdict(&format!("{better}}}"), &found), Verdict::Inconclusive);
    let decision = decide(&policy(&format!("{better}, on: value}}")), &found, AT);
    assert_eq!(decision.verdict, Verdict::Pass);
    assert!(decision.reason.contains("values alone"), "{}", decision.reason);
}

proptest! {
    #[test]
    fn tightening_a_limit_never_turns_a_fail_into_a_pass(auc in 0.0..1.0f64, limit in 0.0..1.0f64, more in 0.0..0.5f64) {
        let loose = verdict(&format!("{{metric: roc_auc, min: {limit}}}"), &measured(auc, None));
        let tight = verdict(&format!("{{metric: roc_auc, min: {}}}", limit + more), &measured(auc, None));
        prop_assert!(tight >= loose);
    }

    #[test]
    fn a_pass_means_that_everything_is_finite(low in proptest::num::f64::ANY, value in proptest::num::f64::ANY, high in proptest::num::f64::ANY, auc in proptest::num::f64::ANY) {
        let rules = "{metric: roc_auc, min: 0.1, not_worse_than: 0.01}";
        if verdict(rules, &measured(auc, Some((low, value, high)))) == Verdict::Pass {
            prop_assert!(low.is_finite() && value.is_finite() && high.is_finite() && auc.is_finite());
        }
    }
}

#[test]
fn a_correction_makes_passing_harder_and_never_easier() {
    let mut policy = policy(
        "{metric: roc_auc, better_than_champion: true}, {metric: log_loss, not_worse_than: 0.1}",
    );
    let mut found = measured(0.8, Some((0.01, 0.02, 0.03)));
    for answer in &mut found.whole.answers {
        (answer.p_broken, answer.p_kept) = (Some(0.02), Some(0.98));
    }
    assert_eq!(decide(&policy, &found, AT).checks[0].verdict, "pass");
    policy.correction = Some(crate::stats::correction::Correction::Holm);
    let decision = decide(&policy, &found, AT);
    // Four answers of 0.02 are 0.08 each, above 0.025.
    assert_eq!(decision.checks[0].verdict, "inconclusive");
    assert_eq!(decision.checks[0].p_value, Some(0.08));
}

#[test]
fn a_slice_that_is_small_or_worse_is_told() {
    let text = "gate: {problem: binary, predictions: a.b.c, key: [id], label: y, candidate: p, champion: q, rules: [{metric: roc_auc, min: 0.5}], slices: {columns: [s], min_rows: 50, rules: [{metric: roc_auc, min: 0.6}]}}";
    let policy = Config::parse("t", text).unwrap().gate.unwrap();
    let mut found = measured(0.8, None);
    let slice = |name: &str, rows: u64, auc: f64| Scope {
        name: Some(name.into()),
        rows,
        candidate: [("roc_auc".to_owned(), auc)].into(),
        ..Scope::default()
    };
    found.slices = vec![slice("s = a", 500, 0.9), slice("s = b", 10, 0.9)];
    let decision = decide(&policy, &found, AT);
    assert_eq!(decision.verdict, Verdict::Inconclusive);
    assert!(decision.reason.contains("in s = b: 10 rows are too few"), "{}", decision.reason);
    found.slices[1] = slice("s = b", 500, 0.55);
    let decision = decide(&policy, &found, AT);
    assert_eq!(decision.verdict, Verdict::Fail);
    assert_eq!(decision.reason, "roc_auc 0.55 < 0.6 in s = b");
    found.slices.clear();
    found.whole.candidate.clear();
    assert_eq!(decide(&policy, &found, AT).verdict, Verdict::Fail);
}

#[test]
fn groups_that_are_apart_fail_and_small_ones_are_not_ignored() {
    let text = "gate: {problem: binary, predictions: a.b.c, key: [id], label: y, candidate: p, rules: [{metric: roc_auc, min: 0.5}], fairness: [{by: sex, measure: equal_opportunity, max_difference: 0.1}, {by: sex, measure: equal_opportunity, min_ratio: 0.8}]}";
    let policy = Config::parse("t", text).unwrap().gate.unwrap();
    let group = |name: &str, rows: u64, share| {
        let effective = vec![rows as f64];
        Group { name: name.into(), rows, shares: vec![share], effective }
    };
    let verdicts = |groups: Vec<Group>| {
        let mut found = measured(0.8, None);
        found.groups = vec![groups.clone(), groups];
        let decision = decide(&policy, &found, AT);
        let of_kind = decision.checks.iter().filter(|check| check.kind == "fairness");
        of_kind.map(|check| check.verdict.clone()).collect::<Vec<_>>()
    };
    let near = || vec![group("f", 500, Some(0.50)), group("m", 500, Some(0.55))];
    assert_eq!(verdicts(near()), ["pass", "pass"]);
    assert_eq!(
        verdicts(vec![group("f", 500, Some(0.2)), group("m", 500, Some(0.4))]),
        ["fail", "fail"]
    );
    let with_small = [near(), vec![group("x", 5, Some(0.5))]].concat();
    assert_eq!(verdicts(with_small), ["inconclusive"; 2]);
    let undefined = [near(), vec![group("x", 500, None)]].concat();
    assert_eq!(verdicts(undefined), ["inconclusive"; 2]);
    assert_eq!(verdicts(Vec::new()), ["inconclusive"; 2]);
    assert_eq!(
        verdicts(vec![group("f", 500, Some(0.0)), group("m", 500, Some(0.0))]),
        ["pass", "pass"]
    );
}

#[test]
fn by_their_bounds_groups_pass_when_no_pair_may_be_apart() {
    let text = "gate: {problem: binary, predictions: a.b.c, key: [id], label: y, candidate: p, rules: [{metric: roc_auc, min: 0.5}], fairness: [{by: sex, measure: equalized_odds, max_difference: 0.1, min_ratio: 0.8, on: bound}]}";
    let policy = Config::parse("t", text).unwrap().gate.unwrap();
    let checks = |groups: &[(&str, f64, f64)]| {
        let group = |(name, share, rows): &(&str, f64, f64)| Group {
            name: (*name).into(),
            rows: *rows as u64,
            shares: vec![Some(*share), Some(0.5)],
            effective: vec![*rows; 2],
        };
        let mut found = measured(0.8, None);
        found.groups = vec![groups.iter().map(group).collect()];
        let decision = decide(&policy, &found, AT);
        decision.checks.into_iter().filter(|check| check.kind == "fairness").collect::<Vec<_>>()
    };
    let verdicts = |groups: &[(&str, f64, f64)]| -> Vec<String> {
        checks(groups).into_iter().map(|check| check.verdict).collect()
    };
    assert_eq!(verdicts(&[("f", 0.5, 1e5), ("m", 0.53, 1e5)]), ["pass", "pass"]);
    // The same shares of fewer rows may be anything.
    let few = checks(&[("f", 0.5, 200.0), ("m", 0.53, 200.0)]);
    assert!(few.iter().all(|check| check.verdict == "inconclusive"));
    assert!(few[0].reason.contains("difference ≤ 0.1 cannot be told from this data: 0.03 ["));
    assert!(few[0].reason.contains(" rows of both would tell"), "{}", few[0].reason);
    assert!(few[0].reason.ends_with(", f 0.5 and m 0.53"), "{}", few[0].reason);
    assert_eq!(verdicts(&[("f", 0.3, 1e4), ("m", 0.5, 1e4)]), ["fail", "fail"]);
    // A small group may be on either side of a large one, whichever comes first.
    let small = [("x", 0.0, 150.0), ("y", 0.001, 1e5)];
    for groups in [small, [small[1], small[0]], [("x", 0.02, 100.0), ("y", 0.02, 1e5)]] {
        assert_eq!(verdicts(&groups)[1], "inconclusive", "{groups:?}");
    }
    let tight = checks(&[("x", 0.02, 100.0), ("y", 0.02, 1e5)])[0].high;
    assert_eq!(checks(&[("y", 0.02, 1e5), ("x", 0.02, 100.0)])[0].high, tight);
    // It is the worst pair that counts, not the one that is farthest apart.
    let third = checks(&[("f", 0.5, 1e5), ("m", 0.53, 1e5), ("x", 0.5, 150.0)]);
    assert!(
        third.iter().all(|check| check.verdict == "inconclusive" && check.reason.contains("x 0.5"))
    );
}

/// A policy that asks for everything, and numbers that hold all of it.
fn everything() -> (Gate, Measured) {
    let text = "gate: {problem: binary, predictions: a.b.c, key: [id], label: y, candidate: p, champion: q, rules: [{metric: roc_auc, min: 0.5, not_worse_than: 0.01}, {metric: log_loss, max: 0.9}], slices: {columns: [s], conditions: {far: 'd > 5'}, min_rows: 50, rules: [{metric: roc_auc, min: 0.6}]}, fairness: [{by: sex, measure: equal_opportunity, max_difference: 0.1}], compliance: {signature: true}, infrastructure: {results: a.b.d, limits: {loads: {min: 1}}}}";
    let policy = Config::parse("t", text).unwrap().gate.unwrap();
    let mut found = measured(0.8, Some((0.01, 0.02, 0.03)));
    let scope = |name: &str| Scope {
        name: Some(name.into()),
        rows: 500,
        candidate: [("roc_auc".to_owned(), 0.8)].into(),
        champion: Some([("roc_auc".to_owned(), 0.8)].into()),
        ..Scope::default()
    };
    found.slices = vec![scope("s = a"), scope("s = b"), scope("far")];
    let group = |name: &str| Group {
        name: name.into(),
        rows: 500,
        shares: vec![Some(0.5)],
        effective: vec![500.0],
    };
    found.groups = vec![vec![group("f"), group("m")]];
    found.facts = Some(Facts {
        inputs: Some(vec!["x".into()]),
        has_outputs: true,
        bytes: 1,
        ..Facts::default()
    });
    found.probes = vec![Probe { check: "loads".into(), value: Some(1.0), at: AT.into() }];
    (policy, found)
}

/// Takes a part of what was measured away. What says that there is no champion at
/// all is no part of it: that is known from the registry.
fn without(part: usize, found: &mut Measured) {
    match part {
        0 => drop(found.whole.candidate.remove("roc_auc")),
        1 => drop(found.whole.candidate.remove("log_loss")),
        2 => found.whole.answers.retain(|answer| answer.of != Asked::NotWorseThan),
        3 => found.whole.rows = 0,
        4 => found.slices.retain(|scope| scope.name.as_deref() == Some("far")),
        5 => found.slices.retain(|scope| scope.name.as_deref() != Some("far")),
        6 => found.slices.iter_mut().for_each(|scope| scope.candidate.clear()),
        7 => found.slices.iter_mut().for_each(|scope| scope.rows = 0),
        8 => found.groups.clear(),
        9 => found.groups.iter_mut().for_each(Vec::clear),
        10 => found.groups.iter_mut().flatten().for_each(|group| group.shares[0] = None),
        11 => found.facts = None,
        12 => found.probes.clear(),
        _ => found.probes.iter_mut().for_each(|probe| probe.value = None),
    }
}

#[test]
fn nothing_that_is_missing_passes() {
    let (policy, found) = everything();
    let decision = decide(&policy, &found, AT);
    assert_eq!(decision.verdict, Verdict::Pass, "{}", decision.reason);
    for part in 0..14 {
        let mut less = found.clone();
        without(part, &mut less);
        let decision = decide(&policy, &less, AT);
        assert_ne!(decision.verdict, Verdict::Pass, "without {part}: {}", decision.reason);
    }
}

proptest! {
    #[test]
    fn taking_data_away_never_turns_a_fail_into_a_pass(
        auc in 0.3..0.9f64,
        slice in 0.3..0.9f64,
        share in 0.2..0.8f64,
        loads in 0..2u8,
        parts in proptest::collection::vec(0..14usize, 0..6),
    ) {
        let (policy, mut found) = everything();
        found.whole.candidate.insert("roc_auc".into(), auc);
        found.slices[1].candidate.insert("roc_auc".into(), slice);
        found.groups[0][1].shares[0] = Some(share);
        found.probes[0].value = Some(f64::from(loads));
        let before = decide(&policy, &found, AT).verdict;
        for part in parts {
            without(part, &mut found);
        }
        let after = decide(&policy, &found, AT).verdict;
        prop_assert!(before == Verdict::Pass || after != Verdict::Pass);
    }
}

#[test]
fn bounds_can_decide_absolute_limits_too() {
    let policy = policy("{metric: roc_auc, min: 0.7, on: bound}");
    let mut found = measured(0.75, None);
    let answer = |low, high| Answer {
        of: Asked::Min,
        value: Some(0.75),
        low: Some(low),
        high: Some(high),
        ..Answer::default()
    };
    for (low, high, verdict) in [
        (0.71, 0.79, Verdict::Pass),
        (0.65, 0.85, Verdict::Inconclusive),
        (0.60, 0.69, Verdict::Fail),
    ] {
        found.whole.answers = vec![answer(low, high)];
        assert_eq!(decide(&policy, &found, AT).verdict, verdict);
    }
    found.whole.answers.clear();
    assert_eq!(decide(&policy, &found, AT).verdict, Verdict::Fail);
}
