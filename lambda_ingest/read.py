"""Reads one file into envelopes by day. Knows nothing of S3 and the ledger."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from time import monotonic
from typing import cast

from xxhash import xxh3_128, xxh3_128_hexdigest

from atlas.envelope import RECORD_LINE, refused_line
from atlas.ledger import Share
from atlas.log_format import LogFormat
from atlas.reasons import SALVAGEABLE, FileReason, RecordReason
from lambda_ingest.container import Container, Readable
from lambda_ingest.detect import Detector
from lambda_ingest.event_time import EventTime, EventTimes
from lambda_ingest.lines import check_count
from lambda_ingest.records import Batch, RefusedRecord
from lambda_ingest.refusal import FileRefusedError
from lambda_ingest.spool import Spool

MAX_SECONDS = 600
"""The slowest real file of the greatest size takes half of it. What takes longer was made to be slow, and would run
into the Lambda's time-out again and again."""

_MAX_FIELDS_BYTES = 2_000
"""More names than that are not listed: the ledger has them for each file and day, and bills by the kB."""

_SHOWN_REFUSED = 5
_SHOWN_TEXT = 1000


@dataclass(frozen=True)
class Reading:
    """What a file is and holds. `format` is None for an empty file, `refusal` set for a refused one."""

    format: str | None
    shares: Mapping[date, Share]
    content_hash: str
    size: int
    warnings: tuple[str, ...]
    fields: tuple[str, ...] | None = None
    """The top-level fields of its records, in order; None if they are too many to list."""
    digest: str = ""
    """A hash of all envelopes: the same bytes, read in the same way, have the same."""
    refusal: FileRefusedError | None = None
    salvaged: FileRefusedError | None = None
    """Why the file would have been refused, if what is readable before the fault was to be taken."""
    refused: tuple[RefusedRecord, ...] = ()
    """The first few refused records, for people."""
    records_read: int = 0
    """All records that were found, up to the fault if the file is refused."""
    records_refused: int = 0
    """Those of them that could not be parsed, or whose time could not be read."""

    @property
    def records(self) -> int:
        """Records with a readable event time."""
        return sum(share.records for share in self.shares.values())

    @property
    def unparsable(self) -> int:
        """Records that normalize will refuse: bad syntax, or no readable time."""
        return sum(share.unparsable for share in self.shares.values())


def read_file(
    stream: Readable, raw_key: str, spool: Spool, formats: Mapping[str, LogFormat], *, salvage: bool = False
) -> Reading:
    """Reads all of `stream` and leaves its envelopes in `spool`; a refusal is a value of the answer.

    With `salvage`, a file that ends too early, or whose structure breaks, is taken up to there if that gives any
    record. Errors of the stream itself (a connection that breaks) are raised: they say nothing about the file.
    """
    container = Container(stream, to_the_cut=salvage)
    found = _Found()
    shares: Mapping[date, Share] = {}
    refusal: FileRefusedError | None = None
    salvaged: FileRefusedError | None = None
    try:
        try:
            found.read(container, raw_key, spool, formats)
        except FileRefusedError as fault:
            if not (salvage and fault.reason in SALVAGEABLE):
                raise
            salvaged = container.cut or fault
        salvaged = salvaged or container.cut
        unparsable = spool.unparsable
        shares = spool.close()
        if not shares and (unparsable or salvaged):
            raise salvaged or FileRefusedError(FileReason.NO_EVENT_TIME, f"all of {unparsable} records")
    except FileRefusedError as fault:
        refusal, salvaged = fault, None
        spool.abandon()
    container.drain()
    return Reading(
        format=found.format.name if found.format else None,
        shares=shares,
        content_hash=container.content_hash,
        size=container.size,
        warnings=tuple(container.warnings),
        fields=None if found.fields is None else tuple(sorted(found.fields)),
        digest=found.digest.hexdigest(),
        refusal=refusal,
        salvaged=salvaged,
        refused=tuple(found.refused),
        records_read=spool.seen,
        records_refused=spool.unparsable,
    )


class _Found:
    """What has been found in a file so far."""

    def __init__(self) -> None:
        self.format: LogFormat | None = None
        self.fields: set[str] | None = set()
        self.refused: list[RefusedRecord] = []
        self.digest = xxh3_128()

    def read(self, container: Container, raw_key: str, spool: Spool, formats: Mapping[str, LogFormat]) -> None:
        """All of the file into the spool. Raises FileRefusedError."""
        text = container.text()
        detector = Detector(formats, raw_key, gzip=container.compression == "gzip")
        self.format, batches = detector.read(text)
        if self.format is None:
            return
        times = EventTimes(self.format)
        ends = monotonic() + MAX_SECONDS
        for batch in batches:
            check_count(batch.lines[-1] if batch.lines else 0)
            if monotonic() > ends:
                raise FileRefusedError(FileReason.TOO_LARGE, f"what was read after {MAX_SECONDS} seconds")
            self._spool(batch, times.of(batch.fields), spool)
            if self.fields is not None:
                self.fields = _listed(self.fields.union(*batch.fields))

    def _spool(self, batch: Batch, times: list[EventTime | None], spool: Spool) -> None:
        """Writes each record's envelope to its day, or to the refused ones.

        The id is XXH3's 128 bits over the record's text: of 10**12 different records, the chance that any two share
        an id is below 10**-14. It does not withstand a producer who forges records to that end; but that one could
        as well leave a record out.
        """
        if not all(times):
            for position, time in enumerate(times):
                if time is None:
                    self._refuse(batch, position, spool)
            kept = [position for position, time in enumerate(times) if time is not None]
            batch, times = batch.picked(kept), [times[position] for position in kept]
        timed = cast("list[EventTime]", times)
        lines = [
            RECORD_LINE % (opening, line, xxh3_128_hexdigest(text).encode(), text)
            for (_, opening), line, text in zip(timed, batch.lines, batch.texts, strict=True)
        ]
        self.digest.update(b"".join(lines))
        if len({day for day, _ in timed}) == 1:
            spool.records(timed[0][0], lines)
            return
        by_day: defaultdict[date, list[bytes]] = defaultdict(list)
        for (day, _), line in zip(timed, lines, strict=True):
            by_day[day].append(line)
        for day, some in by_day.items():
            spool.records(day, some)

    def _refuse(self, batch: Batch, position: int, spool: Spool) -> None:
        line, reason = batch.lines[position], batch.faults.get(position, RecordReason.NO_EVENT_TIME)
        raw = batch.texts[position].decode("utf-8", "backslashreplace")
        refused = refused_line(line, reason, raw)
        self.digest.update(refused)
        spool.refused(refused)
        if len(self.refused) < _SHOWN_REFUSED:
            self.refused.append(RefusedRecord(line, reason, raw[:_SHOWN_TEXT]))


def _listed(fields: set[str]) -> set[str] | None:
    """The names, unless they are too many."""
    few = len(fields) <= _MAX_FIELDS_BYTES and sum(len(name.encode()) for name in fields) <= _MAX_FIELDS_BYTES
    return fields if few else None
