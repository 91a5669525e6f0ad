//! From numbers to a verdict. The only pass is: finite, enough rows, every
//! condition true.

use std::collections::BTreeMap;

use crate::config::{Gate, Rule};
use crate::report::{Verdict, number};
use crate::stats::bootstrap::Difference;
use crate::stats::metrics::Metric;

/// The metrics of both models.
#[derive(Debug, Clone, Default)]
pub(super) struct Measured {
    pub(super) rows: u64,
    /// Rows of the rarer class, where there are two.
    pub(super) rarer: Option<u64>,
    pub(super) candidate: BTreeMap<&'static str, f64>,
    pub(super) champion: Option<BTreeMap<&'static str, f64>>,
    pub(super) differences: BTreeMap<&'static str, Difference>,
    /// The two models gave the same prediction for every row.
    pub(super) identical: bool,
}

/// What one rule came to.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Ruling {
    pub(super) rule: String,
    pub(super) metric: Metric,
    pub(super) verdict: Verdict,
    pub(super) reason: String,
    pub(super) difference: Option<Difference>,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Decision {
    pub(super) verdict: Verdict,
    pub(super) reason: String,
    pub(super) rulings: Vec<Ruling>,
    /// What the reader must know beside the rules.
    pub(super) notes: Vec<String>,
}

pub(super) fn decide(policy: &Gate, measured: &Measured) -> Decision {
    let mut notes = Vec::new();
    let mut rulings = Vec::new();
    for rule in &policy.rules {
        if rule.compares() && measured.champion.is_none() {
            notes.push(format!(
                "there is no champion yet: `{}` was judged by absolute limits only",
                rule.metric
            ));
        }
        rulings.extend(absolute(rule, measured));
        rulings.extend(comparisons(rule, measured));
    }
    let worst = rulings.iter().map(|ruling| ruling.verdict).fold(Verdict::Pass, Verdict::and);
    let (verdict, reason) = if rulings.is_empty() {
        (Verdict::Fail, "no rule could be applied: give the first model absolute limits".to_owned())
    } else if measured.identical {
        (Verdict::Fail, "both models predict the same for every row: the comparison is wired to one model twice".to_owned())
    } else if worst == Verdict::Fail {
        (Verdict::Fail, first_reason(&rulings, Verdict::Fail))
    } else if measured.rows < policy.min_rows {
        let reason =
            format!("{} rows are too few, at least {} are needed", measured.rows, policy.min_rows);
        (Verdict::Inconclusive, reason)
    } else if let Some(rarer) = measured.rarer.filter(|rarer| *rarer < policy.min_positives) {
        let least = policy.min_positives;
        let reason =
            format!("{rarer} rows of the rarer class are too few, at least {least} are needed");
        (Verdict::Inconclusive, reason)
    } else if worst == Verdict::Inconclusive {
        (Verdict::Inconclusive, first_reason(&rulings, Verdict::Inconclusive))
    } else {
        (
            Verdict::Pass,
            format!("{} of {} rules hold on {} rows", rulings.len(), rulings.len(), measured.rows),
        )
    };
    Decision { verdict, reason, rulings, notes }
}

fn first_reason(rulings: &[Ruling], verdict: Verdict) -> String {
    let of_kind: Vec<&Ruling> = rulings.iter().filter(|ruling| ruling.verdict == verdict).collect();
    let first = of_kind.first().map(|ruling| ruling.reason.clone()).unwrap_or_default();
    if of_kind.len() > 1 { format!("{first} (and {} more)", of_kind.len() - 1) } else { first }
}

/// `min` and `max`, on the candidate's own value.
fn absolute(rule: &Rule, measured: &Measured) -> Vec<Ruling> {
    let value = measured.candidate.get(rule.metric.as_str()).copied().unwrap_or(f64::NAN);
    let mut rulings = Vec::new();
    let mut judge = |name: &str, sign: &str, limit: f64, holds: bool| {
        // NaN holds for no comparison, and infinity is no result.
        let verdict = if value.is_finite() && holds { Verdict::Pass } else { Verdict::Fail };
        let metric = rule.metric;
        let reason = if value.is_finite() {
            format!(
                "{metric} {} {} {}",
                number(value),
                if holds { sign } else { negated(sign) },
                number(limit)
            )
        } else {
            format!("{metric} is not finite")
        };
        rulings.push(Ruling {
            rule: format!("{metric} {name} {}", number(limit)),
            metric,
            verdict,
            reason,
            difference: None,
        });
    };
    if let Some(min) = rule.min {
        judge("min", "≥", min, value >= min);
    }
    if let Some(max) = rule.max {
        judge("max", "≤", max, value <= max);
    }
    rulings
}

fn negated(sign: &str) -> &'static str {
    if sign == "≥" { "<" } else { ">" }
}

/// Against the champion, on the bounds of the interval. Where the interval
/// spans the limit the data cannot tell, which is not a pass.
fn comparisons(rule: &Rule, measured: &Measured) -> Vec<Ruling> {
    if measured.champion.is_none() {
        return Vec::new();
    }
    let mut rulings = Vec::new();
    if let Some(margin) = rule.not_worse_than {
        let champion = measured.champion.as_ref();
        let champion = champion.and_then(|values| values.get(rule.metric.as_str()));
        let size = margin.against(champion.copied().unwrap_or(f64::NAN));
        let name = format!("{} not worse than {margin}", rule.metric);
        rulings.push(compare(rule.metric, -size, name, measured));
    }
    if rule.better_than_champion {
        rulings.push(compare(
            rule.metric,
            0.0,
            format!("{} better than champion", rule.metric),
            measured,
        ));
    }
    rulings
}

/// The gain must exceed `limit` with confidence. A gain is positive when the
/// candidate is better, whichever way the metric points.
fn compare(metric: Metric, limit: f64, rule: String, measured: &Measured) -> Ruling {
    let difference = measured.differences.get(metric.as_str()).copied();
    let finite =
        difference.filter(|d| d.value.is_finite() && d.low.is_finite() && d.high.is_finite());
    let Some(d) = finite.filter(|_| limit.is_finite()) else {
        let reason = format!("the difference of {metric} is not finite");
        return Ruling { rule, metric, verdict: Verdict::Fail, reason, difference };
    };
    let (low, high) = if metric.larger_is_better() { (d.low, d.high) } else { (-d.high, -d.low) };
    let verdict = if low > limit {
        Verdict::Pass
    } else if high <= limit {
        Verdict::Fail
    } else {
        Verdict::Inconclusive
    };
    let words = match verdict {
        Verdict::Pass => "holds",
        Verdict::Fail => "does not hold",
        Verdict::Inconclusive => "cannot be told from this data",
    };
    let mut reason = format!(
        "{rule} {words}: difference {} [{}, {}]",
        number(d.value),
        number(d.low),
        number(d.high)
    );
    if verdict == Verdict::Inconclusive {
        let gain = if metric.larger_is_better() { d.value } else { -d.value };
        reason.push_str(&more_rows(gain - limit, (high - low) / 2.0, measured));
    }
    Ruling { rule, metric, verdict, reason, difference: Some(d) }
}

/// How many rows would tell, if the difference stays what it is: the interval
/// narrows with the root of their number.
fn more_rows(beyond: f64, half_width: f64, measured: &Measured) -> String {
    let times = (half_width / beyond).powi(2);
    let rows = measured.rows as f64 * times;
    if !rows.is_finite() || rows > 1e12 {
        return ", no number of rows is in sight that would tell".into();
    }
    // Never fewer than there are: an interval need not lie around its value.
    let rows = rows.max(measured.rows as f64 + 1.0);
    let size = 10f64.powf(rows.log10().floor() - 1.0).max(1.0);
    format!(", some {} rows would tell", (rows / size).ceil() * size)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use proptest::prelude::*;

    fn policy(rules: &str) -> Gate {
        let text = format!(
            "gate: {{problem: binary, predictions: a.b.c, key: [id], label: y, candidate: p, champion: q, rules: [{rules}]}}"
        );
        Config::parse("t", &text).unwrap().gate.unwrap()
    }

    fn measured(auc: f64, difference: Option<(f64, f64, f64)>) -> Measured {
        let mut measured = Measured {
            rows: 5000,
            candidate: [("roc_auc", auc), ("log_loss", auc)].into(),
            ..Measured::default()
        };
        if let Some((low, value, high)) = difference {
            measured.champion = Some([("roc_auc", auc - value), ("log_loss", auc - value)].into());
            let difference = Difference { value, low, high, undefined: 0 };
            measured.differences = [("roc_auc", difference), ("log_loss", difference)].into();
        }
        measured
    }

    fn verdict(rules: &str, measured: &Measured) -> Verdict {
        decide(&policy(rules), measured).verdict
    }

    #[test]
    fn the_table_of_bad_inputs_never_passes() {
        let min = "{metric: roc_auc, min: 0.7}";
        assert_eq!(verdict(min, &measured(0.8, None)), Verdict::Pass);
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 0.69] {
            assert_eq!(verdict(min, &measured(bad, None)), Verdict::Fail, "{bad}");
        }
        let empty = Measured { rows: 5000, ..Measured::default() };
        assert_eq!(verdict(min, &empty), Verdict::Fail);
        let few = Measured { rows: 10, ..measured(0.8, None) };
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
        assert_eq!(
            verdict("{metric: log_loss, better_than_champion: true}", &falling),
            Verdict::Pass
        );
        let broken = measured(0.8, Some((f64::NAN, 0.1, 0.2)));
        assert_eq!(verdict(not_worse, &broken), Verdict::Fail);
    }

    #[test]
    fn the_first_model_is_judged_by_absolute_limits_and_it_says_so() {
        let decision = decide(
            &policy("{metric: roc_auc, min: 0.7, not_worse_than: 0.01}"),
            &measured(0.8, None),
        );
        assert_eq!(decision.verdict, Verdict::Pass);
        assert!(decision.notes[0].contains("no champion yet"));
        assert_eq!(
            verdict("{metric: roc_auc, not_worse_than: 0.01}", &measured(0.8, None)),
            Verdict::Fail
        );
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
}
