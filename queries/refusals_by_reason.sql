-- title: Refusals by reason and file
-- description: How many records of each file were refused, for which reason, and where the first of them is.
-- param: from date 1970-01-01
-- param: to date 9999-12-31
-- param: from date 1970-01-01
-- param: to date 9999-12-31
SELECT
  reason,
  raw_format,
  source_file,
  count(*) AS records,
  min(source_line) AS first_line
FROM rejected_records
WHERE year BETWEEN substr(?, 1, 4) AND substr(?, 1, 4)
  AND CAST(year || '-' || month || '-' || day AS date) BETWEEN CAST(? AS date) AND CAST(? AS date)
GROUP BY reason, raw_format, source_file
ORDER BY records DESC, reason, raw_format, source_file
