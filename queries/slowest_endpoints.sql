-- title: Slowest endpoints
-- description: By the 95th percentile of the duration on the slowest day (and of the slowest status class), among endpoints with at least so many records.
-- param: from date yesterday
-- param: to date yesterday
-- param: least bigint 10
-- param: most bigint 20
SELECT
  app_name,
  request_type,
  endpoint,
  requests,
  p95_duration_ms,
  slowest_day
FROM (
  SELECT
    summed.*,
    row_number() OVER (ORDER BY p95_duration_ms DESC, app_name, request_type, endpoint) AS place
  FROM (
    SELECT
      app_name,
      request_type,
      endpoint,
      CAST(sum(requests) AS bigint) AS requests,
      max(p95_duration_ms) AS p95_duration_ms,
      max_by(date, p95_duration_ms) AS slowest_day
    FROM endpoint_activity
    WHERE date BETWEEN CAST(? AS date) AND CAST(? AS date)
    GROUP BY app_name, request_type, endpoint
  ) AS summed
  WHERE requests >= CAST(? AS bigint) AND p95_duration_ms IS NOT NULL
) AS placed
WHERE place <= CAST(? AS bigint)
ORDER BY place
