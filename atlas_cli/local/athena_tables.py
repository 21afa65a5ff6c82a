"""Athena tables as the catalog has them.

ministack's Athena hands a table's files to DuckDB and takes columns, types and partitions from the files. On
AWS the catalog rules: its columns (NULL where a file lacks one), its types, and only its partitions.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import tempfile
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ministack.services import athena, glue, s3

_SIMPLE = {
    "boolean": "BOOLEAN", "tinyint": "TINYINT", "smallint": "SMALLINT", "int": "INTEGER", "integer": "INTEGER",
    "bigint": "BIGINT", "float": "FLOAT", "double": "DOUBLE", "date": "DATE", "timestamp": "TIMESTAMP",
    "binary": "BLOB",
}  # fmt: skip
PRELUDE = """
SET TimeZone = 'UTC';
CREATE TEMP MACRO approx_distinct(x) AS approx_count_distinct(x);
CREATE TEMP MACRO approx_percentile(x, share) AS approx_quantile(x, share);
CREATE TEMP MACRO json_format(document) AS CAST(document AS VARCHAR);
CREATE TEMP MACRO sequence(first, last) AS
    list_transform(generate_series(first, last, INTERVAL 1 DAY), lambda moment: CAST(moment AS DATE));
CREATE TEMP MACRO date_format(moment, pattern) AS
    strftime(moment, replace(replace(replace(pattern, '%M', '%B'), '%i', '%M'), '%s', '%S'));
"""
"""Trino's names for what DuckDB has under others. Time is UTC in Athena, and a machine's own in DuckDB."""


def install() -> None:
    """Replace the functions of ministack's Athena that differ from AWS."""
    by_file = athena._table_relation

    def table_relation(table: dict[str, Any], files: list[str]) -> str:
        if athena._data_format(table) != "parquet":
            return str(by_file(table, files))
        return relation(table, files)

    athena._table_relation = table_relation
    athena._empty_relation = lambda table: relation(table, [])
    athena._datum_text = text
    athena._save_query_results = _save_results
    _prepare_each_query()


def relation(table: dict[str, Any], files: list[str]) -> str:
    """DuckDB's FROM item for a Parquet table: the catalog's columns and types over its partitions' files."""
    keys = table.get("PartitionKeys") or []
    columns = [*((table.get("StorageDescriptor") or {}).get("Columns") or []), *keys]
    typed = [(quoted(c["Name"]), duckdb_type(c.get("Type", "string"))) for c in columns]
    nothing = "SELECT " + ", ".join(f"CAST(NULL AS {type_}) AS {name}" for name, type_ in typed) + " WHERE false"
    visible = _in_catalog(table, files) if keys else files
    if not visible:
        return f"({nothing})"
    listed = ", ".join("'" + file.replace("'", "''") + "'" for file in visible)
    hive = athena._hive_options(keys)
    # The union adds the columns that no file has.
    rows = f"SELECT * FROM read_parquet([{listed}], union_by_name = true, {hive}) UNION ALL BY NAME {nothing}"  # noqa: S608
    casts = ", ".join(f"CAST({name} AS {type_}) AS {name}" for name, type_ in typed)
    return f"(SELECT {casts} FROM ({rows}))"  # noqa: S608 (names and paths are quoted)


def duckdb_type(hive: str) -> str:
    """A Hive type as DuckDB writes it: `map<string,array<int>>` is `MAP(VARCHAR, INTEGER[])`."""
    name, _, inner = hive.strip().partition("<")
    parts = _split(inner.removesuffix(">"))
    match name.lower():
        case "map":
            return f"MAP({duckdb_type(parts[0])}, {duckdb_type(parts[1])})"
        case "array":
            return f"{duckdb_type(parts[0])}[]"
        case "struct":
            fields = (part.partition(":") for part in parts)
            return "STRUCT(" + ", ".join(f"{quoted(n)} {duckdb_type(t)}" for n, _, t in fields) + ")"
        case simple if simple.startswith("decimal"):
            return simple.upper()
        case simple:
            return _SIMPLE.get(simple, "VARCHAR")


def text(value: object) -> str:
    """A value as Athena's results write it."""
    match value:
        case bool():
            return "true" if value else "false"
        case dt.datetime():
            return value.replace(tzinfo=None).isoformat(" ", "milliseconds")
        case dict():
            return "{" + ", ".join(f"{key}={text(item)}" for key, item in value.items()) + "}"
        case list():
            return "[" + ", ".join(text(item) for item in value) + "]"
        case None:
            return "null"
        case _:
            return str(value)


def _in_catalog(table: dict[str, Any], files: list[str]) -> list[str]:
    """The files of the partitions that the catalog knows; with partition projection all that fit the layout."""
    keys = [key["Name"] for key in table["PartitionKeys"]]
    root = table["StorageDescriptor"]["Location"].rstrip("/") + "/"
    store = f"{table['DatabaseName']}/{table['Name']}"
    locations = [p["StorageDescriptor"]["Location"] for p in glue._partitions.get(store, [])]
    known = {location.rstrip("/").removeprefix(root) for location in locations}
    projected = (table.get("Parameters") or {}).get("projection.enabled") == "true"
    kept = []
    for file in files:
        # ministack copies the files to <temporary folder>/<random name>/<key below the location>
        folder = Path(*Path(file).relative_to(tempfile.gettempdir()).parts[1:]).parent.as_posix()
        fits = [part.partition("=")[0] for part in folder.split("/")] == keys
        if fits and (projected or folder in known):
            kept.append(file)
    return kept


def _prepare_each_query() -> None:
    rewrite = athena._rewrite_data_paths

    async def rewrite_data_paths(query: str, database: str, catalog: str | None = None) -> Any:
        rewritten, buckets, folders = await rewrite(query, database, catalog)
        return PRELUDE + rewritten, buckets, folders

    athena._rewrite_data_paths = rewrite_data_paths


async def _save_results(query_id: str) -> None:
    """The result at OutputLocation, where AWS puts it; ministack makes a folder of that name."""
    execution = athena._executions[query_id]
    results = execution["_results"]
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerow(results["columns"])
    writer.writerows([["" if value is None else text(value) for value in row] for row in results["rows"]])
    location = urlsplit(execution["ResultConfiguration"]["OutputLocation"])
    body = out.getvalue().encode()
    headers = {"content-type": "text/csv", "content-length": str(len(body))}
    answer = s3._put_object(location.netloc, location.path.lstrip("/"), body, headers)
    if answer[0] >= 300:
        reason = f"Unable to write the result to {location.geturl()}: {answer[2]!r}"
        execution["Status"].update(State="FAILED", StateChangeReason=reason)


def _split(inner: str) -> list[str]:
    """Split at the commas that are not within brackets."""
    parts, depth = [""], 0
    for letter in inner:
        depth += (letter in "<(") - (letter in ">)")
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return parts


def quoted(name: str) -> str:
    """A name as SQL quotes it."""
    return '"' + name.replace('"', '""') + '"'
