"""Runs the contract's SQL on DuckDB over plain rows, so that it can be tested without Spark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from atlas import mapping, sql
from atlas.formats import LogFormat
from atlas.schema import LOGS, REJECTED_RECORDS
from lambda_day.duckdb_engine import DuckdbEngine
from lambda_day.limits import Limits

_ARROW = {
    "string": pa.string(),
    "int": pa.int32(),
    "bigint": pa.int64(),
    "double": pa.float64(),
    "timestamp": pa.timestamp("us", "UTC"),
    "map<string,string>": pa.map_(pa.string(), pa.string()),
}
_LOGS = [(column.name, _ARROW[column.type]) for column in LOGS.columns] + [("log_type", pa.string())]
_REJECTED = [(column.name, _ARROW[column.type]) for column in REJECTED_RECORDS.columns]


@cache
def _database() -> duckdb.DuckDBPyConnection:
    """Made once: that takes as long as the statements of a test."""
    return duckdb.connect()


def connect() -> duckdb.DuckDBPyConnection:
    """A connection to a database of its own that speaks Atlas's SQL."""
    return _speaking(duckdb.connect())


def _speaking(connection: duckdb.DuckDBPyConnection) -> duckdb.DuckDBPyConnection:
    connection.execute("SET timezone = 'UTC'")
    connection.execute(sql.statement("duckdb_macros"))
    return connection


def table(
    connection: duckdb.DuckDBPyConnection,
    name: str,
    columns: Sequence[tuple[str, Any]],
    rows: Sequence[Mapping[str, Any]],
) -> None:
    """Makes a table of these columns; what a row lacks is null."""
    complete = [{column: row.get(column) for column, _ in columns} for row in rows]
    given = pa.Table.from_pylist(complete, schema=pa.schema(list(columns)))
    connection.register("given", given)
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS SELECT * FROM given")
    connection.unregister("given")


def answer(connection: duckdb.DuckDBPyConnection, statement: str) -> list[dict[str, Any]]:
    """The rows of a statement."""
    rows: list[dict[str, Any]] = connection.sql(statement).to_arrow_table().to_pylist()
    return rows


def normalize(
    log_format: LogFormat, records: Sequence[Mapping[str, str | None]], day: date
) -> list[dict[str, Any]]:
    """The mapping's rows for records that are given as source field -> text."""
    connection = _speaking(_database().cursor())  # which has its own temporary tables
    names = mapping.fields(log_format)
    columns = [("object_key", pa.string()), ("event_time", _ARROW["timestamp"]), ("line", pa.int64()),
               ("record_id", pa.string()), ("error", pa.string()), ("raw", pa.string()),
               *((name, pa.string()) for name in names.values())]  # fmt: skip
    rows = [
        {"object_key": "o", "line": n, "record_id": f"id{n}", **{names.get(k, k): v for k, v in record.items()}}
        for n, record in enumerate(records, 1)
    ]
    table(connection, "given_records", columns, rows)
    objects = [("object_key", pa.string()), ("source_file", pa.string()), ("ingested_at", _ARROW["timestamp"])]
    table(connection, "manifest_objects", objects, [{"object_key": "o", "source_file": "raw/f"}])
    return answer(connection, mapping.normalize_sql(log_format, "given_records", day) + " ORDER BY source_line")


def day_engine(folder: Path) -> DuckdbEngine:
    """The day function's engine, without a lake, on an empty scratch folder."""
    return DuckdbEngine(None, "", folder, Limits.of(1769, 900_000), lambda: None)


def day(
    logs: Sequence[Mapping[str, Any]],
    refused: Sequence[Mapping[str, Any]] = (),
    files: Sequence[Mapping[str, Any]] = (),
) -> duckdb.DuckDBPyConnection:
    """A connection with every view that the day's statements read."""
    connection = _speaking(_database().cursor())  # which has its own temporary tables
    table(connection, "logs", _LOGS, logs)
    table(connection, "rejected_records", _REJECTED, refused)
    manifest = [("source_file", pa.string()), ("raw_format", pa.string()), ("records", pa.int64())]
    table(connection, "manifest", manifest, files)
    connection.execute(
        "CREATE TEMP TABLE run AS "
        "SELECT 'run-1' AS run_id, 'Friday' AS day_of_week, CAST(NULL AS TIMESTAMPTZ) AS lost_before"
    )
    for name, ddl in sql.EVENT_INPUTS.items():
        connection.execute(f"CREATE TEMP TABLE {name} ({ddl})")
    for view, statement in {**sql.ARRIVAL_VIEWS, **sql.DAY_VIEWS}.items():
        connection.execute(f"CREATE TEMP VIEW {view} AS {sql.statement(statement)}")
    return connection
