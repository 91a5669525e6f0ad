//! Microsoft Entra service principals with a client secret.

use super::oauth::grant;
use super::{Granted, sign_in_error};
use crate::databricks::error::Error;
use crate::databricks::settings::Settings;

/// Entra's application id of Azure Databricks, the same in every tenant.
const DATABRICKS: &str = "2ff814a6-3304-4ab8-85cb-cd0e6f879c1d";
const MANAGEMENT: &str = "https://management.core.windows.net/";

/// A token for the workspace and one for Azure's management plane, which lets
/// a principal in that is not yet a member of the workspace.
pub(super) async fn tokens(
    client: &reqwest::Client,
    settings: &Settings,
) -> Result<(Granted, Granted), Error> {
    let missing = |name: &str| sign_in_error(settings, format!("{name} is not set"));
    let tenant = settings.azure_tenant_id.as_deref().ok_or_else(|| missing("ARM_TENANT_ID"))?;
    let id = settings.client_id.as_deref().ok_or_else(|| missing("ARM_CLIENT_ID"))?;
    let secret = settings.client_secret.as_ref().ok_or_else(|| missing("ARM_CLIENT_SECRET"))?;
    let url =
        format!("{}/{}/oauth2/token", settings.azure_login, crate::sys::https::segment(tenant));
    let form = |resource: &'static str| {
        vec![
            ("grant_type", "client_credentials"),
            ("client_id", id),
            ("client_secret", secret.expose()),
            ("resource", resource),
        ]
    };
    let databricks = grant(settings, || client.post(&url).form(&form(DATABRICKS))).await?;
    let management = grant(settings, || client.post(&url).form(&form(MANAGEMENT))).await?;
    Ok((databricks, management))
}
