-- The books, one row a file that gave anything to the day.
SELECT
  b.source_file, b.raw_format, b.records_in, b.normalized, b.rejected, b.duplicates, b.published, run.run_id AS run_id
FROM file_books AS b
CROSS JOIN run
ORDER BY b.source_file
