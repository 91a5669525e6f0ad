//! Times as numbers: an instant, or its place in the day and in the week (UTC).

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray as _, Float64Array, Int64Array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, TimeUnit, TimestampMillisecondType};
use arrow::error::ArrowError;

const HOUR: i64 = 3_600_000;
const DAY: i64 = 24 * HOUR;
/// 1970 began on a Thursday; weeks begin on Mondays.
const THURSDAY: i64 = 3;

/// What is made of a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Clock {
    /// Days since 1970, with their fraction.
    Days,
    /// 0 to 23.
    Hour,
    /// 0 for Monday to 6 for Sunday.
    Weekday,
}

impl Clock {
    /// The type of its values; none for what is no time.
    pub(super) fn data_type(self, from: &DataType) -> Option<DataType> {
        let is_time = matches!(from, DataType::Timestamp(..) | DataType::Date32 | DataType::Date64);
        is_time.then_some(match self {
            Self::Days => DataType::Float64,
            Self::Hour | Self::Weekday => DataType::Int64,
        })
    }

    pub(super) fn values(self, times: &ArrayRef) -> Result<ArrayRef, ArrowError> {
        let times = cast(times, &DataType::Timestamp(TimeUnit::Millisecond, None))?;
        let times = times.as_primitive::<TimestampMillisecondType>();
        Ok(match self {
            Self::Days => {
                let days: Float64Array = times.unary(|time| time as f64 / DAY as f64);
                Arc::new(days)
            }
            Self::Hour => {
                let hours: Int64Array = times.unary(|time| time.rem_euclid(DAY) / HOUR);
                Arc::new(hours)
            }
            Self::Weekday => {
                let days: Int64Array =
                    times.unary(|time| (time.div_euclid(DAY) + THURSDAY).rem_euclid(7));
                Arc::new(days)
            }
        })
    }

    /// The same as SQL of a time, on Databricks and in the embedded workspace.
    pub(super) fn sql(self, time: &str) -> String {
        // Some engines divide whole numbers to whole numbers, towards zero.
        let millis = format!("CAST(unix_millis(CAST({time} AS TIMESTAMP)) AS DOUBLE)");
        // A remainder takes the sign of what is divided.
        let modulo = |number: String, by: i64| format!("((({number}) % {by} + {by}) % {by})");
        let whole = |by: i64| format!("CAST(floor({millis} / {by}) AS BIGINT)");
        match self {
            Self::Days => format!("({millis} / {DAY})"),
            Self::Hour => modulo(whole(HOUR), 24),
            Self::Weekday => modulo(format!("{} + {THURSDAY}", whole(DAY)), 7),
        }
    }
}
