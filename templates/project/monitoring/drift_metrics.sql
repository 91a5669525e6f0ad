-- What `drift-check` recorded in the layout of the `_drift_metrics` tables that Databricks'
-- data profiling writes, and our verdict behind it: queries and dashboards that were made
-- for those read it as it is. Run it once in the SQL editor.
CREATE OR REPLACE VIEW main.flights.drift_metrics AS
SELECT
  CASE WHEN r.window_end IS NOT NULL THEN named_struct(
    'start', CAST(r.window_start AS TIMESTAMP),
    'end', CAST(r.window_end AS TIMESTAMP)
  ) END AS window,
  r.granularity,
  CAST(NULL AS BIGINT) AS monitor_version,
  r.slice_key,
  r.slice_value,
  r.column_name,
  r.kind AS data_type,
  CASE WHEN r.window_end IS NOT NULL AND r.drift_type = 'CONSECUTIVE' THEN named_struct(
    'start', CAST(r.window_start AS TIMESTAMP) - (CAST(r.window_end AS TIMESTAMP) - CAST(r.window_start AS TIMESTAMP)),
    'end', CAST(r.window_start AS TIMESTAMP)
  ) END AS window_cmp,
  r.drift_type,
  r.count_delta,
  r.avg_delta,
  100 * (r.null_share_current - r.null_share_baseline) AS percent_null_delta,
  r.percent_zeros_delta,
  r.percent_distinct_delta,
  r.js_distance,
  CASE WHEN r.ks_statistic IS NOT NULL THEN named_struct(
    'statistic', r.ks_statistic, 'pvalue', r.ks_pvalue
  ) END AS ks_test,
  r.wasserstein_distance,
  r.population_stability_index,
  CASE WHEN r.chi_squared_statistic IS NOT NULL THEN named_struct(
    'statistic', r.chi_squared_statistic, 'pvalue', r.chi_squared_pvalue
  ) END AS chi_squared_test,
  r.tv_distance,
  r.l_infinity_distance,
  r.baseline,
  r.current AS table_name,
  r.statistic,
  r.effect,
  r.threshold,
  r.p_value,
  r.state,
  r.reason,
  CAST(r.`at` AS TIMESTAMP) AS checked_at
FROM main.flights.drift_results AS r
