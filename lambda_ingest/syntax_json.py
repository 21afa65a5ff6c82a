"""JSON as lines, as arrays, as objects in a row, or wrapped in an object; always as a stream.

A line that is no JSON object is a refused record. Elsewhere a fault breaks the structure, and the file is refused.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from io import BytesIO
from itertools import chain
from typing import Any

import orjson

from atlas.reasons import FileReason, RecordReason
from lambda_ingest.chunks import peek
from lambda_ingest.encoding import BOM
from lambda_ingest.json_window import JsonWindow, Values
from lambda_ingest.lines import check_count, line_blocks
from lambda_ingest.records import Batch, Fields, unparsable
from lambda_ingest.refusal import FileRefusedError

HEAD_BYTES = 1 << 16
"""How much is looked at to tell lines from a document."""

_BATCH_RECORDS, _BATCH_BYTES = 100, 1 << 18

IsRecord = Callable[[Fields], bool]
"""Whether an object looks like a record of a known format."""


def json_records(chunks: Iterator[bytes], skipped: int, is_record: IsRecord) -> Iterator[Batch]:
    """The records of a JSON file whose text begins with `[` or `{`, after `skipped` lines of the file.

    Raises FileRefusedError.
    """
    head, whole = peek(chunks, HEAD_BYTES)
    window = JsonWindow(whole, skipped)
    wrapped = head.startswith(b"{") and window.foresee(partial(_holds_records, is_record))
    if not wrapped and _is_lines(head, window):
        return json_lines(window.rest(), skipped)
    return _Document(window, is_record, wrapped=wrapped).batches()


def _is_lines(head: bytes, window: JsonWindow) -> bool:
    """Whether each line is a value of its own: the first one is, or it is broken and a later one is.

    So a file of lines is one even if its first line is broken, and a value over several lines is not.
    """
    if head.startswith(b"[") or window.foresee(_spans_lines):
        return False
    if window.foresee(_fills_a_line):
        return True
    lines = head.split(b"\n")
    if len(lines) > 1 and len(head) >= HEAD_BYTES:
        lines.pop()  # perhaps cut
    return any(is_object(line) for line in lines[1:] if line.startswith(b"{"))


def _spans_lines(window: JsonWindow) -> bool:
    begins = window.line
    window.value()
    return window.line > begins


def _fills_a_line(window: JsonWindow) -> bool:
    window.value()
    return window.ends_line()


def is_object(text: bytes) -> bool:
    """Whether a text is one JSON object."""
    return _object(text) is not None


def _object(text: bytes) -> Fields | None:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None


def json_lines(chunks: Iterator[bytes], number: int) -> Iterator[Batch]:
    """One record a line, after `number` lines."""
    for block in line_blocks(chunks):
        texts = list(map(bytes.strip, BytesIO(block)))  # finds line ends faster than `split` does, but not ...
        if not block or block.endswith(b"\n"):
            texts.append(b"")  # ... an empty line at the end
        lines: range | list[int] = range(number + 1, number + 1 + len(texts))
        number += len(texts)
        check_count(number)
        if b"" in texts:
            lines = [line for line, text in zip(lines, texts, strict=True) if text]
            texts = [text for text in texts if text]
        fields, faults = _parsed(texts)
        if b"\r" in block:  # white space in a valid record; a line break to some readers of the envelope
            texts = [text if at in faults else text.replace(b"\r", b" ") for at, text in enumerate(texts)]
        yield Batch(lines, texts, fields, faults)


def _parsed(texts: list[bytes]) -> tuple[list[Any], dict[int, RecordReason]]:
    """Each text's object, or an empty one and the reason; the common case, where all is well, goes at C's speed."""
    try:
        values: list[Any] = list(map(orjson.loads, texts))
    except orjson.JSONDecodeError:
        # Files joined by `cat` have byte order marks in their midst.
        texts[:] = [text.removeprefix(BOM) for text in texts]
        values = list(map(_object, texts))
    faults: dict[int, RecordReason] = {}
    if set(map(type, values)) != {dict}:
        for position, value in enumerate(values):
            if not isinstance(value, dict):
                values[position], faults[position] = {}, unparsable(texts[position])
    return values, faults


def _holds_records(is_record: IsRecord, window: JsonWindow) -> bool:
    """Whether the object here is a wrapper: no record itself, but with an array that begins with one.

    An empty array holds records if it is all that the object has.
    """
    outer: dict[str, object] = {}
    window.skip(b"{")
    while True:
        if window.peek() != b'"':
            raise window.broken("a name")
        name: str = json.loads(window.value()[0])  # which takes half characters too, as `value` does
        window.skip(b":")
        if window.peek() == b"[":
            window.skip(b"[")
            if window.peek() == b"]":
                window.skip(b"]")
                if not outer and window.peek() == b"}":
                    return True
            else:
                _, first = window.value()
                if first is not None and is_record(first):
                    return not is_record(outer)
                while window.separated(b"]"):
                    window.value()
            outer[name] = []
        else:
            text, fields = window.value()
            outer[name] = text if fields is None else fields
        if not window.separated(b"}"):
            return False


def _begins_with_record(is_record: IsRecord, window: JsonWindow) -> bool:
    """Whether the array here begins with a record, or is empty."""
    window.skip(b"[")
    if window.peek() == b"]":
        return True
    _, first = window.value()
    return first is not None and is_record(first)


class _Document:
    """Values in a row: objects, arrays of them, or wrappers."""

    def __init__(self, window: JsonWindow, is_record: IsRecord, *, wrapped: bool) -> None:
        self._window = window
        self._is_record = is_record
        self._wrapped = wrapped
        self._fault: FileRefusedError | None = None

    def batches(self) -> Iterator[Batch]:
        """All records, those before a fault too; items are counted from 1 through the whole file."""
        number = size = 0
        texts: list[bytes] = []
        values: list[Any] = []
        for some_texts, some_values in chain(self._up_to_a_fault(), [([], [])]):
            texts += some_texts
            values += some_values
            size += sum(map(len, some_texts))
            if len(texts) < _BATCH_RECORDS and size < _BATCH_BYTES and some_texts:
                continue
            lines = range(number + 1, number + 1 + len(texts))
            number += len(texts)
            faults = {at: RecordReason.MALFORMED_RECORD for at, value in enumerate(values) if value is None}
            yield Batch(lines, texts, [value or {} for value in values] if faults else values, faults)
            texts, values, size = [], [], 0
        if self._fault:
            raise self._fault

    def _up_to_a_fault(self) -> Iterator[Values]:
        try:
            yield from self._values()
        except FileRefusedError as fault:
            self._fault = fault

    def _values(self) -> Iterator[Values]:
        """Never an empty list."""
        window = self._window
        while begins := window.peek():
            if begins == b"[":
                yield from self._array()
            elif begins == b"{" and self._wrapped and window.foresee(partial(_holds_records, self._is_record)):
                yield from self._wrapper()
            else:
                yield from self._some(comma=False)

    def _some(self, *, comma: bool) -> Iterator[Values]:
        """At least one value; none of them a wrapper, where there are some."""
        if comma or not self._wrapped:
            values = self._window.objects(_BATCH_RECORDS, comma=comma)
            if values[0]:
                yield values
        text, fields = self._window.value()
        yield [text], [fields]

    def _array(self) -> Iterator[Values]:
        window = self._window
        window.skip(b"[")
        if window.peek() == b"]":
            window.skip(b"]")
            return
        yield from self._some(comma=True)
        while window.separated(b"]"):
            window.peek()
            yield from self._some(comma=True)

    def _wrapper(self) -> Iterator[Values]:
        """The records of each array of records; the wrapper's other members belong to none of them."""
        window = self._window
        outer: dict[str, object] = {}
        window.skip(b"{")
        while True:
            if window.peek() != b'"':
                raise window.broken("a name")
            name, _ = window.value()
            window.skip(b":")
            if window.peek() == b"[" and window.foresee(partial(_begins_with_record, self._is_record)):
                yield from self._array()
            else:
                text, fields = window.value()
                outer[json.loads(name)] = text if fields is None else fields
            if not window.separated(b"}"):
                break
        if self._is_record(outer):  # what came behind the array made it one, but its text has gone by
            place = f"line {window.line}: an object that holds records and is one itself"
            raise FileRefusedError(FileReason.MALFORMED_JSON, place)
