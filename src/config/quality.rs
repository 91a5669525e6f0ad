//! `drift.quality`: what the current data must be like, whatever it was like
//! before.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Conditions on one column, or on the number of rows. All of them must hold.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Quality {
    /// The column that the conditions are about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// The largest share of nulls and values that are no numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nulls: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    /// Every value is one of these.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub values: Option<Vec<String>>,
    /// Every value fits this regular expression.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// No value stands twice.
    pub unique: bool,
    /// Without a column: no two rows have the same values of these.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub key: Vec<String>,
    /// The newest time is not older than this: `6h`, `2d`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fresh_within: Option<String>,
    /// Without a column: the least number of rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_rows: Option<u64>,
    /// Without a column: the largest number of rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_rows: Option<u64>,
    /// Without a column: the largest change of the number of rows against the
    /// baseline, as a share of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows_change: Option<f64>,
    /// Tell it, and let the check pass.
    pub warn_only: bool,
}

impl Quality {
    pub(super) fn check(&self) -> Result<(), String> {
        let of_column = [
            self.nulls.is_some(),
            self.min.is_some(),
            self.max.is_some(),
            self.values.is_some(),
            self.pattern.is_some(),
            self.unique,
            self.fresh_within.is_some(),
        ];
        let of_rows = [
            self.min_rows.is_some(),
            self.max_rows.is_some(),
            self.rows_change.is_some(),
            !self.key.is_empty(),
        ];
        let (column, rows) = (of_column.contains(&true), of_rows.contains(&true));
        match &self.column {
            Some(name) if rows => {
                return Err(format!(
                    "`{name}`: a key and the number of rows are no matter of a column"
                ));
            }
            Some(name) if !column => return Err(format!("`{name}`: says nothing")),
            None if column => return Err("names no `column`".into()),
            None if !rows => return Err("says nothing".into()),
            _ => {}
        }
        if let Some(pattern) = &self.pattern {
            regex::Regex::new(pattern).map_err(|error| format!("`pattern`: {error}"))?;
        }
        if let Some(age) = &self.fresh_within {
            super::windows::milliseconds(age).ok_or_else(|| {
                format!("`fresh_within` is `{age}`: give a number of m, h, d or w")
            })?;
        }
        let numbers = [self.nulls, self.min, self.max, self.rows_change];
        if numbers.iter().flatten().any(|number| !number.is_finite()) {
            return Err("holds a number that is not finite".into());
        }
        if self.nulls.is_some_and(|share| !(0.0..=1.0).contains(&share)) {
            return Err("`nulls` is a share: between 0 and 1".into());
        }
        if self.rows_change.is_some_and(|share| share < 0.0) {
            return Err("`rows_change` must not be negative".into());
        }
        let crossed = self.min.zip(self.max).is_some_and(|(min, max)| min > max)
            || self.min_rows.zip(self.max_rows).is_some_and(|(min, max)| min > max)
            || self.values.as_ref().is_some_and(Vec::is_empty);
        if crossed {
            return Err("can never hold".into());
        }
        Ok(())
    }

    /// The largest age in milliseconds.
    pub fn max_age(&self) -> Option<i64> {
        super::windows::milliseconds(self.fresh_within.as_deref()?)
    }
}
