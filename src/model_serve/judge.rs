//! Whether a version stands up to what was seen of it at one share of the traffic.

use super::live::Counts;
use crate::config::Stop;
use crate::report::{Verdict, number};
use crate::stats::exact;

/// What was seen at one share of the traffic.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Seen {
    /// Why it answers nothing, where it does not.
    pub(super) silent: Option<String>,
    /// Requests of the probe.
    pub(super) requests: u64,
    /// Those without an answer, or with one that is none.
    pub(super) failed: u64,
    /// What the first of them met.
    pub(super) first_failure: Option<String>,
    /// How long each answer took, in milliseconds.
    pub(super) took_ms: Vec<f64>,
    /// Requests of others, and those of them that failed, of the version and of what is
    /// served beside it; where the endpoint tells.
    pub(super) live: Option<[Counts; 2]>,
    /// Whether others had the time to ask.
    pub(super) soaked: bool,
}

/// A limit, what was seen, and what that says.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Held {
    pub(super) verdict: Verdict,
    pub(super) told: String,
}

impl Seen {
    /// The largest of the 95 % of answers that took the least.
    pub(super) fn p95_ms(&self) -> Option<f64> {
        let mut sorted = self.took_ms.clone();
        sorted.sort_unstable_by(f64::total_cmp);
        let at = (0.95 * sorted.len() as f64).ceil() as usize;
        sorted.get(at.checked_sub(1)?).copied()
    }

    /// Every limit, the worst first.
    pub(super) fn held(&self, stop: &Stop) -> Vec<Held> {
        if let Some(why) = &self.silent {
            let told = format!("it does not answer: {why}");
            return vec![Held { verdict: Verdict::Fail, told }];
        }
        let mut held = vec![self.probe(stop.errors)];
        held.extend(stop.p95_ms.map(|limit| self.latency(limit)));
        held.extend(self.live(stop));
        held.sort_by_key(|one| std::cmp::Reverse(one.verdict));
        held
    }

    fn probe(&self, limit: f64) -> Held {
        let (verdict, bounds) = share(self.failed, self.requests, limit);
        let first = self.first_failure.as_ref().map(|first| format!("; the first: {first}"));
        let told = format!(
            "{} of {} requests failed {bounds}{}",
            self.failed,
            self.requests,
            first.unwrap_or_default()
        );
        Held { verdict, told }
    }

    fn latency(&self, limit: f64) -> Held {
        let [low, high] = exact::quantile(&self.took_ms, 0.95);
        let verdict = verdict([low, high], limit);
        let end = |end: f64| if end.is_finite() { number(end) } else { "?".into() };
        let told = format!(
            "95 % of answers took no more than {} to {} ms (limit {limit} ms)",
            end(low),
            end(high)
        );
        Held { verdict, told }
    }

    fn live(&self, stop: &Stop) -> Option<Held> {
        if !self.soaked {
            return None;
        }
        let [own, others] = match self.live {
            Some(counts) => counts,
            None if stop.live_requests == 0 => return None,
            None => [[0; 2]; 2],
        };
        let [requests, failed] = own;
        if requests < stop.live_requests {
            let told = format!("{requests} live requests, {} are asked for", stop.live_requests);
            return Some(Held { verdict: Verdict::Inconclusive, told });
        }
        // What callers do wrong, they do wrong with the others, too.
        let beside = if others[0] > 0 { exact::share(others[1], others[0])[1] } else { 0.0 };
        let (verdict, bounds) = share(failed, requests, stop.errors.max(beside));
        // A few requests of others can show that a version fails; they need show no more,
        // unless so many are asked for.
        let is_shown = stop.live_requests > 0 || verdict == Verdict::Fail;
        let verdict = if is_shown { verdict } else { Verdict::Pass };
        let told = format!("{failed} of {requests} live requests failed {bounds}");
        Some(Held { verdict, told })
    }
}

/// What counts say of a limit on a share.
fn share(hits: u64, of: u64, limit: f64) -> (Verdict, String) {
    let bounds = exact::share(hits, of);
    let percent = |share: f64| number((share * 10_000.0).round() / 100.0);
    let [low, high, most] = [bounds[0], bounds[1], limit].map(percent);
    let told = format!("({low} to {high} % of all, limit {most} %)");
    (verdict(bounds, limit), told)
}

/// What an interval says of a limit that nothing may pass.
fn verdict([low, high]: [f64; 2], limit: f64) -> Verdict {
    if high <= limit {
        Verdict::Pass
    } else if low > limit {
        Verdict::Fail
    } else {
        Verdict::Inconclusive
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn stop() -> Stop {
        Stop { errors: 0.02, p95_ms: Some(100.0), live_requests: 0 }
    }

    fn worst(seen: &Seen, stop: &Stop) -> (Verdict, String) {
        let first = seen.held(stop).into_iter().next().unwrap();
        (first.verdict, first.told)
    }

    #[test]
    fn what_is_too_near_to_a_limit_does_not_go_on() {
        let seen = |failed: u64, ms: f64| Seen {
            requests: 200,
            failed,
            took_ms: vec![ms; 200 - failed as usize],
            ..Seen::default()
        };
        assert_eq!(worst(&seen(0, 50.0), &stop()).0, Verdict::Pass);
        // One of 200 may be 2.3 % of all.
        let (verdict, told) = worst(&seen(1, 50.0), &stop());
        assert_eq!(verdict, Verdict::Inconclusive);
        assert_eq!(told, "1 of 200 requests failed (0.03 to 2.35 % of all, limit 2 %)");
        assert_eq!(worst(&seen(20, 50.0), &stop()).0, Verdict::Fail);
        let (verdict, told) = worst(&seen(0, 101.0), &stop());
        assert_eq!(verdict, Verdict::Fail);
        assert_eq!(told, "95 % of answers took no more than 101 to 101 ms (limit 100 ms)");
        assert_eq!(worst(&Seen::default(), &stop()).0, Verdict::Inconclusive);
        let silent = Seen { silent: Some("x".into()), ..seen(0, 1.0) };
        assert_eq!(worst(&silent, &stop()), (Verdict::Fail, "it does not answer: x".into()));
        assert_eq!(seen(0, 7.0).p95_ms(), Some(7.0));
        assert_eq!(Seen::default().p95_ms(), None);
    }

    #[test]
    fn live_requests_can_stop_what_the_probe_let_pass() {
        let fine = Seen { requests: 200, took_ms: vec![1.0; 200], soaked: true, ..Seen::default() };
        let with = |own, others| Seen { live: Some([own, others]), ..fine.clone() };
        assert_eq!(worst(&with([50, 0], [0, 0]), &stop()).0, Verdict::Pass);
        assert_eq!(worst(&with([50, 3], [0, 0]), &stop()).0, Verdict::Pass);
        let (verdict, told) = worst(&with([50, 9], [0, 0]), &stop());
        assert_eq!(verdict, Verdict::Fail);
        assert_eq!(told, "9 of 50 live requests failed (9.72 to 29.31 % of all, limit 2 %)");
        // What comes of callers is met by what was served before, too.
        assert_eq!(worst(&with([50, 9], [500, 90]), &stop()).0, Verdict::Pass);
        assert_eq!(worst(&with([500, 250], [500, 90]), &stop()).0, Verdict::Fail);
        assert_eq!(worst(&fine, &stop()).0, Verdict::Pass);
        let asked = Stop { live_requests: 100, ..stop() };
        let (verdict, told) = worst(&fine, &asked);
        let none = "0 live requests, 100 are asked for";
        assert_eq!((verdict, told.as_str()), (Verdict::Inconclusive, none));
        // So many are asked for to be sure.
        assert_eq!(worst(&with([100, 1], [0, 0]), &asked).0, Verdict::Inconclusive);
        assert_eq!(worst(&with([200, 0], [0, 0]), &asked).0, Verdict::Pass);
        // Before it has traffic, nobody else can have asked.
        assert_eq!(worst(&Seen { soaked: false, ..fine.clone() }, &asked).0, Verdict::Pass);
    }

    proptest! {
        #[test]
        fn a_tighter_limit_never_lets_more_pass(
            requests in 1u64..400, share in 0.0f64..1.0, errors in 0.001f64..0.5, ms in 1.0f64..200.0,
        ) {
            let failed = (requests as f64 * share) as u64;
            let seen = Seen { requests, failed, took_ms: vec![ms; (requests - failed) as usize], ..Seen::default() };
            let loose = Stop { errors, p95_ms: Some(150.0), live_requests: 0 };
            let tight = Stop { errors: errors / 2.0, p95_ms: Some(75.0), live_requests: 0 };
            let passes = |stop: &Stop| seen.held(stop).iter().all(|one| one.verdict == Verdict::Pass);
            prop_assert!(passes(&loose) || !passes(&tight));
            if failed > 0 {
                let half = failed as f64 / requests as f64 / 2.0;
                let held = passes(&Stop { errors: half, ..loose });
                prop_assert!(!held);
            }
        }
    }
}
