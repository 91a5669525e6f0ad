//! SQL statements on a warehouse: values as parameters, results as Arrow.

use std::collections::BTreeMap;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::ipc::reader::StreamReader;
use reqwest::Method;
use serde::Deserialize;
use serde_json::json;

use super::{Client, Error};
pub use crate::record::statement::{Parameter, Statement};
use crate::sys::retry::Class;

/// A result of a few rows, as the service prints them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextRows {
    pub columns: Vec<String>,
    pub rows: Vec<Vec<Option<String>>>,
}

impl TextRows {
    /// The value of `column` in the first row.
    pub fn first(&self, column: &str) -> Option<&str> {
        let at = self.columns.iter().position(|name| name == column)?;
        self.rows.first()?.get(at)?.as_deref()
    }
}

#[derive(Debug, Deserialize)]
struct Answer {
    statement_id: String,
    status: Status,
    manifest: Option<Manifest>,
    result: Option<Chunk>,
}

#[derive(Debug, Deserialize)]
struct Status {
    state: String,
    error: Option<StatusError>,
}

#[derive(Debug, Deserialize)]
struct StatusError {
    #[serde(default)]
    error_code: String,
    #[serde(default)]
    message: String,
}

#[derive(Debug, Default, Deserialize)]
struct Manifest {
    #[serde(default)]
    schema: Schema,
    #[serde(default)]
    total_row_count: u64,
    #[serde(default)]
    truncated: bool,
}

#[derive(Debug, Default, Deserialize)]
struct Schema {
    #[serde(default)]
    columns: Vec<Column>,
}

#[derive(Debug, Deserialize)]
struct Column {
    name: String,
}

#[derive(Debug, Default, Deserialize)]
struct Chunk {
    data_array: Option<Vec<Vec<Option<String>>>>,
    #[serde(default)]
    external_links: Vec<Link>,
    next_chunk_index: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct Link {
    external_link: String,
    #[serde(default)]
    http_headers: BTreeMap<String, String>,
    chunk_index: u64,
    next_chunk_index: Option<u64>,
}

/// Links to one chunk that are tried.
const LINKS: u32 = 4;

/// How long a cold warehouse may take before the wait turns into polling.
const WAIT: &str = "30s";
const POLL: Duration = Duration::from_millis(500);

impl Client {
    /// Runs a statement and returns its rows as text: for small results and
    /// for statements that change something.
    ///
    /// A change whose answer is lost is not sent again; write such statements
    /// so that their effect can be looked up.
    pub async fn sql(&self, warehouse: &str, statement: &Statement) -> Result<TextRows, Error> {
        let answer = self.execute(warehouse, statement, "INLINE", "JSON_ARRAY").await?;
        let id = answer.statement_id;
        let manifest = answer.manifest.unwrap_or_default();
        let mut rows = Vec::new();
        let mut chunk = answer.result.unwrap_or_default();
        loop {
            rows.extend(chunk.data_array.unwrap_or_default());
            let Some(next) = chunk.next_chunk_index else { break };
            chunk = self.chunk(&id, next).await?;
        }
        check_count(&id, &manifest, rows.len() as u64)?;
        let columns = manifest.schema.columns.into_iter().map(|column| column.name).collect();
        Ok(TextRows { columns, rows })
    }

    /// Runs a query and returns its rows as Arrow, every chunk in order.
    pub async fn sql_arrow(
        &self,
        warehouse: &str,
        statement: &Statement,
    ) -> anyhow::Result<Vec<RecordBatch>> {
        let mut batches = Vec::new();
        let keep = |batch| {
            batches.push(batch);
            Ok(())
        };
        self.sql_arrow_each(warehouse, statement, keep).await?;
        Ok(batches)
    }

    /// Runs a query and hands on its rows as they arrive: no more than a chunk
    /// is held.
    pub async fn sql_arrow_each(
        &self,
        warehouse: &str,
        statement: &Statement,
        mut each: impl FnMut(RecordBatch) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let answer = self.execute(warehouse, statement, "EXTERNAL_LINKS", "ARROW_STREAM").await?;
        let id = answer.statement_id;
        let manifest = answer.manifest.unwrap_or_default();
        let mut rows = 0;
        let mut chunk = answer.result.unwrap_or_default();
        loop {
            let mut next = chunk.next_chunk_index;
            for link in chunk.external_links {
                next = link.next_chunk_index;
                let bytes = self.linked(&id, link).await?;
                for batch in stream(&id, &bytes)? {
                    let batch = batch.map_err(|error| broken(&id, &error))?;
                    rows += batch.num_rows() as u64;
                    each(batch)?;
                }
            }
            let Some(index) = next else { break };
            chunk = self.chunk(&id, index).await?;
        }
        check_count(&id, &manifest, rows)?;
        Ok(())
    }

    /// What is behind a link. Links are good for some minutes only: one that does
    /// not answer is asked for anew.
    async fn linked(&self, id: &str, mut link: Link) -> Result<bytes::Bytes, Error> {
        let mut attempt = 1;
        loop {
            let error = match self.http.fetch_signed(&link.external_link, &link.http_headers).await
            {
                Err(error @ Error::Transport { .. }) => error,
                fetched => return fetched,
            };
            attempt += 1;
            if attempt > LINKS {
                return Err(error);
            }
            tracing::debug!(attempt, %error, "asking for another link");
            self.http.pause(attempt).await;
            let fresh = self.chunk(id, link.chunk_index).await?.external_links;
            let fresh = fresh.into_iter().find(|fresh| fresh.chunk_index == link.chunk_index);
            link = fresh.ok_or(error)?;
        }
    }

    async fn chunk(&self, id: &str, index: u64) -> Result<Chunk, Error> {
        self.http.get(format!("/api/2.0/sql/statements/{id}/result/chunks/{index}")).read().await
    }

    async fn execute(
        &self,
        warehouse: &str,
        statement: &Statement,
        disposition: &str,
        format: &str,
    ) -> Result<Answer, Error> {
        // A query may be sent again; anything else may have taken effect.
        let first = statement.text.trim_start().get(..6).unwrap_or_default().to_ascii_uppercase();
        let class =
            if first == "SELECT" || first == "DESCRI" { Class::Idempotent } else { Class::Unkeyed };
        let body = json!({
            "warehouse_id": warehouse,
            "statement": statement.text,
            "parameters": statement.parameters,
            "disposition": disposition,
            "format": format,
            "wait_timeout": WAIT,
            "on_wait_timeout": "CONTINUE",
        });
        let call = self.http.call(Method::POST, "/api/2.0/sql/statements", class);
        let mut answer: Answer = call.json(&body)?.read().await?;
        while matches!(answer.status.state.as_str(), "PENDING" | "RUNNING") {
            tokio::time::sleep(POLL).await;
            answer = self
                .http
                .get(format!("/api/2.0/sql/statements/{}", answer.statement_id))
                .read()
                .await?;
        }
        if answer.status.state == "SUCCEEDED" {
            return Ok(answer);
        }
        // A failed statement is HTTP 200: only the state tells.
        let (code, message) = match answer.status.error {
            Some(error) => (error.error_code, error.message),
            None => (answer.status.state, "the statement did not succeed".to_owned()),
        };
        Err(Error::Statement { id: answer.statement_id, code, message })
    }
}

fn stream<'a>(id: &str, bytes: &'a [u8]) -> Result<StreamReader<&'a [u8]>, Error> {
    StreamReader::try_new(bytes, None).map_err(|error| broken(id, &error))
}

fn broken(id: &str, error: &arrow::error::ArrowError) -> Error {
    Error::Result {
        id: id.to_owned(),
        reason: format!("a chunk is not a whole Arrow stream: {error}"),
    }
}

fn check_count(id: &str, manifest: &Manifest, got: u64) -> Result<(), Error> {
    let fail = |reason: String| Err(Error::Result { id: id.to_owned(), reason });
    if manifest.truncated {
        return fail("the service cut the result".into());
    }
    if manifest.total_row_count != got {
        return fail(format!(
            "{got} rows came, the service announced {}",
            manifest.total_row_count
        ));
    }
    Ok(())
}
