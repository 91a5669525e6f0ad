//! Azure Monitor's Logs Ingestion API: parts of at most 1 MB, compressed, with
//! a token of Microsoft Entra.

use std::io::Write as _;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::Url;
use serde::Deserialize;
use serde_json::Value;

use crate::config::AzureMonitor;
use crate::databricks::Masker;
use crate::names::Secret;
use crate::report::Fault;
use crate::sys::https;
use crate::sys::retry::{self, Class};
use crate::sys::{Env, fs};

/// The service refuses a call above this, before compression.
const LARGEST: usize = 1_000_000;
const SCOPE: &str = "https://monitor.azure.com/.default";
const ONE_CALL: Duration = Duration::from_secs(60);

/// Azure's clouds. The address comes from the repository and the token from
/// the caller: it goes nowhere else.
const DOMAINS: [&str; 3] =
    [".ingest.monitor.azure.com", ".ingest.monitor.azure.us", ".ingest.monitor.azure.cn"];

pub(super) struct Monitor {
    /// The addresses of the streams.
    pub(super) results: Url,
    pub(super) decisions: Option<Url>,
    login: Url,
    client: reqwest::Client,
    client_id: String,
    proof: Proof,
    masker: Masker,
}

/// How the caller proves who it is.
enum Proof {
    Secret(Secret),
    /// A file with an identity token of the host, read at each use.
    File(String),
}

impl std::fmt::Debug for Monitor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Monitor").field("results", &self.results.as_str()).finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Token {
    access_token: Secret,
}

impl Monitor {
    pub(super) fn new(config: &AzureMonitor, env: &Env, masker: Masker) -> Result<Self> {
        let either = |one: &str, other: &str| env.get(one).or(env.get(other)).map(str::to_owned);
        let needed = |one: &str, other: &str| {
            either(one, other).ok_or_else(|| {
                let fault = Fault::usage(format!("Azure Monitor needs {one}"));
                fault
                    .hint(format!("set {one} (or {other}), or leave `telemetry.azure_monitor` out"))
            })
        };
        let tenant = needed("AZURE_TENANT_ID", "ARM_TENANT_ID")?;
        let client_id = needed("AZURE_CLIENT_ID", "ARM_CLIENT_ID")?;
        let proof = match (
            env.get("AZURE_FEDERATED_TOKEN_FILE"),
            either("AZURE_CLIENT_SECRET", "ARM_CLIENT_SECRET"),
        ) {
            (Some(file), _) => Proof::File(file.to_owned()),
            (None, Some(secret)) => Proof::Secret(Secret::new(secret)),
            (None, None) => {
                let fault = Fault::usage("Azure Monitor needs a way to sign in");
                return Err(fault
                    .hint("set AZURE_FEDERATED_TOKEN_FILE or AZURE_CLIENT_SECRET")
                    .into());
            }
        };
        let endpoint = endpoint(&config.endpoint)?;
        let stream = |name: &String| {
            let mut url = endpoint.clone();
            url.set_path(&format!("/dataCollectionRules/{}/streams/{name}", config.rule));
            url.set_query(Some("api-version=2023-01-01"));
            url
        };
        let results = stream(&config.stream);
        let decisions = config.decisions.as_ref().map(stream);
        let authority =
            env.get("AZURE_AUTHORITY_HOST").unwrap_or("https://login.microsoftonline.com");
        let mut login = safe(authority)?;
        login
            .path_segments_mut()
            .map_err(|()| Fault::usage(format!("`{authority}` is no address")))?
            .pop_if_empty()
            .extend([tenant.as_str(), "oauth2", "v2.0", "token"]);
        let client = https::client().context("set up HTTPS")?;
        Ok(Self { results, decisions, login, client, client_id, proof, masker })
    }

    pub(super) async fn send(&self, stream: &Url, records: &[Value]) -> Result<()> {
        if records.is_empty() {
            return Ok(());
        }
        let token = self.token().await.context("sign in to Azure Monitor")?;
        for part in parts(records)? {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(part.as_bytes()).context("compress the records")?;
            let body = encoder.finish().context("compress the records")?;
            let request = || {
                self.client
                    .post(stream.clone())
                    .timeout(ONE_CALL)
                    .bearer_auth(token.expose())
                    .header("content-type", "application/json")
                    .header("content-encoding", "gzip")
                    .body(body.clone())
            };
            again(request).await.with_context(|| format!("send records to `{stream}`"))?;
        }
        Ok(())
    }

    async fn token(&self) -> Result<Secret> {
        let mut form = vec![
            ("grant_type", "client_credentials".to_owned()),
            ("client_id", self.client_id.clone()),
            ("scope", SCOPE.to_owned()),
        ];
        match &self.proof {
            Proof::Secret(secret) => {
                (self.masker)(secret);
                form.push(("client_secret", secret.expose().to_owned()));
            }
            Proof::File(path) => {
                let assertion = Secret::new(fs::read_text(path)?.trim());
                (self.masker)(&assertion);
                let kind = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
                form.push(("client_assertion_type", kind.to_owned()));
                form.push(("client_assertion", assertion.expose().to_owned()));
            }
        }
        let request = || self.client.post(self.login.clone()).timeout(ONE_CALL).form(&form);
        let answer: Token =
            serde_json::from_slice(&again(request).await?).context("read the token's answer")?;
        (self.masker)(&answer.access_token);
        Ok(answer.access_token)
    }
}

/// Sends a call that may be sent again, until it is answered.
async fn again(request: impl Fn() -> reqwest::RequestBuilder) -> Result<bytes::Bytes> {
    https::send(Class::Keyed, retry::MAX_ATTEMPTS, request).await.map_err(|refused| {
        let hint = match refused.status.map(|status| status.as_u16()) {
            Some(401 | 403) => {
                "; the identity needs the role `Monitoring Metrics Publisher` on the rule"
            }
            Some(404) => "; check the rule's immutable id and the stream's name",
            Some(300..=399) => "; a redirect is not followed",
            _ => "",
        };
        anyhow::anyhow!("{refused}{hint}")
    })
}

/// Arrays of records, each small enough for one call.
fn parts(records: &[Value]) -> Result<Vec<String>> {
    let mut parts = Vec::new();
    let mut open = String::from("[");
    for record in records {
        let text = record.to_string();
        if text.len() + 2 > LARGEST {
            bail!("a record of {} bytes is too large for Azure Monitor", text.len());
        }
        if open.len() > 1 && open.len() + text.len() + 2 > LARGEST {
            open.push(']');
            parts.push(std::mem::replace(&mut open, "[".to_owned()));
        }
        if open.len() > 1 {
            open.push(',');
        }
        open.push_str(&text);
    }
    open.push(']');
    parts.push(open);
    Ok(parts)
}

fn endpoint(text: &str) -> Result<Url, Fault> {
    let url = safe(text)?;
    let host = url.host_str().unwrap_or_default();
    if https::is_loopback(&url) || DOMAINS.iter().any(|domain| host.ends_with(domain)) {
        return Ok(url);
    }
    let fault =
        Fault::usage(format!("`{text}` is no endpoint of Azure Monitor: no token was sent"));
    Err(fault.hint(format!("its host ends with {}", DOMAINS.join(" or "))))
}

/// HTTPS, or a loopback address.
fn safe(text: &str) -> Result<Url, Fault> {
    let url = Url::parse(text)
        .map_err(|error| Fault::usage(format!("`{text}` is no address: {error}")))?;
    if https::keeps_tokens(&url) {
        return Ok(url);
    }
    Err(Fault::usage(format!("`{text}` must use https: a token would travel in the open")))
}

#[cfg(test)]
#[path = "azure_tests.rs"]
mod tests;
