-- How far each request has come. It is settled once all of its events have arrived or been refused, and when what is
-- missing will not come any more: then its events count. Others are on their way, and count in a later run.
WITH arrived AS (
  SELECT client_id, request_id, count(*) AS events FROM arrived_events GROUP BY client_id, request_id
),
refused AS (
  SELECT client_id, request_id, count(*) AS events FROM refused_events GROUP BY client_id, request_id
)
SELECT
  q.client_id,
  q.request_id,
  q.source_file,
  q.received_at,
  q.accepted,
  coalesce(a.events, 0) AS arrived,
  coalesce(r.events, 0) AS refused,
  coalesce(a.events, 0) + coalesce(r.events, 0) = q.accepted OR CAST(q.received_at AS TIMESTAMP) < run.lost_before AS settled
FROM event_requests AS q
CROSS JOIN run
LEFT JOIN arrived AS a ON a.client_id = q.client_id AND a.request_id = q.request_id
LEFT JOIN refused AS r ON r.client_id = q.client_id AND r.request_id = q.request_id
