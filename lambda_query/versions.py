"""Which data an answer is of: the receipts of its days.

A day's `data_quality` is put last when it is published (atlas/publish.py), a failed attempt's beside it. So as long
as these objects are the same ones, so is all gold of the day; and one listing tells it of a year.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from atlas import lake, schema
from lambda_query.days import DaySpan

_RECEIPTS = lake.gold_table_prefix(schema.DATA_QUALITY.name)
_DAY = re.compile(r"date=([0-9]{4}-[0-9]{2}-[0-9]{2})/")
_OBJECTS_A_DAY = 2
_MOST_KEYS = 1000
"""That S3 lists at once."""


@dataclass(frozen=True)
class Version:
    """The objects that decide, by key with their ETags, and what they say of their days."""

    objects: tuple[tuple[str, str], ...] = ()
    tried: frozenset[date] = frozenset()
    """Days that were published, or that a run failed to publish."""
    published: Mapping[date, datetime] = field(default_factory=dict)
    """When each day that is published was so last."""
    refused: bool = False
    """Whether there are refused records, of the one day for which that was asked."""
    changed: datetime | None = None
    """When the newest of the objects was put; None if there is none."""

    @property
    def digest(self) -> str:
        """Equal for equal objects."""
        told = "\n".join(f"{key} {etag}" for key, etag in self.objects)
        return hashlib.sha256(told.encode()).hexdigest()[:32]


class Versions:
    """`client` is one of S3."""

    def __init__(self, client: Any, bucket: str) -> None:
        self._client, self._bucket = client, bucket

    def of(self, days: DaySpan | None, *, refused: bool = False) -> Version:
        """Of some days, of all if None; with the refused records of the first, which a run replaces on its way."""
        receipts = list(self._receipts(days))
        records = list(self._listed(lake.rejected_records_prefix(days.first), {})) if refused and days else []
        published, tried = {}, set()
        for entry in receipts:
            found = _DAY.search(entry["Key"])
            if not found:
                continue
            day = date.fromisoformat(found[1])
            tried.add(day)
            if entry["Key"] == lake.gold_key(schema.DATA_QUALITY.name, day):
                published[day] = entry["LastModified"]
        listed = receipts + records
        return Version(
            objects=tuple((entry["Key"], entry["ETag"]) for entry in listed),
            tried=frozenset(tried),
            published=published,
            refused=bool(records),
            changed=max((entry["LastModified"] for entry in listed), default=None),
        )

    def _receipts(self, days: DaySpan | None) -> Iterator[Mapping[str, Any]]:
        if days is None:
            yield from self._listed(_RECEIPTS, {})
            return
        most = _OBJECTS_A_DAY * ((days.last - days.first).days + 1) + 1
        start = {
            "StartAfter": f"{_RECEIPTS}date={days.first.isoformat()}",
            "PaginationConfig": {"PageSize": min(most, _MOST_KEYS)},
        }
        end = f"{_RECEIPTS}date={days.last.isoformat()}0"  # a zero comes right after the slash
        for entry in self._listed(_RECEIPTS, start):
            if entry["Key"] >= end:
                return
            yield entry

    def _listed(self, prefix: str, start: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
        pages = self._client.get_paginator("list_objects_v2")
        for page in pages.paginate(Bucket=self._bucket, Prefix=prefix, **start):
            yield from page.get("Contents", [])
