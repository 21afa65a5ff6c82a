"""XML by expat, as a stream: each element of the format's name is a record, its children and attributes fields.

Names are taken without their namespace. Entities beyond XML's own five are refused before they expand.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from xml.parsers import expat

import orjson

from atlas.reasons import FileReason
from lambda_ingest.records import Record
from lambda_ingest.refusal import FileRefusedError


def _local(name: str) -> str:
    return name.rsplit(":", 1)[-1]


class _Reader:
    def __init__(self, elements: frozenset[str]) -> None:
        self._elements = elements
        self._stack: list[tuple[dict[str, Any], list[str]]] = []
        self.found: list[Record] = []
        self._count = 0
        self.parser = parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.EntityDeclHandler = self._entity
        parser.ExternalEntityRefHandler = self._entity

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if self._stack or _local(name) in self._elements:
            self._stack.append(({_local(key): value for key, value in attributes.items()}, []))

    def _text(self, data: str) -> None:
        if self._stack:
            self._stack[-1][1].append(data)

    def _end(self, name: str) -> None:
        if not self._stack:
            return
        fields, texts = self._stack.pop()
        text = "".join(texts).strip()
        if self._stack:
            parent, _ = self._stack[-1]
            parent[_local(name)] = {**fields, "text": text} if fields and text else fields or text
            return
        self._count += 1
        self.found.append(Record(self._count, orjson.dumps(fields), fields))

    def _entity(self, *_: object) -> int:
        raise FileRefusedError(FileReason.FORBIDDEN_XML_ENTITY, f"line {self.parser.CurrentLineNumber}")


def xml_records(chunks: Iterator[bytes], elements: frozenset[str]) -> Iterator[Record]:
    """The elements named in `elements`, outermost ones only, in document order. Raises FileRefusedError."""
    reader = _Reader(elements)
    try:
        for chunk in chunks:
            reader.parser.Parse(chunk, False)
            yield from reader.found
            reader.found.clear()
        reader.parser.Parse(b"", True)
    except expat.ExpatError as fault:
        place = f"line {fault.lineno}, column {fault.offset}: {expat.errors.messages[fault.code]}"
        raise FileRefusedError(FileReason.MALFORMED_XML, place) from fault
    yield from reader.found
