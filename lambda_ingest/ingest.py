"""What becomes of one landed object, and the order of effects.

Write parts, write the archive copy (or the refused copy and its reason), commit the ledger, delete the
predecessor's objects, delete from raw. A redelivered event finds the ledger and does only what is missing.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from atlas import lake
from atlas.formats import LogFormat
from atlas.ledger import FileEntry, FileState
from atlas.timestamps import iso_utc
from lambda_ingest.events import LandedObject
from lambda_ingest.ledger_writer import LedgerConflictError, LedgerWriter
from lambda_ingest.objects import LakeObjects, ObjectGoneError
from lambda_ingest.read import Reading, read_file
from lambda_ingest.spool import Spool

_DECISIONS = 3
"""How often a conflicting commit is decided anew before the queue has to deliver again."""


class Outcome(StrEnum):
    """What happened to a delivery."""

    INGESTED = "ingested"
    EMPTY = "empty"
    DUPLICATE = "duplicate"
    REJECTED = "rejected"
    REDELIVERED = "redelivered"
    SUPERSEDED = "superseded"
    GONE = "gone"


@dataclass(frozen=True)
class Verdict:
    """The outcome of a delivery, for logs and metrics; `entry` is the ledger's, `reading` what was read now."""

    outcome: Outcome
    entry: FileEntry | None = None
    reading: Reading | None = None


class Ingestion:
    """Takes landed objects into the lake. `scratch` is a folder on a disk with room for a file's envelopes."""

    def __init__(
        self,
        objects: LakeObjects,
        ledger: LedgerWriter,
        formats: Mapping[str, LogFormat],
        *,
        part_bytes: int,
        scratch: Path | None = None,
    ) -> None:
        self._objects = objects
        self._ledger = ledger
        self._formats = formats
        self._part_bytes = part_bytes
        self._scratch = scratch

    def take(self, landed: LandedObject) -> Verdict:
        """Ingests or refuses one object. Errors of AWS are raised: the queue delivers again."""
        before = self._current(landed.key)
        if before:
            self._objects.delete(landed.bucket, before.obsolete)  # a crash may have left them
        if before and before.version == landed.version:
            return self._redelivered(landed, before)
        try:
            stream, landed_at = self._objects.open(landed)
        except ObjectGoneError:
            return Verdict(Outcome.GONE, before)
        with stream as body:
            if before and not landed.newer_than(before.sequencer):
                return self._superseded(landed, landed_at, before)
            with tempfile.TemporaryDirectory(dir=self._scratch) as folder:
                spool = Spool(Path(folder), self._part_bytes)
                reading = read_file(body, landed.key, spool, self._formats)
                return self._settle(landed, landed_at, reading, spool)

    def _current(self, raw_key: str) -> FileEntry | None:
        """The file's entry, its switch-over brought to an end if a crash had cut it short."""
        entry = self._ledger.entry(raw_key)
        return self._ledger.finish_commit(entry, entry.landed_at) if entry else None

    def _redelivered(self, landed: LandedObject, before: FileEntry) -> Verdict:
        self._objects.clear_landed(landed)
        return Verdict(Outcome.REDELIVERED, before)

    def _superseded(self, landed: LandedObject, landed_at: datetime, before: FileEntry) -> Verdict:
        """An older version than the ledger's: its bytes are kept, its records are history."""
        key = lake.archive_key("superseded", landed.key, landed_at, lake.version_id(landed.version))
        self._objects.copy(landed, key)
        self._objects.clear_landed(landed)
        return Verdict(Outcome.SUPERSEDED, before)

    def _settle(self, landed: LandedObject, landed_at: datetime, reading: Reading, spool: Spool) -> Verdict:
        """Decides, writes what the decision needs, commits; anew if another invocation came first."""
        for attempt in range(1, _DECISIONS + 1):
            before = self._current(landed.key)
            if before and before.version == landed.version:
                return self._redelivered(landed, before)
            if before and not landed.newer_than(before.sequencer):
                return self._superseded(landed, landed_at, before)
            entry = self._decide(landed, landed_at, reading, before)
            self._write(landed, entry, reading, spool)
            try:
                entry = self._ledger.commit(entry, before, entry.landed_at)
            except LedgerConflictError:
                if attempt == _DECISIONS:
                    raise
                continue
            self._objects.delete(landed.bucket, entry.obsolete)
            self._objects.clear_landed(landed)
            return Verdict(Outcome(entry.state.value), entry, reading)
        raise AssertionError("unreachable")

    def _decide(
        self, landed: LandedObject, landed_at: datetime, reading: Reading, before: FileEntry | None
    ) -> FileEntry:
        ingest_id = lake.version_id(landed.version)
        entry = FileEntry(
            raw_key=landed.key,
            version=landed.version,
            sequencer=landed.sequencer,
            state=FileState.INGESTED,
            content_hash=reading.content_hash,
            size=reading.size,
            landed_at=iso_utc(landed_at),
            format=reading.format,
            copied_to=lake.archive_key(reading.format or "empty", landed.key, landed_at, ingest_id),
        )
        if reading.refusal:
            return _keeping(
                replace(
                    entry,
                    state=FileState.REJECTED,
                    reason=reading.refusal.reason.value,
                    place=reading.refusal.place or None,
                    copied_to=lake.rejected_file_key(landed.key),
                ),
                before,
            )
        if before and before.shares_hash == reading.content_hash:
            return _keeping(entry, before)  # the same bytes again
        obsolete = tuple(before.objects()) if before else ()
        if not reading.shares:
            return replace(entry, state=FileState.EMPTY, obsolete=obsolete)
        bringer = self._ledger.bringer(reading.content_hash)
        if bringer and bringer != landed.key:
            return replace(entry, state=FileState.DUPLICATE, duplicate_of=bringer, obsolete=obsolete)
        return replace(
            entry,
            shares=reading.shares,
            fields=reading.fields,
            shares_version=landed.version,
            shares_hash=reading.content_hash,
            obsolete=obsolete,
        )

    def _write(self, landed: LandedObject, entry: FileEntry, reading: Reading, spool: Spool) -> None:
        if entry.shares_version == entry.version:
            parts = {
                key: spool.part(day, number)
                for day in entry.shares
                for number, key in enumerate(entry.day_objects(day))
            }
            self._objects.upload(landed.bucket, parts)
        self._objects.copy(landed, entry.copied_to)
        if reading.refusal:
            document = {
                "raw_key": landed.key,
                "version": landed.version,
                "reason": reading.refusal.reason.value,
                "meaning": reading.refusal.reason.meaning,
                "place": reading.refusal.place,
                "format": reading.format,
                "size": reading.size,
                "records_read": reading.records_read,
                "records_refused": reading.records_refused,
                "landed_at": entry.landed_at,
            }
            self._objects.put_document(landed.bucket, lake.reason_key(landed.key), document)


def _keeping(entry: FileEntry, before: FileEntry | None) -> FileEntry:
    """The entry with its predecessor's records left in the lake as they are."""
    if before is None:
        return entry
    return replace(
        entry,
        format=before.format or entry.format,
        shares=before.shares,
        fields=before.fields,
        shares_version=before.shares_version,
        shares_hash=before.shares_hash,
    )
