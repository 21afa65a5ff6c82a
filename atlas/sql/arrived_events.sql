-- Each event of the day that is in the lake, once: the delivery stream, and whoever feeds it, deliver at least once.
SELECT
  client_id,
  request_id,
  position,
  min(event_id) AS event_id,
  min(event_timestamp) AS event_timestamp,
  min(user_id) AS user_id,
  min(action) AS action,
  min(received_at) AS received_at
FROM event_rows
GROUP BY client_id, request_id, position
