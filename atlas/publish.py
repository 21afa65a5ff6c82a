"""Puts a day's gold in place: one object write a table, so a reader sees the old day or the new one.

`data_quality` goes last: it is the receipt, and what it says holds for all that was put before it.
"""

from __future__ import annotations

from datetime import date
from typing import Any

from atlas import lake
from atlas.objects import delete_keys, list_keys
from atlas.schema import GOLD_TABLES


class PublishError(Exception):
    """The staged tables are not what a publication needs."""


def publish(s3: Any, bucket: str, run_id: str, day: date) -> None:
    """Copies each table's one staged object over the day's, in the order of GOLD_TABLES.

    `s3` is a boto3 client. Raises PublishError before anything is put if a table has not exactly one object.
    """
    staged = {table.name: staged_object(s3, bucket, run_id, table.name) for table in GOLD_TABLES}
    for name, source in staged.items():
        s3.copy_object(Bucket=bucket, Key=lake.gold_key(name, day), CopySource={"Bucket": bucket, "Key": source})


def staged_object(s3: Any, bucket: str, run_id: str, table: str) -> str:
    """The key of the one Parquet object under a table's staging prefix. Raises PublishError."""
    prefix = lake.staging_prefix(run_id, table)
    found = [key for key in list_keys(s3, bucket, prefix) if key.endswith(".parquet")]
    if len(found) != 1:
        raise PublishError(f"{prefix} holds {len(found)} Parquet objects; a gold table's day is one object")
    return found[0]


def clear_staging(s3: Any, bucket: str, run_id: str) -> None:
    """Deletes what a run staged, whether it was published or not."""
    delete_keys(s3, bucket, list_keys(s3, bucket, f"{lake.STAGING}{run_id}/"))
