-- title: Errors by endpoint
-- description: Where the errors of a day are, by application, method, endpoint and status class; the most first. `(other)` is all that is not among the day's 1,000 most frequent.
-- param: date date yesterday
-- param: most bigint 1000
SELECT
  app_name,
  request_type,
  endpoint,
  status_class,
  errors
FROM (
  SELECT
    app_name,
    request_type,
    endpoint,
    status_class,
    errors,
    row_number() OVER (ORDER BY errors DESC, app_name, request_type, endpoint, status_class) AS place
  FROM endpoint_activity
  WHERE date = CAST(? AS date) AND errors > 0
) AS placed
WHERE place <= CAST(? AS bigint)
ORDER BY place
