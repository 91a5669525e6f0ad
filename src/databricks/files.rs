//! The Files API: volumes and the files of model versions.

use bytes::Bytes;
use reqwest::Method;
use serde::Deserialize;

use super::http::path as encoded;
use super::{Client, Error};
use crate::sys::retry::Class;

#[derive(Debug, Clone, Deserialize)]
pub struct DirectoryEntry {
    pub path: String,
    #[serde(default)]
    pub is_directory: bool,
    #[serde(default)]
    pub file_size: u64,
}

impl Client {
    pub async fn file_read(&self, path: &str) -> Result<Bytes, Error> {
        self.http.get(format!("/api/2.0/fs/files{}", encoded(path))).send().await
    }

    pub async fn file_write(&self, path: &str, bytes: Bytes) -> Result<(), Error> {
        let call = self.http.call(
            Method::PUT,
            format!("/api/2.0/fs/files{}", encoded(path)),
            Class::Idempotent,
        );
        call.query("overwrite", true).bytes(bytes).done().await
    }

    /// The entries of one folder, all pages.
    pub async fn directory_list(&self, path: &str) -> Result<Vec<DirectoryEntry>, Error> {
        self.http
            .get(format!("/api/2.0/fs/directories{}", encoded(path)))
            .read_all("contents")
            .await
    }

    /// Every file below a folder.
    pub async fn files_below(&self, path: &str) -> Result<Vec<DirectoryEntry>, Error> {
        let mut folders = vec![path.to_owned()];
        let mut files = Vec::new();
        while let Some(folder) = folders.pop() {
            for entry in self.directory_list(&folder).await? {
                if entry.is_directory {
                    folders.push(entry.path);
                } else {
                    files.push(entry);
                }
            }
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(files)
    }
}
