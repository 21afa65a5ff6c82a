-- What came in, by what is told apart in the books: a file, and the events of a client.
SELECT source_file, raw_format, records FROM manifest
UNION ALL
SELECT source_file, 'events' AS raw_format, CAST(sum(accepted) AS BIGINT) AS records
FROM event_states
WHERE settled
GROUP BY source_file
