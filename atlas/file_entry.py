"""A file's own item in the ledger: what was last said of it, and what it counts for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from dataclasses import fields as members
from datetime import date
from typing import Any

from atlas.ledger import DayFile, FileState, Obsolete, Share, fields_of, file_key


@dataclass(frozen=True)
class Content:
    """What a file counts for: the bytes of one of its versions, and what each day got of them.

    That is another version than the entry's where a refused correction left its predecessor's records in place.
    """

    version: str
    content_hash: str
    landed_at: str
    archived: str
    """The archive's copy of these bytes."""
    format: str
    digest: str
    """Of all envelopes: tells whether the same bytes, read anew, would come to the same records."""
    objects_version: str
    """By which the validated objects are named. It is never used again once others took their place."""
    shares: Mapping[date, Share] = field(default_factory=dict)
    """Empty if another file counts for the same bytes."""
    fields: tuple[str, ...] | None = None
    """The top-level fields that its records have, as in `DayFile`."""
    duplicate_of: str | None = None
    """The file that counted for the same bytes when this one was judged."""
    salvaged: bool = False
    """Taken on an operator's word, as far as it could be read."""

    def to_item(self) -> dict[str, Any]:
        """As a DynamoDB map."""
        item = {
            **asdict(self),
            "shares": {day.isoformat(): share.to_item() for day, share in sorted(self.shares.items())},
            "fields": None if self.fields is None else list(self.fields),
        }
        return {name: value for name, value in item.items() if value is not None}

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> Content:
        """The inverse of `to_item`."""
        known = {known.name: item[known.name] for known in members(cls) if known.name in item}
        known["shares"] = {date.fromisoformat(day): Share.from_item(share) for day, share in item["shares"].items()}
        known["fields"] = fields_of(item)
        return cls(**known)


@dataclass(frozen=True)
class Replaced:
    """The validated objects whose place an entry's content takes: its predecessor's, or another file's."""

    raw_key: str
    format: str
    version: str
    parts: Mapping[date, int]
    """How many there are of each day."""

    def obsolete(self, day: date) -> Obsolete:
        """Those of a day, as what is to be deleted."""
        return Obsolete(day, self.raw_key, self.format, self.version, self.parts[day])

    def to_item(self) -> dict[str, Any]:
        """As a DynamoDB map."""
        return {**asdict(self), "parts": {day.isoformat(): count for day, count in sorted(self.parts.items())}}

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> Replaced:
        """The inverse of `to_item`."""
        parts = {date.fromisoformat(day): int(count) for day, count in item["parts"].items()}
        return cls(item["raw_key"], item["format"], item["version"], parts)


@dataclass(frozen=True)
class FileEntry:
    """A file's own item: the last version that was judged, what became of it, and what the file counts for."""

    raw_key: str
    version: str
    sequencer: str
    state: FileState
    content_hash: str
    size: int
    landed_at: str
    copied_to: str
    """The archive's copy of the producer's bytes."""
    format: str | None = None
    reason: str | None = None
    """Why the version was refused, or what an operator passed over when the file was salvaged."""
    place: str | None = None
    records_read: int = 0
    """Of a refused version: records that were found up to the fault ..."""
    records_refused: int = 0
    """... and those of them that could not be parsed."""
    content: Content | None = None
    settled: str = ""
    """The sequencer of the last version that was taken, or withdrawn: older ones have nothing more to say."""
    salvaged_by: str | None = None
    """Who gave the word to take what could be read of a damaged file."""
    ordered_at: str = ""
    """When the last operator's order that was obeyed was given."""
    once_refused: bool = False
    """Some version was refused, so the rejected zone may hold the file."""
    replaces: Replaced | None = None
    committing: bool = False
    """Not all days have been switched over yet; a retry goes on with it, and then knows what is replaced."""
    revision: int = 0
    """Goes up with every change of this item: what every change is conditional on."""

    @property
    def shares(self) -> Mapping[date, Share]:
        """What each day has of the file."""
        return self.content.shares if self.content else {}

    @property
    def duplicate_of(self) -> str | None:
        """The file that counts for the same bytes."""
        return self.content.duplicate_of if self.content else None

    def holding(self) -> Replaced | None:
        """What the lake holds of the file, as what another content may take the place of."""
        if not self.content or not self.content.shares:
            return None
        parts = {day: share.parts for day, share in self.content.shares.items()}
        return Replaced(self.raw_key, self.content.format, self.content.objects_version, parts)

    def days(self) -> list[DayFile]:
        """What each day has of the file, as the days' items."""
        content = self.content
        if content is None:
            return []
        return [
            DayFile(
                day, self.raw_key, content.format, content.objects_version, content.landed_at, share, content.fields
            )
            for day, share in sorted(content.shares.items())
        ]

    def objects(self) -> list[str]:
        """The keys of the validated objects that hold the file's records, of all days."""
        return [key for file in self.days() for key in file.objects()]

    def following(self, before: FileEntry | None) -> FileEntry:
        """The same as the one that comes after another."""
        return replace(self, revision=before.revision + 1 if before else 1)

    def to_item(self) -> dict[str, Any]:
        """As a DynamoDB item in Python types."""
        item = {
            **asdict(self),
            **file_key(self.raw_key),
            "state": self.state.value,
            "content": self.content.to_item() if self.content else None,
            "replaces": self.replaces.to_item() if self.replaces else None,
        }
        return {name: value for name, value in item.items() if value is not None}

    @classmethod
    def from_item(cls, item: Mapping[str, Any]) -> FileEntry:
        """The inverse of `to_item`; DynamoDB gives numbers as Decimal."""
        known = {known.name: item[known.name] for known in members(cls) if known.name in item}
        known["state"] = FileState(item["state"])
        for number in ("size", "records_read", "records_refused", "revision"):
            known[number] = int(item[number])
        if "content" in item:
            known["content"] = Content.from_item(item["content"])
        if "replaces" in item:
            known["replaces"] = Replaced.from_item(item["replaces"])
        return cls(**known)
