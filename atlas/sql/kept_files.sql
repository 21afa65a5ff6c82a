-- Records that more than one file holds, each with the file whose copies count: the one that holds it most often.
-- Two equal requests in one file are two requests; the same request in two files is one. Only ids that occur
-- more than once are looked at by file, so the grouping by file stays small.
WITH repeated AS (
  SELECT log_id FROM logs GROUP BY log_id HAVING count(*) > 1
),
per_file AS (
  SELECT l.log_id, l.source_file, count(*) AS copies
  FROM logs AS l
  JOIN repeated AS r ON r.log_id = l.log_id
  GROUP BY l.log_id, l.source_file
),
ranked AS (
  SELECT
    log_id,
    source_file,
    row_number() OVER (PARTITION BY log_id ORDER BY copies DESC, source_file) AS place,
    count(*) OVER (PARTITION BY log_id) AS files
  FROM per_file
)
SELECT log_id, source_file
FROM ranked
WHERE place = 1 AND files > 1
