"""The ledger's keys and attributes: one DynamoDB table that knows every file and every day.

    FILE#<raw key>       META              version, state and reason of a landed object, and what it counts for
    DAY#<YYYY-MM-DD>     FILE#<raw key>    what that file gave to this day
    DAY#<YYYY-MM-DD>     EVENTS#<batch>    what requests of the events API gave to this day: atlas/event_receipts.py
    DAY#<YYYY-MM-DD>     OBSOLETE#<...>    validated objects of this day that no manifest will name any more
    DAY#<YYYY-MM-DD>     STATE             dirty, change counter, lock, last run, publication under way
    HASH#<content hash>  FILE              which file counts for these bytes, and a counter of claims
    HASH#<content hash>  FILE#<raw key>    another file of these bytes: it counts when the first one gives them up
    STAGE                STATE             the day on which the schedules first ran

A day is dirty when a file adds to it, replaces something in it or is withdrawn from it. The sparse index
`dirty-days` (`dirty`, `day`) lists the dirty days: the attribute `dirty` exists only while a day is dirty.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from dataclasses import fields as members
from datetime import date
from enum import StrEnum
from typing import Any

from atlas import lake

PK = "pk"
SK = "sk"
META = "META"
STATE = "STATE"
HASH_FILE = "FILE"
DIRTY_INDEX = "dirty-days"

DIRTY = "dirty"
DIRTY_VALUE = "yes"
DAY = "day"
PARTITIONS = "partitions"
"""Of a day's state: the catalog partitions that the day has, comma-joined; normalize writes it."""
LOCK_OWNER = "lock_owner"
"""Of a day's state: the run that holds the day's lock. The state machine locks and releases the day."""
FAILURES = "failures"
"""Of a day's state: how many runs failed since the day last changed or was published."""
EVENT_BYTES = "event_bytes"
"""Of a day's state: about how many bytes of events it has, by which an engine is chosen. Repeated ones count."""
PUBLISHING = "publishing"
"""Of a day's state: the publication that has begun and may be half done, as `run_id` and staging `prefix`."""
OBSOLETE = "OBSOLETE#"
"""How the sort keys of a day's obsolete objects begin."""


STAGE_KEY = {PK: "STAGE", SK: STATE}
"""The key of what the state machine notes of the stage itself."""
FIRST_DAY = "first_day"
"""Of the stage: no day before it is owed to anybody."""


class FileState(StrEnum):
    """What became of a landed object."""

    INGESTED = "ingested"
    EMPTY = "empty"
    DUPLICATE = "duplicate"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"


def file_key(raw_key: str) -> dict[str, str]:
    """The key of a file's own item."""
    return {PK: f"FILE#{raw_key}", SK: META}


def day_pk(day: date) -> str:
    """The partition key that a day's state and its files share."""
    return f"DAY#{day.isoformat()}"


def day_file_key(day: date, raw_key: str) -> dict[str, str]:
    """The key of what a file gave to a day."""
    return {PK: day_pk(day), SK: f"FILE#{raw_key}"}


def day_state_key(day: date) -> dict[str, str]:
    """The key of a day's state."""
    return {PK: day_pk(day), SK: STATE}


def dirtying(day: date, at: str) -> dict[str, Any]:
    """The update by which a day's state says that the day has changed, as DynamoDB takes it. `at` is ISO 8601, UTC.

    Its expression ends in what it adds: there may follow more.
    """
    return {
        "Key": day_state_key(day),
        "UpdateExpression": f"SET #day = :day, {DIRTY} = :dirty, dirty_since = if_not_exists(dirty_since, :at) "
        f"REMOVE {FAILURES} ADD changes :one",
        "ExpressionAttributeNames": {"#day": DAY},
        "ExpressionAttributeValues": {":day": day.isoformat(), ":dirty": DIRTY_VALUE, ":at": at, ":one": 1},
    }


def hash_pk(content_hash: str) -> str:
    """The partition key that the files of the same bytes share."""
    return f"HASH#{content_hash}"


def hash_key(content_hash: str) -> dict[str, str]:
    """The key under which the file that counts for some bytes is known."""
    return {PK: hash_pk(content_hash), SK: HASH_FILE}


def claim_key(content_hash: str, raw_key: str) -> dict[str, str]:
    """The key under which another file of the same bytes is known."""
    return {PK: hash_pk(content_hash), SK: f"{HASH_FILE}#{raw_key}"}


@dataclass(frozen=True)
class Share:
    """What one file gave to one day: records with a readable time, refused lines, validated parts, their text."""

    records: int = 0
    unparsable: int = 0
    parts: int = 0
    bytes: int = 0

    def to_item(self) -> dict[str, int]:
        """As a DynamoDB map."""
        return asdict(self)

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> Share:
        """The inverse of `to_item`; DynamoDB gives numbers as Decimal."""
        return cls(**{count.name: int(item[count.name]) for count in members(cls)})


@dataclass(frozen=True)
class DayFile:
    """What the manifest needs of one file on one day: an item `DAY#<date>` / `FILE#<raw key>`."""

    day: date
    raw_key: str
    format: str
    version: str
    """By which its validated objects are named: see `lake.ValidatedKey`."""
    landed_at: str
    share: Share
    fields: tuple[str, ...] | None = None
    """The top-level fields that the file's records have, in order; None: not known, or too many to list."""

    def objects(self) -> list[str]:
        """The keys of the validated objects that hold the file's records of the day."""
        return validated_objects(self.raw_key, self.version, self.format, self.day, self.share.parts)

    def to_item(self) -> dict[str, Any]:
        """As a DynamoDB item in Python types."""
        item: dict[str, Any] = {**asdict(self), **day_file_key(self.day, self.raw_key), DAY: self.day.isoformat()}
        item["fields"] = None if self.fields is None else list(self.fields)
        return {name: value for name, value in item.items() if value is not None}

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> DayFile:
        """The inverse of `to_item`."""
        day, share = date.fromisoformat(item[DAY]), Share.from_item(item["share"])
        fields = fields_of(item)
        return cls(day, item["raw_key"], item["format"], item["version"], item["landed_at"], share, fields)


@dataclass(frozen=True)
class Obsolete:
    """Validated objects of a file that no manifest will name any more: an item `DAY#<date>` / `OBSOLETE#<...>`.

    A run may still be reading them, so they are deleted by the day's next run, which holds the day's lock.
    """

    day: date
    raw_key: str
    format: str
    version: str
    parts: int

    def key(self) -> dict[str, str]:
        """The item's key."""
        return {
            PK: day_pk(self.day),
            SK: f"{OBSOLETE}{lake.source_id(self.raw_key)}.{lake.version_id(self.version)}",
        }

    def objects(self) -> list[str]:
        """The keys of the objects."""
        return validated_objects(self.raw_key, self.version, self.format, self.day, self.parts)

    def to_item(self) -> dict[str, Any]:
        """As a DynamoDB item in Python types."""
        return {**asdict(self), **self.key(), DAY: self.day.isoformat()}

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> Obsolete:
        """The inverse of `to_item`."""
        return cls(
            date.fromisoformat(item[DAY]), item["raw_key"], item["format"], item["version"], int(item["parts"])
        )


def query_all(table: Any, **query: Any) -> Iterator[dict[str, Any]]:
    """What a query of a boto3 Table finds, page after page."""
    page: Mapping[str, Any] = {}
    while True:
        answer = table.query(**query, **page)
        yield from answer["Items"]
        if "LastEvaluatedKey" not in answer:
            return
        page = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}


def fields_of(item: Mapping[str, Any]) -> tuple[str, ...] | None:
    """An item's list of fields."""
    return tuple(item["fields"]) if item.get("fields") is not None else None


def validated_objects(raw_key: str, version: str, format_name: str, day: date, parts: int) -> list[str]:
    """The keys of a file's validated objects of one day: they follow from what the ledger knows anyway."""
    return [str(lake.ValidatedKey.of(raw_key, version, format_name, day, part)) for part in range(parts)]
