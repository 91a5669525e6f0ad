//! Workspace files: folders, import, export.

use bytes::Bytes;
use reqwest::Method;
use serde::Deserialize;
use serde_json::json;

use super::http::path as encoded;
use super::{Client, Error};
use crate::sys::retry::Class;

#[derive(Debug, Clone, Deserialize)]
pub struct ObjectInfo {
    pub path: String,
    pub object_type: String,
    #[serde(default)]
    pub object_id: i64,
    /// Milliseconds since 1970; 0 when it is not told, as of many folders.
    #[serde(default)]
    pub modified_at: i64,
}

impl Client {
    /// Makes a folder and those above it.
    pub async fn workspace_mkdirs(&self, path: &str) -> Result<(), Error> {
        let call = self.http.call(Method::POST, "/api/2.0/workspace/mkdirs", Class::Idempotent);
        call.json(&json!({ "path": path }))?.done().await
    }

    /// Writes a file as it is. Without `overwrite` an existing one is an error,
    /// which makes the call a lock: it is not sent twice.
    pub async fn workspace_write(
        &self,
        path: &str,
        bytes: Bytes,
        overwrite: bool,
    ) -> Result<(), Error> {
        let class = if overwrite { Class::Idempotent } else { Class::Unkeyed };
        let route = format!(
            "/api/2.0/workspace-files/import-file/{}",
            encoded(path.trim_start_matches('/'))
        );
        self.http
            .call(Method::POST, route, class)
            .query("overwrite", overwrite)
            .bytes(bytes)
            .done()
            .await
    }

    /// The file's bytes, or nothing when there is no such file.
    pub async fn workspace_read(&self, path: &str) -> Result<Option<Bytes>, Error> {
        let call = self
            .http
            .get("/api/2.0/workspace/export")
            .query("path", path)
            .query("direct_download", true);
        match call.send().await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub async fn workspace_status(&self, path: &str) -> Result<Option<ObjectInfo>, Error> {
        match self.http.get("/api/2.0/workspace/get-status").query("path", path).read().await {
            Ok(info) => Ok(Some(info)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The bytes of a file, which may be larger than an export.
    pub async fn workspace_file(&self, path: &str) -> Result<Bytes, Error> {
        let route = format!("/api/2.0/workspace-files{}", encoded(path));
        self.http.get(route).send().await
    }

    /// What is in a folder; one that is not there has nothing in it.
    pub async fn workspace_list(&self, path: &str) -> Result<Vec<ObjectInfo>, Error> {
        #[derive(Deserialize)]
        struct Answer {
            #[serde(default)]
            objects: Vec<ObjectInfo>,
        }
        let call = self.http.get("/api/2.0/workspace/list").query("path", path);
        match call.read::<Answer>().await {
            Ok(answer) => Ok(answer.objects),
            Err(error) if error.is_not_found() => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// Deletes a file or folder; one that is not there is fine.
    pub async fn workspace_delete(&self, path: &str, recursive: bool) -> Result<(), Error> {
        let call = self.http.call(Method::POST, "/api/2.0/workspace/delete", Class::Idempotent);
        match call.json(&json!({ "path": path, "recursive": recursive }))?.done().await {
            Err(error) if error.is_not_found() => Ok(()),
            other => other,
        }
    }
}
