"""`atlas dead-letters`: what ingestion and the forwarder of events could not be given, and back to them.

SQS's own way back (StartMessageMoveTask) is for what SQS itself has put aside, and EventBridge puts here what it
could not deliver. So messages are received, sent and then deleted. One that is in both queues after a crash does no
harm: ingestion knows what it has done, and whoever counts events takes the copies of a request as one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from typing import TYPE_CHECKING, Any

from atlas import events
from atlas.names import Names
from atlas.orders import Order
from atlas.timestamps import iso_utc
from atlas_cli.cloud import Cloud
from atlas_cli.console import Say, cut
from lambda_ingest.events import UnknownEventError, messages

if TYPE_CHECKING:
    from mypy_boto3_sqs.type_defs import MessageTypeDef

MOST = 1000
"""Messages of a queue that one look shows."""
_BATCH = 10
_HELD_SECONDS = 60
"""For so long nobody else gets a message that is looked at or moved."""
_WAIT_SECONDS = 1
"""A receive that waits asks all of SQS's servers: an empty answer means that the queue is empty."""
_TELL_EVERY = 100
_BESIDE = 72
"""Columns that the rest of a row takes."""
_ERRORS = ("ERROR_CODE", "ERROR_MESSAGE")
"""What EventBridge says of an event that it could not deliver: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html"""

Row = dict[str, Any]


@dataclass(frozen=True)
class Way:
    """A dead-letter queue, and the way back to the queue that its messages were meant for."""

    name: str
    """For people."""
    dead_letters: str
    queue: str
    function: str
    """Who takes from the queue, and logs what happened."""
    read: Callable[[MessageTypeDef], tuple[str, str, str]]
    """What a message is, the part of it that tells it from others, and why sending it back would be of no use."""
    attributes: tuple[str, ...] = ()
    """Of a message, that go back with its body."""


def ways(names: Names) -> tuple[Way, Way]:
    """Those of ingestion and of the events API."""
    return (
        Way(
            "ingestion",
            names.ingest_dead_letter_queue,
            names.ingest_queue,
            names.ingest_function,
            lambda message: _of_ingestion(message["Body"]),
        ),
        Way(
            "events",
            names.events_dead_letter_queue,
            names.events_queue,
            names.forwarder_function,
            _of_events,
            events.ATTRIBUTES,
        ),
    )


def show(cloud: Cloud) -> list[Row]:
    """A row a message, the oldest of a queue first, at most MOST of each; they stay where they are."""
    return [row for way in ways(cloud.names) for row in _show(cloud, way)]


def _show(cloud: Cloud, way: Way) -> list[Row]:
    queue = cloud.queue_url(way.dead_letters)
    rows: dict[str, tuple[int, Row]] = {}
    held: dict[str, str] = {}
    try:
        for batch in _received(cloud, queue):
            again = any(message["MessageId"] in held for message in batch)
            held |= {message["MessageId"]: message["ReceiptHandle"] for message in batch}
            rows |= {message["MessageId"]: _row(way, message) for message in batch}
            if again or len(held) >= MOST:
                break
    finally:
        _release(cloud, queue, list(held.values()))
    return _oldest_first(rows)[:MOST]


def redrive(cloud: Cloud, say: Say) -> list[Row]:
    """Sends all messages back to the queues they were meant for; a row each."""
    return [row for way in ways(cloud.names) for row in _redrive(cloud, way, say)]


def _redrive(cloud: Cloud, way: Way, say: Say) -> list[Row]:
    source, target = cloud.queue_url(way.dead_letters), cloud.queue_url(way.queue)
    moved: dict[str, tuple[int, Row]] = {}
    returned: list[str] = []
    try:
        for message in chain.from_iterable(_received(cloud, source)):
            if message["MessageId"] in moved:  # sent back, and put aside once more already
                returned.append(message["ReceiptHandle"])
                continue
            # Sent before it is deleted: it may come twice, but is never lost.
            told = message.get("MessageAttributes", {})
            attributes: Any = {name: _plain(told[name]) for name in way.attributes if name in told}
            sent = cloud.sqs.send_message(
                QueueUrl=target, MessageBody=message["Body"], MessageAttributes=attributes
            )
            cloud.sqs.delete_message(QueueUrl=source, ReceiptHandle=message["ReceiptHandle"])
            moved[sent["MessageId"]] = _row(way, message)
            if len(moved) % _TELL_EVERY == 0:
                say.step(f"  sent back {len(moved):,} messages")
    finally:
        _release(cloud, source, returned)
    say.step(f"sent {len(moved):,} messages back to {way.queue}")
    return _oldest_first(moved)


def _plain(attribute: Mapping[str, Any]) -> dict[str, str]:
    """An attribute as it is sent."""
    return {name: attribute[name] for name in ("DataType", "StringValue")}


def for_people(rows: Sequence[Mapping[str, Any]], say: Say) -> list[dict[str, Any]]:
    """Rows with their messages cut to what a line shows; as they are with --json."""
    return [dict(row) if say.as_json else {**row, "message": cut(row["message"], _BESIDE)} for row in rows]


def _received(cloud: Cloud, queue: str) -> Iterator[list[MessageTypeDef]]:
    """Every message of a queue, in batches; each is held for a while, so that it does not come again."""
    while found := cloud.sqs.receive_message(
        QueueUrl=queue,
        MaxNumberOfMessages=_BATCH,
        VisibilityTimeout=_HELD_SECONDS,
        WaitTimeSeconds=_WAIT_SECONDS,
        MessageSystemAttributeNames=["All"],
        MessageAttributeNames=["All"],
    ).get("Messages"):
        yield found


def _release(cloud: Cloud, queue: str, held: Sequence[str]) -> None:
    """Lets others have messages again at once. What this fails for comes back by itself a little later."""
    for start in range(0, len(held), _BATCH):
        batch = held[start : start + _BATCH]
        cloud.sqs.change_message_visibility_batch(
            QueueUrl=queue,
            Entries=[
                {"Id": str(number), "ReceiptHandle": receipt, "VisibilityTimeout": 0}
                for number, receipt in enumerate(batch)
            ],
        )


def _oldest_first(rows: Mapping[str, tuple[int, Row]]) -> list[Row]:
    return [row for _, row in sorted(rows.values(), key=lambda dated: dated[0])]


def _row(way: Way, message: MessageTypeDef) -> tuple[int, Row]:
    """When a message was first sent, in milliseconds since 1970, and what is shown of it. Nothing else is kept."""
    told = message.get("MessageAttributes", {})
    what, text, fault = way.read(message)
    errors = [told[name].get("StringValue", "") for name in _ERRORS if name in told]
    sent = int(message["Attributes"]["SentTimestamp"])
    return sent, {
        "queue": way.name,
        "what": what,
        "message": text,
        "since": iso_utc(datetime.fromtimestamp(sent // 1000, UTC)),
        # Without this look at it; SQS counts earlier ones in.
        "received": int(message["Attributes"]["ApproximateReceiveCount"]) - 1,
        "error": ": ".join(errors) or fault,
    }


def _of_ingestion(body: str) -> tuple[str, str, str]:
    try:
        said = messages(body)
    except UnknownEventError:
        return "unknown", body, "no event of a file, and no order: ingestion will never take it"
    orders = [f"{one.kind.value} {one.raw_key}" for one in said if isinstance(one, Order)]
    files = [one.key for one in said if not isinstance(one, Order)]
    return "order" if orders else "file", ", ".join([*orders, *files]) or body, ""


def _of_events(message: MessageTypeDef) -> tuple[str, str, str]:
    """By what the gateway says of it: the body is people's data."""
    told = {name: found.get("StringValue") for name, found in message.get("MessageAttributes", {}).items()}
    if not all(told.get(name) for name in events.ATTRIBUTES):
        return "unknown", message["Body"], "no request of the events API: the forwarder will never take it"
    return "request", f"{told[events.CLIENT_ID]} {told[events.REQUEST_ID]}", ""
