//! When a call is sent again, and how long to wait before it.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::StatusCode;

/// What sending a call twice would do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Nothing: it only reads.
    Read,
    /// The same state again.
    Idempotent,
    /// Nothing new: the server knows the key (an idempotency token).
    Keyed,
    /// A second effect. Sent again only when the server cannot have acted.
    Unkeyed,
    /// Nothing, but the caller asks how an attempt ends.
    Once,
}

/// What became of one attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempt {
    /// The connection was never made.
    NotSent,
    /// Sent, but no complete answer came.
    NoAnswer,
    Status(StatusCode),
}

impl Class {
    /// Whether another attempt is safe and may help.
    pub fn retries(self, attempt: Attempt) -> bool {
        match attempt {
            _ if self == Self::Once => false,
            Attempt::NotSent => true,
            // The limiter answers before any handler runs.
            Attempt::Status(StatusCode::TOO_MANY_REQUESTS) => true,
            Attempt::NoAnswer => self != Self::Unkeyed,
            Attempt::Status(status) => {
                self != Self::Unkeyed && matches!(status.as_u16(), 408 | 500 | 502 | 503 | 504)
            }
        }
    }
}

const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
const LONGEST_ASKED: Duration = Duration::from_secs(60);

/// How many times a call is sent at most.
pub const MAX_ATTEMPTS: u32 = 8;

/// The pause before attempt `next` (2 and up): what the server asked for, or
/// full jitter under a doubling bound. `roll` is uniform in `[0, 1)`.
pub fn pause(next: u32, asked: Option<Duration>, roll: f64) -> Duration {
    let jitter = |bound: Duration| bound.mul_f64(roll);
    match asked {
        Some(asked) => asked.min(LONGEST_ASKED) + jitter(FIRST_PAUSE),
        None => jitter(
            (FIRST_PAUSE * 2u32.saturating_pow(next.saturating_sub(2).min(10))).min(LONGEST_PAUSE),
        ),
    }
}

/// `Retry-After`: seconds, or an HTTP date.
pub fn retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    if let Ok(seconds) = value.trim().parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(value.trim()).ok()?;
    Some(Duration::try_from(date.timestamp().duration_since(now)).unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_unkeyed_write_is_sent_again_only_when_nothing_can_have_happened() {
        let status = |code| Attempt::Status(StatusCode::from_u16(code).unwrap());
        for (attempt, again) in [
            (Attempt::NotSent, true),
            (status(429), true),
            (Attempt::NoAnswer, false),
            (status(503), false),
            (status(500), false),
        ] {
            assert_eq!(Class::Unkeyed.retries(attempt), again, "{attempt:?}");
            assert!(Class::Keyed.retries(attempt), "{attempt:?}");
        }
        for code in [400, 401, 403, 404, 409] {
            assert!(!Class::Read.retries(status(code)), "{code}");
        }
    }

    #[test]
    fn retry_after_comes_in_two_forms() {
        let now: Timestamp = "2026-03-01T10:00:00Z".parse().unwrap();
        assert_eq!(retry_after("7", now), Some(Duration::from_secs(7)));
        assert_eq!(
            retry_after("Sun, 01 Mar 2026 10:00:30 GMT", now),
            Some(Duration::from_secs(30))
        );
        assert_eq!(retry_after("Sun, 01 Mar 2026 09:00:00 GMT", now), Some(Duration::ZERO));
        assert_eq!(retry_after("soon", now), None);
    }

    proptest! {
        #[test]
        fn pauses_stay_within_their_bounds(next in 2u32..1000, roll in 0.0..1.0f64, asked in proptest::option::of(0u64..1_000_000)) {
            let pause = pause(next, asked.map(Duration::from_secs), roll);
            prop_assert!(pause <= LONGEST_ASKED + FIRST_PAUSE);
        }
    }
}
