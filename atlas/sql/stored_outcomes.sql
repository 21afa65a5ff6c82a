-- What became of the records of each file, by reason; no reason: they passed. By what the lake holds of the day.
SELECT source_file, raw_format, CAST(NULL AS STRING) AS reason, count(*) AS records
FROM logs
GROUP BY source_file, raw_format
UNION ALL
SELECT source_file, raw_format, reason, count(*) AS records
FROM rejected_records
GROUP BY source_file, raw_format, reason
UNION ALL
SELECT source_file, 'events' AS raw_format, CAST(NULL AS STRING) AS reason, count(*) AS records
FROM settled_events
GROUP BY source_file
