"""`atlas run`: start the state machine, follow it, show each day's outcome."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from datetime import date
from typing import Any

from atlas_cli.cloud import Cloud
from atlas_cli.console import CommandError, Say

_POLL_SECONDS = 1.0


def request(day: date | None, since: date | None, until: date | None) -> dict[str, Any]:
    """The state machine's input for these options: one day, a range, or yesterday and every dirty day."""
    if day:
        return {"process_date": day.isoformat()}
    if since and until:
        return {"from": since.isoformat(), "to": until.isoformat()}
    if since or until:
        raise CommandError("--from and --to go together")
    return {}


def run(cloud: Cloud, document: Mapping[str, Any], say: Say) -> list[dict[str, Any]]:
    """Runs the state machine to its end; one row a day. Raises CommandError if a day was not published."""
    client = cloud.stepfunctions
    started = client.start_execution(stateMachineArn=cloud.state_machine, input=json.dumps(dict(document)))
    arn = started["executionArn"]
    execution = arn.rsplit(":", 1)[-1]
    say.step(f"started execution {execution} with {json.dumps(dict(document))}")
    jobs = _Jobs(cloud, execution)
    while True:
        ended = client.describe_execution(executionArn=arn)
        jobs.tell(say)
        if ended["status"] != "RUNNING":
            break
        time.sleep(_POLL_SECONDS)
    if ended["status"] == "SUCCEEDED":
        return _rows(json.loads(ended["output"])["days"])
    error, cause = ended.get("error", ended["status"]), ended.get("cause", "")
    try:
        failed = json.loads(cause)
    except ValueError:
        raise CommandError(f"{error}: {cause}") from None
    say.rows("Days", _rows(failed["days"]))
    raise CommandError(f"{error}: {failed['message']}")


def _rows(days: list[dict[str, Any]]) -> list[dict[str, Any]]:
    names = ("process_date", "outcome", "run_id", "error", "cause")
    return [{name: day.get(name) for name in names if any(name in other for other in days)} for day in days]


class _Jobs:
    """Tells of the job runs that an execution started, as they come and go."""

    def __init__(self, cloud: Cloud, execution: str) -> None:
        self._glue = cloud.session.client("glue")
        self._names = (cloud.names.normalize_job, cloud.names.aggregate_job)
        self._execution = execution
        self._told: dict[str, str] = {}

    def tell(self, say: Say) -> None:
        """Says what has changed since the last call."""
        for name in self._names:
            for run in reversed(self._glue.get_job_runs(JobName=name, MaxResults=50)["JobRuns"]):
                arguments = run.get("Arguments", {})
                mine = arguments.get("--run_id", "").startswith(self._execution)
                if mine and self._told.get(run["Id"]) != run["JobRunState"]:
                    self._told[run["Id"]] = run["JobRunState"]
                    say.step(f"  {arguments['--process_date']}: {name} {run['JobRunState'].lower()}")
