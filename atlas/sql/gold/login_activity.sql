-- One row a quarter of an hour, source and user with a sign-in. What is in a log file and in an event is in both.
WITH done AS (
  SELECT event_timestamp, 'logs' AS source, user_id FROM distinct_records WHERE action = 'login'
  UNION ALL
  SELECT event_timestamp, 'events' AS source, user_id FROM settled_events WHERE place = 1 AND action = 'login'
),
placed AS (
  SELECT
    date_trunc('hour', event_timestamp) + CASE
      WHEN minute(event_timestamp) < 15 THEN INTERVAL '0' MINUTE
      WHEN minute(event_timestamp) < 30 THEN INTERVAL '15' MINUTE
      WHEN minute(event_timestamp) < 45 THEN INTERVAL '30' MINUTE
      ELSE INTERVAL '45' MINUTE
    END AS quarter,
    source,
    user_id
  FROM done
),
counted AS (
  SELECT quarter, source, user_id, count(*) AS logins FROM placed GROUP BY quarter, source, user_id
)
SELECT c.quarter, c.source, c.user_id, c.logins, run.run_id AS run_id
FROM counted AS c
CROSS JOIN run
ORDER BY c.quarter, c.source, c.user_id
