-- title: The last errors of a day
-- description: Records with status 400 or above, or level ERROR or worse, the last ones first. A record that several files hold is here once.
-- param: date date yesterday
-- param: date date yesterday
-- param: date date yesterday
-- param: most bigint 20
SELECT
  event_timestamp,
  log_type,
  app_name,
  status_code,
  level,
  request_type,
  endpoint,
  message,
  source_file,
  source_line
FROM (
  SELECT
    once.*,
    row_number() OVER (ORDER BY event_timestamp DESC, source_file, source_line) AS place
  FROM (
    SELECT
      failed.*,
      row_number() OVER (PARTITION BY log_id, occurrence ORDER BY copies DESC, source_file) AS copy
    FROM (
      SELECT
        log_id, event_timestamp, log_type, app_name, status_code, level, request_type, endpoint, message,
        source_file, source_line,
        row_number() OVER (PARTITION BY log_id, source_file ORDER BY source_line) AS occurrence,
        count(*) OVER (PARTITION BY log_id, source_file) AS copies
      FROM logs
      WHERE year = substr(?, 1, 4) AND month = substr(?, 6, 2) AND day = substr(?, 9, 2)
        AND (status_code >= 400 OR level IN ('ERROR', 'CRITICAL', 'FATAL'))
    ) AS failed
  ) AS once
  WHERE copy = 1
) AS placed
WHERE place <= CAST(? AS bigint)
ORDER BY place
