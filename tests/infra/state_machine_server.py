"""A Step Functions and a DynamoDB for tests of the state machine: ministack, with engines that are told what to do.

What the function or a job does follows from its day, see `run_function` and `run_job`; everything else is the
emulator's. Each leaves its name in the day's state, as `ran`, and whether it met the day dirty, as `met`.
"""

from __future__ import annotations

import json
import os
from typing import Any

import boto3
import ministack.services.stepfunctions as step_functions
from ministack.services import glue

from atlas_cli.local import patches

FAILS_IN_NORMALIZE = "2024-10-01"
FAILS_IN_AGGREGATE = "2024-10-02"
FILE_LANDS_MEANWHILE = "2024-10-03"
THROTTLED_ONCE = "2024-10-04"
FAILS_IN_THE_FUNCTION = "2024-10-05"
FUNCTION_BUSY_ONCE = "2024-10-06"
ANOTHER_RUN_ENDS_MEANWHILE = "2024-10-07"
OUTGROWN = {
    "2024-12-01": "DayTooLargeError",
    "2024-12-02": "Sandbox.Timedout",
    "2024-12-03": "Runtime.ExitError",
    "2024-12-04": "Runtime.OutOfMemory",
    "2024-12-05": "Lambda.Unknown",
    "2024-12-06": "States.Timeout",
}
"""Days that the function cannot do, each with the error that says so."""
OUTGROWN_AND_FAILS_IN_GLUE = "2024-12-07"
DPU_SECONDS = 61.5
"""Of each job, as Glue tells it of runs with auto scaling."""
PARTITIONS = "log_type=access,log_type=api"

_throttled: set[str] = set()
_start_crawler = glue._start_crawler


def run_function(reference: str, event: dict[str, Any]) -> dict[str, Any]:
    """Take the place of the call of `lambda:invoke`."""
    assert reference.endswith("day"), reference
    day = event["process_date"]
    _begin(day, event["run_id"], "day")
    if day == FUNCTION_BUSY_ONCE and "day" not in _throttled:
        _throttled.add("day")
        raise step_functions._ExecutionError("Lambda.TooManyRequestsException", "Rate Exceeded")
    if day == FAILS_IN_THE_FUNCTION:
        told = {"errorMessage": 'the "books" are out by 3', "errorType": "BooksError", "stackTrace": []}
        raise step_functions._ExecutionError("BooksError", json.dumps(told))
    if day == OUTGROWN_AND_FAILS_IN_GLUE or day in OUTGROWN:
        error = OUTGROWN.get(day, "DayTooLargeError")
        told = {"errorType": error, "errorMessage": "7 of 3 GiB"}
        raise step_functions._ExecutionError(error, "" if error == "States.Timeout" else json.dumps(told))
    _found(day)
    return {"process_date": day}


def run_job(resource: str, request: dict[str, Any]) -> dict[str, Any]:
    """Take the place of `glue:startJobRun.sync`."""
    assert resource.endswith(".sync"), resource
    day, job = request["Arguments"]["--process_date"], request["JobName"]
    _begin(day, request["Arguments"]["--run_id"], job)
    if day == THROTTLED_ONCE and job not in _throttled:
        _throttled.add(job)
        raise step_functions._ExecutionError("Glue.ThrottlingException", "Rate exceeded")
    failing = {(FAILS_IN_NORMALIZE, "normalize"), (OUTGROWN_AND_FAILS_IN_GLUE, "normalize")}
    if (day, job) in failing | {(FAILS_IN_AGGREGATE, "aggregate")}:
        error = 'the "books" are out by 3'
        run = {"JobName": job, "JobRunState": "FAILED", "ErrorMessage": error, "DPUSeconds": DPU_SECONDS}
        raise step_functions._ExecutionError("States.TaskFailed", json.dumps(run))
    if job == "normalize":
        _found(day)
    if day == FILE_LANDS_MEANWHILE and job == "aggregate":
        _update(day, "REMOVE failures ADD changes :given", 1)
    return {"JobName": job, "JobRunState": "SUCCEEDED", "DPUSeconds": DPU_SECONDS}


def start_crawler(request: dict[str, Any]) -> Any:
    """The emulator's crawl, during which another run of one day may end."""
    ledger = boto3.resource("dynamodb").Table(os.environ["TEST_LEDGER"])
    if "Item" in ledger.get_item(Key=_key(ANOTHER_RUN_ENDS_MEANWHILE)):
        _update(ANOTHER_RUN_ENDS_MEANWHILE, "SET last_run = :given", "another run")
    return _start_crawler(request)


def _begin(day: str, run_id: str, name: str) -> None:
    ledger = boto3.resource("dynamodb").Table(os.environ["TEST_LEDGER"])
    item = ledger.get_item(Key=_key(day))["Item"]
    assert item["lock_owner"] == run_id
    _update(day, "ADD ran :given", {name})
    _update(day, "SET met = :given", item.get("dirty", "clean"))


def _found(day: str) -> None:
    _update(day, "SET #partitions = :given", PARTITIONS, {"#partitions": "partitions"})


def _update(day: str, expression: str, given: Any, names: dict[str, str] | None = None) -> None:
    ledger = boto3.resource("dynamodb").Table(os.environ["TEST_LEDGER"])
    more: Any = {"ExpressionAttributeNames": names} if names else {}
    values = {":given": given}
    ledger.update_item(Key=_key(day), UpdateExpression=expression, ExpressionAttributeValues=values, **more)


def _key(day: str) -> dict[str, str]:
    return {"pk": f"DAY#{day}", "sk": "STATE"}


if __name__ == "__main__":
    step_functions._SERVICE_DISPATCH["arn:aws:states:::glue:startJobRun"] = run_job
    step_functions._call_lambda = run_function
    patches.tasks_of_a_map_in_the_history()
    glue.CRAWLER_RUN_SECONDS = 0.1
    glue._start_crawler = start_crawler
    from ministack import app

    app.main()
