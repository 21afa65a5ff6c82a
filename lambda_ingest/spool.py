"""A file's envelopes on scratch disk, by day and part, until the whole file has been read.

Nothing goes to the validated zone before its last record was seen, for a file is taken whole or refused whole.
Memory does not grow with the file, nor with its days: beyond a few open parts the least recently used one is
closed, and goes on later as a further gzip member of the same file.
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
from typing import IO

from isal import isal_zlib

from atlas.ledger import Share
from atlas.reasons import FileReason
from lambda_ingest.refusal import FileRefusedError

MAX_DAYS = 3660
"""A file's shares must fit one ledger item, and no sane log file holds more than ten years."""

_MAX_OPEN = 64
_BUFFERED_BYTES = 1 << 16
_GZIP_LEVEL = 1


@dataclass
class _Day:
    records: int = 0
    unparsable: int = 0
    parts: int = 1
    part_bytes: int = 0
    bytes: int = 0


class _Part:
    """One open part: gathers lines, deflates them, appends them to its file."""

    def __init__(self, path: Path) -> None:
        self._file: IO[bytes] = path.open("ab")
        self._deflate = isal_zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, 16 + zlib.MAX_WBITS)
        self._pending: list[bytes] = []
        self._pending_bytes = 0

    def write(self, lines: bytes) -> None:
        self._pending.append(lines)
        self._pending_bytes += len(lines)
        if self._pending_bytes >= _BUFFERED_BYTES:
            self._flush()

    def _flush(self) -> None:
        with _room():
            self._file.write(self._deflate.compress(b"".join(self._pending)))
        self._pending.clear()
        self._pending_bytes = 0

    def close(self) -> None:
        self._flush()
        with _room():
            self._file.write(self._deflate.flush())
            self._file.close()

    def abandon(self) -> None:
        with suppress(OSError):  # what it still buffers may not fit the disk
            self._file.close()


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
        self._open: OrderedDict[date, _Part] = OrderedDict()
        self._refused: _Part | None = None
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
        if self._refused is None:
            self._refused = _Part(self._refused_path)
        self._refused.write(line)
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
            if day in self._open:
                self._open.pop(day).close()
            state.parts, state.part_bytes = state.parts + 1, 0
        part = self._open.get(day)
        if part is None:
            if len(self._open) >= _MAX_OPEN:
                self._open.popitem(last=False)[1].close()
            part = self._open[day] = _Part(self._path(day, state.parts - 1))
        self._open.move_to_end(day)
        part.write(lines)
        state.part_bytes += size
        state.bytes += size
        return state

    def close(self) -> dict[date, Share]:
        """Ends all parts; what each day got. Refused records are counted with, and follow, the first day's."""
        for part in self._open.values():
            part.close()
        self._open.clear()
        if self._refused:
            self._refused.close()
            if self._days:
                self._append_refused(min(self._days))
        return {
            day: Share(state.records, state.unparsable, state.parts, state.bytes)
            for day, state in sorted(self._days.items())
        }

    def abandon(self) -> None:
        """Closes the files of a file that is refused."""
        for part in (*self._open.values(), *([self._refused] if self._refused else [])):
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
