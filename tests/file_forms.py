"""What people drop: records written in every layout, encoding and container that ingestion takes.

Pure functions. A layout makes a `Written`: the text, and what a reader must know of it to be judged by it.
"""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

Row = Mapping[str, Any]
Kind = Literal["lines", "objects", "document"]
Dump = Callable[..., str]


@dataclass(frozen=True)
class Written:
    """A file's text. `places` is each record's line or index, counted from 1.

    `stops` are the lengths at which the text, cut there, is a whole file, each with the records before it.
    What a cut leaves behind a stop is a refused record (`lines`), breaks the file (`document`), or may do either
    (`objects`: without a second line nobody can tell a broken line from a broken structure).
    """

    text: str
    places: tuple[int, ...]
    stops: tuple[tuple[int, int], ...]
    kind: Kind


JsonLayout = Callable[[Sequence[Row], Dump], Written]


class Writer:
    """Puts pieces of text in a row and remembers where one may stop."""

    def __init__(self) -> None:
        self.text = ""
        self.stops = [(0, 0)]
        self.records = 0

    def put(self, piece: str, *, records: int = 0, stop: bool = False) -> None:
        self.text += piece
        self.records += records
        if stop:
            self.stops.append((len(self.text), self.records))

    def written(self, kind: Kind) -> Written:
        return Written(self.text, tuple(range(1, self.records + 1)), tuple(self.stops), kind)


# --- Lines of any kind ---


def lines(rows: Iterable[str], *, newline: str = "\n", last: bool = True, blanks: bool = False) -> Written:
    """One record a line. `last`: the last line ends with a newline too. `blanks`: before each are blank lines."""
    return headed((), rows, newline=newline, last=last, blanks=blanks)


def headed(
    head: Sequence[str], rows: Iterable[str], *, newline: str = "\n", last: bool = True, blanks: bool = False
) -> Written:
    """Like `lines`, below lines that are no records."""
    writer = Writer()
    places = []
    number = 0

    def line(text: str, records: int) -> None:
        nonlocal number
        if number:
            writer.put(newline)
        writer.put(text, records=records, stop=True)
        number += 1

    for text in head:
        line(text, 0)
    for row in rows:
        if blanks:
            line("", 0)
            line(" \t ", 0)
        line(row, 1)
        places.append(number)
    if last:
        writer.put(newline, stop=True)
    return Written(writer.text, tuple(places), tuple(writer.stops), "lines")


LINES: dict[str, Callable[[Iterable[str]], Written]] = {
    "LF": lines,
    "CRLF": partial(lines, newline="\r\n"),
    "no newline at the end": partial(lines, last=False),
    "blank lines": partial(lines, blanks=True),
    "CRLF, blank lines, no newline at the end": partial(lines, newline="\r\n", last=False, blanks=True),
}


# --- JSON ---

BLANKS = " \t\r\n"
"""What JSON and XML call white space."""

NUMBER = "\ue000"
"""A text that begins with this (private) character is written as the bare number behind it."""

_NUMBER_TEXT = re.compile(r'"(?:\ue000|\\ue000)([^"\\]+)"')


def json_text(value: object, *, indent: int | None = None, ascii_only: bool = False, tight: bool = False) -> str:
    """JSON as people's programs write it: escaped or not, with or without blanks, in one line or several."""
    separators = (",", ":") if tight else None
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only, separators=separators)
    return _NUMBER_TEXT.sub(r"\1", text)


def _in_a_row(texts: Iterable[tuple[str, int]], between: str, kind: Kind) -> Written:
    """Texts, each a whole file by itself, with the number of records in each."""
    writer = Writer()
    for number, (text, records) in enumerate(texts):
        writer.put((between if number else "") + text, records=records, stop=True)
    return writer.written(kind)


def _objects(rows: Sequence[Row], dump: Dump, between: str) -> Written:
    return _in_a_row(((dump(row), 1) for row in rows), between, "objects")


def _array(rows: Sequence[Row], dump: Dump) -> Written:
    return _in_a_row([(dump(rows), len(rows))], "", "document")


def _wrapper(rows: Sequence[Row], dump: Dump, before: Row | None = None, after: Row | None = None) -> Written:
    return _in_a_row([(dump({**(before or {}), "Records": rows, **(after or {})}), len(rows))], "", "document")


def halves(rows: Sequence[Row]) -> list[Sequence[Row]]:
    middle = (len(rows) + 1) // 2
    return [rows[:middle], rows[middle:]]


def _arrays_in_a_row(rows: Sequence[Row], dump: Dump) -> Written:
    return _in_a_row(((dump(half), len(half)) for half in halves(rows)), "\n", "document")


def _wrappers_as_lines(rows: Sequence[Row], dump: Dump) -> Written:
    return _in_a_row(((dump({"Records": half}), len(half)) for half in halves(rows)), "\n", "document")


_SCALARS_BEFORE = {"version": "1.0", "count": 3, "more": None}
_SCALARS_AFTER = {"next": "a]}b", "last": True}


def _line_layout(write: Callable[[Iterable[str]], Written]) -> JsonLayout:
    return lambda rows, dump: write(map(dump, rows))


def _indented(layout: JsonLayout, indent: int) -> JsonLayout:
    return lambda rows, dump: layout(rows, partial(dump, indent=indent))


JSON_LAYOUTS: dict[str, JsonLayout] = {
    **{f"lines, {name}": _line_layout(write) for name, write in LINES.items()},
    "an array on one line": _array,
    "a pretty array": _indented(_array, 3),
    "a pretty array without indentation": _indented(_array, 0),
    "an array with a record a line": lambda rows, dump: _in_a_row(
        [("[\n" + ",\n".join(map(dump, rows)) + "\n]", len(rows)), ("\n", 0)], "", "document"
    ),
    "arrays in a row": _arrays_in_a_row,
    "pretty arrays in a row": _indented(_arrays_in_a_row, 1),
    "concatenated objects": partial(_objects, between=""),
    "objects with blanks between": partial(_objects, between=" "),
    "pretty objects": _indented(partial(_objects, between="\n"), 2),
    "pretty objects, touching": _indented(partial(_objects, between=""), 4),
    "pretty objects, blank lines between": _indented(partial(_objects, between="\r\n\r\n"), 2),
    "pretty objects without indentation": _indented(partial(_objects, between="\n"), 0),
    "a wrapper on one line": _wrapper,
    "a pretty wrapper": _indented(_wrapper, 2),
    "a wrapper with scalars before": partial(_wrapper, before=_SCALARS_BEFORE),
    "a wrapper with scalars behind": partial(_wrapper, after=_SCALARS_AFTER),
    "a pretty wrapper with scalars around": _indented(
        partial(_wrapper, before=_SCALARS_BEFORE, after=_SCALARS_AFTER), 4
    ),
    "wrappers as lines": _wrappers_as_lines,
}
"""A layout takes the rows and how a value becomes text: `json_text`, in any of its styles."""


# --- Encodings ---

ENCODINGS: dict[str, Callable[[str], bytes]] = {
    "utf-8": lambda text: text.encode(),
    "utf-8 with BOM": lambda text: text.encode("utf-8-sig"),
    "utf-16-le with BOM": lambda text: b"\xff\xfe" + text.encode("utf-16-le"),
    "utf-16-be with BOM": lambda text: b"\xfe\xff" + text.encode("utf-16-be"),
    "utf-16-le": lambda text: text.encode("utf-16-le"),
    "utf-16-be": lambda text: text.encode("utf-16-be"),
}

CODECS = {name: name.removesuffix(" with BOM") for name in ENCODINGS}

# --- Containers ---


@dataclass(frozen=True)
class Packed:
    """A container's bytes; `whole` are the lengths at which it, cut there, is a whole container too."""

    data: bytes
    whole: frozenset[int]


def _streams(parts: Iterable[bytes], padding: bytes = b"") -> Packed:
    data = b""
    whole = {0}
    for part in parts:
        data += part
        whole.add(len(data))
    whole.update(range(len(data), len(data) + len(padding) + 1))
    return Packed(data + padding, frozenset(whole))


def _split(data: bytes, pieces: int) -> list[bytes]:
    """The data in that many pieces, cut without regard to lines and characters."""
    size = max(1, -(-len(data) // pieces))
    return [data[at : at + size] for at in range(0, len(data), size)] or [b""]


def zstd_frame(data: bytes, *, checksum: bool = True, size: bool = True) -> bytes:
    """One zstd frame; what comes through a pipe says no size."""
    parameter = zstd.CompressionParameter
    return zstd.compress(data, options={parameter.checksum_flag: checksum, parameter.content_size_flag: size})


ZSTD_SKIPPABLE = b"\x50\x2a\x4d\x18\x05\x00\x00\x00skip!"
"""A frame that holds no data: pzstd and others put such at the start or between."""


def _with_empty_ones(pack: Callable[[bytes], bytes], data: bytes) -> list[bytes]:
    """Empty streams before, between and behind."""
    return [pack(b""), *(stream for part in _split(data, 3) for stream in (pack(part), pack(b"")))]


def _gzip_named(data: bytes) -> bytes:
    """A gzip member with all the optional fields: extra, name, comment."""
    plain = gzip.compress(data, mtime=0)
    return plain[:3] + b"\x1c" + plain[4:10] + b"\x05\x00extra" + b"access.log\0" + b"a comment\0" + plain[10:]


CONTAINERS: dict[str, Callable[[bytes], Packed]] = {
    "plain": lambda data: Packed(data, frozenset(range(len(data) + 1))),
    "gzip": lambda data: _streams([gzip.compress(data)]),
    "gzip, stored": lambda data: _streams([gzip.compress(data, 0)]),
    "gzip with name and comment": lambda data: _streams([_gzip_named(data)]),
    "gzip, members": lambda data: _streams(map(gzip.compress, _split(data, 4))),
    "gzip, many members": lambda data: _streams(map(gzip.compress, _split(data, 40))),
    "gzip, empty members and padding": lambda data: _streams(_with_empty_ones(gzip.compress, data), b"\0" * 700),
    "bzip2": lambda data: _streams([bz2.compress(data)]),
    "bzip2, streams": lambda data: _streams(_with_empty_ones(bz2.compress, data)),
    "xz": lambda data: _streams([lzma.compress(data)]),
    "xz, streams": lambda data: _streams(_with_empty_ones(lzma.compress, data)),
    "zstd": lambda data: _streams([zstd_frame(data)]),
    "zstd without size and checksum": lambda data: _streams([zstd_frame(data, checksum=False, size=False)]),
    "zstd, frames": lambda data: _streams([ZSTD_SKIPPABLE, *_with_empty_ones(zstd_frame, data), ZSTD_SKIPPABLE]),
}
