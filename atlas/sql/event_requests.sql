-- What each request of the events API gave to the day, by the ledger: a request that was delivered again is there again.
SELECT
  client_id,
  request_id,
  concat('events/', client_id) AS source_file,
  min(received_at) AS received_at,
  CAST(max(accepted) AS BIGINT) AS accepted
FROM event_receipts
GROUP BY client_id, request_id
