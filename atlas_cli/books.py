"""`atlas books`: what came in and what became of it, by day and format."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from atlas_cli.cloud import Cloud
from atlas_cli.console import CommandError, Say
from atlas_cli.query import ask


def show(cloud: Cloud, span: Mapping[str, str], say: Say) -> list[dict[str, Any]]:
    """Prints the question `books`, for `from` and `to` or for all days; its rows.

    Raises CommandError, after printing, if a row does not balance.
    """
    rows = ask(cloud, "books", span)
    say.rows("The books: records_in = published + duplicates + rejected", rows)
    wrong = [f"{row['date']} {row['raw_format']}" for row in rows if row["books"] != "balanced"]
    if wrong:
        raise CommandError(f"the books are out of balance: {', '.join(wrong)}")
    return rows


def in_words(rows: Sequence[Mapping[str, Any]]) -> str:
    """One sentence over all rows."""
    names = ("records_in", "published", "duplicates", "rejected")
    records_in, published, duplicates, rejected = (sum(row[name] for row in rows) for name in names)
    days = len({row["date"] for row in rows})
    return (
        f"Balanced: over {days} days {records_in:,} records in = {published:,} published + "
        f"{duplicates:,} duplicates + {rejected:,} rejected."
    )
