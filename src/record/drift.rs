//! `drift_results`: one row per column of each drift check, and of its slices
//! and windows. Where Databricks' own drift tables have a scalar column for a
//! value, ours has its name.

use super::{Cell, Column, Row};
use crate::stats::numeric::Tested;

/// Which rows a result is about; all of them when nothing is named.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DriftScope {
    /// Whether it was compared with the window before.
    pub is_consecutive: bool,
    pub window_start: Option<String>,
    /// Where it ends, if that is a time.
    pub window_end: Option<String>,
    pub granularity: Option<String>,
    /// A column and its value, or a condition and `true`.
    pub slice: Option<(String, String)>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct DriftRow {
    pub event_id: String,
    pub baseline: String,
    pub current: String,
    pub window: String,
    pub scope: DriftScope,
    pub column: String,
    pub kind: &'static str,
    pub count_delta: f64,
    pub mean_delta: Option<f64>,
    pub null_share_baseline: f64,
    pub null_share_current: f64,
    /// In percent of the rows, the current side less the baseline.
    pub percent_zeros_delta: Option<f64>,
    pub percent_distinct_delta: Option<f64>,
    pub psi: Option<f64>,
    pub js_distance: Option<f64>,
    pub tv_distance: Option<f64>,
    pub l_infinity_distance: Option<f64>,
    /// In deviations of the baseline.
    pub wasserstein_distance: Option<f64>,
    pub ks: Option<Tested>,
    pub chi_squared: Option<Tested>,
    /// The statistic that decided.
    pub statistic: Option<&'static str>,
    /// Its value beyond chance.
    pub effect: Option<f64>,
    pub threshold: f64,
    /// Adjusted for all questions of the check.
    pub p_value: f64,
    pub state: &'static str,
    pub reason: String,
    pub drifted: bool,
    /// What was done about the table.
    pub decision: &'static str,
    pub at: String,
}

impl Row for DriftRow {
    const TABLE: &'static str = "drift_results";
    const ABOUT: &'static str = "A row per column of each drift check, and of each of its slices and windows. Where Databricks' own drift tables have a scalar column for a value, ours has its name; a view of the starter project has their whole layout.";
    const COLUMNS: &'static [Column] = &[
        ("event_id", "STRING", "identifies the row for ever; a repetition adds none"),
        ("baseline", "STRING", "what was compared with"),
        ("current", "STRING", "what was looked at"),
        ("window_id", "STRING", "the stretch of data"),
        ("drift_type", "STRING", "`BASELINE`, or `CONSECUTIVE` against the window before"),
        ("window_start", "STRING", "where a window of `drift.windows` begins; null for all rows"),
        ("window_end", "STRING", "where it ends, if that is a time"),
        ("granularity", "STRING", "how long such a window is"),
        ("slice_key", "STRING", "the column or condition of a slice; null for all rows"),
        ("slice_value", "STRING", "the column's value, or `true`"),
        ("column_name", "STRING", "the column, or what was made from it"),
        ("kind", "STRING", "what kind of values it has"),
        ("count_delta", "DOUBLE", "rows of the current side less those of the baseline"),
        ("avg_delta", "DOUBLE", "mean of the current side less that of the baseline"),
        ("null_share_baseline", "DOUBLE", "share of nulls in the baseline"),
        ("null_share_current", "DOUBLE", "share of nulls in the current side"),
        ("percent_zeros_delta", "DOUBLE", "percent of zeros, less that of the baseline"),
        (
            "percent_distinct_delta",
            "DOUBLE",
            "different values in percent of the rows, less that of the baseline; beyond 8,192 an estimate",
        ),
        ("population_stability_index", "DOUBLE", "as computed, chance included"),
        ("js_distance", "DOUBLE", "as computed, chance included"),
        ("tv_distance", "DOUBLE", "total variation"),
        ("l_infinity_distance", "DOUBLE", "largest difference of a share"),
        ("wasserstein_distance", "DOUBLE", "in deviations of the baseline"),
        ("ks_statistic", "DOUBLE", "largest distance of the distribution functions"),
        ("ks_pvalue", "DOUBLE", "of that distance"),
        ("chi_squared_statistic", "DOUBLE", "of the table of both sides"),
        ("chi_squared_pvalue", "DOUBLE", "of that statistic"),
        ("statistic", "STRING", "the one that decided"),
        ("effect", "DOUBLE", "its value beyond chance"),
        ("threshold", "DOUBLE", "from which on it is drift"),
        ("p_value", "DOUBLE", "adjusted for all questions of the check"),
        ("state", "STRING", "the column's: `none`, `watch`, `drift`, `broken`, `inconclusive`"),
        ("reason", "STRING", "why, in one sentence with its numbers"),
        ("drifted", "BOOLEAN", "whether the state is `drift`"),
        ("decision", "STRING", "what was done about the table"),
        ("at", "STRING", "when, RFC 3339 in UTC"),
    ];

    fn cells(&self) -> Vec<Cell> {
        let statistic = |tested: Option<Tested>| Cell::Number(tested.map(|test| test.statistic));
        let scope = &self.scope;
        let p_value = |tested: Option<Tested>| Cell::Number(tested.map(|test| test.p_value));
        vec![
            Cell::text(&self.event_id),
            Cell::text(&self.baseline),
            Cell::text(&self.current),
            Cell::text(&self.window),
            Cell::text(if scope.is_consecutive { "CONSECUTIVE" } else { "BASELINE" }),
            Cell::Text(scope.window_start.clone()),
            Cell::Text(scope.window_end.clone()),
            Cell::Text(scope.granularity.clone()),
            Cell::Text(scope.slice.as_ref().map(|(key, _)| key.clone())),
            Cell::Text(scope.slice.as_ref().map(|(_, value)| value.clone())),
            Cell::text(&self.column),
            Cell::text(self.kind),
            Cell::Number(Some(self.count_delta)),
            Cell::Number(self.mean_delta),
            Cell::Number(Some(self.null_share_baseline)),
            Cell::Number(Some(self.null_share_current)),
            Cell::Number(self.percent_zeros_delta),
            Cell::Number(self.percent_distinct_delta),
            Cell::Number(self.psi),
            Cell::Number(self.js_distance),
            Cell::Number(self.tv_distance),
            Cell::Number(self.l_infinity_distance),
            Cell::Number(self.wasserstein_distance),
            statistic(self.ks),
            p_value(self.ks),
            statistic(self.chi_squared),
            p_value(self.chi_squared),
            Cell::Text(self.statistic.map(str::to_owned)),
            Cell::Number(self.effect),
            Cell::Number(Some(self.threshold)),
            Cell::Number(Some(self.p_value)),
            Cell::text(self.state),
            Cell::text(&self.reason),
            Cell::Flag(self.drifted),
            Cell::text(self.decision),
            Cell::text(&self.at),
        ]
    }
}
