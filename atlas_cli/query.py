"""`atlas query`: a question of queries/, or any SQL, through Athena.

A question's file begins with comment lines: `-- title:`, `-- description:` and, for each `?` in order,
`-- param: NAME TYPE DEFAULT`.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from atlas_cli.cloud import Cloud
from atlas_cli.console import CommandError
from atlas_cli.project import QUERIES
from stacks.config import StageConfig, read_context

_HEADER = re.compile(r"--\s*(title|description|param):\s*(.*)")
_POLL_SECONDS = 0.2
_INTEGERS = ("bigint", "integer", "int", "smallint", "tinyint")


@dataclass(frozen=True)
class Parameter:
    """One `?` of a question, with what it is if nobody says otherwise."""

    name: str
    type: str
    default: str


@dataclass(frozen=True)
class Question:
    """One file of queries/."""

    name: str
    title: str
    description: str
    parameters: tuple[Parameter, ...]
    sql: str


def questions(folder: Path = QUERIES) -> dict[str, Question]:
    """Every question by name."""
    return {path.stem: parse_question(path.stem, path.read_text()) for path in sorted(folder.glob("*.sql"))}


def parse_question(name: str, text: str) -> Question:
    """Reads a question's file. Raises ValueError that names what is missing."""
    found: dict[str, list[str]] = {"title": [], "description": [], "param": []}
    for line in text.splitlines():
        header = _HEADER.match(line)
        if header:
            found[header[1]].append(header[2].strip())
    if not found["title"] or not found["description"]:
        raise ValueError(f"queries/{name}.sql: expected `-- title:` and `-- description:` lines")
    parameters = tuple(Parameter(*words.split(maxsplit=2)) for words in found["param"])
    sql = "\n".join(line for line in text.splitlines() if not line.startswith("--")).strip()
    if sql.count("?") != len(parameters):
        raise ValueError(f"queries/{name}.sql: {sql.count('?')} `?`, but {len(parameters)} `-- param:` lines")
    return Question(name, found["title"][0], " ".join(found["description"]), parameters, sql)


def ask(cloud: Cloud, name_or_sql: str, given: Mapping[str, str]) -> list[dict[str, Any]]:
    """The rows of a question or of some SQL. Raises CommandError."""
    known = questions()
    question = known.get(name_or_sql)
    if question is None:
        if not re.search(r"\s", name_or_sql.strip()):
            raise CommandError(f"no question {name_or_sql!r}. There are: {', '.join(known)}; or give SQL.")
        if given:
            raise CommandError("--param goes with a question of queries/, not with SQL")
        return athena(cloud, name_or_sql, [])
    unknown = set(given) - {parameter.name for parameter in question.parameters}
    if unknown:
        names = ", ".join(parameter.name for parameter in question.parameters) or "none"
        raise CommandError(f"{question.name} has no parameter {', '.join(sorted(unknown))}; it has: {names}")
    values = [given.get(parameter.name, parameter.default) for parameter in question.parameters]
    # Execution parameters are SQL literals.
    return athena(cloud, question.sql, ["'" + value.replace("'", "''") + "'" for value in values])


def athena(cloud: Cloud, sql: str, parameters: list[str]) -> list[dict[str, Any]]:
    """Runs a statement in the stage's workgroup; rows with Python numbers where the column is numeric."""
    client = cloud.session.client("athena")
    database = StageConfig.load(cloud.stage, read_context()).database
    extra: Any = {"ExecutionParameters": parameters} if parameters else {}
    started = client.start_query_execution(
        QueryString=sql,
        QueryExecutionContext={"Database": database},
        WorkGroup=cloud.names.workgroup,
        **extra,
    )
    query = started["QueryExecutionId"]
    while True:
        status = client.get_query_execution(QueryExecutionId=query)["QueryExecution"]["Status"]
        if status["State"] not in ("QUEUED", "RUNNING"):
            break
        time.sleep(_POLL_SECONDS)
    if status["State"] != "SUCCEEDED":
        raise CommandError(f"Athena: {status.get('StateChangeReason', status['State'])}")
    rows: list[dict[str, Any]] = []
    columns: list[tuple[str, str]] = []
    for page in client.get_paginator("get_query_results").paginate(QueryExecutionId=query):
        result = page["ResultSet"]
        data = [[cell.get("VarCharValue") for cell in row["Data"]] for row in result["Rows"]]
        if not columns:
            columns = [(info["Name"], info["Type"]) for info in result["ResultSetMetadata"]["ColumnInfo"]]
            data = data[1:]  # the first row of the first page repeats the names
        rows += [
            {name: _value(cell, kind) for (name, kind), cell in zip(columns, row, strict=True)} for row in data
        ]
    return rows


def _value(cell: str | None, kind: str) -> Any:
    if cell is None:
        return None
    if kind in _INTEGERS:
        return int(cell)
    if kind in ("double", "float", "real"):
        return float(cell)
    return cell
