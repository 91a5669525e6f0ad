//! Where the files of a Delta table lie, and how they are reached.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use delta_kernel::object_store::ObjectStore;
use delta_kernel::object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use delta_kernel_engine::storage::store_from_url;
use url::{Host, Url};

use crate::databricks::credentials::{AzureAccess, TableCredentials};
use crate::names::TableName;
use crate::report::Fault;

/// A folder, here or on Azure storage.
pub(super) struct Storage {
    /// As people know it.
    pub(super) name: String,
    pub(super) url: Url,
    pub(super) store: Arc<dyn ObjectStore>,
}

impl Storage {
    pub(super) fn folder(path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        let full = crate::sys::fs::canonicalize(path)?;
        let url = Url::from_directory_path(&full)
            .ok()
            .with_context(|| format!("`{name}` is no folder"))?;
        let store = store_from_url(&url).with_context(|| format!("open `{name}`"))?;
        Ok(Self { name, url, store })
    }

    /// The files of a table of the catalog. `endpoint` stands for Azure's own
    /// address of the account: a private endpoint, or an emulator.
    pub(super) fn granted(
        table: &TableName,
        granted: &TableCredentials,
        endpoint: Option<&str>,
    ) -> Result<Self> {
        // The embedded workspace keeps its tables in folders.
        let path = granted.url.strip_prefix("file://").unwrap_or(&granted.url);
        if path.starts_with('/') {
            return Ok(Self { name: table.to_string(), ..Self::folder(Path::new(path))? });
        }
        let Some(access) = granted.azure() else {
            let message = format!("the files of `{table}` are at `{}`", granted.url);
            let fault = Fault::usage(format!("{message}, which is not on Azure storage"));
            return Err(fault.hint("use `engine: exact`, which reads through a warehouse").into());
        };
        let mut url: Url = granted
            .url
            .parse()
            .with_context(|| format!("the catalog says that `{table}` is at `{}`", granted.url))?;
        let mut builder = MicrosoftAzureBuilder::new().with_url(url.as_str());
        builder = match access {
            AzureAccess::Signature(sas) => {
                builder.with_config(AzureConfigKey::SasKey, sas.expose())
            }
            AzureAccess::Token(token) => builder.with_bearer_token_authorization(token.expose()),
        };
        if let Some(endpoint) = endpoint {
            let is_loopback = safe(endpoint)?;
            builder = builder.with_endpoint(endpoint.to_owned()).with_allow_http(is_loopback);
        }
        let store = builder.build().with_context(|| format!("reach the files of `{table}`"))?;
        if !url.path().ends_with('/') {
            url.set_path(&format!("{}/", url.path()));
        }
        Ok(Self { name: table.to_string(), url, store: Arc::new(store) })
    }
}

/// Whether an endpoint is this machine; others must be encrypted.
fn safe(endpoint: &str) -> Result<bool, Fault> {
    let refuse = |why: String| Err(Fault::usage(format!("AZURE_STORAGE_ENDPOINT: {why}")));
    let url: Url = match endpoint.parse() {
        Ok(url) => url,
        Err(error) => return refuse(format!("`{endpoint}` is no address: {error}")),
    };
    let is_loopback = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    if url.scheme() != "https" && !is_loopback {
        return refuse(format!("`{endpoint}` is not encrypted: https is needed"));
    }
    Ok(is_loopback)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn granted(json: &str) -> Result<Storage> {
        let granted: TableCredentials = serde_json::from_str(json).unwrap();
        Storage::granted(&"a.b.c".parse().unwrap(), &granted, None)
    }

    #[test]
    fn tables_on_azure_are_reached_by_what_was_granted() {
        let place = r#""url": "abfss://lake@account.dfs.core.windows.net/tables/c""#;
        let sas = r#""azure_user_delegation_sas": {"sas_token": "sv=2024-01-01&sig=abc%3D"}"#;
        let found = granted(&format!("{{{place}, {sas}}}")).unwrap();
        assert_eq!(found.url.as_str(), "abfss://lake@account.dfs.core.windows.net/tables/c/");
        assert_eq!(found.name, "a.b.c");
        let told = format!("{:?}", found.store);
        assert!(told.contains("account"), "{told}");
        let token = r#""azure_aad": {"aad_token": "eyJ"}"#;
        assert!(granted(&format!("{{{place}, {token}}}")).is_ok());
    }

    #[test]
    fn other_clouds_and_odd_places_are_refused() {
        for (json, words) in [
            (r#"{"url": "s3://bucket/c"}"#, "not on Azure storage"),
            (
                r#"{"url": "abfss://lake@evil.example/c", "azure_aad": {"aad_token": "t"}}"#,
                "reach the files of `a.b.c`",
            ),
        ] {
            let error = granted(json).err().unwrap();
            assert!(error.to_string().contains(words), "{error:#}");
        }
    }

    #[test]
    fn an_endpoint_is_encrypted_or_here() {
        assert!(!safe("https://account.privatelink.blob.core.windows.net").unwrap());
        assert!(safe("http://127.0.0.1:10000/account").unwrap());
        assert!(safe("http://account.example").unwrap_err().message.contains("https"));
        assert!(safe("not an address").is_err());
    }
}
