"""What is to be said of a file once a version of it has been read: a new entry, from the entry before. No effects.

Versions come in any order, and leave what they leave in order:

    newer than the last one, and refused      becomes the entry's version; its predecessor's records stay
    newer than the last one, and taken        counts from now on, in the place of its predecessor
    older than the last, newer than what      counts, if it is taken: the last one was refused
    counts
    older than what counts                    changes nothing
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from atlas import lake
from atlas.file_entry import Content, FileEntry
from atlas.ledger import FileState, Obsolete
from atlas.orders import Order, OrderKind
from atlas.timestamps import iso_utc
from lambda_ingest.events import LandedObject, newer
from lambda_ingest.read import Reading


class UnrestorableError(Exception):
    """Validated objects cannot be written anew, because today's formats refuse what was taken once."""


@dataclass(frozen=True)
class Judged:
    """A version of a file as it has just been read. `archived` is the archive's copy of it."""

    raw_key: str
    version: str
    sequencer: str
    landed_at: str
    archived: str
    objects_version: str
    reading: Reading
    order: Order | None = None

    @classmethod
    def landed(cls, landed: LandedObject, landed_at: datetime, reading: Reading) -> Judged:
        """Of an object under raw/."""
        folder = "rejected" if reading.refusal else reading.format or "empty"
        archived = lake.archive_key(folder, landed.key, landed_at, lake.version_id(landed.version))
        at = iso_utc(landed_at)
        return cls(landed.key, landed.version, landed.sequencer, at, archived, landed.version, reading)

    @classmethod
    def replayed(cls, before: FileEntry, order: Order, reading: Reading) -> Judged:
        """Of the entry's version, from the archive, on an operator's order."""
        name = f"{before.version}@{order.at}"
        return cls(
            before.raw_key,
            before.version,
            before.sequencer,
            before.landed_at,
            before.copied_to,
            name,
            reading,
            order,
        )

    @classmethod
    def inheriting(cls, heir: FileEntry, content: Content, owner: FileEntry, reading: Reading) -> Judged:
        """Of the heir's content, from the archive, because the owner of the same bytes gives them up.

        Whatever makes another attempt necessary has changed one of the two entries, and so the objects' name.
        """
        name = lake.version_id(f"{owner.raw_key} {owner.revision} {heir.revision}")
        return cls._of_content(heir, content, f"{content.version}@{name}", reading)

    @classmethod
    def restored(cls, before: FileEntry, content: Content, order: Order, reading: Reading) -> Judged:
        """Of what the entry counts for, from the archive, because validated objects of it are gone.

        They keep their name if the reading comes to the same records as it did.
        """
        had = content.format, content.digest, content.shares
        as_it_was = had == (reading.format, reading.digest, reading.shares)
        name = f"{content.version}@{lake.version_id(f'{order.by} {before.revision}')}"
        return cls._of_content(before, content, content.objects_version if as_it_was else name, reading)

    @classmethod
    def _of_content(cls, entry: FileEntry, content: Content, objects_version: str, reading: Reading) -> Judged:
        return cls(
            entry.raw_key,
            content.version,
            entry.settled,
            content.landed_at,
            content.archived,
            objects_version,
            reading,
        )

    def is_counted_by(self, entry: FileEntry) -> bool:
        """Whether the entry names the validated objects of this reading."""
        content = entry.content
        return bool(content and content.shares and content.objects_version == self.objects_version)

    def parts(self) -> list[Obsolete]:
        """All validated objects that this reading would come to, as what nobody names."""
        reading = self.reading
        if reading.format is None or reading.refusal:
            return []
        return [
            Obsolete(day, self.raw_key, reading.format, self.objects_version, share.parts)
            for day, share in reading.shares.items()
        ]

    def content(self, before: Content | None, owner: str | None) -> Content | None:
        """What the file counts for from now on; `owner` is who counts for these bytes now, if anybody does."""
        reading = self.reading
        if not reading.shares or reading.format is None:
            return None
        content = Content(
            version=self.version,
            content_hash=reading.content_hash,
            landed_at=self.landed_at,
            archived=self.archived,
            format=reading.format,
            digest=reading.digest,
            objects_version=self.objects_version,
            shares=reading.shares,
            fields=reading.fields,
            salvaged=reading.salvaged is not None,
        )
        if owner not in (None, self.raw_key):
            return replace(content, shares={}, duplicate_of=owner)
        if before and before.shares and self.order is None and _alike(content, before):
            # The same bytes again: the lake has their records. An order means that they are to be written anew.
            return replace(
                content, objects_version=before.objects_version, landed_at=before.landed_at, shares=before.shares
            )
        return content


def _alike(content: Content, before: Content) -> bool:
    """Whether the same bytes came to the same records."""
    return (content.content_hash, content.format, content.digest) == (
        before.content_hash,
        before.format,
        before.digest,
    )


def decide(judged: Judged, before: FileEntry | None, owner: str | None) -> FileEntry | None:
    """The file's next entry; None if this version changes nothing."""
    is_last = before is None or judged.order is not None or newer(judged.sequencer, before.sequencer)
    counts = counts_now(judged, before)
    if not is_last and not counts:
        return None
    entry = _of_version(judged, before) if is_last or before is None else before
    if not counts:
        return replace(entry, content=before.content, settled=before.settled) if before else entry
    content = judged.content(before.content if before else None, owner)
    if is_last:
        state = FileState.EMPTY if content is None else FileState.INGESTED
        entry = replace(entry, state=FileState.DUPLICATE if content and content.duplicate_of else state)
    return replace(entry, content=content, settled=judged.sequencer)


def counts_now(judged: Judged, before: FileEntry | None) -> bool:
    """Whether the file stands for this version from now on: it was taken, and no newer one was."""
    if judged.reading.refusal:
        return False
    return before is None or judged.order is not None or newer(judged.sequencer, before.settled)


def withdrawn(before: FileEntry, order: Order) -> FileEntry:
    """The entry without anything that it counts for; no version that came before counts again."""
    return replace(
        before,
        state=FileState.WITHDRAWN,
        reason=None,
        place=None,
        salvaged_by=None,
        content=None,
        settled=before.sequencer,
        ordered_at=order.at,
    )


def inheriting(heir: FileEntry, content: Content) -> FileEntry:
    """The heir as the file that counts; a refusal of a later version stays what was last said of it."""
    state = FileState.INGESTED if heir.state is FileState.DUPLICATE else heir.state
    return replace(heir, state=state, content=content)


def restored(before: FileEntry, judged: Judged) -> FileEntry:
    """The entry that counts for its content read anew: itself, unless the same bytes come to other records now.

    Raises UnrestorableError if they are refused now.
    """
    reading = judged.reading
    anew = judged.content(None, None)
    if anew is None:
        why = f"refused as {reading.refusal.reason}" if reading.refusal else "found to be empty"
        raise UnrestorableError(
            f"{judged.raw_key} was ingested once and is {why} now, so what its days need cannot be written anew: "
            "mend the format, or withdraw the file"
        )
    return before if judged.is_counted_by(before) else replace(before, content=anew)


def disinherited(heir: FileEntry, judged: Judged) -> FileEntry:
    """The heir's entry if its bytes, which were taken once, are refused now: it counts for nothing."""
    if judged.version == heir.version and judged.reading.refusal:
        return replace(_of_version(judged, heir), content=None, settled=heir.settled, ordered_at=heir.ordered_at)
    return replace(heir, content=None)


def _of_version(judged: Judged, before: FileEntry | None) -> FileEntry:
    """The entry for this version, without what it counts for; refused if the reading says so."""
    reading, order = judged.reading, judged.order
    fault = reading.refusal or reading.salvaged
    return FileEntry(
        raw_key=judged.raw_key,
        version=judged.version,
        sequencer=judged.sequencer,
        state=FileState.REJECTED,
        content_hash=reading.content_hash,
        size=reading.size,
        landed_at=judged.landed_at,
        copied_to=judged.archived,
        format=reading.format,
        reason=fault.reason.value if fault else None,
        place=(fault.place or None) if fault else None,
        records_read=reading.records_read if reading.refusal else 0,
        records_refused=reading.records_refused if reading.refusal else 0,
        salvaged_by=order.by if order and order.kind is OrderKind.SALVAGE and reading.salvaged else None,
        ordered_at=order.at if order else "",
        once_refused=bool(reading.refusal) or bool(before and before.once_refused),
    )
