//! Where the workspace is and how to sign in: explicit values, then the
//! environment, then a profile, as the official tools do it.

use std::path::PathBuf;

use reqwest::Url;

use super::error::Error;
use super::profile::{self, Profile};
use crate::names::Secret;
use crate::sys::{Env, fs, https};

/// A way to sign in, under its official name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthType {
    Pat,
    OauthM2m,
    GithubOidc,
    AzureDevopsOidc,
    EnvOidc,
    FileOidc,
    AzureClientSecret,
}

const AUTH_TYPES: [(&str, AuthType); 7] = [
    ("pat", AuthType::Pat),
    ("oauth-m2m", AuthType::OauthM2m),
    ("github-oidc", AuthType::GithubOidc),
    ("azure-devops-oidc", AuthType::AzureDevopsOidc),
    ("env-oidc", AuthType::EnvOidc),
    ("file-oidc", AuthType::FileOidc),
    ("azure-client-secret", AuthType::AzureClientSecret),
];

impl AuthType {
    /// Whether a token of somebody else is traded for one of the workspace.
    pub(super) fn is_federated(self) -> bool {
        matches!(self, Self::GithubOidc | Self::AzureDevopsOidc | Self::EnvOidc | Self::FileOidc)
    }

    pub fn name(self) -> &'static str {
        AUTH_TYPES.iter().find(|(_, known)| *known == self).map_or("", |(name, _)| name)
    }
}

/// Everything that is needed to reach a workspace and to sign in.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `https://…`, without a path; plain `http` for loopback only.
    pub host: Url,
    pub auth: AuthType,
    pub token: Option<Secret>,
    pub client_id: Option<String>,
    pub client_secret: Option<Secret>,
    pub token_audience: Option<String>,
    pub azure_tenant_id: Option<String>,
    pub azure_resource_id: Option<String>,
    /// Where Azure's login is; only tests point it elsewhere.
    pub azure_login: String,
    /// The environment that OIDC providers read their own variables from.
    pub env: Env,
}

/// The address of no workspace.
pub(super) const NOWHERE: &str = "https://no-workspace.invalid";

impl Settings {
    /// Resolves the settings. `host` is an explicit choice and wins.
    ///
    /// # Errors
    /// When nothing names a workspace, the address is not safe to send a token
    /// to, or no way (or more than one) to sign in is configured.
    pub fn resolve(env: &Env, host: Option<&str>) -> Result<Self, Error> {
        let profile = Self::profile(env)?;
        let look_up = |variable: &str, key: &str| {
            let from_env = env.get(variable).map(str::to_owned);
            from_env.or_else(|| profile.get(key).cloned()).filter(|value| !value.is_empty())
        };
        let host = host.map(str::to_owned).or_else(|| look_up("DATABRICKS_HOST", "host")).ok_or_else(|| {
            Error::Settings(
                "no workspace is configured: set DATABRICKS_HOST (or a profile in `.databrickscfg`), or run with --local for the embedded workspace".into(),
            )
        })?;
        let mut settings = Self {
            host: safe_host(&host)?,
            auth: AuthType::Pat,
            token: look_up("DATABRICKS_TOKEN", "token").map(Secret::new),
            client_id: look_up("DATABRICKS_CLIENT_ID", "client_id"),
            client_secret: look_up("DATABRICKS_CLIENT_SECRET", "client_secret").map(Secret::new),
            token_audience: look_up("DATABRICKS_TOKEN_AUDIENCE", "audience"),
            azure_tenant_id: look_up("ARM_TENANT_ID", "azure_tenant_id"),
            azure_resource_id: look_up(
                "DATABRICKS_AZURE_RESOURCE_ID",
                "azure_workspace_resource_id",
            ),
            azure_login: "https://login.microsoftonline.com".into(),
            env: env.clone(),
        };
        let forced = look_up("DATABRICKS_AUTH_TYPE", "auth_type");
        let azure_client = look_up("ARM_CLIENT_ID", "azure_client_id");
        let azure_secret = look_up("ARM_CLIENT_SECRET", "azure_client_secret").map(Secret::new);
        settings.auth = settings
            .choose_auth(forced.as_deref(), azure_client.is_some() && azure_secret.is_some())?;
        if settings.auth == AuthType::AzureClientSecret {
            settings.client_id = azure_client;
            settings.client_secret = azure_secret;
        }
        Ok(settings)
    }

    /// Settings for work that calls no workspace; a call would find nobody.
    pub fn nowhere(env: &Env) -> Result<Self, Error> {
        let mut settings = Self::loopback(NOWHERE, &Secret::new("none"))?;
        settings.env = env.clone();
        Ok(settings)
    }

    /// Settings for a workspace on this machine.
    pub fn loopback(host: &str, token: &Secret) -> Result<Self, Error> {
        let env = Env::from([
            ("DATABRICKS_TOKEN", token.expose()),
            ("DATABRICKS_CONFIG_FILE", "/dev/null"),
        ]);
        Self::resolve(&env, Some(host))
    }

    fn profile(env: &Env) -> Result<Profile, Error> {
        let configured = ["DATABRICKS_HOST", "DATABRICKS_TOKEN", "DATABRICKS_CLIENT_ID"];
        let named = env.get("DATABRICKS_CONFIG_PROFILE");
        // The file is not read when the environment already tells the way.
        if named.is_none() && configured.iter().any(|name| env.get(name).is_some()) {
            return Ok(Profile::new());
        }
        let default = || {
            Some(PathBuf::from(env.get("HOME").or(env.get("USERPROFILE"))?).join(".databrickscfg"))
        };
        let Some(path) = env.get("DATABRICKS_CONFIG_FILE").map(PathBuf::from).or_else(default)
        else {
            return Ok(Profile::new());
        };
        let text = fs::read_text_if_exists(&path)
            .map_err(|error| Error::Settings(format!("{error:#}")))?;
        let text = text.unwrap_or_default();
        match (profile::find(&text, named), named) {
            (Some(profile), _) => Ok(profile),
            (None, None) => Ok(Profile::new()),
            (None, Some(name)) => Err(Error::Settings(format!(
                "`{}` has no profile `{name}` (it has: {})",
                path.display(),
                profile::names(&text).join(", ")
            ))),
        }
    }

    fn choose_auth(&self, forced: Option<&str>, azure: bool) -> Result<AuthType, Error> {
        if let Some(name) = forced {
            let known = AUTH_TYPES.iter().find(|(known, _)| *known == name);
            return known.map(|(_, auth)| *auth).ok_or_else(|| {
                let names: Vec<_> = AUTH_TYPES.iter().map(|(name, _)| *name).collect();
                Error::Settings(format!(
                    "auth type `{name}` is not supported (known: {})",
                    names.join(", ")
                ))
            });
        }
        if self.token.is_some() && self.client_secret.is_some() {
            return Err(Error::Settings(
                "more than one way to sign in is configured (a token and a client secret): keep one, or set DATABRICKS_AUTH_TYPE".into(),
            ));
        }
        let has = |name| self.env.get(name).is_some();
        let candidates = [
            (self.token.is_some(), AuthType::Pat),
            (self.client_id.is_some() && self.client_secret.is_some(), AuthType::OauthM2m),
            (self.client_id.is_some() && has("ACTIONS_ID_TOKEN_REQUEST_URL"), AuthType::GithubOidc),
            (self.client_id.is_some() && has("SYSTEM_ACCESSTOKEN"), AuthType::AzureDevopsOidc),
            (self.client_id.is_some() && has("DATABRICKS_OIDC_TOKEN"), AuthType::EnvOidc),
            (self.client_id.is_some() && has("DATABRICKS_OIDC_TOKEN_FILEPATH"), AuthType::FileOidc),
            (azure, AuthType::AzureClientSecret),
        ];
        candidates.into_iter().find(|(configured, _)| *configured).map(|(_, auth)| auth).ok_or_else(|| {
            Error::Settings(format!(
                "no way to sign in to `{}` is configured: set DATABRICKS_CLIENT_ID with `id-token: write` on GitHub or SYSTEM_ACCESSTOKEN on Azure DevOps (workload identity), DATABRICKS_CLIENT_ID and DATABRICKS_CLIENT_SECRET, or DATABRICKS_TOKEN",
                address(&self.host)
            ))
        })
    }
}

/// `https://host` without the trailing slash that URLs print.
pub(super) fn address(host: &Url) -> String {
    host.as_str().trim_end_matches('/').to_owned()
}

/// The address to talk to: HTTPS, or a loopback address.
pub(super) fn safe_host(text: &str) -> Result<Url, Error> {
    let full = if text.contains("://") { text.to_owned() } else { format!("https://{text}") };
    let mut url = Url::parse(&full)
        .map_err(|error| Error::Settings(format!("host `{text}` is not an address: {error}")))?;
    if !https::keeps_tokens(&url) {
        return Err(Error::Settings(format!(
            "host `{text}` must use https: a token would travel in the open"
        )));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(Error::Settings("the host must not hold a user name or password".into()));
    }
    url.set_path("");
    url.set_query(None);
    url.set_fragment(None);
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> Env {
        let mut env = Env::from([("DATABRICKS_CONFIG_FILE", "/nonexistent")]);
        for (name, value) in pairs {
            env.set(*name, *value);
        }
        env
    }

    fn refusal(pairs: &[(&str, &str)]) -> String {
        Settings::resolve(&env(pairs), None).unwrap_err().to_string()
    }

    #[test]
    fn an_explicit_host_wins_and_loses_its_path() {
        let env = env(&[("DATABRICKS_HOST", "https://env.test"), ("DATABRICKS_TOKEN", "x")]);
        let settings = Settings::resolve(&env, Some("given.test/?o=1")).unwrap();
        assert_eq!(address(&settings.host), "https://given.test");
    }

    #[test]
    fn plain_http_is_for_loopback_only() {
        for (host, fine) in [
            ("http://127.0.0.1:8080", true),
            ("http://localhost:1", true),
            ("http://[::1]:1", true),
            ("http://adb-1.azuredatabricks.net", false),
            ("http://127.0.0.1.evil.test", false),
            ("ftp://127.0.0.1", false),
            ("https://user:pw@a.test", false),
        ] {
            assert_eq!(safe_host(host).is_ok(), fine, "{host}");
        }
    }

    #[test]
    fn the_first_configured_way_is_taken() {
        let host = ("DATABRICKS_HOST", "https://a.test");
        for (pairs, expected) in [
            (vec![host, ("DATABRICKS_TOKEN", "x")], AuthType::Pat),
            (
                vec![host, ("DATABRICKS_CLIENT_ID", "a"), ("DATABRICKS_CLIENT_SECRET", "b")],
                AuthType::OauthM2m,
            ),
            (
                vec![host, ("DATABRICKS_CLIENT_ID", "a"), ("ACTIONS_ID_TOKEN_REQUEST_URL", "u")],
                AuthType::GithubOidc,
            ),
            (
                vec![host, ("DATABRICKS_CLIENT_ID", "a"), ("SYSTEM_ACCESSTOKEN", "u")],
                AuthType::AzureDevopsOidc,
            ),
            (
                vec![host, ("ARM_CLIENT_ID", "a"), ("ARM_CLIENT_SECRET", "u")],
                AuthType::AzureClientSecret,
            ),
            (
                vec![host, ("DATABRICKS_TOKEN", "x"), ("DATABRICKS_AUTH_TYPE", "file-oidc")],
                AuthType::FileOidc,
            ),
        ] {
            assert_eq!(Settings::resolve(&env(&pairs), None).unwrap().auth, expected);
        }
    }

    #[test]
    fn refusals_say_what_to_set() {
        let host = ("DATABRICKS_HOST", "https://a.test");
        assert!(refusal(&[]).contains("DATABRICKS_HOST"));
        assert!(refusal(&[host]).contains("DATABRICKS_CLIENT_ID"));
        assert!(
            refusal(&[host, ("DATABRICKS_TOKEN", "a"), ("DATABRICKS_CLIENT_SECRET", "b")])
                .contains("more than one")
        );
        assert!(refusal(&[host, ("DATABRICKS_AUTH_TYPE", "magic")]).contains("oauth-m2m"));
    }

    #[test]
    fn a_profile_fills_what_the_environment_leaves_open() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("cfg");
        fs::write_atomic(
            &file,
            "[DEFAULT]\nhost=https://d.test\ntoken=t\n[ci]\nhost=https://c.test\ntoken=u\n",
        )
        .unwrap();
        let mut env = Env::from([("DATABRICKS_CONFIG_FILE", file.to_str().unwrap())]);
        assert_eq!(address(&Settings::resolve(&env, None).unwrap().host), "https://d.test");
        env.set("DATABRICKS_CONFIG_PROFILE", "ci");
        assert_eq!(address(&Settings::resolve(&env, None).unwrap().host), "https://c.test");
        env.set("DATABRICKS_CONFIG_PROFILE", "prod");
        assert!(Settings::resolve(&env, None).unwrap_err().to_string().contains("DEFAULT, ci"));
    }
}
