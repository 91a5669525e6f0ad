//! Estimates of what the rules ask for, on all rows and on each slice.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::fairness;
use super::input::Judged;
use super::parts::Slice;
use crate::config::{Better, Gate, Rule, Test};
use crate::record::evidence::{Answer, Asked, Measured, Scope, finite};
use crate::stats::bootstrap::{self, Plan};
use crate::stats::estimate::Estimate;
use crate::stats::metrics::{Answers, Measure, Model};
use crate::stats::paired;
use crate::stats::resample::Units;

pub(super) fn measure(judged: &Judged, policy: &Gate, seed: u64) -> Measured {
    let all = policy.all_measures();
    let whole = Part::of(judged, None, (&judged.candidate, judged.champion.as_ref()));
    let wanted = policy.slices.as_ref();
    let rules = wanted.map(|slices| slices.rules.as_slice()).unwrap_or_default();
    let measures = asked(policy, rules, |_| true);
    let of_slice = |slice: &Slice| {
        let candidate = judged.candidate.taken(&slice.rows);
        let champion = judged.champion.as_ref().map(|champion| champion.taken(&slice.rows));
        let part = Part::of(judged, Some(slice), (&candidate, champion.as_ref()));
        part.scope(policy, rules, &measures, seed)
    };
    let identical =
        judged.champion.as_ref().is_some_and(|champion| judged.candidate.answers_as(champion));
    Measured {
        identical,
        newest: judged.newest,
        thresholds: judged.thresholds.clone(),
        whole: whole.scope(policy, &policy.rules, &all, seed),
        slices: judged.slices.par_iter().map(of_slice).collect(),
        groups: fairness::measure(policy, judged),
        ..Measured::default()
    }
}

/// Some of the rows: what both models said, and what a resample draws.
struct Part<'a> {
    name: Option<String>,
    candidate: &'a Model,
    champion: Option<&'a Model>,
    units: Units,
    rarer: Option<u64>,
    rows: u64,
    clustered: bool,
}

/// What some rules measure, each thing once.
fn asked(policy: &Gate, rules: &[Rule], asks: impl Fn(&Rule) -> bool) -> Vec<Measure> {
    let rules = rules.iter().filter(|rule| asks(rule));
    let mut found: Vec<Measure> =
        rules.filter_map(|rule| Some(policy.measure(&rule.metric)?.0)).collect();
    found.sort();
    found.dedup();
    found
}

impl<'a> Part<'a> {
    /// All rows, or those of a slice, with both models' answers to them.
    fn of(
        judged: &Judged,
        slice: Option<&Slice>,
        (candidate, champion): (&'a Model, Option<&'a Model>),
    ) -> Self {
        let rows = slice.map(|slice| slice.rows.as_slice());
        Self {
            name: slice.map(|slice| slice.name.clone()),
            candidate,
            champion,
            units: judged.units(rows),
            rarer: judged.rarer(rows),
            rows: judged.counted(rows),
            clustered: judged.is_clustered(),
        }
    }

    fn scope(&self, policy: &Gate, rules: &[Rule], measures: &[Measure], seed: u64) -> Scope {
        let values = |model: &Model| -> BTreeMap<String, f64> {
            let named = measures.iter().map(ToString::to_string).zip(model.values(measures));
            named.filter(|(_, value)| value.is_finite()).collect()
        };
        Scope {
            name: self.name.clone(),
            rows: self.rows,
            rarer: self.rarer,
            clusters: self.clustered.then(|| self.units.len() as u64),
            candidate: values(self.candidate),
            champion: self.champion.map(values),
            answers: self.answers(policy, rules, seed),
            unclear: BTreeMap::new(),
        }
    }

    fn answers(&self, policy: &Gate, rules: &[Rule], seed: u64) -> Vec<Answer> {
        let Self { candidate, champion, .. } = *self;
        let plan =
            Plan { units: &self.units, resamples: policy.resamples, method: policy.interval, seed };
        let estimated = |measures: Vec<Measure>, of: &dyn Fn(&[Measure]) -> Vec<Estimate>| {
            let found = if measures.is_empty() { Vec::new() } else { of(&measures) };
            measures.into_iter().zip(found).collect::<BTreeMap<_, _>>()
        };
        let own = estimated(asked(policy, rules, Rule::bounds_limits), &|measures| {
            bootstrap::values(candidate, measures, plan)
        });
        let resampled =
            |rule: &Rule| rule.compares() && !rule.compares_values() && rule.method != Test::Delong;
        let compared = asked(policy, rules, resampled);
        let apart = champion.map(|champion| {
            estimated(compared, &|measures| {
                bootstrap::differences(candidate, champion, measures, plan)
            })
        });
        let mut answers = Vec::new();
        for (at, rule) in rules.iter().enumerate() {
            let Some((measure, better)) = policy.measure(&rule.metric) else { continue };
            let level = rule.level(policy.confidence);
            if let Some(estimate) = own.get(&measure).filter(|_| rule.bounds_limits()) {
                let limits = [(Asked::Min, rule.min), (Asked::Max, rule.max)];
                for (of, limit) in limits {
                    let Some(limit) = limit else { continue };
                    answers.push(answer(at, of, estimate, (limit, of == Asked::Min), level));
                }
            }
            let Some(champion) = champion.filter(|_| !rule.compares_values()) else { continue };
            let up = better == Better::Higher;
            let estimate = match (rule.method, &candidate.answers, &champion.answers) {
                (Test::Delong, Answers::Scores(a), Answers::Scores(b)) => {
                    Some(paired::delong(a, b))
                }
                _ => apart.as_ref().and_then(|apart| apart.get(&measure)).cloned(),
            };
            let Some(estimate) = estimate else { continue };
            if let Some(margin) = rule.not_worse_than {
                let size = margin.against(champion.value(&measure));
                let limit = if up { -size } else { size };
                answers.push(answer(at, Asked::NotWorseThan, &estimate, (limit, up), level));
            }
            if rule.better_than_champion {
                let of = Asked::BetterThanChampion;
                let mut answer = answer(at, of, &estimate, (0.0, up), level);
                if let Some([broken, kept]) = self.tested(rule.method, &measure, up, policy, seed) {
                    (answer.p_broken, answer.p_kept) = (finite(broken), finite(kept));
                }
                answers.push(answer);
            }
        }
        answers
    }

    /// `[broken, kept]` by a test that has no interval.
    fn tested(
        &self,
        method: Test,
        measure: &Measure,
        up: bool,
        policy: &Gate,
        seed: u64,
    ) -> Option<[f64; 2]> {
        let (candidate, champion) = (self.candidate, self.champion?);
        match method {
            Test::Bootstrap | Test::Delong => None,
            Test::Mcnemar => {
                let [a, b] = [candidate, champion].map(right);
                let [alone, other] = paired::discordant(&a?, &b?);
                Some([paired::mcnemar_p([alone, other]), paired::mcnemar_p([other, alone])])
            }
            Test::Permutation => {
                let drawn = (&self.units, policy.resamples, seed);
                let [more, less] = paired::permuted_p(candidate, champion, measure, drawn);
                Some(if up { [more, less] } else { [less, more] })
            }
        }
    }
}

/// Which rows the model gets right.
fn right(model: &Model) -> Option<Vec<bool>> {
    match &model.answers {
        Answers::Scores(scores) => {
            let rows = scores.labels().iter().zip(scores.alarms());
            Some(rows.map(|(label, alarm)| (*label == 1.0) == *alarm).collect())
        }
        Answers::Classes(classes) => {
            let rows = classes.labels().iter().zip(classes.answers());
            Some(rows.map(|(label, said)| label == said).collect())
        }
        _ => None,
    }
}

/// An estimate against a limit, above which the rule holds if `up`.
fn answer(
    rule: usize,
    of: Asked,
    estimate: &Estimate,
    (limit, up): (f64, bool),
    level: f64,
) -> Answer {
    let [low, high] = estimate.interval(1.0 - 2.0 * level);
    let [at_most, at_least] = [estimate.p_at_most(limit), estimate.p_at_least(limit)];
    let [broken, kept] = if up { [at_most, at_least] } else { [at_least, at_most] };
    Answer {
        rule,
        of,
        value: finite(estimate.value),
        low: finite(low),
        high: finite(high),
        error: finite(estimate.error()),
        p_broken: finite(broken),
        p_kept: finite(kept),
        undefined: estimate.undefined(),
    }
}
