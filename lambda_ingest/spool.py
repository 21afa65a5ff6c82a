"""A file's envelopes on scratch disk, by day and part, until the whole file has been read.

Nothing goes to the validated zone before its last record was seen, for a file is taken whole or refused whole.
Memory does not grow with the file, nor with its days: lines wait for their day's part up to a bound, and beyond a
few open parts the least recently used one is closed, and goes on later as a further gzip member of the same file.
"""

from __future__ import annotations

import errno
import shutil
import zlib
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import IO, Any

from isal import isal_zlib

from atlas.ledger import Share
from atlas.reasons import FileReason
from lambda_ingest.refusal import FileRefusedError

MAX_DAYS = 3660
"""A file's shares must fit one ledger item, and no sane log file holds more than ten years."""

_MAX_OPEN = 64
_BUFFERED_BYTES, _BUFFERED_IN_ALL = 1 << 16, 16 << 20
"""What waits in memory for a day, and for all days: records in no order of days would open a part each."""
_GZIP_LEVEL = 1


@dataclass
class _Day:
    records: int = 0
    unparsable: int = 0
    parts: int = 1
    part_bytes: int = 0
    bytes: int = 0


class _Part:
    """One part: gathers lines, and appends them to its file, as one gzip member until it is ended."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._pending: list[bytes] = []
        self.pending_bytes = 0
        self._member: tuple[IO[bytes], Any] | None = None
        """The file and the compressor of the gzip member that is open: the latter takes much memory."""

    def add(self, lines: bytes) -> None:
        self._pending.append(lines)
        self.pending_bytes += len(lines)

    def flush(self) -> None:
        with _room():
            if self._member is None:
                deflate = isal_zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
                self._member = self._path.open("ab"), deflate
            file, deflate = self._member
            file.write(deflate.compress(b"".join(self._pending)))
        self._pending.clear()
        self.pending_bytes = 0

    def end(self) -> None:
        if self._member is not None:
            file, deflate = self._member
            with _room():
                file.write(deflate.flush())
                file.close()
            self._member = None

    def abandon(self) -> None:
        if self._member is not None:
            with suppress(OSError):  # what it still buffers may not fit the disk
                self._member[0].close()


@contextmanager
def _room() -> Iterator[None]:
    """Refuses a file whose envelopes do not fit the scratch disk: another attempt would end there too."""
    try:
        yield
    except OSError as fault:
        if fault.errno == errno.ENOSPC:
            raise FileRefusedError(FileReason.TOO_LARGE, "the point where the scratch disk was full") from fault
        raise


class Spool:
    """Envelopes of one file. `folder` is an empty scratch folder, `part_bytes` the text after which a part ends."""

    def __init__(self, folder: Path, part_bytes: int) -> None:
        self._folder = folder
        self._part_bytes = part_bytes
        self._days: dict[date, _Day] = {}
        self._parts: dict[date, _Part] = {}
        self._open: OrderedDict[date, _Part] = OrderedDict()
        self._pending = 0
        self._refused = _Part(self._refused_path)
        self._refused_bytes = 0
        self.unparsable = 0
        """How many records were refused so far."""

    @property
    def seen(self) -> int:
        """How many records came so far, refused ones included."""
        return sum(state.records for state in self._days.values()) + self.unparsable

    def records(self, day: date, lines: list[bytes]) -> None:
        """Adds the envelopes of records of a day. They stay in one part."""
        self._write(day, b"".join(lines)).records += len(lines)

    def refused(self, line: bytes) -> None:
        """Adds the envelope of a record whose day cannot be told; it goes with the file's first day."""
        self._refused.add(line)
        if self._refused.pending_bytes >= _BUFFERED_BYTES:
            self._refused.flush()
        self._refused_bytes += len(line)
        self.unparsable += 1

    @property
    def _refused_path(self) -> Path:
        return self._folder / "refused"

    def _path(self, day: date, part: int) -> Path:
        return self._folder / f"{day.isoformat()}.{part}"

    def _write(self, day: date, lines: bytes) -> _Day:
        state = self._days.get(day)
        if state is None:
            if len(self._days) >= MAX_DAYS:
                raise FileRefusedError(FileReason.TOO_MANY_DAYS)
            state = self._days[day] = _Day()
        size = len(lines)
        if state.part_bytes and state.part_bytes + size > self._part_bytes:
            self._end(day)
            state.parts, state.part_bytes = state.parts + 1, 0
        if day not in self._parts:
            self._parts[day] = _Part(self._path(day, state.parts - 1))
        self._parts[day].add(lines)
        self._pending += size
        if self._parts[day].pending_bytes >= _BUFFERED_BYTES:
            self._flush(day)
        elif self._pending >= _BUFFERED_IN_ALL:
            for some in self._parts:
                self._flush(some)
        state.part_bytes += size
        state.bytes += size
        return state

    def _flush(self, day: date) -> None:
        part = self._parts[day]
        if part.pending_bytes:
            if day not in self._open and len(self._open) >= _MAX_OPEN:
                self._open.popitem(last=False)[1].end()
            self._pending -= part.pending_bytes
            part.flush()
            self._open[day] = part
            self._open.move_to_end(day)

    def _end(self, day: date) -> None:
        self._flush(day)
        self._parts.pop(day).end()
        self._open.pop(day, None)

    def close(self) -> dict[date, Share]:
        """Ends all parts; what each day got. Refused records are counted with, and follow, the first day's."""
        for day in tuple(self._parts):
            self._end(day)
        if self.unparsable:
            self._refused.flush()
            self._refused.end()
            if self._days:
                self._append_refused(min(self._days))
        return {
            day: Share(state.records, state.unparsable, state.parts, state.bytes)
            for day, state in sorted(self._days.items())
        }

    def abandon(self) -> None:
        """Closes the files of a file that is refused."""
        for part in (*self._open.values(), self._refused):
            part.abandon()

    def _append_refused(self, first: date) -> None:
        """Puts the refused lines behind the first day's last part; gzip members add up to one stream."""
        state = self._days[first]
        last = self._path(first, state.parts - 1)
        with _room(), self._refused_path.open("rb") as lines, last.open("ab") as part:
            shutil.copyfileobj(lines, part)
        state.unparsable = self.unparsable
        state.bytes += self._refused_bytes

    def part(self, day: date, number: int) -> Path:
        """The file of a part, after `close`."""
        return self._path(day, number)
