//! Credentials that Unity Catalog hands out for a table's files.

use reqwest::Method;
use serde::Deserialize;
use serde_json::json;

use super::{Client, Error};
use crate::names::Secret;
use crate::sys::retry::Class;

/// A way to a table's files, for about an hour.
#[derive(Debug, Clone, Deserialize)]
pub struct TableCredentials {
    /// Where the files are: `abfss://container@account.dfs.core.windows.net/path`.
    pub url: String,
    azure_user_delegation_sas: Option<SharedAccess>,
    azure_aad: Option<DirectoryToken>,
}

#[derive(Debug, Clone, Deserialize)]
struct SharedAccess {
    sas_token: Secret,
}

#[derive(Debug, Clone, Deserialize)]
struct DirectoryToken {
    aad_token: Secret,
}

/// What Azure storage is shown.
#[derive(Debug, Clone, Copy)]
pub enum AzureAccess<'a> {
    /// The query of a shared access signature.
    Signature(&'a Secret),
    /// A token of Microsoft Entra.
    Token(&'a Secret),
}

impl TableCredentials {
    /// Nothing when the files are not on Azure.
    pub fn azure(&self) -> Option<AzureAccess<'_>> {
        let signature = self
            .azure_user_delegation_sas
            .as_ref()
            .map(|sas| AzureAccess::Signature(&sas.sas_token));
        signature.or_else(|| self.azure_aad.as_ref().map(|aad| AzureAccess::Token(&aad.aad_token)))
    }
}

impl Client {
    /// Credentials to read a table's files, masked as every token is.
    pub async fn table_credentials(&self, table_id: &str) -> Result<TableCredentials, Error> {
        const ROUTE: &str = "/api/2.0/unity-catalog/temporary-table-credentials";
        let call = self.http.call(Method::POST, ROUTE, Class::Idempotent);
        let asked = json!({ "table_id": table_id, "operation": "READ" });
        let found: TableCredentials = call.json(&asked)?.read().await?;
        if let Some(AzureAccess::Signature(secret) | AzureAccess::Token(secret)) = found.azure() {
            self.http.mask(secret);
        }
        Ok(found)
    }
}
