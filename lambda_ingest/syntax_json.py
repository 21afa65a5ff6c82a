"""JSON as lines, as one array, or as objects in a row, whole or over several lines; always as a stream.

A line that is no JSON object is a refused record. Elsewhere a fault breaks the structure, and the file is refused.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import chain

import orjson

from atlas.reasons import FileReason
from lambda_ingest.records import Record
from lambda_ingest.refusal import FileRefusedError

HEAD_BYTES = 1 << 16
"""How much is looked at to tell lines from a document."""

MAX_RECORD_BYTES = 16 << 20

_SPACE = b" \t\r\n"
_LONGEST_TOKEN = 16  # more than `\\ud83d\\ude00` or `-Infinity`, of which a chunk's end may cut a part
_DECODER = json.JSONDecoder()


def json_records(chunks: Iterator[bytes], skipped: int) -> Iterator[Record]:
    """The records of a JSON file whose text begins with `[` or `{`, after `skipped` lines of the file.

    Raises FileRefusedError.
    """
    head = b""
    for chunk in chunks:
        head += chunk
        if len(head) >= HEAD_BYTES:
            break
    whole = chain([head], chunks)
    return _lines(whole, skipped) if _is_lines(head) else _items(whole)


def _is_lines(head: bytes) -> bool:
    """Whether each line is a value of its own: the first one is, or a later one that begins at the margin.

    So a file of lines is one even if its first line is broken, and an object over several lines is not.
    """
    lines = head.split(b"\n")
    if len(lines) > 1 and len(head) >= HEAD_BYTES:
        lines.pop()  # perhaps cut
    first, *others = [line.rstrip(_SPACE) for line in lines if line.strip(_SPACE)]
    if first.lstrip(_SPACE).startswith(b"["):
        return False
    return _is_object(first) or any(_is_object(line) for line in others if line.startswith(b"{"))


def _is_object(text: bytes) -> bool:
    return _parsed(0, text).fields is not None


def _parsed(line: int, text: bytes) -> Record:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        value = None
    return Record(line, text, value if isinstance(value, dict) else None)


def _lines(chunks: Iterator[bytes], number: int) -> Iterator[Record]:
    for block in _whole_lines(chunks):
        for line in block.split(b"\n"):
            number += 1
            text = line.strip(_SPACE)
            if text:
                yield _parsed(number, text)


def _whole_lines(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The chunks cut at line ends, each without its last line end."""
    rest: list[bytes] = []
    for chunk in chunks:
        block, newline, tail = chunk.rpartition(b"\n")
        if newline:
            yield b"".join([*rest, block])
            rest = [tail]
        else:
            rest.append(chunk)
            if sum(map(len, rest)) > MAX_RECORD_BYTES:
                raise FileRefusedError(FileReason.RECORD_TOO_LONG)
    last = b"".join(rest)
    if last:
        yield last


class _Window:
    """The text from the current place on, filled up from the chunks as far as one value needs."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._undecoded = b""
        self.text = ""
        self.at = 0
        self.passed = 0

    def fill(self) -> bool:
        """One more chunk (or as much again as is there, so that a long value costs linear time)."""
        wanted = max(1, len(self.text) - self.at)
        grown = [self._undecoded]
        size = 0
        for chunk in self._chunks:
            grown.append(chunk)
            size += len(chunk)
            if size >= wanted:
                break
        data = b"".join(grown)
        cut = len(data) - _unfinished_utf8(data) if size else len(data)
        try:
            decoded = data[:cut].decode()
        except UnicodeDecodeError as fault:
            raise FileRefusedError(FileReason.UNREADABLE_ENCODING, f"character {self.place}") from fault
        self._undecoded = data[cut:]
        self.passed += self.at
        self.text = self.text[self.at :] + decoded
        self.at = 0
        return size > 0

    @property
    def place(self) -> int:
        return self.passed + self.at

    def peek(self) -> str:
        """The next character that is not white space; empty at the end."""
        while True:
            while self.at < len(self.text) and self.text[self.at] in " \t\r\n":
                self.at += 1
            if self.at < len(self.text):
                return self.text[self.at]
            if not self.fill() and self.at >= len(self.text):
                return ""

    def value(self) -> str:
        """The text of the next value. Raises FileRefusedError."""
        while True:
            try:
                value, end = _DECODER.raw_decode(self.text, self.at)
            except json.JSONDecodeError as fault:
                if not self._may_be_cut(fault) or not self.fill():
                    place = f"character {self.passed + fault.pos}: {fault.msg}"
                    raise FileRefusedError(FileReason.MALFORMED_JSON, place) from None
                continue
            except RecursionError:
                raise FileRefusedError(FileReason.MALFORMED_JSON, f"character {self.place}: too deep") from None
            if isinstance(value, int | float) and end == len(self.text) and self.fill():
                continue  # a number may go on in the next chunk
            text, self.at = self.text[self.at : end], end
            return text

    def _may_be_cut(self, fault: json.JSONDecodeError) -> bool:
        """Whether more text might mend the fault: it lies at the end, or in a string without one."""
        if len(self.text) - self.at > MAX_RECORD_BYTES:
            raise FileRefusedError(FileReason.RECORD_TOO_LONG, f"character {self.place}")
        return fault.msg.startswith("Unterminated string") or fault.pos >= len(self.text) - _LONGEST_TOKEN


def _unfinished_utf8(data: bytes) -> int:
    """How many bytes at the end belong to a character that is not all there yet."""
    for back in range(1, min(4, len(data)) + 1):
        byte = data[-back]
        if byte < 0x80:
            return 0
        if byte >= 0xC0:
            length = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return back if length > back else 0
    return 0


def _items(chunks: Iterator[bytes]) -> Iterator[Record]:
    window = _Window(chunks)
    number = 0
    while begins := window.peek():
        if begins == "[":
            window.at += 1
            for record in _array(window, number):
                number = record.line
                yield record
        else:
            number += 1
            yield _item(window, number)


def _array(window: _Window, before: int) -> Iterator[Record]:
    number = before
    if window.peek() == "]":
        window.at += 1
        return
    while True:
        number += 1
        yield _item(window, number)
        separator = window.peek()
        window.at += 1
        if separator == "]":
            return
        if separator != ",":
            found = repr(separator) if separator else "the end of the file"
            raise FileRefusedError(FileReason.MALFORMED_JSON, f"character {window.place - 1}: {found} for , or ]")


def _item(window: _Window, number: int) -> Record:
    if not window.peek():
        raise FileRefusedError(FileReason.MALFORMED_JSON, f"character {window.place}: the file ends too early")
    text = window.value()
    # Line breaks in a valid value are white space between its tokens.
    return _parsed(number, text.replace("\r", " ").replace("\n", " ").encode("utf-8", "surrogatepass"))
