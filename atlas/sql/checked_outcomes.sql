-- What became of the records of each file, by reason; no reason: they passed. Before anything is written.
SELECT source_file, raw_format, reason, count(*) AS records
FROM checked
GROUP BY source_file, raw_format, reason
UNION ALL
SELECT source_file, 'events' AS raw_format, CAST(NULL AS STRING) AS reason, count(*) AS records
FROM settled_events
GROUP BY source_file
