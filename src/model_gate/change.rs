//! What would change the verdict.

use crate::record::evidence::Check;
use crate::report::{Table, Verdict, number};
use crate::verdict::verdict_of;

/// Of a pass, so many checks are told that were nearest to their limits: of those
/// with an interval, and of those without. Of anything else, what stands in its way.
const NEAREST: usize = 3;
const MOST: usize = 20;

/// A table, if there is a check that tells.
pub(super) fn table(verdict: Verdict, checks: &[Check]) -> Option<Table> {
    let mut table = Table::new("What would change the verdict", ["check", "change"]);
    if verdict == Verdict::Pass {
        let mut held: Vec<(f64, &Check, String)> = checks
            .iter()
            .filter_map(|check| room(check).map(|(near, told)| (near, check, told)))
            .collect();
        held.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (wide, exact): (Vec<_>, Vec<_>) =
            held.into_iter().partition(|(_, check, _)| interval(check).is_some());
        for (_, check, told) in
            wide.into_iter().take(NEAREST).chain(exact.into_iter().take(NEAREST))
        {
            table.row(None, [super::outcome::label(check), told]);
        }
    } else {
        for check in checks.iter().filter(|check| verdict_of(check) != Verdict::Pass).take(MOST) {
            table.row(None, [super::outcome::label(check), needed(check)]);
        }
    }
    (!table.rows.is_empty()).then_some(table)
}

/// An interval, and what it is held against.
fn interval(check: &Check) -> Option<[f64; 3]> {
    Some([check.low?, check.high?, check.limit?])
}

/// How far a check that holds is from one that does not: as a share of its own
/// size, and in words.
fn room(check: &Check) -> Option<(f64, String)> {
    if let Some([low, high, limit]) = interval(check) {
        let room = (low - limit).max(limit - high);
        let wide = (high - low) / 2.0;
        // A test decided where the interval did not.
        return (room >= 0.0 && wide > 0.0).then(|| {
            let shares = number(room / wide);
            (
                room / wide,
                format!(
                    "no pass any more if its interval moved by {}, {shares} times its half width",
                    number(room)
                ),
            )
        });
    }
    let (value, limit) = (check.candidate?, check.limit?);
    let room = (value - limit).abs();
    let size = limit.abs().max(value.abs());
    let near = if size > 0.0 { room / size } else { 0.0 };
    room.is_finite()
        .then(|| (near, format!("fails if {} moved by more than {}", number(value), number(room))))
}

/// What a check that does not hold would need.
fn needed(check: &Check) -> String {
    let decided = verdict_of(check) == Verdict::Fail;
    if let Some([low, high, limit]) = interval(check) {
        let inside = low <= limit && limit <= high;
        if decided && !inside {
            let move_by = (low - limit).abs().max((limit - high).abs());
            return format!(
                "its interval would have to move by {}, to lie beyond {}",
                number(move_by),
                number(limit)
            );
        }
        let move_by = (limit - low).min(high - limit);
        if inside && move_by > 0.0 {
            return format!(
                "its interval spans {}: more rows, or a move by {} to {} for the better",
                number(limit),
                number(move_by),
                number((limit - low).max(high - limit))
            );
        }
    }
    match (check.candidate, check.limit) {
        (Some(value), Some(limit)) if decided && check.low.is_none() && value.is_finite() => {
            format!(
                "{} would have to move by {}, to {}",
                number(value),
                number((value - limit).abs()),
                number(limit)
            )
        }
        _ => format!("it would have to hold: {}", check.reason),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(verdict: Verdict, check: Check) -> String {
        let check = Check { verdict: verdict.as_str().into(), rule: "rule".into(), ..check };
        let table = table(verdict, &[check]).unwrap();
        table.rows[0].cells[1].clone()
    }

    #[test]
    fn each_kind_of_check_says_what_it_takes() {
        let value = |value: f64| Check {
            candidate: Some(value),
            limit: Some(0.5),
            reason: "it is so".into(),
            ..Check::default()
        };
        let spans = |low: f64, high: f64| Check {
            value: Some(f64::midpoint(low, high)),
            low: Some(low),
            high: Some(high),
            ..value(0.9)
        };
        let cases = [
            (Verdict::Pass, value(0.75), "fails if 0.75 moved by more than 0.25"),
            (Verdict::Fail, value(0.25), "0.25 would have to move by 0.25, to 0.5"),
            (
                Verdict::Pass,
                spans(0.6, 0.8),
                "no pass any more if its interval moved by 0.1, 1 times its half width",
            ),
            // Where less is better, the interval lies below.
            (
                Verdict::Pass,
                spans(0.0, 0.4),
                "no pass any more if its interval moved by 0.1, 0.5 times its half width",
            ),
            (
                Verdict::Fail,
                spans(0.1, 0.3),
                "its interval would have to move by 0.4, to lie beyond 0.5",
            ),
            (
                Verdict::Inconclusive,
                spans(0.4, 0.8),
                "its interval spans 0.5: more rows, or a move by 0.1 to 0.3 for the better",
            ),
            (
                Verdict::Fail,
                Check { reason: "the tag is not set".into(), ..Check::default() },
                "it would have to hold: the tag is not set",
            ),
        ];
        for (verdict, check, expected) in cases {
            assert_eq!(told(verdict, check), expected);
        }
        // A test decided where the interval did not: how near it was is not known.
        let by_test = Check { verdict: "pass".into(), ..spans(0.4, 0.8) };
        assert!(table(Verdict::Pass, &[by_test]).is_none());
    }
}
