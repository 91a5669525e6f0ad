//! What live traffic says.

use super::power;
use crate::config::{Better, Experiment, LiveRule};
use crate::record::evidence::{Check, Live, LiveAnswer};
use crate::report::{Verdict, number};

pub(super) fn checks(policy: &Experiment, live: Option<&Live>) -> Vec<Check> {
    // Without data nothing holds.
    let none = Live::default();
    let live = live.unwrap_or(&none);
    let mut checks = vec![ratio(policy, live)];
    for (at, rule) in policy.rules.iter().enumerate() {
        let answer = live.answers.get(at);
        if let Some(margin) = rule.not_worse_than {
            let name = format!("{} not worse than {}", rule.outcome, number(margin));
            checks.push(difference(policy, rule, live, answer, (&name, -margin)));
        }
        if rule.better_than_champion {
            let name = format!("{} better than champion", rule.outcome);
            checks.push(difference(policy, rule, live, answer, (&name, 0.0)));
        }
    }
    checks
}

/// Groups of the wrong sizes were not drawn at random: no difference means
/// anything then.
fn ratio(policy: &Experiment, live: &Live) -> Check {
    let [candidate, champion] = live.units;
    let known = live.sample_ratio_p.filter(|p| p.is_finite());
    let holds = known.is_some_and(|p| p >= policy.sample_ratio_p);
    let told = known.map_or("cannot be told".to_owned(), |p| format!("p {}", number(p)));
    Check {
        kind: "experiment".into(),
        rule: "sample ratio".into(),
        metric: "sample ratio".into(),
        rows: Some(live.units.iter().sum()),
        p_value: known,
        verdict: if holds { Verdict::Pass } else { Verdict::Fail }.as_str().to_owned(),
        reason: format!(
            "sample ratio: {candidate} units of the candidate and {champion} of the champion for a share of {}, {told}",
            number(policy.share)
        ),
        ..Check::default()
    }
}

fn difference(
    policy: &Experiment,
    rule: &LiveRule,
    live: &Live,
    answer: Option<&LiveAnswer>,
    (name, limit): (&str, f64),
) -> Check {
    let mut check = Check {
        kind: "experiment".into(),
        rule: name.to_owned(),
        metric: rule.outcome.clone(),
        rows: Some(live.units.iter().sum()),
        limit: Some(limit),
        verdict: Verdict::Fail.as_str().to_owned(),
        reason: format!("the difference of {} is not finite", rule.outcome),
        ..Check::default()
    };
    let Some(answer) = answer else { return check };
    (check.candidate, check.champion) = (answer.candidate, answer.champion);
    (check.value, check.low, check.high) = (answer.value, answer.low, answer.high);
    let numbers = (answer.value, answer.low, answer.high);
    let (Some(value), Some(low), Some(high)) = numbers else { return check };
    if ![value, low, high].iter().all(|number| number.is_finite()) {
        return check;
    }
    let up = rule.better == Better::Higher;
    check.limit = Some(if up { limit } else { -limit });
    let (worst, best) = if up { (low, high) } else { (-high, -low) };
    let fewest = live.units.iter().copied().min().unwrap_or_default();
    let (verdict, words) = if fewest < policy.min_units {
        let told = format!(
            "cannot be told: {fewest} units are too few, at least {} are needed",
            policy.min_units
        );
        (Verdict::Inconclusive, told)
    } else if worst > limit {
        (Verdict::Pass, "holds".to_owned())
    } else if best <= limit {
        (Verdict::Fail, "does not hold".to_owned())
    } else {
        (Verdict::Inconclusive, "cannot be told yet".to_owned())
    };
    verdict.as_str().clone_into(&mut check.verdict);
    let more = if verdict == Verdict::Inconclusive && fewest >= policy.min_units {
        let gain = if up { value } else { -value };
        let units = live.units.iter().sum();
        power::more("units", units, gain - limit, (high - low) / 2.0)
    } else {
        String::new()
    };
    let [value, low, high] = [value, low, high].map(number);
    check.reason =
        format!("{name} {words}: difference {value} [{low}, {high}] in live traffic{more}");
    check
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn live_traffic_decides_by_its_bounds_and_never_without_data() {
        let text = "gate: {problem: binary, predictions: a.b.c, key: [id], label: y, candidate: p, rules: [{metric: roc_auc, min: 0.5}], experiment: {outcomes: a.b.o, unit: u, group: g, candidate: B, champion: A, min_units: 100, rules: [{outcome: sold, not_worse_than: 0.01}, {outcome: slow, better: lower, better_than_champion: true}]}}";
        let gate = crate::config::Config::parse("t", text).unwrap().gate.unwrap();
        let policy = gate.experiment.unwrap();
        let verdicts = |live: Option<&Live>| -> Vec<String> {
            checks(&policy, live).into_iter().map(|check| check.verdict).collect()
        };
        assert_eq!(verdicts(None), ["fail"; 3]);
        let answer = |low: f64, high: f64| LiveAnswer {
            candidate: Some(1.0),
            champion: Some(1.0),
            value: Some(f64::midpoint(low, high)),
            low: Some(low),
            high: Some(high),
        };
        let live = |units: [u64; 2], p: f64, a: [f64; 2], b: [f64; 2]| Live {
            state: String::new(),
            units,
            sample_ratio_p: Some(p),
            answers: vec![answer(a[0], a[1]), answer(b[0], b[1])],
        };
        let fine = live([500, 500], 0.9, [-0.005, 0.02], [-3.0, -1.0]);
        assert_eq!(verdicts(Some(&fine)), ["pass"; 3]);
        let wide = live([500, 500], 0.9, [-0.02, 0.02], [-3.0, 1.0]);
        assert_eq!(verdicts(Some(&wide)), ["pass", "inconclusive", "inconclusive"]);
        for check in &checks(&policy, Some(&wide))[1..] {
            assert!(check.reason.ends_with("some 4000 units would tell"), "{}", check.reason);
        }
        let bad = live([500, 900], 1e-9, [-0.05, -0.02], [1.0, 2.0]);
        assert_eq!(verdicts(Some(&bad)), ["fail"; 3]);
        let few = live([50, 50], 0.9, [-0.005, 0.02], [-3.0, -1.0]);
        assert_eq!(verdicts(Some(&few)), ["pass", "inconclusive", "inconclusive"]);
        let told = &checks(&policy, Some(&few))[1].reason;
        assert!(told.contains("at least 100 are needed") && !told.contains("would tell"), "{told}");
    }
}
