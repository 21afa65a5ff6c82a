-- One row an action and source that there was. Where the same action is in a log file and in an event, it is in both.
WITH done AS (
  SELECT action, 'logs' AS source, user_id FROM distinct_records WHERE action IS NOT NULL
  UNION ALL
  SELECT action, 'events' AS source, user_id FROM settled_events WHERE place = 1
),
counted AS (
  SELECT action, source, count(*) AS events, count(DISTINCT user_id) AS users FROM done GROUP BY action, source
)
SELECT c.action, c.source, c.events, c.users, run.run_id AS run_id
FROM counted AS c
CROSS JOIN run
ORDER BY c.source, c.action
