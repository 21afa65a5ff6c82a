"""README.md of a generated directory: the truth in words and tables, made from it, so it cannot drift."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from atlas.ledger import FileState
from atlas_cli.generate.truth import Books, Truth

_HEAD = """\
# Generated logs, and the truth about them

<!-- Written by `atlas generate`. Do not edit: change atlas_cli/generate/ and generate again. -->

Log files of {days}, about {records:,} records a day over {formats} formats, with
a few of each trouble that real files have. Everything below was counted while the records were made, not by
Atlas reading them, so Atlas can be tested against it. `expected.json` says the same to programs. Made by

```
{command}
```

The same arguments give the same bytes on every machine; of a `.gz` file that holds for what is inside.
Nobody real is in here: addresses are from the ranges kept for documentation or private ones.
"""

_RULES = """\
## The rules that the counts follow

- Days are UTC days. Some records give their time with another offset, and so may carry another date.
- A record that cannot be parsed, or whose time cannot be read, counts on the first day of its file.
- A refused record counts in every file that holds it.
- The same record in two files is one record; the same record twice in one file is two. So a record counts as
  often as the file that holds it most often holds it; the others are duplicates. A record's identity is its
  bytes.
- A file with the bytes of another adds nothing, whichever of the two comes first. An empty file adds nothing.
- An error is a record with a status of 400 or above, or with the level ERROR, CRITICAL or FATAL.
- The app is the record's own `app`, `app_name` or `service`, else `web_app_1` for `ndjson` and `api_service`
  for `json_gzip`; `(none)` stands for what a record does not say.
- Levels and methods count in upper case, however they are written.
"""


def readme(truth: Truth) -> str:
    """Write the whole page."""
    days = list(truth.days)
    formats = truth.days[days[0]].formats
    options = "".join(f" --day {day}" for day in days)
    command = f"atlas generate DIR --seed {truth.seed} --records {truth.records_per_day}{options}"
    sections = [
        _HEAD.format(days=_listed(days), records=truth.records_per_day, formats=len(formats), command=command),
        _files(truth),
        _RULES,
        *(_day(truth, day) for day in days),
        _planted(truth),
    ]
    return "\n".join(sections)


def _listed(days: Sequence[str]) -> str:
    return days[0] if len(days) == 1 else f"{', '.join(days[:-1])} and {days[-1]}"


def _files(truth: Truth) -> str:
    rows = [
        (
            f"`{file.path}`",
            file.format or "",
            file.what,
            file.state.value,
            ", ".join(_given(file.records, file.state)),
        )
        for file in truth.files
    ]
    head = ("file", "format", "what it is", "becomes", "records, refused ones included")
    return "## The files\n\n" + _table(head, rows)


def _given(records: Mapping[str, int], state: FileState) -> list[str]:
    if state is not FileState.INGESTED:
        return ["none"]
    if len(records) == 1:
        return [f"{count:,}" for count in records.values()]
    return [f"{count:,} on {day}" for day, count in records.items()]


def _day(truth: Truth, day: str) -> str:
    formats = truth.days[day].formats
    rows = [(name, *_balance(books)) for name, books in formats.items()]
    totals = (
        "**all**",
        *(f"**{sum(column):,}**" for column in zip(*map(_numbers, formats.values()), strict=True)),
    )
    activity = truth.days[day].daily_activity
    single = [
        ("total_requests", f"{activity.total_requests:,}"),
        ("total_errors", f"{activity.total_errors:,}"),
        ("unique_ips", f"{activity.unique_ips:,}"),
        ("requests_by_type", _counts(activity.requests_by_type)),
        ("requests_by_status", _counts(activity.requests_by_status)),
        ("requests_by_app", _counts(activity.requests_by_app)),
    ]
    reasons = [
        (name, reason, str(count)) for name, books in formats.items() for reason, count in books.rejected.items()
    ]
    return "\n".join(
        [
            f"## The books of {day}\n",
            _table(("format", "files", "in", "published", "duplicates", "rejected"), [*rows, totals]),
            _table(("format", "rejected because of", "records"), reasons),
            f"`daily_activity` of {day}:\n",
            _table(("column", "value"), single),
        ]
    )


def _numbers(books: Books) -> tuple[int, ...]:
    rejected = sum(books.rejected.values())
    return books.files, books.records_in, books.published, books.duplicates, rejected


def _balance(books: Books) -> tuple[str, ...]:
    return tuple(f"{number:,}" for number in _numbers(books))


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{key}: {count:,}" for key, count in counts.items())


def _planted(truth: Truth) -> str:
    rows = [
        (f"`{item.path}`", str(item.line), item.reason or "none: it is sound", item.note) for item in truth.planted
    ]
    head = ("file", "line", "refused as", "what is wrong or special")
    intro = "`line` is the line of the file, or the number of the element, from 1.\n\n"
    return "## What is planted where\n\n" + intro + _table(head, rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    ruler = ["---"] * len(head)
    return "".join(f"| {' | '.join(row)} |\n" for row in (head, ruler, *rows))
