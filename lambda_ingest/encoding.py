"""Text of any encoding -> UTF-8, as a stream. What follows sees nothing but UTF-8 without a byte order mark.

The encoding is told by the byte order mark, else by where the first characters have zero bytes (they are ASCII
in every log; RFC 4627 section 3 and appendix F of XML 1.0 tell encodings apart in this way), else by an XML
declaration. Text in UTF-8, the common case, passes through untouched: each syntax finds invalid bytes itself.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from itertools import chain

from atlas.reasons import FileReason
from lambda_ingest.chunks import peek
from lambda_ingest.refusal import FileRefusedError

BOM = codecs.BOM_UTF8
_MARKS = (  # the longer ones first, as UTF-32's begins with UTF-16's
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_ZERO_BYTES = (
    ((0, 0, 0, 1), "utf-32-be"),
    ((1, 0, 0, 0), "utf-32-le"),
    ((0, 1, 0, 1), "utf-16-be"),
    ((1, 0, 1, 0), "utf-16-le"),
)
_DECLARED = re.compile(rb"<\?xml[^>]*?\sencoding\s*=\s*[\"']([A-Za-z][A-Za-z0-9._:-]*)[\"']")
_SNIFFED_BYTES = 256


def utf8(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The same text in UTF-8. Raises FileRefusedError if the bytes are none of the encoding that they claim."""
    head, whole = peek(chunks, _SNIFFED_BYTES)
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return _decoded(chain([head.removeprefix(mark)], chunks), encoding)
    if head.startswith(BOM):
        head = head.removeprefix(BOM)
        whole = chain([head], chunks)
    zeros = tuple(min(byte, 1) for byte in head[:4])
    for pattern, encoding in _ZERO_BYTES:
        if zeros == pattern:
            return _decoded(whole, encoding)
    declared = _DECLARED.match(head)
    if declared and not _is_utf8(declared[1].decode(), head):
        return _decoded(whole, declared[1].decode())
    return whole


def _is_utf8(encoding: str, head: bytes) -> bool:
    """Whether a declared encoding is UTF-8, a part of it, or evidently wrong: UTF-16 would have had zero bytes."""
    try:
        name = codecs.lookup(encoding).name
        readable = head[:20].decode(encoding, "ignore").startswith("<?xml")
    except (LookupError, UnicodeError):
        raise FileRefusedError(
            FileReason.UNREADABLE_ENCODING, f"the XML declaration: {encoding!r} is no encoding of text"
        ) from None
    return name in ("utf-8", "ascii") or not readable


def _decoded(chunks: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(encoding)()
    passed = 0
    try:
        for chunk in chunks:
            yield decoder.decode(chunk).encode()
            passed += len(chunk)
        yield decoder.decode(b"", final=True).encode()
    except UnicodeError as fault:  # of decoding, or of half characters that an encoding lets pass
        place = f"byte {passed} of the text or later: no {encoding}: {getattr(fault, 'reason', fault)}"
        raise FileRefusedError(FileReason.UNREADABLE_ENCODING, place) from None
