//! One way to send a call: sign in, send, retry by class, decode, explain.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use percent_encoding::{AsciiSet, utf8_percent_encode};
use reqwest::{Method, StatusCode, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Masker;
use super::auth::{Authenticator, Claims};
use super::error::{ApiError, Error};
use super::settings::{Settings, address};
use crate::names::Secret;
use crate::sys::https::{self, plain_reason};
use crate::sys::retry::{self, Attempt, Class};

/// One attempt of an ordinary call, a drip of bytes included.
const WHOLE_CALL: Duration = Duration::from_secs(120);
/// Nothing that is read by a plain call is larger: a release that is kept beside its
/// deployment may have 200 MiB.
const MOST_ANSWER: u64 = 256 << 20;
/// How much of an error's body is kept.
const MAX_MESSAGE: usize = 2000;

const PATH: &AsciiSet = &https::SEGMENT.remove(b'/');

/// A path whose slashes stay and whose other characters are encoded.
pub(super) fn path(text: &str) -> String {
    utf8_percent_encode(text, PATH).to_string()
}

/// An answer's body, unless it is larger than any should be.
async fn bounded(mut response: reqwest::Response) -> Result<Option<bytes::Bytes>, reqwest::Error> {
    let told = response.content_length().unwrap_or_default();
    if told > MOST_ANSWER {
        return Ok(None);
    }
    // What is told need not be true.
    let mut body = bytes::BytesMut::with_capacity(told.min(1 << 20) as usize);
    while let Some(chunk) = response.chunk().await? {
        if (body.len() + chunk.len()) as u64 > MOST_ANSWER {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body.freeze()))
}

#[derive(Debug, Clone)]
pub(super) struct Http {
    shared: Arc<Shared>,
    deadline: Option<Instant>,
    started: Instant,
}

#[derive(Debug)]
struct Shared {
    host: Url,
    address: String,
    client: reqwest::Client,
    /// For signed links that leave this machine, from the first one on.
    outward: OnceLock<reqwest::Client>,
    auth: Authenticator,
}

impl Http {
    pub(super) fn new(settings: &Settings, masker: Masker) -> Result<Self, Error> {
        let shared = Shared {
            host: settings.host.clone(),
            address: address(&settings.host),
            client: https::client_to(&settings.host).map_err(|error| no_client(&error))?,
            outward: OnceLock::new(),
            auth: Authenticator::new(settings.clone(), masker),
        };
        Ok(Self { shared: Arc::new(shared), deadline: None, started: Instant::now() })
    }

    pub(super) fn with_deadline(&self, deadline: Instant) -> Self {
        Self { shared: self.shared.clone(), deadline: Some(deadline), started: Instant::now() }
    }

    /// Keeps a secret that an answer brought out of logs.
    pub(super) fn mask(&self, secret: &Secret) {
        self.shared.auth.mask(secret);
    }

    pub(super) async fn presented(&self) -> Result<Option<Claims>, Error> {
        self.shared.auth.presented().await
    }

    pub(super) fn host(&self) -> &str {
        &self.shared.address
    }

    pub(super) fn get(&self, path: impl Into<String>) -> Call<'_> {
        self.call(Method::GET, path, Class::Read)
    }

    pub(super) fn call(&self, method: Method, path: impl Into<String>, class: Class) -> Call<'_> {
        Call { http: self, method, path: path.into(), class, query: Vec::new(), body: Body::Empty }
    }

    /// Fetches a signed link, without our token and with the headers that it names.
    pub(super) async fn fetch_signed(
        &self,
        link: &str,
        headers: &BTreeMap<String, String>,
    ) -> Result<bytes::Bytes, Error> {
        // The link is a credential itself: only its host may be shown.
        let shown = Url::parse(link)
            .ok()
            .and_then(|url| url.host_str().map(str::to_owned))
            .unwrap_or_default();
        let call = format!("GET signed link at {shown}");
        let fail = |error: reqwest::Error| Error::Transport {
            call: call.clone(),
            reason: plain_reason(&error),
        };
        let request = headers.iter().fold(self.shared.to(link)?.get(link), |request, header| {
            request.header(header.0, header.1)
        });
        let response = request.send().await.map_err(fail)?;
        if !response.status().is_success() {
            let reason = format!("HTTP {}", response.status().as_u16());
            return Err(Error::Transport { call: call.clone(), reason });
        }
        let bytes = bounded(response).await.map_err(fail)?;
        bytes.ok_or_else(|| Error::Decode { call, reason: too_large() })
    }

    /// Waits before attempt `next`, which nothing asked to be put off.
    pub(super) async fn pause(&self, next: u32) {
        tokio::time::sleep(retry::pause(next, None, https::roll())).await;
    }
}

fn too_large() -> String {
    format!("it has more than {} MiB", MOST_ANSWER >> 20)
}

impl Shared {
    /// The client that reaches a link.
    fn to(&self, link: &str) -> Result<&reqwest::Client, Error> {
        if self.host.scheme() == "https" || !link.starts_with("https:") {
            return Ok(&self.client);
        }
        if let Some(client) = self.outward.get() {
            return Ok(client);
        }
        let made = https::client().map_err(|error| no_client(&error))?;
        Ok(self.outward.get_or_init(|| made))
    }
}

pub(super) fn no_client(error: &reqwest::Error) -> Error {
    Error::Settings(format!("set up HTTPS: {}", plain_reason(error)))
}

#[derive(Debug, Clone)]
enum Body {
    Empty,
    Json(bytes::Bytes),
    Raw(bytes::Bytes),
}

/// A call being put together.
#[derive(Debug, Clone)]
#[must_use]
pub(super) struct Call<'a> {
    http: &'a Http,
    method: Method,
    path: String,
    class: Class,
    query: Vec<(&'static str, String)>,
    body: Body,
}

impl Call<'_> {
    pub(super) fn query(mut self, name: &'static str, value: impl std::fmt::Display) -> Self {
        self.query.push((name, value.to_string()));
        self
    }

    pub(super) fn query_opt(
        self,
        name: &'static str,
        value: Option<impl std::fmt::Display>,
    ) -> Self {
        match value {
            Some(value) => self.query(name, value),
            None => self,
        }
    }

    pub(super) fn json(mut self, body: &impl Serialize) -> Result<Self, Error> {
        let text = serde_json::to_vec(body).map_err(|error| {
            Error::Settings(format!("write the body of {}: {error}", self.path))
        })?;
        self.body = Body::Json(text.into());
        Ok(self)
    }

    pub(super) fn bytes(mut self, body: impl Into<bytes::Bytes>) -> Self {
        self.body = Body::Raw(body.into());
        self
    }

    /// Sends the call and reads its JSON answer.
    pub(super) async fn read<T: DeserializeOwned>(self) -> Result<T, Error> {
        let call = self.name();
        let bytes = self.send().await?;
        // Several calls answer an empty body for "nothing to say".
        let text = if bytes.is_empty() { b"{}".as_slice() } else { &bytes };
        serde_json::from_slice(text)
            .map_err(|error| Error::Decode { call, reason: error.to_string() })
    }

    /// Reads every page: the items under `field`. A token that comes again is
    /// an error, as going on would never end and stopping would lose items.
    pub(super) async fn read_all<T: DeserializeOwned>(self, field: &str) -> Result<Vec<T>, Error> {
        let fail = |call: &str, reason: String| Error::Decode { call: call.to_owned(), reason };
        let mut items = Vec::new();
        let mut seen: Vec<String> = Vec::new();
        loop {
            let call = self.clone().query_opt("page_token", seen.last());
            let name = call.name();
            let mut page: serde_json::Value = call.read().await?;
            let part = page.get_mut(field).map(serde_json::Value::take).unwrap_or_default();
            let part: Option<Vec<T>> =
                serde_json::from_value(part).map_err(|error| fail(&name, error.to_string()))?;
            items.extend(part.unwrap_or_default());
            match page["next_page_token"].as_str().filter(|next| !next.is_empty()) {
                None => return Ok(items),
                Some(next) if seen.iter().any(|token| token == next) => {
                    return Err(fail(&name, format!("the page token `{next}` came twice")));
                }
                Some(next) => seen.push(next.to_owned()),
            }
        }
    }

    /// Sends the call; the answer's content does not matter.
    pub(super) async fn done(self) -> Result<(), Error> {
        self.send().await.map(drop)
    }

    /// Sends the call and returns the answer's body.
    pub(super) async fn send(self) -> Result<bytes::Bytes, Error> {
        let mut refreshed = false;
        let mut attempt = 1;
        loop {
            self.check_deadline()?;
            let (outcome, asked, error) = match self.attempt().await {
                Ok(bytes) => return Ok(bytes),
                Err(failed) => failed,
            };
            if outcome == Attempt::Status(StatusCode::UNAUTHORIZED) && !refreshed {
                refreshed = true;
                if self.http.shared.auth.refresh().await? {
                    continue;
                }
            }
            attempt += 1;
            if attempt > retry::MAX_ATTEMPTS || !self.class.retries(outcome) {
                return Err(error);
            }
            let pause = retry::pause(attempt, asked, https::roll());
            tracing::debug!(call = self.name(), attempt, ?pause, %error, "trying again");
            self.sleep(pause).await?;
        }
    }

    async fn attempt(&self) -> Result<bytes::Bytes, (Attempt, Option<Duration>, Error)> {
        let headers = self.http.shared.auth.headers().await.map_err(|error| {
            // Signing in has retries of its own.
            (Attempt::Status(StatusCode::FORBIDDEN), None, error)
        })?;
        let transport = |error: reqwest::Error| {
            let attempt = if error.is_connect() { Attempt::NotSent } else { Attempt::NoAnswer };
            let cut = error.is_timeout().then(|| self.check_deadline().err()).flatten();
            let lost = || Error::Transport { call: self.name(), reason: plain_reason(&error) };
            (attempt, None, cut.unwrap_or_else(lost))
        };
        let mut url = self.http.shared.host.clone();
        url.set_path(&self.path);
        let mut request =
            self.http.shared.client.request(self.method.clone(), url).query(&self.query);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        request = match &self.body {
            Body::Empty => request,
            Body::Json(text) => {
                request.header("content-type", "application/json").body(text.clone())
            }
            Body::Raw(bytes) => {
                request.header("content-type", "application/octet-stream").body(bytes.clone())
            }
        };
        if let Some(left) = self.time_left() {
            request = request.timeout(left);
        }
        let response = request.send().await.map_err(transport)?;
        let status = response.status();
        let header = |name: &str| response.headers().get(name)?.to_str().ok().map(str::to_owned);
        if status.is_redirection() {
            let to = header("location").unwrap_or_default();
            let to = Url::parse(&to)
                .ok()
                .and_then(|url| url.host_str().map(str::to_owned))
                .unwrap_or(to);
            return Err((Attempt::Status(status), None, Error::Redirect { call: self.name(), to }));
        }
        let asked = header("retry-after")
            .and_then(|value| retry::retry_after(&value, crate::sys::clock::now()));
        let html = header("content-type").is_some_and(|kind| kind.starts_with("text/html"));
        let request_id = header("x-request-id");
        let too_large = || {
            let error = Error::Decode { call: self.name(), reason: too_large() };
            (Attempt::Status(status), None, error)
        };
        let bytes = bounded(response).await.map_err(transport)?.ok_or_else(too_large)?;
        if !status.is_success() {
            let error = self.api_error(status, html, &bytes, request_id);
            return Err((Attempt::Status(status), asked, error));
        }
        if html {
            return Err((Attempt::Status(status), None, Error::Html { call: self.name() }));
        }
        Ok(bytes)
    }

    fn api_error(
        &self,
        status: StatusCode,
        html: bool,
        body: &[u8],
        request_id: Option<String>,
    ) -> Error {
        let parsed: Option<serde_json::Value> = serde_json::from_slice(body).ok();
        let text = |names: [&str; 2]| {
            let value = parsed.as_ref()?;
            let found = names.iter().find_map(|name| value.get(name)?.as_str());
            found.filter(|text| !text.is_empty()).map(str::to_owned)
        };
        let fallback = || {
            if html {
                "an HTML page came back".into()
            } else {
                String::from_utf8_lossy(body).into_owned()
            }
        };
        let mut message = text(["message", "error_description"]).unwrap_or_else(fallback);
        if message.len() > MAX_MESSAGE {
            let end = (0..=MAX_MESSAGE).rev().find(|at| message.is_char_boundary(*at)).unwrap_or(0);
            message.truncate(end);
            message.push('…');
        }
        Error::Api(ApiError {
            call: self.name(),
            status: status.as_u16(),
            code: text(["error_code", "error"])
                .unwrap_or_else(|| status.canonical_reason().unwrap_or("").into()),
            message,
            request_id,
        })
    }

    /// What a single attempt may take. Files may take longer than other calls.
    fn time_left(&self) -> Option<Duration> {
        let whole = (!matches!(self.body, Body::Raw(_))).then_some(WHOLE_CALL);
        let left =
            self.http.deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        [whole, left].into_iter().flatten().min()
    }

    fn check_deadline(&self) -> Result<(), Error> {
        match self.http.deadline {
            Some(deadline) if Instant::now() >= deadline => Err(self.too_late()),
            _ => Ok(()),
        }
    }

    async fn sleep(&self, pause: Duration) -> Result<(), Error> {
        if self.http.deadline.is_some_and(|deadline| Instant::now() + pause >= deadline) {
            return Err(self.too_late());
        }
        tokio::time::sleep(pause).await;
        Ok(())
    }

    fn too_late(&self) -> Error {
        Error::Deadline { call: self.name(), after: self.http.started.elapsed() }
    }

    fn name(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}
