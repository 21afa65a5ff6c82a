-- title: Status by hour
-- description: Published records of each UTC hour of a day, by whether their status is 400 to 499, 500 to 599, or another or none.
-- param: date date yesterday
SELECT
  hour,
  sum(requests) AS requests,
  sum(errors_4xx) AS errors_4xx,
  sum(errors_5xx) AS errors_5xx,
  sum(requests - errors_4xx - errors_5xx) AS other
FROM hourly_activity
WHERE date = CAST(? AS date)
GROUP BY hour
ORDER BY hour
