-- The day's records without duplicates: everything but the copies in files that kept_files does not name.
SELECT l.*
FROM logs AS l
LEFT JOIN kept_files AS k ON k.log_id = l.log_id
WHERE k.log_id IS NULL OR k.source_file = l.source_file
