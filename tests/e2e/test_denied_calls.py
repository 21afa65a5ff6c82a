"""What each role must not do is denied, on the stacks that deploy, with IAM enforced.

That each may do what it has to do, the other tests here show by doing it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from atlas import lake, schema
from atlas.names import Names
from atlas_cli.cloud import Cloud
from atlas_cli.project import ROOT
from tests.e2e.permissions import (
    API,
    AUTHORIZER,
    CRAWLER,
    DAY,
    DELIVERY,
    FORWARDER,
    GLUE,
    INGEST,
    QUERY,
    QUERY_AUTHORIZER,
    ROTATION,
    SEEN,
    TESTING,
    TOKEN,
)

PAGE = ROOT / "docs" / "security.md"
NAMES, OTHERS = Names("local"), Names("prod")
MACHINE, SCHEDULER = NAMES.state_machine_role, NAMES.scheduler_role
ROLES = (*SEEN, MACHINE, SCHEDULER)
DENIED = {"AccessDenied", "AccessDeniedException", "AuthorizationError"}
NO_DAY = date(2001, 1, 1)

PLACES = {
    "raw": lake.RAW + "denied",
    "validated": lake.VALIDATED + "denied",
    "manifests": lake.MANIFESTS + "denied",
    "silver": lake.LOGS + "denied",
    "gold": lake.gold_key("daily_activity", NO_DAY),
    "receipt": lake.gold_key("data_quality", NO_DAY),
    "failed attempt": lake.failed_attempt_key(NO_DAY),
    "staging": lake.STAGING + "denied",
    "refused files": lake.REJECTED_FILES + "denied",
    "failed runs": lake.REJECTED_RUNS + "denied",
    "refused records": lake.REJECTED_RECORDS + "denied",
    "archive": lake.ARCHIVE + "denied",
    "results": lake.QUERY_RESULTS + "denied",
    "answers": lake.API_RESULTS + "denied",
    "events": lake.EVENTS + "denied",
    "refused events": lake.REFUSED_EVENTS + "denied",
    "failed events": lake.UNDELIVERED_EVENTS + "denied",
    "elsewhere": "denied",
}
"""A key in each part of the lake that a role can be kept out of."""

_TABLES = {"silver", "gold", "receipt", "failed attempt", "refused records"}
_EVENTS = {"events", "refused events", "failed events"}
_ANSWERED = {*(_TABLES - {"silver"}), "events"}
_NOTHING: dict[str, set[str]] = {"get": set(), "put": set(), "delete": set(), "list": set()}
_DAYS = {"manifests", "silver", "gold", "receipt", "failed attempt", "staging", "refused records"}
MAY: dict[str, dict[str, set[str]]] = {
    INGEST: {
        "get": {"raw", "archive"},
        "put": {"validated", "archive", "refused files"},
        "delete": {"raw", "refused files"},
        "list": {"raw", "archive"},
    },
    DAY: {
        "get": {"validated", "staging", "manifests", *_EVENTS},
        "put": {*_DAYS, "failed runs"},
        "delete": {"validated", "silver", "refused records", "staging", "failed attempt"},
        "list": {"validated", "silver", "refused records", "staging", *_EVENTS},
    },
    GLUE: {
        "get": {"validated", *_DAYS, *_EVENTS},
        "put": {*_DAYS, "failed runs"},
        "delete": {"validated", *_DAYS},
        "list": {"validated", *_DAYS, *_EVENTS},
    },
    CRAWLER: {"get": _TABLES, "put": set(), "delete": set(), "list": _TABLES},
    FORWARDER: {**_NOTHING, "put": {"refused events"}},
    DELIVERY: {
        "get": {"events", "failed events"},
        "put": {"events", "failed events"},
        "delete": set(),
        "list": set(PLACES),
    },
    QUERY: {
        "get": {*_ANSWERED, "answers"},
        "put": {"answers"},
        "delete": set(),
        "list": {*_ANSWERED, "answers"},
    },
    **dict.fromkeys((TOKEN, AUTHORIZER, ROTATION, API, MACHINE, SCHEDULER, QUERY_AUTHORIZER), _NOTHING),
}
"""Where each role may go in the lake. It must not go anywhere else."""

_KNOW_CLIENTS = {TOKEN, AUTHORIZER, QUERY_AUTHORIZER, ROTATION}

Call = tuple[str, str, dict[str, Any], set[str]]
"""Service, call, arguments, and the roles that may."""


def _of_ledgers() -> Iterator[Call]:
    key = {"pk": {"S": "FILE#denied"}, "sk": {"S": "META"}}
    query = {"KeyConditionExpression": "pk = :pk", "ExpressionAttributeValues": {":pk": key["pk"]}}
    calls: dict[str, tuple[dict[str, Any], set[str]]] = {
        "get_item": ({"Key": key}, {INGEST, DAY, GLUE}),
        "query": (query, {INGEST, DAY, GLUE, MACHINE}),
        "put_item": ({"Item": key}, {INGEST, FORWARDER}),
        "update_item": ({"Key": key}, {INGEST, DAY, GLUE, MACHINE, FORWARDER}),
        "delete_item": ({"Key": key}, {INGEST, DAY, GLUE}),
        "scan": ({}, set()),
        "delete_table": ({}, set()),
    }
    for call, (arguments, roles) in calls.items():
        yield "dynamodb", call, {"TableName": NAMES.ledger_table, **arguments}, roles
        yield "dynamodb", call, {"TableName": OTHERS.ledger_table, **arguments}, set()


def _calls(cloud: Cloud) -> list[Call]:
    """Calls to everything but the lake's objects."""
    here, account = cloud.region, cloud.account
    queue, dead, foreign = (
        f"{cloud.queue_url(NAMES.ingest_queue).rsplit('/', 1)[0]}/{name}"
        for name in (NAMES.ingest_queue, NAMES.ingest_dead_letter_queue, OTHERS.ingest_queue)
    )
    requests, lost_requests, foreign_requests = (
        f"{queue.rsplit('/', 1)[0]}/{name}"
        for name in (NAMES.events_queue, NAMES.events_dead_letter_queue, OTHERS.events_queue)
    )
    put: Any = {"Records": [{"Data": b"denied"}]}
    topics = [f"arn:aws:sns:{here}:{account}:{names.topic}" for names in (NAMES, OTHERS)]
    foreign_lake = OTHERS.bucket(account, here)
    logs = NAMES.access_logs_bucket(account, here)
    machine = cloud.state_machine
    table = {"DatabaseName": "log_analytics_db"}
    return [
        *_of_ledgers(),
        ("s3", "get_object", {"Bucket": foreign_lake, "Key": PLACES["validated"]}, set()),
        ("s3", "put_object", {"Bucket": foreign_lake, "Key": PLACES["gold"], "Body": b""}, set()),
        ("s3", "list_objects_v2", {"Bucket": foreign_lake, "Prefix": lake.LOGS}, set()),
        ("s3", "get_object", {"Bucket": logs, "Key": "lake/denied"}, set()),
        ("s3", "delete_object", {"Bucket": logs, "Key": "lake/denied"}, set()),
        ("s3", "get_bucket_policy", {"Bucket": cloud.bucket}, set()),
        ("s3", "delete_bucket_policy", {"Bucket": cloud.bucket}, set()),
        ("sqs", "receive_message", {"QueueUrl": queue}, {INGEST}),
        ("sqs", "send_message", {"QueueUrl": queue, "MessageBody": "denied"}, {DAY, GLUE}),
        ("sqs", "purge_queue", {"QueueUrl": queue}, set()),
        ("sqs", "receive_message", {"QueueUrl": dead}, set()),
        ("sqs", "send_message", {"QueueUrl": foreign, "MessageBody": "denied"}, set()),
        ("sns", "publish", {"TopicArn": topics[0], "Message": "denied"}, {DAY, GLUE, MACHINE}),
        ("sns", "publish", {"TopicArn": topics[1], "Message": "denied"}, set()),
        ("sns", "subscribe", {"TopicArn": topics[0], "Protocol": "email", "Endpoint": "a@example.com"}, set()),
        ("lambda", "invoke", {"FunctionName": NAMES.ingest_function}, set()),
        ("lambda", "invoke", {"FunctionName": NAMES.day_function}, {MACHINE}),
        ("lambda", "invoke", {"FunctionName": OTHERS.day_function}, set()),
        ("lambda", "get_function", {"FunctionName": NAMES.day_function}, set()),
        ("glue", "start_job_run", {"JobName": NAMES.normalize_job}, {MACHINE}),
        ("glue", "start_job_run", {"JobName": OTHERS.normalize_job}, set()),
        ("glue", "start_crawler", {"Name": NAMES.gold_crawler}, {MACHINE}),
        # The local cloud asks about the catalog, and cannot tell tables apart.
        ("glue", "get_table", {**table, "Name": schema.LOGS.name}, {CRAWLER, DELIVERY, QUERY}),
        ("glue", "get_table", {"DatabaseName": "log_analytics_db_dev", "Name": schema.LOGS.name}, set()),
        ("glue", "delete_table", {**table, "Name": schema.LOGS.name}, set()),
        ("glue", "create_table", {**table, "TableInput": {"Name": "denied"}}, set()),
        ("glue", "delete_database", {"Name": "log_analytics_db"}, set()),
        ("stepfunctions", "start_execution", {"stateMachineArn": machine}, {SCHEDULER}),
        ("stepfunctions", "start_execution", {"stateMachineArn": machine.replace("local", "prod")}, set()),
        (
            "stepfunctions",
            "stop_execution",
            {"executionArn": f"{machine}:denied".replace("stateMachine", "execution")},
            set(),
        ),
        ("cloudwatch", "put_metric_data", _count(NAMES.metrics_namespace), {DAY, GLUE, MACHINE}),
        ("cloudwatch", "put_metric_data", _count(OTHERS.metrics_namespace), set()),
        ("cloudwatch", "delete_alarms", {"AlarmNames": [NAMES.alarm("no-gold")]}, set()),
        ("logs", "delete_log_group", {"logGroupName": NAMES.day_logs}, set()),
        ("logs", "get_log_events", {"logGroupName": NAMES.day_logs, "logStreamName": "denied"}, set()),
        *(
            ("athena", "start_query_execution", {"QueryString": "SELECT 1", "WorkGroup": workgroup}, roles)
            for workgroup, roles in (
                (NAMES.workgroup, set()),
                (NAMES.api_workgroup, {QUERY}),
                (OTHERS.api_workgroup, set()),
            )
        ),
        *_of_analysts_queries(cloud),
        ("athena", "delete_work_group", {"WorkGroup": NAMES.api_workgroup}, set()),
        ("lambda", "invoke", {"FunctionName": NAMES.query_function}, set()),
        ("apigatewayv2", "get_apis", {}, set()),
        *_of_secrets(cloud),
        ("sqs", "send_message", {"QueueUrl": requests, "MessageBody": "denied"}, {API}),
        ("sqs", "send_message", {"QueueUrl": foreign_requests, "MessageBody": "denied"}, set()),
        ("sqs", "receive_message", {"QueueUrl": requests}, {FORWARDER}),
        ("sqs", "receive_message", {"QueueUrl": lost_requests}, set()),
        ("firehose", "put_record_batch", {"DeliveryStreamName": NAMES.delivery_stream, **put}, {FORWARDER}),
        ("firehose", "put_record_batch", {"DeliveryStreamName": OTHERS.delivery_stream, **put}, set()),
        ("firehose", "delete_delivery_stream", {"DeliveryStreamName": NAMES.delivery_stream}, set()),
        ("lambda", "invoke", {"FunctionName": NAMES.forwarder_function}, set()),
        ("lambda", "invoke", {"FunctionName": NAMES.rotation_function}, set()),
        ("apigateway", "get_api_keys", {}, set()),
        ("ssm", "get_parameter", {"Name": NAMES.key_parameter}, set()),
        ("kms", "schedule_key_deletion", {"KeyId": NAMES.key_alias}, set()),
        ("kms", "decrypt", {"CiphertextBlob": b"denied"}, set()),
        ("iam", "put_role_policy", {"RoleName": INGEST, "PolicyName": INGEST, "PolicyDocument": "{}"}, set()),
        ("iam", "create_user", {"UserName": "denied"}, set()),
        (
            "sts",
            "assume_role",
            {"RoleArn": f"arn:aws:iam::{account}:role/{GLUE}", "RoleSessionName": "denied"},
            set(),
        ),
    ]


def _of_analysts_queries(cloud: Cloud) -> Iterator[Call]:
    """What somebody else asked, in another workgroup."""
    athena = cloud.session.client("athena")
    started = athena.start_query_execution(QueryString="SELECT 1", WorkGroup=NAMES.workgroup)
    query = {"QueryExecutionId": started["QueryExecutionId"]}
    for call in ("get_query_execution", "get_query_results", "stop_query_execution"):
        yield "athena", call, query, set()


def _of_secrets(cloud: Cloud) -> Iterator[Call]:
    secrets = cloud.session.client("secretsmanager")
    key = secrets.describe_secret(SecretId=NAMES.signing_key)["ARN"]
    clients = key.replace(NAMES.signing_key, NAMES.client_secret("denied"))
    version = {"VersionStage": "AWSCURRENT", "RemoveFromVersionId": "0" * 32}
    calls: list[
        tuple[str, dict[str, Any], set[str], set[str]]
    ] = [  # who may to the key, and who to clients' secrets
        ("describe_secret", {}, _KNOW_CLIENTS, _KNOW_CLIENTS),
        ("get_secret_value", {}, _KNOW_CLIENTS, {TOKEN, ROTATION}),
        ("put_secret_value", {"SecretString": "denied"}, {ROTATION}, {ROTATION}),
        ("update_secret_version_stage", version, {ROTATION}, {ROTATION}),
        ("update_secret", {"SecretString": "denied"}, set(), set()),
        ("rotate_secret", {}, set(), set()),
        ("delete_secret", {}, set(), set()),
        ("put_resource_policy", {"ResourcePolicy": "{}"}, set(), set()),
    ]
    for call, more, to_key, to_clients in calls:
        yield "secretsmanager", call, {"SecretId": key, **more}, to_key
        yield "secretsmanager", call, {"SecretId": clients, **more}, to_clients
        yield "secretsmanager", call, {"SecretId": key.replace("/local/", "/prod/"), **more}, set()


def _count(namespace: str) -> dict[str, Any]:
    return {"Namespace": namespace, "MetricData": [{"MetricName": "denied", "Value": 0}]}


@pytest.fixture(scope="module", autouse=True)
def _nothing_is_left_for_others(cloud: Cloud) -> Iterator[None]:
    """What those could send who may is taken away again: no function would ever take it."""
    yield
    for queue in (NAMES.ingest_queue, NAMES.events_queue):
        cloud.sqs.purge_queue(QueueUrl=cloud.queue_url(queue))


@contextmanager
def acting_as(cloud: Cloud, role: str) -> Iterator[boto3.Session]:
    """A session with a role's credentials; its service alone is trusted with it, and afterwards is again."""
    iam: Any = cloud.session.client("iam")
    deployed = iam.get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"]
    us = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": cloud.caller}}
    iam.update_assume_role_policy(
        RoleName=role, PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [us]})
    )
    try:
        arn = f"arn:aws:iam::{cloud.account}:role/{role}"
        given = cloud.session.client("sts").assume_role(RoleArn=arn, RoleSessionName=TESTING)["Credentials"]
        yield boto3.Session(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"], cloud.region)
    finally:
        iam.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(deployed))


def _is_denied(client: Any, call: str, arguments: dict[str, Any]) -> bool:
    try:
        getattr(client, call)(**arguments)
    except ClientError as refused:
        return refused.response["Error"]["Code"] in DENIED
    return False


@pytest.mark.parametrize("role", ROLES)
def test_a_role_gets_where_its_work_is_in_the_lake_and_nowhere_else(cloud: Cloud, role: str) -> None:
    found: dict[str, set[str]] = {"put": set(), "get": set(), "list": set(), "delete": set()}
    with acting_as(cloud, role) as session:
        s3 = session.client("s3", endpoint_url=cloud.s3.meta.endpoint_url)
        for place, key in PLACES.items():
            object_ = {"Bucket": cloud.bucket, "Key": key}
            folder = {"Bucket": cloud.bucket, "Prefix": "".join(key.rpartition("/")[:2])}
            calls: dict[str, tuple[str, dict[str, Any]]] = {
                "put": ("put_object", {**object_, "Body": b""}),
                "get": ("get_object", object_),
                "list": ("list_objects_v2", folder),
                "delete": ("delete_object", object_),
            }
            for name, (call, arguments) in calls.items():
                if not _is_denied(s3, call, arguments):
                    found[name].add(place)
    for key in PLACES.values():
        cloud.s3.delete_object(Bucket=cloud.bucket, Key=key)
    assert found == MAY[role]


@pytest.mark.parametrize("role", ROLES)
def test_a_role_is_denied_what_is_not_its_work(cloud: Cloud, role: str) -> None:
    foreign = OTHERS.bucket(cloud.account, cloud.region)
    cloud.s3.create_bucket(Bucket=foreign)
    forbidden = [call for call in _calls(cloud) if role not in call[3]]
    assert len(forbidden) > 40
    with acting_as(cloud, role) as session:
        clients: dict[str, Any] = {
            service: session.client(service, endpoint_url=cloud.s3.meta.endpoint_url)  # type: ignore[call-overload]
            for service in {service for service, *_ in forbidden}
        }
        made = [call[:3] for call in forbidden if not _is_denied(clients[call[0]], call[1], call[2])]
    cloud.s3.delete_bucket(Bucket=foreign)
    assert made == []


def _policy_of_the_docs(cloud: Cloud, name: str) -> str:
    found = re.search(rf"<!-- policy: {name} -->\n```json\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert found
    text = found[1]
    ours = {"STAGE": cloud.stage, "ACCOUNT": cloud.account, "REGION": cloud.region, "DATABASE": "log_analytics_db"}
    for placeholder, value in ours.items():
        text = text.replace(placeholder, value)
    return text


@contextmanager
def somebody(cloud: Cloud, policy: str) -> Iterator[boto3.Session]:
    """A session of a user with one policy."""
    iam: Any = cloud.session.client("iam")
    iam.create_user(UserName="somebody")
    iam.put_user_policy(UserName="somebody", PolicyName="policy", PolicyDocument=policy)
    key = iam.create_access_key(UserName="somebody")["AccessKey"]
    try:
        yield boto3.Session(key["AccessKeyId"], key["SecretAccessKey"], region_name=cloud.region)
    finally:
        iam.delete_access_key(UserName="somebody", AccessKeyId=key["AccessKeyId"])
        iam.delete_user_policy(UserName="somebody", PolicyName="policy")
        iam.delete_user(UserName="somebody")


@pytest.mark.parametrize(
    ("name", "may"),
    [
        ("producer", {"put raw"}),
        ("analyst", {f"get {place}" for place in (*_TABLES, "staging", "results")} | {"put results", "ask"}),
    ],
)
def test_the_policies_that_the_docs_give_to_producers_and_analysts_allow_that_and_no_more(
    cloud: Cloud, name: str, may: set[str]
) -> None:
    found = set()
    endpoint = cloud.s3.meta.endpoint_url
    with somebody(cloud, _policy_of_the_docs(cloud, name)) as session:
        s3, athena = session.client("s3", endpoint_url=endpoint), session.client("athena", endpoint_url=endpoint)
        for place, key in PLACES.items():
            object_ = {"Bucket": cloud.bucket, "Key": key}
            for verb, more in (("put", {"Body": b""}), ("get", {}), ("delete", {})):
                if not _is_denied(s3, f"{verb}_object", {**object_, **more}):
                    found.add(f"{verb} {place}")
            cloud.s3.delete_object(**object_)  # type: ignore[arg-type]
        question = {"QueryString": "SELECT 1", "WorkGroup": NAMES.workgroup}
        if not _is_denied(athena, "start_query_execution", question):
            found.add("ask")
    assert found == may
