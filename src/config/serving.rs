//! `serving`: how the production model answers requests online.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::names::{Alias, ModelName};
use crate::stats::exact;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Serving {
    /// The endpoint. It is made where there is none; it is no resource of the bundle, which
    /// would take a roll-out back.
    pub endpoint: String,
    /// The model (default: `promotion.model`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub model: Option<ModelName>,
    /// The alias that the endpoint follows (default: `promotion.alias`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
    /// What serves a version, as the service takes it in `served_entities`:
    /// `workload_size`, `workload_type`, `scale_to_zero_enabled`, `environment_vars`.
    #[serde(default = "small")]
    pub entity: Map<String, Value>,
    /// Other settings of an endpoint that is made, as the service takes them: `ai_gateway`,
    /// `tags`.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub settings: Map<String, Value>,
    /// The shares of the traffic, in percent, that a new version gets before it gets all
    /// of it. It answers the probe without any first.
    #[serde(default = "steps")]
    pub steps: Vec<u32>,
    /// How long each of these shares is looked at.
    #[serde(default = "soak")]
    pub soak_minutes: f64,
    /// How long a change of the endpoint may take.
    #[serde(default = "update")]
    pub update_minutes: f64,
    /// For so many seconds nobody else changes the endpoint, should a roll-out die.
    #[serde(default = "lease")]
    pub lease_seconds: u64,
    /// What a version is asked at each step.
    #[serde(default)]
    pub probe: Probe,
    /// What a version must stand up to at each step.
    #[serde(default)]
    pub stop: Stop,
}

/// Requests to one version, whatever its share of the traffic.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Probe {
    /// How many.
    pub requests: u64,
    /// How many at a time.
    pub at_once: usize,
    /// A file with a request, or a list of them, in JSON, as the endpoint takes them
    /// (default: the input example that was logged with the version).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
}

impl Default for Probe {
    fn default() -> Self {
        Self { requests: 200, at_once: 4, file: None }
    }
}

/// Each limit is held against a bound that lies beyond the truth in 5 % of cases: what is
/// too near to it to say does not go on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Stop {
    /// The largest share of requests that may fail, of the probe's and of live ones; of
    /// live ones, as many as fail with what is served beside it may fail, too.
    pub errors: f64,
    /// What 95 % of the probe's answers may take at most, in milliseconds, as the runner
    /// sees them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p95_ms: Option<f64>,
    /// How many live requests a version must have had, at each of `steps`; they must be
    /// enough to be sure of `errors`.
    pub live_requests: u64,
}

impl Default for Stop {
    fn default() -> Self {
        Self { errors: 0.02, p95_ms: None, live_requests: 0 }
    }
}

fn small() -> Map<String, Value> {
    let fields = json!({ "workload_size": "Small", "scale_to_zero_enabled": true });
    fields.as_object().cloned().unwrap_or_default()
}

fn steps() -> Vec<u32> {
    vec![10, 50]
}

fn soak() -> f64 {
    5.0
}

fn update() -> f64 {
    40.0
}

fn lease() -> u64 {
    60
}

const MOST_REQUESTS: u64 = 100_000;

/// What `model-serve` sets itself.
const OWN: [&str; 4] = ["name", "entity_name", "entity_version", "external_model"];

impl Serving {
    pub(super) fn check(&self) -> Result<(), String> {
        let fits = |char: char| char.is_ascii_alphanumeric() || matches!(char, '-' | '_');
        if self.endpoint.is_empty() || self.endpoint.len() > 63 || !self.endpoint.chars().all(fits)
        {
            return Err("`endpoint` must be 1 to 63 letters, digits, `-` and `_`".into());
        }
        if let Some(alias) = &self.alias {
            alias.parse::<Alias>().map_err(|error| format!("`alias`: {error}"))?;
        }
        if let Some(own) = OWN.iter().find(|own| self.entity.contains_key(**own)) {
            return Err(format!("`entity.{own}` is set by model-serve itself"));
        }
        if let Some(own) = ["name", "config"].iter().find(|own| self.settings.contains_key(**own)) {
            return Err(format!("`settings.{own}` is set by model-serve itself"));
        }
        let grow = self.steps.windows(2).all(|pair| pair[0] < pair[1]);
        if !grow || self.steps.iter().any(|share| !(1..=99).contains(share)) {
            return Err("`steps` must grow, from 1 to 99 percent".into());
        }
        let is_time = |minutes: f64| minutes.is_finite() && (0.0..=1440.0).contains(&minutes);
        if !is_time(self.soak_minutes)
            || !is_time(self.update_minutes)
            || self.update_minutes == 0.0
        {
            return Err("`soak_minutes` and `update_minutes` must be minutes of a day".into());
        }
        if !(5..=3600).contains(&self.lease_seconds) {
            return Err("`lease_seconds` must be between 5 and 3600".into());
        }
        if self.settings.get("route_optimized").is_some_and(|flag| *flag != Value::Bool(false)) {
            return Err("`settings.route_optimized`: such an endpoint does not answer at the workspace's address, where model-serve asks".into());
        }
        // Whole minutes are told, and the first of them may hold the probe's requests.
        if self.stop.live_requests > 0 && (self.soak_minutes < 3.0 || self.steps.is_empty()) {
            return Err("`stop.live_requests` needs `steps`, and `soak_minutes` of 3 or more: an endpoint tells of whole minutes".into());
        }
        self.stop.check(&self.probe)
    }
}

impl Stop {
    /// A limit that no probe of this size can hold is no limit but a trap.
    fn check(&self, probe: &Probe) -> Result<(), String> {
        if !(1..=MOST_REQUESTS).contains(&probe.requests) || !(1..=64).contains(&probe.at_once) {
            return Err("`probe`: 1 to 100000 `requests`, 1 to 64 `at_once`".into());
        }
        if !(self.errors > 0.0 && self.errors < 1.0) {
            return Err("`stop.errors` must be a share between 0 and 1".into());
        }
        let needed = |share: f64| exact::needed(share);
        if needed(self.errors) > MOST_REQUESTS {
            return Err(format!("`stop.errors`: {} is too small a share to be shown", self.errors));
        }
        if probe.requests < needed(self.errors) {
            return Err(format!(
                "`probe.requests`: {} that all go well cannot show that at most {} of them fail: it takes {}",
                probe.requests,
                self.errors,
                needed(self.errors)
            ));
        }
        match self.p95_ms {
            Some(limit) if !(limit.is_finite() && limit > 0.0) => {
                Err("`stop.p95_ms` must be a positive number".into())
            }
            Some(_) if probe.requests < needed(0.05) => Err(format!(
                "`probe.requests`: {} cannot bound what 95 % of answers take: it takes {}",
                probe.requests,
                needed(0.05)
            )),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    #[test]
    fn a_limit_that_no_probe_can_hold_is_refused() {
        for (policy, words) in [
            ("{endpoint: a b}", "letters"),
            ("{endpoint: a, alias: 'x y'}", "`alias`"),
            ("{endpoint: a, entity: {entity_version: 1}}", "`entity.entity_version`"),
            ("{endpoint: a, settings: {config: {}}}", "`settings.config`"),
            ("{endpoint: a, steps: [50, 10]}", "grow"),
            ("{endpoint: a, steps: [100]}", "99"),
            ("{endpoint: a, soak_minutes: .nan}", "minutes"),
            ("{endpoint: a, update_minutes: 0}", "minutes"),
            ("{endpoint: a, lease_seconds: 1}", "lease_seconds"),
            ("{endpoint: a, probe: {requests: 148}}", "it takes 149"),
            ("{endpoint: a, probe: {requests: 30}, stop: {errors: 0.2, p95_ms: 5}}", "it takes 59"),
            ("{endpoint: a, stop: {errors: 0}}", "share"),
            ("{endpoint: a, stop: {errors: 0.00001}, probe: {requests: 100000}}", "too small"),
            ("{endpoint: a, stop: {live_requests: 9}, soak_minutes: 2}", "whole minutes"),
            ("{endpoint: a, stop: {live_requests: 9}, steps: []}", "whole minutes"),
            ("{endpoint: a, settings: {route_optimized: true}}", "route_optimized"),
            ("{endpoint: a, stop: {p95_ms: -1}}", "positive"),
            ("{endpoint: a, stop: {p99: 1}}", "p99"),
        ] {
            let told = Config::parse("t", &format!("serving: {policy}\n")).unwrap_err().to_string();
            assert!(told.contains(words), "{told}");
        }
        let fine = "serving: {endpoint: a, probe: {requests: 59}, stop: {errors: 0.05, p95_ms: 9}}";
        let serving = Config::parse("t", fine).unwrap().serving.unwrap();
        assert_eq!(serving.steps, [10, 50]);
        assert_eq!(serving.entity["workload_size"], "Small");
    }
}
