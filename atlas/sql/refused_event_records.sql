-- The refused events of settled requests, as rejected_records has them.
SELECT
  'events' AS raw_format,
  r.reason,
  r.detail,
  s.source_file,
  CAST(CASE WHEN r.position > 0 THEN r.position END AS BIGINT) AS source_line,
  r.raw,
  r.event_id AS log_id,
  r.event_time AS event_timestamp,
  r.received_at AS ingested_at,
  r.request_id
FROM refused_events AS r
JOIN event_states AS s ON s.client_id = r.client_id AND s.request_id = r.request_id
WHERE s.settled
