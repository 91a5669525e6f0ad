//! How far groups are apart in the alarms that they get.

use crate::config::{Fairness, Gate};
use crate::record::evidence::{Check, Group, Measured};
use crate::report::{Verdict, number};

pub(super) fn checks(policy: &Gate, measured: &Measured) -> Vec<Check> {
    let mut checks = Vec::new();
    for (at, rule) in policy.fairness.iter().enumerate() {
        let groups = measured.groups.get(at).map(Vec::as_slice).unwrap_or_default();
        if let Some(limit) = rule.max_difference {
            checks.push(check(rule, groups, Limit::Difference(limit)));
        }
        if let Some(limit) = rule.min_ratio {
            checks.push(check(rule, groups, Limit::Ratio(limit)));
        }
    }
    checks
}

#[derive(Clone, Copy)]
enum Limit {
    Difference(f64),
    Ratio(f64),
}

/// Two groups, and how far they are apart.
struct Ends {
    apart: f64,
    /// The groups with the lowest and the highest share, as they are told.
    told: [String; 2],
}

impl Limit {
    /// By difference or ratio.
    fn apart(self, [low, high]: [f64; 2]) -> f64 {
        match self {
            Self::Difference(_) => high - low,
            // Nobody gets an alarm: all are treated alike.
            Self::Ratio(_) if high == 0.0 => 1.0,
            Self::Ratio(_) => low / high,
        }
    }

    fn is_worse(self, apart: f64, than: f64) -> bool {
        match self {
            Self::Difference(_) => apart > than,
            Self::Ratio(_) => apart < than,
        }
    }

    /// Whether it is kept, and the sign that says so.
    fn judge(self, apart: f64) -> (bool, &'static str) {
        match self {
            Self::Difference(size) if apart <= size => (true, "≤"),
            Self::Difference(_) => (false, ">"),
            Self::Ratio(size) if apart >= size => (true, "≥"),
            Self::Ratio(_) => (false, "<"),
        }
    }
}

/// The groups that are farthest apart in any share.
fn ends(groups: &[&Group], limit: Limit) -> Option<Ends> {
    let kinds = groups.iter().map(|group| group.shares.len()).max().unwrap_or_default();
    let of_kind = |kind: usize| {
        let known: Vec<(&str, f64)> = groups
            .iter()
            .filter_map(|group| Some((group.name.as_str(), group.shares.get(kind).copied()??)))
            .collect();
        let low = known.iter().min_by(|a, b| a.1.total_cmp(&b.1))?;
        let high = known.iter().max_by(|a, b| a.1.total_cmp(&b.1))?;
        let told = [low, high].map(|(name, share)| format!("{name} {}", number(*share)));
        Some(Ends { apart: limit.apart([low.1, high.1]), told })
    };
    (0..kinds)
        .filter_map(of_kind)
        .reduce(|worst, ends| if limit.is_worse(ends.apart, worst.apart) { ends } else { worst })
}

/// The largest distance of any share, between the groups at its ends.
fn check(rule: &Fairness, groups: &[Group], limit: Limit) -> Check {
    let (what, size) = match limit {
        Limit::Difference(size) => ("difference", size),
        Limit::Ratio(size) => ("ratio", size),
    };
    let measure = rule.measure.as_str();
    let unknown = |group: &&Group| {
        let undefined = group.shares.is_empty() || group.shares.iter().any(Option::is_none);
        group.rows < rule.min_rows || undefined
    };
    let (small, enough): (Vec<&Group>, Vec<&Group>) = groups.iter().partition(unknown);
    let ends = if groups.len() < 2 { None } else { ends(&enough, limit) };
    let (verdict, reason) = match &ends {
        None => {
            let told = format!("fewer than two groups of `{}` have enough rows", rule.by);
            (Verdict::Inconclusive, told)
        }
        Some(Ends { apart, told: [low, high] }) => {
            let (holds, sign) = limit.judge(*apart);
            let (apart, size) = (number(*apart), number(size));
            let told =
                format!("{measure} by {}: {what} {apart} {sign} {size}, {low} and {high}", rule.by);
            if !holds {
                (Verdict::Fail, told)
            } else if small.is_empty() {
                (Verdict::Pass, told)
            } else {
                let names: Vec<&str> = small.iter().map(|group| group.name.as_str()).collect();
                (Verdict::Inconclusive, format!("{told}; too few rows of {}", names.join(", ")))
            }
        }
    };
    let apart = ends.map(|ends| ends.apart);
    Check {
        kind: "fairness".into(),
        rule: format!("{measure} by {}: {what} {}", rule.by, number(size)),
        metric: measure.to_owned(),
        candidate: apart,
        value: apart,
        limit: Some(size),
        verdict: verdict.as_str().to_owned(),
        reason,
        ..Check::default()
    }
}
