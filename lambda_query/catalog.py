"""Whether Athena sees what is published: a new day's gold is there before a crawler has entered its partition."""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import date, datetime
from typing import Any

from atlas import lake, schema
from lambda_query.versions import Version

_FROM = re.compile(r"\b(?:FROM|JOIN)\s+([a-z_]+)", re.IGNORECASE)
_CRAWLED = {table.name: table for table in schema.CRAWLED_TABLES}
_MOST_PARTITIONS = 1000
"""That Glue is asked for at once."""
_LAST_DAYS = 31
"""What is asked of all days is about the last thirty, and the last one that is published."""


class Catalog:
    """`client` is one of Glue."""

    def __init__(self, client: Any, database: str) -> None:
        self._client, self._database = client, database

    def entered(self, sql: str, version: Version, first: date | None) -> datetime | None:
        """When the last of the partitions was entered that a question reads; None if one is not there yet.

        `first` is the first day that is asked for, None for all.
        """
        newest = version.changed
        for table in _tables(sql):
            days = _days(table, version, first)
            if not days:
                continue
            found = self._entered(table, days)
            if len(found) < len(days):
                return None
            newest = max([*found, newest] if newest else found)
        return newest

    def _entered(self, table: schema.Table, days: Collection[date]) -> list[datetime]:
        values = [{"Values": _values(table, day)} for day in sorted(days)]
        found: list[datetime] = []
        for start in range(0, len(values), _MOST_PARTITIONS):
            answer = self._client.batch_get_partition(
                DatabaseName=self._database,
                TableName=table.name,
                PartitionsToGet=values[start : start + _MOST_PARTITIONS],
            )
            found += [partition["CreationTime"] for partition in answer["Partitions"]]
        return found


def _tables(sql: str) -> list[schema.Table]:
    """Those that a question reads and whose partitions have to be entered."""
    return [_CRAWLED[name] for name in dict.fromkeys(_FROM.findall(sql)) if name in _CRAWLED]


def _days(table: schema.Table, version: Version, first: date | None) -> Collection[date]:
    """Those of which the table has something."""
    if table == schema.REJECTED_RECORDS:
        return [first] if first and version.refused else []
    days = version.tried if table == schema.DATA_QUALITY else version.published
    return days if first else sorted(days)[-_LAST_DAYS:]


def _values(table: schema.Table, day: date) -> list[str]:
    return [day.isoformat()] if table.partition_keys == schema.DATE_KEY else [*lake.day_values(day)]
