//! Faults on demand, for tests: the control endpoint sets rules, and calls
//! that match them fail as real ones do.

use std::collections::HashSet;
use std::sync::Mutex;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use globset::{Glob, GlobMatcher};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Shared;
use super::error::{Answer, ApiFault};

/// When a fault strikes, as the caller sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum When {
    /// The handler never runs.
    #[default]
    Before,
    /// The handler has taken effect; its answer is lost.
    After,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rule {
    /// `GET`, `POST` and so on; empty for any.
    #[serde(default)]
    method: String,
    /// A glob over the path, such as `/api/2.2/jobs/*`.
    path: String,
    #[serde(default)]
    when: When,
    status: Option<u16>,
    #[serde(default)]
    latency_ms: u64,
    /// Sends only this many bytes of the answer's body, then hangs up.
    cut_body_at: Option<usize>,
    retry_after: Option<String>,
    /// Answers 404 to the first read of each object, as a catalog does that has
    /// not heard of its creation yet.
    #[serde(default)]
    stale: bool,
    /// How many calls are hit; 0 for all.
    #[serde(default = "one")]
    times: u32,
    /// How many matching calls pass first.
    #[serde(default)]
    offset: u32,
}

fn one() -> u32 {
    1
}

#[derive(Debug)]
struct Active {
    rule: Rule,
    path: GlobMatcher,
    seen: u32,
    /// The objects that a stale read has been given of.
    read: HashSet<String>,
}

impl Active {
    fn fits(&self, method: &str, path: &str, query: &str) -> bool {
        let rule = &self.rule;
        let spent = rule.times > 0 && self.seen >= rule.offset + rule.times;
        let told = rule.stale && (method != "GET" || self.read.contains(&object(path, query)));
        (rule.method.is_empty() || rule.method.eq_ignore_ascii_case(method))
            && !spent
            && !told
            && self.path.is_match(path)
    }
}

/// What a read is of: some calls name their object in the query.
fn object(path: &str, query: &str) -> String {
    format!("{path}?{query}")
}

#[derive(Debug, Default)]
pub(crate) struct Faults(Mutex<Vec<Active>>);

/// What to do to one call.
#[derive(Debug, Clone)]
pub(crate) struct Strike {
    pub(crate) when: When,
    pub(crate) status: Option<StatusCode>,
    pub(crate) latency: Duration,
    pub(crate) cut_body_at: Option<usize>,
    pub(crate) retry_after: Option<String>,
}

impl Faults {
    /// The fault for this call, if a rule says so. Counts the call.
    pub(crate) fn strike(&self, method: &str, path: &str, query: &str) -> Option<Strike> {
        let mut rules = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let active = rules.iter_mut().find(|active| active.fits(method, path, query))?;
        active.seen += 1;
        if active.seen <= active.rule.offset {
            return None;
        }
        if active.rule.stale {
            active.read.insert(object(path, query));
        }
        let rule = &active.rule;
        let stale = rule.stale.then_some(StatusCode::NOT_FOUND);
        Some(Strike {
            when: rule.when,
            status: rule.status.and_then(|status| StatusCode::from_u16(status).ok()).or(stale),
            latency: Duration::from_millis(rule.latency_ms),
            cut_body_at: rule.cut_body_at,
            retry_after: rule.retry_after.clone(),
        })
    }
}

pub(crate) fn routes() -> Router<Shared> {
    Router::new().route("/__lakegate/faults", get(told).post(set).delete(clear))
}

async fn set(State(workspace): State<Shared>, Json(rule): Json<Rule>) -> Answer<Json<Value>> {
    let path = Glob::new(&rule.path)
        .map_err(|error| ApiFault::invalid(error.to_string()))?
        .compile_matcher();
    let mut rules = workspace.faults.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    rules.push(Active { rule, path, seen: 0, read: HashSet::new() });
    Ok(Json(json!({ "rules": rules.len() })))
}

/// How many calls each rule has seen.
async fn told(State(workspace): State<Shared>) -> Json<Value> {
    let rules = workspace.faults.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let seen: Vec<Value> = rules.iter().map(|rule| json!({ "seen": rule.seen })).collect();
    Json(json!({ "rules": seen }))
}

async fn clear(State(workspace): State<Shared>) -> Json<Value> {
    workspace.faults.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clear();
    Json(json!({}))
}
