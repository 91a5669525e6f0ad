//! The fields of a monitor, from the older API to the current one.

use serde_json::{Map, Value, json};

/// Under both names they are the same.
const SAME: [&str; 5] = [
    "assets_dir",
    "baseline_table_name",
    "slicing_exprs",
    "skip_builtin_dashboard",
    "warehouse_id",
];

/// What the current API takes for the fields of the older one, which bundles use, too; but
/// for the schema of its tables, which it knows by its id. Nothing where a field
/// has no counterpart there.
pub(super) fn current(fields: &Value) -> Option<Map<String, Value>> {
    let mut found = Map::new();
    for (name, value) in fields.as_object()? {
        let (name, value) = match name.as_str() {
            "output_schema_name" | "table_name" => continue,
            name if SAME.contains(&name) => (name, value.clone()),
            "snapshot" => ("snapshot", json!({})),
            name @ ("time_series" | "inference_log") => (name, analysis(value)?),
            "schedule" => {
                let mut schedule = value.as_object()?.clone();
                if let Some(status) = schedule.get_mut("pause_status") {
                    *status = prefixed("CRON_SCHEDULE_PAUSE_STATUS_", "", status)?;
                }
                ("schedule", schedule.into())
            }
            // Only failures are told there.
            "notifications" if value.as_object()?.keys().all(|name| name == "on_failure") => {
                ("notification_settings", value.clone())
            }
            "custom_metrics" => {
                let metrics = value.as_array()?.iter().map(metric);
                ("custom_metrics", metrics.collect::<Option<Vec<_>>>()?.into())
            }
            _ => return None,
        };
        found.insert(name.to_owned(), value);
    }
    Some(found)
}

fn metric(fields: &Value) -> Option<Value> {
    let mut metric = fields.as_object()?.clone();
    let kind = metric.get_mut("type")?;
    *kind = prefixed("DATA_PROFILING_CUSTOM_METRIC_TYPE_", "CUSTOM_METRIC_TYPE_", kind)?;
    Some(metric.into())
}

/// The columns and windows of a time series or of an inference log.
fn analysis(fields: &Value) -> Option<Value> {
    let mut found = Map::new();
    for (name, value) in fields.as_object()? {
        let (name, value) = match name.as_str() {
            "timestamp_col" => ("timestamp_column", value.clone()),
            "prediction_col" => ("prediction_column", value.clone()),
            "label_col" => ("label_column", value.clone()),
            "model_id_col" => ("model_id_column", value.clone()),
            "problem_type" => {
                ("problem_type", prefixed("INFERENCE_PROBLEM_TYPE_", "PROBLEM_TYPE_", value)?)
            }
            "granularities" => {
                let windows = value.as_array()?.iter().map(granularity);
                ("granularities", windows.collect::<Option<Vec<_>>>()?.into())
            }
            _ => return None,
        };
        found.insert(name.to_owned(), value);
    }
    Some(found.into())
}

/// `1 day` as `AGGREGATION_GRANULARITY_1_DAY`.
fn granularity(window: &Value) -> Option<Value> {
    let words = window.as_str()?.to_ascii_uppercase().replace(' ', "_");
    prefixed("AGGREGATION_GRANULARITY_", "", &Value::from(words))
}

/// A value of an enumeration under its new prefix, which it may have already.
fn prefixed(new: &str, old: &str, value: &Value) -> Option<Value> {
    let text = value.as_str()?;
    let bare = text.strip_prefix(new).or_else(|| text.strip_prefix(old)).unwrap_or(text);
    Some(format!("{new}{bare}").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_bundles_are_those_of_the_current_api() {
        let fields = json!({
            "table_name": "main.s.t",
            "output_schema_name": "main.s",
            "assets_dir": "/Workspace/monitors",
            "inference_log": {
                "granularities": ["1 day", "AGGREGATION_GRANULARITY_4_WEEKS"],
                "timestamp_col": "at", "prediction_col": "p", "label_col": "y", "model_id_col": "m",
                "problem_type": "PROBLEM_TYPE_REGRESSION",
            },
            "schedule": {"quartz_cron_expression": "0 0 12 * * ?", "timezone_id": "UTC", "pause_status": "PAUSED"},
            "notifications": {"on_failure": {"email_addresses": ["a@b.c"]}},
            "custom_metrics": [{"name": "n", "type": "CUSTOM_METRIC_TYPE_DRIFT"}],
        });
        assert_eq!(
            Value::from(current(&fields).unwrap()),
            json!({
                "assets_dir": "/Workspace/monitors",
                "inference_log": {
                    "granularities": ["AGGREGATION_GRANULARITY_1_DAY", "AGGREGATION_GRANULARITY_4_WEEKS"],
                    "timestamp_column": "at", "prediction_column": "p", "label_column": "y", "model_id_column": "m",
                    "problem_type": "INFERENCE_PROBLEM_TYPE_REGRESSION",
                },
                "schedule": {
                    "quartz_cron_expression": "0 0 12 * * ?", "timezone_id": "UTC",
                    "pause_status": "CRON_SCHEDULE_PAUSE_STATUS_PAUSED",
                },
                "notification_settings": {"on_failure": {"email_addresses": ["a@b.c"]}},
                "custom_metrics": [{"name": "n", "type": "DATA_PROFILING_CUSTOM_METRIC_TYPE_DRIFT"}],
            })
        );
    }

    #[test]
    fn what_has_no_counterpart_is_not_left_out() {
        for fields in [
            json!({"inference_log": {"prediction_proba_col": "p"}}),
            json!({"data_classification_config": {"enabled": true}}),
            json!({"notifications": {"on_new_classification_tag_detected": {}}}),
        ] {
            assert_eq!(current(&fields), None, "{fields}");
        }
    }
}
