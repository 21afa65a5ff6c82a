-- One row an hour, application and log type that had records.
SELECT
  CAST(hour(event_timestamp) AS INT) AS hour,
  coalesce(app_name, '(none)') AS app_name,
  log_type,
  count(*) AS requests,
  CAST(count_if(status_code BETWEEN 400 AND 499) AS BIGINT) AS errors_4xx,
  CAST(count_if(status_code BETWEEN 500 AND 599) AS BIGINT) AS errors_5xx,
  count(DISTINCT ip_address) AS unique_ips,
  percentile_cont(0.5) WITHIN GROUP (ORDER BY duration_ms) AS p50_duration_ms,
  percentile_cont(0.95) WITHIN GROUP (ORDER BY duration_ms) AS p95_duration_ms
FROM distinct_records
GROUP BY 1, 2, 3
ORDER BY 1, 2, 3
