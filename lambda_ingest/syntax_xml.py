"""XML by expat, as a stream: each element of the format's name is a record, its children and attributes fields.

A file is a row of documents, so fragments without a root are documents of one record each. Names are taken
without their namespace. Entities beyond XML's own five are refused before they expand, and nothing is fetched.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from xml.parsers import expat

import orjson

from atlas.reasons import FileReason
from lambda_ingest.container import CHUNK_BYTES
from lambda_ingest.encoding import BOM
from lambda_ingest.lines import check_length
from lambda_ingest.records import Batch, BatchBuilder
from lambda_ingest.refusal import FileRefusedError

MAX_DEPTH = 200
MAX_NAMES = 100_000
TEXT = "text"
"""The field for an element's own text, where it has attributes or children too."""

_JUNK = expat.errors.codes[expat.errors.XML_ERROR_JUNK_AFTER_DOC_ELEMENT]
_INVALID = expat.errors.codes[expat.errors.XML_ERROR_INVALID_TOKEN]
_HANDLERS = (
    "StartElementHandler",
    "EndElementHandler",
    "CharacterDataHandler",
    "EntityDeclHandler",
    "AttlistDeclHandler",
    "ExternalEntityRefHandler",
)
_SPACE = " \t\r\n"
_SMALLEST_PIECE = 1 << 12
_FIRST_RECORD_WITHIN = 64 << 20
"""A file that has no record in so much text is no log that we know."""


def xml_records(chunks: Iterator[bytes], elements: frozenset[str], skipped: int) -> Iterator[Batch]:
    """The elements named in `elements`, outermost ones only, in document order; `chunks` is UTF-8 without a mark.

    They begin after `skipped` lines of the file. Raises FileRefusedError, also if there is XML but no record in it.
    """
    document = _Document(elements, skipped + 1, 0)
    size, passed, content = CHUNK_BYTES, 0, False
    for chunk in chunks:
        rest = chunk
        while rest:
            piece, rest = rest[:size], rest[size:]
            try:
                left = document.feed(piece)
            except FileRefusedError:
                yield document.take()  # what came before the fault
                raise
            if left is None:
                size = min(2 * size, CHUNK_BYTES)
                continue
            # Fragments end soon: small pieces first, lest each of them copies the chunk's rest.
            size, rest = _SMALLEST_PIECE, left + rest
            content = content or document.has_content
            document = document.next()
        yield document.take()
        passed += len(chunk)
        if document.count == 0 and passed > _FIRST_RECORD_WITHIN:
            content = True  # whatever it is
            break
    else:
        yield document.take()
        document.end()
    if document.count == 0 and (content or document.has_content):
        names = ", ".join(sorted(elements))
        raise FileRefusedError(FileReason.UNSUPPORTED_FORMAT, f"XML without any element of: {names}")


class _Document:
    """One document of the file; `line` is the line that it begins on, `count` the records up to now.

    The handlers run a dozen times a record, so they do no more than they must.
    """

    def __init__(self, elements: frozenset[str], line: int, count: int) -> None:
        self._elements = elements
        self._line = line
        self.count = count
        self._found = BatchBuilder()
        self._fields: dict[str, Any] = {}
        self._texts: list[str] = []
        self._parents: list[tuple[dict[str, Any], list[str]]] = []
        """The fields and texts of the elements around the current one, as far as they belong to a record."""
        self._in_record = False
        self._outside = 0
        self._ended = False
        """Whether any element has."""
        self._elements_seen = 0
        self._text_seen = False
        self._record_begins = 0
        self._fed = 0
        self._last = b""
        self._names: dict[str, str] = {}
        # UTF-8 whatever its declaration says: it has been decoded. expat keeps every name that it meets.
        self._parser = parser = expat.ParserCreate("utf-8", None, self._names)
        parser.buffer_text = True
        handlers = (self._start, self._end, self._text_outside, self._entity, self._attribute, self._entity)
        for name, handler in zip(_HANDLERS, handlers, strict=True):
            setattr(parser, name, handler)

    @property
    def has_content(self) -> bool:
        """Whether there is more than a bare root element."""
        return self._text_seen or self._elements_seen > 1

    @property
    def _is_over(self) -> bool:
        """Whether the root element has ended."""
        return self._ended and not self._in_record and self._outside == 0

    def take(self) -> Batch:
        """The records found since the last time."""
        found, self._found = self._found, BatchBuilder()
        return found.batch()

    def feed(self, piece: bytes) -> bytes | None:
        """Reads on. What is left if the document ended and something follows it, else None."""
        begins = self._fed - len(self._last)
        self._fed += len(piece)
        try:
            self._parser.Parse(piece, False)
        except expat.ExpatError as fault:
            rest = (self._last + piece)[self._parser.ErrorByteIndex - begins :]
            if fault.code != _JUNK and not (self._is_over and rest.startswith(BOM)):
                raise self._refusal(fault, rest) from None
            self._line += fault.lineno - 1
            return rest.removeprefix(BOM)
        self._last = piece
        if len(self._names) > MAX_NAMES:
            place = f"{self._place()}: more than {MAX_NAMES} different names"
            raise FileRefusedError(FileReason.MALFORMED_XML, place)
        begins = self._record_begins if self._in_record else max(self._parser.CurrentByteIndex, 0)
        check_length(self._fed - begins, self._place())
        return None

    def next(self) -> _Document:
        """The document that follows; it carries on with the batch."""
        document = _Document(self._elements, self._line, self.count)
        document._found = self._found
        for handler in _HANDLERS:  # or parser and document would keep each other in memory
            setattr(self._parser, handler, None)
        return document

    def end(self) -> None:
        """Raises FileRefusedError if the document is not whole."""
        try:
            self._parser.Parse(b"", True)
        except expat.ExpatError as fault:
            raise self._refusal(fault, b"") from None

    def _place(self) -> str:
        return f"line {self._line + self._parser.CurrentLineNumber - 1}"

    def _refusal(self, fault: expat.ExpatError, rest: bytes) -> FileRefusedError:
        place = f"line {self._line + fault.lineno - 1}, column {fault.offset}"
        if fault.code == _INVALID and _is_no_utf8(rest):
            return FileRefusedError(FileReason.UNREADABLE_ENCODING, f"{place}: no UTF-8, and no other is declared")
        return FileRefusedError(FileReason.MALFORMED_XML, f"{place}: {expat.errors.messages[fault.code]}")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if self._in_record:
            self._parents.append((self._fields, self._texts))
            if len(self._parents) > MAX_DEPTH:
                raise self._too_deep()
        elif _local(name) in self._elements:
            self._in_record = True
            self._record_begins = self._parser.CurrentByteIndex
        else:
            self._outside += 1
            self._elements_seen += 1
            self._text_seen = self._text_seen or bool(_fields(attributes))
            if self._outside > MAX_DEPTH:
                raise self._too_deep()
            return
        self._fields = _fields(attributes) if attributes else {}
        self._texts = []
        self._parser.CharacterDataHandler = self._texts.append

    def _end(self, name: str) -> None:
        self._ended = True
        if not self._in_record:
            self._outside -= 1
            return
        fields, text = self._fields, "".join(self._texts).strip(_SPACE)
        if not self._parents:
            self._in_record = False
            self._parser.CharacterDataHandler = self._text_outside
            if text:
                _add(fields, TEXT, text)
            self.count += 1
            self._found.record(self.count, orjson.dumps(fields), fields)
            return
        self._fields, self._texts = self._parents.pop()
        self._parser.CharacterDataHandler = self._texts.append
        value: object = text
        if fields:
            value = {**fields, TEXT: text} if text else fields
        if ":" in name:
            name = _local(name)
        if name in self._fields:
            _add(self._fields, name, value)
        else:
            self._fields[name] = value

    def _text_outside(self, text: str) -> None:
        self._text_seen = self._text_seen or bool(text.strip(_SPACE))

    def _too_deep(self) -> FileRefusedError:
        place = f"{self._place()}: elements nested deeper than {MAX_DEPTH}"
        return FileRefusedError(FileReason.MALFORMED_XML, place)

    def _entity(self, *_: object) -> int:
        raise FileRefusedError(FileReason.FORBIDDEN_XML_ENTITY, self._place())

    def _attribute(self, _element: str, name: str, _type: str, default: str | None, _required: int) -> None:
        if default is not None:  # it would be written into each element, however many there are
            place = f"{self._place()}: a default for the attribute {name}"
            raise FileRefusedError(FileReason.FORBIDDEN_XML_ENTITY, place)


def _local(name: str) -> str:
    return name.rsplit(":", 1)[-1]


def _fields(attributes: dict[str, str]) -> dict[str, Any]:
    """An element's attributes, without those that declare namespaces."""
    return {
        _local(name): value
        for name, value in attributes.items()
        if name != "xmlns" and not name.startswith("xmlns:")
    }


def _add(fields: dict[str, Any], name: str, value: object) -> None:
    """Sets a field; one that occurs again becomes a list, so that nothing is lost."""
    if name not in fields:
        fields[name] = value
    elif isinstance(fields[name], list):
        fields[name].append(value)
    else:
        fields[name] = [fields[name], value]


def _is_no_utf8(rest: bytes) -> bool:
    """Whether the first character is none."""
    return not any(_decodes(rest[:length]) for length in range(1, 5))


def _decodes(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True
