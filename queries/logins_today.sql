-- title: Sign-ins of a day, as of now
-- description: How often users signed in from one instant until before another, today's UTC day by default, and how many of them. `events` counts what the events API has delivered until now, `logs` what is published of log files, `all` both together, whose users are counted once. Both instants are at quarters of an hour, as where days begin in every time zone; what the log files say is counted by quarters.
-- param: from timestamp today
-- param: to timestamp tomorrow
-- param: from timestamp today
-- param: from timestamp today
-- param: to timestamp tomorrow
-- param: from timestamp today
-- param: from timestamp today
-- param: to timestamp tomorrow
-- param: to timestamp tomorrow
-- param: from timestamp today
-- param: from timestamp today
-- param: to timestamp tomorrow
-- param: from timestamp today
-- param: to timestamp tomorrow
-- param: from timestamp today
-- param: to timestamp tomorrow
-- The partitions of `events` are reckoned from plain predicates on year, month and day. A local day of 25 hours touches
-- three UTC days at most: the first, that of twelve hours later, the last. Longer spans go by the year alone.
WITH arrived AS (
  SELECT
    user_id,
    action,
    event_timestamp,
    row_number() OVER (
      PARTITION BY year, month, day, client_id, event_id ORDER BY received_at, request_id, position
    ) AS place
  FROM events
  WHERE year BETWEEN substr(?, 1, 4) AND substr(?, 1, 4)
    AND (
      (
        month IN (
          substr(?, 6, 2),
          substr(CAST(CAST(CAST(? AS timestamp) + INTERVAL '12' HOUR AS date) AS varchar), 6, 2),
          substr(CAST(CAST(CAST(? AS timestamp) - INTERVAL '1' SECOND AS date) AS varchar), 6, 2)
        )
        AND day IN (
          substr(?, 9, 2),
          substr(CAST(CAST(CAST(? AS timestamp) + INTERVAL '12' HOUR AS date) AS varchar), 9, 2),
          substr(CAST(CAST(CAST(? AS timestamp) - INTERVAL '1' SECOND AS date) AS varchar), 9, 2)
        )
      )
      OR CAST(? AS timestamp) > CAST(? AS timestamp) + INTERVAL '25' HOUR
    )
),
signed_in AS (
  SELECT 'events' AS source, user_id, 1 AS logins
  FROM arrived
  WHERE place = 1 AND action = 'login'
    AND event_timestamp >= CAST(? AS timestamp) AND event_timestamp < CAST(? AS timestamp)
  UNION ALL
  SELECT source, user_id, logins
  FROM login_activity
  WHERE date BETWEEN CAST(CAST(? AS timestamp) AS date) AND CAST(CAST(? AS timestamp) AS date)
    AND source = 'logs'
    AND quarter >= CAST(? AS timestamp) AND quarter < CAST(? AS timestamp)
)
SELECT
  l.label AS source,
  CAST(coalesce(sum(s.logins), 0) AS bigint) AS logins,
  count(DISTINCT s.user_id) AS users
FROM (VALUES ('logs'), ('events'), ('all')) AS l (label)
LEFT JOIN signed_in AS s ON l.label IN (s.source, 'all')
GROUP BY l.label
ORDER BY source
