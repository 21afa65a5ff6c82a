"""How both benchmarks tell what they measured: tables as docs/performance.md has them, targets, an exit status."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

Row = dict[str, Any]
Verdict = tuple[str, bool]
Columns = Mapping[str, tuple[str, str]]
"""The key of a row's number -> the title of its column, and how the number is written."""

_NAMES = ("file", "engine", "kind")
"""Columns that hold no numbers."""


class Table(NamedTuple):
    """Rows, their columns, and what is said below them."""

    rows: Sequence[Row]
    columns: Columns
    note: str

    def __str__(self) -> str:
        """In Markdown; a cell is empty where a row has no such number."""
        written = [[title for title, _ in self.columns.values()]]
        written.append(["---" if key in _NAMES else "--:" for key in self.columns])
        written += [[_cell(row, key, spec) for key, (_, spec) in self.columns.items()] for row in self.rows]
        return "\n".join(f"| {' | '.join(cells)} |" for cells in written) + f"\n\n{self.note}"


def _cell(row: Row, key: str, spec: str) -> str:
    return format(row[key], spec) if key in row else ""


def machine() -> Row:
    """What the numbers depend on."""
    return {"python": f"{platform.python_version()}, {platform.machine()}", "load": os.getloadavg()[0]}


def tell(tables: Sequence[Table], about: Row, verdicts: Sequence[Verdict], *, as_json: bool) -> int:
    """Prints it all, as Markdown or as one JSON object a row and verdict; 1 if a target is missed."""
    if as_json:
        rows = [row for table in tables for row in table.rows]
        for document in (*rows, about, *({"target": text, "met": met} for text, met in verdicts)):
            print(json.dumps(document))
    else:
        print("\n\n".join(map(str, tables)), end="\n\n")
        for text, met in verdicts:
            print(f"- {'met' if met else 'MISSED'}: {text}")
    return 0 if all(met for _, met in verdicts) else 1
