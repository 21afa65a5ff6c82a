-- All of Atlas's SQL is written for Spark. These are the names of Spark that DuckDB lacks, and nothing else:
-- with them DuckDB runs the same statements. tests/engines/test_two_engines.py holds the values equal.

-- Spark's regexp_like searches, as DuckDB's regexp_matches does.
CREATE OR REPLACE TEMP MACRO regexp_like(text, pattern) AS regexp_matches(text, pattern);
-- Spark's struct() is positional here; both engines build a map from pairs.
CREATE OR REPLACE TEMP MACRO struct(a, b) AS row(a, b);
CREATE OR REPLACE TEMP MACRO array_repeat(element, times) AS list_transform(range(times), lambda i: element);
CREATE OR REPLACE TEMP MACRO array_compact(elements) AS list_filter(elements, lambda e: e IS NOT NULL);
-- Spark collects no rows into an empty array, DuckDB into NULL.
CREATE OR REPLACE TEMP MACRO collect_list(element) AS coalesce(list(element), []);
-- Spark answers with NULL for text that is no JSON.
CREATE OR REPLACE TEMP MACRO get_json_object(text, path) AS
  CASE WHEN json_valid(text) THEN json_extract_string(text, path) END;
