"""The books: per file and per format, records in = published + duplicates + rejected, or nothing is published."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_NAMED_FILES = 20


class BooksError(Exception):
    """The books of a day do not balance; the message says by how much, and for which file or format."""


def check_files(unbalanced: Sequence[Mapping[str, Any]]) -> None:
    """Takes the rows of sql/unbalanced_files.sql; raises BooksError if there are any."""
    if not unbalanced:
        return
    lines = [
        f"{row['source_file']}: {row['records_in']} records in, but {row['normalized']} in silver and "
        f"{row['rejected']} rejected ({row['normalized'] + row['rejected'] - row['records_in']:+d})"
        for row in unbalanced[:_NAMED_FILES]
    ]
    more = len(unbalanced) - len(lines)
    if more:
        lines.append(f"and {more} more files")
    raise BooksError("the books do not balance: " + "; ".join(lines))


def check_formats(rows: Sequence[Mapping[str, Any]]) -> None:
    """Takes the rows of data_quality; raises BooksError if one of them does not add up."""
    faults = []
    for row in rows:
        if row["records_in"] != row["normalized"] + row["rejected"]:
            faults.append(
                f"{row['raw_format']}: {row['records_in']} records in are not "
                f"{row['normalized']} normalized + {row['rejected']} rejected"
            )
        if row["normalized"] != row["published"] + row["duplicates"]:
            faults.append(
                f"{row['raw_format']}: {row['normalized']} normalized are not "
                f"{row['published']} published + {row['duplicates']} duplicates"
            )
    if faults:
        raise BooksError("the books do not balance: " + "; ".join(faults))
