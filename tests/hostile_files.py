"""Files that are made to exhaust a reader, generated while they are read, in a process whose memory is limited.

`python -m tests.hostile_files NAME` reads one of FILES and prints what came of it, and at what cost.
"""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import random
import resource
import sys
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from datetime import date, timedelta
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from atlas.formats import load_formats
from lambda_ingest.read import read_file
from lambda_ingest.spool import Spool
from tests.file_forms import zstd_frame

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
ADDRESS_SPACE = 600 * MIB
"""The reader with all that it imports takes 40 MiB of it, a file of good lines 100 MiB."""

LARGE = 3 * MIB
"""A large record, which may still be taken."""

LONG = 200 * MIB
"""What goes on and on, where a reader has to give up long before."""

Pieces = Iterator[bytes]

JSON_LINE = b'{"time":"2024-11-29T10:00:00Z","ip":"192.0.2.1","status":200,"endpoint":"/"}\n'
JSON_OPEN = b'{"time":"2024-11-29T10:00:00Z","ip":"192.0.2.1","status":200,"x":'
TEXT_LINE = b'192.0.2.1 - - [29/Nov/2024:10:00:00 +0000] "GET / HTTP/1.1" 200 1 "-" "-"\n'
ERROR = b"<error><errorTime>2024-11-29T10:00:00Z</errorTime><errorCode>500</errorCode><message>m</message></error>"


def fill(piece: bytes, size: int) -> Pieces:
    """The piece over and over, up to about this size."""
    together = max(1, 64 * KIB // len(piece))
    for _ in range(size // (len(piece) * together)):
        yield piece * together


def times(count: int, *parts: bytes | Callable[[], Pieces]) -> Pieces:
    """The same parts so many times."""
    for _ in range(count):
        for part in parts:
            if isinstance(part, bytes):
                yield part
            else:
                yield from part()


def text(*parts: bytes | Iterable[bytes]) -> Pieces:
    return chain.from_iterable([part] if isinstance(part, bytes) else part for part in parts)


# --- Bombs ---


def gzipped(data: bytes) -> bytes:
    return gzip.compress(data, 9, mtime=0)


def packed(pack: Callable[[bytes], bytes], data: bytes, count: int) -> Pieces:
    """So many streams of the same content."""
    stream = pack(data)
    together = max(1, 64 * KIB // len(stream))
    for at in range(0, count, together):
        yield stream * min(together, count - at)


def _xz_that_claims_a_window(exponent: int) -> bytes:
    """An xz stream whose header asks for a dictionary of 2**exponent bytes."""
    whole = bytearray(lzma.compress(b"x" * 1000))
    header = 12
    end = header + 4 * (whole[header] + 1) - 4
    whole[header + 4] = 2 * (exponent - 12)  # as the LZMA2 filter says it
    whole[end : end + 4] = zlib.crc32(whole[header:end]).to_bytes(4, "little")
    return bytes(whole)


def _zstd_that_claims_a_window(exponent: int) -> bytes:
    """A zstd frame of one block whose header asks for a window of 2**exponent bytes."""
    return b"\x28\xb5\x2f\xfd\x00" + bytes([(exponent - 10) << 3]) + b"\x41\x00\x00" + b"{" * 8


_FAST_XZ = partial(lzma.compress, preset=0)


def _ten_gigabytes(pack: Callable[[bytes], bytes], piece: bytes = b" ") -> Pieces:
    return packed(pack, piece * (64 * MIB // len(piece)), 160)


Case = tuple[Callable[[], Pieces], str]
"""The file, and what it comes to: a reason, or `empty`, or records (and `+` refused ones); several with `|`."""

BOMBS: dict[str, Case] = {
    "gzip, 10 GB of blanks": (lambda: _ten_gigabytes(gzipped), "too_large"),
    "gzip, 10 GB of JSON lines": (lambda: _ten_gigabytes(gzipped, JSON_LINE), "too_large"),
    "gzip, 10 GB of zeros": (lambda: _ten_gigabytes(gzipped, b"\0"), "unsupported_format|too_large"),
    "gzip in gzip": (lambda: iter([gzipped(gzipped(b" " * (16 * MIB)) * 640)]), "too_large"),
    "gzip in gzip in gzip": (lambda: iter([gzipped(gzipped(gzipped(JSON_LINE)))]), "unsupported_container"),
    "bzip2, 10 GB": (lambda: _ten_gigabytes(bz2.compress), "too_large"),
    "xz, 10 GB": (lambda: _ten_gigabytes(_FAST_XZ), "too_large"),
    "zstd, 10 GB": (lambda: _ten_gigabytes(zstd_frame), "too_large"),
    "xz that asks for memory": (lambda: iter([_xz_that_claims_a_window(31)]), "corrupt_stream"),
    "zstd that asks for memory": (lambda: iter([_zstd_that_claims_a_window(41)]), "corrupt_stream"),
    "empty gzip members": (lambda: packed(gzipped, b"", 250_000), "empty"),
    "empty bzip2 streams": (lambda: packed(bz2.compress, b"", 250_000), "empty"),
    "empty xz streams": (lambda: packed(lzma.compress, b"", 100_000), "empty"),
    "empty zstd frames": (lambda: packed(zstd_frame, b"", 100_000), "empty"),
    "gzip and padding": (lambda: text(gzipped(JSON_LINE), fill(b"\0", LONG)), "1"),
}

# --- JSON ---

JSON: dict[str, Case] = {
    "a line of 2 GB": (lambda: text(JSON_OPEN, b'"', fill(b"x", 2 * GIB)), "record_too_long"),
    "a line without end behind others": (
        lambda: text(JSON_LINE * 99, JSON_OPEN, b'"', fill(b"x", LONG)),
        "record_too_long",
    ),
    "a line of escapes": (lambda: text(JSON_LINE, JSON_OPEN, b'"', fill(b"\\", LONG)), "record_too_long"),
    "brackets": (lambda: fill(b"[", LONG), "record_too_long|malformed_json"),
    "braces": (lambda: fill(b'{"a":', LONG), "record_too_long|malformed_json"),
    "a wrapper of wrappers": (lambda: fill(b'{"Records":[', LONG), "record_too_long|malformed_json"),
    "quotes": (lambda: fill(b'"', LONG), "unsupported_format"),
    "blanks in an array": (lambda: text(b"[", JSON_LINE, fill(b" ", LONG)), "malformed_json"),
    "commas in an array": (lambda: text(b"[", JSON_LINE, fill(b",", LONG)), "malformed_json"),
    "a string in an array": (lambda: text(b"[", JSON_OPEN, b'"', fill(b"}, {", LONG)), "record_too_long"),
    "objects in an array in an array": (lambda: text(b"[[", fill(b"{},", LONG)), "record_too_long"),
    "a number in an array": (lambda: text(b"[{},", fill(b"1", LONG)), "record_too_long"),
    "a name in a wrapper": (lambda: text(b'{"', fill(b"x", LONG)), "record_too_long"),
    "a wrapper's number": (
        lambda: text(b'{"Records":[', JSON_LINE, b'],"n":', fill(b"1", LONG)),
        "record_too_long",
    ),
    "closing braces": (lambda: text(JSON_LINE, fill(b"}", LONG)), "record_too_long"),
    "a deep line": (lambda: text(JSON_LINE, JSON_OPEN, fill(b"[", MIB), fill(b"]", MIB), b"}\n"), "1+1"),
    "a deep item": (lambda: text(b"[", JSON_OPEN, fill(b"[", MIB), fill(b"]", MIB), b"}]"), "malformed_json"),
    "a line of empty objects": (
        lambda: text(JSON_OPEN, b"[", fill(b"{},", LARGE), b"{}]}\n"),
        "1|record_too_long",
    ),
    "an item of small objects": (
        lambda: text(b"[", JSON_OPEN, b"[", fill(b'{"":0},', LARGE), b"{}]}]"),
        "1|record_too_long",
    ),
    "a line of many names": (
        lambda: text(JSON_OPEN, b"0", (b',"%d":0' % number for number in range(250_000)), b"}\n"),
        "1|record_too_long",
    ),
    "60 lines of 3 MB": (
        lambda: times(60, JSON_OPEN, b'"', lambda: fill(b"x", LARGE), b'"}\n'),
        "60|record_too_long",
    ),
    "60 lines of 3 MB behind a short one": (
        lambda: text(JSON_LINE, times(60, JSON_OPEN, b'"', lambda: fill(b"x", LARGE), b'"}\n')),
        "61|record_too_long",
    ),
    "60 items of 3 MB": (
        lambda: text(b"[", times(60, JSON_OPEN, b'"', lambda: fill(b"x", LARGE), b'"},'), JSON_LINE, b"]"),
        "61|record_too_long",
    ),
    "60 bad lines of 3 MB": (
        lambda: text(JSON_LINE, times(60, b"{", lambda: fill(b"\x01", LARGE), b"\n"), JSON_LINE),
        "2+60|record_too_long",
    ),
    "different times of 1 MB": (
        lambda: chain.from_iterable(
            text(b'{"ip":1,"status":2,"time":"%d' % (1732900000 + second), fill(b" ", MIB), b'"}\n')
            for second in range(400)
        ),
        "400|no_event_time|record_too_long",
    ),
    "different times with a fraction of 1 MB": (
        lambda: chain.from_iterable(
            text(b'{"ip":1,"status":2,"time":"%d.' % (1732900000 + second), fill(b"1", MIB), b'"}\n')
            for second in range(400)
        ),
        "400|no_event_time|record_too_long",
    ),
    "a million days": (lambda: a_record_a_day(1_000_000), "too_many_days"),
    "3000 days, one after the other": (lambda: a_record_a_day(3000), "3000"),
    "3000 days, shuffled": (lambda: shuffled_days(20_000, 3000), "20000"),
}


def a_record_a_day(count: int) -> Pieces:
    for number in range(count):
        day = date.min + timedelta(days=number)
        yield b'{"time":"%bT10:00:00Z","ip":1,"status":2}\n' % day.isoformat().encode()


def shuffled_days(count: int, days: int) -> Pieces:
    dice = random.Random(days)  # noqa: S311 - the same file in every run
    for _ in range(count):
        day = date(2016, 1, 1) + timedelta(days=dice.randrange(days))
        yield b'{"time":"%bT10:00:00Z","ip":1,"status":2}\n' % day.isoformat().encode()


# --- Text ---

TEXT: dict[str, Case] = {
    "a line of 2 GB": (lambda: text(TEXT_LINE[:50], fill(b"x", 2 * GIB)), "unsupported_format|record_too_long"),
    "a line without end behind others": (
        lambda: text(TEXT_LINE * 9, TEXT_LINE[:50], fill(b"x", LONG)),
        "record_too_long",
    ),
    "lines of quotes": (
        lambda: text(TEXT_LINE * 9, times(3, TEXT_LINE[:50], lambda: fill(b'"', LARGE), b"\n")),
        "9+3",
    ),
    "lines of escapes": (
        lambda: text(TEXT_LINE * 9, times(3, TEXT_LINE[:50], lambda: fill(b'\\"', LARGE), b"\n")),
        "9+3",
    ),
    "blanks": (lambda: fill(b" ", 100 * MIB), "empty"),
    "newlines": (lambda: fill(b"\n", 100 * MIB), "empty"),
    "newlines behind a line": (lambda: text(TEXT_LINE, fill(b"\n", 5 * MIB)), "1"),
    "newlines among JSON": (lambda: text(JSON_LINE, fill(b"\n", 20 * MIB), JSON_LINE), "2"),
    "comments": (lambda: fill(b"#\n", 100 * MIB), "unsupported_format|empty"),
    "headers": (lambda: fill(b"#Fields: date time c-ip cs-method sc-status\n", 50 * MIB), "empty"),
    "a header of 3 MB": (
        lambda: text(b"#Fields: date time c-ip", fill(b" x", LARGE), b"\n"),
        "empty|unsupported_format",
    ),
    "lines without format": (lambda: fill(b"x\n", 100 * MIB), "unsupported_format"),
    "bad lines": (lambda: text(TEXT_LINE * 99, fill(b"x\n", MIB // 2)), "99+262144"),
}

# --- XML ---


def _with_entity(declarations: bytes, message: bytes) -> Pieces:
    yield (
        b"<!DOCTYPE errors ["
        + declarations
        + b"]><errors>"
        + ERROR.replace(b">m<", b">" + message + b"<")
        + b"</errors>"
    )


_LAUGHS = b'<!ENTITY a0 "ha">' + b"".join(
    b'<!ENTITY a%d "%b">' % (number, b"&a%d;" % (number - 1) * 10) for number in range(1, 12)
)
_DEFAULTS = b"<!ATTLIST a " + b"".join(b'a%d CDATA "%b" ' % (number, b"x" * 999) for number in range(999)) + b">"
_NOWHERE = b"http://127.0.0.1:9/a.dtd"

XML: dict[str, Case] = {
    "tags": (lambda: fill(b"<a>", LONG), "malformed_xml"),
    "less-than signs": (lambda: fill(b"<", LONG), "unsupported_format|malformed_xml"),
    "text in a record": (lambda: text(b"<errors><error><message>", fill(b"x", GIB)), "record_too_long"),
    "references in a record": (lambda: text(b"<errors><error><message>", fill(b"&#10;", LONG)), "record_too_long"),
    "children in a record": (lambda: text(b"<errors><error>", fill(b"<a/>", LONG)), "record_too_long"),
    "a section in a record": (lambda: text(b"<errors><error><a><![CDATA[", fill(b"x", LONG)), "record_too_long"),
    "text between records": (lambda: text(b"<errors>", ERROR, fill(b"x", LONG), ERROR, b"</errors>"), "2"),
    "comments between records": (
        lambda: text(b"<errors>", ERROR, fill(b"<!---->", LONG), ERROR, b"</errors>"),
        "2",
    ),
    "comments before the first record": (
        lambda: text(b"<errors>", fill(b"<!---->", LONG), ERROR, b"</errors>"),
        "1|unsupported_format",
    ),
    "comments before the root": (
        lambda: text(fill(b"<!---->", LONG), b"<errors>", ERROR, b"</errors>"),
        "1|unsupported_format",
    ),
    "an element's name": (lambda: text(b"<errors><", fill(b"x", LONG)), "record_too_long"),
    "an attribute of 1 GB": (lambda: text(b'<errors><error message="', fill(b"x", GIB)), "record_too_long"),
    "a million attributes": (
        lambda: text(b"<errors>", ERROR[:6], (b' a%d=""' % n for n in range(1_000_000)), ERROR[6:], b"</errors>"),
        "1|record_too_long|malformed_xml",
    ),
    "a million names in a record": (
        lambda: text(b"<errors>", ERROR[:-8], (b"<a%d/>" % n for n in range(1_000_000)), b"</error></errors>"),
        "1|record_too_long|malformed_xml",
    ),
    "millions of names between records": (
        lambda: text(b"<errors>", ERROR, (b"<a%d/>" % n for n in range(3_000_000)), b"</errors>"),
        "1|record_too_long|malformed_xml",
    ),
    "a comment of 1 GB": (lambda: text(b"<!--", fill(b"x", GIB)), "record_too_long"),
    "a declaration": (lambda: text(b"<?xml ", fill(b" ", LONG)), "record_too_long"),
    "a DOCTYPE of 1 GB": (
        lambda: text(b"<!DOCTYPE errors [", fill(b"<!ELEMENT a ANY> ", GIB)),
        "malformed_xml|record_too_long|unsupported_format",
    ),
    "a DOCTYPE of the network": (
        lambda: text(b'<!DOCTYPE errors SYSTEM "%b"><errors>' % _NOWHERE, ERROR, b"</errors>"),
        "1",
    ),
    "attributes by default": (
        lambda: text(b"<!DOCTYPE errors [", _DEFAULTS, b"]><errors>", ERROR, b"<a/>" * 200_000, b"</errors>"),
        "1|forbidden_xml_entity",
    ),
    "fragments": (lambda: times(200_000, ERROR), "200000"),
    "billion laughs": (lambda: _with_entity(_LAUGHS, b"&a11;"), "forbidden_xml_entity"),
    "billion laughs of parameters": (
        lambda: _with_entity(b"<!ENTITY % a '<!ENTITY b \"c\">'> %a;", b"&b;"),
        "forbidden_xml_entity",
    ),
    "quadratic blow-up": (
        lambda: _with_entity(b'<!ENTITY a "%b">' % (b"x" * 100_000), b"&a;" * 100_000),
        "forbidden_xml_entity",
    ),
    "an entity of a file": (
        lambda: _with_entity(b'<!ENTITY a SYSTEM "file:///etc/hostname">', b"&a;"),
        "forbidden_xml_entity",
    ),
    "an entity of the network": (
        lambda: _with_entity(b'<!ENTITY a SYSTEM "%b">' % _NOWHERE, b"&a;"),
        "forbidden_xml_entity",
    ),
    "parameters of the network": (
        lambda: _with_entity(b'<!ENTITY %% a SYSTEM "%b"> %%a;' % _NOWHERE, b"m"),
        "forbidden_xml_entity",
    ),
    "an entity that nobody declared": (lambda: _with_entity(b"", b"&a;"), "malformed_xml"),
}

FILES: dict[str, Case] = {
    f"{kind}: {name}": case
    for kind, cases in {"bomb": BOMBS, "JSON": JSON, "text": TEXT, "XML": XML}.items()
    for name, case in cases.items()
}


# --- Reading one ---


class _Stream:
    """Pieces as a stream: no more than asked for, nothing kept but the rest of a piece."""

    def __init__(self, pieces: Pieces) -> None:
        self._pieces, self._rest, self._at = pieces, b"", 0

    def read(self, amount: int, /) -> bytes:
        parts, length = [], 0
        while length < amount:
            if self._at == len(self._rest):
                self._rest, self._at = next(self._pieces, b""), 0
                if not self._rest:
                    break
            part = self._rest[self._at : self._at + amount - length]
            self._at += len(part)
            length += len(part)
            parts.append(part)
        return b"".join(parts)


def _tell_of_fetches(event: str, arguments: tuple[Any, ...]) -> None:
    if event.startswith("socket.") or (event == "open" and str(arguments[0]).startswith("/etc")):
        sys.stderr.write(f"fetched: {event} {arguments}\n")


def judge(name: str) -> None:
    """Reads one of FILES and prints what came of it as JSON: the verdict, its place, CPU seconds and memory."""
    pieces = FILES[name][0]()
    formats = load_formats()
    first = next(pieces)  # what has to be made beforehand is no cost of the reader
    started = resource.getrusage(resource.RUSAGE_SELF)
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    sys.addaudithook(_tell_of_fetches)
    with tempfile.TemporaryDirectory() as folder:
        spool = Spool(Path(folder), 128 * MIB)
        reading = read_file(_Stream(chain([first], pieces)), "raw/drop", spool, formats)
    used = resource.getrusage(resource.RUSAGE_SELF)
    refused = f"+{reading.unparsable}" if reading.unparsable else ""
    came_to = f"{reading.records}{refused}" if reading.shares else "empty"
    told = {
        "verdict": reading.refusal.reason.value if reading.refusal else came_to,
        "place": reading.refusal.place if reading.refusal else "",
        "seconds": round(used.ru_utime + used.ru_stime - started.ru_utime - started.ru_stime, 2),
        "resident_mib": _peak_kib(used) // KIB,
    }
    sys.stdout.write(json.dumps(told))


def _peak_kib(used: resource.struct_rusage) -> int:
    """Of this program: Linux hands `ru_maxrss` down from the process that has started it."""
    status = Path("/proc/self/status")
    if not status.exists():
        return used.ru_maxrss
    return next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM:"))


if __name__ == "__main__":
    judge(sys.argv[1])
