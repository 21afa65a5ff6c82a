-- Files whose records do not add up: what the manifest says they hold against what silver and
-- rejected_records hold of them. No row means that the books of every file balance.
WITH normalized AS (
  SELECT source_file, count(*) AS records FROM logs GROUP BY source_file
),
refused AS (
  SELECT source_file, count(*) AS records FROM rejected_records GROUP BY source_file
),
files AS (
  SELECT source_file FROM manifest
  UNION
  SELECT source_file FROM normalized
  UNION
  SELECT source_file FROM refused
)
SELECT
  f.source_file,
  coalesce(m.records, 0) AS records_in,
  coalesce(n.records, 0) AS normalized,
  coalesce(r.records, 0) AS rejected
FROM files AS f
LEFT JOIN manifest AS m ON m.source_file = f.source_file
LEFT JOIN normalized AS n ON n.source_file = f.source_file
LEFT JOIN refused AS r ON r.source_file = f.source_file
WHERE coalesce(m.records, 0) <> coalesce(n.records, 0) + coalesce(r.records, 0)
ORDER BY f.source_file
