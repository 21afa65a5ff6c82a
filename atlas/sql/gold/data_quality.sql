-- The books, one row a format; one row of zeros named (none) if no file gave anything to the day.
WITH files AS (
  SELECT raw_format, count(*) AS files FROM came GROUP BY raw_format
),
counted AS (
  SELECT
    raw_format,
    CAST(sum(records_in) AS BIGINT) AS records_in,
    CAST(sum(normalized) AS BIGINT) AS normalized,
    CAST(sum(rejected) AS BIGINT) AS rejected,
    CAST(sum(duplicates) AS BIGINT) AS duplicates,
    CAST(sum(published) AS BIGINT) AS published
  FROM file_books
  GROUP BY raw_format
  UNION ALL
  SELECT
    '(none)', CAST(0 AS BIGINT), CAST(0 AS BIGINT), CAST(0 AS BIGINT), CAST(0 AS BIGINT), CAST(0 AS BIGINT)
  FROM run
  WHERE NOT EXISTS (SELECT 1 FROM file_books)
),
reasons AS (
  SELECT raw_format, reason, CAST(sum(records) AS BIGINT) AS records
  FROM outcomes
  WHERE reason IS NOT NULL
  GROUP BY raw_format, reason
),
refused AS (
  SELECT raw_format, map_from_entries(array_sort(collect_list(struct(reason, records)))) AS by_reason
  FROM reasons
  GROUP BY raw_format
)
SELECT
  f.raw_format,
  coalesce(c.files, 0) AS files,
  f.records_in,
  f.normalized,
  f.rejected,
  coalesce(r.by_reason, map_from_entries(array_compact(array_repeat(CASE WHEN 1 = 0 THEN struct('', CAST(0 AS BIGINT)) END, 1))))
    AS rejected_by_reason,
  f.duplicates,
  f.published,
  run.run_id AS run_id,
  'published' AS outcome
FROM counted AS f
LEFT JOIN files AS c ON c.raw_format = f.raw_format
LEFT JOIN refused AS r ON r.raw_format = f.raw_format
CROSS JOIN run
ORDER BY f.raw_format
