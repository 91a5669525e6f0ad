//! How far groups are apart in the alarms that they get.

use super::power;
use crate::config::{Fairness, Gate, On};
use crate::record::evidence::{Check, Group, Measured, finite};
use crate::report::{Verdict, number};
use crate::stats::proportions::{self, Share};

pub(super) fn checks(policy: &Gate, measured: &Measured) -> Vec<Check> {
    let outside = 1.0 - policy.confidence;
    let mut checks = Vec::new();
    for (at, rule) in policy.fairness.iter().enumerate() {
        let groups = measured.groups.get(at).map(Vec::as_slice).unwrap_or_default();
        if let Some(limit) = rule.max_difference {
            checks.push(check(rule, groups, Limit::Difference(limit), outside));
        }
        if let Some(limit) = rule.min_ratio {
            checks.push(check(rule, groups, Limit::Ratio(limit), outside));
        }
    }
    checks
}

#[derive(Clone, Copy)]
enum Limit {
    Difference(f64),
    Ratio(f64),
}

/// Two groups, and how far they are apart, whichever has the higher share.
struct Pair {
    apart: f64,
    /// The ends between which that may lie: nearest to equal, and farthest from it.
    near: f64,
    far: f64,
    /// Of both groups.
    rows: u64,
    /// The groups with the lower and the higher share, as they are told.
    told: String,
}

impl Pair {
    fn interval(&self) -> [f64; 2] {
        [self.near.min(self.far), self.near.max(self.far)]
    }
}

impl Limit {
    fn name(self) -> &'static str {
        match self {
            Self::Difference(_) => "difference",
            Self::Ratio(_) => "ratio",
        }
    }

    fn size(self) -> f64 {
        match self {
            Self::Difference(size) | Self::Ratio(size) => size,
        }
    }

    /// By difference or ratio: the value, and the ends of an interval that misses it
    /// in `alpha`. Which group has the higher share is not known, only which had it.
    fn apart(self, [low, high]: [Share; 2], alpha: f64) -> [f64; 3] {
        match self {
            Self::Difference(_) => {
                let [from, to] = proportions::difference([high, low], alpha);
                let near = if from <= 0.0 && to >= 0.0 { 0.0 } else { from.abs().min(to.abs()) };
                [high.value - low.value, near, from.abs().max(to.abs())]
            }
            Self::Ratio(_) => {
                let [from, to] = proportions::ratio([low, high], alpha);
                let [one, other] = [from.min(from.recip()), to.min(to.recip())];
                let near = if from <= 1.0 && to >= 1.0 { 1.0 } else { one.max(other) };
                // Nobody gets an alarm: all are treated alike.
                let value = if high.value == 0.0 { 1.0 } else { low.value / high.value };
                [value, near, one.min(other)]
            }
        }
    }

    fn is_kept(self, apart: f64) -> bool {
        match self {
            Self::Difference(size) => apart <= size,
            Self::Ratio(size) => apart >= size,
        }
    }

    fn is_worse(self, apart: f64, than: f64) -> bool {
        match self {
            Self::Difference(_) => apart > than,
            Self::Ratio(_) => apart < than,
        }
    }

    fn sign(self, kept: bool) -> &'static str {
        match (self, kept) {
            (Self::Difference(_), true) => "≤",
            (Self::Difference(_), false) => ">",
            (Self::Ratio(_), true) => "≥",
            (Self::Ratio(_), false) => "<",
        }
    }

    /// The pair for which `of` is worst.
    fn worst(self, pairs: &[Pair], of: impl Fn(&Pair) -> f64) -> Option<&Pair> {
        pairs.iter().reduce(
            |worst, pair| {
                if self.is_worse(of(pair), of(worst)) { pair } else { worst }
            },
        )
    }
}

/// All pairs of groups, in every share that the measure compares.
fn pairs(groups: &[&Group], limit: Limit, outside: f64) -> Vec<Pair> {
    let kinds = groups.iter().map(|group| group.shares.len()).max().unwrap_or_default();
    let share = |group: &Group, kind: usize| {
        let value = group.shares.get(kind).copied().flatten()?;
        let of = group.effective.get(kind).copied().unwrap_or(group.rows as f64);
        Some(Share { value, of })
    };
    let count = kinds * groups.len() * groups.len().saturating_sub(1) / 2;
    let alpha = outside / count.max(1) as f64;
    let mut found = Vec::with_capacity(count);
    for kind in 0..kinds {
        for (at, one) in groups.iter().enumerate() {
            for other in &groups[at + 1..] {
                let (Some(a), Some(b)) = (share(one, kind), share(other, kind)) else { continue };
                let [low, high] = if a.value <= b.value {
                    [(&one.name, a), (&other.name, b)]
                } else {
                    [(&other.name, b), (&one.name, a)]
                };
                let [apart, near, far] = limit.apart([low.1, high.1], alpha);
                let [below, above] =
                    [low, high].map(|(name, share)| format!("{name} {}", number(share.value)));
                let told = format!("{below} and {above}");
                let rows = one.rows + other.rows;
                found.push(Pair { apart, near, far, rows, told });
            }
        }
    }
    found
}

/// The verdict on all pairs, the one that it is about, and how it is told.
fn judged(pairs: &[Pair], limit: Limit, on: On) -> Option<(Verdict, &Pair, String)> {
    let size = number(limit.size());
    let name = limit.name();
    if on == On::Value {
        let pair = limit.worst(pairs, |pair| pair.apart)?;
        let kept = limit.is_kept(pair.apart);
        let verdict = if kept { Verdict::Pass } else { Verdict::Fail };
        let apart = number(pair.apart);
        return Some((verdict, pair, format!("{name} {apart} {} {size}", limit.sign(kept))));
    }
    let surely = limit.worst(pairs, |pair| pair.near)?;
    let at_worst = limit.worst(pairs, |pair| pair.far)?;
    let all_kept = pairs.iter().all(|pair| limit.is_kept(pair.apart));
    let (verdict, pair, words) = if !limit.is_kept(surely.near) {
        (Verdict::Fail, surely, "does not hold")
    } else if limit.is_kept(at_worst.far) && all_kept {
        (Verdict::Pass, at_worst, "holds")
    } else {
        (Verdict::Inconclusive, at_worst, "cannot be told from this data")
    };
    let sign = limit.sign(true);
    let (apart, [low, high]) = (number(pair.apart), pair.interval().map(number));
    let mut told = format!("{name} {sign} {size} {words}: {apart} [{low}, {high}]");
    if verdict == Verdict::Inconclusive {
        let [low, high] = pair.interval();
        let beyond = pair.apart - limit.size();
        told.push_str(&power::more("rows of both", pair.rows, beyond, (high - low) / 2.0));
    }
    Some((verdict, pair, told))
}

/// The largest distance of any share, between the groups at its ends.
fn check(rule: &Fairness, groups: &[Group], limit: Limit, outside: f64) -> Check {
    let measure = rule.measure.as_str();
    let unknown = |group: &&Group| {
        let undefined = group.shares.is_empty() || group.shares.iter().any(Option::is_none);
        group.rows < rule.min_rows || undefined
    };
    let (small, enough): (Vec<&Group>, Vec<&Group>) = groups.iter().partition(unknown);
    let pairs = pairs(&enough, limit, outside);
    let found = judged(&pairs, limit, rule.on);
    let (verdict, reason) = match &found {
        None => {
            let told = format!("fewer than two groups of `{}` have enough rows", rule.by);
            (Verdict::Inconclusive, told)
        }
        Some((verdict, pair, told)) => {
            let told = format!("{measure} by {}: {told}, {}", rule.by, pair.told);
            if *verdict == Verdict::Pass && !small.is_empty() {
                let names: Vec<&str> = small.iter().map(|group| group.name.as_str()).collect();
                (Verdict::Inconclusive, format!("{told}; too few rows of {}", names.join(", ")))
            } else {
                (*verdict, told)
            }
        }
    };
    let pair = found.as_ref().map(|(_, pair, _)| *pair);
    let bound = if rule.on == On::Bound { ", by its bound" } else { "" };
    Check {
        kind: "fairness".into(),
        rule: format!("{measure} by {}: {} {}{bound}", rule.by, limit.name(), number(limit.size())),
        metric: measure.to_owned(),
        rows: Some(groups.iter().map(|group| group.rows).sum()),
        candidate: pair.map(|pair| pair.apart),
        value: pair.map(|pair| pair.apart),
        low: pair.and_then(|pair| finite(pair.interval()[0])),
        high: pair.and_then(|pair| finite(pair.interval()[1])),
        limit: Some(limit.size()),
        verdict: verdict.as_str().to_owned(),
        reason,
        ..Check::default()
    }
}
