"""`atlas dead-letters`: what lies there is shown and stays, and goes back without anything being lost."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from atlas import events
from atlas.orders import Order, OrderKind
from atlas_cli import dead_letters, status
from atlas_cli.console import Say
from atlas_cli.main import main
from tests.stage_under_test import StageUnderTest, stage_under_test

EVENT = json.dumps({
    "detail-type": "Object Created",
    "detail": {
        "bucket": {"name": "b"},
        "object": {"key": "raw/a b.log", "etag": "e", "version-id": "v", "sequencer": "1"},
    },
})  # fmt: skip
REQUEST = {
    events.CLIENT_ID: "web-shop",
    events.REQUEST_ID: "JKJaXmPLvHcESHA=",
    events.GATEWAY_REQUEST_ID: "c6af9ac6-7b61-11e6-9a41-93e8deadbeef",
    events.RECEIVED_AT: "1732917600000",
}
BODY = '{"timestamp": "2024-11-29T22:00:00Z", "user_id": "kanarienvogel", "action": "login"}'
ORDER = Order(OrderKind.WITHDRAW, "raw/x.log", "v", "2026-11-20T12:00:00.000000Z", "somebody").to_message()


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Iterator[StageUnderTest]:
    monkeypatch.setattr(dead_letters, "_WAIT_SECONDS", 0)  # moto's answers are complete at once
    with stage_under_test() as made:
        yield made


def lay(stage: StageUnderTest, *bodies: str, **more: Any) -> None:
    for body in bodies:
        stage.cloud.sqs.send_message(QueueUrl=stage.dead_letters, MessageBody=body, **more)


def lay_events(stage: StageUnderTest, body: str, **attributes: str) -> None:
    """As SQS does that gives up a request of the events API."""
    stage.cloud.sqs.send_message(
        QueueUrl=stage.cloud.queue_url(stage.cloud.names.events_dead_letter_queue),
        MessageBody=body,
        MessageAttributes={name: {"DataType": "String", "StringValue": text} for name, text in attributes.items()},
    )


def taken(stage: StageUnderTest, queue: str) -> list[str]:
    """The bodies of all messages of a queue that anybody can have now."""
    found: list[str] = []
    while got := stage.cloud.sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages"):
        found += [message["Body"] for message in got]
    return sorted(found)


def test_a_message_is_told_by_what_it_is_of(stage: StageUnderTest) -> None:
    lay(stage, EVENT, ORDER, "what?")
    rows = {row["what"]: row for row in dead_letters.show(stage.cloud)}
    assert {what: row["message"] for what, row in rows.items()} == {
        "file": "raw/a b.log",
        "order": "withdraw raw/x.log",
        "unknown": "what?",
    }
    assert {what: row["error"] for what, row in rows.items()} == {
        "file": "",
        "order": "",
        "unknown": "no event of a file, and no order: ingestion will never take it",
    }
    assert all(row["since"].endswith("Z") for row in rows.values())


def test_what_eventbridge_says_of_an_event_is_shown(stage: StageUnderTest) -> None:
    said = {"ERROR_CODE": "NO_PERMISSIONS", "ERROR_MESSAGE": "not authorized", "RULE_ARN": "arn"}
    lay(
        stage,
        EVENT,
        MessageAttributes={name: {"DataType": "String", "StringValue": text} for name, text in said.items()},
    )
    [row] = dead_letters.show(stage.cloud)
    assert row["error"] == "NO_PERMISSIONS: not authorized"


def test_a_request_with_events_is_told_by_its_client_and_never_by_what_it_holds(stage: StageUnderTest) -> None:
    lay(stage, ORDER)
    lay_events(stage, BODY, **REQUEST)
    lay_events(stage, "what?")
    rows = dead_letters.show(stage.cloud)
    assert [(row["queue"], row["what"]) for row in rows] == [
        ("ingestion", "order"), ("events", "request"), ("events", "unknown"),
    ]  # fmt: skip
    assert rows[1]["message"] == "web-shop JKJaXmPLvHcESHA="
    assert "forwarder" in rows[2]["error"]
    assert "kanarienvogel" not in json.dumps(rows)


def test_a_request_goes_back_to_its_own_queue_with_all_that_the_server_says_of_it(stage: StageUnderTest) -> None:
    lay(stage, ORDER)
    lay_events(stage, BODY, **REQUEST, forged="by somebody")
    rows = dead_letters.redrive(stage.cloud, Say())
    assert [row["queue"] for row in rows] == ["ingestion", "events"]
    names = stage.cloud.names
    assert taken(stage, stage.queue) == [ORDER]
    [back] = stage.cloud.sqs.receive_message(
        QueueUrl=stage.cloud.queue_url(names.events_queue), MessageAttributeNames=["All"]
    )["Messages"]
    assert back["Body"] == BODY
    assert {name: found["StringValue"] for name, found in back["MessageAttributes"].items()} == REQUEST
    assert stage.cloud.depth(names.events_dead_letter_queue) == 0


def test_looking_leaves_every_message_there_for_anybody(stage: StageUnderTest) -> None:
    bodies = sorted(f"m{number:02}" for number in range(23))
    lay(stage, *bodies)
    first = dead_letters.show(stage.cloud)
    second = dead_letters.show(stage.cloud)
    assert [row["message"] for row in first] == [row["message"] for row in second]
    assert sorted(row["message"] for row in second) == bodies
    assert ({row["received"] for row in first}, {row["received"] for row in second}) == ({0}, {1})
    assert taken(stage, stage.dead_letters) == bodies


def test_a_look_that_fails_half_way_gives_back_what_it_held(
    stage: StageUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    lay(stage, *(f"m{number}" for number in range(12)))
    _fail_on(stage, monkeypatch, "receive_message", 2)
    with pytest.raises(ConnectionError):
        dead_letters.show(stage.cloud)
    monkeypatch.undo()
    assert len(taken(stage, stage.dead_letters)) == 12


def test_one_look_shows_no_more_than_people_read(stage: StageUnderTest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dead_letters, "MOST", 3)
    lay(stage, *"abcde")
    assert len(dead_letters.show(stage.cloud)) == 3
    assert taken(stage, stage.dead_letters) == ["a", "b", "c", "d", "e"]


def test_everything_goes_back_to_the_ingestion_queue(stage: StageUnderTest) -> None:
    bodies = sorted(f"m{number:02}" for number in range(23))
    lay(stage, *bodies)
    rows = dead_letters.redrive(stage.cloud, Say())
    assert sorted(row["message"] for row in rows) == bodies
    assert taken(stage, stage.queue) == bodies
    assert stage.cloud.depth(stage.cloud.names.ingest_dead_letter_queue) == 0
    assert dead_letters.redrive(stage.cloud, Say()) == []


@pytest.mark.parametrize("call", ["send_message", "delete_message"])
@pytest.mark.parametrize("number", [1, 2, 3])
def test_whatever_call_fails_no_message_is_lost(
    stage: StageUnderTest, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    lay(stage, "a", "b", "c")
    monkeypatch.setattr(dead_letters, "_HELD_SECONDS", 0)
    _fail_on(stage, monkeypatch, call, number)
    with pytest.raises(ConnectionError):
        dead_letters.redrive(stage.cloud, Say())
    monkeypatch.undo()
    assert {*_bodies(stage, stage.queue), *_bodies(stage, stage.dead_letters)} == {"a", "b", "c"}


def test_what_is_put_aside_again_at_once_is_not_sent_for_ever(
    stage: StageUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A message that ingestion fails for keeps its id on its way back."""
    queue = {
        "deadLetterTargetArn": "arn:aws:sqs:us-east-1:123456789012:atlas-ingest-dlq-local",
        "maxReceiveCount": 1,
    }
    stage.cloud.sqs.set_queue_attributes(QueueUrl=stage.queue, Attributes={"RedrivePolicy": json.dumps(queue)})
    lay(stage, "poison")
    send = stage.cloud.sqs.send_message
    sent: list[Any] = []

    def sends_in_vain(**call: Any) -> Any:
        sent.append(send(**call))
        for _ in range(2):
            stage.cloud.sqs.receive_message(QueueUrl=stage.queue, VisibilityTimeout=0)
        return sent[-1]

    monkeypatch.setattr(stage.cloud.sqs, "send_message", sends_in_vain)
    assert len(dead_letters.redrive(stage.cloud, Say())) == len(sent) == 1
    assert taken(stage, stage.dead_letters) == ["poison"]


def test_status_says_how_to_look_at_them_if_there_are_any(
    stage: StageUnderTest, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(status, "last_runs", lambda _: [])
    monkeypatch.setattr(status, "query_all", lambda *_, **__: [{"day": "2024-11-29", "failures": 2}])
    monkeypatch.setattr(status, "_told", lambda *_: [{"process_date": "2024-11-29", "error": "BooksError"}])
    status.status(stage.cloud, Say())
    assert "atlas dead-letters" not in capsys.readouterr().out
    lay(stage, EVENT)
    status.status(stage.cloud, Say())
    said = capsys.readouterr().out
    assert "Look at them: atlas dead-letters" in said
    assert "atlas-events-local" in said
    [failed] = [line for line in said.splitlines() if "BooksError" in line]
    assert failed.startswith("2024-11-29")
    assert "atlas replay --date DAY" in said


def test_the_command_shows_them_and_how_to_send_them_back(
    stage: StageUnderTest, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("atlas_cli.main.connect", lambda _: stage.cloud)
    lay(stage, EVENT)
    assert main(["dead-letters"]) == 0
    assert "atlas dead-letters --redrive" in capsys.readouterr().out
    assert main(["dead-letters", "--redrive", "--json"]) == 0
    [row] = map(json.loads, capsys.readouterr().out.splitlines())
    assert (row["what"], row["message"]) == ("file", "raw/a b.log")
    assert main(["dead-letters"]) == 0
    assert capsys.readouterr().out == "Dead letters: none\n"


def test_people_see_a_line_of_a_message_and_programs_all_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    rows = [{"what": "unknown", "message": "x\x1b[31m" * 100}]
    [row] = dead_letters.for_people(rows, Say())
    assert len(row["message"]) == 28
    assert "\x1b" not in row["message"]
    assert dead_letters.for_people(rows, Say(as_json=True)) == rows


def _bodies(stage: StageUnderTest, queue: str) -> list[str]:
    """Of all messages of a queue, those too that somebody holds."""
    stage.cloud.sqs.set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": "0"})
    got = stage.cloud.sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
    return [message["Body"] for message in got]


def _fail_on(stage: StageUnderTest, monkeypatch: pytest.MonkeyPatch, call: str, number: int) -> None:
    """The call of that number does not come through."""
    real, calls = getattr(stage.cloud.sqs, call), iter(range(1, 1000))

    def fails(**arguments: Any) -> Any:
        if next(calls) == number:
            raise ConnectionError(call)
        return real(**arguments)

    monkeypatch.setattr(stage.cloud.sqs, call, fails)
