"""Reads one file into envelopes by day. Knows nothing of S3 and the ledger."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Any

from atlas import envelope
from atlas.formats import LogFormat
from atlas.ledger import Share
from atlas.reasons import FileReason, RecordReason
from atlas.timestamps import iso_utc, parse_time
from lambda_ingest.container import Container, Readable
from lambda_ingest.detect import read_records
from lambda_ingest.records import Record
from lambda_ingest.refusal import FileRefusedError
from lambda_ingest.spool import Spool

_ID_BYTES = 16
"""128 bits: among 10**12 different records the chance of any two sharing an id is below 10**-14."""


@dataclass(frozen=True)
class Reading:
    """What a file is and holds. `format` is None for an empty file, `refusal` set for a refused one."""

    format: str | None
    shares: Mapping[date, Share]
    content_hash: str
    size: int
    warnings: tuple[str, ...]
    refusal: FileRefusedError | None = None

    @property
    def records(self) -> int:
        """Records with a readable event time."""
        return sum(share.records for share in self.shares.values())

    @property
    def unparsable(self) -> int:
        """Records that job 1 will refuse: bad syntax, or no readable time."""
        return sum(share.unparsable for share in self.shares.values())


def read_file(stream: Readable, raw_key: str, spool: Spool, formats: Mapping[str, LogFormat]) -> Reading:
    """Reads all of `stream` and leaves its envelopes in `spool`; a refusal is a value of the answer.

    Errors of the stream itself (a connection that breaks) are raised: they say nothing about the file.
    """
    container = Container(stream)
    found: LogFormat | None = None
    shares: Mapping[date, Share] = {}
    refusal: FileRefusedError | None = None
    try:
        found, records = read_records(container.text(), raw_key, gzip=container.gzip, formats=formats)
        if found is not None:
            times = _Times(found)
            for record in records:
                _spool(record, times, spool)
        unparsable = spool.unparsable
        shares = spool.close()
        if unparsable and not shares:
            raise FileRefusedError(FileReason.NO_EVENT_TIME, f"all of {unparsable} records")
    except FileRefusedError as fault:
        refusal = fault
    container.drain()
    name = found.name if found else None
    return Reading(name, shares, container.content_hash, container.size, tuple(container.warnings), refusal)


def _spool(record: Record, times: _Times, spool: Spool) -> None:
    if record.fields is None:
        reason = RecordReason.MALFORMED_RECORD
    elif (moment := times.of(record.fields)) is None:
        reason = RecordReason.NO_EVENT_TIME
    else:
        text, day = moment
        record_id = hashlib.blake2b(record.text, digest_size=_ID_BYTES).hexdigest()
        spool.record(day, envelope.record_line(text, record.line, record_id, record.text))
        return
    spool.refused(envelope.refused_line(record.line, reason, record.text.decode("utf-8", "replace")))


@lru_cache(maxsize=1 << 14)
def _text_time(value: str) -> tuple[str, date] | None:
    """Logs repeat their times: most lines share a second with others."""
    moment = parse_time(value)
    return (iso_utc(moment), moment.date()) if moment else None


class _Times:
    """Finds a record's event time: the first of the format's time fields that can be read."""

    def __init__(self, log_format: LogFormat) -> None:
        self._names = log_format.time_fields

    def of(self, fields: Mapping[str, Any]) -> tuple[str, date] | None:
        """The time as the envelope's text, and its UTC day."""
        for name in self._names:
            value = fields.get(name)
            if value is None:
                continue
            if isinstance(value, str):
                moment = _text_time(value)
                if moment:
                    return moment
            elif number := parse_time(value):
                return iso_utc(number), number.date()
        return None
