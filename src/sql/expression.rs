//! A number for each row, from an expression over columns in SQL.

use std::collections::BTreeSet;
use std::str::FromStr;

use anyhow::{Result, bail};
use arrow::array::{Array, AsArray as _, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use sqlparser::ast::{
    BinaryOperator, CaseWhen, Expr, FunctionArg, FunctionArgExpr, FunctionArguments,
};

use super::predicate;
use crate::report::Fault;

/// Columns and constants, joined by `+ - * /`, `abs`, `CASE WHEN` and the
/// conditions of a [`predicate::Predicate`], which count 1 where they hold.
#[derive(Debug, Clone, PartialEq)]
pub struct Expression {
    text: String,
    expr: Expr,
}

impl FromStr for Expression {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        let wrong = |reason: String| Fault::usage(format!("the expression `{text}`: {reason}"));
        let expr = predicate::parsed(text).map_err(wrong)?;
        check(&expr).map_err(wrong)?;
        Ok(Self { text: text.to_owned(), expr })
    }
}

fn check(expr: &Expr) -> Result<(), String> {
    match expr {
        Expr::Nested(inner) => check(inner),
        Expr::BinaryOp { left, op, right } if is_arithmetic(op) => {
            check(left)?;
            check(right)
        }
        Expr::Function(_) if absolute(expr).is_some() => absolute(expr).map_or(Ok(()), check),
        Expr::Case { operand: None, conditions, else_result, .. } => {
            for CaseWhen { condition, result } in conditions {
                predicate::check(condition)?;
                check(result)?;
            }
            else_result.as_ref().map_or(Ok(()), |other| check(other))
        }
        other => predicate::check(other),
    }
}

fn is_arithmetic(op: &BinaryOperator) -> bool {
    matches!(
        op,
        BinaryOperator::Plus
            | BinaryOperator::Minus
            | BinaryOperator::Multiply
            | BinaryOperator::Divide
    )
}

/// What `abs(...)` is of.
fn absolute(expr: &Expr) -> Option<&Expr> {
    let Expr::Function(function) = expr else { return None };
    let FunctionArguments::List(list) = &function.args else { return None };
    match list.args.as_slice() {
        [FunctionArg::Unnamed(FunctionArgExpr::Expr(inner))]
            if function.name.to_string().eq_ignore_ascii_case("abs") =>
        {
            Some(inner)
        }
        _ => None,
    }
}

impl Expression {
    /// The columns that it looks at.
    pub fn columns(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        collect(&self.expr, &mut found);
        found
    }

    /// A value for each row; nothing where it is null.
    ///
    /// # Errors
    /// When a column is missing, or is no number.
    pub fn values(&self, batch: &RecordBatch) -> Result<Vec<Option<f64>>> {
        values(&self.expr, batch).map_err(|error| {
            Fault::usage(format!("the expression `{}`: {error:#}", self.text)).into()
        })
    }
}

fn collect(expr: &Expr, found: &mut BTreeSet<String>) {
    match expr {
        Expr::Nested(inner) => collect(inner, found),
        Expr::BinaryOp { left, right, .. } => {
            collect(left, found);
            collect(right, found);
        }
        Expr::Case { conditions, else_result, .. } => {
            for CaseWhen { condition, result } in conditions {
                collect(condition, found);
                collect(result, found);
            }
            if let Some(other) = else_result {
                collect(other, found);
            }
        }
        other => match absolute(other) {
            Some(inner) => collect(inner, found),
            None => predicate::collect(other, found),
        },
    }
}

fn values(expr: &Expr, batch: &RecordBatch) -> Result<Vec<Option<f64>>> {
    match expr {
        Expr::Nested(inner) => values(inner, batch),
        Expr::BinaryOp { left, op, right } if is_arithmetic(op) => {
            let apply: fn(f64, f64) -> f64 = match op {
                BinaryOperator::Plus => |a, b| a + b,
                BinaryOperator::Minus => |a, b| a - b,
                BinaryOperator::Multiply => |a, b| a * b,
                _ => |a, b| a / b,
            };
            let rows = values(left, batch)?.into_iter().zip(values(right, batch)?);
            Ok(rows.map(|(a, b)| Some(apply(a?, b?))).collect())
        }
        Expr::Case { conditions, else_result, .. } => {
            let mut found = match else_result {
                Some(other) => values(other, batch)?,
                None => vec![None; batch.num_rows()],
            };
            // The first condition that holds decides.
            for CaseWhen { condition, result } in conditions.iter().rev() {
                let holds = predicate::select(condition, batch)?;
                for (row, value) in values(result, batch)?.into_iter().enumerate() {
                    if holds.value(row) {
                        found[row] = value;
                    }
                }
            }
            Ok(found)
        }
        other => match absolute(other) {
            Some(inner) => {
                Ok(values(inner, batch)?.into_iter().map(|value| value.map(f64::abs)).collect())
            }
            None => leaf(other, batch),
        },
    }
}

fn leaf(expr: &Expr, batch: &RecordBatch) -> Result<Vec<Option<f64>>> {
    let array = predicate::column(expr, batch)?;
    let kind = array.data_type();
    if !(kind.is_numeric() || *kind == DataType::Boolean) {
        bail!("`{expr}` is of type {kind}, a number is needed");
    }
    let numbers = cast(&array, &DataType::Float64)?;
    Ok(numbers.as_primitive::<Float64Type>().iter().collect())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Float64Array, StringArray};

    use super::*;

    #[track_caller]
    fn found(text: &str) -> Vec<Option<f64>> {
        let batch = RecordBatch::try_from_iter([
            ("x", Arc::new(Float64Array::from(vec![Some(1.0), Some(-2.0), None])) as ArrayRef),
            ("y", Arc::new(Float64Array::from(vec![4.0, 0.5, 3.0]))),
            ("a", Arc::new(StringArray::from(vec!["p", "q", "r"]))),
            ("b", Arc::new(StringArray::from(vec!["p", "p", "r"]))),
        ]);
        text.parse::<Expression>().unwrap().values(&batch.unwrap()).unwrap()
    }

    #[test]
    fn expressions_mean_what_they_mean_in_sql() {
        assert_eq!(found("x"), [Some(1.0), Some(-2.0), None]);
        assert_eq!(found("abs(x - y) * 2 + 1"), [Some(7.0), Some(6.0), None]);
        assert_eq!(found("a = b"), [Some(1.0), Some(0.0), Some(1.0)]);
        assert_eq!(
            found("CASE WHEN x > 0 THEN y WHEN y > 1 THEN 7 ELSE 0 END"),
            [Some(4.0), Some(0.0), Some(7.0)]
        );
        let columns = "CASE WHEN x > 0 THEN abs(y) END".parse::<Expression>().unwrap().columns();
        assert_eq!(columns.into_iter().collect::<Vec<_>>(), ["x", "y"]);
    }

    #[test]
    fn what_cannot_be_evaluated_is_refused_by_name() {
        for (text, word) in [("upper(a)", "upper(a)"), ("x +", "expression"), ("x y", "too much")] {
            let refused = text.parse::<Expression>().unwrap_err().message;
            assert!(refused.contains(word), "{refused}");
        }
    }
}
