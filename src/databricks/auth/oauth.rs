//! The workspace's OAuth endpoints: client credentials and token exchange.

use std::time::Duration;

use reqwest::Url;
use serde::Deserialize;

use super::{Granted, sign_in_error};
use crate::databricks::error::Error;
use crate::databricks::settings::Settings;
use crate::names::Secret;
use crate::sys::https;
use crate::sys::retry::Class;

const ATTEMPTS: u32 = 3;

#[derive(Deserialize)]
struct Endpoints {
    token_endpoint: Url,
}

#[derive(Deserialize)]
struct TokenAnswer {
    access_token: Secret,
    expires_in: Option<u64>,
}

/// Where the workspace mints tokens. It must be on the workspace itself: the
/// discovery document is not allowed to send credentials elsewhere.
pub(super) async fn token_endpoint(
    client: &reqwest::Client,
    settings: &Settings,
) -> Result<Url, Error> {
    let mut url = settings.host.clone();
    url.set_path("/oidc/.well-known/oauth-authorization-server");
    let text = send(settings, || client.get(url.clone())).await?;
    let endpoints: Endpoints = serde_json::from_slice(&text).map_err(|error| {
        sign_in_error(settings, format!("read the discovery document: {error}"))
    })?;
    let same_origin = endpoints.token_endpoint.origin() == settings.host.origin();
    if !same_origin {
        let to = endpoints.token_endpoint.host_str().unwrap_or_default();
        return Err(sign_in_error(
            settings,
            format!("the token endpoint is on another host, `{to}`"),
        ));
    }
    Ok(endpoints.token_endpoint)
}

pub(super) async fn client_credentials(
    client: &reqwest::Client,
    settings: &Settings,
    id: &str,
    secret: &Secret,
) -> Result<Granted, Error> {
    let endpoint = token_endpoint(client, settings).await?;
    let form = [("grant_type", "client_credentials"), ("scope", "all-apis")];
    grant(settings, || {
        client.post(endpoint.clone()).basic_auth(id, Some(secret.expose())).form(&form)
    })
    .await
}

/// Trades an identity token of the CI host for one of the workspace.
pub(super) async fn exchange(
    client: &reqwest::Client,
    settings: &Settings,
    endpoint: Url,
    id_token: &Secret,
) -> Result<Granted, Error> {
    let mut form = vec![
        ("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange"),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:jwt"),
        ("subject_token", id_token.expose()),
        ("scope", "all-apis"),
    ];
    if let Some(id) = &settings.client_id {
        form.push(("client_id", id));
    }
    let granted = grant(settings, || client.post(endpoint.clone()).form(&form)).await;
    granted.map_err(|error| match (error, super::oidc::claims(id_token)) {
        (Error::SignIn { host, method, reason }, Some(claims)) => {
            let reason = format!(
                "{reason}; the federation policy must allow issuer `{}`, subject `{}`, audience `{}`",
                claims.iss, claims.sub, claims.aud
            );
            Error::SignIn { host, method, reason }
        }
        (error, _) => error,
    })
}

pub(super) async fn grant(
    settings: &Settings,
    request: impl Fn() -> reqwest::RequestBuilder,
) -> Result<Granted, Error> {
    let text = send(settings, request).await?;
    let answer: TokenAnswer = serde_json::from_slice(&text)
        .map_err(|error| sign_in_error(settings, format!("read the token's answer: {error}")))?;
    Ok(Granted { token: answer.access_token, lifetime: answer.expires_in.map(Duration::from_secs) })
}

/// Sends a sign-in request, again when the server is busy. Errors keep the
/// server's words but never the request.
pub(super) async fn send(
    settings: &Settings,
    request: impl Fn() -> reqwest::RequestBuilder,
) -> Result<bytes::Bytes, Error> {
    let timed = || request().timeout(Duration::from_secs(30));
    // A grant has no effect that a second one would double.
    https::send(Class::Idempotent, ATTEMPTS, timed)
        .await
        .map_err(|refused| sign_in_error(settings, refused.to_string()))
}
