//! The Files API: volumes, the files of model versions, MLflow's artifacts.

use std::collections::HashMap;
use std::path::PathBuf;

use axum::Json;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, LAST_MODIFIED, RANGE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, put};
use serde_json::{Value, json};

use super::error::{Answer, ApiFault};
use super::input::{Input, page_answer};
use super::{Shared, Workspace, paths};
use crate::sys::fs;

pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route("/api/2.0/fs/files/{*path}", get(read).put(write).delete(remove).head(head))
        .route(
            "/api/2.0/fs/directories/{*path}",
            put(make).get(list).delete(remove_folder).head(head_folder),
        )
}

impl Workspace {
    /// Where a path of the Files API lies on disk. Volumes must exist.
    pub(crate) fn file_path(&self, path: &str) -> Answer<PathBuf> {
        let path = paths::normal(&format!("/{path}"))?;
        match paths::parts(&path)?[..] {
            ["Volumes", catalog, schema, volume, ..] => {
                let name = format!("{catalog}.{schema}.{volume}");
                let known: Option<Value> = self.store.get("volume", &name)?;
                known
                    .ok_or_else(|| ApiFault::missing(format!("Volume '{name}' does not exist.")))?;
            }
            ["Models", _, _, _, _, ..] | ["WorkspaceInternal", "Mlflow", ..] => {}
            _ => {
                return Err(ApiFault::invalid(format!(
                    "Invalid path: {path} is not in a volume or a model"
                )));
            }
        }
        paths::below(&self.dir.join("files"), &path)
    }
}

fn missing(path: &str) -> ApiFault {
    ApiFault {
        code: "NOT_FOUND",
        ..ApiFault::missing(format!("The file being accessed is not found: /{path}"))
    }
}

async fn write(
    State(workspace): State<Shared>,
    Path(path): Path<String>,
    Query(query): Query<HashMap<String, String>>,
    body: Bytes,
) -> Answer<StatusCode> {
    let place = workspace.file_path(&path)?;
    let overwrite = query.get("overwrite").is_some_and(|flag| flag == "true");
    if place.is_dir() {
        return Err(ApiFault::exists(format!("/{path} is a folder")));
    }
    if place.exists() && !overwrite {
        return Err(ApiFault::exists(format!("The file being created already exists: /{path}")));
    }
    fs::write_atomic(&place, &body)?;
    Ok(StatusCode::NO_CONTENT)
}

/// What a reader learns of a file before its bytes.
fn file_headers(place: &std::path::Path, path: &str) -> Answer<(HeaderMap, u64)> {
    let meta =
        place.metadata().ok().filter(std::fs::Metadata::is_file).ok_or_else(|| missing(path))?;
    let modified = meta
        .modified()
        .ok()
        .and_then(|time| jiff::Timestamp::try_from(time).ok())
        .unwrap_or_default();
    let date = modified.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(
        LAST_MODIFIED,
        HeaderValue::from_str(&date).unwrap_or(HeaderValue::from_static("")),
    );
    Ok((headers, meta.len()))
}

async fn read(
    State(workspace): State<Shared>,
    Path(path): Path<String>,
    asked: HeaderMap,
) -> Answer<Response> {
    let place = workspace.file_path(&path)?;
    let (mut headers, length) = file_headers(&place, &path)?;
    let bytes = Bytes::from(fs::read(&place)?);
    let range = asked.get(RANGE).and_then(|range| byte_range(range.to_str().ok()?, length));
    let Some((start, end)) = range else { return Ok((headers, bytes).into_response()) };
    let shown = HeaderValue::from_str(&format!("bytes {start}-{end}/{length}"));
    headers.insert(CONTENT_RANGE, shown.unwrap_or(HeaderValue::from_static("")));
    let part = bytes.slice(usize::try_from(start).unwrap_or(0)..=usize::try_from(end).unwrap_or(0));
    Ok((StatusCode::PARTIAL_CONTENT, headers, part).into_response())
}

/// `bytes=a-b` or `bytes=a-`, as first and last byte of a file of `length`.
fn byte_range(text: &str, length: u64) -> Option<(u64, u64)> {
    let (start, end) = text.strip_prefix("bytes=")?.split_once('-')?;
    let start = start.parse().ok()?;
    let end = end.parse().unwrap_or(u64::MAX).min(length.checked_sub(1)?);
    (start <= end).then_some((start, end))
}

async fn head(State(workspace): State<Shared>, Path(path): Path<String>) -> Answer<Response> {
    let place = workspace.file_path(&path)?;
    let (mut headers, length) = file_headers(&place, &path)?;
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    Ok(headers.into_response())
}

async fn remove(State(workspace): State<Shared>, Path(path): Path<String>) -> Answer<StatusCode> {
    let place = workspace.file_path(&path)?;
    if !place.is_file() {
        return Err(missing(&path));
    }
    fs::remove(place)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn make(State(workspace): State<Shared>, Path(path): Path<String>) -> Answer<StatusCode> {
    fs::create_dir_all(workspace.file_path(&path)?)?;
    Ok(StatusCode::NO_CONTENT)
}

async fn head_folder(
    State(workspace): State<Shared>,
    Path(path): Path<String>,
) -> Answer<StatusCode> {
    let found = workspace.file_path(&path)?.is_dir();
    if found { Ok(StatusCode::OK) } else { Err(missing(&path)) }
}

async fn list(
    State(workspace): State<Shared>,
    Path(path): Path<String>,
    input: Input,
) -> Answer<Json<Value>> {
    let place = workspace.file_path(&path)?;
    let path = paths::normal(&format!("/{path}"))?;
    let mut entries = Vec::new();
    for (name, folder, size) in fs::entries(&place)?.ok_or_else(|| missing(&path))? {
        let mut entry =
            json!({ "path": format!("{path}/{name}"), "name": name, "is_directory": folder });
        if !folder {
            entry["file_size"] = json!(size);
        }
        entries.push(entry);
    }
    Ok(page_answer(&input, "contents", entries, "page_size", 1000))
}

async fn remove_folder(
    State(workspace): State<Shared>,
    Path(path): Path<String>,
) -> Answer<StatusCode> {
    let place = workspace.file_path(&path)?;
    let entries = fs::entries(&place)?.ok_or_else(|| missing(&path))?;
    if !entries.is_empty() {
        return Err(ApiFault::invalid(format!("The folder is not empty: /{path}")));
    }
    fs::remove(place)?;
    Ok(StatusCode::NO_CONTENT)
}

#[cfg(test)]
mod tests {
    use super::byte_range;

    #[test]
    fn a_range_stays_within_the_file() {
        assert_eq!(byte_range("bytes=0-3", 10), Some((0, 3)));
        assert_eq!(byte_range("bytes=4-", 10), Some((4, 9)));
        assert_eq!(byte_range("bytes=4-99", 10), Some((4, 9)));
        assert_eq!(byte_range("bytes=10-", 10), None);
        assert_eq!(byte_range("bytes=0-", 0), None);
        assert_eq!(byte_range("items=0-1", 10), None);
    }
}
