//! Rows of the lakehouse tables that Lakegate writes: one schema per file, and
//! the statements that create a table and add rows exactly once.

mod decision;
mod deployment;
mod drift;
pub mod evidence;
mod fence;
mod gate;
mod merge_test;
mod promotion;
mod rollout;
mod sign_off;
pub mod statement;

pub use decision::DecisionRow;
pub use deployment::DeploymentRow;
pub use drift::{DriftRow, DriftScope};
pub use fence::FenceRow;
pub use gate::GateRow;
pub use merge_test::MergeTestRow;
pub use promotion::PromotionRow;
pub use rollout::RolloutRow;
pub use sign_off::SignOffRow;

use std::collections::HashMap;

use serde_json::Value;

use self::statement::{Parameter, Statement};
use crate::names::{SchemaName, TableName};

/// A value of a row.
#[derive(Debug, Clone, PartialEq)]
pub enum Cell {
    Text(Option<String>),
    Number(Option<f64>),
    Whole(Option<i64>),
    Flag(bool),
}

impl Cell {
    fn text(text: &str) -> Self {
        Self::Text(Some(text.to_owned()))
    }

    /// A count or a version; one too large for SQL is unknown.
    fn whole(number: impl Into<Option<u64>>) -> Self {
        Self::Whole(number.into().and_then(|number| i64::try_from(number).ok()))
    }

    fn json(self) -> Value {
        match self {
            Self::Text(text) => text.into(),
            // What is not a number has no place in JSON.
            Self::Number(number) => {
                number.and_then(serde_json::Number::from_f64).map_or(Value::Null, Value::Number)
            }
            Self::Whole(number) => number.into(),
            Self::Flag(flag) => flag.into(),
        }
    }

    fn parameter(&self, name: String) -> Parameter {
        match self {
            Self::Text(text) => Parameter::new(name, text.clone(), "STRING"),
            // Not a number is a number to SQL, and poison to every average.
            Self::Number(number) => Parameter::new(
                name,
                number.filter(|number| number.is_finite()).map(|number| number.to_string()),
                "DOUBLE",
            ),
            Self::Whole(number) => {
                Parameter::new(name, number.map(|number| number.to_string()), "BIGINT")
            }
            Self::Flag(flag) => Parameter::new(name, Some(flag.to_string()), "BOOLEAN"),
        }
    }
}

/// A column: its name, its SQL type, and what it says.
pub type Column = (&'static str, &'static str, &'static str);

/// A kind of row. The first column, `event_id`, identifies it for ever.
pub trait Row {
    const TABLE: &'static str;
    const ABOUT: &'static str;
    const COLUMNS: &'static [Column];

    fn cells(&self) -> Vec<Cell>;
}

/// Every table: its name, what it is about, its columns.
pub const TABLES: [(&str, &str, &[Column]); 9] = [
    of::<MergeTestRow>(),
    of::<DeploymentRow>(),
    of::<GateRow>(),
    of::<SignOffRow>(),
    of::<PromotionRow>(),
    of::<FenceRow>(),
    of::<RolloutRow>(),
    of::<DriftRow>(),
    of::<DecisionRow>(),
];

const fn of<R: Row>() -> (&'static str, &'static str, &'static [Column]) {
    (R::TABLE, R::ABOUT, R::COLUMNS)
}

/// A row as a JSON object, with the time under the name that Azure Monitor
/// expects.
pub fn json<R: Row>(row: &R) -> Value {
    let cells = R::COLUMNS.iter().zip(row.cells()).map(|((name, ..), cell)| {
        let name = if *name == "at" { "TimeGenerated" } else { name };
        (name.to_owned(), cell.json())
    });
    Value::Object(cells.collect())
}

/// The name of a kind's table.
pub fn table<R: Row>(schema: &SchemaName) -> TableName {
    TableName {
        catalog: schema.catalog.clone(),
        schema: schema.schema.clone(),
        name: R::TABLE.to_owned(),
    }
}

/// Makes the table when there is none.
pub fn create<R: Row>(schema: &SchemaName) -> Statement {
    let columns: Vec<String> =
        R::COLUMNS.iter().map(|(name, kind, _)| format!("{name} {kind}")).collect();
    Statement::new(format!(
        "CREATE TABLE IF NOT EXISTS {} ({}) USING DELTA",
        table::<R>(schema).quoted(),
        columns.join(", ")
    ))
}

/// Adds the rows that are not there yet: a retried step adds nothing twice.
pub fn merge<R: Row>(schema: &SchemaName, rows: &[R]) -> Statement {
    let mut parameters = Vec::<Parameter>::new();
    // Rows of one occasion have most of their values in common.
    let mut known = HashMap::new();
    let mut selects = Vec::new();
    for (at, row) in rows.iter().enumerate() {
        let cells = row.cells();
        debug_assert_eq!(cells.len(), R::COLUMNS.len(), "{}", R::TABLE);
        let values = R::COLUMNS.iter().zip(cells).map(|((name, kind, _), cell)| {
            let parameter = cell.parameter(format!("p{at}_{name}"));
            let same = known.entry((parameter.type_name, parameter.value.clone()));
            let place = *same.or_insert_with(|| {
                parameters.push(parameter);
                parameters.len() - 1
            });
            format!("CAST(:{} AS {kind}) AS {name}", parameters[place].name)
        });
        selects.push(format!("SELECT {}", values.collect::<Vec<_>>().join(", ")));
    }
    let names: Vec<&str> = R::COLUMNS.iter().map(|(name, ..)| *name).collect();
    let values: Vec<String> = names.iter().map(|name| format!("s.{name}")).collect();
    let text = format!(
        "MERGE INTO {} AS t USING ({}) AS s ON t.event_id = s.event_id WHEN NOT MATCHED THEN INSERT ({}) VALUES ({})",
        table::<R>(schema).quoted(),
        selects.join(" UNION ALL "),
        names.join(", "),
        values.join(", ")
    );
    Statement { text, parameters }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_travel_as_parameters_only() {
        let row = PromotionRow {
            event_id: "e".into(),
            phase: "intent",
            kind: "promotion",
            epoch: 1,
            cause: String::new(),
            reason: None,
            model: "a.b.c'); DROP TABLE x --".into(),
            alias: "champion".into(),
            from_version: None,
            to_version: 2,
            digest: String::new(),
            evidence: String::new(),
            actor: None,
            run_url: None,
            at: "2026-01-01T00:00:00Z".into(),
        };
        let statement = merge(&"main.lakegate".parse().unwrap(), &[row]);
        insta::assert_snapshot!(statement.text);
        assert!(!statement.text.contains("DROP"));
    }

    #[test]
    fn what_is_not_a_number_is_recorded_as_null() {
        let parameter = Cell::Number(Some(f64::NAN)).parameter("x".into());
        assert_eq!(parameter.value, None);
    }
}
