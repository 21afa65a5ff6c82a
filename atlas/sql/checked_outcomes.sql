-- What became of the records of each file, by reason; no reason: they passed. Before anything is written.
SELECT source_file, raw_format, reason, count(*) AS records
FROM checked
GROUP BY source_file, raw_format, reason
