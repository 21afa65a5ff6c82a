-- title: Error rate by application
-- description: Published records of each day and application, those with a status of 400 to 499 and of 500 to 599, and the share of both; the most of the latter first.
-- param: from date 1970-01-01
-- param: to date 9999-12-31
SELECT
  date,
  app_name,
  sum(requests) AS requests,
  sum(errors_4xx) AS errors_4xx,
  sum(errors_5xx) AS errors_5xx,
  round(CAST(sum(errors_4xx + errors_5xx) AS double) / CAST(sum(requests) AS double), 4) AS error_rate
FROM hourly_activity
WHERE date BETWEEN CAST(? AS date) AND CAST(? AS date)
GROUP BY date, app_name
ORDER BY date, errors_5xx DESC, errors_4xx DESC, requests DESC, app_name
