//! The one way to build an HTTPS client, and to tell why a call failed.

use std::time::Duration;

/// No byte for this long ends a call.
const IDLE: Duration = Duration::from_secs(30);

/// A client that follows no redirect: a token must not travel on.
pub fn client() -> Result<reqwest::Client, reqwest::Error> {
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("lakegate/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(Duration::from_secs(15))
        .read_timeout(IDLE)
        .build()
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
