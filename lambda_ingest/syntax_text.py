"""Text, one record a line: the named groups of a pattern are the record's fields."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lambda_ingest.lines import check_count, line_blocks
from lambda_ingest.records import Batch, BatchBuilder


def text_records(
    chunks: Iterator[bytes], number: int, pattern: re.Pattern[str], comment: str | None
) -> Iterator[Batch]:
    """The lines after `number` lines of the file; one that the pattern does not match whole is a refused record.

    Blank lines, and those that begin with `comment`, are no records.
    """
    match = pattern.fullmatch
    for block in line_blocks(chunks):
        builder = BatchBuilder()
        # Invalid bytes stay in their line, as surrogates, and are found when it is written as JSON.
        for line in block.decode("utf-8", "surrogateescape").split("\n"):
            number += 1
            found = match(line)
            if found:
                builder.named(number, found.groupdict(), line)
            elif not is_blank(line, comment):
                builder.unreadable(number, line)
        check_count(number)
        yield builder.batch()


def is_blank(line: str, comment: str | None) -> bool:
    """Whether a line is empty or a comment."""
    return not line.strip() or (comment is not None and line.startswith(comment))
