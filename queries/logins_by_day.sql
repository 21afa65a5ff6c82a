-- title: Sign-ins by day
-- description: How often users signed in on each day, and how many of them: by log files, and by the events API.
-- param: from date 1970-01-01
-- param: to date 9999-12-31
SELECT
  date,
  source,
  sum(logins) AS logins,
  count(DISTINCT user_id) AS users
FROM login_activity
WHERE date BETWEEN CAST(? AS date) AND CAST(? AS date)
GROUP BY date, source
ORDER BY date, source
