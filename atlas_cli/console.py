"""What the command says: progress to stderr, results to stdout, as tables for people or as JSON lines."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

_PIPE_WIDTH = 400
_LEAST_WIDTH = 24
"""What is cut leaves something to be recognised by."""


class CommandError(Exception):
    """What was asked for did not happen. The message says why and what to do; the exit status is 1."""


class Say:
    """Prints for one invocation. `as_json` turns tables into one JSON object a line."""

    def __init__(self, *, as_json: bool = False) -> None:
        self.as_json = as_json
        # Into a pipe or a file a table is as wide as it is; a terminal's width is the terminal's to say.
        width = None if sys.stdout.isatty() else _PIPE_WIDTH
        # What is printed comes from files and queries: `[b]` in it is no markup.
        self._out = Console(file=sys.stdout, width=width, highlight=False, markup=False, emoji=False)
        self._started = time.monotonic()

    def step(self, text: str) -> None:
        """One line of progress, with the seconds since the command began."""
        print(f"[{time.monotonic() - self._started:5.1f} s] {text}", file=sys.stderr, flush=True)

    def note(self, text: str = "") -> None:
        """A line for people; nothing with --json."""
        if not self.as_json:
            print(text, flush=True)

    def rows(self, title: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """A table. Every row has the keys of the first."""
        if self.as_json:
            for row in rows:
                print(json.dumps(row, default=str, ensure_ascii=False))
            return
        if not rows:
            self.note(f"{title}: none")
            return
        self._out.print(title, style="bold")
        table = Table(box=None, pad_edge=False)
        for name in rows[0]:
            numeric = all(isinstance(row[name], int | float) or row[name] is None for row in rows)
            table.add_column(name, justify="right" if numeric else "left", overflow="fold")
        for row in rows:
            table.add_row(*(_cell(value) for value in row.values()))
        self._out.print(table)
        self.note()


def shown(text: str) -> str:
    """A text of anybody's as one line that does nothing to the terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def cut(text: str, taken: int) -> str:
    """As much of a text as a line shows of which `taken` columns are taken; on one line, as `shown` has it."""
    told = Text(shown(text))
    told.truncate(
        max(shutil.get_terminal_size((_PIPE_WIDTH, 0)).columns - taken, _LEAST_WIDTH), overflow="ellipsis"
    )
    return told.plain


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4g}"
    return shown(str(value))
