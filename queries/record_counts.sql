-- title: Records by log type
-- description: Published records of a day by log type, how many applications they come from, and how many have a status of 400 or above.
-- param: date date yesterday
SELECT
  log_type,
  count(DISTINCT app_name) AS apps,
  sum(requests) AS requests,
  sum(errors_4xx + errors_5xx) AS errors
FROM hourly_activity
WHERE date = CAST(? AS date)
GROUP BY log_type
ORDER BY requests DESC, log_type
