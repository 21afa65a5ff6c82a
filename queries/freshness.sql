-- title: Freshness
-- description: The last day that is published up to `today`, how many whole days are missing after it, and how many of the 30 days before `today` are published and how many are not.
-- param: today date today
-- param: today date today
-- Athena takes parameters in WHERE only: the calendar is how `today` comes into the answer. A sequence has 10,000 items
-- at most.
WITH calendar AS (
  SELECT today
  FROM UNNEST(sequence(DATE '2020-01-01', DATE '2045-12-31')) AS days (today)
  WHERE today = CAST(? AS date)
),
published AS (
  SELECT DISTINCT date
  FROM data_quality
  WHERE date <= CAST(? AS date) AND outcome = 'published'
)
SELECT
  max(p.date) AS last_published,
  CASE
    WHEN date_diff('day', max(p.date), c.today) > 1 THEN date_diff('day', max(p.date), c.today) - 1
    WHEN max(p.date) IS NOT NULL THEN 0
  END AS days_behind,
  count(CASE WHEN date_diff('day', p.date, c.today) BETWEEN 1 AND 30 THEN 1 END) AS days_published,
  30 - count(CASE WHEN date_diff('day', p.date, c.today) BETWEEN 1 AND 30 THEN 1 END) AS days_missing
FROM calendar AS c
LEFT JOIN published AS p ON TRUE
GROUP BY c.today
