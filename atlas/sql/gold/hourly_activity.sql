-- One row an hour, application and log type that had records. Percentiles are durations that were measured, not points
-- between two of them: those would come out of other rounding on other engines and processors.
WITH hours AS (
  SELECT
    CAST(hour(event_timestamp) AS INT) AS hour,
    coalesce(app_name, '(none)') AS app_name,
    log_type,
    count(*) AS requests,
    count(CASE WHEN status_code BETWEEN 400 AND 499 THEN 1 END) AS errors_4xx,
    count(CASE WHEN status_code BETWEEN 500 AND 599 THEN 1 END) AS errors_5xx,
    count(DISTINCT ip_address) AS unique_ips,
    percentile_disc(0.5) WITHIN GROUP (ORDER BY duration_ms) AS p50_duration_ms,
    percentile_disc(0.95) WITHIN GROUP (ORDER BY duration_ms) AS p95_duration_ms
  FROM distinct_records
  GROUP BY 1, 2, 3
)
SELECT h.*, run.run_id AS run_id
FROM hours AS h
CROSS JOIN run
ORDER BY h.hour, h.app_name, h.log_type
