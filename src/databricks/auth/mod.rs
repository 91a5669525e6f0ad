//! Signing in: one [`Authenticator`] per client, whatever the method.
//!
//! A token is masked when it is minted, before it is used or stored. It is
//! replaced before it expires, and once more when the server refuses it.

mod azure;
mod oauth;
mod oidc;

use std::time::{Duration, Instant};

use tokio::sync::Mutex;

pub use oidc::Claims;

use super::Masker;
use super::error::Error;
use super::http::no_client;
use super::settings::{AuthType, Settings, address};
use crate::names::Secret;
use crate::sys::https;

/// A token is replaced this long before its end, or at half of a short life.
const EARLY: Duration = Duration::from_secs(20 * 60);
const LEAST_EARLY: Duration = Duration::from_secs(60);

pub(super) struct Authenticator {
    settings: Settings,
    masker: Masker,
    current: Mutex<Option<Minted>>,
}

impl std::fmt::Debug for Authenticator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authenticator")
            .field("method", &self.settings.auth.name())
            .finish_non_exhaustive()
    }
}

/// A minted token and what goes with it.
#[derive(Debug, Clone)]
struct Minted {
    token: Secret,
    /// Azure's second token, for workspaces that the caller is not a member of.
    management: Option<Secret>,
    replace_at: Option<Instant>,
}

/// What a token endpoint answers.
#[derive(Debug)]
struct Granted {
    token: Secret,
    lifetime: Option<Duration>,
}

impl Authenticator {
    pub(super) fn new(settings: Settings, masker: Masker) -> Self {
        Self { settings, masker, current: Mutex::new(None) }
    }

    /// The headers that prove who we are.
    pub(super) async fn headers(&self) -> Result<Vec<(&'static str, String)>, Error> {
        let minted = self.token().await?;
        let mut headers = vec![("authorization", format!("Bearer {}", minted.token.expose()))];
        if let Some(management) = minted.management {
            headers
                .push(("x-databricks-azure-sp-management-token", management.expose().to_owned()));
            if let Some(resource) = &self.settings.azure_resource_id {
                headers.push(("x-databricks-azure-workspace-resource-id", resource.clone()));
            }
        }
        Ok(headers)
    }

    /// Mints a new token. `false` when the method has only the one it was given.
    pub(super) async fn refresh(&self) -> Result<bool, Error> {
        if self.settings.auth == AuthType::Pat {
            return Ok(false);
        }
        let mut current = self.current.lock().await;
        *current = Some(self.mint().await?);
        Ok(true)
    }

    async fn token(&self) -> Result<Minted, Error> {
        let mut current = self.current.lock().await;
        let fresh = |minted: &Minted| minted.replace_at.is_none_or(|at| Instant::now() < at);
        if let Some(minted) = current.as_ref().filter(|minted| fresh(minted)) {
            return Ok(minted.clone());
        }
        let minted = self.mint().await?;
        *current = Some(minted.clone());
        Ok(minted)
    }

    pub(super) fn mask(&self, secret: &Secret) {
        (self.masker)(secret);
    }

    async fn mint(&self) -> Result<Minted, Error> {
        let settings = &self.settings;
        let mask = |secret: &Secret| self.mask(secret);
        let grant = match settings.auth {
            AuthType::Pat => Granted {
                token: self.required(settings.token.as_ref(), "a token")?.clone(),
                lifetime: None,
            },
            AuthType::OauthM2m => {
                let id = self.required(settings.client_id.as_ref(), "DATABRICKS_CLIENT_ID")?;
                let secret =
                    self.required(settings.client_secret.as_ref(), "DATABRICKS_CLIENT_SECRET")?;
                mask(secret);
                oauth::client_credentials(&client()?, settings, id, secret).await?
            }
            AuthType::GithubOidc
            | AuthType::AzureDevopsOidc
            | AuthType::EnvOidc
            | AuthType::FileOidc => {
                let client = client()?;
                let (endpoint, id_token) = self.identity(&client).await?;
                oauth::exchange(&client, settings, endpoint, &id_token).await?
            }
            AuthType::AzureClientSecret => {
                let secret = self.required(settings.client_secret.as_ref(), "ARM_CLIENT_SECRET")?;
                mask(secret);
                let (databricks, management) = azure::tokens(&client()?, settings).await?;
                mask(&databricks.token);
                mask(&management.token);
                return Ok(minted(databricks, Some(management.token)));
            }
        };
        mask(&grant.token);
        Ok(minted(grant, None))
    }

    /// What proves to the workspace which job this is, and where that is traded.
    async fn identity(&self, client: &reqwest::Client) -> Result<(reqwest::Url, Secret), Error> {
        let settings = &self.settings;
        let endpoint = oauth::token_endpoint(client, settings).await?;
        let audience = settings.token_audience.clone().unwrap_or_else(|| endpoint.to_string());
        let id_token = oidc::id_token(client, settings, &audience).await?;
        self.mask(&id_token);
        Ok((endpoint, id_token))
    }

    /// What the CI host vouches for, where it does; nothing is traded.
    pub(super) async fn presented(&self) -> Result<Option<Claims>, Error> {
        if !self.settings.auth.is_federated() {
            return Ok(None);
        }
        let client = client()?;
        let (_, id_token) = self.identity(&client).await?;
        let claims = oidc::claims(&id_token);
        claims.map(Some).ok_or_else(|| {
            sign_in_error(
                &self.settings,
                "the identity token tells no issuer, subject and audience",
            )
        })
    }

    fn required<'a, T>(&self, value: Option<&'a T>, name: &str) -> Result<&'a T, Error> {
        value.ok_or_else(|| sign_in_error(&self.settings, format!("{name} is not set")))
    }
}

fn client() -> Result<reqwest::Client, Error> {
    https::client().map_err(|error| no_client(&error))
}

fn minted(grant: Granted, management: Option<Secret>) -> Minted {
    let replace_at = grant.lifetime.map(|lifetime| {
        let early = (lifetime / 2).min(EARLY).max(LEAST_EARLY.min(lifetime));
        Instant::now() + lifetime.saturating_sub(early)
    });
    Minted { token: grant.token, management, replace_at }
}

fn sign_in_error(settings: &Settings, reason: impl Into<String>) -> Error {
    Error::SignIn {
        host: address(&settings.host),
        method: settings.auth.name(),
        reason: reason.into(),
    }
}
