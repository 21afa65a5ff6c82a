"""The stage's alarms, and how long messages have been waiting, as CloudWatch has them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from atlas.metrics import ALARMS
from atlas_cli.cloud import Cloud

_RUNBOOK = "Runbook: "
"""What an alarm's description says before its link: see stacks/alarms.py."""
_RECENT = timedelta(minutes=15)
_PERIOD_SECONDS = 60


def in_alarm(cloud: Cloud) -> list[dict[str, Any]]:
    """The alarms that are in ALARM, a row each: since when, why, and which section of the runbook to read."""
    names = {cloud.names.alarm(alarm): alarm for alarm in ALARMS}
    found = cloud.cloudwatch.describe_alarms(AlarmNames=list(names), StateValue="ALARM", MaxRecords=100)
    rows = [
        {
            "alarm": names[alarm["AlarmName"]],
            "since": f"{alarm['StateUpdatedTimestamp'].astimezone(UTC):%Y-%m-%d %H:%M UTC}",
            "why": alarm.get("StateReason", ""),
            "runbook": alarm.get("AlarmDescription", "").rpartition(_RUNBOOK)[2],
        }
        for alarm in found["MetricAlarms"]
    ]
    return sorted(rows, key=lambda row: row["since"])


def oldest_minutes(cloud: Cloud, queue: str) -> int | None:
    """How long a queue's oldest message has been waiting; None if that was not measured lately."""
    return _latest_minutes(cloud, "AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName", queue)


def undelivered_minutes(cloud: Cloud, stream: str) -> int | None:
    """How long the oldest event waits that a delivery stream has and has not written; None if nobody knows."""
    return _latest_minutes(cloud, "AWS/Firehose", "DeliveryToS3.DataFreshness", "DeliveryStreamName", stream)


def _latest_minutes(cloud: Cloud, namespace: str, metric: str, dimension: str, value: str) -> int | None:
    """The latest value of a metric of seconds."""
    now = datetime.now(UTC)
    points = cloud.cloudwatch.get_metric_statistics(
        Namespace=namespace,
        MetricName=metric,
        Dimensions=[{"Name": dimension, "Value": value}],
        StartTime=now - _RECENT,
        EndTime=now,
        Period=_PERIOD_SECONDS,
        Statistics=["Maximum"],
    )["Datapoints"]
    return round(max(points, key=lambda point: point["Timestamp"])["Maximum"] / 60) if points else None
