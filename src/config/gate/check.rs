//! Whether a policy makes sense as a whole.

use std::str::FromStr;

use super::{Gate, GateJob, On, Problem, Rule, Test};
use crate::names::near;
use crate::report::Fault;
use crate::sql::Expression;
use crate::stats::metrics::{Measure, Metric};

/// Refuses SQL that nothing here can evaluate, with the path of its key.
pub(super) fn check_sql<T: FromStr<Err = Fault>>(key: &str, text: &str) -> Result<(), String> {
    text.parse::<T>().map(drop).map_err(|fault| format!("`{key}`: {}", fault.message))
}

impl Gate {
    pub(in crate::config) fn check(&self) -> Result<(), String> {
        self.check_columns()?;
        self.jobs.iter().try_for_each(GateJob::check)?;
        if self.rules.is_empty() {
            return Err("`rules` is empty: a gate without a rule would let everything pass".into());
        }
        if self.predictions.is_some() && self.key.is_empty() {
            return Err("`key` is empty: name the columns that identify a row".into());
        }
        if !(self.confidence > 0.5 && self.confidence < 1.0) {
            return Err(format!(
                "`confidence` is {}, it must lie between 0.5 and 1",
                self.confidence
            ));
        }
        if !(100..=100_000).contains(&self.resamples) {
            return Err(format!("`resamples` is {}, it must be 100 to 100000", self.resamples));
        }
        self.threshold.check(self.problem)?;
        for (name, share) in [("top", self.top), ("quantile", self.quantile)] {
            if !(share > 0.0 && share < 1.0) {
                return Err(format!("`{name}` is {share}, it must lie between 0 and 1"));
            }
        }
        let costs = self.costs.matrix();
        if !(self.beta.is_finite() && self.beta > 0.0) {
            return Err(format!("`beta` is {}, it must be above 0", self.beta));
        }
        if !costs.as_flattened().iter().all(|cost| cost.is_finite()) {
            return Err("`costs` must be finite".into());
        }
        // Who mixes them up would be told that errors pay.
        if costs[0][1] < costs[1][1] || costs[1][0] < costs[0][0] {
            return Err("`costs`: an error costs no less than being right".into());
        }
        if self.stratify && (self.cluster.is_some() || self.problem != Problem::Binary) {
            return Err("`stratify` is for binary problems without clusters".into());
        }
        self.check_parts()
    }

    /// Whether each of its parts makes sense.
    fn check_parts(&self) -> Result<(), String> {
        if let Some((name, own)) =
            self.measures.iter().find(|(_, own)| !(own.at > 0.0 && own.at < 1.0))
        {
            return Err(format!("`measures.{name}.at` is {}, it must lie between 0 and 1", own.at));
        }
        for (name, own) in &self.measures {
            let sides = [("candidate", Some(&own.candidate)), ("champion", own.champion.as_ref())];
            for (side, text) in sides.iter().filter_map(|(side, text)| Some((side, (*text)?))) {
                check_sql::<Expression>(&format!("measures.{name}.{side}"), text)?;
            }
        }
        let own = self.measures.keys().chain(self.logged.keys());
        if let Some(name) = own.clone().find(|name| own.clone().filter(|it| it == name).count() > 1)
        {
            return Err(format!("`{name}` is both measured and logged: rename one"));
        }
        if let Some(name) = own.clone().find(|name| Metric::named(name).is_some()) {
            return Err(format!("`{name}` is the name of a metric: choose another"));
        }
        if self.k == 0 {
            return Err("`k` is 0, it must be 1 or more".into());
        }
        if let Some(compliance) = &self.compliance {
            compliance.check()?;
        }
        if let Some(infrastructure) = &self.infrastructure {
            infrastructure.check()?;
        }
        if let Some(experiment) = &self.experiment {
            experiment.check()?;
        }
        if self.time.is_some() != self.max_age_days.is_some() {
            return Err("`time` and `max_age_days` go together".into());
        }
        if self.max_age_days.is_some_and(|days| !(days.is_finite() && days > 0.0)) {
            return Err("`max_age_days` must be a positive number".into());
        }
        if self.valid_days.is_some_and(|days| !(days > 0.0 && days <= 3650.0)) {
            return Err("`valid_days` must lie between 0 and 3650".into());
        }
        let mut places: Vec<(String, &Rule)> = Vec::new();
        places
            .extend(self.rules.iter().enumerate().map(|(at, rule)| (format!("rules[{at}]"), rule)));
        if let Some(slices) = &self.slices {
            slices.check()?;
            let rules = slices.rules.iter().enumerate();
            places.extend(rules.map(|(at, rule)| (format!("slices.rules[{at}]"), rule)));
        }
        places.into_iter().try_for_each(|(place, rule)| {
            self.check_rule(rule).map_err(|message| format!("`{place}`: {message}"))
        })?;
        self.fairness.iter().enumerate().try_for_each(|(at, fairness)| {
            fairness.check(self.problem).map_err(|message| format!("`fairness[{at}]`: {message}"))
        })
    }

    /// Whether the problem's columns are there, and no others.
    fn check_columns(&self) -> Result<(), String> {
        let problem = self.problem;
        if self.predictions.is_none() {
            if problem == Problem::Other && self.measures.is_empty() && self.slices.is_none() {
                return Ok(());
            }
            return Err("`predictions` names the table or files that are judged".into());
        }
        let has_candidate = self.candidate.is_some() || !self.candidate_scores.is_empty();
        let needs = |there: bool, name: &str| {
            if there { Ok(()) } else { Err(format!("{problem} problems need `{name}`")) }
        };
        if problem != Problem::Other {
            needs(self.label.is_some(), "label")?;
            needs(has_candidate, "candidate")?;
        }
        let only = |there: bool, name: &str, of: Problem| {
            if there && problem != of {
                Err(format!("`{name}` is for {of} problems, this one is {problem}"))
            } else {
                Ok(())
            }
        };
        only(!self.candidate_scores.is_empty(), "candidate_scores", Problem::Multiclass)?;
        only(!self.champion_scores.is_empty(), "champion_scores", Problem::Multiclass)?;
        only(self.group.is_some(), "group", Problem::Ranking)?;
        only(self.scale.is_some(), "scale", Problem::Forecast)?;
        only(self.candidate_bounds.is_some(), "candidate_bounds", Problem::Forecast)?;
        only(self.champion_bounds.is_some(), "champion_bounds", Problem::Forecast)?;
        match problem {
            Problem::Ranking => {
                needs(self.group.is_some(), "group")?;
                if self.cluster.is_some() {
                    return Err(
                        "rows of a ranking are drawn by `group`: leave out `cluster`".into()
                    );
                }
            }
            Problem::Other if self.measures.is_empty() && self.logged.is_empty() => {
                return Err("`problem: other` is judged by `measures` or `logged`: name one".into());
            }
            _ => {}
        }
        if self.champion_scores.keys().ne(self.candidate_scores.keys()) && self.has_champion() {
            return Err("`candidate_scores` and `champion_scores` name different classes".into());
        }
        Ok(())
    }

    /// Whether the policy says where a champion's answers are.
    pub fn has_champion(&self) -> bool {
        self.champion.is_some()
            || !self.champion_scores.is_empty()
            || self.measures.values().any(|own| own.champion.is_some())
    }

    fn check_rule(&self, rule: &Rule) -> Result<(), String> {
        let Some((measure, better)) = self.measure(&rule.metric) else {
            return Err(self.unknown_metric(&rule.metric));
        };
        rule.check((&measure, better))?;
        if self.logged.contains_key(&rule.metric) {
            let plain = rule.on != Some(On::Bound) && rule.method == Test::Bootstrap;
            return if plain {
                Ok(())
            } else {
                Err(format!(
                    "`{measure}` was logged as one number: it has no bounds, and no method"
                ))
            };
        }
        let compared = match &measure {
            Measure::Own(name) => self.measures[name].champion.is_some(),
            Measure::Metric(_) => self.champion.is_some() || !self.champion_scores.is_empty(),
        };
        if rule.compares() && !compared {
            return Err(
                "it compares with the champion: name the column of its predictions, `champion`"
                    .into(),
            );
        }
        let needs_scores = [Metric::LogLoss, Metric::Brier, Metric::TopK, Metric::RocAuc];
        let needed = match &measure {
            Measure::Metric(metric) if self.problem == Problem::Multiclass => {
                (needs_scores.contains(metric) && self.candidate_scores.is_empty())
                    .then_some("candidate_scores")
            }
            Measure::Metric(Metric::Mase) if self.scale.is_none() => Some("scale"),
            Measure::Metric(Metric::Coverage | Metric::Width)
                if self.candidate_bounds.is_none() =>
            {
                Some("candidate_bounds")
            }
            _ => None,
        };
        if let Some(needed) = needed {
            return Err(format!("`{measure}` needs `{needed}`"));
        }
        let plain = self.weight.is_none() && self.cluster.is_none();
        let fits = match rule.method {
            Test::Delong => plain && self.problem == Problem::Binary,
            Test::Mcnemar => plain,
            Test::Permutation | Test::Bootstrap => true,
        };
        if !fits {
            return Err(
                "`method` knows neither weights nor clusters, nor several classes: take bootstrap"
                    .into(),
            );
        }
        Ok(())
    }

    fn unknown_metric(&self, name: &str) -> String {
        let known = self.all_measures();
        let known = known.iter().map(ToString::to_string).chain(self.logged.keys().cloned());
        let known: Vec<String> = known.collect();
        let what = match Metric::named(name) {
            Some(_) => format!("`{name}` is not a metric of {} problems", self.problem),
            None => match near(name, known.iter().map(String::as_str)).first() {
                Some(near) => {
                    return format!("there is no metric `{name}`: did you mean `{near}`?");
                }
                None => format!("there is no metric `{name}`"),
            },
        };
        format!("{what}; these are: {}", known.join(", "))
    }
}
