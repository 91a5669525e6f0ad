//! The result document: everything that was computed, in a form that programs
//! may rely on. Version 1: fields are only ever added.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::compare::{self, Compared};
use super::decide::{self, Decision};
use super::judge::Judged;
use super::profile::{self, Value};
use super::schema::Chosen;
use crate::config::{Drift, Sample};
use crate::stats::column::{Kind, Span};
use crate::stats::numeric::Tested;

/// The result of one check.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Document {
    schema_version: u32,
    /// `none`, `watch`, `inconclusive`, `drift` or `broken`.
    state: &'static str,
    reason: String,
    rows: Sides<u64>,
    /// Which of the rows were looked at; null where all were.
    sample: Option<Sample>,
    /// Changes of the schema, rules that do not hold, and what was left out.
    faults: Vec<Fault>,
    /// Columns that are compared by their nulls alone.
    not_compared: Vec<String>,
    columns: Vec<Column>,
    windows: Vec<Scope>,
    windows_against_the_one_before: Vec<Scope>,
    slices: Vec<Scope>,
}

#[derive(Debug, Clone, Serialize, JsonSchema)]
struct Sides<T> {
    baseline: T,
    current: T,
}

impl<T> From<[T; 2]> for Sides<T> {
    fn from([baseline, current]: [T; 2]) -> Self {
        Self { baseline, current }
    }
}

#[derive(Debug, Clone, Serialize, JsonSchema)]
struct Fault {
    rule: &'static str,
    column: String,
    what: String,
    /// Whether it makes the table broken.
    breaks: bool,
}

/// A window or a slice.
#[derive(Debug, Clone, Serialize, JsonSchema)]
struct Scope {
    name: String,
    rows: Sides<u64>,
    state: &'static str,
    reason: String,
    columns: Vec<Brief>,
}

/// A column of a window or slice: what decided, without the profile.
#[derive(Debug, Clone, Serialize, JsonSchema)]
struct Brief {
    column: String,
    state: &'static str,
    statistic: Option<&'static str>,
    /// Beyond chance.
    effect: Option<f64>,
    threshold: f64,
    p_value_adjusted: f64,
    null_share: f64,
}

#[derive(Debug, Clone, Serialize, JsonSchema)]
struct Column {
    column: String,
    /// `numeric`, `categorical`, `embedding`, `presence`, `together` or
    /// `performance`.
    kind: &'static str,
    state: &'static str,
    reason: String,
    /// The one that decided.
    statistic: Option<&'static str>,
    threshold: f64,
    p_value_adjusted: f64,
    /// By the names of the policy.
    effects: BTreeMap<&'static str, Effect>,
    test: Test,
    more_tests: BTreeMap<&'static str, Outcome>,
    nulls_test: NullsTest,
    baseline: Profile,
    current: Profile,
    bins: Bins,
    compat: Option<Compat>,
    new_categories: Vec<String>,
    vanished_categories: Vec<String>,
}

/// What is not finite is null.
#[derive(Debug, Clone, Serialize, JsonSchema)]
struct Effect {
    #[schemars(with = "Option<f64>")]
    value: f64,
    #[schemars(with = "Option<f64>")]
    without_chance: f64,
    /// How far off both may be; 0 where every value was looked at.
    #[schemars(with = "Option<f64>")]
    error: f64,
}

#[derive(Debug, Clone, Serialize, JsonSchema)]
struct Test {
    name: &'static str,
    #[schemars(with = "Option<f64>")]
    statistic: f64,
    #[schemars(with = "Option<f64>")]
    p_value: f64,
}

#[derive(Debug, Clone, Serialize, JsonSchema)]
struct Outcome {
    #[schemars(with = "Option<f64>")]
    statistic: f64,
    #[schemars(with = "Option<f64>")]
    p_value: f64,
}

#[derive(Debug, Clone, Serialize, JsonSchema)]
struct NullsTest {
    #[schemars(with = "Option<f64>")]
    z: f64,
    #[schemars(with = "Option<f64>")]
    p_value: f64,
}

/// Shares by bin or category.
#[derive(Debug, Clone, Serialize, JsonSchema)]
struct Bins {
    labels: Vec<String>,
    baseline: Vec<f64>,
    current: Vec<f64>,
}

/// Another tool's verdict.
#[derive(Debug, Clone, Serialize, JsonSchema)]
struct Compat {
    method: &'static str,
    #[schemars(with = "Option<f64>")]
    score: f64,
    threshold: f64,
    drifted: bool,
}

#[derive(Debug, Clone, Serialize, JsonSchema)]
struct Profile {
    rows: u64,
    nulls: u64,
    #[serde(flatten)]
    numbers: Option<Numbers>,
    /// How many different values there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    distinct: Option<u64>,
    /// The standard error of that, relative to it, where it is an estimate.
    #[serde(skip_serializing_if = "Option::is_none")]
    distinct_error: Option<f64>,
    /// The most frequent values, ten at most; of numbers those that make up one
    /// hundredth of the values or more.
    top_values: Vec<Frequent>,
    /// The first and the last of times.
    #[serde(skip_serializing_if = "Option::is_none")]
    times: Option<[String; 2]>,
}

#[derive(Debug, Clone, Serialize, JsonSchema)]
struct Frequent {
    value: Value,
    rows: u64,
}

#[derive(Debug, Clone, Serialize, JsonSchema)]
struct Numbers {
    nans: u64,
    infinities: u64,
    #[serde(flatten)]
    values: Option<Values>,
}

#[derive(Debug, Clone, Serialize, JsonSchema)]
struct Values {
    zeros: u64,
    min: f64,
    max: f64,
    mean: f64,
    deviation: f64,
    /// By their place between 0 and 1.
    quantiles: BTreeMap<String, f64>,
    /// How far off each of them may be, where a warehouse counted.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    quantile_errors: BTreeMap<String, f64>,
}

impl Document {
    pub(super) fn new(policy: &Drift, decision: &Decision, chosen: &Chosen) -> Self {
        let scopes = |parts: &[decide::Part]| parts.iter().map(scope).collect();
        let fault = |change: &super::schema::Change| Fault {
            rule: change.rule,
            column: change.column.clone(),
            what: change.what.clone(),
            breaks: change.breaks,
        };
        Self {
            schema_version: 1,
            state: decision.state.as_str(),
            reason: decision.reason.clone(),
            rows: decision.whole.rows.into(),
            sample: policy.sample,
            faults: chosen.changes.iter().map(fault).collect(),
            not_compared: chosen.skipped.clone(),
            columns: decision.columns().iter().map(column).collect(),
            windows: scopes(&decision.windows),
            windows_against_the_one_before: scopes(&decision.steps),
            slices: scopes(&decision.slices),
        }
    }

    /// The JSON Schema of the document, as it is committed.
    pub fn schema() -> String {
        let schema = schemars::schema_for!(Self);
        let text = serde_json::to_string_pretty(&schema).unwrap_or_default();
        format!("{text}\n")
    }
}

fn scope(part: &decide::Part) -> Scope {
    let brief = |judged: &Judged| Brief {
        column: judged.compared.column.clone(),
        state: judged.state.as_str(),
        statistic: judged.effect.map(|effect| effect.statistic.as_str()),
        effect: judged.effect.map(|effect| effect.corrected),
        threshold: judged.threshold,
        p_value_adjusted: judged.p_value,
        null_share: judged.compared.profiles[1].missing_share(),
    };
    Scope {
        name: part.scope.name().to_owned(),
        rows: part.rows.into(),
        state: part.state.as_str(),
        reason: part.reason.clone(),
        columns: part.columns.iter().map(brief).collect(),
    }
}

fn column(judged: &Judged) -> Column {
    let compared: &Compared = &judged.compared;
    let effect = |effect: &compare::Effect| {
        let sizes =
            Effect { value: effect.value, without_chance: effect.corrected, error: effect.error };
        (effect.statistic.as_str(), sizes)
    };
    let outcome =
        |tested: &Tested| Outcome { statistic: tested.statistic, p_value: tested.p_value };
    let [baseline, current] = compared.profiles.each_ref().map(|side| profile(side, compared.kind));
    let [base_shares, current_shares] = compared.shares.clone();
    Column {
        column: compared.column.clone(),
        kind: compared.kind.as_str(),
        state: judged.state.as_str(),
        reason: judged.reason.clone(),
        statistic: judged.effect.map(|effect| effect.statistic.as_str()),
        threshold: judged.threshold,
        p_value_adjusted: judged.p_value,
        effects: compared.effects.iter().map(effect).collect(),
        test: Test {
            name: compared.test,
            statistic: compared.tested.statistic,
            p_value: compared.tested.p_value,
        },
        more_tests: compared.more.iter().map(|(name, tested)| (*name, outcome(tested))).collect(),
        nulls_test: NullsTest {
            z: compared.nulls_tested.statistic,
            p_value: compared.nulls_tested.p_value,
        },
        baseline,
        current,
        bins: Bins {
            labels: compared.labels.clone(),
            baseline: base_shares,
            current: current_shares,
        },
        compat: compared.foreign.map(|foreign| Compat {
            method: foreign.method,
            score: foreign.score,
            threshold: foreign.threshold,
            drifted: foreign.drifted,
        }),
        new_categories: compared.new.clone(),
        vanished_categories: compared.vanished.clone(),
    }
}

fn profile(profile: &profile::Profile, kind: Kind) -> Profile {
    let by_place = |values: &[f64]| {
        let places = profile::QUANTILES.iter().zip(values);
        places.map(|(place, value)| (place.to_string(), *value)).collect()
    };
    let numbers = profile.facts.filter(|_| kind == Kind::Numbers).map(|facts| Numbers {
        nans: facts.nans,
        infinities: facts.infinities,
        values: (facts.values > 0).then(|| Values {
            zeros: facts.zeros,
            min: facts.min,
            max: facts.max,
            mean: facts.mean,
            deviation: facts.deviation(),
            quantiles: by_place(&profile.quantiles),
            quantile_errors: by_place(&profile.quantile_errors),
        }),
    });
    let frequent = profile.frequent.iter().cloned();
    let estimated = profile.distinct.map(|distinct| distinct.error).filter(|error| *error > 0.0);
    Profile {
        rows: profile.rows,
        nulls: profile.nulls,
        numbers,
        distinct: profile.distinct.map(|distinct| distinct.count),
        distinct_error: estimated,
        top_values: frequent.map(|(value, rows)| Frequent { value, rows }).collect(),
        times: profile.span.map(Span::shown),
    }
}
