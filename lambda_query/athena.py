"""Asking Athena: starts a question, waits for it, reads its rows. Parameters are execution parameters, always."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from lambda_query.clocks import Clocks
from lambda_query.problems import ProblemError, busy

Row = Mapping[str, Any]
"""A row by column: whole numbers, floats, booleans, and else text as Athena writes it. None is NULL."""

_LABEL = "-- atlas: "
_POLLS = (0.05, 0.1, 0.2, 0.4, 0.8)
"""Seconds between looks; the last one from then on."""
_RUNNING = ("QUEUED", "RUNNING")
_INTEGERS = ("bigint", "integer", "int", "smallint", "tinyint")
_FLOATS = ("double", "float", "real", "decimal")
_CUT_OFF = "bytes scanned limit"


@dataclass(frozen=True)
class Label:
    """The first line of each query's text: hashes of what is asked, and of the data of which it is asked.

    AWS does not give execution parameters back, so this is how the API knows a query again:
    https://docs.aws.amazon.com/athena/latest/APIReference/API_QueryExecution.html
    """

    asked: str
    version: str

    def line(self) -> str:
        """As a comment of SQL."""
        return f"{_LABEL}{self.asked} {self.version}\n"


@dataclass(frozen=True)
class Execution:
    """A query of Athena's as it stands. `label` is None if it is none of this API's and workgroup's."""

    id: str
    label: Label | None
    sql: str
    running: bool
    reused: bool = False
    status: Mapping[str, Any] = field(default_factory=dict, repr=False)


class Athena:
    """`client` is one of Athena."""

    def __init__(self, client: Any, database: str, workgroup: str, clocks: Clocks) -> None:
        self._client, self._database, self._workgroup, self._clocks = client, database, workgroup, clocks

    def start(self, label: Label, sql: str, literals: Sequence[str], reuse_minutes: int) -> str:
        """The id of the query. Results of the same text that are that young may serve, none if it is 0."""
        reuse: dict[str, Any] = {"Enabled": reuse_minutes > 0}
        if reuse_minutes > 0:
            reuse["MaxAgeInMinutes"] = reuse_minutes
        parameters: dict[str, Any] = {"ExecutionParameters": list(literals)} if literals else {}
        started = self._client.start_query_execution(
            QueryString=label.line() + sql,
            QueryExecutionContext={"Database": self._database},
            WorkGroup=self._workgroup,
            ResultReuseConfiguration={"ResultReuseByAgeConfiguration": reuse},
            **parameters,
        )
        return str(started["QueryExecutionId"])

    def find(self, execution_id: str) -> Execution | None:
        """A query, None if there is none of that id."""
        try:
            return self._look(execution_id)
        except ClientError as fault:
            # Those of other workgroups the role may not see.
            if fault.response["Error"]["Code"] in ("InvalidRequestException", "AccessDeniedException"):
                return None
            raise

    def wait(self, execution_id: str, until: float) -> Execution:
        """The query once it has ended, or still running at `until`, which is by the monotonic clock.

        Raises ProblemError if it failed.
        """
        looked = 0
        while True:
            found = self._look(execution_id)
            if not found.running:
                return _succeeded(found)
            pause = min(_POLLS[min(looked, len(_POLLS) - 1)], until - self._clocks.monotonic())
            if pause <= 0:
                return found
            self._clocks.sleep(pause)
            looked += 1

    def _look(self, execution_id: str) -> Execution:
        told = self._client.get_query_execution(QueryExecutionId=execution_id)["QueryExecution"]
        label, sql = _unlabelled(told["Query"])
        if told.get("WorkGroup") != self._workgroup:
            label = None
        reused = told.get("Statistics", {}).get("ResultReuseInformation", {}).get("ReusedPreviousResult", False)
        status = told["Status"]
        return Execution(execution_id, label, sql, status["State"] in _RUNNING, bool(reused), status)

    def rows(self, execution_id: str, at_once: int) -> Iterator[Row]:
        """The rows of a query that succeeded, read `at_once` at a time as they are wanted."""
        columns: list[tuple[str, Callable[[str], Any]]] = []
        further: dict[str, str] = {}
        while True:
            page = self._client.get_query_results(QueryExecutionId=execution_id, MaxResults=at_once, **further)
            result = page["ResultSet"]
            data = result["Rows"]
            if not columns:
                columns = [
                    (info["Name"], _reader(info["Type"])) for info in result["ResultSetMetadata"]["ColumnInfo"]
                ]
                data = data[1:]  # the first row of the first page repeats the names
            for row in data:
                cells = [cell.get("VarCharValue") for cell in row["Data"]]
                yield {
                    name: None if text is None else read(text)
                    for (name, read), text in zip(columns, cells, strict=True)
                }
            if not page.get("NextToken"):
                return
            further = {"NextToken": page["NextToken"]}


def _unlabelled(text: str) -> tuple[Label | None, str]:
    line, _, sql = text.partition("\n")
    words = line.removeprefix(_LABEL).split(" ")
    if not line.startswith(_LABEL) or len(words) != 2:
        return None, text
    return Label(*words), sql


def _succeeded(ended: Execution) -> Execution:
    """What it was given, if it succeeded. Athena's own words are told nobody: they may quote a record."""
    state, error = ended.status["State"], ended.status.get("AthenaError", {})
    if state == "SUCCEEDED":
        return ended
    told = {
        "execution": ended.id,
        "state": state,
        "category": error.get("ErrorCategory"),
        "type": error.get("ErrorType"),
    }
    if _CUT_OFF in ended.status.get("StateChangeReason", "").lower():
        detail = (
            "The question would read more than a query of this API may: ask for fewer days, or have the operator "
            "raise query_api.scan_cutoff_gb."
        )
        raise ProblemError(502, detail, told=told)
    if error.get("Retryable"):
        raise busy(told=told)
    detail = "Athena has not answered. Ask again; should it go on, tell the operator of query "
    raise ProblemError(502, detail + ended.id, told=told)


def _reader(kind: str) -> Callable[[str], Any]:
    if kind in _INTEGERS:
        return int
    if kind in _FLOATS:
        return float
    if kind == "boolean":
        return json.loads
    return str
