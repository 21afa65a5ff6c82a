-- title: Activity by hour
-- description: Published records, errors, clients and durations of each UTC hour, application and log type.
-- param: from date yesterday
-- param: to date yesterday
SELECT
  date,
  hour,
  app_name,
  log_type,
  requests,
  errors_4xx,
  errors_5xx,
  unique_ips,
  p50_duration_ms,
  p95_duration_ms
FROM hourly_activity
WHERE date BETWEEN CAST(? AS date) AND CAST(? AS date)
ORDER BY date, hour, app_name, log_type
