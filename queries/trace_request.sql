-- title: A request, traced to its source
-- description: Every record of a day that has a request id, with the file and line it came from: in silver, among events, and among what was refused (of a refused record by its text).
-- param: date date yesterday
-- param: date date yesterday
-- param: date date yesterday
-- param: request_id string none
-- param: date date yesterday
-- param: date date yesterday
-- param: date date yesterday
-- param: request_id string none
-- param: date date yesterday
-- param: date date yesterday
-- param: date date yesterday
-- param: request_id string none
-- param: request_id string none
SELECT
  'log record' AS what,
  event_timestamp,
  source_file,
  source_line,
  log_type || coalesce(': ' || app_name, '') AS log_type_or_client,
  request_type || ' ' || endpoint AS endpoint,
  status_code,
  coalesce(message, action) AS detail
FROM logs
WHERE year = substr(?, 1, 4) AND month = substr(?, 6, 2) AND day = substr(?, 9, 2) AND request_id = ?
UNION ALL
SELECT
  'event' AS what,
  event_timestamp,
  'events/' || client_id AS source_file,
  CAST(position AS bigint) AS source_line,
  client_id AS log_type_or_client,
  NULL AS endpoint,
  NULL AS status_code,
  action AS detail
FROM events
WHERE year = substr(?, 1, 4) AND month = substr(?, 6, 2) AND day = substr(?, 9, 2) AND request_id = ?
UNION ALL
SELECT
  'refused' AS what,
  event_timestamp,
  source_file,
  source_line,
  raw_format AS log_type_or_client,
  NULL AS endpoint,
  NULL AS status_code,
  reason || coalesce(': ' || detail, '') AS detail
FROM rejected_records
WHERE year = substr(?, 1, 4) AND month = substr(?, 6, 2) AND day = substr(?, 9, 2)
  AND (request_id = ? OR strpos(raw, nullif(?, '')) > 0)
ORDER BY event_timestamp, what, source_file, source_line
