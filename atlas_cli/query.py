"""`atlas query`: a question of queries/, or any SQL, through Athena."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from atlas import questions
from atlas_cli.cloud import Cloud
from atlas_cli.console import CommandError
from stacks.config import StageConfig, read_context

_POLL_SECONDS = 0.2
_INTEGERS = ("bigint", "integer", "int", "smallint", "tinyint")


def ask(cloud: Cloud, name_or_sql: str, given: Mapping[str, str]) -> list[dict[str, Any]]:
    """The rows of a question or of some SQL. Raises CommandError."""
    known = questions.load()
    question = known.get(name_or_sql)
    if question is None:
        if not re.search(r"\s", name_or_sql.strip()):
            raise CommandError(f"no question {name_or_sql!r}. There are: {', '.join(known)}; or give SQL.")
        if given:
            raise CommandError("--param goes with a question of queries/, not with SQL")
        return athena(cloud, name_or_sql, [])
    try:
        literals = question.literals(given, datetime.now(UTC).date())
    except questions.QuestionError as fault:
        raise CommandError(str(fault)) from None
    return athena(cloud, question.sql, literals)


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
