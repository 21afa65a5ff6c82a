"""The forwarder as the queue calls it: what it puts, writes down and gives back; and what if calls fail."""

from __future__ import annotations

import io
import json
import logging
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError
from hypothesis import given, settings
from hypothesis import strategies as st

from atlas import lake, ledger
from atlas.metrics import METRICS, SERVICE
from atlas_cli.project import ROOT
from lambda_events import forwarder
from lambda_events.forwarder_batch import Forwarder
from lambda_events.forwarder_delivery import Delivery
from tests.events_under_test import FRIDAY, SATURDAY, Context, EventsUnderTest, event, events_under_test, record
from tests.faults import CHANGING, Interrupted

CANARY = "kanarienvogel"
LATE = "2024-11-30T00:01:00Z"
OWN = "01234567-89AB-CDEF-0123-456789ABCDEF"
BATCH = [
    record([event(), event(LATE, event_id=OWN), event(user_id="")], number=1),
    record(event(properties={"Cart": "7", "cart": "ä"}), number=2, client="app"),
    record("{", number=3),
    record([event("2024-11-01T10:00:00Z"), event(LATE)], number=4),
]
GOOD = {(1, 1), (1, 2), (2, 1), (4, 2)}
REFUSED = {(1, 3): "invalid_event", (3, None): "malformed_record", (4, 1): "time_out_of_range"}
ACCEPTED = {FRIDAY: {1: 2, 2: 1}, SATURDAY: {1: 1, 3: 1, 4: 2}}
"""What comes of the batch: by request and position, and how many each request gives to each day."""


def number_of(request_id: str) -> int:
    """The number of a request of `record`."""
    requests = {
        record("", number=number, client=client)["messageAttributes"]["request_id"]["stringValue"]: number
        for number in range(1, 9)
        for client in ("shop", "app")
    }
    return requests[request_id]


@dataclass
class World(EventsUnderTest):
    """The function with its queue."""

    queue: list[dict[str, Any]] = field(default_factory=list)
    context: Callable[[], Context] = Context

    @property
    def clients(self) -> list[Any]:
        return [self.firehose, self.lake.s3, self.lake.ledger.meta.client]

    def deliver(self) -> list[str]:
        """One delivery of all that the queue holds; what stays there."""
        answer = forwarder.handler({"Records": self.queue}, self.context())
        left = [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]
        self.queue = [message for message in self.queue if message["messageId"] in left]
        return left

    def good(self) -> Counter[tuple[int, int]]:
        return Counter((number_of(row["request_id"]), row["position"]) for row in self.delivered())

    def refusals(self) -> dict[tuple[int, int | None], str]:
        found = [one for ones in self.refused().values() for one in ones]
        return {(number_of(one.request_id), one.position): one.reason.value for one in found}

    def accepted(self) -> dict[Any, dict[int, int]]:
        days = {day: self.receipts(day) for day in (FRIDAY, SATURDAY)}
        return {day: {number_of(r.request_id): r.accepted for r in given} for day, given in days.items()}

    def dirty(self) -> set[str]:
        return {item["day"] for item in self.lake.ledger_items() if item["sk"] == "STATE" and ledger.DIRTY in item}


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    with events_under_test() as made:
        delivery = Delivery(made.firehose, made.settings.delivery_stream, sleep=lambda _: None)
        wired = Forwarder(delivery, made.lake.s3, made.settings.bucket, made.lake.ledger)
        monkeypatch.setattr(forwarder, "_forwarder", lambda: wired)
        yield World(made.lake, made.firehose, made.settings, list(BATCH))


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What the function logs."""
    heard = logging.StreamHandler(io.StringIO())
    heard.setFormatter(forwarder.logger.registered_formatter)
    logging.getLogger("events").addHandler(heard)
    yield heard.stream
    logging.getLogger("events").removeHandler(heard)


def test_good_events_are_delivered_refused_ones_are_written_down_and_the_ledger_knows_how_many(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    assert world.deliver() == []
    assert world.good() == Counter(GOOD)
    [own] = [row for row in world.delivered() if row["event_id"] == OWN.lower()]
    assert (own["event_timestamp"], own["client_id"]) == ("2024-11-30 00:01:00.000000", "shop")
    assert [row["properties"] for row in world.delivered() if row["client_id"] == "app"] == [
        {"Cart": "7", "cart": "ä"}
    ]
    assert world.refusals() == REFUSED
    days = {lake.refused_events_prefix(day) for day in (FRIDAY, SATURDAY)}
    assert {key.rpartition("/")[0] + "/" for key in world.refused()} == days
    assert world.accepted() == ACCEPTED
    assert world.dirty() == {"2024-11-29", "2024-11-30"}
    sizes = [item[ledger.EVENT_BYTES] for item in world.lake.ledger_items() if item["sk"] == "STATE"]
    assert all(100 < size < 2000 for size in sizes)
    put = _metrics(capsys.readouterr().out)
    assert put == {
        "EventsAccepted": [7.0], "EventsRefused": [3.0], "RequestsFailed": [0.0], "DeliveryRetries": [0.0]
    }  # fmt: skip


def _metrics(printed: str) -> dict[str, list[float]]:
    """What the last call counted; that each is a metric of the contract, in its unit."""
    [put] = [json.loads(line) for line in printed.splitlines() if "_aws" in line][-1:]
    [directive] = put["_aws"]["CloudWatchMetrics"]
    known = {(metric.name, metric.unit) for metric in METRICS if metric.dimensions == {SERVICE: put[SERVICE]}}
    assert {(metric["Name"], metric["Unit"]) for metric in directive["Metrics"]} <= known
    assert (directive["Namespace"], directive["Dimensions"]) == ("Atlas/test", [[SERVICE]])
    return {metric["Name"]: put[metric["Name"]] for metric in directive["Metrics"]}


def test_a_batch_that_comes_once_more_changes_no_count_and_no_object(world: World) -> None:
    world.deliver()
    before = {key: body for key, body in world.lake.objects().items() if key.startswith(lake.REFUSED_EVENTS)}
    world.queue = BATCH[::-1]
    assert world.deliver() == []
    assert world.good() == Counter(dict.fromkeys(GOOD, 2))
    assert world.accepted() == ACCEPTED
    assert [world.receipt_items(day) for day in (FRIDAY, SATURDAY)] == [1, 1]
    assert before == {
        key: body for key, body in world.lake.objects().items() if key.startswith(lake.REFUSED_EVENTS)
    }


_CALLS = 8
"""PutRecordBatch; PutObject of three requests; PutItem and UpdateItem of two days."""


@pytest.mark.parametrize("kind", ["fails", "dies", "loses its answer"])
@pytest.mark.parametrize("at", range(1, _CALLS + 1))
def test_whichever_call_fails_every_event_arrives_and_the_receipts_are_true(
    world: World, at: int, kind: str
) -> None:
    dies, loses = kind == "dies", kind == "loses its answer"
    with Interrupted(world.clients, at, dies, loses, CHANGING) as interrupted:
        world.deliver()
    assert len(interrupted.calls) >= at
    for receipts in world.accepted().values():  # a receipt never comes before its events
        assert {key for key in GOOD if key[0] in receipts} <= set(world.good())
        assert {key for key in REFUSED if key[0] in receipts} <= set(world.refusals())
    while world.deliver():
        pass
    assert set(world.good()) == GOOD
    assert world.refusals() == REFUSED
    assert world.accepted() == ACCEPTED
    assert world.dirty() == {"2024-11-29", "2024-11-30"}


def test_there_are_as_many_calls_as_are_interrupted(world: World) -> None:
    with Interrupted(world.clients, only=CHANGING) as counted:
        world.deliver()
    assert len(counted.calls) == _CALLS


class Stream:
    """A delivery stream with the limits of PutRecordBatch, which fails as it is told."""

    def __init__(self, *plans: Any) -> None:
        self.plans, self.took, self.calls = list(plans), list[bytes](), list[int]()

    def put_record_batch(self, DeliveryStreamName: str, Records: Sequence[dict[str, bytes]]) -> Any:  # noqa: N803
        assert DeliveryStreamName == "events"
        assert 1 <= len(Records) <= 500
        sizes = [len(record["Data"]) for record in Records]
        assert sum(sizes) <= 4_000_000
        assert max(sizes) <= 1_024_000
        self.calls.append(len(Records))
        plan = self.plans.pop(0) if self.plans else "takes"
        if plan == "fails":
            raise ClientError({"Error": {"Code": "ServiceUnavailableException"}}, "PutRecordBatch")
        answers = []
        for number, record_ in enumerate(Records):
            if isinstance(plan, int) and (number + plan) % 3 == 0:
                answers.append({"ErrorCode": "ServiceUnavailableException", "ErrorMessage": "Slow down."})
            else:
                self.took.append(record_["Data"])
                answers.append({"RecordId": "1"})
        if plan == "loses":
            raise ReadTimeoutError(endpoint_url="https://firehose")
        return {"FailedPutCount": sum("ErrorCode" in answer for answer in answers), "RequestResponses": answers}


plans = st.lists(st.sampled_from(["takes", "fails", "loses", 0, 1, 2]), max_size=12)
lines = st.lists(st.sampled_from([100, 400, 9_000, 900_000]), max_size=40) | st.just([80] * 1201)


@given(lines, plans)
@settings(max_examples=200, deadline=None)
def test_what_is_not_reported_as_failed_has_been_taken_whatever_the_stream_does(
    sizes: list[int], plan: list[Any]
) -> None:
    stream = Stream(*plan)
    made = [f"{number:08d}".ljust(size, ".").encode() for number, size in enumerate(sizes)]
    waits: list[float] = []
    outcome = Delivery(stream, "events", waits.append).put(made, lambda: 1.0)  # type: ignore[arg-type]
    assert set(made) - set(stream.took) <= {made[place] for place in outcome.failed}
    assert len(waits) <= 4
    assert all(wait <= 0.2 * 2**number for number, wait in enumerate(waits))
    if "loses" not in plan:
        assert sorted(stream.took) == sorted(line for place, line in enumerate(made) if place not in outcome.failed)
    if not plan:
        assert (outcome.failed, outcome.errors.total()) == (frozenset(), 0)


def test_only_what_was_not_taken_is_put_again() -> None:
    stream = Stream(0, 1, "fails")
    outcome = Delivery(stream, "events", lambda _: None).put([b"%d" % n for n in range(600)], lambda: 1.0)  # type: ignore[arg-type]
    assert stream.calls == [500, 100, 200, 200]  # 167 and 33 failed, all of these once more
    assert len(stream.took) == len(set(stream.took)) == 600
    assert outcome.retries == 400
    assert outcome.errors.keys() == {"PutRecordBatch: ServiceUnavailableException"}


class Refusing(Stream):
    """Takes all but the lines of a user whom it does not like."""

    def put_record_batch(self, DeliveryStreamName: str, Records: Sequence[dict[str, bytes]]) -> Any:  # noqa: N803
        answer = super().put_record_batch(DeliveryStreamName, Records)
        for place, record_ in enumerate(Records):
            if CANARY.encode() in record_["Data"]:
                answer["RequestResponses"][place] = {"ErrorCode": "InternalFailure", "ErrorMessage": CANARY}
        return answer


def test_a_request_with_an_event_that_cannot_be_put_goes_back_whole_and_alone(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], log: io.StringIO
) -> None:
    stream = Refusing()
    delivery = Delivery(stream, "events", lambda _: None)  # type: ignore[arg-type]
    wired = Forwarder(delivery, world.lake.s3, world.settings.bucket, world.lake.ledger)
    monkeypatch.setattr(forwarder, "_forwarder", lambda: wired)
    stuck = record([event(), event(user_id=CANARY), event(action="")], number=5)
    world.queue.insert(1, stuck)
    assert world.deliver() == [stuck["messageId"]]
    assert world.accepted() == ACCEPTED
    assert world.refusals() == REFUSED
    printed = capsys.readouterr().out
    assert CANARY not in printed + log.getvalue()
    assert '"PutRecordBatch: InternalFailure":5' in log.getvalue()
    assert (_metrics(printed)["RequestsFailed"], _metrics(printed)["DeliveryRetries"]) == ([1.0], [5.0])


def test_when_the_time_is_up_what_is_left_goes_back_and_the_function_ends_in_order(world: World) -> None:
    world.context = lambda: Context(left=iter([21_000, 20_000, 20_000, 20_000]))
    world.queue = [record([event()] * 400, number=number) for number in (1, 2)]
    assert world.deliver() == ["message-shop-2"]
    assert world.accepted() == {FRIDAY: {1: 400}, SATURDAY: {}}
    assert len(world.delivered()) == 500
    world.context = Context
    assert world.deliver() == []
    assert world.accepted() == {FRIDAY: {1: 400, 2: 400}, SATURDAY: {}}


def test_a_message_that_the_gateway_did_not_send_goes_back_alone_and_nothing_of_it_is_told(
    world: World, log: io.StringIO
) -> None:
    strange = {"messageId": "strange", "body": CANARY, "messageAttributes": {}}
    world.queue.insert(0, strange)
    assert world.deliver() == ["strange"]
    assert world.accepted() == ACCEPTED
    assert '"error":"UnknownMessageError"' in log.getvalue()
    assert CANARY not in log.getvalue()


def test_the_function_is_wired_by_its_settings_and_its_clients_give_up_before_it_does(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    for name, value in world.settings.to_env().items():
        monkeypatch.setenv(name, value)
    forwarder._forwarder.cache_clear()
    assert world.deliver() == []
    assert (world.good(), world.accepted()) == (Counter(GOOD), ACCEPTED)
    wired: Any = forwarder._forwarder()
    assert wired.delivery.firehose.meta.config.retries["total_max_attempts"] == 1
    for client in (wired.s3, wired.ledger.meta.client):
        config = client.meta.config
        assert config.retries["total_max_attempts"] * config.read_timeout < forwarder._REST_SECONDS
    forwarder._forwarder.cache_clear()


_FULL_BATCH = """
import resource, sys
from lambda_events.forwarder_requests import Request, judge
from tests.events_under_test import event, record

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)

batch = [record([event(properties={"page": "/"})] * 500, number=number) for number in range(100)]
before = peak()
lines = [line for message in batch for line in judge(Request.of(message)).lines]
print(len(lines), sum(map(len, lines)), peak() - before)
"""
"""As many events as a batch of a hundred messages can have; what they add to the memory of a process of its own."""


def test_a_batch_of_fifty_thousand_events_takes_hardly_more_memory_than_its_lines_have() -> None:
    done = subprocess.run([sys.executable, "-c", _FULL_BATCH], cwd=ROOT, capture_output=True, text=True, check=True)
    number, size, took = map(float, done.stdout.split())
    assert number == 50_000
    assert took < 2 * size
