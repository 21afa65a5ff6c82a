"""`atlas run`: start the state machine, follow it, show each day's outcome and the engine that did it."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

from atlas.names import Names
from atlas_cli.cloud import Cloud
from atlas_cli.console import CommandError, Say

if TYPE_CHECKING:
    from mypy_boto3_stepfunctions import SFNClient
    from mypy_boto3_stepfunctions.type_defs import HistoryEventTypeDef

ENGINES = {"lambda": "DuckDB in one Lambda function", "glue": "Spark in two Glue jobs"}
"""What processes a day, in words."""
FUNCTION, NORMALIZE, AGGREGATE = "Run the function", "Normalize", "Aggregate"
FAILOVER, FAILED = "Count the failover", "Release the failed day"
"""States of a day in statemachine/daily.asl.json."""

_POLL_SECONDS = 0.5


def request(day: date | None, since: date | None, until: date | None, engine: str | None = None) -> dict[str, Any]:
    """The state machine's input for these options: one day, a range, or yesterday and every dirty day."""
    named = {"engine": engine} if engine else {}
    if day:
        return {"process_date": day.isoformat(), **named}
    if since and until:
        return {"from": since.isoformat(), "to": until.isoformat(), **named}
    if since or until:
        raise CommandError("--from and --to go together")
    return named


def run(cloud: Cloud, document: Mapping[str, Any], say: Say) -> list[dict[str, Any]]:
    """Runs the state machine to its end; one row a day. Raises CommandError if a day was not published."""
    client = cloud.stepfunctions
    started = client.start_execution(stateMachineArn=cloud.state_machine, input=json.dumps(dict(document)))
    arn = started["executionArn"]
    say.step(f"started execution {arn.rsplit(':', 1)[-1]} with {json.dumps(dict(document))}")
    progress = _Progress(client, arn, cloud.names)
    while True:
        ended = client.describe_execution(executionArn=arn)
        progress.tell(say)
        if ended["status"] != "RUNNING":
            break
        time.sleep(_POLL_SECONDS)
    days = outcomes(ended)
    if ended["status"] == "SUCCEEDED":
        return _rows(days)
    if days:
        say.rows("Days", _rows(days))
    raise CommandError(why(ended))


def outcomes(execution: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What became of each day of an execution that has ended, from its description; none if it got to no day."""
    text = execution.get("output" if execution["status"] == "SUCCEEDED" else "cause", "")
    try:
        told = json.loads(text)
    except ValueError:
        return []
    days: list[dict[str, Any]] = told.get("days", []) if isinstance(told, dict) else []
    return days


def why(execution: Mapping[str, Any]) -> str:
    """Why an execution did not succeed, in a line; empty if it did, or has not ended."""
    if execution["status"] in ("SUCCEEDED", "RUNNING"):
        return ""
    cause = execution.get("cause", "")
    if outcomes(execution):
        cause = json.loads(cause)["message"]
    return f"{execution.get('error', execution['status'])}: {cause}".removesuffix(": ")


def in_words(days: Sequence[Mapping[str, Any]]) -> str:
    """Which engine did which days, and which days outgrew the function."""
    lines = []
    for engine, what in ENGINES.items():
        done = [day["process_date"] for day in days if day.get("engine") == engine]
        if done:
            lines.append(f"Engine: {what}, for {', '.join(done)}.")
    lines += [
        f"{day['process_date']} had outgrown the function ({day['failed_over']}) and went on in Glue."
        for day in days
        if day.get("failed_over")
    ]
    return "\n".join(lines)


def _rows(days: list[dict[str, Any]]) -> list[dict[str, Any]]:
    names = ("process_date", "outcome", "engine", "run_id", "failed_over", "error", "cause")
    return [{name: day.get(name) for name in names if any(name in other for other in days)} for day in days]


class _Progress:
    """Tells what the days of an execution are at, by its history."""

    def __init__(self, client: SFNClient, execution: str, names: Names) -> None:
        self._client, self._execution = client, execution
        self._works = {
            FUNCTION: f"function {names.day_function}",
            NORMALIZE: f"Glue job {names.normalize_job}",
            AGGREGATE: f"Glue job {names.aggregate_job}",
        }
        self._running: dict[str, str] = {}
        self._seen = 0

    def tell(self, say: Say) -> None:
        """Says what has changed since the last call."""
        for event in self._news():
            entered = event.get("stateEnteredEventDetails")
            given = json.loads(entered.get("input", "null")) if entered else None
            if entered and isinstance(given, dict) and "process_date" in given:
                for line in self._enter(entered["name"], given["process_date"]):
                    say.step(f"  {given['process_date']}: {line}")

    def _enter(self, state: str, day: str) -> list[str]:
        """A day enters a state, so whatever it was at has ended; as a failure if the state is one for that."""
        lines = []
        if day in self._running:
            lines.append(f"{self._running.pop(day)} {'failed' if state in (FAILOVER, FAILED) else 'succeeded'}")
        if state == FAILOVER:
            lines.append("outgrew the function and goes on in Glue")
        if state in self._works:
            self._running[day] = self._works[state]
            lines.append(f"{self._works[state]} running")
        return lines

    def _news(self) -> list[HistoryEventTypeDef]:
        """The events since the last call, from the newest back, as a history may have 25,000."""
        news: list[HistoryEventTypeDef] = []
        pages = self._client.get_paginator("get_execution_history").paginate(
            executionArn=self._execution, reverseOrder=True, PaginationConfig={"PageSize": 1000}
        )
        for page in pages:
            news += [event for event in page["events"] if event["id"] > self._seen]
            if page["events"] and page["events"][-1]["id"] <= self._seen:
                break
        self._seen = max([self._seen, *(event["id"] for event in news)])
        return news[::-1]
