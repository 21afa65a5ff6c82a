"""Which permissions of the deployed roles were used, by the trail that the local cloud keeps of what it allowed.

Of the roles whose calls it sees: it does not enforce those of the state machine and the schedules, for which see
tests/infra/test_roles.py.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any

from atlas.names import Names
from atlas_cli.cloud import Cloud
from atlas_cli.local.emulator import Emulator

NAMES = Names("local")
INGEST, DAY, GLUE, CRAWLER = NAMES.ingest_role, NAMES.day_role, NAMES.glue_role, NAMES.crawler_role
TOKEN, AUTHORIZER, ROTATION = NAMES.token_role, NAMES.authorizer_role, NAMES.rotation_role
API, FORWARDER, DELIVERY = NAMES.events_api_role, NAMES.forwarder_role, NAMES.delivery_role
QUERY, QUERY_AUTHORIZER = NAMES.query_role, NAMES.query_authorizer_role
SEEN = (
    *(INGEST, DAY, GLUE, CRAWLER, TOKEN, AUTHORIZER, ROTATION, API, FORWARDER, DELIVERY),
    *(QUERY, QUERY_AUTHORIZER),
)
TESTING = "test"
"""The session of a test that acts as a role: it shows nothing of what the role needs."""

Permission = tuple[str, str, str, str]
"""Role, statement, action, and one resource; of a listing its prefix."""

_S3A = "S3A, by which Spark on AWS reads and writes, asks about folders and uploads in parts; the gateway does not."
_LOG = "The service that runs the code writes the log, in the role's name."
_PARTS = "An upload in parts is given up only when it fails."
_TAGS = "AWS asks for it if an object that is copied has tags."
_CRAWL = "AWS's own crawler; the local cloud's adds partitions with three calls."
_RECEIVING = "Lambda's event source receives in the role's name."
_WRITING = {"logs:CreateLogStream", "logs:PutLogEvents"}
_EVENTS = "Here the day function reads events; the jobs do by the same code: tests/engines/test_events.py."
_DELIVERING = "AWS's own delivery stream; the local cloud's reads the table and writes objects whole."
_ATHENA = (
    "Athena reads the catalog and the tables, and writes results, in the name of whoever asks; here in nobody's."
)

ONLY_ON_AWS: dict[tuple[str, str], tuple[set[str], str]] = {
    (INGEST, "Log"): ({"logs:CreateLogStream", "logs:PutLogEvents"}, _LOG),
    (DAY, "Log"): ({"logs:CreateLogStream", "logs:PutLogEvents"}, _LOG),
    (GLUE, "Log"): ({"logs:CreateLogStream", "logs:PutLogEvents"}, _LOG),
    (CRAWLER, "Log"): ({"logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"}, _LOG),
    (INGEST, "ReadDroppedFiles"): ({"s3:GetObjectVersionTagging"}, _TAGS),
    (INGEST, "WithoutVersions"): (
        {"s3:GetObject", "s3:GetObjectTagging", "s3:DeleteObject"},
        "Somebody may suspend the bucket's versioning: docs/guarantees.md.",
    ),
    (INGEST, "ReadArchive"): ({"s3:GetObjectTagging"}, _TAGS),
    (INGEST, "CopyTags"): ({"s3:PutObjectTagging"}, _TAGS),
    (INGEST, "WriteOutputs"): ({"s3:AbortMultipartUpload"}, _PARTS),
    (INGEST, "TellMissingFromForbidden"): ({"s3:ListBucket"}, "AWS says forbidden of what is gone, without it."),
    (INGEST, "TakeFromQueue"): ({"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"}, _RECEIVING),
    (DAY, "GiveUploadsUp"): ({"s3:AbortMultipartUpload"}, _PARTS),
    (GLUE, "ProbeFolders"): ({"s3:GetObject"}, _S3A),
    (GLUE, "ProbeParents"): ({"s3:ListBucket"}, _S3A),
    (GLUE, "ReplaceDays"): ({"s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"}, _S3A),
    (GLUE, "OrderRestorations"): (
        {"sqs:GetQueueUrl", "sqs:SendMessage"},
        "Here the day function orders; the jobs do by the same code: tests/engines/test_failed_days.py.",
    ),
    (GLUE, "FindEvents"): ({"s3:ListBucket"}, _EVENTS),
    (GLUE, "ReadEvents"): ({"s3:GetObject"}, _EVENTS),
    (CRAWLER, "LocateBucket"): ({"s3:GetBucketLocation"}, _CRAWL),
    (CRAWLER, "ReadDatabase"): ({"glue:GetDatabase"}, _CRAWL),
    (CRAWLER, "AddPartitions"): (
        {
            "glue:GetTables",
            "glue:UpdateTable",
            "glue:GetPartition",
            "glue:BatchGetPartition",
            "glue:CreatePartition",
            "glue:UpdatePartition",
            "glue:BatchUpdatePartition",
        },
        _CRAWL,
    ),
    **{
        (role, "Log"): (_WRITING, _LOG)
        for role in (TOKEN, AUTHORIZER, ROTATION, FORWARDER, QUERY, QUERY_AUTHORIZER)
    },
    (FORWARDER, "TakeFromQueue"): (
        {"sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"},
        _RECEIVING,
    ),
    (DELIVERY, "Log"): ({"logs:PutLogEvents"}, _LOG),
    (DELIVERY, "WriteEvents"): ({"s3:GetObject", "s3:AbortMultipartUpload"}, _DELIVERING),
    (DELIVERY, "KnowTheLake"): (
        {"s3:ListBucket", "s3:GetBucketLocation", "s3:ListBucketMultipartUploads"},
        _DELIVERING,
    ),
    (DELIVERY, "ReadTheSchema"): ({"glue:GetTableVersion", "glue:GetTableVersions"}, _DELIVERING),
    (QUERY, "ReadTheCatalog"): (
        {"glue:GetDatabase", "glue:GetTable", "glue:GetPartition", "glue:GetPartitions"},
        _ATHENA,
    ),
    (QUERY, "ReadTables"): ({"s3:GetObject"}, _ATHENA),
    (QUERY, "ListTables"): ({"s3:ListBucket"}, _ATHENA),
    (QUERY, "KeepAnswers"): (
        {"s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"},
        _ATHENA,
    ),
    (QUERY, "LocateBucket"): ({"s3:GetBucketLocation"}, _ATHENA),
}
"""What is not used here, by role and statement, and why it is granted all the same."""


def idle(cloud: Cloud, running: Emulator) -> dict[tuple[str, str], set[str]]:
    """The actions that were not used on each of their resources, by role and statement."""
    lines = (running.folder / "calls.jsonl").read_text().splitlines()
    used = [(who.split("/"), *call) for who, *call in map(json.loads, lines)]
    found: dict[tuple[str, str], set[str]] = {}
    for role, statement, action, resource in _granted(cloud):
        if not any(
            ((role, statement, action) == (name, sid, act) and session != TESTING)
            and fnmatchcase(on if prefix is None else prefix, resource)
            for (name, session), sid, act, on, prefix in used
        ):
            found.setdefault((role, statement), set()).add(action)
    return found


def _granted(cloud: Cloud) -> Iterator[Permission]:
    iam: Any = cloud.session.client("iam")
    for role in SEEN:
        for statement in iam.get_role_policy(RoleName=role, PolicyName=role)["PolicyDocument"]["Statement"]:
            for action in _listed(statement["Action"]):
                for resource in _resources(statement, action):
                    yield role, statement["Sid"], action, resource


def _resources(statement: Any, action: str) -> list[str]:
    """AWS asks a call of Glue about catalog, database and table, the local cloud about one of them."""
    if action.startswith("glue:"):
        return ["*"]
    if action == "s3:ListBucket":
        if "Condition" not in statement:
            return _listed(statement["Resource"])
        prefixes = _listed(statement["Condition"]["StringLike"]["s3:prefix"])
        return [
            prefix for prefix in prefixes if prefix.endswith(("*", "/"))
        ]  # the same without a slash is one of it
    return _listed(statement["Resource"])


def _listed(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value]
