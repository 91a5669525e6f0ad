-- One row per column and check, and of its slices and windows (`slice_key` and
-- `window_start` are null for all rows), with typed times and no nested values,
-- for Power BI in Import or DirectQuery mode. Run it once in the SQL editor.
CREATE OR REPLACE VIEW main.flights.drift_for_power_bi AS
SELECT
  r.event_id,
  CAST(r.`at` AS TIMESTAMP) AS checked_at,
  CAST(CAST(r.`at` AS TIMESTAMP) AS DATE) AS checked_on,
  r.baseline,
  r.current AS table_name,
  r.window_id,
  r.drift_type,
  r.window_start,
  r.granularity,
  r.slice_key,
  r.slice_value,
  r.column_name,
  r.kind,
  r.state AS column_state,
  d.state AS table_state,
  d.reaction,
  d.reason AS table_reason,
  d.run_url,
  r.statistic,
  r.effect,
  r.threshold,
  r.effect / r.threshold AS share_of_threshold,
  r.p_value,
  r.population_stability_index,
  r.js_distance,
  r.wasserstein_distance,
  r.ks_statistic,
  r.count_delta,
  r.avg_delta,
  r.null_share_baseline,
  r.null_share_current,
  r.reason
FROM main.flights.drift_results AS r
LEFT JOIN main.flights.drift_decisions AS d
  ON d.phase = 'outcome' AND d.window_id = r.window_id AND d.baseline = r.baseline AND d.current = r.current
