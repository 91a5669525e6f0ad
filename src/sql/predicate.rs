//! A condition on rows, in SQL: the part of the language that means the same
//! on a warehouse and on Arrow arrays.

use std::collections::BTreeSet;
use std::str::FromStr;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use arrow::array::{
    Array, ArrayRef, AsArray as _, BooleanArray, Datum, Float64Array, Int64Array, RecordBatch,
    Scalar, StringArray, new_null_array,
};
use arrow::compute::kernels::cmp;
use arrow::compute::{CastOptions, cast_with_options};
use arrow::compute::{
    and_kleene, cast, is_not_null, is_null, not, or_kleene, prep_null_mask_filter,
};
use arrow::datatypes::DataType;
use arrow::util::display::FormatOptions;
use sqlparser::ast::{BinaryOperator, Expr, UnaryOperator, Value};
use sqlparser::dialect::DatabricksDialect;
use sqlparser::parser::Parser;
use sqlparser::tokenizer::Token;

use crate::report::Fault;

/// A parsed condition.
#[derive(Debug, Clone, PartialEq)]
pub struct Predicate {
    text: String,
    expr: Expr,
}

impl FromStr for Predicate {
    type Err = Fault;

    fn from_str(text: &str) -> Result<Self, Fault> {
        let wrong = |reason: String| Fault::usage(format!("the condition `{text}`: {reason}"));
        let expr = parsed(text).map_err(wrong)?;
        check(&expr).map_err(wrong)?;
        Ok(Self { text: text.to_owned(), expr })
    }
}

/// One expression, and nothing after it.
pub(super) fn parsed(text: &str) -> Result<Expr, String> {
    let parser = Parser::new(&DatabricksDialect {}).try_with_sql(text);
    let mut parser = parser.map_err(|error| error.to_string())?;
    let expr = parser.parse_expr().map_err(|error| error.to_string())?;
    let rest = parser.peek_token();
    if rest.token == Token::EOF { Ok(expr) } else { Err(format!("`{rest}` is too much")) }
}

/// Refuses what cannot be evaluated here, by its text.
pub(super) fn check(expr: &Expr) -> Result<(), String> {
    match expr {
        Expr::Identifier(_) | Expr::Value(_) => Ok(()),
        Expr::Nested(inner) | Expr::IsNull(inner) | Expr::IsNotNull(inner) => check(inner),
        Expr::UnaryOp { op: UnaryOperator::Not | UnaryOperator::Minus, expr } => check(expr),
        Expr::BinaryOp { left, op, right } if is_known(op) => {
            check(left)?;
            check(right)
        }
        Expr::InList { expr, list, .. } => {
            check(expr)?;
            list.iter().try_for_each(check)
        }
        Expr::Between { expr, low, high, .. } => {
            [expr, low, high].into_iter().try_for_each(|part| check(part))
        }
        other => Err(format!(
            "`{other}` cannot be evaluated on files; columns, constants, comparisons, AND, OR, NOT, IN, BETWEEN and IS NULL can"
        )),
    }
}

fn is_known(op: &BinaryOperator) -> bool {
    matches!(
        op,
        BinaryOperator::Eq
            | BinaryOperator::NotEq
            | BinaryOperator::Lt
            | BinaryOperator::LtEq
            | BinaryOperator::Gt
            | BinaryOperator::GtEq
            | BinaryOperator::And
            | BinaryOperator::Or
    )
}

const STRICT: CastOptions<'static> =
    CastOptions { safe: false, format_options: FormatOptions::new() };

/// A column, or one value for all rows.
enum Operand {
    Column(ArrayRef),
    Constant(ArrayRef),
}

impl Operand {
    fn data_type(&self) -> &DataType {
        match self {
            Self::Column(array) | Self::Constant(array) => array.data_type(),
        }
    }

    fn cast(self, to: &DataType) -> Result<Self> {
        Ok(match self {
            Self::Column(array) => Self::Column(cast(&array, to)?),
            // A constant that cannot be read is a mistake, not a null.
            Self::Constant(array) => Self::Constant(cast_with_options(&array, to, &STRICT)?),
        })
    }

    /// One value per row.
    fn spread(self, rows: usize) -> Result<ArrayRef> {
        match self {
            Self::Column(array) => Ok(array),
            Self::Constant(array) => {
                let zeros = arrow::array::UInt32Array::from(vec![0; rows]);
                Ok(arrow::compute::take(&array, &zeros, None)?)
            }
        }
    }

    fn datum(&self) -> Box<dyn Datum + '_> {
        match self {
            Self::Column(array) => Box::new(array),
            Self::Constant(array) => Box::new(Scalar::new(array)),
        }
    }
}

impl Predicate {
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The columns that the condition looks at.
    pub fn columns(&self) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        collect(&self.expr, &mut found);
        found
    }

    /// Which rows fulfil it; unknown is no, as in a WHERE clause.
    ///
    /// # Errors
    /// When a column is missing, or types cannot be compared.
    pub fn select(&self, batch: &RecordBatch) -> Result<BooleanArray> {
        select(&self.expr, batch).map_err(|error| {
            Fault::usage(format!("the condition `{}`: {error:#}", self.text)).into()
        })
    }
}

/// Which rows fulfil a condition; unknown is no.
pub(super) fn select(expr: &Expr, batch: &RecordBatch) -> Result<BooleanArray> {
    let found = boolean(expr, batch)?;
    Ok(if found.null_count() > 0 { prep_null_mask_filter(&found) } else { found })
}

/// A value for each row.
pub(super) fn column(expr: &Expr, batch: &RecordBatch) -> Result<ArrayRef> {
    operand(expr, batch)?.spread(batch.num_rows())
}

pub(super) fn collect(expr: &Expr, found: &mut BTreeSet<String>) {
    match expr {
        Expr::Identifier(name) => {
            found.insert(name.value.clone());
        }
        Expr::Nested(inner) | Expr::IsNull(inner) | Expr::IsNotNull(inner) => collect(inner, found),
        Expr::UnaryOp { expr, .. } => collect(expr, found),
        Expr::BinaryOp { left, right, .. } => {
            collect(left, found);
            collect(right, found);
        }
        Expr::InList { expr, list, .. } => {
            collect(expr, found);
            list.iter().for_each(|item| collect(item, found));
        }
        Expr::Between { expr, low, high, .. } => {
            [expr, low, high].into_iter().for_each(|part| collect(part, found));
        }
        _ => {}
    }
}

fn boolean(expr: &Expr, batch: &RecordBatch) -> Result<BooleanArray> {
    Ok(match expr {
        Expr::Nested(inner) => boolean(inner, batch)?,
        Expr::UnaryOp { op: UnaryOperator::Not, expr } => not(&boolean(expr, batch)?)?,
        Expr::IsNull(inner) => is_null(&operand(inner, batch)?.spread(batch.num_rows())?)?,
        Expr::IsNotNull(inner) => is_not_null(&operand(inner, batch)?.spread(batch.num_rows())?)?,
        Expr::BinaryOp { left, op: BinaryOperator::And, right } => {
            and_kleene(&boolean(left, batch)?, &boolean(right, batch)?)?
        }
        Expr::BinaryOp { left, op: BinaryOperator::Or, right } => {
            or_kleene(&boolean(left, batch)?, &boolean(right, batch)?)?
        }
        Expr::BinaryOp { left, op, right } => compare(left, op, right, batch)?,
        Expr::InList { expr, list, negated } => {
            let mut any = BooleanArray::from(vec![false; batch.num_rows()]);
            for item in list {
                any = or_kleene(&any, &compare(expr, &BinaryOperator::Eq, item, batch)?)?;
            }
            if *negated { not(&any)? } else { any }
        }
        Expr::Between { expr, negated, low, high } => {
            let above = compare(expr, &BinaryOperator::GtEq, low, batch)?;
            let inside = and_kleene(&above, &compare(expr, &BinaryOperator::LtEq, high, batch)?)?;
            if *negated { not(&inside)? } else { inside }
        }
        other => {
            let value = operand(other, batch)?.spread(batch.num_rows())?;
            value.as_boolean_opt().context("it is no condition").cloned()?
        }
    })
}

fn compare(
    left: &Expr,
    op: &BinaryOperator,
    right: &Expr,
    batch: &RecordBatch,
) -> Result<BooleanArray> {
    let (left, right) = alike(operand(left, batch)?, operand(right, batch)?)?;
    let (left, right) = match (&left, &right) {
        // The kernels answer two constants with one value.
        (Operand::Constant(_), Operand::Constant(_)) => {
            (Operand::Column(left.spread(batch.num_rows())?), right)
        }
        _ => (left, right),
    };
    let (a, b) = (left.datum(), right.datum());
    Ok(match op {
        BinaryOperator::Eq => cmp::eq(&*a, &*b)?,
        BinaryOperator::NotEq => cmp::neq(&*a, &*b)?,
        BinaryOperator::Lt => cmp::lt(&*a, &*b)?,
        BinaryOperator::LtEq => cmp::lt_eq(&*a, &*b)?,
        BinaryOperator::Gt => cmp::gt(&*a, &*b)?,
        BinaryOperator::GtEq => cmp::gt_eq(&*a, &*b)?,
        other => bail!("`{other}` is no comparison"),
    })
}

/// Brings both sides to one type: a text beside a time is read as a time,
/// numbers of different kinds meet as floats.
fn alike(left: Operand, right: Operand) -> Result<(Operand, Operand)> {
    let (a, b) = (left.data_type().clone(), right.data_type().clone());
    if a == b {
        return Ok((left, right));
    }
    let text = |kind: &DataType| {
        matches!(kind, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
            || matches!(kind, DataType::Dictionary(_, values) if **values == DataType::Utf8)
    };
    let common = match (&a, &b) {
        (DataType::Null, other) | (other, DataType::Null) => other.clone(),
        _ if a.is_temporal() && text(&b) => a.clone(),
        _ if b.is_temporal() && text(&a) => b.clone(),
        _ if text(&a) && text(&b) => DataType::LargeUtf8,
        // Both ranges at once have no integer type of their own.
        _ if a.is_integer()
            && b.is_integer()
            && (a == DataType::UInt64 || b == DataType::UInt64) =>
        {
            DataType::Decimal128(20, 0)
        }
        _ if a.is_integer() && b.is_integer() => DataType::Int64,
        _ if a.is_numeric() && b.is_numeric() => DataType::Float64,
        _ => bail!("{a} cannot be compared with {b}"),
    };
    Ok((left.cast(&common)?, right.cast(&common)?))
}

fn operand(expr: &Expr, batch: &RecordBatch) -> Result<Operand> {
    Ok(match expr {
        Expr::Nested(inner) => operand(inner, batch)?,
        Expr::Identifier(name) => {
            let column = batch.column_by_name(&name.value);
            let column = column.with_context(|| format!("there is no column `{}`", name.value))?;
            Operand::Column(plain(column)?)
        }
        Expr::Value(value) => Operand::Constant(constant(&value.value)?),
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match operand(expr, batch)? {
            Operand::Constant(value) => Operand::Constant(negative(&value)?),
            Operand::Column(_) => bail!("`{expr}` is a column: compare it with a constant"),
        },
        other => Operand::Column(Arc::new(boolean(other, batch)?)),
    })
}

/// The values of a dictionary, and both zeros as one.
fn plain(column: &ArrayRef) -> Result<ArrayRef> {
    Ok(match column.data_type() {
        DataType::Dictionary(_, values) => plain(&cast(column, values)?)?,
        DataType::Float64 => {
            let zero = Scalar::new(Float64Array::from(vec![0.0]));
            arrow::compute::kernels::numeric::add(column, &zero)?
        }
        DataType::Float16 | DataType::Float32 => plain(&cast(column, &DataType::Float64)?)?,
        _ => column.clone(),
    })
}

fn constant(value: &Value) -> Result<ArrayRef> {
    Ok(match value {
        Value::Number(digits, _) => match digits.parse::<i64>() {
            Ok(whole) => Arc::new(Int64Array::from(vec![whole])),
            Err(_) => {
                let number: f64 = digits.parse().with_context(|| format!("read `{digits}`"))?;
                Arc::new(Float64Array::from(vec![number]))
            }
        },
        Value::SingleQuotedString(text) => Arc::new(StringArray::from(vec![text.as_str()])),
        Value::Boolean(flag) => Arc::new(BooleanArray::from(vec![*flag])),
        Value::Null => new_null_array(&DataType::Null, 1),
        other => bail!("the constant `{other}` is not known here"),
    })
}

fn negative(value: &ArrayRef) -> Result<ArrayRef> {
    Ok(arrow::compute::kernels::numeric::neg(value)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::TimestampMicrosecondArray;

    fn batch() -> RecordBatch {
        RecordBatch::try_from_iter([
            ("n", Arc::new(Int64Array::from(vec![Some(1), Some(-2), None, Some(4)])) as ArrayRef),
            ("x", Arc::new(Float64Array::from(vec![0.5, 1.5, 2.5, f64::NAN]))),
            ("s", Arc::new(StringArray::from(vec![Some("a"), Some("it's"), None, Some("b")]))),
            ("t", Arc::new(TimestampMicrosecondArray::from(vec![0, 86_400_000_000, 0, 0]))),
            ("f", Arc::new(BooleanArray::from(vec![true, false, true, false]))),
        ])
        .unwrap()
    }

    #[track_caller]
    fn rows(text: &str) -> Vec<usize> {
        let found = text.parse::<Predicate>().unwrap().select(&batch()).unwrap();
        assert_eq!(found.null_count(), 0);
        (0..4).filter(|row| found.value(*row)).collect()
    }

    #[test]
    fn conditions_mean_what_they_mean_in_sql() {
        assert_eq!(rows("n > 0"), [0, 3]);
        assert_eq!(rows("n = -2 OR s = 'b'"), [1, 3]);
        assert_eq!(rows("NOT (n > 0)"), [1], "unknown stays unknown");
        assert_eq!(rows("n IS NULL"), [2]);
        assert_eq!(rows("n IS NOT NULL AND f"), [0]);
        assert_eq!(rows("s IN ('a', 'it''s')"), [0, 1]);
        assert_eq!(rows("s NOT IN ('a')"), [1, 3]);
        assert_eq!(rows("x BETWEEN 1 AND 3"), [1, 2]);
        assert_eq!(rows("n >= 0.5"), [0, 3]);
        assert_eq!(rows("t >= '1970-01-02'"), [1]);
        assert_eq!(rows("`n` <> 1"), [1, 3]);
        assert_eq!(rows("1 = 1"), [0, 1, 2, 3]);
        assert_eq!(rows("n = NULL"), [0; 0]);
    }

    #[test]
    fn what_cannot_be_evaluated_is_refused_by_name() {
        for (text, word) in [
            ("n >", "condition"),
            ("n > 1 n", "too much"),
            ("upper(s) = 'A'", "upper(s)"),
            ("n IN (SELECT 1)", "SELECT"),
            ("n > 1; DROP TABLE x", "too much"),
        ] {
            let refused = text.parse::<Predicate>().unwrap_err().message;
            assert!(refused.contains(word), "{refused}");
        }
        let wrong = |text: &str| {
            format!("{:#}", text.parse::<Predicate>().unwrap().select(&batch()).unwrap_err())
        };
        assert!(wrong("m > 1").contains("there is no column `m`"));
        assert!(wrong("s > 1").contains("cannot be compared"));
        assert!(wrong("n").contains("no condition"));
    }
}
