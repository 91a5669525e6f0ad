//! Whether a version runs as the policy asks for.

use jiff::Timestamp;

use crate::config::{Infrastructure, Range};
use crate::record::evidence::{Check, Probe};
use crate::report::{Verdict, number};

/// `at` is the time of the decision, RFC 3339.
pub(super) fn checks(policy: &Infrastructure, probes: &[Probe], at: &str) -> Vec<Check> {
    let now = at.parse::<Timestamp>().ok();
    let judge = |(name, range): (&String, &Range)| {
        let of_name: Vec<&Probe> = probes.iter().filter(|probe| probe.check == *name).collect();
        let (value, told) = match newest(&of_name, now, policy.max_age_days) {
            Ok(value) => judged(name, value, *range),
            Err(why) => (None, Err(format!("{name}: {why}"))),
        };
        let (verdict, reason) = match told {
            Ok(reason) => (Verdict::Pass, reason),
            Err(reason) => (Verdict::Fail, reason),
        };
        let ends = [("min", range.min), ("max", range.max)];
        let ends =
            ends.iter().filter_map(|(end, limit)| Some(format!("{end} {}", number((*limit)?))));
        Check {
            kind: "infrastructure".into(),
            rule: format!("{name} {}", ends.collect::<Vec<_>>().join(", ")),
            metric: name.clone(),
            candidate: value,
            verdict: verdict.as_str().to_owned(),
            reason,
            ..Check::default()
        }
    };
    policy.limits.iter().map(judge).collect()
}

type Told = Result<String, String>;

fn judged(name: &str, value: f64, range: Range) -> (Option<f64>, Told) {
    if let Some(min) = range.min.filter(|min| value < *min) {
        return (Some(value), Err(format!("{name} {} < {}", number(value), number(min))));
    }
    if let Some(max) = range.max.filter(|max| value > *max) {
        return (Some(value), Err(format!("{name} {} > {}", number(value), number(max))));
    }
    (Some(value), Ok(format!("{name} is {}", number(value))))
}

/// The one value of the newest time.
fn newest(probes: &[&Probe], now: Option<Timestamp>, max_age_days: f64) -> Result<f64, String> {
    let time = |probe: &&Probe| probe.at.parse::<Timestamp>().ok();
    let newest = probes.iter().filter_map(time).max().ok_or("there is no result")?;
    let age = now.map(|now| now.duration_since(newest).as_secs_f64() / 86_400.0);
    match age {
        None => return Err("the time of the decision cannot be read".into()),
        Some(days) if days > max_age_days => {
            return Err(format!(
                "the result is {} days old, {} are allowed",
                number(days),
                number(max_age_days)
            ));
        }
        // A clock may be a little off.
        Some(days) if days < -0.01 => return Err("the result is from the future".into()),
        Some(_) => {}
    }
    let mut values =
        probes.iter().filter(|probe| time(probe) == Some(newest)).map(|probe| probe.value);
    let first = values
        .next()
        .flatten()
        .filter(|value| value.is_finite())
        .ok_or("the result is not finite")?;
    if values.any(|other| other != Some(first)) {
        return Err("there are several results of one time".into());
    }
    Ok(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probe(check: &str, value: Option<f64>, at: &str) -> Probe {
        Probe { check: check.into(), value, at: at.into() }
    }

    fn told(probes: &[Probe]) -> (String, bool) {
        let policy = Infrastructure {
            results: "a.b.c".parse().unwrap(),
            limits: [("p95_ms".to_owned(), Range { min: None, max: Some(50.0) })].into(),
            max_age_days: 2.0,
        };
        let check = checks(&policy, probes, "2026-03-03T00:00:00Z").remove(0);
        (check.reason, check.verdict == "pass")
    }

    #[test]
    fn the_newest_result_counts_and_what_is_not_known_does_not_pass() {
        let (old, new) = ("2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z");
        let of = |value: f64, at: &str| probe("p95_ms", Some(value), at);
        assert_eq!(told(&[of(90.0, old), of(20.0, new)]), ("p95_ms is 20".into(), true));
        for (probes, words) in [
            (vec![], "no result"),
            (vec![probe("p50_ms", Some(1.0), new)], "no result"),
            (vec![of(20.0, old), of(90.0, new)], "90 > 50"),
            (vec![probe("p95_ms", None, new)], "not finite"),
            (vec![of(20.0, new), of(21.0, new)], "several results"),
            (vec![of(20.0, "2026-02-01T00:00:00Z")], "days old"),
            (vec![of(20.0, "2026-04-01T00:00:00Z")], "future"),
            (vec![of(20.0, "yesterday")], "no result"),
        ] {
            let (reason, passes) = told(&probes);
            assert!(!passes && reason.contains(words), "{reason}");
        }
    }
}
