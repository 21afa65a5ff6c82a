-- Files whose records do not add up. No row means that the books of every file balance.
SELECT source_file, records_in, normalized, rejected, duplicates, published
FROM file_books
WHERE records_in <> normalized + rejected OR normalized <> published + duplicates
ORDER BY source_file
