-- title: Refused records
-- description: Every record that was refused, with its reason, its place and its text; the first `most` of `in_all`.
-- param: from date 1970-01-01
-- param: to date 9999-12-31
-- param: most bigint 9223372036854775807
SELECT
  date,
  reason,
  detail,
  raw_format,
  source_file,
  source_line,
  raw,
  in_all
FROM (
  SELECT
    CAST(year || '-' || month || '-' || day AS date) AS date,
    reason,
    detail,
    raw_format,
    source_file,
    source_line,
    raw,
    count(*) OVER () AS in_all,
    row_number() OVER (ORDER BY year, month, day, source_file, source_line, reason, raw) AS place
  FROM rejected_records
  WHERE CAST(year || '-' || month || '-' || day AS date) BETWEEN CAST(? AS date) AND CAST(? AS date)
) AS refused
WHERE place <= CAST(? AS bigint)
ORDER BY place
