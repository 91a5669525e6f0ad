//! From numbers to a verdict. The only pass is: finite, enough rows, every
//! condition true.

mod compliance;
mod document;
mod experiment;
mod fairness;
mod infrastructure;
mod power;
mod rules;
pub mod sign_off;

use jiff::Timestamp;

use self::rules::{Corrected, few, scope_checks};
use crate::config::{Gate, Rule};
use crate::record::evidence::{Check, Measured, Unjudged};
use crate::report::{Verdict, number};

pub use self::document::{in_time, stands};

#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    pub verdict: Verdict,
    pub reason: String,
    pub checks: Vec<Check>,
    /// What the reader must know beside the rules, after the name of its finding.
    pub notes: Vec<(&'static str, String)>,
}

/// The verdict, from the policy, what was measured and the time of the decision
/// (RFC 3339) alone: it can be taken again from the evidence.
pub fn decide(policy: &Gate, measured: &Measured, at: &str) -> Decision {
    let mut checks = match &measured.unjudged {
        Some(unjudged) => vec![no_rows(unjudged)],
        None => of_rows(policy, measured),
    };
    let is_judged = !checks.is_empty();
    if let (Some(most), None) = (policy.max_age_days, &measured.unjudged) {
        checks.push(age(most, measured.newest, at));
    }
    if let Some(compliance) = &policy.compliance {
        // Facts that nobody collected are not known.
        let facts = measured.facts.clone().unwrap_or_default();
        checks.extend(compliance::checks(compliance, &facts, at));
    }
    if let Some(infrastructure) = &policy.infrastructure {
        checks.extend(infrastructure::checks(infrastructure, &measured.probes, at));
    }
    if let Some(experiment) = &policy.experiment {
        checks.extend(experiment::checks(experiment, measured.live.as_ref()));
    }
    let notes = notes(policy, measured);
    let (verdict, mut reason) = conclude(policy, measured, &checks, is_judged);
    if verdict == Verdict::Pass {
        let mut briefs: Vec<&str> = notes.iter().map(|note| note.brief).collect();
        briefs.dedup();
        briefs.into_iter().for_each(|brief| reason.push_str(&format!("; {brief}")));
    }
    let notes = notes.into_iter().map(|note| (note.id, note.words)).collect();
    Decision { verdict, reason, checks, notes }
}

fn of_rows(policy: &Gate, measured: &Measured) -> Vec<Check> {
    let corrected = Corrected::new(policy, measured);
    let mut checks = scope_checks(policy, (&measured.whole, 0), &policy.rules, &corrected);
    let slices = policy.slices.as_ref();
    for (at, scope) in measured.slices.iter().enumerate() {
        let rules = slices.map(|slices| slices.rules.as_slice()).unwrap_or_default();
        checks.extend(scope_checks(policy, (scope, at + 1), rules, &corrected));
    }
    checks.extend(unmeasured(policy, measured));
    checks.extend(fairness::checks(policy, measured));
    checks
}

/// Answers of long ago say little of what is judged now.
fn age(most: f64, newest: Option<i64>, at: &str) -> Check {
    let newest = newest.and_then(|ms| Timestamp::from_millisecond(ms).ok());
    let age = newest.zip(at.parse::<Timestamp>().ok());
    let days = age.map(|(newest, now)| now.duration_since(newest).as_secs_f64() / 86_400.0);
    // A clock may be a little off; rows from the future are none.
    let known = days.filter(|days| *days > -1.0 / 144.0);
    let told = match known {
        Some(days) => format!("{} days old, {} are allowed", number(days.max(0.0)), number(most)),
        None => "how old it is cannot be told".to_owned(),
    };
    let holds = known.is_some_and(|days| days <= most);
    Check {
        kind: "rules".into(),
        rule: format!("newest row at most {} days old", number(most)),
        metric: "age_days".into(),
        candidate: known,
        limit: Some(most),
        verdict: if holds { Verdict::Pass } else { Verdict::Fail }.as_str().to_owned(),
        reason: format!("the newest row: {told}"),
        ..Check::default()
    }
}

/// Of rows that cannot be judged, no rule holds.
fn no_rows(unjudged: &Unjudged) -> Check {
    Check {
        kind: "rules".into(),
        rule: "the rows can be judged".into(),
        metric: unjudged.code.clone(),
        verdict: Verdict::Fail.as_str().to_owned(),
        reason: format!("{}: {}", unjudged.code, unjudged.why),
        ..Check::default()
    }
}

/// Slices that the policy asks for, and that nobody measured.
fn unmeasured(policy: &Gate, measured: &Measured) -> Vec<Check> {
    let Some(slices) = policy.slices.as_ref().filter(|slices| !slices.rules.is_empty()) else {
        return Vec::new();
    };
    let is_there = |wanted: &dyn Fn(&str) -> bool| {
        measured.slices.iter().filter_map(|scope| scope.name.as_deref()).any(wanted)
    };
    let columns = slices.columns.iter().filter(|column| {
        let start = format!("{column} = ");
        !is_there(&|name| name.starts_with(&start))
    });
    let conditions =
        slices.conditions.keys().filter(|condition| !is_there(&|name| name == *condition));
    let missing = columns.chain(conditions).map(|name| Check {
        kind: "slices".into(),
        rule: format!("slices of {name}"),
        scope: Some(name.clone()),
        verdict: Verdict::Inconclusive.as_str().to_owned(),
        reason: format!("no slice of {name} was measured"),
        ..Check::default()
    });
    missing.collect()
}

/// What the reader must know beside the rules, by the name of its finding; and the
/// few words of it that belong beside a pass.
struct Note {
    id: &'static str,
    brief: &'static str,
    words: String,
}

fn notes(policy: &Gate, measured: &Measured) -> Vec<Note> {
    let mut notes = Vec::new();
    let slices = policy.slices.iter().flat_map(|slices| &slices.rules);
    let rules = || policy.rules.iter().chain(slices.clone());
    if measured.unjudged.is_some() {
        return notes;
    }
    let is_compared = measured.whole.champion.is_some();
    if rules().any(|rule| policy.logged.contains_key(&rule.metric)) {
        notes.push(Note {
            id: "gate/logged",
            brief: "metrics as training logged them, without intervals",
            words:
                "metrics that training logged have no interval: how far chance moves them is not known"
                    .to_owned(),
        });
    }
    if is_compared && rules().any(Rule::compares_values) {
        notes.push(Note {
            id: "gate/values",
            brief: "compared by values alone",
            words: "rules with `on: value` compare without an interval: how far chance moves the values is not known"
                .to_owned(),
        });
    }
    let mut names: Vec<&str> =
        rules().filter(|rule| rule.compares()).map(|rule| rule.metric.as_str()).collect();
    names.dedup();
    if is_compared || names.is_empty() {
        return notes;
    }
    let (id, brief, why) = if measured.is_champion {
        (
            "gate/is-champion",
            "the champion itself, compared with nothing",
            "this is the champion itself",
        )
    } else {
        ("gate/first-model", "the first model, compared with nothing", "there is no champion")
    };
    notes.extend(names.iter().map(|name| {
        let words = format!("{why}: `{name}` was judged by absolute limits only");
        Note { id, brief, words }
    }));
    notes
}

/// `is_judged` tells whether any rule on the rows could be applied.
fn conclude(
    policy: &Gate,
    measured: &Measured,
    checks: &[Check],
    is_judged: bool,
) -> (Verdict, String) {
    let whole = &measured.whole;
    let worst = checks.iter().map(verdict_of).fold(Verdict::Pass, Verdict::and);
    if measured.is_champion && !measured.is_newest && !policy.allow_identical {
        let reason =
            "this version is the champion itself: there is nothing that it was held against";
        return (Verdict::Fail, reason.to_owned());
    }
    // That a model is fresh or documented says nothing of how good it is.
    if checks.is_empty() || (!is_judged && !policy.rules.is_empty()) {
        if worst == Verdict::Fail {
            return (Verdict::Fail, first_reason(checks, Verdict::Fail));
        }
        if measured.is_champion && measured.is_newest {
            let reason = "no version is newer than the champion: there is nothing to compare";
            let reason = match worst {
                Verdict::Pass => reason.to_owned(),
                _ => first_reason(checks, worst),
            };
            return (worst, reason);
        }
        let reason = "no rule could be applied: give the first model absolute limits";
        return (Verdict::Fail, reason.to_owned());
    }
    if measured.identical && !policy.allow_identical {
        let reason = "both models predict the same for every row: the comparison is wired to one model twice";
        return (Verdict::Fail, reason.to_owned());
    }
    if worst == Verdict::Fail {
        return (Verdict::Fail, first_reason(checks, Verdict::Fail));
    }
    let least = if policy.predictions.is_some() { policy.min_rows } else { 0 };
    if let Some(reason) = few(policy, whole, least) {
        return (Verdict::Inconclusive, reason);
    }
    if worst == Verdict::Inconclusive {
        return (Verdict::Inconclusive, first_reason(checks, Verdict::Inconclusive));
    }
    let count = checks.len();
    let all =
        if count == 1 { "the rule holds".to_owned() } else { format!("all {count} rules hold") };
    let rows = if policy.predictions.is_some() {
        format!(" on {} rows", whole.rows)
    } else {
        String::new()
    };
    (Verdict::Pass, format!("{all}{rows}"))
}

fn first_reason(checks: &[Check], verdict: Verdict) -> String {
    let of_kind: Vec<&Check> = checks.iter().filter(|check| verdict_of(check) == verdict).collect();
    let first = of_kind.first().map(|check| check.reason.clone()).unwrap_or_default();
    if of_kind.len() > 1 { format!("{first} (and {} more)", of_kind.len() - 1) } else { first }
}

pub fn verdict_of(check: &Check) -> Verdict {
    verdict_named(&check.verdict)
}

/// Anything that is not the word for a pass is none.
pub fn verdict_named(word: &str) -> Verdict {
    match word {
        "pass" => Verdict::Pass,
        "inconclusive" => Verdict::Inconclusive,
        _ => Verdict::Fail,
    }
}

#[cfg(test)]
mod tests;
