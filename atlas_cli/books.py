"""`atlas books`: what came in and what became of it, by day and format, or of one file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from atlas.file_entry import FileEntry
from atlas_cli.cloud import Cloud
from atlas_cli.console import CommandError, Say
from atlas_cli.entries import entries
from atlas_cli.put import verdict_row
from atlas_cli.query import ask


def show(cloud: Cloud, span: Mapping[str, str], say: Say) -> list[dict[str, Any]]:
    """Prints the question `books`, for `from` and `to` or for all days; its rows.

    Raises CommandError, after printing, if a row does not balance.
    """
    rows = ask(cloud, "books", span)
    say.rows("The books: records_in = published + duplicates + rejected", rows)
    _check(rows)
    return rows


def show_file(cloud: Cloud, key: str, span: Mapping[str, str], say: Say) -> None:
    """Prints what the ledger says of a file, and what each day took of it.

    Raises CommandError if the ledger lacks the file, or, after printing, if a row does not balance.
    """
    entry, rows = file(cloud, key, span)
    if say.as_json:
        say.rows("", [{"what": "file", **_facts(entry)}])
        say.rows("", [{"what": "day", **row} for row in rows])
    else:
        say.rows("The file", [{"what": name, "is": value} for name, value in _facts(entry).items() if value != ""])
        say.rows("Its books: records_in = published + duplicates + rejected", rows)
    missing = sorted({day.isoformat() for day in entry.shares} - {row["date"] for row in rows})
    if missing and not span:
        say.note(f"Not processed yet: {', '.join(missing)}. Do it now: atlas run")
    _check(rows)


def file(cloud: Cloud, key: str, span: Mapping[str, str]) -> tuple[FileEntry, list[dict[str, Any]]]:
    """A file's entry and its rows of `file_books`, for `from` and `to` or for all days. Raises CommandError."""
    [entry] = entries(cloud, [key])
    return entry, ask(cloud, "file_books", {**span, "file": entry.raw_key})


def _facts(entry: FileEntry) -> dict[str, Any]:
    verdict = verdict_row(entry)
    return {
        "file": entry.raw_key,
        "state": verdict["verdict"],
        "why": verdict["why"],
        "format": verdict["format"],
        # What the days have of the file: of a refused correction that is its predecessor's.
        "records": sum(share.records + share.unparsable for share in entry.shares.values()),
        "days": " ".join(day.isoformat() for day in sorted(entry.shares)),
        "version": entry.version,
        "landed_at": entry.landed_at,
        "size": entry.size,
        "archive_copy": entry.copied_to,
        "last_order": entry.ordered_at,
    }


def _check(rows: Sequence[Mapping[str, Any]]) -> None:
    wrong = [f"{row['date']} {row['raw_format']}" for row in rows if row["books"] != "balanced"]
    if wrong:
        raise CommandError(f"the books are out of balance: {', '.join(wrong)}")


def in_words(rows: Sequence[Mapping[str, Any]]) -> str:
    """One sentence over all rows."""
    names = ("records_in", "published", "duplicates", "rejected")
    records_in, published, duplicates, rejected = (sum(row[name] for row in rows) for name in names)
    days = len({row["date"] for row in rows})
    return (
        f"Balanced: over {days} day{'s' if days > 1 else ''} {records_in:,} records in = {published:,} published + "
        f"{duplicates:,} duplicates + {rejected:,} rejected."
    )
