"""One day on DuckDB alone, measured: `python bench/day_bare.py FOLDER STARTED MEMORY_MB SECONDS`.

See stopwatch.py. The floor under the day function: what any program on DuckDB would have to do to turn the same
envelopes into the same silver, refused records and gold. Straight SQL over the files where they are: no ledger,
no books, no copies from and to a bucket, no chunks. No regard either for what the records of other producers
might hold (objects with parts that are columns, numbers that engines spell differently, keys that come twice),
nor for the text of a refused record. Which files a day has, and which fields their records, it is told.

The expressions of silver's columns are those of atlas/mapping.py; all else is written here.
"""
# ruff: noqa: S608 - DuckDB takes paths and names only as text

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import duckdb
from stopwatch import Stopwatch, counts

from atlas import mapping, sql
from atlas.formats import load_formats
from atlas.lake import parse_day
from atlas.ledger import DayFile
from atlas.log_format import LogFormat, Source
from atlas.manifest import Manifest
from atlas.schema import LOGS, REJECTED_RECORDS
from lambda_day.limits import Limits

_PARQUET = "FORMAT parquet, COMPRESSION zstd"

_TOTAL = "CREATE TEMP MACRO total(n) AS CAST(sum(n) AS BIGINT)"
_KEPT = """
CREATE TEMP TABLE kept AS
SELECT log_id, source_file
FROM (
  SELECT log_id, source_file, count(*) AS copies
  FROM silver
  WHERE log_id IN (SELECT log_id FROM silver GROUP BY log_id HAVING count(*) > 1)
  GROUP BY log_id, source_file
)
QUALIFY row_number() OVER (PARTITION BY log_id ORDER BY copies DESC, source_file) = 1
  AND count(*) OVER (PARTITION BY log_id) > 1
"""
_RECORDS = """
CREATE TEMP VIEW records AS
SELECT s.*
FROM silver AS s
LEFT JOIN kept AS k USING (log_id)
WHERE k.log_id IS NULL OR k.source_file = s.source_file
"""
_DAILY = """
WITH facts AS (
  SELECT
    coalesce(device, '(none)') AS device,
    coalesce(request_type, '(none)') AS method,
    coalesce(CAST(status_code AS VARCHAR), '(none)') AS status,
    coalesce(app_name, '(none)') AS app_name,
    coalesce(status_code >= 400, FALSE) OR coalesce(level IN ('ERROR', 'CRITICAL', 'FATAL'), FALSE) AS failed,
    count(*) AS requests
  FROM records
  GROUP BY ALL
)
SELECT
  total(requests) AS total_requests,
  coalesce(total(CASE WHEN failed THEN requests END), 0) AS total_errors,
  (SELECT count(DISTINCT ip_address) FROM records) AS unique_ips,
  (SELECT map(list(k), list(n)) FROM (SELECT device AS k, total(requests) AS n FROM facts GROUP BY 1)) AS by_device,
  (SELECT map(list(k), list(n)) FROM (SELECT method AS k, total(requests) AS n FROM facts GROUP BY 1)) AS by_method,
  (SELECT map(list(k), list(n)) FROM (SELECT status AS k, total(requests) AS n FROM facts GROUP BY 1)) AS by_status,
  (SELECT map(list(k), list(n)) FROM (SELECT app_name AS k, total(requests) AS n FROM facts GROUP BY 1)) AS by_app,
  total_errors / total_requests AS error_rate
FROM facts
"""
_HOURLY = """
SELECT
  hour(event_timestamp) AS hour,
  coalesce(app_name, '(none)') AS app_name,
  log_type,
  count(*) AS requests,
  count(*) FILTER (status_code BETWEEN 400 AND 499) AS errors_4xx,
  count(*) FILTER (status_code BETWEEN 500 AND 599) AS errors_5xx,
  count(DISTINCT ip_address) AS unique_ips,
  quantile_disc(duration_ms, [0.5, 0.95]) AS p50_p95
FROM records
GROUP BY 1, 2, 3
ORDER BY 1, 2, 3
"""
_ENDPOINTS = """
WITH counted AS (
  SELECT
    coalesce(app_name, '(none)') AS app_name,
    coalesce(request_type, '(none)') AS method,
    coalesce(endpoint, '(none)') AS endpoint,
    coalesce(CAST(status_code // 100 AS VARCHAR) || 'xx', '(none)') AS status_class,
    count(*) AS requests,
    count(*) FILTER (status_code >= 400 OR level IN ('ERROR', 'CRITICAL', 'FATAL')) AS errors,
    quantile_disc(duration_ms, 0.95) AS p95
  FROM records
  GROUP BY ALL
),
placed AS (
  SELECT *, row_number() OVER (ORDER BY requests DESC, app_name, method, endpoint) <= 1000 AS most FROM counted
)
SELECT * EXCLUDE (most) FROM placed WHERE most
UNION ALL
SELECT '(other)', '(other)', '(other)', '(other)', total(requests), total(errors), NULL
FROM placed
WHERE NOT most
HAVING count(*) > 0
"""
_LOGINS = """
SELECT time_bucket(INTERVAL 15 MINUTE, event_timestamp) AS quarter, user_id, count(*) AS logins
FROM records
WHERE action = 'login'
GROUP BY 1, 2
ORDER BY 1, 2
"""
_QUALITY = """
SELECT raw_format, normalized, published, normalized - published AS duplicates, coalesce(rejected, 0) AS rejected,
  by_reason
FROM (SELECT raw_format, count(*) AS normalized FROM silver GROUP BY 1)
JOIN (SELECT raw_format, count(*) AS published FROM records GROUP BY 1) USING (raw_format)
LEFT JOIN (
  SELECT raw_format, total(n) AS rejected, map(list(reason), list(n)) AS by_reason
  FROM (SELECT raw_format, reason, count(*) AS n FROM refused GROUP BY 1, 2)
  GROUP BY 1
) USING (raw_format)
"""
_GOLD = {
    "daily_activity": _DAILY,
    "hourly_activity": _HOURLY,
    "endpoint_activity": _ENDPOINTS,
    "login_activity": _LOGINS,
    "data_quality": _QUALITY,
}


def _connect(limits: Limits, spilled: Path) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(
        config={
            "memory_limit": f"{limits.memory >> 20}MiB",
            "threads": limits.threads,
            "temp_directory": str(spilled),
            "preserve_insertion_order": False,
        }
    )
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(sql.statement("duckdb_macros"))
    connection.execute(_TOTAL)
    return connection


def _plain(log_format: LogFormat) -> LogFormat:
    """The format without the paths to nested fields, of which these records have none."""

    def plain(sources: tuple[Source, ...]) -> tuple[Source, ...]:
        return tuple(source for source in sources if "." not in source.path)

    return replace(
        log_format,
        columns={name: plain(sources) for name, sources in log_format.columns.items() if plain(sources)},
        user_agent=plain(log_format.user_agent),
        attributes={name: plain(sources) for name, sources in log_format.attributes.items() if plain(sources)},
    )


def _input(log_format: LogFormat, keys: Sequence[str], bucket: Path) -> str:
    """The envelopes with their records' fields as text."""
    names = mapping.fields(log_format)
    record = ", ".join(f'"{path}" VARCHAR' for path in names)
    picked = "".join(f', record."{path}" AS {name}' for path, name in names.items())
    files = ", ".join(f"'{bucket / key}'" for key in keys)
    columns = (
        "event_time: 'TIMESTAMPTZ', line: 'BIGINT', record_id: 'VARCHAR', error: 'VARCHAR', raw: 'VARCHAR', "
        f"record: 'STRUCT({record})'"
    )
    key = f"substring(filename, {len(str(bucket)) + 2}) AS object_key"
    reading = f"format = 'newline_delimited', compression = 'gzip', filename = true, columns = {{{columns}}}"
    return f"SELECT {key}, event_time, line, record_id, error, raw{picked} FROM read_json([{files}], {reading})"


def _normalize(connection: duckdb.DuckDBPyConnection, manifest: Manifest, bucket: Path, output: Path) -> None:
    objects = [(key, file.raw_key, file.landed_at) for file in manifest.files for key in file.objects()]
    connection.execute(
        "CREATE TEMP TABLE manifest_objects (object_key VARCHAR, source_file VARCHAR, ingested_at TIMESTAMPTZ)"
    )
    connection.executemany("INSERT INTO manifest_objects VALUES (?, ?, ?)", objects)
    formats = load_formats()
    for name, keys in manifest.objects_by_format().items():
        log_format = _plain(formats[name].only(manifest.fields(name)))
        connection.execute(f"CREATE OR REPLACE TEMP VIEW input AS {_input(log_format, keys, bucket)}")
        mapped = mapping.normalize_sql(log_format, "input", manifest.process_date)
        _write(connection, mapped, log_format, output)


def _write(connection: duckdb.DuckDBPyConnection, mapped: str, log_format: LogFormat, output: Path) -> None:
    """Silver and refused records of one format, from one reading: two, each with its filter, take a sixth longer.

    A refused record that could be parsed is kept as the columns that it filled.
    """
    silver, refused = output / "silver" / f"log_type={log_format.log_type}", output / "refused"
    silver.mkdir(parents=True)
    refused.mkdir(exist_ok=True)
    stored = ", ".join(LOGS.column_names)
    text = "coalesce(raw, CAST(to_json(mapped) AS VARCHAR)) AS raw"
    kept = ", ".join(text if name == "raw" else name for name in REJECTED_RECORDS.column_names)
    connection.execute(f"CREATE OR REPLACE TEMP TABLE mapped AS {mapped}")
    for columns, condition, file in (
        (stored, "reason IS NULL", silver / "part.parquet"),
        (kept, "reason IS NOT NULL", refused / f"{log_format.name}.parquet"),
    ):
        connection.execute(f"COPY (SELECT {columns} FROM mapped WHERE {condition}) TO '{file}' ({_PARQUET})")
    connection.execute("DROP TABLE mapped")


def _aggregate(connection: duckdb.DuckDBPyConnection, output: Path) -> None:
    for view, files in (("silver", "silver/*/*.parquet"), ("refused", "refused/*.parquet")):
        connection.execute(f"CREATE TEMP VIEW {view} AS SELECT * FROM read_parquet('{output}/{files}')")
    for statement in (_KEPT, _RECORDS):
        connection.execute(statement)
    for name, statement in _GOLD.items():
        connection.execute(f"COPY ({statement}) TO '{output}/{name}.parquet' ({_PARQUET})")


def main() -> None:
    """The day."""
    folder, memory_mb, seconds = Path(sys.argv[1]), int(sys.argv[3]), int(sys.argv[4])
    items = json.loads((folder / "day.json").read_text())["ledger"]
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        output = Path(scratch)
        watch = Stopwatch()
        connection = _connect(Limits.of(memory_mb, seconds * 1000), output / "spilled")
        manifest = Manifest(parse_day(items[0]["day"]), "bench", tuple(map(DayFile.from_item, items)))
        _normalize(connection, manifest, folder / "bucket", output)
        _aggregate(connection, output)
        watch.lap("day")
        watch.note_processor()
        books = connection.execute(f"SELECT * FROM read_parquet('{output}/data_quality.parquet')")
        names = [column[0] for column in books.description]
        watch.tell(counts([dict(zip(names, row, strict=True)) for row in books.fetchall()]))


if __name__ == "__main__":
    main()
