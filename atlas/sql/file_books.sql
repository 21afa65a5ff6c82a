-- The books of each file. Duplicates are counted by the join that drops them and not as a difference, so that the
-- books can be wrong.
WITH dropped AS (
  SELECT l.source_file, count(*) AS records
  FROM logs AS l
  JOIN kept_files AS k ON k.log_id = l.log_id AND k.source_file <> l.source_file
  GROUP BY l.source_file
  UNION ALL
  SELECT source_file, count(*) - count(DISTINCT event_id) AS records FROM settled_events GROUP BY source_file
),
published AS (
  SELECT source_file, count(*) AS records FROM distinct_records GROUP BY source_file
  UNION ALL
  SELECT source_file, count(*) AS records FROM settled_events WHERE place = 1 GROUP BY source_file
)
SELECT c.*, coalesce(d.records, 0) AS duplicates, coalesce(p.records, 0) AS published
FROM file_counts AS c
LEFT JOIN dropped AS d ON d.source_file = c.source_file
LEFT JOIN published AS p ON p.source_file = c.source_file
