-- title: Activity by day
-- description: Published records, errors and clients of each day.
-- param: from date 1970-01-01
-- param: to date 9999-12-31
SELECT
  date,
  day_of_week,
  total_requests,
  total_errors,
  round(error_rate, 4) AS error_rate,
  unique_ips
FROM daily_activity
WHERE date BETWEEN CAST(? AS date) AND CAST(? AS date)
ORDER BY date
