-- title: Sign-ins of a day
-- description: One row a sign-in, from log files and from the events API, as they have arrived until now; the last ones first.
-- param: date date yesterday
-- param: date date yesterday
-- param: date date yesterday
-- param: most bigint 100
SELECT
  event_timestamp,
  user_id,
  source,
  device,
  ip_address,
  app,
  source_file,
  source_line
FROM (
  SELECT
    signed_in.*,
    row_number() OVER (ORDER BY event_timestamp DESC, source, source_file, source_line, user_id) AS place
  FROM (
    SELECT event_timestamp, user_id, source, device, ip_address, app, source_file, source_line
    FROM logins
    WHERE year = substr(?, 1, 4) AND month = substr(?, 6, 2) AND day = substr(?, 9, 2)
  ) AS signed_in
) AS placed
WHERE place <= CAST(? AS bigint)
ORDER BY place
