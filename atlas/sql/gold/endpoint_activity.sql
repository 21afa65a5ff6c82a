-- The 1,000 most frequent of what was asked for, and one row (other) of all the rest: no request is in neither. Which of
-- equally frequent ones are among them is decided by their names. The rest may be as many as there are records, so none
-- of them has a percentile, and they are cut off by order and limit: a window's rank would bring all to one task.
WITH asked AS (
  SELECT
    coalesce(app_name, '(none)') AS app_name,
    coalesce(request_type, '(none)') AS request_type,
    coalesce(endpoint, '(none)') AS endpoint,
    coalesce(substring(CAST(status_code AS STRING), 1, 1) || 'xx', '(none)') AS status_class,
    CASE WHEN status_code >= 400 OR level IN ('ERROR', 'CRITICAL', 'FATAL') THEN 1 END AS failed,
    duration_ms
  FROM distinct_records
),
most AS (
  SELECT app_name, request_type, endpoint, status_class, count(*) AS requests
  FROM asked
  GROUP BY app_name, request_type, endpoint, status_class
  ORDER BY requests DESC, app_name, request_type, endpoint, status_class
  LIMIT 1000
),
placed AS (
  SELECT
    coalesce(m.app_name, '(other)') AS app_name,
    coalesce(m.request_type, '(other)') AS request_type,
    coalesce(m.endpoint, '(other)') AS endpoint,
    coalesce(m.status_class, '(other)') AS status_class,
    a.failed,
    CASE WHEN m.app_name IS NOT NULL THEN a.duration_ms END AS duration_ms
  FROM asked AS a
  LEFT JOIN most AS m
    ON m.app_name = a.app_name
    AND m.request_type = a.request_type
    AND m.endpoint = a.endpoint
    AND m.status_class = a.status_class
),
counted AS (
  SELECT
    app_name,
    request_type,
    endpoint,
    status_class,
    count(*) AS requests,
    count(failed) AS errors,
    percentile_disc(0.95) WITHIN GROUP (ORDER BY duration_ms) AS p95_duration_ms
  FROM placed
  GROUP BY app_name, request_type, endpoint, status_class
)
SELECT c.*, run.run_id AS run_id
FROM counted AS c
CROSS JOIN run
ORDER BY c.requests DESC, c.app_name, c.request_type, c.endpoint, c.status_class
