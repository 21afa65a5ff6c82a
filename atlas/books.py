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
    lines = [f"{row['source_file']}: {'; '.join(_differences(row))}" for row in unbalanced[:_NAMED_FILES]]
    more = len(unbalanced) - len(lines)
    if more:
        lines.append(f"and {more} more files")
    lines.append("`atlas replay FILE` reads a file anew from the archive")
    raise BooksError("the books do not balance: " + "; ".join(lines))


def check_formats(rows: Sequence[Mapping[str, Any]]) -> None:
    """Takes the rows of data_quality, as they were written; raises BooksError if one of them does not add up."""
    lines = [f"{row['raw_format']}: {'; '.join(faults)}" for row in rows if (faults := _differences(row))]
    if lines:
        raise BooksError("the books do not balance: " + "; ".join(lines))


def _differences(row: Mapping[str, Any]) -> list[str]:
    """What does not add up in the books of a file or format, and by how much."""
    came, normalized, rejected, published, duplicates = (
        row[name] for name in ("records_in", "normalized", "rejected", "published", "duplicates")
    )
    found = []
    if came != normalized + rejected:
        found.append(
            f"{came} records in, but {normalized} in silver and {rejected} rejected "
            f"({normalized + rejected - came:+d})"
        )
    if published is not None and normalized != published + duplicates:
        found.append(
            f"{normalized} in silver, but {published} published and {duplicates} duplicates "
            f"({published + duplicates - normalized:+d})"
        )
    return found
