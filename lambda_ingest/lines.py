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
    length = 0
    for chunk in chunks:
        end = chunk.rfind(b"\n")
        if end < 0:
            rest.append(chunk)
            length += len(chunk)
            check_length(length)
        else:
            yield _without_returns(b"".join((*rest, memoryview(chunk)[:end])))
            rest = [chunk[end + 1 :]]
            length = len(rest[0])
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
    """Raises FileRefusedError if a file has more records, or lines, than may be."""
    if records > MAX_RECORDS:
        raise FileRefusedError(FileReason.TOO_LARGE, f"record or line {MAX_RECORDS + 1}")
