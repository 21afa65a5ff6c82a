"""Reads one file into envelopes by day. Knows nothing of S3 and the ledger."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from time import monotonic
from typing import cast

from xxhash import xxh3_128_hexdigest

from atlas.envelope import RECORD_LINE, refused_line
from atlas.ledger import Share
from atlas.log_format import LogFormat
from atlas.reasons import FileReason, RecordReason
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
    refusal: FileRefusedError | None = None
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


def read_file(stream: Readable, raw_key: str, spool: Spool, formats: Mapping[str, LogFormat]) -> Reading:
    """Reads all of `stream` and leaves its envelopes in `spool`; a refusal is a value of the answer.

    Errors of the stream itself (a connection that breaks) are raised: they say nothing about the file.
    """
    container = Container(stream)
    found: LogFormat | None = None
    shares: Mapping[date, Share] = {}
    refusal: FileRefusedError | None = None
    refused: list[RefusedRecord] = []
    fields: set[str] | None = set()
    try:
        text = container.text()
        detector = Detector(formats, raw_key, gzip=container.compression == "gzip")
        found, batches = detector.read(text)
        if found is not None:
            times = EventTimes(found)
            ends = monotonic() + MAX_SECONDS
            for batch in batches:
                check_count(batch.lines[-1] if batch.lines else 0)
                if monotonic() > ends:
                    raise FileRefusedError(FileReason.TOO_LARGE, f"what was read after {MAX_SECONDS} seconds")
                _spool(batch, times.of(batch.fields), spool, refused)
                fields = None if fields is None else _listed(fields.union(*batch.fields))
        unparsable = spool.unparsable
        shares = spool.close()
        if unparsable and not shares:
            raise FileRefusedError(FileReason.NO_EVENT_TIME, f"all of {unparsable} records")
    except FileRefusedError as fault:
        refusal = fault
        spool.abandon()
    container.drain()
    return Reading(
        format=found.name if found else None,
        shares=shares,
        content_hash=container.content_hash,
        size=container.size,
        warnings=tuple(container.warnings),
        fields=None if fields is None else tuple(sorted(fields)),
        refusal=refusal,
        refused=tuple(refused),
        records_read=spool.seen,
        records_refused=spool.unparsable,
    )


def _listed(fields: set[str]) -> set[str] | None:
    """The names, unless they are too many."""
    few = len(fields) <= _MAX_FIELDS_BYTES and sum(len(name.encode()) for name in fields) <= _MAX_FIELDS_BYTES
    return fields if few else None


def _spool(batch: Batch, times: list[EventTime | None], spool: Spool, refused: list[RefusedRecord]) -> None:
    """Writes each record's envelope to its day, or to the refused ones.

    The id is XXH3's 128 bits over the record's text: of 10**12 different records, the chance that any two share an
    id is below 10**-14. It does not withstand a producer who forges records to that end; but that one could as
    well leave a record out.
    """
    if not all(times):
        for position, time in enumerate(times):
            if time is None:
                _refuse(batch, position, spool, refused)
        kept = [position for position, time in enumerate(times) if time is not None]
        batch, times = batch.picked(kept), [times[position] for position in kept]
    timed = cast("list[EventTime]", times)
    lines = [
        RECORD_LINE % (opening, line, xxh3_128_hexdigest(text).encode(), text)
        for (_, opening), line, text in zip(timed, batch.lines, batch.texts, strict=True)
    ]
    if len({day for day, _ in timed}) == 1:
        spool.records(timed[0][0], lines)
        return
    by_day: defaultdict[date, list[bytes]] = defaultdict(list)
    for (day, _), line in zip(timed, lines, strict=True):
        by_day[day].append(line)
    for day, some in by_day.items():
        spool.records(day, some)


def _refuse(batch: Batch, position: int, spool: Spool, refused: list[RefusedRecord]) -> None:
    line, reason = batch.lines[position], batch.faults.get(position, RecordReason.NO_EVENT_TIME)
    raw = batch.texts[position].decode("utf-8", "backslashreplace")
    spool.refused(refused_line(line, reason, raw))
    if len(refused) < _SHOWN_REFUSED:
        refused.append(RefusedRecord(line, reason, raw[:_SHOWN_TEXT]))
