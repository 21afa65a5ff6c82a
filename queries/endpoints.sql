-- title: Endpoints
-- description: What was asked for most: published records, errors, and the 95th percentile of the duration on the slowest day (and of the slowest status class). `(other)` is all that is not among the 1,000 most frequent of a day.
-- param: from date yesterday
-- param: to date yesterday
-- param: most bigint 100
SELECT
  app_name,
  request_type,
  endpoint,
  requests,
  errors,
  error_rate,
  p95_duration_ms
FROM (
  SELECT
    summed.*,
    CAST(errors AS double) / CAST(requests AS double) AS error_rate,
    row_number() OVER (ORDER BY requests DESC, app_name, request_type, endpoint) AS place
  FROM (
    SELECT
      app_name,
      request_type,
      endpoint,
      CAST(sum(requests) AS bigint) AS requests,
      CAST(sum(errors) AS bigint) AS errors,
      max(p95_duration_ms) AS p95_duration_ms
    FROM endpoint_activity
    WHERE date BETWEEN CAST(? AS date) AND CAST(? AS date)
    GROUP BY app_name, request_type, endpoint
  ) AS summed
) AS placed
WHERE place <= CAST(? AS bigint)
ORDER BY place
