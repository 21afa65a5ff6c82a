-- title: The books
-- description: For each day and format, what came in and what became of it: in = published + duplicates + rejected. An attempt at a day that failed is a row of its own.
-- param: from date 1970-01-01
-- param: to date 9999-12-31
SELECT
  date,
  raw_format,
  outcome,
  files,
  records_in,
  published,
  duplicates,
  rejected,
  CASE
    WHEN outcome = 'failed' THEN 'OUT OF BALANCE'
    WHEN records_in = published + duplicates + rejected THEN 'balanced'
    ELSE 'OUT OF BALANCE'
  END AS books
FROM data_quality
WHERE date BETWEEN CAST(? AS date) AND CAST(? AS date)
ORDER BY date, raw_format, outcome DESC
