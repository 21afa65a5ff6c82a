-- The refused events that the lake has of the day.
SELECT substring(source_file, 8) AS client_id, request_id, reason
FROM rejected_records
WHERE raw_format = 'events'
