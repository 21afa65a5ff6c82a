-- The events that count, and of those with the same id of one client which one: the one that was received first.
SELECT
  s.source_file,
  a.event_id,
  a.event_timestamp,
  a.user_id,
  a.action,
  row_number() OVER (PARTITION BY a.client_id, a.event_id ORDER BY a.received_at, a.request_id, a.position) AS place
FROM arrived_events AS a
JOIN event_states AS s ON s.client_id = a.client_id AND s.request_id = a.request_id
WHERE s.settled
