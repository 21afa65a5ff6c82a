"""Days of files of every format with every trouble, from a seed: what two engines must make the same of."""

from __future__ import annotations

import gzip
import json
import random
import re
import struct
from collections.abc import Collection, Iterator
from datetime import UTC, date, datetime, timedelta
from math import isfinite
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

from atlas.formats import load_formats
from tests.request_lines import REQUESTS

SAMPLES = sorted((Path(__file__).parents[1] / "formats").glob("*.input"))

_TEXTS = (
    "", "-", " ", "  x ", "\t", "\u00a0y\u2003", "plain", "null", "NaN", "true", "Ünïcödé", "straße",
    "İstanbul ı ſ K", "😀 and 👩‍👩‍👧", 'a"b\\c/d', "line\nbreak", "cr\rlf\r\n", "nul\x00here", "\x00", "\x7f\x1f",
    "\u2028", "200\n",
    "200\u2028", "404 ", "+5", "-0", "1e5", "1.0E8", "1e+22", "0x1F", "007", "1_000", "٣", "½", "9" * 18, "9" * 19,
    "0." + "1" * 40, "1" * 16, "{", "{}", '{"orig_h": "192.0.2.9"}', '{"ip": 1.5e10}', '{"a"', "[1, 2]", "%41",
    "x" * 5000, "'; DROP TABLE logs", "$1 \\1", "Mozilla/5.0 (X11; Linux x86_64) Firefox/132.0", "curl/8.5.0",
    "GoogleBOT/2.1", "MOBİLE Safari", "Kindle", "ＩＰＡＤ", "GET", "post", "Pöst", "PURGE", "info", "Error",
    "CRITICAL", "fatal", "warnıng", "login", "user-1", "192.0.2.1", "2001:DB8::1", "200", "404", "500", "599",
    "600", "99", "200.0", "2e2", "0", "1.5", "0.25", "12345.678", *(text for text,
    *_ in REQUESTS if text is not None),
)  # fmt: skip
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_KEYS = ("zz", "Ip", "STATUS", "Message", "a b", "a.b", "é", "", "x\ty", "level ", "id", "client", "request")


class RandomDay:
    """`files` gives raw keys and bodies. Most records are of `day`; a few are of its neighbours."""

    def __init__(self, seed: int, day: date, formats: Collection[str] = tuple(load_formats())) -> None:
        self._formats = formats
        self._random = random.Random(seed)  # noqa: S311 - the same day every time
        self._day = day

    def files(self) -> Iterator[tuple[str, bytes]]:
        """Files of every format, copies of some, parts of others, and files that are one thing only."""
        pick = self._random
        lines: list[str] = []
        for name in self._formats:
            if load_formats()[name].syntax == "json":
                rows = [self._json_line(name) for _ in range(pick.randint(1, 60))]
                lines += rows
                yield f"raw/{name}/{pick.randint(0, 9)}.log", self._packed("\n".join(rows))
        if "xml_errors" in self._formats:
            yield "raw/xml_errors/a.xml", self._packed(self._xml())
        for path in (path for path in SAMPLES if path.stem in self._formats):
            yield f"raw/{path.stem}/{path.name}", self._moved(path.read_bytes())
        for number in range(2):
            copied = [pick.choice(lines) for _ in range(pick.randint(1, 40))]
            yield f"raw/ndjson/copies-{number}.ndjson", "\n".join(copied).encode()
        yield (
            "raw/app_log/broken.log",
            b"\n".join(
                [
                    b"{",
                    b"\xff\xfe",
                    b'{"timestamp": "never"}',
                    b"[]",
                    b'"x"',
                    self._json_line("app_log").encode(),
                    b'{"a": NaN}',
                ]
            ),
        )

    def _packed(self, text: str) -> bytes:
        body = text.encode()
        return gzip.compress(body, mtime=0) if self._random.random() < 0.3 else body

    def _moved(self, body: bytes) -> bytes:
        """A sample's lines, some of them twice, on our day as far as their times are spelled so."""
        for form in ("%Y-%m-%d", "%d/%b/%Y"):
            body = body.replace(date(2024, 11, 29).strftime(form).encode(), _dated(self._day, form).encode())
        return body

    def _time(self) -> str:
        moment = datetime(self._day.year, self._day.month, self._day.day, tzinfo=UTC)
        moment += timedelta(
            microseconds=self._random.choice([0, 1, 86_399_999_999, self._random.randrange(86_400_000_000)])
        )
        if self._random.random() < 0.03 and date(2, 1, 1) < self._day < date(9998, 1, 1):
            moment += timedelta(days=self._random.choice([-1, 1]))
        text = moment.isoformat()
        return text.replace("+00:00", "Z")

    def _json_line(self, name: str) -> str:
        """A record of a format: of its fields those that are required, and some others, with values of any kind."""
        pick, log_format = self._random, load_formats()[name]
        members: list[tuple[str, Any]] = [(pick.choice(["timestamp", "time"]), self._time())]
        if name == "cloudtrail":
            members = [("eventTime", self._time()), ("eventName", "x"), ("eventSource", "y"), ("eventVersion", "1")]
        if name == "waf":
            members = [("timestamp", self._time()), ("webaclId", "x"), ("httpRequest", {"clientIp": "192.0.2.1"})]
        for column in pick.choice(log_format.required):
            sources = log_format.columns.get(column, ())
            if sources and pick.random() < 0.9:
                good = {"status_code": ["200", 404, "503", 200.0]}.get(column, ["GET", "/x?y", "u", "error"])
                members.append((pick.choice(sources).path, pick.choice(good)))
        paths = log_format.source_paths()
        for _ in range(pick.randint(0, 12)):
            key = pick.choice(paths) if pick.random() < 0.85 else pick.choice(_KEYS)
            members.append((key, self._value(3)))
        record = "{" + ", ".join(self._member(key, value) for key, value in members) + "}"
        return record if pick.random() > 0.04 else record[: pick.randrange(len(record))]

    def _member(self, path: str, value: Any) -> str:
        """A dotted path as it is, or as objects in objects. Keys may come twice: nobody looks."""
        *outer, last = path.split(".") if self._random.random() < 0.5 else [path]
        text = f"{json.dumps(last, ensure_ascii=self._random.random() < 0.5)}: {self._json(value)}"
        for key in reversed(outer):
            text = f"{json.dumps(key)}: {{{text}}}"
        return text

    def _json(self, value: Any) -> str:
        if isinstance(value, _Number):
            return value.text
        if isinstance(value, dict):
            return "{" + ", ".join(f"{json.dumps(key)}: {self._json(item)}" for key, item in value.items()) + "}"
        if isinstance(value, list):
            return "[ " + " ,".join(map(self._json, value)) + " ]"
        return json.dumps(value, ensure_ascii=self._random.random() < 0.5)

    def _value(self, depth: int) -> Any:
        pick = self._random
        kind = pick.choice("ttttnnnbo" if depth else "ttn")
        if kind == "t":
            return pick.choice(_TEXTS)
        if kind == "n":
            return _Number(self._number())
        if kind == "b":
            return pick.choice([True, False, None])
        if pick.random() < 0.4:
            return [self._value(depth - 1) for _ in range(pick.randint(0, 3))]
        return {
            pick.choice(("ip", "name", "address", "orig_h", "😀", "x.y", *_KEYS)): self._value(depth - 1)
            for _ in range(pick.randint(0, 3))
        }

    def _number(self) -> str:
        """Whole, with a fraction, with a power; short and long. What is left out: see lambda_day/json_text.sql."""
        while True:
            number = self._spelled()
            value = float(number)
            has_fraction = any(letter in number for letter in ".eE")
            if abs(value) < 1e308 and not (has_fraction and 2**63 <= abs(value) < 1e26):
                return number

    def _spelled(self) -> str:
        pick = self._random
        whole = str(
            pick.choice([0, 1, 17, 404, 10**15, 10**19, 2**63, 12345678901234567890123, pick.randrange(10**9)])
        )
        zeros = "0" * pick.randint(0, 20)
        any_double: float = struct.unpack("d", pick.randbytes(8))[0]
        return pick.choice(
            [
                whole, f"-{whole}", f"{whole}.0", "-0", "-0.0", "0e5", "1.10", repr(pick.random()),
                f"{pick.randrange(10**6)}.{pick.randrange(10**6)}",
                f"{pick.randrange(1, 10)}e{pick.randint(-320, 300)}",
                f"{pick.randrange(100)}.5E+{pick.randint(0, 20)}", f"0.{zeros}{pick.randrange(1, 10**6)}",
                f"{pick.random():.17f}{pick.randrange(10**12):012d}",
                repr(any_double) if isfinite(any_double) else "1",
            ]
        )  # fmt: skip

    def _xml(self) -> str:
        """Texts that XML may hold."""
        pick = self._random
        texts = [text for text in _TEXTS if not _CONTROL.search(text)]
        elements = []
        for _ in range(pick.randint(1, 40)):
            names = pick.sample(["clientIp", "service", "message", "level", "userId", "endpoint"], 4)
            fields = {
                "errorTime": self._time(),
                "errorCode": pick.choice(["500", "503", "200", "banana"]),
                **{name: pick.choice(texts) for name in names},
            }
            split = pick.randint(0, len(fields))
            items = list(fields.items())
            attributes = "".join(f" {name}={quoteattr(value)}" for name, value in items[:split])
            children = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in items[split:])
            elements.append(f"<error{attributes}>{children}</error>")
        return "<errors>\n" + "\n".join(elements) + "\n</errors>"


class _Number:
    """A number as it is written."""

    def __init__(self, text: str) -> None:
        self.text = text


def _dated(day: date, form: str) -> str:
    return day.strftime(form.replace("%Y", f"{day.year:04d}"))
