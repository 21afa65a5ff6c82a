"""The small differences between ministack 1.5.33 and AWS, one function each.

Each says what AWS does and what ministack does; tests/local has a canary for each, which fails when an
upgrade of ministack has changed what is replaced here.
"""

from __future__ import annotations

import contextvars
import json
import time
from pathlib import Path
from typing import Any

from ministack import app
from ministack.core import iam_actions, iam_evaluator
from ministack.services import athena, eventbridge, s3, scheduler, stepfunctions

_POLL_SECONDS = 0.2
_SCHEDULE_SECONDS = 1.0
_version_id: contextvars.ContextVar[str | None] = contextvars.ContextVar("version_id", default=None)


def loopback_counts_as_tls() -> None:
    """AWS is called over TLS; ministack here over plain HTTP, on loopback.

    So CDK's `enforce_ssl` bucket policies (deny if aws:SecureTransport is false) would deny everything.
    """
    app.pin_request_origin = lambda source_ip, _secure: iam_evaluator.pin_request_origin(source_ip, True)


def batches_need_the_right_to_their_parts() -> None:
    """On AWS who may `sqs:SendMessage` may send a batch too; ministack asks for `sqs:SendMessageBatch`.

    https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-api-permissions-reference.html
    """
    action_of = iam_actions.extract_iam_action

    def extract_iam_action(service: str, *request: Any) -> str | None:
        action: str | None = action_of(service, *request)
        return action.removesuffix("Batch") if action and service == "sqs" else action

    iam_actions.extract_iam_action = extract_iam_action


def queries_are_of_their_workgroup() -> None:
    """On AWS the right to a query of Athena's is one to its workgroup, whoever names the query by its id.

    ministack goes by the request's own workgroup, and takes `*` where a request names none.
    https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonathena.html
    """
    arn_of = iam_actions.extract_resource_arn

    def extract_resource_arn(service: str, *request: Any) -> str:
        arn = str(arn_of(service, *request))
        if service != "athena" or arn != "*":
            return arn
        query = athena._executions.get(iam_actions._safe_json_field(request[3], "QueryExecutionId"))
        return athena._arn_workgroup(query["WorkGroup"]) if query else arn

    iam_actions.extract_resource_arn = extract_resource_arn


def glue_jobs_in_step_functions() -> None:
    """AWS has the integration `glue:startJobRun`, also as `.sync`; ministack 1.5.33 lacks both.

    As on AWS, `.sync` gives the JobRun, and a run that failed is `States.TaskFailed` with the JobRun as cause.
    What StartJobRun itself refuses is `Glue.<exception>`.
    """

    def start_job_run(resource: str, task: dict[str, Any]) -> Any:
        started = _glue("startJobRun", task)
        if not resource.endswith(".sync"):
            return started
        while True:
            run = _glue("getJobRun", {"JobName": task["JobName"], "RunId": started["JobRunId"]})["JobRun"]
            if "DpuSeconds" in run:  # as the SDK spells it; this integration spells it as Glue does
                run["DPUSeconds"] = run.pop("DpuSeconds")
            if run["JobRunState"] == "SUCCEEDED":
                return run
            if run["JobRunState"] in ("FAILED", "TIMEOUT", "STOPPED", "ERROR", "EXPIRED"):
                raise stepfunctions._ExecutionError("States.TaskFailed", json.dumps(run))
            time.sleep(_POLL_SECONDS)

    stepfunctions._SERVICE_DISPATCH["arn:aws:states:::glue:startJobRun"] = start_job_run


def tasks_of_a_map_in_the_history() -> None:
    """AWS's history of an execution tells of the states inside a Map, ministack's of those outside only.

    Here of the tasks inside too: as on AWS, that one was entered and with which input, and that it was left.
    """
    execute = stepfunctions._execute_task

    def execute_task(state: dict[str, Any], given: Any, execution: dict[str, Any], context: dict[str, Any]) -> Any:
        if "Map" not in context:
            return execute(state, given, execution, context)
        name = context["State"]["Name"]
        entered = {"name": name, "input": json.dumps(given)}
        stepfunctions._add_event(execution, "TaskStateEntered", {"stateEnteredEventDetails": entered})
        output, following = execute(state, given, execution, context)
        left = {"name": name, "output": json.dumps(output)}
        stepfunctions._add_event(execution, "TaskStateExited", {"stateExitedEventDetails": left})
        return output, following

    stepfunctions._execute_task = execute_task


def throttled_functions_in_step_functions() -> None:
    """A function that has no room for a call is `Lambda.TooManyRequestsException` on AWS.

    ministack calls it `Lambda.Unknown`, which on AWS is how a function can end that was killed.
    """
    call = stepfunctions._call_lambda

    def call_lambda(function: str, event: Any) -> Any:
        try:
            return call(function, event)
        except stepfunctions._ExecutionError as failed:
            if failed.error == "Lambda.Unknown" and '"__type": "TooManyRequestsException"' in failed.cause:
                raise stepfunctions._ExecutionError("Lambda.TooManyRequestsException", failed.cause) from failed
            raise

    stepfunctions._call_lambda = call_lambda


def version_ids_in_object_events() -> None:
    """AWS's `Object Created` events name the object's version in a versioned bucket; ministack leaves it out."""
    fire, dispatch = s3._fire_s3_event, eventbridge._dispatch_event

    def fire_s3_event(*args: Any, version_id: str | None = None, **more: Any) -> None:
        token = _version_id.set(version_id)
        try:
            fire(*args, version_id=version_id, **more)
        finally:
            _version_id.reset(token)

    def dispatch_event(event: dict[str, Any], view: Any = None) -> Any:
        version = _version_id.get()
        if version and event.get("Source") == "aws.s3":
            detail = json.loads(event["Detail"])
            detail["object"]["version-id"] = version
            event = {**event, "Detail": json.dumps(detail)}
        return dispatch(event, view)

    s3._fire_s3_event = fire_s3_event
    eventbridge._dispatch_event = dispatch_event


def scheduler_context_attributes() -> None:
    """AWS replaces `<aws.scheduler.scheduled-time>` and its like in a schedule's Input; ministack does not."""
    invoke = eventbridge._invoke_target

    def invoke_target(target: dict[str, Any], event: dict[str, Any], rule: Any, view: Any = None) -> Any:
        if event.get("Source") == "aws.scheduler" and target.get("Input"):
            values = {
                "scheduled-time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(event["Time"])),
                "schedule-arn": event["Resources"][0],
                "execution-id": event["EventId"],
                "attempt-number": "1",
            }
            text = target["Input"]
            for name, value in values.items():
                text = text.replace(f"<aws.scheduler.{name}>", value)
            target = {**target, "Input": text}
        return invoke(target, event, rule, view)

    eventbridge._invoke_target = invoke_target


def schedules_without_delay() -> None:
    """AWS starts a schedule's target within its minute; ministack looks every ten seconds.

    Here every second, so that nobody waits for a schedule that was set to the next moment.
    """
    scheduler._SCHEDULE_TICK_INTERVAL = _SCHEDULE_SECONDS


def calls_of_roles(record: Path) -> None:
    """AWS keeps a trail of calls. Here each that a role was allowed is noted once in `record`, a line of JSON.

    Its items: role and session, the statement that allowed it, action, resource, and a listing's prefix. By it,
    tests tell which permissions are used.
    """
    evaluate = iam_evaluator.evaluate
    known: set[str] = set()
    record.unlink(missing_ok=True)

    def evaluate_and_note(context: Any, *policies: Any) -> Any:
        result = evaluate(context, *policies)
        if result.decision == "Allow" and ":assumed-role/" in context.principal_arn:
            who, prefix = context.principal_arn.split("/", 1)[1], context.service_context.get("s3:prefix")
            line = json.dumps([who, result.matched_sid, context.action, context.resource_arn, prefix])
            if line not in known:
                known.add(line)
                with record.open("a") as trail:
                    trail.write(line + "\n")
        return result

    iam_evaluator.evaluate = evaluate_and_note


def _glue(action: str, request: dict[str, Any]) -> Any:
    return stepfunctions._invoke_aws_sdk_integration(f"arn:aws:states:::aws-sdk:glue:{action}", request)
