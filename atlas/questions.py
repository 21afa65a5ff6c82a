"""Questions to Athena: the files of queries/, with what each asks for and how it is given.

A question's file begins with comment lines: `-- title:`, `-- description:` and, for each `?` in order,
`-- param: NAME TYPE DEFAULT`. Several `?` may ask for the same name: one value then serves all of them, and their
lines are equal. Other lines that begin with `--` are for whoever reads the file.

| type | given as | default |
|---|---|---|
| `date` | `YYYY-MM-DD` | a day, `today` or `yesterday` |
| `timestamp` | `YYYY-MM-DDTHH:MM:SSZ`, always UTC | an instant; `today` or `tomorrow`: where that day begins |
| `bigint` | a whole number | a whole number |
| `string` | any text | any text |

Values go to Athena as execution parameters and nowhere else. Each is a string literal, whatever its type: the SQL
casts it. Athena takes a `?` in a WHERE clause only:
https://docs.aws.amazon.com/athena/latest/ug/querying-with-prepared-statements.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

import atlas
from atlas import lake

FOLDER = Path(atlas.__file__).parents[1] / "queries"
"""Beside `atlas/`, in the checkout as in a function's code."""
VIEWS = FOLDER / "views"
"""The statements of the catalog's views, in files of the same form."""

MAX_LITERAL = 1_024
"""Characters: https://docs.aws.amazon.com/athena/latest/APIReference/API_StartQueryExecution.html"""

_HEADER = re.compile(r"--\s*(title|description|param):\s*(.*)")
_RELATIVE = {"yesterday": -1, "today": 0, "tomorrow": 1}
_RELATIVE_OF = {"date": ("today", "yesterday"), "timestamp": ("today", "tomorrow")}
_TYPES = ("date", "timestamp", "bigint", "string")
_INSTANT = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})[T ]([0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]{1,6})?)Z?")
_WHOLE = re.compile(r"-?[0-9]{1,19}")


class QuestionError(ValueError):
    """A question cannot be asked like this; the message says which parameter it is and what was expected."""


@dataclass(frozen=True)
class Parameter:
    """What one `?` asks for, and its value if nobody gives one."""

    name: str
    type: str
    default: str


@dataclass(frozen=True)
class Question:
    """One file of queries/. `parameters` has one for each `?` of `sql`, in order."""

    name: str
    title: str
    description: str
    parameters: tuple[Parameter, ...]
    sql: str

    @property
    def asks_for(self) -> tuple[Parameter, ...]:
        """The parameters by name, each once."""
        return tuple({parameter.name: parameter for parameter in self.parameters}.values())

    def literals(self, given: Mapping[str, str], today: date) -> list[str]:
        """Athena's execution parameters, an SQL literal for each `?`; `today` is the UTC day of whoever asks.

        Raises QuestionError if a parameter is given that there is none of, or a value that is not of its type.
        """
        known = {parameter.name: parameter for parameter in self.parameters}
        unknown = sorted(set(given) - set(known))
        if unknown:
            has = ", ".join(known) or "none"
            raise QuestionError(f"{self.name} has no parameter {', '.join(unknown)}; it has: {has}")
        values = {}
        for name, parameter in known.items():
            text = given[name] if name in given else _resolved(parameter, today)
            try:
                values[name] = _quoted(_checked(text, parameter.type))
            except ValueError as fault:
                raise QuestionError(f"{self.name}, parameter {name}: {fault}") from None
        return [values[parameter.name] for parameter in self.parameters]


def load(folder: Path = FOLDER) -> dict[str, Question]:
    """Every question of a folder by name, in the order of their names. Raises QuestionError."""
    paths = sorted(folder.glob("*.sql"))
    return {path.stem: parse(path.stem, path.read_text(encoding="utf-8")) for path in paths}


def parse(name: str, text: str) -> Question:
    """Reads a question's file. Raises QuestionError that names the file and what is wrong with it."""
    found: dict[str, list[str]] = {"title": [], "description": [], "param": []}
    lines = text.splitlines()
    for line in lines:
        header = _HEADER.match(line)
        if header:
            found[header[1]].append(header[2].strip())
    try:
        if not found["title"] or not found["description"]:
            raise ValueError("expected `-- title:` and `-- description:` lines")
        parameters = tuple(_parameter(words) for words in found["param"])
        sql = "\n".join(line for line in lines if not line.startswith("--")).strip()
        if sql.count("?") != len(parameters):
            raise ValueError(f"{sql.count('?')} `?`, but {len(parameters)} `-- param:` lines")
        names = {parameter.name for parameter in parameters}
        if len(set(parameters)) != len(names):
            raise ValueError("lines `-- param:` of the same name are not equal")
    except ValueError as fault:
        raise QuestionError(f"queries/{name}.sql: {fault}") from None
    return Question(name, found["title"][0], " ".join(found["description"]), parameters, sql)


def _parameter(words: str) -> Parameter:
    try:
        name, kind, default = words.split(maxsplit=2)
    except ValueError:
        raise ValueError(f"`-- param: {words}`: expected NAME TYPE DEFAULT") from None
    if kind not in _TYPES:
        raise ValueError(f"`-- param: {words}`: the type is one of {', '.join(_TYPES)}")
    parameter = Parameter(name, kind, default)
    _checked(_resolved(parameter, date.min + timedelta(1)), kind)
    return parameter


def _resolved(parameter: Parameter, today: date) -> str:
    """The default as a value of the type."""
    if parameter.default not in _RELATIVE_OF.get(parameter.type, ()):
        return parameter.default
    day = (today + timedelta(_RELATIVE[parameter.default])).isoformat()
    return day if parameter.type == "date" else f"{day}T00:00:00Z"


def _checked(text: str, kind: str) -> str:
    """The text as SQL casts it to the type. Raises ValueError."""
    match kind:
        case "date":
            return lake.parse_day(text).isoformat()
        case "timestamp":
            return _instant(text)
        case "bigint":
            if not _WHOLE.fullmatch(text) or not -(2**63) <= int(text) < 2**63:
                raise ValueError(f"{text!r} is not a whole number of 64 bits")
            return text
        case _:
            return text


def _instant(text: str) -> str:
    """`YYYY-MM-DD HH:MM:SS`, which SQL casts to a timestamp."""
    found = _INSTANT.fullmatch(text)
    if not found:
        raise ValueError(f"{text!r} is not an instant: expected YYYY-MM-DDTHH:MM:SSZ, such as 2024-11-29T00:00:00Z")
    lake.parse_day(found[1])
    datetime.fromisoformat(f"{found[1]}T{found[2]}")
    return f"{found[1]} {found[2]}"


def _quoted(text: str) -> str:
    literal = "'" + text.replace("'", "''") + "'"
    if len(literal) > MAX_LITERAL:
        raise ValueError(f"{len(literal):,} characters with its quotes: Athena takes {MAX_LITERAL:,}")
    return literal
