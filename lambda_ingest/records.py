"""What every syntax yields: records of the source in batches, and pieces of it that are none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from atlas.reasons import RecordReason

Fields = Mapping[str, Any]


class Batch(NamedTuple):
    """Some records in the order of the source, as columns: a tuple a record would cost as much as parsing it.

    `lines` counts lines, elements or array items from 1. `texts` holds one JSON object without line breaks a
    record, the producer's own bytes where the source is JSON. `faults` tells by position which records could not
    be parsed and why; their text is the raw one, their fields are empty.
    """

    lines: Sequence[int]
    texts: list[bytes]
    fields: list[Fields]
    faults: dict[int, RecordReason]

    def picked(self, positions: Sequence[int]) -> Batch:
        """The records at some positions, none of them a fault."""
        return Batch(
            [self.lines[position] for position in positions],
            [self.texts[position] for position in positions],
            [self.fields[position] for position in positions],
            {},
        )


class RefusedRecord(NamedTuple):
    """A record that normalize will refuse, for people to look at: its place, why, and the beginning of its text."""

    line: int
    reason: RecordReason
    text: str


class BatchBuilder:
    """Gathers a batch record by record, for the syntaxes that find them one at a time."""

    def __init__(self) -> None:
        self._lines: list[int] = []
        self._texts: list[bytes] = []
        self._fields: list[Fields] = []
        self._faults: dict[int, RecordReason] = {}

    def record(self, line: int, text: bytes, fields: Fields) -> None:
        """Adds a record; `text` is its JSON."""
        self._lines.append(line)
        self._texts.append(text)
        self._fields.append(fields)

    def fault(self, line: int, raw: bytes, reason: RecordReason) -> None:
        """Adds a piece that is no record."""
        self._faults[len(self._lines)] = reason
        self.record(line, raw, {})

    def named(self, line: int, fields: Fields, raw: str) -> None:
        """Adds a record of named texts, where `raw` may hold invalid bytes as surrogates."""
        try:
            text = orjson.dumps(fields)
        except orjson.JSONEncodeError:
            self.unreadable(line, raw)
        else:
            self.record(line, text, fields)

    def unreadable(self, line: int, raw: str) -> None:
        """Adds a line that is no record; `raw` may hold invalid bytes as surrogates."""
        text = raw.encode("utf-8", "surrogateescape")
        self.fault(line, text, unparsable(text))

    def batch(self) -> Batch:
        """What was gathered."""
        return Batch(self._lines, self._texts, self._fields, self._faults)


def unparsable(text: bytes) -> RecordReason:
    """Why a piece of text is no record."""
    try:
        text.decode()
    except UnicodeDecodeError:
        return RecordReason.INVALID_BYTES
    return RecordReason.MALFORMED_RECORD
