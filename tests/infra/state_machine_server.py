"""A Step Functions and a DynamoDB for tests of the state machine: ministack, with jobs that are told what to do.

What a job does follows from its day, see `run_job`; everything else is the emulator's.
"""

from __future__ import annotations

import json
import os
from typing import Any

import boto3
import ministack.services.stepfunctions as step_functions
from ministack.services import glue

FAILS_IN_NORMALIZE = "2024-10-01"
FAILS_IN_AGGREGATE = "2024-10-02"
FILE_LANDS_MEANWHILE = "2024-10-03"
THROTTLED_ONCE = "2024-10-04"
PARTITIONS = "log_type=access,log_type=api"

_throttled: set[str] = set()


def run_job(resource: str, request: dict[str, Any]) -> dict[str, Any]:
    """Take the place of `glue:startJobRun.sync`."""
    assert resource.endswith(".sync"), resource
    day, job = request["Arguments"]["--process_date"], request["JobName"]
    ledger = boto3.resource("dynamodb").Table(os.environ["TEST_LEDGER"])
    key = {"pk": f"DAY#{day}", "sk": "STATE"}
    assert ledger.get_item(Key=key)["Item"]["lock_owner"] == request["Arguments"]["--run_id"]
    if day == THROTTLED_ONCE and job not in _throttled:
        _throttled.add(job)
        raise step_functions._ExecutionError("Glue.ThrottlingException", "Rate exceeded")
    if (day, job) in {(FAILS_IN_NORMALIZE, "normalize"), (FAILS_IN_AGGREGATE, "aggregate")}:
        run = {"JobName": job, "JobRunState": "FAILED", "ErrorMessage": 'the "books" are out by 3'}
        raise step_functions._ExecutionError("States.TaskFailed", json.dumps(run))
    if job == "normalize":
        ledger.update_item(
            Key=key,
            UpdateExpression="SET #partitions = :found",
            ExpressionAttributeNames={"#partitions": "partitions"},
            ExpressionAttributeValues={":found": PARTITIONS},
        )
    if day == FILE_LANDS_MEANWHILE and job == "aggregate":
        ledger.update_item(Key=key, UpdateExpression="ADD changes :one", ExpressionAttributeValues={":one": 1})
    return {"JobName": job, "JobRunState": "SUCCEEDED"}


if __name__ == "__main__":
    step_functions._SERVICE_DISPATCH["arn:aws:states:::glue:startJobRun"] = run_job
    glue.CRAWLER_RUN_SECONDS = 0.1
    from ministack import app

    app.main()
