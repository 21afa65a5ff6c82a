-- title: Sign-ins
-- description: One row a sign-in, from log files and from the events API, each once: as gold counts them, but as they have arrived until now.
SELECT
  event_timestamp,
  user_id,
  'logs' AS source,
  device,
  ip_address,
  app_name AS app,
  source_file,
  source_line,
  year,
  month,
  day
FROM (
  SELECT
    counted.*,
    row_number() OVER (PARTITION BY year, month, day, log_id, occurrence ORDER BY copies DESC, source_file) AS copy
  FROM (
    SELECT
      event_timestamp, user_id, device, ip_address, app_name, source_file, source_line, log_id, year, month, day,
      row_number() OVER (PARTITION BY year, month, day, log_id, source_file ORDER BY source_line) AS occurrence,
      count(*) OVER (PARTITION BY year, month, day, log_id, source_file) AS copies
    FROM logs
    WHERE action = 'login'
  ) AS counted
) AS once
WHERE copy = 1
UNION ALL
SELECT
  event_timestamp,
  user_id,
  'events' AS source,
  device,
  ip_address,
  client_id AS app,
  'events/' || client_id AS source_file,
  CAST(position AS bigint) AS source_line,
  year,
  month,
  day
FROM (
  SELECT
    event_timestamp, user_id, action, device, ip_address, client_id, position, year, month, day,
    row_number() OVER (
      PARTITION BY year, month, day, client_id, event_id ORDER BY received_at, request_id, position
    ) AS place
  FROM events
) AS received
WHERE place = 1 AND action = 'login'
