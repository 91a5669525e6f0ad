//! The Files API: volumes and the files of model versions.

use bytes::Bytes;
use reqwest::Method;
use serde::Deserialize;

use super::http::path as encoded;
use super::retry::Class;
use super::{Client, Error};

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
        #[derive(Deserialize)]
        struct Page {
            #[serde(default)]
            contents: Vec<DirectoryEntry>,
            next_page_token: Option<String>,
        }
        let mut entries = Vec::new();
        let mut token: Option<String> = None;
        loop {
            let route = format!("/api/2.0/fs/directories{}", encoded(path));
            let page: Page =
                self.http.get(route).query_opt("page_token", token.as_ref()).read().await?;
            entries.extend(page.contents);
            match page
                .next_page_token
                .filter(|next| !next.is_empty() && token.as_ref() != Some(next))
            {
                Some(next) => token = Some(next),
                None => return Ok(entries),
            }
        }
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
