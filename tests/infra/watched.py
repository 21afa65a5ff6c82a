"""Which metrics there are, for tests of what alarms and the dashboard look at."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from atlas import ledger
from atlas.metrics import METRICS
from atlas.names import Names
from tests.infra.conftest import Synth

Json = dict[str, Any]

LAMBDA = "https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html"
SQS = "https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html"
STATES = "https://docs.aws.amazon.com/step-functions/latest/dg/procedure-cw-metrics.html"
DYNAMODB = "https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/metrics-dimensions.html"
S3 = "https://docs.aws.amazon.com/AmazonS3/latest/userguide/metrics-dimensions.html"
API_GATEWAY = "https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-metrics-and-dimensions.html"
FIREHOSE = "https://docs.aws.amazon.com/firehose/latest/dev/monitoring-with-cloudwatch-metrics.html"
LOGS = "https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CloudWatch-Logs-Monitoring-CloudWatch-Metrics.html"
ATHENA = "https://docs.aws.amazon.com/athena/latest/ug/query-metrics-viewing.html"

_TABLE_OR_INDEX = (("TableName",), ("GlobalSecondaryIndexName", "TableName"))
AWS: dict[tuple[str, str], tuple[tuple[tuple[str, ...], ...], str]] = {
    **{("AWS/Lambda", name): ((("FunctionName",),), LAMBDA) for name in ("Errors", "Throttles", "Invocations")},
    ("AWS/Lambda", "Duration"): ((("FunctionName",),), LAMBDA),
    ("AWS/SQS", "ApproximateAgeOfOldestMessage"): ((("QueueName",),), SQS),
    ("AWS/SQS", "ApproximateNumberOfMessagesVisible"): ((("QueueName",),), SQS),
    **{
        ("AWS/States", f"Executions{how}"): ((("StateMachineArn",),), STATES)
        for how in ("Started", "Failed", "TimedOut", "Aborted")
    },
    ("AWS/States", "ExecutionTime"): ((("StateMachineArn",),), STATES),
    **{
        ("AWS/DynamoDB", name): (_TABLE_OR_INDEX, DYNAMODB)
        for name in (
            "ReadThrottleEvents",
            "WriteThrottleEvents",
            "ConsumedReadCapacityUnits",
            "ConsumedWriteCapacityUnits",
        )
    },
    ("AWS/S3", "BucketSizeBytes"): ((("BucketName", "StorageType"),), S3),
    **{
        ("AWS/ApiGateway", name): ((("ApiName", "Stage"),), API_GATEWAY)
        for name in ("Count", "4XXError", "5XXError")
    },
    **{
        ("AWS/Firehose", name): ((("DeliveryStreamName",),), FIREHOSE)
        for name in (
            "DeliveryToS3.DataFreshness",
            "DeliveryToS3.Success",
            "FailedConversion.Records",
            "IncomingBytes",
            "IncomingRecords",
            "PartitionCountExceeded",
            "ThrottledRecords",
        )
    },
    ("AWS/Logs", "IncomingLogEvents"): ((("LogGroupName",),), LOGS),
    ("AWS/Athena", "ProcessedBytes"): ((("QueryState", "QueryType", "WorkGroup"),), ATHENA),
}
"""Metrics of AWS: with which sets of dimensions each is put, and the page that says so."""


@dataclass(frozen=True)
class Looked:
    """A metric that somebody looks at."""

    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...]


def exists(looked: Looked, synth: Synth) -> bool:
    """Whether a metric of the stage is put with just these dimensions, by something that the stage deploys."""
    if looked.namespace == Names(synth.config.stage).metrics_namespace:
        return (looked.name, dict(looked.dimensions)) in [(metric.name, metric.dimensions) for metric in METRICS]
    sets, page = AWS.get((looked.namespace, looked.name), ((), ""))
    assert page.startswith("https://docs.aws.amazon.com/") or not sets
    return tuple(name for name, _ in looked.dimensions) in sets and all(
        value in _deployed(synth)[name] for name, value in looked.dimensions
    )


def _deployed(synth: Synth) -> dict[str, set[str]]:
    """What the stage's templates declare, by the name of the dimension that tells it apart."""

    def named(kind: str, key: str) -> set[str]:
        return {str(each[key]) for each in synth.resources(kind) if key in each}

    machines = named("AWS::StepFunctions::StateMachine", "StateMachineName")
    return {
        "FunctionName": named("AWS::Lambda::Function", "FunctionName"),
        "QueueName": named("AWS::SQS::Queue", "QueueName"),
        "StateMachineArn": {f"arn:aws:states:eu-central-1:111122223333:stateMachine:{name}" for name in machines},
        "TableName": named("AWS::DynamoDB::Table", "TableName"),
        "GlobalSecondaryIndexName": {ledger.DIRTY_INDEX},
        "BucketName": named("AWS::S3::Bucket", "BucketName"),
        "StorageType": {"StandardStorage", "GlacierInstantRetrievalStorage"},
        "ApiName": named("AWS::ApiGateway::RestApi", "Name"),
        "Stage": named("AWS::ApiGateway::Stage", "StageName"),
        "DeliveryStreamName": named("AWS::KinesisFirehose::DeliveryStream", "DeliveryStreamName"),
        "LogGroupName": named("AWS::Logs::LogGroup", "LogGroupName"),
        "WorkGroup": named("AWS::Athena::WorkGroup", "Name"),
    }


def of_alarm(alarm: Json) -> list[Looked]:
    """The metrics that an alarm looks at."""
    found = [query["MetricStat"]["Metric"] for query in alarm.get("Metrics", ()) if "MetricStat" in query]
    return [
        Looked(
            metric["Namespace"],
            metric["MetricName"],
            tuple(sorted((each["Name"], each["Value"]) for each in metric["Dimensions"])),
        )
        for metric in found or [alarm]
    ]


def of_widget(widget: Json) -> list[Looked]:
    """The metrics that a widget shows or calculates with."""
    found = []
    for row in widget["properties"].get("metrics", ()):
        words = [word for word in row if isinstance(word, str)]
        if words:
            namespace, name, *pairs = words
            found.append(Looked(namespace, name, tuple(sorted(zip(pairs[::2], pairs[1::2], strict=True)))))
    return found


def searched(expression: str) -> list[tuple[Looked, tuple[str, ...]]]:
    """What an expression searches for, each with the dimensions whose values it leaves open."""
    found = []
    for schema, terms in re.findall(r"SEARCH\('\{([^}]+)\}([^']*)'", expression):
        namespace, *names = schema.split(",")
        given = dict(re.findall(r'(\w+)="([^"]*)"', terms))
        name = given.pop("MetricName")
        open_ = tuple(sorted(set(names) - set(given)))
        found.append((Looked(namespace, name, tuple(sorted(given.items()))), open_))
    return found
