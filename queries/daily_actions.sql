-- title: What users did
-- description: How often each action was done and by how many users, over some days: from log files, and from the events API.
-- param: from date 1970-01-01
-- param: to date 9999-12-31
SELECT
  date,
  action,
  source,
  events,
  users
FROM daily_actions
WHERE date BETWEEN CAST(? AS date) AND CAST(? AS date)
ORDER BY date, source, events DESC, action
