-- The books, one row a format; one row of zeros named (none) if no file gave anything to the day.
WITH formats AS (
  SELECT raw_format FROM manifest
  UNION
  SELECT raw_format FROM logs
  UNION
  SELECT raw_format FROM rejected_records
  UNION
  SELECT '(none)' AS raw_format FROM run WHERE NOT EXISTS (SELECT 1 FROM manifest)
),
came AS (
  SELECT raw_format, count(*) AS files, CAST(sum(records) AS BIGINT) AS records
  FROM manifest
  GROUP BY raw_format
),
normalized AS (
  SELECT raw_format, count(*) AS records FROM logs GROUP BY raw_format
),
reasons AS (
  SELECT raw_format, reason, count(*) AS records FROM rejected_records GROUP BY raw_format, reason
),
refused AS (
  SELECT
    raw_format,
    CAST(sum(records) AS BIGINT) AS records,
    map_from_entries(array_sort(collect_list(struct(reason, records)))) AS by_reason
  FROM reasons
  GROUP BY raw_format
),
dropped AS (
  SELECT l.raw_format, count(*) AS records
  FROM logs AS l
  JOIN kept_files AS k ON k.log_id = l.log_id AND k.source_file <> l.source_file
  GROUP BY l.raw_format
),
published AS (
  SELECT raw_format, count(*) AS records FROM distinct_records GROUP BY raw_format
)
SELECT
  f.raw_format,
  coalesce(c.files, 0) AS files,
  coalesce(c.records, 0) AS records_in,
  coalesce(n.records, 0) AS normalized,
  coalesce(r.records, 0) AS rejected,
  coalesce(r.by_reason, map_from_entries(array_compact(array_repeat(CASE WHEN 1 = 0 THEN struct('', CAST(0 AS BIGINT)) END, 1))))
    AS rejected_by_reason,
  coalesce(d.records, 0) AS duplicates,
  coalesce(p.records, 0) AS published,
  run.run_id AS run_id
FROM formats AS f
LEFT JOIN came AS c ON c.raw_format = f.raw_format
LEFT JOIN normalized AS n ON n.raw_format = f.raw_format
LEFT JOIN refused AS r ON r.raw_format = f.raw_format
LEFT JOIN dropped AS d ON d.raw_format = f.raw_format
LEFT JOIN published AS p ON p.raw_format = f.raw_format
CROSS JOIN run
ORDER BY f.raw_format
