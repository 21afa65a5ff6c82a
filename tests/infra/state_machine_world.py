"""The world in which tests execute the state machine: see `World`."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

from atlas.ledger import FIRST_DAY, STAGE_KEY
from atlas.metrics import Metric
from atlas.names import Names
from atlas_cli.cloud import Cloud
from atlas_cli.local import sealed
from stacks import orchestration
from stacks.config import StageConfig, read_context
from stacks.orchestration import definition

HERE = Path(__file__).parent
LEDGER = "ledger-of-tests"
NAMES = Names("tests")
MOST = StageConfig.load("local", read_context()).day.max_megabytes << 20
"""The largest day of the function, in bytes."""
PAGE, PAGES = 3, 4
"""Of the weighing, here."""
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}
Item = dict[str, Any]


class World:
    """The emulator with the state machine, its ledger, its crawlers and somebody who hears its notices."""

    def __init__(self, endpoint: str) -> None:
        self.cloud = Cloud("tests", sealed.session(endpoint))
        client: Any = self.cloud.session.client
        self.states, self.dynamodb, self.glue = client("stepfunctions"), client("dynamodb"), client("glue")
        self.sqs, self.cloudwatch = client("sqs"), client("cloudwatch")
        sns = client("sns")
        self.topic = sns.create_topic(Name="notices")["TopicArn"]
        self.queue = self.sqs.create_queue(QueueName="notices")["QueueUrl"]
        arn = self.sqs.get_queue_attributes(QueueUrl=self.queue, AttributeNames=["QueueArn"])["Attributes"]
        sns.subscribe(TopicArn=self.topic, Protocol="sqs", Endpoint=arn["QueueArn"])
        self.glue.create_database(DatabaseInput={"Name": "logs"})
        for name in ("silver", "gold"):
            self.glue.create_crawler(
                Name=name,
                Role="arn:aws:iam::000000000000:role/crawler",
                Targets={"CatalogTargets": [{"DatabaseName": "logs", "Tables": ["logs"]}]},
            )
        self.machine = self.states.create_state_machine(
            name=NAMES.state_machine,
            definition=self._definition(),
            roleArn="arn:aws:iam::000000000000:role/machine",
        )["stateMachineArn"]
        self.make_ledger()

    def _definition(self) -> str:
        with patch.multiple(orchestration, WEIGH_FILES=PAGE, WEIGH_PAGES=PAGES):
            text = definition(StageConfig.load("local", read_context()))
        names = {
            "ledger_table": LEDGER,
            "engine": "glue",
            "day_function": "day",
            "metrics_namespace": NAMES.metrics_namespace,
            "dirty_index": "dirty-days",
            "normalize_job": "normalize",
            "aggregate_job": "aggregate",
            "silver_crawler": "silver",
            "gold_crawler": "gold",
            "topic_arn": self.topic,
        }
        for name, value in names.items():
            text = text.replace(f"${{{name}}}", value)
        return text

    def make_ledger(self) -> None:
        """An empty ledger."""
        if LEDGER in self.dynamodb.list_tables()["TableNames"]:
            self.dynamodb.delete_table(TableName=LEDGER)
        names = ("pk", "sk", "dirty", "day")
        self.dynamodb.create_table(
            TableName=LEDGER,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in names],
            KeySchema=_keys("pk", "sk"),
            GlobalSecondaryIndexes=[
                {
                    "IndexName": "dirty-days",
                    "KeySchema": _keys("dirty", "day"),
                    "Projection": {"ProjectionType": "ALL"},
                }
            ],
        )

    def state_of(self, day: str) -> Item:
        """The day's state in the ledger, without type marks."""
        item = self.dynamodb.get_item(TableName=LEDGER, Key=_day_key(day)).get("Item", {})
        return {name: next(iter(value.values())) for name, value in item.items()}

    def given(self, day: str, **attributes: str | int) -> None:
        """A day's state as the ledger has it before a run; `dirty` unless said otherwise."""
        given: dict[str, str | int] = {"day": day, "dirty": "yes", "changes": 1, **attributes}
        marked = {
            name: {"N": str(value)} if isinstance(value, int) else {"S": value}
            for name, value in given.items()
            if value != ""
        }
        self.dynamodb.put_item(TableName=LEDGER, Item={**_day_key(day), **marked})

    def given_files(self, day: str, *sizes: int) -> None:
        """What files gave to a day, as far as their text's bytes go."""
        for number, size in enumerate(sizes):
            share = {"records": {"N": "1"}, "bytes": {"N": str(size)}}
            key = {"pk": {"S": f"DAY#{day}"}, "sk": {"S": f"FILE#raw/{number:03}"}}
            self.dynamodb.put_item(TableName=LEDGER, Item={**key, "share": {"M": share}})

    def ran(self, day: str) -> set[str]:
        """Which of the function and the jobs were called for a day."""
        return set(self.state_of(day).get("ran", []))

    def counted(self, metric: Metric) -> float:
        """The sum of what was put of a metric since the emulator started."""
        return self._statistic(metric, "Sum")

    def times_counted(self, metric: Metric) -> int:
        """How often a metric was put since the emulator started."""
        return int(self._statistic(metric, "SampleCount"))

    def _statistic(self, metric: Metric, statistic: str) -> float:
        told = self.cloudwatch.get_metric_statistics(
            Namespace=NAMES.metrics_namespace,
            MetricName=metric.name,
            Dimensions=[{"Name": name, "Value": value} for name, value in metric.dimensions.items()],
            StartTime=time.time() - 86400,
            EndTime=time.time() + 60,
            Period=2 * 86400,
            Statistics=[statistic],
        )
        return float(sum(point[statistic] for point in told["Datapoints"]))

    def given_first_day(self, day: str) -> None:
        """The day on which the schedules first ran, as the ledger has it."""
        key = {name: {"S": value} for name, value in STAGE_KEY.items()}
        self.dynamodb.put_item(TableName=LEDGER, Item={**key, FIRST_DAY: {"S": day}})

    def run(self, request: object) -> Item:
        """Execute to the end; the execution, with `days` of its outcome by day."""
        started = self.states.start_execution(stateMachineArn=self.machine, input=json.dumps(request))
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            execution: Item = self.states.describe_execution(executionArn=started["executionArn"])
            if execution["status"] != "RUNNING":
                break
            time.sleep(0.05)
        told = str(execution.get("cause") or execution["output"])
        days = json.loads(told)["days"] if told.startswith("{") else []
        return {**execution, "days": {day["process_date"]: day for day in days}}

    def outcomes(self, request: object) -> dict[str, str]:
        """Execute to the end; the outcome of each day."""
        return {day: told["outcome"] for day, told in self.run(request)["days"].items()}

    def notices(self) -> list[Item]:
        """The notices since the last look."""
        messages = self.sqs.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10).get("Messages", [])
        for message in messages:
            self.sqs.delete_message(QueueUrl=self.queue, ReceiptHandle=message["ReceiptHandle"])
        return [json.loads(message["Body"]) for message in messages]


def _keys(partition: str, sort: str) -> list[dict[str, str]]:
    return [
        {"AttributeName": partition, "KeyType": "HASH"},
        {"AttributeName": sort, "KeyType": "RANGE"},
    ]


def _day_key(day: str) -> dict[str, dict[str, str]]:
    return {"pk": {"S": f"DAY#{day}"}, "sk": {"S": "STATE"}}


@contextmanager
def emulator(scratch: Path) -> Iterator[World]:
    """The emulator in a process of its own, with its files in `scratch`."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    endpoint = f"http://127.0.0.1:{port}"
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
        **CREDENTIALS,
        "AWS_ENDPOINT_URL": endpoint,
        "BIND_HOST": "127.0.0.1",
        "MINISTACK_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "S3_DATA_DIR": str(scratch),
        "TMPDIR": str(scratch),
        "SFN_WAIT_SCALE": "0.02",
        "TEST_LEDGER": LEDGER,
    }
    with (scratch / "log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, str(HERE / "state_machine_server.py")],
            cwd=scratch,
            env=environment,
            stdout=log,
            stderr=log,
        )
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(f"{endpoint}/_ministack/health", timeout=1)  # noqa: S310
                break
            except (urllib.error.URLError, OSError):
                assert server.poll() is None, (scratch / "log").read_text()
                time.sleep(0.1)
        yield World(endpoint)
    finally:
        server.terminate()
        server.wait(10)
