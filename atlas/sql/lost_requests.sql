-- Requests with events that have not arrived and never will, and how many.
SELECT client_id, request_id, received_at, accepted - arrived - refused AS missing
FROM event_states
WHERE settled AND arrived + refused < accepted
ORDER BY client_id, request_id
