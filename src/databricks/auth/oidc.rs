//! Identity tokens of CI hosts: proof of which workflow is running.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::Value;

use super::{oauth, sign_in_error};
use crate::databricks::error::Error;
use crate::databricks::settings::{AuthType, Settings};
use crate::names::Secret;
use crate::sys::fs;

/// What a federation policy looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    pub iss: String,
    pub sub: String,
    pub aud: String,
}

/// Asks the CI host who we are, for `audience`.
pub(super) async fn id_token(
    client: &reqwest::Client,
    settings: &Settings,
    audience: &str,
) -> Result<Secret, Error> {
    match settings.auth {
        AuthType::GithubOidc => github(client, settings, audience).await,
        AuthType::AzureDevopsOidc => azure_devops(client, settings).await,
        AuthType::FileOidc => {
            let path = variable(settings, "DATABRICKS_OIDC_TOKEN_FILEPATH")?;
            let text = fs::read_text(path)
                .map_err(|error| sign_in_error(settings, format!("{error:#}")))?;
            Ok(Secret::new(text.trim()))
        }
        _ => {
            let name =
                settings.env.get("DATABRICKS_OIDC_TOKEN_ENV").unwrap_or("DATABRICKS_OIDC_TOKEN");
            variable(settings, name).map(Secret::new)
        }
    }
}

/// `permissions: id-token: write` makes GitHub set these two variables.
async fn github(
    client: &reqwest::Client,
    settings: &Settings,
    audience: &str,
) -> Result<Secret, Error> {
    let url = variable(settings, "ACTIONS_ID_TOKEN_REQUEST_URL")?;
    let token = variable(settings, "ACTIONS_ID_TOKEN_REQUEST_TOKEN")?;
    #[derive(Deserialize)]
    struct Answer {
        value: Secret,
    }
    let text = oauth::send(settings, || {
        client.get(url).query(&[("audience", audience)]).bearer_auth(token)
    })
    .await?;
    let answer: Answer = serde_json::from_slice(&text).map_err(|error| {
        sign_in_error(settings, format!("read GitHub's identity token: {error}"))
    })?;
    Ok(answer.value)
}

/// Azure DevOps issues a token for the running job; its audience is fixed.
async fn azure_devops(client: &reqwest::Client, settings: &Settings) -> Result<Secret, Error> {
    let part = |name| variable(settings, name);
    let token = settings.env.get("SYSTEM_ACCESSTOKEN").ok_or_else(|| {
        sign_in_error(settings, "SYSTEM_ACCESSTOKEN is not set: map it in the step, `env: {SYSTEM_ACCESSTOKEN: $(System.AccessToken)}`")
    })?;
    // With it, the token is about the connection and not about the pipeline.
    let connection = settings.env.get("LAKEGATE_SERVICE_CONNECTION");
    let asked: Vec<_> = connection.into_iter().map(|id| ("serviceConnectionId", id)).collect();
    let url = format!(
        "{}/{}/_apis/distributedtask/hubs/{}/plans/{}/jobs/{}/oidctoken?api-version=7.2-preview.1",
        part("SYSTEM_TEAMFOUNDATIONCOLLECTIONURI")?.trim_end_matches('/'),
        part("SYSTEM_TEAMPROJECTID")?,
        part("SYSTEM_HOSTTYPE")?,
        part("SYSTEM_PLANID")?,
        part("SYSTEM_JOBID")?,
    );
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Answer {
        oidc_token: Secret,
    }
    let request = || {
        let post = client.post(&url).query(&asked).bearer_auth(token);
        let post = post.header("content-type", "application/json");
        // Without this header a refused call is redirected to a login page.
        post.header("x-tfs-fedauthredirect", "Suppress").header("content-length", "0")
    };
    let text = oauth::send(settings, request).await?;
    let answer: Answer = serde_json::from_slice(&text).map_err(|error| {
        sign_in_error(settings, format!("read Azure DevOps' identity token: {error}"))
    })?;
    Ok(answer.oidc_token)
}

fn variable<'a>(settings: &'a Settings, name: &str) -> Result<&'a str, Error> {
    settings.env.get(name).ok_or_else(|| {
        let help = if name.starts_with("ACTIONS_ID_TOKEN") {
            "; the job needs `permissions: id-token: write`"
        } else {
            ""
        };
        sign_in_error(settings, format!("{name} is not set{help}"))
    })
}

/// The claims of a token, unverified: to be told only.
pub(super) fn claims(token: &Secret) -> Option<Claims> {
    let payload = token.expose().split('.').nth(1)?;
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
    let text = |name: &str| match claims.get(name)? {
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    };
    Some(Claims { iss: text("iss")?, sub: text("sub")?, aud: text("aud")? })
}
