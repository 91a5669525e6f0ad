//! Permissions of workspace objects.

use reqwest::Method;
use serde_json::{Value, json};

use super::http::segment;
use super::{Client, Error};
use crate::sys::retry::Class;

impl Client {
    /// Replaces the direct permissions of an object: a list of principals with
    /// a `level` each, as bundles write them.
    pub async fn permissions_set(
        &self,
        kind: &str,
        id: &str,
        permissions: &Value,
    ) -> Result<(), Error> {
        let listed = permissions.as_array().into_iter().flatten();
        let entries: Vec<Value> = listed
            .map(|entry| {
                let mut fields = entry.as_object().cloned().unwrap_or_default();
                let level = fields.remove("level").unwrap_or(Value::Null);
                fields.insert("permission_level".into(), level);
                Value::Object(fields)
            })
            .collect();
        let route = format!("/api/2.0/permissions/{kind}/{}", segment(id));
        let call = self.http.call(Method::PUT, route, Class::Idempotent);
        call.json(&json!({ "access_control_list": entries }))?.done().await
    }
}
