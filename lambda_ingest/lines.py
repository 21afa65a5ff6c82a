"""Text cut into lines, as a stream."""

from __future__ import annotations

from collections.abc import Iterator

from atlas.reasons import FileReason
from lambda_ingest.refusal import FileRefusedError

MAX_RECORD_BYTES = 4 << 20
"""A longer record is refused with its file: this is hardly a log, and parsed it may take sixty times the memory."""


MAX_RECORDS = 100_000_000
"""No more records or lines than this are taken from one file, lest a file of tiny ones outlasts the Lambda."""


def line_blocks(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Some whole lines at a time, with LF between them and not behind the last one; CRLF ends lines too.

    Raises FileRefusedError for a line without end.
    """
    rest: list[bytes] = []  # the beginning of a line, in pieces: a long one costs linear time
    length = passed = 0
    for chunk in chunks:
        if b"\n" in chunk:
            block, _, tail = chunk.rpartition(b"\n")
            yield _without_returns(b"".join((*rest, block)))
            rest, length = [tail], len(tail)
            passed += block.count(b"\n") + 1
            check_count(passed)  # blank lines and comments are no records, but cost time
        else:
            rest.append(chunk)
            length += len(chunk)
            check_length(length)
    last = b"".join(rest)
    if last:
        yield _without_returns(last)


def _without_returns(block: bytes) -> bytes:
    return block.replace(b"\r\n", b"\n").removesuffix(b"\r") if b"\r" in block else block


def check_length(length: int, place: str = "") -> None:
    """Raises FileRefusedError if a record is longer than may be."""
    if length > MAX_RECORD_BYTES:
        raise FileRefusedError(FileReason.RECORD_TOO_LONG, place)


def check_count(records: int) -> None:
    """Raises FileRefusedError if a file has more records than may be."""
    if records > MAX_RECORDS:
        raise FileRefusedError(FileReason.TOO_LARGE, f"record or line {MAX_RECORDS + 1}")
