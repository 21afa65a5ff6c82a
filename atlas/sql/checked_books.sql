-- The books of each file as far as they are known before silver is written: nobody has looked for duplicates yet.
SELECT c.*, CAST(NULL AS BIGINT) AS duplicates, CAST(NULL AS BIGINT) AS published
FROM file_counts AS c
