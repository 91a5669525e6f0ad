//! Before planning: parameters become typed literals, and time travel and samples
//! become part of a table's name.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{
    CastKind, DataType, Expr, Ident, ObjectName, ObjectNamePart, Statement, TableFactor,
    TableSample, TableSampleKind, TableSampleUnit, TableVersion, Value, VisitMut, VisitorMut,
};
use datafusion::sql::sqlparser::dialect::DatabricksDialect;
use datafusion::sql::sqlparser::parser::Parser;
use serde::Deserialize;

use super::catalog::{Reading, Sample, Version};
use super::engine::Failure;

/// A parameter as the caller gave it.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Given {
    name: String,
    value: Option<String>,
    #[serde(rename = "type", default)]
    type_name: Option<String>,
}

/// Rewrites `statement` in place.
pub(super) fn bind(statement: &mut Statement, parameters: &[Given]) -> Result<(), Failure> {
    let mut binder = Binder { parameters, failure: None };
    let _broken = statement.visit(&mut binder);
    binder.failure.map_or(Ok(()), Err)
}

struct Binder<'a> {
    parameters: &'a [Given],
    failure: Option<Failure>,
}

impl Binder<'_> {
    fn fail(&mut self, code: &str, message: String) -> ControlFlow<()> {
        self.failure = Some(Failure::new(code, message));
        ControlFlow::Break(())
    }
}

impl VisitorMut for Binder<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        let name = match expr {
            Expr::Value(value) => match &value.value {
                Value::Placeholder(name) => name.trim_start_matches(':').to_owned(),
                _ => return ControlFlow::Continue(()),
            },
            _ => return ControlFlow::Continue(()),
        };
        let Some(given) = self.parameters.iter().find(|given| given.name == name) else {
            let message = format!("[UNBOUND_SQL_PARAMETER] Found the unbound parameter: {name}");
            return self.fail("UNBOUND_SQL_PARAMETER", message);
        };
        match literal(given) {
            Ok(value) => {
                *expr = value;
                ControlFlow::Continue(())
            }
            Err(message) => self.fail("INVALID_PARAMETER_VALUE", message),
        }
    }

    fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
        let TableFactor::Table { name, version, alias, sample, .. } = factor else {
            return ControlFlow::Continue(());
        };
        let mut reading = Reading::default();
        if let Some(
            TableSampleKind::BeforeTableAlias(asked) | TableSampleKind::AfterTableAlias(asked),
        ) = sample.take()
        {
            reading.sample = drawn(&asked);
            if reading.sample.is_none() {
                return self.fail("UNSUPPORTED_FEATURE", format!("`{asked}` is not supported"));
            }
        }
        if let Some(asked) = version.take() {
            reading.version = match &asked {
                TableVersion::VersionAsOf(expr) => whole_number(expr).map(Version::Number),
                TableVersion::TimestampAsOf(expr) => {
                    text(expr).map(|text| Version::Time(iso_time(&text)))
                }
                _ => None,
            };
            if reading.version.is_none() {
                let message = format!("time travel by `{asked}` is not supported");
                return self.fail("UNSUPPORTED_FEATURE", message);
            }
        }
        if reading == Reading::default() {
            return ControlFlow::Continue(());
        }
        let Some(ObjectNamePart::Identifier(last)) = name.0.last_mut() else {
            return ControlFlow::Continue(());
        };
        // The table keeps its own name in the rest of the query.
        if alias.is_none() {
            *alias = Some(datafusion::sql::sqlparser::ast::TableAlias {
                explicit: true,
                name: last.clone(),
                columns: Vec::new(),
                at: None,
            });
        }
        *last = Ident::with_quote('`', reading.name(&last.value));
        ControlFlow::Continue(())
    }
}

/// A share of the rows, by a seed where one is told. Other samples are not known.
fn drawn(asked: &TableSample) -> Option<Sample> {
    let quantity = asked.quantity.as_ref()?;
    let seed = match &asked.seed {
        Some(seed) => seed.value.to_string().parse().ok()?,
        None => 0,
    };
    let percent: f64 = quantity.value.to_string().parse().ok()?;
    let known = asked.name.is_none() && asked.bucket.is_none() && asked.offset.is_none();
    let fits = quantity.unit == Some(TableSampleUnit::Percent) && (0.0..=100.0).contains(&percent);
    (known && fits).then_some(Sample { percent, seed })
}

fn whole_number(expr: &Expr) -> Option<u64> {
    expr.to_string().parse().ok()
}

fn text(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Value(value) => value.value.clone().into_string(),
        Expr::Cast { expr, .. } => text(expr),
        Expr::TypedString(typed) => typed.value.value.clone().into_string(),
        _ => None,
    }
}

/// `2026-03-01 10:00:00` as RFC 3339, in UTC when it names no zone.
fn iso_time(text: &str) -> String {
    let text = text.trim().replacen(' ', "T", 1);
    let has_time = text.contains('T');
    let has_zone = text.ends_with('Z') || text.rfind(['+', '-']).is_some_and(|at| at > 10);
    match (has_time, has_zone) {
        (false, _) => format!("{text}T00:00:00Z"),
        (true, false) => format!("{text}Z"),
        (true, true) => text,
    }
}

fn literal(given: &Given) -> Result<Expr, String> {
    let type_name = given.type_name.as_deref().unwrap_or("STRING").to_ascii_uppercase();
    let null = || Expr::value(Value::Null);
    let string = given
        .value
        .clone()
        .map_or_else(null, |value| Expr::value(Value::SingleQuotedString(value)));
    if type_name == "STRING" && given.value.is_some() {
        return Ok(string);
    }
    let data_type = data_type(&type_name)
        .ok_or_else(|| format!("type {type_name} of parameter {} is not known", given.name))?;
    let bad = || {
        let value = given.value.as_deref().unwrap_or_default();
        format!("parameter {} has the value '{value}', which is no {type_name}", given.name)
    };
    let Some(value) = &given.value else { return Ok(typed(string, data_type)) };
    match type_name.as_str() {
        "INT" | "BIGINT" | "LONG" | "SMALLINT" | "TINYINT"
            if value.trim().parse::<i64>().is_err() =>
        {
            return Err(bad());
        }
        "DOUBLE" | "FLOAT" if value.trim().parse::<f64>().is_err() => return Err(bad()),
        "BOOLEAN" if !matches!(value.to_ascii_lowercase().as_str(), "true" | "false") => {
            return Err(bad());
        }
        _ => {}
    }
    Ok(typed(string, data_type))
}

fn typed(value: Expr, data_type: DataType) -> Expr {
    Expr::Cast {
        kind: CastKind::Cast,
        expr: Box::new(value),
        data_type,
        array: false,
        format: None,
    }
}

fn data_type(name: &str) -> Option<DataType> {
    let spelled = match name {
        "LONG" => "BIGINT",
        "SHORT" => "SMALLINT",
        "BYTE" => "TINYINT",
        "TIMESTAMP" => "TIMESTAMP WITH TIME ZONE",
        "TIMESTAMP_NTZ" => "TIMESTAMP",
        other => other,
    };
    Parser::new(&DatabricksDialect {}).try_with_sql(spelled).ok()?.parse_data_type().ok()
}

/// A three-part name, filled up from the session's catalog and schema.
pub(super) fn full_name(name: &ObjectName, catalog: &str, schema: &str) -> String {
    let parts: Vec<_> = name
        .0
        .iter()
        .map(|part| part.as_ident().map_or_else(|| part.to_string(), |ident| ident.value.clone()))
        .collect();
    match parts.len() {
        1 => format!("{catalog}.{schema}.{}", parts[0]),
        2 => format!("{catalog}.{}", parts.join(".")),
        _ => parts.join("."),
    }
}
