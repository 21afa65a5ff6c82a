"""Days of made-up requests, and what the lake says of them."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from atlas import lake
from atlas.metrics import Metric
from atlas.schema import GOLD_TABLES
from atlas_cli.cloud import Cloud
from atlas_cli.query import ask


def requests(day: str, first: int, count: int) -> str:
    """So many access records of a day, in JSON lines; no two numbers from `first` on give the same record."""
    return "".join(
        json.dumps(
            {
                "timestamp": f"{day}T10:00:00Z",
                "ip": "192.0.2.7",
                "request_type": "GET",
                "status": 200,
                "endpoint": f"/{number}",
            }
        )
        + "\n"
        for number in range(first, first + count)
    )


def files(folder: Path, day: str, *numbers: int, records: int = 10) -> dict[str, Path]:
    """Numbered files of a day's requests by their raw keys, each with requests of its own."""
    made = {}
    for number in numbers:
        path = folder / f"{day}-{number:03}.ndjson"
        path.write_text(requests(day, number * records, records))
        made[f"{lake.RAW}fire/{path.name}"] = path
    return made


def published(cloud: Cloud, day: str) -> int:
    """How many records the day's books say were published; they balance, and silver and gold say the same."""
    [books] = ask(cloud, "books", {"from": day, "to": day})
    assert books["books"] == "balanced"
    [activity] = ask(cloud, "SELECT total_requests FROM daily_activity WHERE date = DATE '" + day + "'", {})
    year, month, number = lake.day_values(lake.parse_day(day))
    where = f"year = '{year}' AND month = '{month}' AND day = '{number}'"
    [silver] = ask(cloud, f"SELECT count(*) AS records FROM logs WHERE {where}", {})
    assert books["published"] == activity["total_requests"] == silver["records"] - books["duplicates"]
    return int(books["published"])


def gold(cloud: Cloud, day: str) -> dict[str, str]:
    """The etags of a day's gold objects by key."""
    keys = [lake.gold_key(table.name, lake.parse_day(day)) for table in GOLD_TABLES]
    return {key: cloud.s3.head_object(Bucket=cloud.bucket, Key=key)["ETag"] for key in keys}


def validated(cloud: Cloud, day: str) -> list[str]:
    """The keys of a day's validated objects."""
    pages = cloud.s3.get_paginator("list_objects_v2").paginate(Bucket=cloud.bucket, Prefix=lake.VALIDATED)
    partition = f"/{lake.day_partition(lake.parse_day(day))}/"
    return [entry["Key"] for page in pages for entry in page.get("Contents", []) if partition in entry["Key"]]


def runs(cloud: Cloud, day: str) -> set[str]:
    """The runs that began with a day, by the manifests that they left."""
    prefix = lake.manifest_key(lake.parse_day(day), "").removesuffix(".json")
    listed = cloud.s3.list_objects_v2(Bucket=cloud.bucket, Prefix=prefix).get("Contents", [])
    return {entry["Key"].removeprefix(prefix).removesuffix(".json") for entry in listed}


def start(cloud: Cloud, request: dict[str, Any]) -> str:
    """Starts the state machine; the execution's ARN."""
    machine = cloud.state_machine
    return cloud.stepfunctions.start_execution(stateMachineArn=machine, input=json.dumps(request))["executionArn"]


def ended(cloud: Cloud, execution: str) -> Any:
    """An execution's description, once it has ended."""
    return wait(lambda: cloud.stepfunctions.describe_execution(executionArn=execution), _has_ended, 90)


def counted(cloud: Cloud, *metrics: Metric) -> list[float]:
    """The sums of what was put of some metrics lately."""
    sums = []
    for metric in metrics:
        points = cloud.cloudwatch.get_metric_statistics(
            Namespace=cloud.names.metrics_namespace,
            MetricName=metric.name,
            Dimensions=[{"Name": name, "Value": value} for name, value in metric.dimensions.items()],
            StartTime=datetime.now(UTC) - timedelta(days=1),
            EndTime=datetime.now(UTC) + timedelta(minutes=1),
            Period=2 * 86400,
            Statistics=["Sum"],
        )["Datapoints"]
        sums.append(sum(point["Sum"] for point in points))
    return sums


def wait(ask_: Callable[[], Any], done: Callable[[Any], bool], seconds: float = 30, pause: float = 0.05) -> Any:
    """The first answer that will do."""
    deadline = time.monotonic() + seconds
    while not done(answer := ask_()):
        assert time.monotonic() < deadline, f"still {answer}"
        time.sleep(pause)
    return answer


def _has_ended(execution: Any) -> bool:
    return str(execution["status"]) != "RUNNING"
