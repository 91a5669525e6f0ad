//! What a version is asked, and what becomes of it.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use futures::StreamExt as _;
use serde_json::Value;

use super::judge::Seen;
use crate::config;
use crate::databricks::{Client, Error};
use crate::names::{ModelName, ModelVersion};
use crate::report::{Fault, shortened};
use crate::sys::fs;

/// The input example as MLflow keeps it beside a model: a request.
const EXAMPLE: &str = "serving_input_example.json";

/// Requests to one version.
#[derive(Debug, Clone)]
pub(super) struct Probe<'a> {
    policy: &'a config::Probe,
    bodies: Vec<Value>,
}

impl<'a> Probe<'a> {
    /// # Errors
    /// When there is nothing to ask.
    pub(super) async fn of(
        client: &Client,
        policy: &'a config::Probe,
        model: &ModelName,
        version: ModelVersion,
    ) -> Result<Self> {
        let (place, text) = match &policy.file {
            Some(file) => {
                let text = fs::read_text_if_exists(file)?;
                let missing =
                    || Fault::usage(format!("`serving.probe.file`: there is no `{file}`"));
                (file.clone(), text.ok_or_else(missing)?)
            }
            None => {
                let place = format!("{}/{EXAMPLE}", model.files_of(version));
                let text = match client.file_read(&place).await {
                    Err(error) if error.is_not_found() => {
                        let message = format!(
                            "nothing is known to ask version {version} of `{model}`: it has no input example"
                        );
                        let hint = "log it with `input_example`, or name a file of requests: `serving.probe.file`";
                        return Err(Fault::usage(message).hint(hint).into());
                    }
                    read => read.with_context(|| format!("read `{place}`"))?,
                };
                (place, String::from_utf8_lossy(&text).into_owned())
            }
        };
        let wrong = |what: &str| {
            Fault::usage(format!("`{place}` {what}"))
                .hint("it must hold a request, or a list of them, as the endpoint takes them")
        };
        let bodies = match serde_json::from_str(&text)
            .map_err(|error| wrong(&format!("is no JSON: {error}")))?
        {
            Value::Array(list) => list,
            one => vec![one],
        };
        if bodies.is_empty() || !bodies.iter().all(Value::is_object) {
            return Err(wrong("holds no requests").into());
        }
        Ok(Self { policy, bodies })
    }

    /// Asks until the version has answered once, and then measures.
    pub(super) async fn ask(
        &self,
        client: &Client,
        [endpoint, served]: [&str; 2],
        patience: Duration,
    ) -> Seen {
        if let Err(failure) = self.first(client, [endpoint, served], patience).await {
            return Seen { silent: Some(failure), ..Seen::default() };
        }
        let bodies = self.bodies.iter().cycle().zip(0..self.policy.requests);
        let asked = bodies.map(|(body, _)| attempt(client, [endpoint, served], body));
        let mut answers = futures::stream::iter(asked).buffer_unordered(self.policy.at_once);
        let mut seen = Seen::default();
        while let Some(answer) = answers.next().await {
            seen.requests += 1;
            match answer {
                Ok(took) => seen.took_ms.push(1000.0 * took.as_secs_f64()),
                Err(failure) => {
                    seen.failed += 1;
                    seen.first_failure.get_or_insert(failure);
                }
            }
        }
        seen
    }

    /// Asks until there is an answer: what was scaled down, or was never up, takes a while,
    /// and that is no failure.
    async fn first(
        &self,
        client: &Client,
        [endpoint, served]: [&str; 2],
        patience: Duration,
    ) -> Result<(), String> {
        let begun = Instant::now();
        loop {
            let asked = client.endpoint_ask(endpoint, served, &self.bodies[0]).await;
            match asked {
                Err(error) if error.is_passing() && begun.elapsed() < patience => {
                    let pause = (begun.elapsed() / 10).max(Duration::from_millis(500));
                    tokio::time::sleep(pause.min(Duration::from_secs(10))).await;
                }
                Err(error) => return Err(told(&error)),
                Ok(answer) => return wrong(&self.bodies[0], &answer).map_or(Ok(()), Err),
            }
        }
    }
}

fn told(error: &Error) -> String {
    shortened(&error.to_string(), 300)
}

/// How long an answer took, or why there is none.
async fn attempt(
    client: &Client,
    [endpoint, served]: [&str; 2],
    body: &Value,
) -> Result<Duration, String> {
    let begun = Instant::now();
    let answer = client.endpoint_ask(endpoint, served, body).await;
    let took = begun.elapsed();
    let answer = answer.map_err(|error| told(&error))?;
    wrong(body, &answer).map_or(Ok(took), Err)
}

/// Why an answer is none: a gap in it, or not one prediction for each row.
fn wrong(body: &Value, answer: &Value) -> Option<String> {
    let rows = || {
        let list = |pointer: &str| body.pointer(pointer)?.as_array().map(Vec::len);
        ["/dataframe_split/data", "/dataframe_records", "/instances", "/inputs"]
            .into_iter()
            .find_map(list)
    };
    let told = ["predictions", "choices", "data"].iter().find_map(|name| answer.get(*name));
    match told {
        None => Some("the answer holds no predictions".into()),
        Some(told) if answer.get("predictions").is_some() && has_gap(told) => {
            Some("a prediction is missing or no number".into())
        }
        Some(Value::Array(list)) if list.is_empty() => Some("the answer is empty".into()),
        Some(Value::Array(list)) if answer.get("predictions").is_some() => {
            let rows = rows().filter(|rows| *rows != list.len())?;
            Some(format!("{} predictions for {rows} rows", list.len()))
        }
        Some(_) => None,
    }
}

/// JSON has no number that is none: it comes as null.
fn has_gap(told: &Value) -> bool {
    match told {
        Value::Null => true,
        Value::Array(list) => list.iter().any(has_gap),
        Value::Object(fields) => fields.values().any(has_gap),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_answer_has_a_prediction_for_each_row() {
        let body = json!({ "dataframe_split": { "columns": ["a"], "data": [[1], [2]] } });
        for (answer, words) in [
            (json!({ "predictions": [0.1, 0.2] }), None),
            (json!({ "predictions": [[0.1, 0.9], [0.2, 0.8]] }), None),
            (json!({ "predictions": { "score": [1, 2] } }), None),
            (json!({ "choices": [{ "message": {} }] }), None),
            (json!({ "predictions": [0.1] }), Some("1 predictions for 2 rows")),
            (json!({ "predictions": [0.1, null] }), Some("missing")),
            (json!({ "predictions": [[0.1, null], [1, 2]] }), Some("missing")),
            (json!({ "predictions": [{ "score": 1 }, { "score": null }] }), Some("missing")),
            (json!({ "predictions": [] }), Some("empty")),
            (json!({ "predictions": null }), Some("missing")),
            (json!({ "error": "x" }), Some("no predictions")),
        ] {
            let told = wrong(&body, &answer);
            match words {
                None => assert_eq!(told, None, "{answer}"),
                Some(words) => assert!(told.unwrap().contains(words), "{answer}"),
            }
        }
        assert_eq!(wrong(&json!({ "inputs": { "a": [1] } }), &json!({ "predictions": [1] })), None);
    }
}
