-- The refused records with their text: of one that was parsed, the mapping saw fields, and the text is read once more.
SELECT
  c.raw_format, c.reason, c.detail, c.source_file, c.source_line, coalesce(c.raw, t.text) AS raw, c.log_id,
  c.event_timestamp, c.ingested_at, c.request_id
FROM refused AS c
LEFT JOIN record_texts AS t ON t.object_key = c.object_key AND t.source_line = c.source_line
