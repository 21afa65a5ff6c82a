"""The manifest: exactly the validated objects, with their counts, that a run of a day goes by.

Read once from the ledger, never from a folder listing, which would see half-ingested files. A file that lands
after that disturbs nothing: it leaves the day dirty.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from atlas import lake
from atlas.day_state import day_items
from atlas.ledger import DayFile


@dataclass(frozen=True)
class Receipts:
    """The run's list of accepted events, an object of the lake."""

    key: str
    lost_before: str
    """Events that were accepted before this moment and have not arrived never will; ISO 8601, UTC."""


@dataclass(frozen=True)
class Manifest:
    """The files of one day as one run saw them, and where it keeps what it saw of events, if there were any."""

    process_date: date
    run_id: str
    files: tuple[DayFile, ...]
    receipts: Receipts | None = None

    @property
    def key(self) -> str:
        """Where the run keeps it."""
        return lake.manifest_key(self.process_date, self.run_id)

    @property
    def bytes(self) -> int:
        """Text of all envelopes, inflated."""
        return sum(file.share.bytes for file in self.files)

    def objects_by_format(self) -> dict[str, list[str]]:
        """The validated objects of each format that brought any, in the order of format names."""
        found: dict[str, list[str]] = defaultdict(list)
        for file in sorted(self.files, key=lambda file: (file.format, file.raw_key)):
            found[file.format] += file.objects()
        return dict(found)

    def fields(self, format_name: str) -> frozenset[str] | None:
        """The top-level fields that the records of a format have on this day; None if that is not known."""
        found: set[str] = set()
        for file in self.files:
            if file.format == format_name:
                if file.fields is None:
                    return None
                found.update(file.fields)
        return frozenset(found)

    def to_json(self) -> str:
        """One JSON object, the same for the same manifest."""
        files = [
            {**file.to_item(), "records_in": records_in(file), "objects": file.objects()}
            for file in sorted(self.files, key=lambda file: file.raw_key)
        ]
        document = {
            "process_date": self.process_date.isoformat(),
            "run_id": self.run_id,
            "receipts": asdict(self.receipts) if self.receipts else None,
            "files": files,
        }
        return json.dumps(document, indent=1, default=str, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Manifest:
        """The inverse of `to_json`."""
        document = json.loads(text)
        files = tuple(DayFile.from_item(item) for item in document["files"])
        receipts = Receipts(**document["receipts"]) if document["receipts"] else None
        return cls(lake.parse_day(document["process_date"]), document["run_id"], files, receipts)


def records_in(file: DayFile) -> int:
    """All records that a file gave to a day, refused lines included: the left side of the books."""
    return file.share.records + file.share.unparsable


def read_manifest(table: Any, process_date: date, run_id: str) -> Manifest:
    """Reads the day's files from the ledger, consistently. `table` is a boto3 DynamoDB Table."""
    files = tuple(DayFile.from_item(item) for item in day_items(table, process_date, "FILE#"))
    return Manifest(process_date, run_id, files)
