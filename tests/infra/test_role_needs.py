"""What the local cloud does not enforce: the state machine's role, and everybody's share of the stage's key."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from atlas.names import Names
from tests.infra.conftest import Synth
from tests.infra.grants import allowed

NAMES = Names("prod")
ROLES = (
    NAMES.ingest_role,
    NAMES.day_role,
    NAMES.glue_role,
    NAMES.crawler_role,
    NAMES.state_machine_role,
    NAMES.scheduler_role,
    NAMES.token_role,
    NAMES.authorizer_role,
    NAMES.forwarder_role,
    NAMES.rotation_role,
    NAMES.events_api_role,
    NAMES.delivery_role,
    NAMES.query_role,
    NAMES.query_authorizer_role,
)
_HERE = "eu-central-1:111122223333"

OF_THE_KEY: dict[str, set[str]] = {
    "s3:GetObject": {"Decrypt"},
    "s3:GetObjectVersion": {"Decrypt"},
    "s3:PutObject": {"Decrypt", "GenerateDataKey"},  # an upload in parts is decrypted to be put together
    "s3:ListBucket": set(),  # a listing, and a HEAD of what is not there, open nothing
    "s3:GetBucketLocation": set(),
    "s3:GetObjectTagging": set(),
    "s3:GetObjectVersionTagging": set(),
    "s3:PutObjectTagging": set(),
    "s3:DeleteObject": set(),
    "s3:DeleteObjectVersion": set(),
    "s3:AbortMultipartUpload": set(),
    "s3:ListMultipartUploadParts": set(),
    "s3:ListBucketMultipartUploads": set(),
    "dynamodb:Query": {"Decrypt"},
    "dynamodb:GetItem": {"Decrypt"},
    "dynamodb:PutItem": {"Decrypt"},
    "dynamodb:UpdateItem": {"Decrypt"},
    "dynamodb:DeleteItem": {"Decrypt"},
    "sqs:SendMessage": {"Decrypt", "GenerateDataKey"},
    "sqs:ReceiveMessage": {"Decrypt"},
    "sqs:DeleteMessage": set(),
    "sqs:GetQueueAttributes": set(),
    "sqs:GetQueueUrl": set(),
    "sns:Publish": {"Decrypt", "GenerateDataKey"},
    "secretsmanager:GetSecretValue": {"Decrypt"},
    "secretsmanager:PutSecretValue": {"Decrypt", "GenerateDataKey"},
    "secretsmanager:DescribeSecret": set(),
    "secretsmanager:UpdateSecretVersionStage": set(),
    "firehose:PutRecordBatch": set(),  # the stream has a grant of its own for what it keeps
}
"""Which of the key's actions each call on something encrypted needs: for the sources see stacks/roles.py."""


@pytest.mark.parametrize("name", ROLES)
def test_a_role_has_of_the_key_what_its_calls_need_by_way_of_their_services_and_nothing_else(
    prod: Synth, name: str
) -> None:
    granted = allowed(prod.one("AWS::IAM::Role", RoleName=name))
    services = {action.split(":")[0] for action in OF_THE_KEY}
    encrypted = [action for action in granted if action.split(":")[0] in services]
    needed = {
        (f"kms:{act}", f"the key by way of {action.split(':')[0]}.eu-central-1.amazonaws.com")
        for action in encrypted
        for act in OF_THE_KEY[action]
    }
    assert {(act, way) for act in granted if act.startswith("kms:") for way in granted[act]} == needed
    assert bool(needed) == (name != NAMES.scheduler_role)


@pytest.mark.parametrize("stage", ["local", "dev"])
def test_where_the_keys_are_those_of_aws_no_role_has_anything_of_one(stages: dict[str, Synth], stage: str) -> None:
    roles = [role for role in stages[stage].resources("AWS::IAM::Role") if "RoleName" in role]
    assert roles
    assert not [act for role in roles for act in allowed(role) if act.startswith("kms:")]


def _tasks(machine: dict[str, Any], items: Any = None) -> Iterator[tuple[str, Any, Any]]:
    """Each Task's resource and arguments, with the items of the Map that it is in."""
    for state in machine["States"].values():
        if state["Type"] == "Task":
            yield state["Resource"].removeprefix("arn:aws:states:::"), state["Arguments"], items
        if "ItemProcessor" in state:
            yield from _tasks(state["ItemProcessor"], state["Items"])


def _argument(arguments: Any, name: str) -> str | None:
    """A literal argument, which may be in a JSONata expression that puts the arguments together."""
    if isinstance(arguments, dict):
        return arguments.get(name)
    found = re.search(rf"'{name}': '([^']*)'", arguments)
    return found and found[1]


def _permissions(resource: str, arguments: Any, items: Any) -> set[tuple[str, str]]:
    """What a Task needs: https://docs.aws.amazon.com/step-functions/latest/dg/service-integration-iam-templates.html"""
    named = "{% $states.input.crawler %}"
    match resource:
        case "glue:startJobRun.sync":
            job = f"arn:aws:glue:{_HERE}:job/{arguments['JobName']}"
            return {(f"glue:{act}", job) for act in ("StartJobRun", "GetJobRun", "GetJobRuns", "BatchStopJobRun")}
        case "lambda:invoke":
            return {("lambda:InvokeFunction", f"arn:aws:lambda:{_HERE}:function:{arguments['FunctionName']}")}
        case "sns:publish":
            return {("sns:Publish", arguments["TopicArn"])}
        case "aws-sdk:cloudwatch:putMetricData":
            return {("cloudwatch:PutMetricData", f"* in {arguments['Namespace']}")}
        case "aws-sdk:glue:startCrawler" | "aws-sdk:glue:getCrawler":
            assert arguments == {"Name": named}
            action = resource.removeprefix("aws-sdk:glue:")
            return {
                (f"glue:{action[0].upper()}{action[1:]}", f"arn:aws:glue:{_HERE}:crawler/{name}") for name in items
            }
        case "aws-sdk:dynamodb:query" | "aws-sdk:dynamodb:updateItem":
            table = f"arn:aws:dynamodb:{_HERE}:table/{_argument(arguments, 'TableName')}"
            index = _argument(arguments, "IndexName")
            action = resource.removeprefix("aws-sdk:dynamodb:")
            return {(f"dynamodb:{action[0].upper()}{action[1:]}", f"{table}/index/{index}" if index else table)}
        case _:
            raise AssertionError(f"which permissions does {resource} need?")


def test_each_task_of_the_state_machine_has_its_permission_on_its_resource_and_no_permission_is_idle(
    prod: Synth,
) -> None:
    """Statically: the local cloud does not enforce the state machine's role."""
    machine = prod.one("AWS::StepFunctions::StateMachine")
    text = machine["DefinitionString"]
    for name, value in machine["DefinitionSubstitutions"].items():
        text = text.replace(f"${{{name}}}", value)
    needed = set().union(*(_permissions(*task) for task in _tasks(json.loads(text))))
    granted = allowed(prod.one("AWS::IAM::Role", RoleName=NAMES.state_machine_role))
    assert {
        (action, resource)
        for action in granted
        for resource in granted[action]
        if not action.startswith(("kms:", "logs:"))  # the key: see above; the log: not a task's work
    } == needed
