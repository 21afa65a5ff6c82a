-- Each file's records, and each client's events: what the ledger says came to the day, and what became of them. A file
-- that it does not know, but of which records were found, is here too: it is out of balance.
WITH found AS (
  SELECT
    source_file,
    min(raw_format) AS raw_format,
    CAST(sum(CASE WHEN reason IS NULL THEN records ELSE 0 END) AS BIGINT) AS normalized,
    CAST(sum(CASE WHEN reason IS NULL THEN 0 ELSE records END) AS BIGINT) AS rejected
  FROM outcomes
  GROUP BY source_file
)
SELECT
  coalesce(m.source_file, f.source_file) AS source_file,
  coalesce(m.raw_format, f.raw_format) AS raw_format,
  coalesce(m.records, 0) AS records_in,
  coalesce(f.normalized, 0) AS normalized,
  coalesce(f.rejected, 0) AS rejected
FROM came AS m
FULL JOIN found AS f ON f.source_file = m.source_file
