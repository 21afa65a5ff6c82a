"""docs/queries.md: each question of queries/ with its SQL and what it answers on the sample data.

The answers are in library_answers.json. `python -m atlas_cli.library` asks them anew of the local cloud, which has
to hold the sample data, as after `atlas demo --keep`; tests/e2e/test_library.py holds them equal to Athena's.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from atlas import lake, questions
from atlas.questions import Parameter, Question
from atlas_cli.cloud import LOCAL, Cloud, connect
from atlas_cli.query import ask

ANSWERS = Path(__file__).with_name("library_answers.json")
_ROWS = 10
_WIDTH = 60
_RANDOM = ("run_id",)
"""Columns that come out otherwise each time."""

_SPAN = {"from": "2024-11-29", "to": "2024-11-30"}
_FRIDAY = {"date": "2024-11-29"}
_LATE = f"{lake.RAW}2024-11-29/access_logs_2024-11-29_late.ndjson"
EXAMPLES: Mapping[str, Mapping[str, str]] = {
    "books": _SPAN,
    "daily_actions": _SPAN,
    "daily_activity": _SPAN,
    "daily_detail": _SPAN,
    "endpoints": {**_SPAN, "most": "10"},
    "error_rate": _SPAN,
    "errors": {**_FRIDAY, "most": "10"},
    "file_books": {**_SPAN, "file": _LATE},
    "freshness": {"today": "2024-12-02"},
    "hourly_activity": _SPAN,
    "logins": {**_FRIDAY, "most": "10"},
    "logins_by_day": _SPAN,
    "logins_today": {"from": "2024-11-29T05:00:00Z", "to": "2024-11-30T05:00:00Z"},
    "recent_errors": {**_FRIDAY, "most": "10"},
    "record_counts": _FRIDAY,
    "refusals": {"from": "2024-11-30", "to": "2024-11-30", "most": "10"},
    "refusals_by_reason": {"from": "2024-11-30", "to": "2024-11-30"},
    "requests_by_app": _SPAN,
    "slowest_endpoints": {**_SPAN, "most": "10"},
    "status_by_hour": _FRIDAY,
    "top_clients": {**_FRIDAY, "most": "10"},
    "trace_request": {**_FRIDAY, "request_id": "9432ac2edd8001c6"},
    "trend": _SPAN,
}
"""Question -> what it is asked with on the sample data."""

_HOW_TO = """\
Each question is a file of `queries/`: SQL for Athena under a header that says what it answers and asks for. It is
there

- for the command: `atlas query NAME --param NAME=VALUE`, with `--json` for programs;
- in Athena's console: a saved query of the workgroup `atlas-queries-<stage>`, which asks for the values of its
  question marks, in single quotes;
- for the [query API](query-api.md), which answers some of them over HTTP.

Days are UTC days, `YYYY-MM-DD`, and both ends of a span belong to it. Defaults such as `yesterday` go by the UTC
day of whoever asks. Instants are given as `YYYY-MM-DDTHH:MM:SSZ`. Every question says which partitions it reads, so
it costs what its days cost.

The answers here are to the data of `sample-dataset/`: ten rows at most, long values cut, without `run_id`."""


def page() -> str:
    """The page's text, from the answers that are kept."""
    kept = json.loads(ANSWERS.read_text(encoding="utf-8"))
    known = questions.load()
    contents = "\n".join(f"- [`{name}`](#{name}): {question.title}" for name, question in known.items())
    sections = [_section(question, kept[name]) for name, question in known.items()]
    views = [_view(view) for view in questions.load(questions.VIEWS).values()]
    return "\n\n".join([_HOW_TO, contents, *sections, "## Views", *views])


def answers(cloud: Cloud) -> dict[str, list[dict[str, Any]]]:
    """Question -> the first rows of what Athena answers, without what is random."""
    return {
        name: [
            {column: _one_name(value) for column, value in row.items() if column not in _RANDOM}
            for row in ask(cloud, name, given)[:_ROWS]
        ]
        for name, given in EXAMPLES.items()
    }


def _one_name(value: Any) -> Any:
    """Of two sample files of the same bytes, whichever is delivered first is the file: here it has one name."""
    return value.replace("_retry.", ".") if isinstance(value, str) and value.startswith(lake.RAW) else value


def _section(question: Question, rows: Sequence[Mapping[str, Any]]) -> str:
    given = EXAMPLES[question.name]
    words = " ".join(f"--param {name}={value}" for name, value in given.items())
    return "\n\n".join(
        [
            f"## {question.name}",
            f"**{question.title}.** {question.description}",
            _parameters(question.asks_for),
            f"```console\n$ atlas query {question.name} {words}\n```",
            _table(rows),
            _folded("SQL", question.sql),
        ]
    )


def _view(view: Question) -> str:
    return "\n\n".join([f"### {view.name}", f"**{view.title}.** {view.description}", _folded("SQL", view.sql)])


def _parameters(asked: Sequence[Parameter]) -> str:
    rows = [f"| `{parameter.name}` | `{parameter.type}` | `{parameter.default}` |" for parameter in asked]
    return "\n".join(["| parameter | type | if not given |", "|---|---|---|", *rows])


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    names = list(rows[0])
    lines = ["| " + " | ".join(_cell(row[name]) for name in names) + " |" for row in rows]
    return "\n".join([f"| {' | '.join(names)} |", "|---" * len(names) + "|", *lines])


def _cell(value: Any) -> str:
    """As text that a table of Markdown can hold."""
    if value is None:
        return ""
    text = f"{value:,}" if isinstance(value, int) else str(value)
    text = text if len(text) <= _WIDTH else text[: _WIDTH - 1] + "…"
    for letter in "\\&<|`*":
        text = text.replace(letter, f"\\{letter}")
    return " ".join(text.split())


def _folded(title: str, sql: str) -> str:
    return f"<details><summary>{title}</summary>\n\n```sql\n{sql}\n```\n\n</details>"


def main() -> None:
    """Asks the local cloud, and keeps what it answers."""
    told = json.dumps(answers(connect(LOCAL)), indent=1, ensure_ascii=False)
    ANSWERS.write_text(told + "\n", encoding="utf-8")
    print(f"wrote {ANSWERS.name}; now: make docs")


if __name__ == "__main__":
    main()
