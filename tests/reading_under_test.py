"""Reads files as ingestion does, and looks at what that leaves."""

from __future__ import annotations

import gzip
import json
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any

from atlas.formats import load_formats
from atlas.timestamps import iso_utc
from lambda_ingest.read import Reading, read_file
from lambda_ingest.spool import Spool
from tests.file_forms import NUMBER, Row, json_text

Days = dict[date, list[tuple[int, str, Any]]]
"""Each day's records in their order: place, event time, record."""

_number = partial(str.__add__, NUMBER)


def exact(text: str | bytes) -> Any:
    """JSON with its numbers as they are written, and its objects as tuples of members in their order."""
    return json.loads(text, parse_int=_number, parse_float=_number, object_pairs_hook=tuple)


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return {name: _plain(member) for name, member in value}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def unordered(days: Days) -> Days:
    """The same records with members of no order, as XML's attributes are."""
    return {day: [(place, time, _plain(record)) for place, time, record in mine] for day, mine in days.items()}


class Pieces:
    """A stream that gives its bytes in pieces of these sizes, over and over, and never more than asked for."""

    def __init__(self, body: bytes, sizes: Sequence[int]) -> None:
        self._body, self._sizes, self._at = body, cycle(sizes), 0

    def read(self, amount: int, /) -> bytes:
        piece = self._body[self._at : self._at + min(amount, next(self._sizes))]
        self._at += len(piece)
        return piece


@dataclass(frozen=True)
class Taken:
    """What a reading left: for each day the text of its envelopes."""

    reading: Reading
    text: Mapping[date, bytes]

    @property
    def reason(self) -> str | None:
        return self.reading.refusal.reason.value if self.reading.refusal else None

    def _envelopes(self) -> Iterator[tuple[date, dict[str, Any]]]:
        for day, text in self.text.items():
            for line in text.split(b"\n")[:-1]:
                envelope = dict(exact(line))
                yield day, envelope | {"line": int(envelope["line"].removeprefix(NUMBER))}

    def records(self) -> Days:
        found = defaultdict(list)
        for day, envelope in self._envelopes():
            if "error" not in envelope:
                found[day].append((envelope["line"], envelope["event_time"], envelope["record"]))
        return dict(found)

    def refused(self) -> list[tuple[int, str, str]]:
        """Place, reason and text of the refused records."""
        return [(e["line"], e["error"], e["raw"]) for _, e in self._envelopes() if "error" in e]


def take(body: bytes, key: str = "raw/drop", sizes: Sequence[int] = (1 << 20,)) -> Taken:
    """Reads a file from a stream of such pieces, and holds its counts against its envelopes."""
    with tempfile.TemporaryDirectory() as folder:
        spool = Spool(Path(folder), 1 << 20)
        reading = read_file(Pieces(body, sizes), key, spool, load_formats())
        text = {
            day: b"".join(gzip.decompress(spool.part(day, part).read_bytes()) for part in range(share.parts))
            for day, share in reading.shares.items()
        }
    taken = Taken(reading, text)
    assert reading.size == len(body)
    assert not (reading.refusal and reading.shares)
    refused = taken.refused()
    assert {day: len(mine) for day, mine in taken.records().items()} == {
        day: share.records for day, share in reading.shares.items()
    }
    if not reading.refusal:
        assert reading.unparsable == len(refused)
        shown = [(record.line, record.reason.value, record.text) for record in reading.refused]
        assert shown == [(place, reason, raw[:1000]) for place, reason, raw in refused[:5]]
    return taken


@dataclass(frozen=True)
class Case:
    """A record and the moment that it happened."""

    row: Row
    moment: datetime


def by_day(cases: Sequence[Case], places: Sequence[int]) -> Days:
    """What reading these cases should leave."""
    expected = defaultdict(list)
    for case, place in zip(cases, places, strict=True):
        expected[case.moment.date()].append((place, iso_utc(case.moment), exact(json_text(case.row))))
    return dict(expected)


def assert_whole(taken: Taken, cases: Sequence[Case], places: Sequence[int]) -> None:
    assert (taken.reason, taken.reading.warnings) == (None, ())
    assert taken.records() == by_day(cases, places)
    assert taken.refused() == []
