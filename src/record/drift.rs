//! `drift_results`: one row per column of each drift check. Where Databricks'
//! own drift tables have a scalar column for a value, ours has its name.

use super::{Cell, Row};
use crate::stats::numeric::Tested;

#[derive(Debug, Clone, PartialEq)]
pub struct DriftRow {
    pub event_id: String,
    pub baseline: String,
    pub current: String,
    pub window: String,
    pub column: String,
    pub kind: &'static str,
    pub count_delta: f64,
    pub mean_delta: Option<f64>,
    pub null_share_baseline: f64,
    pub null_share_current: f64,
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
    const COLUMNS: &'static [(&'static str, &'static str)] = &[
        ("event_id", "STRING"),
        ("baseline", "STRING"),
        ("current", "STRING"),
        ("window_id", "STRING"),
        ("column_name", "STRING"),
        ("kind", "STRING"),
        ("count_delta", "DOUBLE"),
        ("avg_delta", "DOUBLE"),
        ("null_share_baseline", "DOUBLE"),
        ("null_share_current", "DOUBLE"),
        ("population_stability_index", "DOUBLE"),
        ("js_distance", "DOUBLE"),
        ("tv_distance", "DOUBLE"),
        ("l_infinity_distance", "DOUBLE"),
        ("wasserstein_distance", "DOUBLE"),
        ("ks_statistic", "DOUBLE"),
        ("ks_pvalue", "DOUBLE"),
        ("chi_squared_statistic", "DOUBLE"),
        ("chi_squared_pvalue", "DOUBLE"),
        ("statistic", "STRING"),
        ("effect", "DOUBLE"),
        ("threshold", "DOUBLE"),
        ("p_value", "DOUBLE"),
        ("state", "STRING"),
        ("reason", "STRING"),
        ("drifted", "BOOLEAN"),
        ("decision", "STRING"),
        ("at", "STRING"),
    ];

    fn cells(&self) -> Vec<Cell> {
        let statistic = |tested: Option<Tested>| Cell::Number(tested.map(|test| test.statistic));
        let p_value = |tested: Option<Tested>| Cell::Number(tested.map(|test| test.p_value));
        vec![
            Cell::text(&self.event_id),
            Cell::text(&self.baseline),
            Cell::text(&self.current),
            Cell::text(&self.window),
            Cell::text(&self.column),
            Cell::text(self.kind),
            Cell::Number(Some(self.count_delta)),
            Cell::Number(self.mean_delta),
            Cell::Number(Some(self.null_share_baseline)),
            Cell::Number(Some(self.null_share_current)),
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
