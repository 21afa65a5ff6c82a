-- title: The books of a file
-- description: What each day took of a file and what became of it: in = published + duplicates + rejected.
-- param: file string any
-- param: from date 1970-01-01
-- param: to date 9999-12-31
SELECT
  date,
  source_file,
  raw_format,
  records_in,
  published,
  duplicates,
  rejected,
  CASE
    WHEN records_in = normalized + rejected AND normalized = published + duplicates THEN 'balanced'
    ELSE 'OUT OF BALANCE'
  END AS books,
  run_id
FROM file_books
WHERE ? IN ('any', source_file) AND date BETWEEN CAST(? AS date) AND CAST(? AS date)
ORDER BY date, source_file
