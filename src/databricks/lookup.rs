//! The ids of things that are known by their names.

use serde_json::Value;

use super::{Client, Error};
use crate::bundle::Looked;

impl Client {
    /// The ids of everything of this kind and name: one, if the name is good.
    pub async fn look_up(&self, kind: Looked, name: &str) -> Result<Vec<String>, Error> {
        let (path, list, named, id) = place(kind);
        let mut call = self.http.get(path);
        if kind == Looked::ServicePrincipal {
            // This list does not go by page tokens.
            call = call.query("filter", equals("displayName", name));
        }
        let all: Vec<Value> = call.read_all(list).await?;
        // Clusters of jobs and pipelines come and go, by any name.
        let is_lasting = |one: &Value| {
            kind != Looked::Cluster || matches!(one["cluster_source"].as_str(), Some("API" | "UI"))
        };
        let is_named = |one: &&Value| {
            one.pointer(named).and_then(Value::as_str) == Some(name) && is_lasting(one)
        };
        let ids = all.iter().filter(is_named).filter_map(|one| match one.get(id)? {
            Value::String(text) => Some(text.clone()),
            number => Some(number.to_string()),
        });
        Ok(ids.collect())
    }
}

/// A filter of the identity lists.
pub(super) fn equals(attribute: &str, value: &str) -> String {
    let quoted = value.replace('\\', "\\\\").replace('"', "\\\"");
    format!("{attribute} eq \"{quoted}\"")
}

/// Where they are listed: the path, the list's field, where the name stands in an
/// item, and its id.
fn place(kind: Looked) -> (&'static str, &'static str, &'static str, &'static str) {
    match kind {
        Looked::Alert => ("/api/2.0/sql/alerts", "results", "/display_name", "id"),
        Looked::Cluster => ("/api/2.1/clusters/list", "clusters", "/cluster_name", "cluster_id"),
        Looked::ClusterPolicy => {
            ("/api/2.0/policies/clusters/list", "policies", "/name", "policy_id")
        }
        Looked::Dashboard => {
            ("/api/2.0/lakeview/dashboards", "dashboards", "/display_name", "dashboard_id")
        }
        Looked::InstancePool => (
            "/api/2.0/instance-pools/list",
            "instance_pools",
            "/instance_pool_name",
            "instance_pool_id",
        ),
        Looked::Job => ("/api/2.2/jobs/list", "jobs", "/settings/name", "job_id"),
        Looked::Metastore => {
            ("/api/2.1/unity-catalog/metastores", "metastores", "/name", "metastore_id")
        }
        Looked::NotificationDestination => {
            ("/api/2.0/notification-destinations", "results", "/display_name", "id")
        }
        Looked::Pipeline => ("/api/2.0/pipelines", "statuses", "/name", "pipeline_id"),
        Looked::Query => ("/api/2.0/sql/queries", "results", "/display_name", "id"),
        Looked::ServicePrincipal => (
            "/api/2.0/preview/scim/v2/ServicePrincipals",
            "Resources",
            "/displayName",
            "applicationId",
        ),
        Looked::Warehouse => ("/api/2.0/sql/warehouses", "warehouses", "/name", "id"),
    }
}
