"""Each role may do what its table here says, and nothing else. A widened policy has to be widened here too."""

from __future__ import annotations

import pytest

from atlas.names import Names
from tests.infra.conftest import STAGES, Synth
from tests.infra.grants import allowed

LAKE = "arn:aws:s3:::atlas-lake-prod-111122223333-eu-central-1"
ASSETS = "arn:aws:s3:::cdk-hnb659fds-assets-111122223333-eu-central-1/<asset>"
_HERE = "eu-central-1:111122223333"
LEDGER = f"arn:aws:dynamodb:{_HERE}:table/atlas-ledger-prod"
TOPIC = f"arn:aws:sns:{_HERE}:atlas-notifications-prod"
INGEST_QUEUE = f"arn:aws:sqs:{_HERE}:atlas-ingest-prod"
CATALOG = f"arn:aws:glue:{_HERE}:catalog"
DATABASE = f"arn:aws:glue:{_HERE}:database/log_analytics_db"
GOLD = (
    *("daily_activity", "hourly_activity", "endpoint_activity", "daily_actions", "login_activity", "file_books"),
    "data_quality",
)
"""In the order of the schema."""


def _tables(*names: str) -> set[str]:
    return {f"arn:aws:glue:{_HERE}:table/log_analytics_db/{name}" for name in names}


TABLES = _tables("logs", "rejected_records", *GOLD)
MACHINE = "<Daily>"
SIGNING_KEY = "<SigningKey>"
SIGNING_KEY_BY_NAME = f"arn:aws:secretsmanager:{_HERE}:secret:atlas/prod/signing-key-??????"
CLIENT_SECRETS = f"arn:aws:secretsmanager:{_HERE}:secret:atlas/prod/clients/*"
_GOLD_PLACES = [f"analytics/{name}" for name in GOLD]
PLACES = {f"{LAKE}/{place}/*" for place in ("processed/logs", "rejected/data_quality", *_GOLD_PLACES)}
API_WORKGROUP = f"arn:aws:athena:{_HERE}:workgroup/atlas-api-prod"


def _listed(*places: str) -> str:
    return f"{LAKE} under " + ", ".join(f"{place}/*, {place}" for place in places)


def _logs(*groups: str) -> set[str]:
    return {f"arn:aws:logs:{_HERE}:log-group:{group}:*" for group in groups}


def _job(name: str) -> str:
    return f"arn:aws:glue:{_HERE}:job/atlas-{name}-prod"


def _crawler(name: str) -> str:
    return f"arn:aws:glue:{_HERE}:crawler/atlas-{name}-prod"


_WRITTEN_BY_JOBS = {f"{LAKE}/{prefix}*" for prefix in ("processed/", "analytics/", "rejected/data_quality/")}
_WRITTEN_BY_INGEST = {f"{LAKE}/{prefix}*" for prefix in ("validated/", "archive/", "rejected/system/lambda/")}
_READ_BY_INGEST = {f"{LAKE}/{prefix}*" for prefix in ("raw/", "archive/")}
_JOB_LOGS = _logs("/atlas/prod/jobs/error", "/atlas/prod/jobs/output")
_WRITTEN_BY_DAY = {
    f"{LAKE}/{prefix}*"
    for prefix in ("processed/_manifests/", "processed/logs/", "rejected/data_quality/", "analytics/")
}
_COUNTS = {"cloudwatch:PutMetricData": {"* in Atlas/prod"}}
_ORDERS_AND_COUNTS = {"sqs:GetQueueUrl": {INGEST_QUEUE}, "sqs:SendMessage": {INGEST_QUEUE}, **_COUNTS}
_RUNS = {_job("normalize"), _job("aggregate")}
_CRAWLERS = {_crawler("silver"), _crawler("gold")}

_READING_SECRETS = ("secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue")
_RENEWING_SECRETS = (
    *_READING_SECRETS,
    "secretsmanager:PutSecretValue",
    "secretsmanager:UpdateSecretVersionStage",
)
_SECRETS = {SIGNING_KEY, CLIENT_SECRETS}
_EVENTS = {f"{LAKE}/{prefix}*" for prefix in ("events/", "rejected/events/refused/", "rejected/events/failed/")}
_LISTED_EVENTS = (
    f"{LAKE} under events/*, events, rejected/events/refused/*, rejected/events/refused, "
    "rejected/events/failed/*, rejected/events/failed"
)
_WRITTEN_BY_DELIVERY = {f"{LAKE}/events/*", f"{LAKE}/rejected/events/failed/*"}


def _function_logs(name: str) -> dict[str, set[str]]:
    return {
        f"logs:{action}": _logs(f"/aws/lambda/atlas-{name}-prod") for action in ("CreateLogStream", "PutLogEvents")
    }


ALLOWED: dict[str, dict[str, set[str]]] = {
    "atlas-lambda-ingestion-role-prod": {
        "s3:GetObject": _READ_BY_INGEST,
        "s3:GetObjectVersion": {f"{LAKE}/raw/*"},
        "s3:GetObjectTagging": _READ_BY_INGEST,
        "s3:GetObjectVersionTagging": {f"{LAKE}/raw/*"},
        "s3:ListBucket": {f"{LAKE} under raw/*, raw, archive/*, archive"},
        # Nothing validated: a run may be reading it.
        "s3:DeleteObject": {f"{LAKE}/raw/*", f"{LAKE}/rejected/system/lambda/*"},
        "s3:DeleteObjectVersion": {f"{LAKE}/raw/*"},
        "s3:PutObject": _WRITTEN_BY_INGEST,
        "s3:PutObjectTagging": _WRITTEN_BY_INGEST - {f"{LAKE}/validated/*"},
        "s3:AbortMultipartUpload": _WRITTEN_BY_INGEST,
        "dynamodb:Query": {LEDGER},
        "dynamodb:GetItem": {LEDGER},
        "dynamodb:PutItem": {LEDGER},
        "dynamodb:UpdateItem": {LEDGER},
        "dynamodb:DeleteItem": {LEDGER},
        "sqs:ReceiveMessage": {"<IngestQueue.Arn>"},
        "sqs:DeleteMessage": {"<IngestQueue.Arn>"},
        "sqs:GetQueueAttributes": {"<IngestQueue.Arn>"},
        "logs:CreateLogStream": _logs("/aws/lambda/atlas-ingest-prod"),
        "logs:PutLogEvents": _logs("/aws/lambda/atlas-ingest-prod"),
    },
    "atlas-lambda-day-role-prod": {
        "s3:GetObject": {
            *(f"{LAKE}/{prefix}*" for prefix in ("validated/", "analytics/_staging/", "processed/_manifests/")),
            *_EVENTS,
        },
        "s3:ListBucket": {
            f"{LAKE} under validated/*, validated",
            _LISTED_EVENTS,
            f"{LAKE} under processed/logs/*, processed/logs, rejected/data_quality/*, rejected/data_quality, "
            "analytics/_staging/*, analytics/_staging",
        },
        "s3:PutObject": {*_WRITTEN_BY_DAY, f"{LAKE}/rejected/system/glue/*"},
        "s3:AbortMultipartUpload": {
            f"{LAKE}/{prefix}*" for prefix in ("processed/logs/", "rejected/data_quality/", "analytics/_staging/")
        },
        "s3:DeleteObject": {
            f"{LAKE}/analytics/data_quality/date=*/failed-attempt.parquet",
            *(
                f"{LAKE}/{prefix}*"
                for prefix in ("validated/", "processed/logs/", "rejected/data_quality/", "analytics/_staging/")
            ),
        },
        "dynamodb:Query": {LEDGER},
        "dynamodb:GetItem": {LEDGER},
        "dynamodb:UpdateItem": {LEDGER},
        "dynamodb:DeleteItem": {LEDGER},
        "sns:Publish": {TOPIC},
        **_ORDERS_AND_COUNTS,
        "logs:CreateLogStream": _logs("/aws/lambda/atlas-day-prod"),
        "logs:PutLogEvents": _logs("/aws/lambda/atlas-day-prod"),
    },
    "atlas-glue-etl-role-prod": {
        "s3:GetObject": {
            ASSETS,
            f"{LAKE}/validated/*",
            *_WRITTEN_BY_JOBS,
            *_EVENTS,
            *(f"{LAKE}/{folder}" for folder in ("processed", "analytics", "rejected", "rejected/data_quality")),
        },
        "s3:ListBucket": {
            f"{LAKE} under validated/*, validated, processed/*, processed, analytics/*, analytics, "
            "rejected/data_quality/*, rejected/data_quality",
            f"{LAKE} under rejected/",
            _LISTED_EVENTS,
        },
        "s3:PutObject": {*_WRITTEN_BY_JOBS, f"{LAKE}/rejected/system/glue/*"},
        "s3:DeleteObject": {*_WRITTEN_BY_JOBS, f"{LAKE}/validated/*"},
        "s3:AbortMultipartUpload": _WRITTEN_BY_JOBS,
        "s3:ListMultipartUploadParts": _WRITTEN_BY_JOBS,
        "dynamodb:Query": {LEDGER},
        "dynamodb:GetItem": {LEDGER},
        "dynamodb:UpdateItem": {LEDGER},
        "dynamodb:DeleteItem": {LEDGER},
        "sns:Publish": {TOPIC},
        **_ORDERS_AND_COUNTS,
        "logs:CreateLogStream": _JOB_LOGS,
        "logs:PutLogEvents": _JOB_LOGS,
    },
    "atlas-glue-crawler-role-prod": {
        "s3:GetObject": PLACES,
        "s3:ListBucket": {_listed("processed/logs", "rejected/data_quality", *_GOLD_PLACES)},
        "s3:GetBucketLocation": {LAKE},
        "glue:GetDatabase": {CATALOG, DATABASE},
        **{
            f"glue:{action}": {CATALOG, DATABASE, *TABLES}
            for action in (
                "GetTable",
                "GetTables",
                "UpdateTable",
                "GetPartition",
                "GetPartitions",
                "BatchGetPartition",
                "BatchCreatePartition",
                "CreatePartition",
                "UpdatePartition",
                "BatchUpdatePartition",
            )
        },
        "logs:CreateLogGroup": _logs("/aws-glue/crawlers"),
        "logs:CreateLogStream": _logs("/aws-glue/crawlers"),
        "logs:PutLogEvents": _logs("/aws-glue/crawlers"),
    },
    "atlas-step-functions-role-prod": {
        "lambda:InvokeFunction": {f"arn:aws:lambda:{_HERE}:function:atlas-day-prod"},
        **_COUNTS,
        "glue:StartJobRun": _RUNS,
        "glue:GetJobRun": _RUNS,
        "glue:GetJobRuns": _RUNS,
        "glue:BatchStopJobRun": _RUNS,
        "glue:StartCrawler": _CRAWLERS,
        "glue:GetCrawler": _CRAWLERS,
        "dynamodb:Query": {LEDGER, f"{LEDGER}/index/dirty-days"},
        "dynamodb:UpdateItem": {LEDGER},
        "sns:Publish": {TOPIC},
        # Log delivery can be granted on everything only.
        "logs:CreateLogDelivery": {"*"},
        "logs:GetLogDelivery": {"*"},
        "logs:UpdateLogDelivery": {"*"},
        "logs:DeleteLogDelivery": {"*"},
        "logs:ListLogDeliveries": {"*"},
        "logs:PutResourcePolicy": {"*"},
        "logs:DescribeResourcePolicies": {"*"},
        "logs:DescribeLogGroups": {"*"},
    },
    "atlas-eventbridge-role-prod": {"states:StartExecution": {MACHINE}},
    "atlas-lambda-token-role-prod": {**dict.fromkeys(_READING_SECRETS, _SECRETS), **_function_logs("token")},
    "atlas-lambda-authorizer-role-prod": {
        # No value of a client's secret.
        "secretsmanager:DescribeSecret": _SECRETS,
        "secretsmanager:GetSecretValue": {SIGNING_KEY},
        **_function_logs("authorizer"),
    },
    "atlas-lambda-rotation-role-prod": {
        **dict.fromkeys(_RENEWING_SECRETS, _SECRETS),
        **_function_logs("rotation"),
    },
    "atlas-lambda-forwarder-role-prod": {
        "firehose:PutRecordBatch": {f"arn:aws:firehose:{_HERE}:deliverystream/atlas-events-prod"},
        "s3:PutObject": {f"{LAKE}/rejected/events/refused/*"},
        "dynamodb:PutItem": {LEDGER},
        "dynamodb:UpdateItem": {LEDGER},
        "sqs:ReceiveMessage": {"<EventsQueue.Arn>"},
        "sqs:DeleteMessage": {"<EventsQueue.Arn>"},
        "sqs:GetQueueAttributes": {"<EventsQueue.Arn>"},
        **_function_logs("forwarder"),
    },
    "atlas-api-gateway-role-prod": {"sqs:SendMessage": {f"arn:aws:sqs:{_HERE}:atlas-events-prod"}},
    "atlas-firehose-role-prod": {
        "s3:GetObject": _WRITTEN_BY_DELIVERY,
        "s3:PutObject": _WRITTEN_BY_DELIVERY,
        "s3:AbortMultipartUpload": _WRITTEN_BY_DELIVERY,
        "s3:ListBucket": {LAKE},
        "s3:GetBucketLocation": {LAKE},
        "s3:ListBucketMultipartUploads": {LAKE},
        **{
            f"glue:{action}": {CATALOG, DATABASE, f"arn:aws:glue:{_HERE}:table/log_analytics_db/events"}
            for action in ("GetTable", "GetTableVersion", "GetTableVersions")
        },
        "logs:PutLogEvents": {
            f"arn:aws:logs:{_HERE}:log-group:/aws/kinesisfirehose/atlas-events-prod:log-stream:DestinationDelivery"
        },
    },
    "atlas-lambda-query-role-prod": {
        "athena:StartQueryExecution": {API_WORKGROUP},
        "athena:GetQueryExecution": {API_WORKGROUP},
        "athena:GetQueryResults": {API_WORKGROUP},
        **{
            f"glue:{action}": {CATALOG, DATABASE, *_tables(*GOLD, "rejected_records", "events")}
            for action in ("GetDatabase", "GetTable", "GetPartition", "GetPartitions", "BatchGetPartition")
        },
        # Neither silver nor raw files; of gold no staging, of what is refused the records only.
        "s3:GetObject": {
            f"{LAKE}/{place}/*" for place in (*_GOLD_PLACES, "rejected/data_quality", "events", "answers")
        },
        "s3:ListBucket": {_listed(*_GOLD_PLACES, "rejected/data_quality", "events", "answers")},
        "s3:PutObject": {f"{LAKE}/answers/*"},
        "s3:AbortMultipartUpload": {f"{LAKE}/answers/*"},
        "s3:ListMultipartUploadParts": {f"{LAKE}/answers/*"},
        "s3:GetBucketLocation": {LAKE},
        **_function_logs("query"),
    },
    "atlas-lambda-query-authorizer-role-prod": {
        # No value of a client's secret. Secrets Manager ends the key's ARN with six characters.
        "secretsmanager:DescribeSecret": {SIGNING_KEY_BY_NAME, CLIENT_SECRETS},
        "secretsmanager:GetSecretValue": {SIGNING_KEY_BY_NAME},
        **_function_logs("query-authorizer"),
    },
}


@pytest.mark.parametrize("name", ALLOWED)
def test_a_role_may_do_exactly_what_its_table_says(prod: Synth, name: str) -> None:
    role = prod.one("AWS::IAM::Role", RoleName=name)
    found = allowed(role)
    # Of the key, what follows from the rest: tests/infra/test_role_needs.py.
    assert {action: found[action] for action in found if not action.startswith("kms:")} == ALLOWED[name]
    assert "ManagedPolicyArns" not in role


def test_there_are_these_roles_and_no_policy_outside_them(prod: Synth) -> None:
    names = Names("prod")
    roles = {role["RoleName"] for role in prod.resources("AWS::IAM::Role")}
    assert roles == set(ALLOWED)
    assert roles == {
        names.ingest_role,
        names.day_role,
        names.glue_role,
        names.crawler_role,
        names.state_machine_role,
        names.scheduler_role,
        names.token_role,
        names.authorizer_role,
        names.forwarder_role,
        names.rotation_role,
        names.events_api_role,
        names.delivery_role,
        names.query_role,
        names.query_authorizer_role,
    }
    assert prod.resources("AWS::IAM::Policy") == []


@pytest.mark.parametrize("stage", STAGES)
def test_no_role_has_a_wildcard_action(stages: dict[str, Synth], stage: str) -> None:
    actions = {
        action
        for role in stages[stage].resources("AWS::IAM::Role")
        if "RoleName" in role  # the others are the CDK's own, for emptying the bucket of a dev stage
        for action in allowed(role)
    }
    assert not {action for action in actions if "*" in action}


@pytest.mark.parametrize(
    ("role", "service"),
    [
        ("atlas-lambda-ingestion-role-prod", "lambda.amazonaws.com"),
        ("atlas-lambda-day-role-prod", "lambda.amazonaws.com"),
        ("atlas-glue-etl-role-prod", "glue.amazonaws.com"),
        ("atlas-glue-crawler-role-prod", "glue.amazonaws.com"),
        ("atlas-step-functions-role-prod", "states.amazonaws.com"),
        ("atlas-eventbridge-role-prod", "scheduler.amazonaws.com"),
        ("atlas-lambda-token-role-prod", "lambda.amazonaws.com"),
        ("atlas-lambda-authorizer-role-prod", "lambda.amazonaws.com"),
        ("atlas-lambda-forwarder-role-prod", "lambda.amazonaws.com"),
        ("atlas-lambda-rotation-role-prod", "lambda.amazonaws.com"),
        ("atlas-api-gateway-role-prod", "apigateway.amazonaws.com"),
        ("atlas-firehose-role-prod", "firehose.amazonaws.com"),
        ("atlas-lambda-query-role-prod", "lambda.amazonaws.com"),
        ("atlas-lambda-query-authorizer-role-prod", "lambda.amazonaws.com"),
    ],
)
def test_a_role_is_trusted_to_one_service(prod: Synth, role: str, service: str) -> None:
    statements = prod.one("AWS::IAM::Role", RoleName=role)["AssumeRolePolicyDocument"]["Statement"]
    assert [statement["Principal"] for statement in statements] == [{"Service": service}]
