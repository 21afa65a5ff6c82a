"""A window over JSON text that is read value by value, and holds no more of it than one value needs."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, cast

import orjson

from atlas.reasons import FileReason
from lambda_ingest.lines import MAX_RECORD_BYTES, check_length
from lambda_ingest.refusal import FileRefusedError

_SPACE = re.compile(rb"(?:[ \t\r\n]|\xef\xbb\xbf)*+")
"""White space, and the byte order marks that files joined by `cat` have in their midst."""
_BETWEEN_OBJECTS = {
    True: re.compile(rb"\}[ \t\r\n]*,[ \t\r\n]*(?=\{)"),
    False: re.compile(rb"\}[ \t\r\n]*(?=\{)"),
}
_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_FLAT = rb'[\[{](?:[^\[\]{}"]++|' + _STRING + rb")*+[\]}]"
_WHOLE = re.compile(_STRING + b"|" + _FLAT, re.DOTALL)
"""A string, or an array or object in which there is none."""
_INSIDE = re.compile(rb'(?:[^\[\]{}"]++|' + _STRING + b"|" + _FLAT + rb")*+(?:([\[{])|([\]}]))?", re.DOTALL)
"""All that changes no depth, and the bracket behind it that does; none where the window ends."""
_SCALAR = re.compile(rb"[^ \t\r\n,:\[\]{}\"]+")
_MAX_MISSES = 3
_LINE_BREAKS_TO_BLANKS = bytes.maketrans(b"\r\n", b"  ")
_LOOKAHEADS = (1 << 12, 1 << 16, 1 << 20, MAX_RECORD_BYTES + (1 << 16))

Value = tuple[bytes, Any]
"""A value's text without line breaks, and the object that it is, or None if it is none."""

Values = tuple[list[bytes], list[Any]]
"""Some values' texts, and their objects."""


class JsonWindow:
    """The text from the current place on. Every method raises FileRefusedError where the JSON breaks."""

    def __init__(self, chunks: Iterator[bytes], skipped_lines: int = 0, *, is_cut: bool = False) -> None:
        self._chunks = chunks
        self._is_cut = is_cut
        self._text = b""
        self._at = 0
        self._passed = 0
        self._lines = skipped_lines
        self._misses = 0

    def _fill(self) -> bool:
        """One more chunk, or as much again as is there, so that a long value costs linear time."""
        self._passed += self._at
        self._lines += self._text.count(b"\n", 0, self._at)
        grown = [self._text[self._at :]]
        length = wanted = len(grown[0])
        check_length(length, self._place(0))
        self._at = 0
        for chunk in self._chunks:
            grown.append(chunk)
            length += len(chunk)
            if length >= 2 * wanted:
                break
        self._text = b"".join(grown)
        return length > wanted

    @property
    def line(self) -> int:
        """The number of the line that the current place is on, from 1."""
        return self._lines + self._text.count(b"\n", 0, self._at) + 1

    def _place(self, offset: int) -> str:
        """Where a byte of the window is, for people."""
        line = self.line + self._text.count(b"\n", self._at, self._at + offset)
        return f"line {line}, byte {self._passed + self._at + offset}"

    def broken(self, expected: str) -> FileRefusedError:
        """The refusal for something else than what was expected here."""
        found = self._text[self._at : self._at + 10]
        shown = repr(found.decode("utf-8", "replace")) if found else "the end of the file"
        return FileRefusedError(FileReason.MALFORMED_JSON, f"{self._place(0)}: {shown} instead of {expected}")

    def rest(self) -> Iterator[bytes]:
        """All that is left, as it came."""
        yield self._text[self._at :]
        yield from self._chunks

    def peek(self) -> bytes:
        """The next character that is no white space; nothing at the end."""
        while True:
            space = _SPACE.match(self._text, self._at)
            if space:
                self._at = space.end()
            if self._at < len(self._text):
                return self._text[self._at : self._at + 1]
            if not self._fill():
                return b""

    def ends_line(self) -> bool:
        """Whether nothing but blanks follows on this line; a fault if the window is too short to tell."""
        rest = self._text[self._at :].lstrip(b" \t\r")
        if not rest and self._is_cut:
            raise self.broken("the rest of the line")
        return not rest or rest.startswith(b"\n")

    def skip(self, character: bytes) -> None:
        """Goes behind a character that has to be there."""
        if self.peek() != character:
            raise self.broken(character.decode())
        self._at += 1

    def separated(self, end: bytes) -> bool:
        """Goes behind a comma, or the bracket that ends the array or object; whether there is more of it."""
        found = self.peek()
        if found not in (b",", end) or not found:
            raise self.broken(f", or {end.decode()}")
        self._at += 1
        return found == b","

    def objects(self, most: int, *, comma: bool) -> Values:
        """The next objects that another one follows, behind a comma or not, as far as they are found fast.

        Their ends are guessed: if the text up to a brace between two objects parses, it is the whole object, since
        no JSON object is the beginning of another one. Where objects nest in arrays guesses miss, and after some
        misses in a row no more are made. `value` reads what is left here.
        """
        texts: list[bytes] = []
        fields: list[Any] = []
        text, at = self._text, self._at
        if self._misses >= _MAX_MISSES or not text.startswith(b"{", at):
            return texts, fields
        for found in _BETWEEN_OBJECTS[comma].finditer(text, at):
            item = text[at : found.start() + 1]
            try:
                fields.append(orjson.loads(item))
            except orjson.JSONDecodeError:
                self._misses += 1
                break
            texts.append(item)
            at = found.end()
            if len(texts) == most:
                break
        if texts:
            self._misses = 0
        if b"\n" in text or b"\r" in text:
            texts = [_one_line(item) for item in texts]
        self._at = at
        return texts, fields

    def value(self) -> Value:
        """The next value; its end is found by following its structure."""
        structured = self.peek() in (b"{", b"[", b'"')
        length = self._structure_length() if structured else self._scalar_length()
        end = self._at + length  # only now: the window may have moved on
        text = self._text[self._at : end]
        try:
            value = orjson.loads(text)
        except orjson.JSONDecodeError as fault:
            if not _is_grammatical(text):
                raise self._unreadable(text, fault) from None
            value = None
        self._at = end
        return _one_line(text), value if isinstance(value, dict) else None

    def _unreadable(self, text: bytes, fault: orjson.JSONDecodeError) -> FileRefusedError:
        try:
            before = len(text.decode()[: fault.pos].encode())
        except UnicodeDecodeError as invalid:
            return FileRefusedError(FileReason.UNREADABLE_ENCODING, f"{self._place(invalid.start)}: no UTF-8")
        return FileRefusedError(FileReason.MALFORMED_JSON, f"{self._place(before)}: {fault.msg}")

    def _scalar_length(self) -> int:
        while True:
            scalar = _SCALAR.match(self._text, self._at)
            if not scalar:
                raise self.broken("a value")
            if scalar.end() < len(self._text) or not self._fill():
                return scalar.end() - self._at

    def _structure_length(self) -> int:
        """The length of the string, array or object that begins here; fills the window as far as it goes."""
        while not (whole := _WHOLE.match(self._text, self._at)):
            if self._text[self._at : self._at + 1] != b'"':
                return self._nested_length()
            self._fill_or_refuse()
        return whole.end() - self._at

    def _nested_length(self) -> int:
        depth = seen = 1
        while True:
            found = cast("re.Match[bytes]", _INSIDE.match(self._text, self._at + seen))
            seen = found.end() - self._at
            if found[1]:
                depth += 1
            elif not found[2]:
                self._fill_or_refuse()
            else:
                depth -= 1
                if depth == 0:
                    return seen

    def _fill_or_refuse(self) -> None:
        if not self._fill():
            place = self._place(len(self._text) - self._at)
            raise FileRefusedError(FileReason.MALFORMED_JSON, f"{place}: the file ends too early")

    def foresee(self, question: Callable[[JsonWindow], bool]) -> bool:
        """The answer to a question about what comes, which reads ahead in a window of its own.

        No if it runs into a fault, or beyond the look-ahead.
        """
        for size in _LOOKAHEADS:
            while len(self._text) - self._at < size and self._fill():
                pass
            ahead = self._text[self._at : self._at + size]
            is_cut = len(ahead) == size
            try:
                return question(JsonWindow(iter([ahead]), is_cut=is_cut))
            except FileRefusedError:
                if not is_cut:
                    return False
        return False


def _one_line(text: bytes) -> bytes:
    """Line breaks in a valid value are white space between its tokens."""
    return text.translate(_LINE_BREAKS_TO_BLANKS)


def _is_grammatical(text: bytes) -> bool:
    """Whether it is JSON's grammar, of which orjson takes neither half characters nor numbers beyond a double."""
    try:
        json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return False
    return True


def _refuse_constant(name: str) -> None:
    raise ValueError(name)  # NaN and Infinity are not JSON
