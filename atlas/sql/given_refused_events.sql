-- Each event of the day that was refused, once, unless it has arrived all the same.
SELECT
  g.client_id,
  g.request_id,
  g.position,
  min(g.event_id) AS event_id,
  min(g.event_time) AS event_time,
  min(g.received_at) AS received_at,
  min(g.reason) AS reason,
  min(g.detail) AS detail,
  min(g.raw) AS raw
FROM event_refusals AS g
LEFT JOIN arrived_events AS a
  ON a.client_id = g.client_id AND a.request_id = g.request_id AND a.position = g.position
WHERE a.position IS NULL
GROUP BY g.client_id, g.request_id, g.position
