//! From a statement's text to its rows.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock};

use arrow::datatypes::Schema;
use datafusion::config::Dialect;
use datafusion::execution::SessionState;
use datafusion::execution::context::SessionContext;
use datafusion::prelude::SessionConfig;
use datafusion::sql::parser::Statement as Parsed;
use datafusion::sql::sqlparser::ast::Statement;
use datafusion::sql::sqlparser::dialect::DatabricksDialect;
use datafusion::sql::sqlparser::parser::Parser;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};
use deltalake_core::delta_datafusion::create_session;
use serde_json::Value;

use super::catalog::Catalogs;
use super::parameters::{self, Given};
use super::{Statements, Table, catalog, ddl, dml, functions, render};
use crate::local::error::ApiFault;
use crate::local::{Shared, unity};
use crate::names::TableName;

/// Why a statement failed, in the service's terms.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Failure {
    pub(super) code: String,
    pub(super) message: String,
}

impl Failure {
    pub(super) fn new(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into() }
    }

    pub(super) fn unsupported(feature: &str) -> Self {
        Self::new("UNSUPPORTED_FEATURE", format!("the embedded workspace does not have {feature}"))
    }
}

impl From<datafusion::error::DataFusionError> for Failure {
    fn from(error: datafusion::error::DataFusionError) -> Self {
        let text = error.strip_backtrace();
        let missing = text.contains("not found")
            && (text.contains("table '")
                || text.contains("resolve catalog")
                || text.contains("resolve schema"));
        if missing {
            return Self::new(
                "TABLE_OR_VIEW_NOT_FOUND",
                format!("[TABLE_OR_VIEW_NOT_FOUND] {text}"),
            );
        }
        if text.contains("No field named") {
            return Self::new("UNRESOLVED_COLUMN", format!("[UNRESOLVED_COLUMN] {text}"));
        }
        Self::new("BAD_REQUEST", text)
    }
}

impl From<deltalake_core::DeltaTableError> for Failure {
    fn from(error: deltalake_core::DeltaTableError) -> Self {
        Self::new("DELTA_ERROR", error.to_string())
    }
}

impl From<arrow::error::ArrowError> for Failure {
    fn from(error: arrow::error::ArrowError) -> Self {
        Self::new("BAD_REQUEST", error.to_string())
    }
}

impl From<ApiFault> for Failure {
    fn from(fault: ApiFault) -> Self {
        let code = match fault.code {
            "RESOURCE_DOES_NOT_EXIST" => "TABLE_OR_VIEW_NOT_FOUND",
            "RESOURCE_ALREADY_EXISTS" => "TABLE_OR_VIEW_ALREADY_EXISTS",
            other => other,
        };
        Self::new(code, format!("[{code}] {}", fault.message))
    }
}

#[derive(Default)]
pub(crate) struct Engine {
    pub(super) statements: Statements,
    /// What sessions start from: to gather all functions takes longer than most statements.
    queries: OnceLock<SessionState>,
    writes: OnceLock<SessionContext>,
    /// One writer per table: statements queue instead of conflicting.
    writers: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").finish_non_exhaustive()
    }
}

impl Engine {
    fn queries(&self) -> SessionState {
        let make = || {
            let mut config = SessionConfig::new()
                .with_create_default_catalog_and_schema(false)
                .with_information_schema(true);
            let options = config.options_mut();
            options.sql_parser.dialect = Dialect::Databricks;
            // Names keep their case, as the service keeps it.
            options.sql_parser.enable_ident_normalization = false;
            options.execution.parquet.schema_force_view_types = false;
            options.execution.time_zone = Some("UTC".into());
            let context = SessionContext::new_with_config(config);
            context.register_udf(functions::UnixMillis::new().into());
            context.register_udaf(functions::ApproxCountDistinct::new().into());
            context.state()
        };
        self.queries.get_or_init(make).clone()
    }

    /// For operations on a table's log.
    pub(super) fn writes(&self) -> Arc<SessionState> {
        // Each operation has a time of its own, which it takes for now.
        Arc::new(self.writes.get_or_init(|| create_session().into_inner()).state())
    }

    pub(super) fn writer(&self, table: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut writers = self.writers.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        writers.entry(table.to_owned()).or_default().clone()
    }

    /// The columns in a table's Delta log, if it has one.
    pub(crate) async fn columns(&self, table: &unity::tables::Table) -> Option<Vec<Value>> {
        let delta = catalog::open(table).await.ok()?;
        let schema = dml::arrow_schema(&delta).ok()?;
        Some(
            schema
                .fields()
                .iter()
                .enumerate()
                .map(|(at, field)| render::column(field, at))
                .collect(),
        )
    }
}

/// The statements in a text. `USING DELTA` of a CREATE TABLE is taken out
/// first: the parser does not know it, and every table here is a Delta table.
pub(super) fn parse(text: &str) -> Result<Vec<Statement>, Failure> {
    let wrong =
        |error: String| Failure::new("PARSE_SYNTAX_ERROR", format!("[PARSE_SYNTAX_ERROR] {error}"));
    let dialect = DatabricksDialect {};
    let mut tokens = Tokenizer::new(&dialect, text)
        .tokenize_with_location()
        .map_err(|error| wrong(error.to_string()))?;
    let words: Vec<(usize, String)> = tokens
        .iter()
        .enumerate()
        .filter(|(_, token)| !matches!(token.token, Token::Whitespace(_)))
        .map(|(at, token)| (at, token.token.to_string().to_ascii_uppercase()))
        .collect();
    let has = |word: &str| words.iter().take(5).any(|(_, known)| known == word);
    if words.first().is_some_and(|(_, first)| first == "CREATE") && has("TABLE") {
        let query = words.iter().position(|(_, word)| word == "AS").unwrap_or(words.len());
        if let Some(at) = words[..query].iter().position(|(_, word)| word == "USING") {
            let format = words.get(at + 1).map(|(_, format)| format.as_str()).unwrap_or_default();
            if format != "DELTA" {
                return Err(Failure::unsupported(&format!("tables of the format {format}")));
            }
            tokens.drain(words[at].0..=words[at + 1].0);
        }
    }
    Parser::new(&dialect)
        .with_tokens_with_locations(tokens)
        .parse_statements()
        .map_err(|error| wrong(error.to_string()))
}

/// Where names that are not complete belong.
pub(super) struct Session {
    pub(super) workspace: Shared,
    pub(super) context: SessionContext,
    pub(super) catalog: String,
    pub(super) schema: String,
}

impl Session {
    fn new(workspace: &Shared, catalog: Option<String>, schema: Option<String>) -> Self {
        let catalog = catalog.unwrap_or_else(|| "main".into());
        let schema = schema.unwrap_or_else(|| "default".into());
        let mut state = workspace.sql.queries();
        let defaults = &mut state.config_mut().options_mut().catalog;
        defaults.default_catalog = catalog.clone();
        defaults.default_schema = schema.clone();
        let context = SessionContext::new_with_state(state);
        context.register_catalog_list(Arc::new(Catalogs(workspace.clone())));
        Self { workspace: workspace.clone(), context, catalog, schema }
    }

    pub(super) fn name(
        &self,
        name: &datafusion::sql::sqlparser::ast::ObjectName,
    ) -> Result<TableName, Failure> {
        let full = parameters::full_name(name, &self.catalog, &self.schema);
        full.parse().map_err(|error: crate::names::NameError| {
            Failure::new("PARSE_SYNTAX_ERROR", error.to_string())
        })
    }

    /// The rows of a query.
    pub(super) async fn query(&self, statement: Statement) -> Result<Table, Failure> {
        let plan =
            self.context.state().statement_to_plan(Parsed::Statement(Box::new(statement))).await?;
        let frame = self.context.execute_logical_plan(plan).await?;
        let schema: Schema = frame.schema().as_arrow().clone();
        let portable = render::portable_schema(&schema);
        let batches = render::portable(&portable, frame.collect().await?)?;
        Ok(Table::new(portable, batches))
    }
}

impl crate::local::Workspace {
    /// Runs one statement.
    pub(super) async fn run_sql(
        self: &Arc<Self>,
        text: &str,
        parameters: &[Given],
        catalog: Option<String>,
        schema: Option<String>,
    ) -> Result<Table, Failure> {
        let session = Session::new(self, catalog, schema);
        if let Some(result) = ddl::show(&session, text).await {
            return result;
        }
        let mut statements = parse(text)?;
        let (Some(mut statement), true) = (statements.pop(), statements.is_empty()) else {
            return Err(Failure::new(
                "PARSE_SYNTAX_ERROR",
                "[PARSE_SYNTAX_ERROR] one statement at a time",
            ));
        };
        parameters::bind(&mut statement, parameters)?;
        match statement {
            Statement::Query(_) => session.query(statement).await,
            Statement::Insert(insert) => dml::insert(&session, insert).await,
            Statement::Update(update) => dml::update(&session, update).await,
            Statement::Delete(delete) => dml::delete(&session, delete).await,
            Statement::Merge(merge) => dml::merge(&session, merge).await,
            Statement::CreateTable(create) => ddl::create_table(&session, create).await,
            Statement::CreateSchema { schema_name, if_not_exists, .. } => {
                ddl::create_schema(&session, &schema_name.to_string(), if_not_exists)
            }
            Statement::Drop { object_type, if_exists, names, .. } => {
                ddl::drop(&session, &object_type, if_exists, &names)
            }
            other => {
                let first: String =
                    other.to_string().split_whitespace().take(2).collect::<Vec<_>>().join(" ");
                Err(Failure::unsupported(&format!("the SQL statement `{first}`")))
            }
        }
    }
}
