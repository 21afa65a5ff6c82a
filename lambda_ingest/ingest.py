"""What becomes of one landed object, or of an order, and the order of effects.

Copy to the archive, write parts, commit the ledger, show a refusal, delete from raw. A redelivered event finds the
ledger and does only what is missing. Nothing that a day's run may be reading is deleted here.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from atlas.file_entry import Content, FileEntry
from atlas.formats import LogFormat
from atlas.orders import Order, OrderKind
from lambda_ingest.container import Readable
from lambda_ingest.decide import Judged, counts_now, decide, disinherited, inheriting, restored, withdrawn
from lambda_ingest.events import LandedObject
from lambda_ingest.ledger_writer import Claims, LedgerConflictError, LedgerWriter
from lambda_ingest.objects import LakeObjects, ObjectGoneError
from lambda_ingest.read import Reading, read_file
from lambda_ingest.rejected_zone import RejectedZone
from lambda_ingest.spool import Spool

_DECISIONS = 5
"""How often a conflicting commit is decided anew before the queue has to deliver again."""


class Outcome(StrEnum):
    """What happened to a delivery."""

    INGESTED = "ingested"
    EMPTY = "empty"
    DUPLICATE = "duplicate"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"
    REDELIVERED = "redelivered"
    RESTORED = "restored"
    SUPERSEDED = "superseded"
    GONE = "gone"


@dataclass(frozen=True)
class Verdict:
    """The outcome of a delivery, for logs and metrics; `entry` is the ledger's, `reading` what was read now."""

    outcome: Outcome
    entry: FileEntry | None = None
    reading: Reading | None = None


@dataclass
class _Spooled:
    """A file that has been read, its parts on scratch disk, and whether they have been uploaded too."""

    reading: Reading
    spool: Spool
    uploaded: bool = False


class Ingestion:
    """Takes landed objects into the lake. `scratch` is a folder on a disk with room for two files' envelopes."""

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
        self._refusals = RejectedZone(objects, ledger)
        self._ledger = ledger
        self._formats = formats
        self._part_bytes = part_bytes
        self._scratch = scratch

    def take(self, landed: LandedObject) -> Verdict:
        """Ingests or refuses one object. Errors of AWS are raised: the queue delivers again."""
        before = self._current(landed.key)
        if _was_taken(landed, before):
            return self._done(landed, Verdict(Outcome.REDELIVERED, before))
        try:
            stream, landed_at = self._objects.open(landed)
        except ObjectGoneError:
            return Verdict(Outcome.GONE, before)
        with stream as body, self._read(body, landed.key) as spooled:
            judged = Judged.landed(landed, landed_at, spooled.reading)
            try:
                self._objects.copy(landed, judged.archived)
            except ObjectGoneError:  # the same event, delivered twice at once: the other delivery has taken it
                return Verdict(Outcome.GONE, self._current(landed.key))

            def settle() -> Verdict:
                before = self._current(landed.key)
                if _was_taken(landed, before):
                    return Verdict(Outcome.REDELIVERED, before)
                return self._settle(landed.bucket, judged, before, spooled)

            verdict = _until_settled(settle)
            self._discard(judged, verdict, spooled)
            return self._done(landed, verdict)

    def obey(self, order: Order, bucket: str) -> Verdict:
        """Does what was ordered, if the file's version is still the one that the order speaks of.

        Raises ObjectGoneError if the archive's copy that is needed is not there, and UnrestorableError.
        """
        if order.kind is OrderKind.RESTORE:
            return self._restore(order, bucket)
        if order.kind is OrderKind.WITHDRAW:
            verdict = _until_settled(lambda: self._withdraw(order, bucket))
        else:
            verdict = self._replay(order, bucket)
        if verdict.entry:
            self._refusals.show(bucket, verdict.entry)
        return verdict

    def _withdraw(self, order: Order, bucket: str) -> Verdict:
        before = self._current(order.raw_key)
        if before is None or not _applies(order, before):
            return _not_again(order, before)
        before, claims = self._let_go(bucket, before, None, order.at)
        return Verdict(Outcome.WITHDRAWN, self._ledger.commit(withdrawn(before, order), before, claims, order.at))

    def _replay(self, order: Order, bucket: str) -> Verdict:
        before = self._current(order.raw_key)
        if before is None or not _applies(order, before):
            return _not_again(order, before)
        salvage = order.kind is OrderKind.SALVAGE
        stream = self._objects.open_key(bucket, before.copied_to)
        with stream as body, self._read(body, order.raw_key, salvage=salvage) as spooled:
            judged = Judged.replayed(before, order, spooled.reading)

            def settle() -> Verdict:
                before = self._current(order.raw_key)
                if before is None or not _applies(order, before):
                    return _not_again(order, before)
                return self._settle(bucket, judged, before, spooled)

            verdict = _until_settled(settle)
            self._discard(judged, verdict, spooled)
            return verdict

    def _restore(self, order: Order, bucket: str) -> Verdict:
        """Writes the objects that hold the file's records once more, all of them, under the same keys.

        If today's formats make other records of the same bytes, these count from now on, as after a replay.
        """
        before = self._current(order.raw_key)
        content = before.content if before else None
        if not before or not content or not content.shares or content.objects_version != order.version:
            return Verdict(Outcome.SUPERSEDED, before)
        stream = self._objects.open_key(bucket, content.archived)
        with stream as body, self._read(body, order.raw_key, salvage=content.salvaged) as spooled:
            judged = Judged.restored(before, content, order, spooled.reading)
            counting = restored(before, judged)
            self._upload(bucket, judged, counting, spooled)
            with suppress(LedgerConflictError):  # should something be gone even then, it is ordered again
                if counting is not before:
                    self._ledger.commit(counting, before, Claims(None, 0, None), content.landed_at)
            verdict = Verdict(Outcome.RESTORED, self._ledger.entry(order.raw_key), spooled.reading)
            self._discard(judged, verdict, spooled)
            return verdict

    def _current(self, raw_key: str) -> FileEntry | None:
        """The file's entry, its switch-over brought to an end if a crash had cut it short, and its heir's too."""
        entry = self._ledger.entry(raw_key)
        if entry and entry.duplicate_of and (heir := self._ledger.entry(entry.duplicate_of)):
            self._ledger.finish_commit(heir, heir.landed_at)
        return self._ledger.finish_commit(entry, entry.landed_at) if entry else None

    @contextmanager
    def _read(self, body: Readable, raw_key: str, *, salvage: bool = False) -> Iterator[_Spooled]:
        with tempfile.TemporaryDirectory(dir=self._scratch) as folder:
            spool = Spool(Path(folder), self._part_bytes)
            yield _Spooled(read_file(body, raw_key, spool, self._formats, salvage=salvage), spool)

    def _settle(self, bucket: str, judged: Judged, before: FileEntry | None, spooled: _Spooled) -> Verdict:
        """Decides, writes what the decision needs, commits. Raises LedgerConflictError if another came first."""
        claims = Claims(None, 0, None)
        reading, at = judged.reading, judged.order.at if judged.order else judged.landed_at
        if before and counts_now(judged, before):
            before, claims = self._let_go(bucket, before, reading.content_hash if reading.shares else None, at)
        owner = self._ledger.claims(reading.content_hash).owner if reading.shares else None
        entry = decide(judged, before, owner)
        if entry is None:
            return Verdict(Outcome.SUPERSEDED, before, reading)
        self._upload(bucket, judged, entry, spooled)
        entry = self._ledger.commit(entry, before, claims, at)
        return Verdict(Outcome(entry.state.value), entry, reading)

    def _let_go(self, bucket: str, before: FileEntry, keeps: str | None, at: str) -> tuple[FileEntry, Claims]:
        """Sees to it that another file of the same bytes counts for them, if this one is to give them up.

        The entry as it is then, and the claims that were seen when there was no heir.
        """
        while (content := before.content) and not content.duplicate_of and content.content_hash != keeps:
            claims = self._ledger.claims(content.content_hash)
            if claims.heir is None:
                return before, claims
            before = self._bequeath(bucket, before, content, claims.heir, at)
        return before, Claims(None, 0, None)

    def _bequeath(self, bucket: str, owner: FileEntry, content: Content, heir_key: str, at: str) -> FileEntry:
        """Hands the owner's bytes over to the heir, who is read as its own folder and today's formats say."""
        heir = self._current(heir_key)
        if not heir or not heir.content or heir.content.content_hash != content.content_hash:
            raise LedgerConflictError(f"{heir_key} has changed since its claim was read")
        stands_for = heir.content
        stream = self._objects.open_key(bucket, stands_for.archived)
        with stream as body, self._read(body, heir_key, salvage=stands_for.salvaged) as spooled:
            judged = Judged.inheriting(heir, stands_for, owner, spooled.reading)
            inherited = judged.content(None, None)
            if inherited is None:
                gone = self._ledger.commit(disinherited(heir, judged), heir, Claims(None, 0, None), at)
                self._refusals.show(bucket, gone)
                return owner
            counting = inheriting(heir, inherited)
            self._upload(bucket, judged, counting, spooled)
            try:
                return self._ledger.hand_over(owner, counting, heir, at)
            except LedgerConflictError:
                self._ledger.discard(judged.parts())
                raise

    def _upload(self, bucket: str, judged: Judged, entry: FileEntry, spooled: _Spooled) -> None:
        """Writes the parts, if the entry counts for what was read now."""
        if judged.is_counted_by(entry):
            spooled.uploaded = True
            parts = {
                key: spooled.spool.part(file.day, number)
                for file in entry.days()
                for number, key in enumerate(file.objects())
            }
            self._objects.upload(bucket, parts)

    def _discard(self, judged: Judged, verdict: Verdict, spooled: _Spooled) -> None:
        """Leaves parts to be cleared away that this delivery has written, or an earlier one that died, in vain."""
        in_vain = verdict.entry is None or not judged.is_counted_by(verdict.entry)
        if in_vain and (spooled.uploaded or verdict.outcome is Outcome.SUPERSEDED):
            self._ledger.discard(judged.parts())

    def _done(self, landed: LandedObject, verdict: Verdict) -> Verdict:
        """What is left to do once the ledger knows: show a refusal, and take exactly this version out of raw/."""
        if verdict.entry:
            self._refusals.show(landed.bucket, verdict.entry)
        self._objects.clear_landed(landed)
        return verdict


def _was_taken(landed: LandedObject, before: FileEntry | None) -> bool:
    """Whether this version has been judged, and the ledger speaks of it."""
    if before is None:
        return False
    return landed.version in (before.version, before.content.version if before.content else None)


def _applies(order: Order, before: FileEntry) -> bool:
    """Whether an order is yet to be obeyed."""
    return before.version == order.version and before.ordered_at < order.at


def _not_again(order: Order, before: FileEntry | None) -> Verdict:
    """The verdict on an order that has been obeyed, or speaks of a version that was overtaken."""
    obeyed = before is not None and before.version == order.version
    return Verdict(Outcome.REDELIVERED if obeyed else Outcome.SUPERSEDED, before)


def _until_settled(settle: Callable[[], Verdict]) -> Verdict:
    """Decides anew, some times, if another delivery changed what a decision went by."""
    for _ in range(_DECISIONS - 1):
        with suppress(LedgerConflictError):
            return settle()
    return settle()
