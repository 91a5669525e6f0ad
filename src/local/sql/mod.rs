//! SQL statements, as the statement execution API runs them.
//!
//! A statement is PENDING, then RUNNING, then over; a failed one is HTTP 200
//! with state FAILED. Results stay in memory for an hour, as text inline or as
//! Arrow streams behind signed links, in chunks.

mod catalog;
mod ddl;
mod dml;
mod engine;
mod functions;
mod parameters;
mod render;

pub(crate) use engine::Engine;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::http::header::HOST;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::error::{Answer, ApiFault};
use super::input::Input;
use super::{Shared, WAREHOUSE};
use parameters::Given;

/// Where the signed links lead.
pub(super) const LINKS: &str = "/__lakegate/results/";

/// How long a result can be fetched.
const KEPT: Duration = Duration::from_secs(3600);
const INLINE_ROWS: usize = 10_000;
const ARROW_ROWS: usize = 65_536;
/// The service aborts inline results above this size.
const INLINE_BYTES: usize = 25 << 20;

#[derive(Debug, Clone, Deserialize)]
struct Request {
    warehouse_id: String,
    statement: String,
    #[serde(default)]
    parameters: Vec<Given>,
    catalog: Option<String>,
    schema: Option<String>,
    #[serde(default)]
    wait_timeout: Option<String>,
    #[serde(default)]
    on_wait_timeout: Option<String>,
    #[serde(default)]
    disposition: Option<String>,
    #[serde(default)]
    format: Option<String>,
    row_limit: Option<usize>,
}

#[derive(Debug, Clone)]
enum Progress {
    Pending,
    Running,
    Succeeded(Arc<Table>),
    Failed { code: String, message: String },
    Canceled,
}

impl Progress {
    fn name(&self) -> &'static str {
        match self {
            Self::Pending => "PENDING",
            Self::Running => "RUNNING",
            Self::Succeeded(_) => "SUCCEEDED",
            Self::Failed { .. } => "FAILED",
            Self::Canceled => "CANCELED",
        }
    }

    fn is_over(&self) -> bool {
        !matches!(self, Self::Pending | Self::Running)
    }
}

/// A statement's rows.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    pub(crate) schema: arrow::datatypes::SchemaRef,
    pub(crate) batches: Vec<RecordBatch>,
    truncated: bool,
}

impl Table {
    pub(crate) fn new(schema: arrow::datatypes::SchemaRef, batches: Vec<RecordBatch>) -> Self {
        Self { schema, batches, truncated: false }
    }

    fn rows(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }
}

#[derive(Debug)]
struct Statement {
    progress: watch::Receiver<Progress>,
    cancel: Arc<tokio::sync::Notify>,
    external: bool,
    arrow: bool,
    /// What makes a link to a chunk unguessable.
    signature: String,
    started: Instant,
}

/// The statements that can still be asked for.
#[derive(Debug, Default)]
pub(crate) struct Statements(Mutex<HashMap<String, Arc<Statement>>>);

impl Statements {
    fn find(&self, id: &str) -> Answer<Arc<Statement>> {
        let statements = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        statements
            .get(id)
            .cloned()
            .ok_or_else(|| ApiFault::missing(format!("The statement {id} was not found.")))
    }

    fn add(&self, id: &str, statement: Arc<Statement>) {
        let mut statements = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        statements
            .retain(|_, old| old.started.elapsed() < KEPT || !old.progress.borrow().is_over());
        statements.insert(id.to_owned(), statement);
    }
}

pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route("/api/2.0/sql/warehouses", get(warehouses))
        .route("/api/2.0/sql/warehouses/{id}", get(warehouse))
        .route("/api/2.0/sql/statements", post(execute))
        .route("/api/2.0/sql/statements/{id}", get(poll))
        .route("/api/2.0/sql/statements/{id}/cancel", post(cancel))
        .route("/api/2.0/sql/statements/{id}/result/chunks/{index}", get(chunk))
}

/// Signed links work without a token, and only there.
pub(crate) fn open_routes() -> Router<Shared> {
    Router::new().route(&format!("{LINKS}{{id}}/{{index}}/{{signature}}"), get(fetch))
}

fn own_warehouse() -> Value {
    json!({ "id": WAREHOUSE, "name": "Embedded", "state": "RUNNING", "warehouse_type": "PRO", "cluster_size": "2X-Small", "enable_serverless_compute": true })
}

async fn warehouses() -> Json<Value> {
    Json(json!({ "warehouses": [own_warehouse()] }))
}

async fn warehouse(Path(id): Path<String>) -> Answer<Json<Value>> {
    if id == WAREHOUSE {
        return Ok(Json(own_warehouse()));
    }
    Err(ApiFault::missing(format!(
        "SQL warehouse {id} does not exist (the embedded one is `{WAREHOUSE}`)"
    )))
}

fn wait_of(request: &Request) -> Answer<Duration> {
    let text = request.wait_timeout.as_deref().unwrap_or("10s");
    let seconds = text.strip_suffix('s').and_then(|seconds| seconds.parse::<u64>().ok());
    match seconds {
        Some(0) => Ok(Duration::ZERO),
        Some(seconds @ 5..=50) => Ok(Duration::from_secs(seconds)),
        _ => Err(ApiFault::invalid("wait_timeout must be 0s, or between 5s and 50s")),
    }
}

async fn execute(
    State(workspace): State<Shared>,
    headers: HeaderMap,
    input: Input,
) -> Answer<Json<Value>> {
    let request: Request = input.typed()?;
    if request.warehouse_id != WAREHOUSE {
        return Err(ApiFault::missing(format!(
            "SQL warehouse {} does not exist",
            request.warehouse_id
        )));
    }
    let external = match request.disposition.as_deref() {
        None | Some("INLINE") => false,
        Some("EXTERNAL_LINKS") => true,
        Some(other) => return Err(ApiFault::invalid(format!("disposition {other} is not known"))),
    };
    let arrow = match request.format.as_deref() {
        None | Some("JSON_ARRAY") => false,
        Some("ARROW_STREAM") if external => true,
        Some("ARROW_STREAM") => {
            return Err(ApiFault::invalid("ARROW_STREAM needs the disposition EXTERNAL_LINKS"));
        }
        Some(other) => return Err(ApiFault::unsupported(format!("results of format {other}"))),
    };
    let wait = wait_of(&request)?;
    let cancel_late = request.on_wait_timeout.as_deref() == Some("CANCEL");
    let id = uuid::Uuid::new_v4().to_string();
    let (sender, mut progress) = watch::channel(Progress::Pending);
    let statement = Arc::new(Statement {
        progress: progress.clone(),
        cancel: Arc::new(tokio::sync::Notify::new()),
        external,
        arrow,
        signature: uuid::Uuid::new_v4().simple().to_string(),
        started: Instant::now(),
    });
    workspace.sql.statements.add(&id, statement.clone());
    tokio::spawn(run(workspace.clone(), request, sender, statement.cancel.clone()));
    let late = tokio::time::timeout(wait, progress.wait_for(Progress::is_over)).await.is_err();
    if late && cancel_late {
        statement.cancel.notify_one();
        progress.wait_for(Progress::is_over).await.ok();
    }
    answer(&id, &statement, &headers).map(Json)
}

async fn run(
    workspace: Shared,
    request: Request,
    progress: watch::Sender<Progress>,
    cancelled: Arc<tokio::sync::Notify>,
) {
    progress.send_replace(Progress::Running);
    let work =
        workspace.run_sql(&request.statement, &request.parameters, request.catalog, request.schema);
    let result = tokio::select! {
        result = work => result,
        () = cancelled.notified() => {
            progress.send_replace(Progress::Canceled);
            return;
        }
    };
    progress.send_replace(match result {
        Ok(mut table) => {
            limit(&mut table, request.row_limit);
            Progress::Succeeded(Arc::new(table))
        }
        Err(failure) => Progress::Failed { code: failure.code, message: failure.message },
    });
}

fn limit(table: &mut Table, rows: Option<usize>) {
    let Some(mut left) = rows.filter(|rows| *rows < table.rows()) else { return };
    table.truncated = true;
    table.batches.retain_mut(|batch| {
        *batch = batch.slice(0, left.min(batch.num_rows()));
        left -= batch.num_rows();
        batch.num_rows() > 0
    });
}

async fn poll(
    State(workspace): State<Shared>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Answer<Json<Value>> {
    answer(&id, &*workspace.sql.statements.find(&id)?, &headers).map(Json)
}

async fn cancel(State(workspace): State<Shared>, Path(id): Path<String>) -> Answer<Json<Value>> {
    workspace.sql.statements.find(&id)?.cancel.notify_one();
    Ok(Json(json!({})))
}

fn answer(id: &str, statement: &Statement, headers: &HeaderMap) -> Answer<Value> {
    let progress = statement.progress.borrow().clone();
    let mut answer = json!({ "statement_id": id, "status": { "state": progress.name() } });
    match &progress {
        Progress::Failed { code, message } => {
            answer["status"]["error"] = json!({ "error_code": code, "message": message });
        }
        Progress::Succeeded(table) => match result(id, statement, table, 0, headers) {
            Ok(first) => {
                answer["manifest"] = manifest(statement, table);
                answer["result"] = first;
            }
            Err(fault) => {
                answer["status"] = json!({ "state": "FAILED", "error": { "error_code": "BAD_REQUEST", "message": fault.message } });
            }
        },
        _ => {}
    }
    Ok(answer)
}

fn chunk_rows(statement: &Statement) -> usize {
    if statement.external { ARROW_ROWS } else { INLINE_ROWS }
}

fn chunk_count(statement: &Statement, table: &Table) -> usize {
    table.rows().div_ceil(chunk_rows(statement)).max(1)
}

fn manifest(statement: &Statement, table: &Table) -> Value {
    let rows = table.rows();
    let size = chunk_rows(statement);
    let chunks: Vec<_> = (0..chunk_count(statement, table))
        .map(|index| {
            let offset = index * size;
            json!({ "chunk_index": index, "row_offset": offset, "row_count": (rows - offset).min(size) })
        })
        .collect();
    json!({
        "format": if statement.arrow { "ARROW_STREAM" } else { "JSON_ARRAY" },
        "schema": render::schema(&table.schema),
        "total_chunk_count": chunks.len(),
        "chunks": chunks,
        "total_row_count": rows,
        "truncated": table.truncated,
    })
}

/// One chunk as the API shows it: rows inline, or a link to them.
fn result(
    id: &str,
    statement: &Statement,
    table: &Table,
    index: usize,
    headers: &HeaderMap,
) -> Answer<Value> {
    let count = chunk_count(statement, table);
    if index >= count {
        return Err(ApiFault::invalid(format!(
            "The result has {count} chunks; there is no chunk {index}"
        )));
    }
    let size = chunk_rows(statement);
    let offset = index * size;
    let rows = (table.rows() - offset).min(size);
    let mut shown = json!({ "chunk_index": index, "row_offset": offset, "row_count": rows });
    let next = (index + 1 < count).then(|| {
        json!({
            "next_chunk_index": index + 1,
            "next_chunk_internal_link": format!("/api/2.0/sql/statements/{id}/result/chunks/{}", index + 1),
        })
    });
    if statement.external {
        let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        let expires = crate::sys::clock::now() + jiff::SignedDuration::from_mins(15);
        let mut link = shown.clone();
        link["external_link"] =
            json!(format!("http://{host}{LINKS}{id}/{index}/{}", statement.signature));
        link["expiration"] = json!(expires.to_string());
        extend(&mut link, next.as_ref());
        return Ok(json!({ "external_links": [link] }));
    }
    let rows = render::text_rows(&slice(table, offset, rows))?;
    let bytes: usize = rows.iter().flatten().flatten().map(String::len).sum();
    if bytes > INLINE_BYTES {
        return Err(ApiFault::invalid(
            "Inline byte limit exceeded. Use the disposition EXTERNAL_LINKS",
        ));
    }
    shown["data_array"] = json!(rows);
    extend(&mut shown, next.as_ref());
    Ok(shown)
}

fn extend(object: &mut Value, more: Option<&Value>) {
    for (name, value) in more.and_then(Value::as_object).into_iter().flatten() {
        object[name] = value.clone();
    }
}

/// `rows` rows from `offset`, without copying the values.
fn slice(table: &Table, offset: usize, rows: usize) -> Table {
    let (mut skip, mut left) = (offset, rows);
    let mut batches = Vec::new();
    for batch in &table.batches {
        let start = skip.min(batch.num_rows());
        skip -= start;
        let take = left.min(batch.num_rows() - start);
        if take > 0 {
            batches.push(batch.slice(start, take));
            left -= take;
        }
    }
    Table::new(table.schema.clone(), batches)
}

fn finished(statement: &Statement) -> Answer<Arc<Table>> {
    match &*statement.progress.borrow() {
        Progress::Succeeded(table) => Ok(table.clone()),
        other => Err(ApiFault::state(format!("The statement is {}", other.name()))),
    }
}

async fn chunk(
    State(workspace): State<Shared>,
    headers: HeaderMap,
    Path((id, index)): Path<(String, usize)>,
) -> Answer<Json<Value>> {
    let statement = workspace.sql.statements.find(&id)?;
    result(&id, &statement, &*finished(&statement)?, index, &headers).map(Json)
}

async fn fetch(
    State(workspace): State<Shared>,
    headers: HeaderMap,
    Path((id, index, signature)): Path<(String, usize, String)>,
) -> Answer<Bytes> {
    let statement = workspace.sql.statements.find(&id)?;
    // Storage refuses a request that carries both a signature and a token.
    if headers.contains_key(axum::http::header::AUTHORIZATION) {
        return Err(ApiFault::invalid(
            "a signed link must be fetched without the Authorization header",
        ));
    }
    if signature != statement.signature {
        return Err(ApiFault::missing("the link is not valid"));
    }
    let table = finished(&statement)?;
    let part = slice(&table, index * ARROW_ROWS, ARROW_ROWS);
    if statement.arrow {
        render::arrow_stream(&part)
    } else {
        Ok(json!(render::text_rows(&part)?).to_string().into())
    }
}
