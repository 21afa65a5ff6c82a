"""The ledger's keys and attributes: one DynamoDB table that knows every file and every day.

    FILE#<raw key>       META              version, state, reason, outputs, counts of one landed object
    DAY#<YYYY-MM-DD>     FILE#<raw key>    what that file gave to this day
    DAY#<YYYY-MM-DD>     STATE             dirty, change counter, lock, last run
    HASH#<content hash>  FILE              which raw key first brought these bytes

A day is dirty when a file adds to it, replaces something in it or is withdrawn from it. The sparse index
`dirty-days` (`dirty`, `day`) lists the dirty days: the attribute `dirty` exists only while a day is dirty.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
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


class FileState(StrEnum):
    """What became of a landed object."""

    INGESTED = "ingested"
    EMPTY = "empty"
    DUPLICATE = "duplicate"
    REJECTED = "rejected"


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


def hash_key(content_hash: str) -> dict[str, str]:
    """The key under which the first bringer of some bytes is known."""
    return {PK: f"HASH#{content_hash}", SK: HASH_FILE}


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
class FileEntry:
    """A file's own item: `version`, the last one that was judged, and what the lake holds of the file.

    `shares` belong to `shares_version`, which is another version only where a refused correction left its
    predecessor's records in place, or where a version brought the same bytes again.
    """

    raw_key: str
    version: str
    sequencer: str
    state: FileState
    content_hash: str
    size: int
    landed_at: str
    copied_to: str
    """The archive's or the rejected zone's copy of the producer's bytes."""
    format: str | None = None
    reason: str | None = None
    place: str | None = None
    duplicate_of: str | None = None
    shares_version: str = ""
    shares_hash: str = ""
    shares: Mapping[date, Share] = field(default_factory=dict)
    fields: tuple[str, ...] | None = None
    """The top-level fields that its records have, as in `DayFile`."""
    obsolete: tuple[str, ...] = ()
    """Validated objects of the predecessor, to be deleted once the days have been switched over."""
    committing: bool = False
    """Not all days have been switched over yet; a retry goes on with it."""

    def withdrawn_days(self) -> list[date]:
        """The days on which the predecessor had records and this version has none."""
        before = {lake.ValidatedKey.parse(key).day for key in self.obsolete}
        return sorted(before - set(self.shares))

    def objects(self) -> list[str]:
        """The keys of the validated objects that hold the file's records."""
        return [key for day in sorted(self.shares) for key in self.day_objects(day)]

    def day_objects(self, day: date) -> list[str]:
        """Those of one day."""
        if self.format is None:
            return []
        return validated_objects(self.raw_key, self.shares_version, self.format, day, self.shares[day].parts)

    def to_item(self) -> dict[str, Any]:
        """As a DynamoDB item in Python types."""
        item = {
            **asdict(self),
            **file_key(self.raw_key),
            "state": self.state.value,
            "fields": None if self.fields is None else list(self.fields),
            "obsolete": list(self.obsolete),
        }
        item["shares"] = {day.isoformat(): share.to_item() for day, share in sorted(self.shares.items())}
        return {name: value for name, value in item.items() if value is not None}

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> FileEntry:
        """The inverse of `to_item`."""
        known = {known.name: item[known.name] for known in members(cls) if known.name in item}
        known["state"] = FileState(item["state"])
        known["size"] = int(item["size"])
        known["fields"] = _fields_of(item)
        known["obsolete"] = tuple(item.get("obsolete", ()))
        known["committing"] = bool(item.get("committing"))
        known["shares"] = {date.fromisoformat(day): Share.from_item(share) for day, share in item["shares"].items()}
        return cls(**known)


@dataclass(frozen=True)
class DayFile:
    """What the manifest needs of one file on one day: an item `DAY#<date>` / `FILE#<raw key>`."""

    day: date
    raw_key: str
    format: str
    version: str
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
        fields = _fields_of(item)
        return cls(day, item["raw_key"], item["format"], item["version"], item["landed_at"], share, fields)


def _fields_of(item: Mapping[str, Any]) -> tuple[str, ...] | None:
    return tuple(item["fields"]) if "fields" in item else None


def validated_objects(raw_key: str, version: str, format_name: str, day: date, parts: int) -> list[str]:
    """The keys of a file's validated objects of one day: they follow from what the ledger knows anyway."""
    return [str(lake.ValidatedKey.of(raw_key, version, format_name, day, part)) for part in range(parts)]
