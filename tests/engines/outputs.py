"""What a day's run leaves in the lake: rows, and the types of the Parquet that holds them."""

from __future__ import annotations

import io
from datetime import date
from typing import Any

import pyarrow.parquet as pq

from atlas import lake as keys
from atlas.schema import DATA_QUALITY, GOLD_TABLES, Table
from tests.lake_under_test import LakeUnderTest

Types = list[tuple[Any, ...]]


def parquet(lake: LakeUnderTest, key: str) -> pq.ParquetFile:
    """One object."""
    return pq.ParquetFile(io.BytesIO(lake.s3.get_object(Bucket=lake.bucket, Key=key)["Body"].read()))


def rows_under(lake: LakeUnderTest, prefix: str) -> list[dict[str, Any]]:
    """The rows of all objects under a prefix."""
    return [row for key in lake.keys(prefix) for row in parquet(lake, key).read().to_pylist()]


def gold(lake: LakeUnderTest, table: Table, day: date) -> list[dict[str, Any]]:
    """A gold table's rows of a day."""
    read = parquet(lake, keys.gold_key(table.name, day)).read()
    assert read.column_names == list(table.column_names)
    rows: list[dict[str, Any]] = read.to_pylist(maps_as_pydicts="strict")
    return rows


def totals(lake: LakeUnderTest, day: date) -> dict[str, int]:
    """The books of a day, over all formats."""
    found = gold(lake, DATA_QUALITY, day)
    names = ("records_in", "published", "duplicates", "rejected")
    return {name: sum(row[name] for row in found) for name in names}


def types(file: pq.ParquetFile) -> Types:
    """The physical and logical type of each column, and whether it and what is around it may be null or repeat."""
    columns = [file.schema.column(number) for number in range(len(file.schema))]
    return [
        (c.path, c.physical_type, _logical(str(c.logical_type)), c.max_definition_level, c.max_repetition_level)
        for c in columns
    ]


def _logical(told: str) -> str:
    """A whole number of the physical type's own size may be said to be one, or not."""
    return "None" if told.startswith("Int(bitWidth=") and "isSigned=true" in told else told


def outputs(lake: LakeUnderTest, day: date) -> dict[str, tuple[list[Types], list[dict[str, Any]]]]:
    """Everything that a run of the day left, by place: each distinct list of types, and all rows in an order."""
    found = {}
    places = {f"silver {prefix}": prefix for prefix in _silver(lake, day)}
    places["refused"] = keys.rejected_records_prefix(day)
    places |= {table.name: keys.gold_key(table.name, day) for table in GOLD_TABLES}
    for name, prefix in places.items():
        files = [parquet(lake, key) for key in lake.keys(prefix)]
        kinds = sorted({tuple(types(file)) for file in files})
        rows = [row for file in files for row in file.read().to_pylist()]
        for row in rows:
            row.pop("run_id", None)
        found[name] = ([list(kind) for kind in kinds], sorted(rows, key=repr))
    return found


def _silver(lake: LakeUnderTest, day: date) -> list[str]:
    under = {key.rsplit("/", 1)[0] + "/" for key in lake.keys(keys.LOGS)}
    return sorted(prefix for prefix in under if prefix.endswith(keys.day_partition(day) + "/"))
