//! One concrete client of the Databricks REST API.
//!
//! There is no trait to put a double behind: the embedded workspace speaks the
//! same wire, so tests and users share this code. One file per API; what all
//! of them need (retries, deadlines, decoding) is in [`http`].

mod auth;
pub mod credentials;
mod definitions;
mod error;
pub mod files;
mod http;
pub mod jobs;
mod lookup;
pub mod mlflow;
mod model_digest;
mod monitor_fields;
pub mod monitors;
mod profile;
pub mod serving;
mod settings;
pub mod sql;
pub mod unity;
pub mod workspace;

pub use auth::Claims;
pub use error::{ApiError, Error};
pub use settings::{AuthType, Settings};

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::names::Secret;

/// Called with every token before its first use.
pub type Masker = Arc<dyn Fn(&Secret) + Send + Sync>;

/// A connection to one workspace. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Client {
    http: http::Http,
}

impl Client {
    /// A client for the workspace that `settings` name. No call is made yet.
    pub fn new(settings: &Settings, masker: Masker) -> Result<Self, Error> {
        Ok(Self { http: http::Http::new(settings, masker)? })
    }

    /// The same client, with every call bounded by one common deadline.
    #[must_use]
    pub fn with_deadline(&self, budget: Duration) -> Self {
        Self { http: self.http.with_deadline(Instant::now() + budget) }
    }

    /// The workspace's address, without a trailing slash.
    pub fn host(&self) -> &str {
        self.http.host()
    }

    /// Whether no workspace was configured.
    pub fn is_nowhere(&self) -> bool {
        self.http.host() == settings::NOWHERE
    }

    /// Refuses a workspace that the repository names but the caller did not:
    /// a merge request could point it at a host that collects tokens.
    pub fn confirm_host(&self, named_by: &str, named: &str) -> Result<(), Error> {
        let named = settings::address(&settings::safe_host(named)?);
        if named == self.host() {
            return Ok(());
        }
        Err(Error::Settings(format!(
            "{named_by} names the workspace `{named}`, but the caller configured `{}`: no token was sent there",
            self.host()
        )))
    }

    /// What the CI host says of this job to whoever lets it in, where it does.
    pub async fn presented(&self) -> Result<Option<Claims>, Error> {
        self.http.presented().await
    }

    /// Who the token belongs to.
    pub async fn me(&self) -> Result<Me, Error> {
        self.http.get("/api/2.0/preview/scim/v2/Me").read().await
    }

    /// The groups that a user is in, by their names; none where there is no such user, or
    /// where the caller is no admin, who is told nothing of them.
    pub async fn groups_of(&self, user_name: &str) -> Result<Vec<String>, Error> {
        #[derive(serde::Deserialize)]
        struct Found {
            #[serde(default, rename = "userName")]
            user_name: String,
            #[serde(default)]
            groups: Vec<Group>,
        }
        #[derive(serde::Deserialize)]
        struct Group {
            #[serde(default)]
            display: String,
        }
        let call = self.http.get("/api/2.0/preview/scim/v2/Users");
        let call = call.query("filter", lookup::equals("userName", user_name));
        let found: Vec<Found> = call.read_all("Resources").await?;
        let own = found.into_iter().filter(|one| one.user_name.eq_ignore_ascii_case(user_name));
        Ok(own.flat_map(|one| one.groups).map(|group| group.display).collect())
    }
}

/// The calling identity, as SCIM tells it.
#[derive(Debug, Clone, serde::Deserialize)]
pub struct Me {
    pub id: String,
    #[serde(rename = "userName")]
    pub user_name: String,
}

impl Me {
    /// `anna` of `anna@example.test`: what development prefixes use.
    pub fn short_name(&self) -> String {
        let local = self.user_name.split('@').next().unwrap_or_default();
        local.chars().map(|char| if char.is_ascii_alphanumeric() { char } else { '_' }).collect()
    }
}

#[cfg(test)]
mod tests;
