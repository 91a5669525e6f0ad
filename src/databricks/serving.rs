//! Serving endpoints: what they serve, whether they are being changed, what they answer.
//! Settings travel as they are.

use std::time::Duration;

use reqwest::Method;
use serde_json::Value;

use super::definitions::{found, gone};
use super::{Client, Error};
use crate::sys::https::segment;
use crate::sys::retry::Class;

fn endpoint(name: &str) -> String {
    format!("/api/2.0/serving-endpoints/{}", segment(name))
}

/// How long a look may be older than a change.
const STALE: Duration = Duration::from_secs(15);

/// How the last change of an endpoint ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Settled {
    /// It serves what it was told to.
    Done(Value),
    /// It serves what it served before; the state that it ended in.
    Failed(Value, String),
    /// It is still being changed.
    Late,
}

impl Client {
    pub async fn endpoint_get(&self, name: &str) -> Result<Option<Value>, Error> {
        found(self.http.get(endpoint(name)).read().await)
    }

    pub async fn endpoint_create(&self, settings: &Value) -> Result<(), Error> {
        let call = self.http.call(Method::POST, "/api/2.0/serving-endpoints", Class::Unkeyed);
        call.json(settings)?.done().await
    }

    /// Changes one part of an endpoint: `config`, `ai-gateway`.
    pub async fn endpoint_configure(
        &self,
        name: &str,
        part: &str,
        settings: &Value,
    ) -> Result<(), Error> {
        let route = format!("{}/{part}", endpoint(name));
        self.http.call(Method::PUT, route, Class::Idempotent).json(settings)?.done().await
    }

    pub async fn endpoint_tags(&self, name: &str, change: &Value) -> Result<(), Error> {
        let route = format!("{}/tags", endpoint(name));
        self.http.call(Method::PATCH, route, Class::Idempotent).json(change)?.done().await
    }

    pub async fn endpoint_delete(&self, name: &str) -> Result<(), Error> {
        gone(self.http.call(Method::DELETE, endpoint(name), Class::Idempotent).done().await)
    }

    /// Waits until an endpoint takes its next change.
    pub async fn endpoint_settled(&self, name: &str, patience: Duration) -> Result<Settled, Error> {
        let begun = std::time::Instant::now();
        loop {
            let found: Value = match self.http.get(endpoint(name)).read().await {
                // A look may be older than what was just made.
                Err(error) if error.is_not_found() && begun.elapsed() < STALE.min(patience) => {
                    tokio::time::sleep(Duration::from_millis(500)).await;
                    continue;
                }
                found => found?,
            };
            match found.pointer("/state/config_update").and_then(Value::as_str) {
                Some("IN_PROGRESS") if begun.elapsed() < patience => {
                    let pause = begun.elapsed() / 10;
                    let bounds = (Duration::from_millis(200), Duration::from_secs(15));
                    tokio::time::sleep(pause.clamp(bounds.0, bounds.1)).await;
                }
                Some("IN_PROGRESS") => return Ok(Settled::Late),
                Some(state @ ("UPDATE_FAILED" | "UPDATE_CANCELED")) => {
                    let state = state.to_owned();
                    return Ok(Settled::Failed(found, state));
                }
                _ => return Ok(Settled::Done(found)),
            }
        }
    }

    /// Asks one of the models behind an endpoint, whatever its share of the traffic. What
    /// an attempt meets is what is asked about, so that nothing is sent again.
    pub async fn endpoint_ask(
        &self,
        name: &str,
        served: &str,
        body: &Value,
    ) -> Result<Value, Error> {
        let (name, served) = (segment(name), segment(served));
        let route = format!("/serving-endpoints/{name}/served-models/{served}/invocations");
        self.http.call(Method::POST, route, Class::Once).json(body)?.read().await
    }

    /// What an endpoint tells of its last minute, in Prometheus' text format.
    pub async fn endpoint_metrics(&self, name: &str) -> Result<String, Error> {
        let call = self.http.get(format!("{}/metrics", endpoint(name)));
        Ok(String::from_utf8_lossy(&call.send().await?).into_owned())
    }
}
