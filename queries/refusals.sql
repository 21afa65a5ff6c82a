-- title: Refused records
-- description: Every record that was refused, with its reason, its place and its text: of `in_all`, the first `most` that come after place `after`.
-- param: from date 1970-01-01
-- param: to date 9999-12-31
-- param: from date 1970-01-01
-- param: to date 9999-12-31
-- param: after bigint 0
-- param: after bigint 0
-- param: most bigint 9223372036854775807
SELECT
  date,
  reason,
  detail,
  raw_format,
  source_file,
  source_line,
  raw,
  in_all,
  place
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
  WHERE year BETWEEN substr(?, 1, 4) AND substr(?, 1, 4)
    AND CAST(year || '-' || month || '-' || day AS date) BETWEEN CAST(? AS date) AND CAST(? AS date)
) AS refused
WHERE place > CAST(? AS bigint) AND place - CAST(? AS bigint) <= CAST(? AS bigint)
ORDER BY place
