//! Which differences become which decision.

use super::super::compare::Effect;
use super::super::profile::Profile;
use super::*;
use crate::config::{Config, Statistic};
use crate::stats::numeric::Tested;

fn column(name: &str, psi: f64, p_value: f64, nulls: [u64; 2]) -> Compared {
    let profile = |nulls: u64| Profile { nulls, ..Profile::of_rows(1000) };
    let tested = |p_value| Tested { statistic: 0.1, p_value };
    Compared {
        column: name.into(),
        kind: Kind::Numbers,
        profiles: nulls.map(profile),
        effects: vec![Effect { statistic: Statistic::Psi, value: psi, corrected: psi, error: 0.0 }],
        test: "ks",
        tested: tested(p_value),
        nulls_tested: tested(if nulls[0] == nulls[1] { 1.0 } else { 1e-9 }),
        labels: Vec::new(),
        shares: [Vec::new(), Vec::new()],
        new: Vec::new(),
        vanished: Vec::new(),
        foreign: None,
        more: Vec::new(),
        own: None,
        learnt: None,
    }
}

fn policy(more: &str) -> Drift {
    let text = format!(
        "drift: {{baseline: a.b.c, current: a.b.d, share: 0.5, numeric: {{statistic: psi}}{more}}}"
    );
    Config::parse("t", &text).unwrap().drift.unwrap()
}

fn whole(rows: [u64; 2], columns: Vec<Compared>) -> Vec<Scoped> {
    vec![Scoped { scope: Against::All, rows, columns }]
}

fn state(more: &str, columns: Vec<Compared>) -> State {
    decide(&policy(more), &[], whole([1000, 1000], columns)).state
}

const FLAT: [u64; 2] = [0, 0];

#[test]
fn significance_without_size_is_no_drift_and_neither_is_size_without_significance() {
    assert_eq!(state("", vec![column("a", 0.01, 1e-12, FLAT)]), State::None);
    assert_eq!(state("", vec![column("a", 0.9, 0.2, FLAT)]), State::None);
    assert_eq!(state("", vec![column("a", 0.9, 1e-12, FLAT)]), State::Drift);
    assert_eq!(state("", vec![column("a", 0.15, 1e-12, FLAT)]), State::Watch);
}

#[test]
fn one_column_of_many_is_no_drift_of_the_table_unless_it_counts() {
    let columns = || {
        let mut columns: Vec<_> = (0..9).map(|n| column(&n.to_string(), 0.0, 0.5, FLAT)).collect();
        columns.push(column("temp", 0.9, 1e-12, FLAT));
        columns
    };
    assert_eq!(state("", columns()), State::Watch);
    assert_eq!(state(", critical: [temp]", columns()), State::Drift);
    assert_eq!(state(", weights: {temp: 20}", columns()), State::Drift);
    assert_eq!(state(", weights: {temp: 0.1}", columns()), State::Watch);
}

#[test]
fn a_column_can_have_a_limit_of_its_own() {
    let drifted = || vec![column("a", 0.3, 1e-12, FLAT)];
    assert_eq!(state("", drifted()), State::Drift);
    assert_eq!(state(", limits: {a: {statistic: psi, threshold: 0.8}}", drifted()), State::None);
}

#[test]
fn a_change_of_nulls_is_drift() {
    assert_eq!(state("", vec![column("a", 0.0, 1.0, [0, 300])]), State::Drift);
    assert_eq!(state("", vec![column("a", 0.0, 1.0, [0, 10])]), State::None);
}

#[test]
fn what_cannot_be_compared_is_no_pass() {
    let mut empty = column("a", 0.0, 1.0, [1000, 990]);
    empty.effects.clear();
    let decision = decide(&policy(""), &[], whole([1000, 1000], vec![empty]));
    assert_eq!(decision.columns()[0].state, State::Inconclusive);
    assert_eq!(decision.state, State::Inconclusive);
    let mut nan = column("a", f64::NAN, 1e-9, FLAT);
    nan.effects[0].corrected = f64::NAN;
    let decision = decide(&policy(""), &[], whole([1000, 1000], vec![nan]));
    assert_eq!(decision.columns()[0].state, State::Inconclusive);
}

#[test]
fn a_handful_of_values_is_no_peace() {
    let few = |name: &str, p_value| column(name, 0.3, p_value, [995, 995]);
    let decided = |more: &str, columns| {
        let decision = decide(&policy(more), &[], whole([1000, 1000], columns));
        (decision.state, decision.reason)
    };
    let calm = || column("a", 0.0, 1.0, FLAT);
    let (state, reason) = decided("", vec![calm(), few("b", 0.4)]);
    assert_eq!(state, State::None);
    assert_eq!(reason, "0 of 1 columns drifted (limit 50 %), 1 has too few values to tell");
    // What is seen in them counts.
    let (state, reason) = decided("", vec![calm(), few("b", 1e-12)]);
    assert_eq!(state, State::Drift, "{reason}");
    let (state, reason) = decided("", vec![few("b", 0.4)]);
    assert_eq!((state, reason.as_str()), (State::Inconclusive, "no column can be compared"));
    let (state, reason) = decided(", critical: [b]", vec![calm(), few("b", 0.4)]);
    assert_eq!(state, State::Inconclusive);
    assert_eq!(reason, "b: psi 0.3 is within chance, p 1; 5 and 5 values are too few to tell");
}

#[test]
fn a_broken_feed_comes_before_everything_else() {
    let change = Change {
        column: "b".into(),
        what: "is missing now".into(),
        breaks: true,
        rule: "drift/schema",
    };
    let decision =
        decide(&policy(""), &[change], whole([1000, 10], vec![column("a", 0.9, 1e-12, FLAT)]));
    assert_eq!((decision.state, decision.reason.as_str()), (State::Broken, "b is missing now"));
}

#[test]
fn a_feed_that_fell_silent_is_no_peace() {
    let silent = Change {
        column: "windows".into(),
        what: "have no rows in 3 windows since Monday".into(),
        breaks: false,
        rule: Change::SILENT,
    };
    let calm = || whole([1000, 1000], vec![column("a", 0.0, 1.0, FLAT)]);
    let decision = decide(&policy(""), std::slice::from_ref(&silent), calm());
    assert_eq!(decision.state, State::Watch);
    assert_eq!(
        decision.reason,
        "windows have no rows in 3 windows since Monday; 0 of 1 columns drifted (limit 50 %)"
    );
    let loud = whole([1000, 1000], vec![column("a", 0.9, 1e-12, FLAT)]);
    assert_eq!(decide(&policy(""), &[silent], loud).state, State::Drift);
}

#[test]
fn too_little_data_is_no_answer() {
    let few = decide(&policy(""), &[], whole([1000, 10], vec![column("a", 0.9, 1e-12, FLAT)]));
    assert_eq!(few.state.verdict(), Verdict::Inconclusive);
    assert_eq!(state("", Vec::new()), State::Inconclusive);
}

fn window(name: &str, psi: f64) -> Scoped {
    Scoped {
        scope: Against::Window(name.into()),
        rows: [1000, 1000],
        columns: vec![column("a", psi, 1e-12, FLAT)],
    }
}

#[test]
fn the_newest_windows_decide_together() {
    let of = |more: &str, sizes: &[f64]| {
        let mut scopes = whole([1000, 1000], vec![column("a", 0.9, 1e-12, FLAT)]);
        scopes.extend(sizes.iter().enumerate().map(|(at, psi)| window(&at.to_string(), *psi)));
        decide(&policy(&format!(", windows: {{rows: 9{more}}}")), &[], scopes).state
    };
    assert_eq!(of("", &[0.9, 0.0]), State::None, "the whole does not decide");
    assert_eq!(of("", &[0.0, 0.9]), State::Drift);
    let rule = ", at_least: 2, of: 3";
    assert_eq!(of(rule, &[0.0, 0.0, 0.9]), State::Watch);
    assert_eq!(of(rule, &[0.9, 0.0, 0.9]), State::Drift);
    assert_eq!(of(rule, &[0.9, 0.9, 0.0]), State::None);
    assert_eq!(of("", &[]), State::Inconclusive);
}

#[test]
fn a_slice_that_drifted_makes_the_table_watched() {
    let mut scopes = whole([1000, 1000], vec![column("a", 0.0, 1.0, FLAT)]);
    scopes.push(Scoped {
        scope: Against::Slice("carrier = AA".into()),
        rows: [1000, 1000],
        columns: vec![column("a", 0.9, 1e-12, FLAT)],
    });
    let decision = decide(&policy(""), &[], scopes);
    assert_eq!(decision.state, State::Watch);
    assert!(decision.reason.starts_with("the slice carrier = AA drifted"), "{}", decision.reason);
}

#[test]
fn a_slice_that_is_gone_makes_the_table_watched() {
    let gone = |rows: [u64; 2]| {
        let mut scopes = whole([1000, 1000], vec![column("a", 0.0, 1.0, FLAT)]);
        scopes.push(Scoped { scope: Against::Slice("c = b".into()), rows, columns: Vec::new() });
        decide(&policy(""), &[], scopes)
    };
    let decision = gone([1330, 0]);
    assert_eq!(decision.state, State::Watch);
    assert!(decision.reason.starts_with("the slice c = b is gone: it had 1330 rows"));
    assert_eq!(gone([3, 0]).state, State::None);
    assert_eq!(gone([1330, 1]).state, State::None);
}

#[test]
fn columns_that_are_only_there_count_when_their_nulls_move() {
    let presence = |nulls| {
        let mut column = column("time", 0.0, 1.0, nulls);
        (column.kind, column.effects) = (Kind::Presence, Vec::new());
        column
    };
    let columns = |nulls| vec![column("a", 0.9, 1e-12, FLAT), presence(nulls), presence(FLAT)];
    let calm = decide(&policy(""), &[], whole([1000, 1000], columns(FLAT)));
    assert!(calm.reason.starts_with("1 of 1 columns"), "{}", calm.reason);
    let moved = decide(&policy(""), &[], whole([1000, 1000], columns([0, 300])));
    assert!(moved.reason.starts_with("2 of 2 columns"), "{}", moved.reason);
    assert_eq!(state("", vec![presence(FLAT)]), State::Inconclusive);
    assert_eq!(state("", vec![presence([0, 300])]), State::Drift);
}
