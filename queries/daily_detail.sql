-- title: Activity by day, in full
-- description: Everything that daily_activity has of each day; its maps as JSON.
-- param: from date 1970-01-01
-- param: to date 9999-12-31
SELECT
  date,
  day_of_week,
  total_requests,
  total_errors,
  error_rate,
  unique_ips,
  json_format(CAST(requests_by_device AS json)) AS requests_by_device,
  json_format(CAST(requests_by_type AS json)) AS requests_by_type,
  json_format(CAST(requests_by_status AS json)) AS requests_by_status,
  json_format(CAST(requests_by_app AS json)) AS requests_by_app,
  run_id
FROM daily_activity
WHERE date BETWEEN CAST(? AS date) AND CAST(? AS date)
ORDER BY date
