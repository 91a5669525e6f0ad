//! `drift.windows`: how the current rows are cut along time.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the current rows are cut into windows; one of `rows` and `every`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Windows {
    /// A window has this many rows, in the order of the data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rows: Option<u64>,
    /// A window is this long: `6h`, `7d`. Needs `column`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every: Option<String>,
    /// The column of times.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// The table drifted when the newest window and at least this many ...
    pub at_least: usize,
    /// ... of this many newest windows did. 1 of 1 when left out.
    pub of: usize,
    /// Learns each column's threshold: this quantile of the distances of the
    /// baseline's own windows from the whole baseline, and not less than what a
    /// column is watched from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub learn: Option<f64>,
}

/// `30m`, `6h`, `7d` or `2w` in milliseconds.
pub(super) fn milliseconds(text: &str) -> Option<i64> {
    let text = text.trim();
    let (number, unit) = text.split_at(text.find(|char: char| !char.is_ascii_digit())?);
    let unit = match unit.trim() {
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "w" => 7 * 86_400_000,
        _ => return None,
    };
    number.parse::<i64>().ok()?.checked_mul(unit).filter(|length| *length > 0)
}

impl Windows {
    /// The length of a window in milliseconds.
    pub fn milliseconds(&self) -> Option<i64> {
        milliseconds(self.every.as_deref()?)
    }

    /// How long a window is, as people write it.
    pub fn length(&self) -> String {
        match (&self.every, self.rows) {
            (Some(every), _) => every.clone(),
            (None, rows) => format!("{} rows", rows.unwrap_or_default()),
        }
    }

    pub(super) fn check(&self) -> Result<(), String> {
        match (self.rows, &self.every, &self.column) {
            (Some(1..), None, None) => {}
            (None, Some(_), Some(_)) if self.milliseconds().is_some() => {}
            (None, Some(every), Some(_)) => {
                return Err(format!(
                    "`windows.every` is `{every}`: give a number of m, h, d or w, such as 7d"
                ));
            }
            _ => return Err("`windows` needs `rows`, or `every` with `column`".into()),
        }
        if self.learn.is_some_and(|quantile| !(quantile > 0.0 && quantile <= 1.0)) {
            return Err("`windows.learn` is a quantile: above 0 and up to 1".into());
        }
        if self.at_least > self.of.max(1) {
            return Err("`windows.at_least` must not be above `windows.of`".into());
        }
        Ok(())
    }
}
