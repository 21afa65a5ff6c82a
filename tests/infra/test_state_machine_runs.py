"""What the state machine does, by executing its definition with jobs that are told what to do."""

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
from pathlib import Path
from typing import Any

import boto3
import pytest

from stacks.config import StageConfig, read_context
from stacks.orchestration import definition
from tests.infra import state_machine_server as jobs

HERE = Path(__file__).parent
LEDGER = "ledger-of-tests"
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_DEFAULT_REGION": "us-east-1"}
Item = dict[str, Any]


class World:
    """The emulator with the state machine, its ledger, its crawlers and somebody who hears its notices."""

    def __init__(self, endpoint: str) -> None:
        session: Any = boto3.Session()

        def client(service: str) -> Any:
            return session.client(
                service,
                endpoint_url=endpoint,
                region_name="us-east-1",
                aws_access_key_id="test",
                aws_secret_access_key="test",
            )

        self.states, self.dynamodb, self.glue = client("stepfunctions"), client("dynamodb"), client("glue")
        self.sqs = client("sqs")
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
            name="daily", definition=self._definition(), roleArn="arn:aws:iam::000000000000:role/machine"
        )["stateMachineArn"]
        self.make_ledger()

    def _definition(self) -> str:
        text = definition(StageConfig.load("local", read_context()))
        names = {
            "ledger_table": LEDGER,
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


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    scratch = tmp_path_factory.mktemp("emulator")
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


@pytest.fixture
def world(emulator: World) -> World:
    emulator.make_ledger()
    emulator.notices()
    return emulator


@pytest.mark.parametrize(
    ("request_", "days"),
    [
        ({"process_date": "2024-02-29"}, ["2024-02-29"]),
        ({"process_dates": ["2024-11-30", "2024-11-29", "2024-11-30"]}, ["2024-11-29", "2024-11-30"]),
        ({"process_dates": ["2024-11-29"]}, ["2024-11-29"]),
        ({"from": "2024-12-31", "to": "2025-01-01"}, ["2024-12-31", "2025-01-01"]),
        ({"from": "2024-11-29", "to": "2024-11-29"}, ["2024-11-29"]),
        ({"scheduled_time": "2025-01-01T00:20:00Z"}, ["2024-12-31"]),
        ({"sweep": True}, []),
    ],
    ids=str,
)
def test_each_form_of_request_names_its_days(world: World, request_: Item, days: list[str]) -> None:
    assert world.outcomes(request_) == dict.fromkeys(days, "published")


def test_an_empty_request_means_the_day_before_the_execution(world: World) -> None:
    execution = world.run({})
    yesterday = time.strftime("%Y-%m-%d", time.gmtime(execution["startDate"].timestamp() - 86400))
    assert list(execution["days"]) == [yesterday]


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ({"process_date": "2023-02-29"}, "not a day: 2023-02-29;"),
        ({"process_date": "1900-02-29"}, "not a day: 1900-02-29;"),
        ({"process_date": "2024-04-31"}, "not a day: 2024-04-31;"),
        ({"process_date": "29.11.2024"}, "not a day: 29.11.2024;"),
        ({"process_date": 20241129}, "expected {}"),
        ({"process_date": ["2024-11-29"]}, "expected {}"),
        ({"process_dates": []}, "expected {}"),
        ({"process_dates": "2024-11-29"}, "expected {}"),
        ({"process_dates": ["2024-11-29", None]}, "not a day"),
        ({"process_dates": ["2024-11-29", 7]}, "not a day: 7;"),
        ({"from": "2024-11-30", "to": "2024-11-29"}, "no later than to"),
        ({"from": "2024-01-01", "to": "2024-12-31"}, "at most 100"),
        ({"from": "2024-01-01"}, "expected {}"),
        ({"sweep": False}, "expected {}"),
        ({"scheduled_time": "yesterday"}, "expected {}"),
        ({"scheduled_time": "2024-13-01T00:20:00Z"}, "not a day: 2024-13-01;"),
        ({"date": "2024-11-29"}, 'the request is {"date":"2024-11-29"}'),
        ({"process_date": "2024-11-29", "sweep": True}, "expected {}"),
        ([], "expected {}"),
        ("2024-11-29", "expected {}"),
    ],
    ids=str,
)
def test_a_malformed_request_is_refused_with_what_was_expected(world: World, request_: object, said: str) -> None:
    execution = world.run(request_)
    assert (execution["status"], execution["error"]) == ("FAILED", "Atlas.InvalidInput")
    assert said in execution["cause"]


def test_a_published_day_is_clean_unlocked_and_in_the_catalog(world: World) -> None:
    world.given("2024-11-29", dirty_since="2024-11-30T00:00:00Z", failed_changes=0)
    run_id = world.run({"process_date": "2024-11-29"})["days"]["2024-11-29"]["run_id"]
    state = world.state_of("2024-11-29")
    gone = {"dirty", "dirty_since", "lock_owner", "lock_expires", "failed_changes"}
    assert not gone & set(state)
    assert (state["last_run"], state["last_result"]) == (run_id, "published")
    assert state["published_at"] == state["last_run_at"]
    assert state["crawled"] == state["partitions"] == jobs.PARTITIONS
    assert world.notices() == []


def test_a_day_whose_partitions_were_crawled_is_not_crawled_again(world: World) -> None:
    def last_crawl() -> object:
        return world.glue.get_crawler(Name="gold")["Crawler"]["LastCrawl"]["StartTime"]

    world.run({"process_date": "2024-11-29"})
    before = last_crawl()
    world.run({"process_date": "2024-11-29"})
    assert last_crawl() == before
    world.run({"process_date": "2024-11-30"})
    assert last_crawl() != before


def test_one_day_s_failure_does_not_stop_the_others_and_fails_the_execution(world: World) -> None:
    days = [jobs.FAILS_IN_NORMALIZE, jobs.FAILS_IN_AGGREGATE, "2024-11-29"]
    execution = world.run({"process_dates": days})
    assert (execution["status"], execution["error"]) == ("FAILED", "Atlas.DayFailed")
    outcomes = {day: told["outcome"] for day, told in execution["days"].items()}
    assert outcomes == dict(zip(days, ["failed", "failed", "published"], strict=True))
    assert execution["days"][jobs.FAILS_IN_NORMALIZE]["cause"] == 'the "books" are out by 3'
    assert world.state_of("2024-11-29")["crawled"] == jobs.PARTITIONS
    notices = world.notices()
    assert len(notices) == 1
    assert "1 of 3 days published" in notices[0]["Message"]


@pytest.mark.parametrize("day", [jobs.FAILS_IN_NORMALIZE, jobs.FAILS_IN_AGGREGATE])
def test_a_failed_day_is_dirty_and_unlocked_and_the_sweep_leaves_it_until_it_changes(
    world: World, day: str
) -> None:
    world.given(day, changes=4)
    world.run({"process_date": day})
    state = world.state_of(day)
    assert (state["dirty"], state["last_result"], state["failed_changes"]) == ("yes", "failed", "4")
    assert "lock_owner" not in state
    assert world.outcomes({"sweep": True}) == {}
    assert world.outcomes({"scheduled_time": "2024-11-30T00:20:00Z"})[day] == "failed"
    world.given(day, changes=5, failed_changes=4)
    assert world.outcomes({"sweep": True}) == {day: "failed"}


def test_a_clean_day_that_fails_becomes_dirty(world: World) -> None:
    world.run({"process_date": jobs.FAILS_IN_NORMALIZE})
    assert world.state_of(jobs.FAILS_IN_NORMALIZE)["dirty"] == "yes"


def test_a_file_that_lands_during_the_run_leaves_the_day_dirty(world: World) -> None:
    world.given(jobs.FILE_LANDS_MEANWHILE, changes=1)
    assert world.outcomes({"sweep": True}) == {jobs.FILE_LANDS_MEANWHILE: "published"}
    state = world.state_of(jobs.FILE_LANDS_MEANWHILE)
    assert (state["dirty"], state["last_result"]) == ("yes", "published")
    assert "lock_owner" not in state


def test_a_day_that_another_execution_holds_is_busy(world: World) -> None:
    world.given("2024-11-29", lock_owner="somebody", lock_expires=int(time.time()) + 600)
    execution = world.run({"process_date": "2024-11-29"})
    assert (execution["status"], execution["error"]) == ("FAILED", "Atlas.DayBusy")
    assert world.state_of("2024-11-29")["lock_owner"] == "somebody"
    assert world.outcomes({"sweep": True}) == {}
    daily = world.run({"scheduled_time": "2024-11-30T00:20:00Z"})
    assert (daily["status"], daily["days"]["2024-11-29"]["outcome"]) == ("SUCCEEDED", "busy")


def test_the_lock_of_a_dead_execution_is_taken_over(world: World) -> None:
    world.given("2024-11-29", lock_owner="somebody", lock_expires=int(time.time()) - 1)
    assert world.outcomes({"sweep": True}) == {"2024-11-29": "published"}


def test_the_daily_run_takes_its_day_and_every_dirty_day(world: World) -> None:
    world.given("2024-11-20")
    world.given("2024-11-21", dirty="")
    assert sorted(world.outcomes({"scheduled_time": "2024-11-30T00:20:00Z"})) == ["2024-11-20", "2024-11-29"]


def test_throttling_is_waited_out(world: World) -> None:
    assert world.outcomes({"process_date": jobs.THROTTLED_ONCE}) == {jobs.THROTTLED_ONCE: "published"}


def test_a_crawl_that_fails_fails_the_execution_but_not_the_day(world: World) -> None:
    world.glue.delete_crawler(Name="gold")
    try:
        execution = world.run({"process_date": "2024-11-29"})
    finally:
        world.glue.create_crawler(
            Name="gold",
            Role="arn:aws:iam::000000000000:role/crawler",
            Targets={"CatalogTargets": [{"DatabaseName": "logs", "Tables": ["logs"]}]},
        )
    assert (execution["status"], execution["error"]) == ("FAILED", "Atlas.CrawlFailed")
    state = world.state_of("2024-11-29")
    assert (state["last_result"], "crawled" in state) == ("published", False)
    assert len(world.notices()) == 1
