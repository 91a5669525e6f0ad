//! What a deployment defines and never runs: pipelines, dashboards, monitors, grants.
//! Settings travel as they are.

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Client, Error};
use crate::sys::https::segment;
use crate::sys::retry::Class;

/// Nothing where the service knows no such thing.
pub(super) fn found(answer: Result<Value, Error>) -> Result<Option<Value>, Error> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

pub(super) fn gone(answer: Result<(), Error>) -> Result<(), Error> {
    match answer {
        Err(error) if error.is_not_found() => Ok(()),
        other => other,
    }
}

fn pipeline(id: &str) -> String {
    format!("/api/2.0/pipelines/{}", segment(id))
}

fn dashboard(id: &str) -> String {
    format!("/api/2.0/lakeview/dashboards/{}", segment(id))
}

fn monitor(table: &str) -> String {
    format!("/api/2.1/unity-catalog/tables/{}/monitor", segment(table))
}

impl Client {
    pub async fn pipeline_get(&self, id: &str) -> Result<Option<Value>, Error> {
        found(self.http.get(pipeline(id)).read().await)
    }

    pub async fn pipelines(&self) -> Result<Vec<Value>, Error> {
        self.http.get("/api/2.0/pipelines").read_all("statuses").await
    }

    pub async fn pipeline_create(&self, settings: &Value) -> Result<String, Error> {
        #[derive(Deserialize)]
        struct Answer {
            pipeline_id: String,
        }
        let call = self.http.call(Method::POST, "/api/2.0/pipelines", Class::Unkeyed);
        Ok(call.json(settings)?.read::<Answer>().await?.pipeline_id)
    }

    pub async fn pipeline_replace(&self, id: &str, settings: &Value) -> Result<(), Error> {
        let call = self.http.call(Method::PUT, pipeline(id), Class::Idempotent);
        call.json(settings)?.done().await
    }

    pub async fn pipeline_delete(&self, id: &str) -> Result<(), Error> {
        gone(self.http.call(Method::DELETE, pipeline(id), Class::Idempotent).done().await)
    }

    pub async fn dashboard_get(&self, id: &str) -> Result<Option<Value>, Error> {
        found(self.http.get(dashboard(id)).read().await)
    }

    pub async fn dashboards(&self) -> Result<Vec<Value>, Error> {
        self.http.get("/api/2.0/lakeview/dashboards").read_all("dashboards").await
    }

    pub async fn dashboard_create(&self, settings: &Value) -> Result<Value, Error> {
        let call = self.http.call(Method::POST, "/api/2.0/lakeview/dashboards", Class::Unkeyed);
        call.json(settings)?.read().await
    }

    pub async fn dashboard_update(&self, id: &str, settings: &Value) -> Result<Value, Error> {
        let call = self.http.call(Method::PATCH, dashboard(id), Class::Idempotent);
        call.json(settings)?.read().await
    }

    pub async fn dashboard_publish(&self, id: &str, settings: &Value) -> Result<(), Error> {
        let route = format!("{}/published", dashboard(id));
        self.http.call(Method::POST, route, Class::Idempotent).json(settings)?.done().await
    }

    pub async fn dashboard_delete(&self, id: &str) -> Result<(), Error> {
        gone(self.http.call(Method::DELETE, dashboard(id), Class::Idempotent).done().await)
    }

    /// The monitor of a table, in the older form that bundles describe.
    pub async fn quality_monitor_get(&self, table: &str) -> Result<Option<Value>, Error> {
        found(self.http.get(monitor(table)).read().await)
    }

    pub async fn quality_monitor_put(
        &self,
        table: &str,
        settings: &Value,
        is_new: bool,
    ) -> Result<(), Error> {
        let (method, class) =
            if is_new { (Method::POST, Class::Unkeyed) } else { (Method::PUT, Class::Idempotent) };
        self.http.call(method, monitor(table), class).json(settings)?.done().await
    }

    pub async fn quality_monitor_delete(&self, table: &str) -> Result<(), Error> {
        gone(self.http.call(Method::DELETE, monitor(table), Class::Idempotent).done().await)
    }

    /// The direct permissions at `/jobs/1` and its like.
    pub async fn permissions_get(&self, object: &str) -> Result<Option<Value>, Error> {
        found(self.http.get(format!("/api/2.0/permissions{object}")).read().await)
    }

    /// Replaces them. Entries have a `level` each, as bundles write them.
    pub async fn permissions_put(&self, object: &str, list: &[Value]) -> Result<(), Error> {
        let entries: Vec<Value> = list
            .iter()
            .map(|entry| {
                let mut fields = entry.as_object().cloned().unwrap_or_default();
                let level = fields.remove("level").unwrap_or(Value::Null);
                fields.insert("permission_level".into(), level);
                Value::Object(fields)
            })
            .collect();
        let route = format!("/api/2.0/permissions{object}");
        let call = self.http.call(Method::PUT, route, Class::Idempotent);
        gone(call.json(&json!({ "access_control_list": entries }))?.done().await)
    }

    /// The grants of a securable, by `schema/main.flights` and its like.
    pub async fn grants_get(&self, id: &str) -> Result<Option<Value>, Error> {
        found(self.http.get(grants(id)).read().await)
    }

    pub async fn grants_change(&self, id: &str, changes: &[Value]) -> Result<(), Error> {
        let call = self.http.call(Method::PATCH, grants(id), Class::Idempotent);
        call.json(&json!({ "changes": changes }))?.done().await
    }
}

fn grants(id: &str) -> String {
    let (kind, name) = id.split_once('/').unwrap_or(("", id));
    format!("/api/2.1/unity-catalog/permissions/{}/{}", segment(kind), segment(name))
}
