//! Rules on metrics, on all rows and on slices.

use super::power;
use crate::config::{Better, Gate, Rule, Test};
use crate::record::evidence::{Answer, Asked, Check, Measured, Scope};
use crate::report::{Verdict, number};

/// The p-values of all comparisons after the correction, in their order.
pub(super) struct Corrected {
    broken: Vec<f64>,
    kept: Vec<f64>,
    /// The place of each scope's first answer.
    starts: Vec<usize>,
}

impl Corrected {
    pub(super) fn new(policy: &Gate, measured: &Measured) -> Self {
        let scopes = || std::iter::once(&measured.whole).chain(&measured.slices);
        let all = |of: fn(&Answer) -> Option<f64>| -> Vec<f64> {
            // What has no p-value was not shown.
            let answers = scopes().flat_map(|scope| &scope.answers);
            let found = answers.map(|answer| of(answer).unwrap_or(1.0));
            let found: Vec<f64> = found.collect();
            policy.correction.map_or(found.clone(), |correction| correction.adjust(&found))
        };
        let mut start = 0;
        let starts = scopes().map(|scope| {
            let here = start;
            start += scope.answers.len();
            here
        });
        let starts = starts.collect();
        Self { broken: all(|answer| answer.p_broken), kept: all(|answer| answer.p_kept), starts }
    }

    /// `[broken, kept]` of an answer of a scope, by their places.
    fn of(&self, scope: usize, at: usize) -> [f64; 2] {
        let place = self.starts.get(scope).map(|start| start + at);
        [&self.broken, &self.kept]
            .map(|of| place.and_then(|place| of.get(place)).copied().unwrap_or(1.0))
    }
}

/// One rule in one scope.
struct Question<'a> {
    policy: &'a Gate,
    scope: &'a Scope,
    /// Its place among all.
    place: usize,
    rule: &'a Rule,
    better: Better,
    corrected: &'a Corrected,
}

pub(super) fn scope_checks(
    policy: &Gate,
    (scope, place): (&Scope, usize),
    rules: &[Rule],
    corrected: &Corrected,
) -> Vec<Check> {
    let mut checks = Vec::new();
    for (at, rule) in rules.iter().enumerate() {
        let better = policy.measure(&rule.metric).map_or(Better::Neither, |(_, better)| better);
        let question = Question { policy, scope, place, rule, better, corrected };
        let limits = [(Asked::Min, rule.min), (Asked::Max, rule.max)];
        for (asked, limit) in limits {
            let Some(limit) = limit else { continue };
            checks.push(if rule.bounds_limits() {
                question.by_answer(at, asked, limit)
            } else {
                question.by_value(asked, limit)
            });
        }
        if scope.champion.is_none() {
            continue;
        }
        let mut compared = Vec::new();
        if let Some(margin) = rule.not_worse_than {
            let champion = question.champion().unwrap_or(f64::NAN);
            compared.push((Asked::NotWorseThan, -margin.against(champion)));
        }
        if rule.better_than_champion {
            compared.push((Asked::BetterThanChampion, 0.0));
        }
        let alone = rule.compares_values() || policy.logged.contains_key(&rule.metric);
        checks.extend(compared.into_iter().map(|(asked, limit)| {
            if alone {
                question.by_values(asked, limit)
            } else {
                question.by_answer(at, asked, limit)
            }
        }));
    }
    if scope.name.is_some() {
        let least = policy.slices.as_ref().map_or(0, |slices| slices.min_rows);
        if let Some(reason) = few(policy, scope, least) {
            checks.iter_mut().for_each(|check| inconclusive(check, &reason));
        }
    }
    checks
}

/// Why some rows are too few to judge by; at least `least` are needed.
pub(super) fn few(policy: &Gate, scope: &Scope, least: u64) -> Option<String> {
    let kinds = [
        (Some(scope.rows), "rows", least),
        (scope.clusters, "clusters", policy.min_clusters),
        (scope.rarer, "rows of the rarer class", policy.min_positives),
    ];
    kinds.into_iter().find_map(|(count, what, least)| {
        let count = count.filter(|count| *count < least)?;
        Some(format!("{count} {what} are too few, at least {least} are needed"))
    })
}

fn inconclusive(check: &mut Check, reason: &str) {
    Verdict::Inconclusive.as_str().clone_into(&mut check.verdict);
    let scope = check.scope.as_deref().unwrap_or("all rows");
    check.reason = format!("{} in {scope}: {reason}", check.rule);
}

impl Question<'_> {
    fn candidate(&self) -> Option<f64> {
        self.scope.candidate.get(&self.rule.metric).copied().filter(|value| value.is_finite())
    }

    fn champion(&self) -> Option<f64> {
        let values = self.scope.champion.as_ref()?;
        values.get(&self.rule.metric).copied().filter(|value| value.is_finite())
    }

    fn check(&self, rule: String, limit: f64) -> Check {
        Check {
            kind: if self.scope.name.is_some() { "slices" } else { "rules" }.to_owned(),
            rule,
            scope: self.scope.name.clone(),
            metric: self.rule.metric.clone(),
            rows: (!self.policy.logged.contains_key(&self.rule.metric)).then_some(self.scope.rows),
            candidate: self.candidate(),
            champion: self.champion(),
            limit: Some(limit).filter(|limit| limit.is_finite()),
            verdict: Verdict::Fail.as_str().to_owned(),
            ..Check::default()
        }
    }

    fn told(&self, mut check: Check, verdict: Verdict, reason: String) -> Check {
        verdict.as_str().clone_into(&mut check.verdict);
        check.reason = match &self.scope.name {
            Some(scope) => format!("{reason} in {scope}"),
            None => reason,
        };
        check
    }

    /// `min` and `max`, on the candidate's own value.
    fn by_value(&self, asked: Asked, limit: f64) -> Check {
        let metric = &self.rule.metric;
        let check = self.check(self.name(asked, limit), limit);
        let Some(value) = self.candidate() else {
            return self.told(check, Verdict::Fail, self.unclear());
        };
        let (holds, signs) = match asked {
            Asked::Min => (value >= limit, ["≥", "<"]),
            _ => (value <= limit, ["≤", ">"]),
        };
        let sign = if holds { signs[0] } else { signs[1] };
        let reason = format!("{metric} {} {sign} {}", number(value), number(limit));
        let verdict = if holds { Verdict::Pass } else { Verdict::Fail };
        self.told(check, verdict, reason)
    }

    /// Why there is no value.
    fn unclear(&self) -> String {
        let metric = &self.rule.metric;
        let why = self.scope.unclear.get(metric).map_or("is not finite", String::as_str);
        format!("{metric} {why}")
    }

    /// Two numbers as they are, however far chance moves them.
    fn by_values(&self, asked: Asked, limit: f64) -> Check {
        let name = self.name(asked, limit);
        let mut check = self.check(name.clone(), limit);
        let (Some(candidate), Some(champion)) = (self.candidate(), self.champion()) else {
            return self.told(check, Verdict::Fail, self.unclear());
        };
        let apart = candidate - champion;
        check.value = Some(apart);
        let up = self.better == Better::Higher;
        let gain = if up { apart } else { -apart };
        check.limit = Some(if up { limit } else { -limit }).filter(|limit| limit.is_finite());
        let holds = gain > limit;
        let words = if holds { "holds" } else { "does not hold" };
        let verdict = if holds { Verdict::Pass } else { Verdict::Fail };
        self.told(check, verdict, format!("{name} {words}: difference {}", number(apart)))
    }

    fn name(&self, asked: Asked, limit: f64) -> String {
        let metric = &self.rule.metric;
        let bound = if self.rule.bounds_limits() { ", by its bound" } else { "" };
        let alone = if self.rule.compares_values() { ", by its value" } else { "" };
        match asked {
            Asked::Min => format!("{metric} min {}{bound}", number(limit)),
            Asked::Max => format!("{metric} max {}{bound}", number(limit)),
            Asked::NotWorseThan => {
                let margin = self.rule.not_worse_than.map(|margin| margin.to_string());
                format!("{metric} not worse than {}{alone}", margin.unwrap_or_default())
            }
            Asked::BetterThanChampion => format!("{metric} better than champion{alone}"),
        }
    }

    /// On the bounds of an interval, or by the p-values of a test that has none.
    /// Where they do not tell, the data cannot, which is not a pass.
    fn by_answer(&self, rule: usize, asked: Asked, limit: f64) -> Check {
        let name = self.name(asked, limit);
        let mut check = self.check(name.clone(), limit);
        let metric = &self.rule.metric;
        let compares = matches!(asked, Asked::NotWorseThan | Asked::BetterThanChampion);
        let what = if compares { "the difference of " } else { "the interval of " };
        let found = self.scope.answers.iter().position(|it| it.rule == rule && it.of == asked);
        let Some((at, answer)) = found.map(|at| (at, &self.scope.answers[at])) else {
            return self.told(check, Verdict::Fail, format!("{what}{metric} was not measured"));
        };
        (check.value, check.low, check.high) = (answer.value, answer.low, answer.high);
        let [broken, kept] = self.corrected.of(self.place, at);
        let Some([value, low, high]) = self.numbers(answer).filter(|_| limit.is_finite()) else {
            return self.told(check, Verdict::Fail, format!("{what}{metric} is not finite"));
        };
        // An interval of the lucky draws alone is none.
        if u64::from(answer.undefined) * 100 > u64::from(self.policy.resamples) {
            let told = format!(
                "{name} cannot be told from this data: {metric} is not defined in {} of {} resamples",
                answer.undefined, self.policy.resamples
            );
            return self.told(check, Verdict::Inconclusive, told);
        }
        // A gain is positive when it is for the better, whichever way the metric points.
        let up = match asked {
            Asked::Min => true,
            Asked::Max => false,
            _ => self.better == Better::Higher,
        };
        let mark = if compares || up { limit } else { -limit };
        // A difference that is worse when it is higher is held against a higher one.
        check.limit = Some(if compares && !up { -limit } else { limit });
        let (gain, worst, best) = if up { (value, low, high) } else { (-value, -high, -low) };
        let level = self.rule.level(self.policy.confidence);
        let by_test = matches!(self.rule.method, Test::Mcnemar | Test::Permutation) && compares;
        let tested = by_test || self.policy.correction.is_some();
        let bounds = [by_test || worst > mark, by_test || best <= mark];
        let holds = bounds[0] && (!tested || broken <= level);
        let fails = bounds[1] && (!tested || kept <= level);
        let verdict = match (holds, fails) {
            (true, _) => Verdict::Pass,
            (false, true) => Verdict::Fail,
            (false, false) => Verdict::Inconclusive,
        };
        if tested {
            check.p_value = Some(if verdict == Verdict::Fail { kept } else { broken });
        }
        let words = in_words(verdict);
        let noun = if compares { "difference" } else { "value" };
        let [value, low, high] = [value, low, high].map(number);
        let mut reason = format!("{name} {words}: {noun} {value} [{low}, {high}]");
        if let Some(p) = check.p_value {
            reason.push_str(&format!(", p {}", number(p)));
        }
        if verdict == Verdict::Inconclusive {
            let half_width = (best - worst) / 2.0;
            reason.push_str(&power::more("rows", self.scope.rows, gain - mark, half_width));
            if asked == Asked::NotWorseThan {
                reason.push_str(&power::of_equals(-mark, answer.error, level));
            }
        }
        self.told(check, verdict, reason)
    }

    /// Value and interval, if all of it can be judged by.
    fn numbers(&self, answer: &Answer) -> Option<[f64; 3]> {
        let numbers = [answer.value?, answer.low?, answer.high?];
        numbers.iter().all(|number| number.is_finite()).then_some(numbers)
    }
}

fn in_words(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "holds",
        Verdict::Fail => "does not hold",
        Verdict::Inconclusive => "cannot be told from this data",
    }
}
