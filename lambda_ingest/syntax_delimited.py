"""Delimited text, one record a line: a header line, or the format's standard order, names the fields."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence

from atlas.log_format import Delimited
from lambda_ingest.lines import check_count, line_blocks
from lambda_ingest.records import Batch, BatchBuilder
from lambda_ingest.syntax_text import is_blank


def delimited_records(
    chunks: Iterator[bytes], number: int, delimited: Delimited, names: Sequence[str], comment: str | None
) -> Iterator[Batch]:
    """The lines after `number` lines of the file; one with another number of fields is a refused record.

    `names` are those of the first records, until a header line names others. The line of the names itself, which
    files that were joined repeat, is none.
    """
    for block in line_blocks(chunks):
        builder = BatchBuilder()
        for line in block.decode("utf-8", "surrogateescape").split("\n"):
            number += 1
            header = header_names(line, delimited)
            if header:
                names = header
                continue
            if is_blank(line, comment):
                continue
            values = split(line, delimited)
            if values is None or len(values) != len(names):
                builder.unreadable(number, line)
            elif values != names:
                builder.named(number, dict(zip(names, values, strict=True)), line)
        check_count(number)
        yield builder.batch()


def header_names(line: str, delimited: Delimited) -> list[str] | None:
    """The names that a header line with the format's prefix gives; None for other lines."""
    if delimited.header_prefix is None or not line.startswith(delimited.header_prefix):
        return None
    # W3C headers part their names by blanks, whatever parts the fields.
    return line.removeprefix(delimited.header_prefix).split()


def split(line: str, delimited: Delimited) -> list[str] | None:
    """The fields of a line; None if its quotes are not closed."""
    if delimited.quote is None or delimited.quote not in line:
        return line.split(delimited.separator)
    try:
        return next(csv.reader([line], delimiter=delimited.separator, quotechar=delimited.quote, strict=True))
    except csv.Error:
        return None
