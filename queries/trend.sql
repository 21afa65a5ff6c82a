-- title: Trend
-- description: Published records of each day: by how many percent they are more or fewer than on the day before, if that is among the days asked for; their average over the days of the week up to it; the share of errors.
-- param: from date 1970-01-01
-- param: to date 9999-12-31
SELECT
  date,
  total_requests,
  CASE
    WHEN lag(date) OVER (ORDER BY date) = CAST(date - INTERVAL '1' DAY AS date)
      THEN round(100.0 * (total_requests - lag(total_requests) OVER (ORDER BY date))
        / nullif(CAST(lag(total_requests) OVER (ORDER BY date) AS double), 0), 1)
  END AS change_percent,
  round(avg(CAST(total_requests AS double))
    OVER (ORDER BY date RANGE BETWEEN INTERVAL '6' DAY PRECEDING AND CURRENT ROW), 1) AS seven_day_average,
  round(error_rate, 4) AS error_rate
FROM daily_activity
WHERE date BETWEEN CAST(? AS date) AND CAST(? AS date)
ORDER BY date
