//! The one way to build an HTTPS client, and to tell why a call failed.

use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::StatusCode;

use super::retry::{self, Attempt, Class};

/// No byte for this long ends a call.
const IDLE: Duration = Duration::from_secs(60);

/// A client that follows no redirect: a token must not travel on.
pub fn client() -> Result<reqwest::Client, reqwest::Error> {
    builder().build()
}

/// A client for one address. On this machine no proxy stands between, and to
/// read the certificate authorities would take longer than most calls.
pub fn client_to(address: &reqwest::Url) -> Result<reqwest::Client, reqwest::Error> {
    if address.scheme() == "http" && is_loopback(address) {
        return builder().no_proxy().tls_certs_only([]).build();
    }
    client()
}

fn builder() -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("lakegate/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(Duration::from_secs(15))
        .read_timeout(IDLE)
}

/// What is escaped in a segment of a path.
pub const SEGMENT: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A path segment that cannot become two.
pub fn segment(text: &str) -> String {
    utf8_percent_encode(text, SEGMENT).to_string()
}

/// An address without whatever it holds of a sign-in; what is no URL stays as it is.
pub fn without_user(address: &str) -> String {
    let Ok(mut url) = url::Url::parse(address) else { return address.to_owned() };
    // Addresses that know no user have no sign-in to take away.
    let _plain = (url.set_username(""), url.set_password(None));
    url.to_string()
}

/// Whether an address is safe to send a token to: HTTPS, or this machine.
pub fn keeps_tokens(url: &reqwest::Url) -> bool {
    url.scheme() == "https" || url.scheme() == "http" && is_loopback(url)
}

pub fn is_loopback(url: &reqwest::Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

/// A call that was not answered with success.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{words}", .status.map(|status| format!("HTTP {}: ", status.as_u16())).unwrap_or_default())]
pub struct Refused {
    pub status: Option<StatusCode>,
    /// The server's, cut short; or why there was no answer.
    pub words: String,
}

/// Sends a call, again where its class allows it, and returns the body. Errors
/// keep the server's words and never the request, which may hold a secret.
pub async fn send(
    class: Class,
    attempts: u32,
    request: impl Fn() -> reqwest::RequestBuilder,
) -> Result<bytes::Bytes, Refused> {
    let mut attempt = 1;
    loop {
        let (outcome, asked, refused) = match request().send().await {
            Ok(response) if response.status().is_success() => match response.bytes().await {
                Ok(body) => return Ok(body),
                Err(error) => (Attempt::NoAnswer, None, unanswered(&error)),
            },
            Ok(response) => {
                let status = response.status();
                let header = response.headers().get(reqwest::header::RETRY_AFTER);
                let asked = header
                    .and_then(|value| value.to_str().ok())
                    .and_then(|value| retry::retry_after(value, super::clock::now()));
                let words = response.text().await.unwrap_or_default().chars().take(300).collect();
                (Attempt::Status(status), asked, Refused { status: Some(status), words })
            }
            Err(error) if error.is_connect() => (Attempt::NotSent, None, unanswered(&error)),
            Err(error) => (Attempt::NoAnswer, None, unanswered(&error)),
        };
        attempt += 1;
        if attempt > attempts || !class.retries(outcome) {
            return Err(refused);
        }
        tokio::time::sleep(retry::pause(attempt, asked, roll())).await;
    }
}

/// Fetches a public file of at most so many bytes. Redirects are followed, as nothing
/// secret is sent; each leads to a safe address, and there are few of them.
pub async fn download(
    client: &reqwest::Client,
    from: reqwest::Url,
    most: u64,
) -> anyhow::Result<Vec<u8>> {
    let mut place = from;
    for _ in 0..4 {
        let answer = client.get(place.clone()).send().await;
        let answer = answer.map_err(|error| anyhow::anyhow!(plain_reason(&error)))?;
        if !answer.status().is_redirection() {
            anyhow::ensure!(answer.status().is_success(), "HTTP {}", answer.status().as_u16());
            return body(answer, most).await;
        }
        let next = answer.headers().get(reqwest::header::LOCATION);
        let next = next.and_then(|value| value.to_str().ok()).unwrap_or_default();
        let next = place.join(next)?;
        anyhow::ensure!(keeps_tokens(&next), "it leads to `{}`, which is not https", next.scheme());
        place = next;
    }
    anyhow::bail!("it leads from one address to the next")
}

/// The body of an answer, whose own word about its length may be false.
pub async fn body(mut answer: reqwest::Response, most: u64) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let next = |error| anyhow::anyhow!(plain_reason(&error));
    while let Some(part) = answer.chunk().await.map_err(next)? {
        let whole = bytes.len() as u64 + part.len() as u64;
        anyhow::ensure!(whole <= most, "it is longer than {most} bytes");
        bytes.extend_from_slice(&part);
    }
    Ok(bytes)
}

fn unanswered(error: &reqwest::Error) -> Refused {
    Refused { status: None, words: plain_reason(error) }
}

/// A number in `[0, 1)`, for the jitter of pauses.
pub fn roll() -> f64 {
    let bits = getrandom::u64().unwrap_or(1 << 63);
    (bits >> 11) as f64 / (1u64 << 53) as f64
}

/// The innermost cause, without the URL (whose query may hold a signature).
pub fn plain_reason(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "timed out".into();
    }
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    causes.last().map_or_else(|| "the request failed".into(), ToString::to_string)
}
