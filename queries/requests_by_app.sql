-- title: Requests by application
-- description: Published records, errors and 95th percentile of the duration of each application, over some days.
-- param: from date 1970-01-01
-- param: to date 9999-12-31
SELECT
  app_name,
  log_type,
  sum(requests) AS requests,
  sum(errors_4xx) AS errors_4xx,
  sum(errors_5xx) AS errors_5xx,
  max(p95_duration_ms) AS slowest_hour_p95_ms
FROM hourly_activity
WHERE date BETWEEN CAST(? AS date) AND CAST(? AS date)
GROUP BY app_name, log_type
ORDER BY requests DESC, app_name, log_type
LIMIT 10
