//! Statements that change rows: each is one commit to the table's Delta log.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, new_null_array};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::DFSchema;
use datafusion::logical_expr::Expr;
use datafusion::sql::sqlparser::ast::{
    Assignment, AssignmentTarget, Delete, Expr as SqlExpr, ExprWithAlias, FromTable, Insert, Merge,
    MergeAction, MergeClause, MergeClauseKind, MergeInsertKind, Query, Statement, TableFactor,
    TableObject, Update,
};
use datafusion::sql::sqlparser::dialect::DatabricksDialect;
use datafusion::sql::sqlparser::parser::Parser;
use deltalake_core::DeltaTable;
use deltalake_core::operations::merge::{InsertBuilder, MergeBuilder, UpdateBuilder};
use deltalake_core::protocol::SaveMode;

use super::engine::{Failure, Session};
use super::{Table, catalog};
use crate::names::TableName;

/// Counts as the service answers them.
fn counts<const N: usize>(values: [(&str, usize); N]) -> Result<Table, Failure> {
    let fields = values.map(|(name, _)| Field::new(name, DataType::Int64, true));
    let schema = Arc::new(Schema::new(fields.to_vec()));
    let columns = values.map(|(_, count)| {
        Arc::new(Int64Array::from(vec![i64::try_from(count).unwrap_or(i64::MAX)])) as ArrayRef
    });
    Ok(Table::new(schema.clone(), vec![RecordBatch::try_new(schema, columns.to_vec())?]))
}

pub(super) fn arrow_schema(delta: &DeltaTable) -> Result<SchemaRef, Failure> {
    Ok(super::render::portable_schema(&delta.snapshot()?.snapshot().arrow_schema()))
}

async fn open(session: &Session, name: &TableName) -> Result<DeltaTable, Failure> {
    catalog::open(&session.workspace.table(name)?).await
}

pub(super) async fn insert(session: &Session, insert: Insert) -> Result<Table, Failure> {
    let TableObject::TableName(name) = &insert.table else {
        return Err(Failure::unsupported("INSERT into a function"));
    };
    let name = session.name(name)?;
    let source = insert
        .source
        .ok_or_else(|| Failure::new("PARSE_SYNTAX_ERROR", "INSERT needs VALUES or a query"))?;
    let rows = session.query(Statement::Query(source)).await?;
    let named: Vec<_> =
        insert.columns.iter().map(|column| column.to_string().replace('`', "")).collect();
    let table = session.workspace.table(&name)?;
    let target = arrow_schema(&catalog::open(&table).await?)?;
    let batches = fit(&target, &named, &rows)?;
    let count = batches.iter().map(RecordBatch::num_rows).sum();
    let mode = if insert.overwrite { SaveMode::Overwrite } else { SaveMode::Append };
    append(session, &table, batches, mode).await?;
    counts([("num_affected_rows", count), ("num_inserted_rows", count)])
}

/// Writes batches that already have the table's columns.
pub(super) async fn append(
    session: &Session,
    table: &crate::local::unity::tables::Table,
    batches: Vec<RecordBatch>,
    mode: SaveMode,
) -> Result<(), Failure> {
    let queue = session.workspace.sql.writer(&table.full_name);
    let _turn = queue.lock().await;
    if batches.iter().all(|batch| batch.num_rows() == 0) && mode == SaveMode::Append {
        return Ok(());
    }
    let write = catalog::open(table).await?.write(batches).with_save_mode(mode);
    write.with_session_state(session.workspace.sql.writes()).await?;
    Ok(())
}

/// The rows in the table's columns and types; columns not named are null.
fn fit(target: &SchemaRef, named: &[String], rows: &Table) -> Result<Vec<RecordBatch>, Failure> {
    let given: Vec<&str> = if named.is_empty() {
        target.fields().iter().map(|field| field.name().as_str()).collect()
    } else {
        named.iter().map(String::as_str).collect()
    };
    if given.len() != rows.schema.fields().len() {
        let (wanted, got) = (given.len(), rows.schema.fields().len());
        return Err(Failure::new(
            "INSERT_COLUMN_ARITY_MISMATCH",
            format!("{wanted} columns are to be filled, the query gives {got}"),
        ));
    }
    if let Some(unknown) = given.iter().find(|name| target.field_with_name(name).is_err()) {
        return Err(Failure::new(
            "UNRESOLVED_COLUMN",
            format!("[UNRESOLVED_COLUMN] the table has no column `{unknown}`"),
        ));
    }
    let strict = CastOptions { safe: false, ..CastOptions::default() };
    let convert = |batch: &RecordBatch| -> Result<RecordBatch, Failure> {
        let columns = target.fields().iter().map(|field| {
            match given.iter().position(|name| name == field.name()) {
                Some(at) => cast_with_options(batch.column(at), field.data_type(), &strict),
                None => Ok(new_null_array(field.data_type(), batch.num_rows())),
            }
        });
        Ok(RecordBatch::try_new(target.clone(), columns.collect::<Result<_, _>>()?)?)
    };
    rows.batches.iter().map(convert).collect()
}

/// The table of a clause that may name one only.
fn single(session: &Session, factor: &TableFactor) -> Result<(TableName, Option<String>), Failure> {
    match factor {
        TableFactor::Table { name, alias, .. } => {
            Ok((session.name(name)?, alias.as_ref().map(|alias| alias.name.value.clone())))
        }
        other => Err(Failure::unsupported(&format!("changes to `{other}`"))),
    }
}

fn logical(session: &Session, expr: SqlExpr, schema: &DFSchema) -> Result<Expr, Failure> {
    Ok(session
        .context
        .state()
        .create_logical_expr_from_sql_expr(ExprWithAlias { expr, alias: None }, schema)?)
}

/// The table's columns under the name that the statement gives it.
fn qualified(delta: &DeltaTable, qualifier: &str) -> Result<DFSchema, Failure> {
    Ok(DFSchema::try_from_qualified_schema(qualifier, arrow_schema(delta)?.as_ref())?)
}

/// Removes the qualifier from every column of an expression.
fn unqualified(expr: Expr) -> Result<Expr, Failure> {
    use datafusion::common::tree_node::{Transformed, TreeNode as _};
    let plain = expr.transform(|node| {
        Ok(match node {
            Expr::Column(column) => Transformed::yes(Expr::Column(
                datafusion::common::Column::new_unqualified(column.name),
            )),
            other => Transformed::no(other),
        })
    })?;
    Ok(plain.data)
}

pub(super) async fn update(session: &Session, update: Update) -> Result<Table, Failure> {
    let (name, alias) = single(session, &update.table.relation)?;
    let queue = session.workspace.sql.writer(&name.to_string());
    let _turn = queue.lock().await;
    let delta = open(session, &name).await?;
    let schema = qualified(&delta, alias.as_deref().unwrap_or(&name.name))?;
    let mut builder = delta.update().with_session_state(session.workspace.sql.writes());
    for (column, value) in assigned(&update.assignments)? {
        builder = builder.with_update(column, unqualified(logical(session, value, &schema)?)?);
    }
    if let Some(condition) = update.selection {
        builder = builder.with_predicate(unqualified(logical(session, condition, &schema)?)?);
    }
    let (_, metrics) = builder.await?;
    counts([("num_affected_rows", metrics.num_updated_rows)])
}

fn assigned(assignments: &[Assignment]) -> Result<Vec<(String, SqlExpr)>, Failure> {
    let column = |assignment: &Assignment| match &assignment.target {
        AssignmentTarget::ColumnName(name) => {
            let last =
                name.0.last().and_then(|part| part.as_ident()).map(|ident| ident.value.clone());
            last.ok_or_else(|| {
                Failure::new("PARSE_SYNTAX_ERROR", format!("`{name}` is not a column"))
            })
        }
        AssignmentTarget::Tuple(_) => {
            Err(Failure::unsupported("assignments of several columns at once"))
        }
    };
    assignments
        .iter()
        .map(|assignment| Ok((column(assignment)?, assignment.value.clone())))
        .collect()
}

pub(super) async fn delete(session: &Session, delete: Delete) -> Result<Table, Failure> {
    let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
    let [from] = &from[..] else { return Err(Failure::unsupported("DELETE from several tables")) };
    let (name, alias) = single(session, &from.relation)?;
    let queue = session.workspace.sql.writer(&name.to_string());
    let _turn = queue.lock().await;
    let delta = open(session, &name).await?;
    let before = count_rows(session, &name).await?;
    let schema = qualified(&delta, alias.as_deref().unwrap_or(&name.name))?;
    let mut builder = delta.delete().with_session_state(session.workspace.sql.writes());
    if let Some(condition) = delete.selection {
        builder = builder.with_predicate(unqualified(logical(session, condition, &schema)?)?);
    }
    builder.await?;
    // Whole files are dropped without being read, so the log may not tell.
    let after = count_rows(session, &name).await?;
    counts([("num_affected_rows", before.saturating_sub(after))])
}

async fn count_rows(session: &Session, name: &TableName) -> Result<usize, Failure> {
    Ok(session.context.sql(&format!("SELECT 1 FROM {}", name.quoted())).await?.count().await?)
}

pub(super) async fn merge(session: &Session, merge: Merge) -> Result<Table, Failure> {
    let (name, alias) = single(session, &merge.table)?;
    let target_alias = alias.unwrap_or_else(|| name.name.clone());
    let (source_alias, source) = merge_source(session, &merge.source).await?;
    let queue = session.workspace.sql.writer(&name.to_string());
    let _turn = queue.lock().await;
    let delta = open(session, &name).await?;
    let target_schema = qualified(&delta, &target_alias)?;
    let source_schema =
        DFSchema::try_from_qualified_schema(source_alias.as_str(), source.schema().as_arrow())?;
    let both = target_schema.join(&source_schema)?;
    let on = logical(session, *merge.on.clone(), &both)?;
    let mut builder = delta
        .merge(source, on)
        .with_session_state(session.workspace.sql.writes())
        .with_source_alias(&source_alias)
        .with_target_alias(&target_alias);
    for clause in merge.clauses {
        builder = merge_clause(session, builder, clause, [&target_schema, &both])?;
    }
    let (_, metrics) = builder.await?;
    let (updated, deleted, inserted) = (
        metrics.num_target_rows_updated,
        metrics.num_target_rows_deleted,
        metrics.num_target_rows_inserted,
    );
    counts([
        ("num_affected_rows", updated + deleted + inserted),
        ("num_updated_rows", updated),
        ("num_deleted_rows", deleted),
        ("num_inserted_rows", inserted),
    ])
}

/// Adds one WHEN clause to a merge.
fn merge_clause(
    session: &Session,
    builder: MergeBuilder,
    clause: MergeClause,
    [target, both]: [&DFSchema; 2],
) -> Result<MergeBuilder, Failure> {
    // A clause without a condition holds for every row that it is about.
    let condition = match clause.predicate {
        Some(condition) => logical(session, condition, both)?,
        None => datafusion::prelude::lit(true),
    };
    Ok(match (clause.clause_kind, clause.action) {
        (MergeClauseKind::Matched, MergeAction::Update(update)) => {
            let values = assigned(&update.assignments)?;
            let values = merge_values(session, values, [target, both])?;
            builder.when_matched_update(|update| {
                let set = |update: UpdateBuilder, (column, value)| {
                    update.update::<String, Expr>(column, value)
                };
                values.into_iter().fold(update.predicate(condition), set)
            })?
        }
        (MergeClauseKind::Matched, MergeAction::Delete { .. }) => {
            builder.when_matched_delete(|delete| delete.predicate(condition))?
        }
        (
            MergeClauseKind::NotMatched | MergeClauseKind::NotMatchedByTarget,
            MergeAction::Insert(insert),
        ) => {
            let values = inserted(&insert.columns, &insert.kind)?;
            let values = merge_values(session, values, [target, both])?;
            builder.when_not_matched_insert(|insert| {
                let set = |insert: InsertBuilder, (column, value)| {
                    insert.set::<String, Expr>(column, value)
                };
                values.into_iter().fold(insert.predicate(condition), set)
            })?
        }
        (kind, action) => return Err(Failure::unsupported(&format!("MERGE {kind} THEN {action}"))),
    })
}

fn merge_values(
    session: &Session,
    values: Vec<(String, SqlExpr)>,
    [target, both]: [&DFSchema; 2],
) -> Result<Vec<(String, Expr)>, Failure> {
    let value = |(column, value): (String, SqlExpr)| {
        // What writes the table would leave out a column that it does not know.
        let name = column.rsplit('.').next().unwrap_or(&column);
        if !target.fields().iter().any(|field| field.name() == name) {
            let message = format!("[UNRESOLVED_COLUMN] the table has no column `{name}`");
            return Err(Failure::new("UNRESOLVED_COLUMN", message));
        }
        Ok((column, logical(session, value, both)?))
    };
    values.into_iter().map(value).collect()
}

fn inserted(
    columns: &[datafusion::sql::sqlparser::ast::ObjectName],
    kind: &MergeInsertKind,
) -> Result<Vec<(String, SqlExpr)>, Failure> {
    let MergeInsertKind::Values(values) = kind else {
        return Err(Failure::unsupported("MERGE with INSERT ROW"));
    };
    let [row] = &values.rows[..] else {
        return Err(Failure::unsupported("MERGE that inserts several rows"));
    };
    if row.content.len() != columns.len() {
        return Err(Failure::new(
            "PARSE_SYNTAX_ERROR",
            "INSERT names as many columns as it has values",
        ));
    }
    let name =
        |column: &datafusion::sql::sqlparser::ast::ObjectName| column.to_string().replace('`', "");
    Ok(columns.iter().map(name).zip(row.content.iter().cloned()).collect())
}

async fn merge_source(
    session: &Session,
    source: &TableFactor,
) -> Result<(String, datafusion::dataframe::DataFrame), Failure> {
    let (text, alias) = match source {
        TableFactor::Table { name, alias, .. } => {
            let last =
                name.0.last().and_then(|part| part.as_ident()).map(|ident| ident.value.clone());
            (
                format!("SELECT * FROM {name}"),
                alias.as_ref().map(|alias| alias.name.value.clone()).or(last),
            )
        }
        TableFactor::Derived { subquery, alias, .. } => {
            (subquery.to_string(), alias.as_ref().map(|alias| alias.name.value.clone()))
        }
        other => return Err(Failure::unsupported(&format!("MERGE from `{other}`"))),
    };
    let query: Box<Query> = Parser::new(&DatabricksDialect {})
        .try_with_sql(&text)
        .and_then(|mut parser| parser.parse_query())
        .map_err(|error| Failure::new("PARSE_SYNTAX_ERROR", error.to_string()))?;
    let parsed = datafusion::sql::parser::Statement::Statement(Box::new(Statement::Query(query)));
    let plan = session.context.state().statement_to_plan(parsed).await?;
    let frame = session.context.execute_logical_plan(plan).await?;
    Ok((alias.unwrap_or_else(|| "source".into()), frame))
}
